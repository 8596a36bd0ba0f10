//! The client against small daemons that do what real ones rarely do.

#[cfg(test)]
mod changes;
#[cfg(test)]
mod daemons;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod streams;

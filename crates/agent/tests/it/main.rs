//! The runtime, its server and its signals, from outside.

#[cfg(test)]
mod again;
#[cfg(test)]
mod described;
#[cfg(test)]
mod description;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod guide;
#[cfg(test)]
mod kubelet;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod minimal;
#[cfg(test)]
mod off;
#[cfg(test)]
mod process;
#[cfg(test)]
mod random;
#[cfg(test)]
mod rolling;
#[cfg(test)]
mod runtime;
#[cfg(test)]
mod server;
#[cfg(test)]
mod starting;
#[cfg(test)]
mod web;
#[cfg(test)]
mod world;

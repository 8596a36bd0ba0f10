//! The keeper with real processes: every test has a keeper and a state directory of its own.

#[cfg(test)]
mod adopt;
#[cfg(test)]
mod foresee;
#[cfg(test)]
mod heirs;
#[cfg(test)]
mod home;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod notify;
#[cfg(test)]
mod skip;
#[cfg(test)]
mod tree;
#[cfg(test)]
mod upgrade;
#[cfg(test)]
mod wire;

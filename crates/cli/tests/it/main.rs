//! The binary as people and scripts run it, against a daemon that answers what each test wants.

#[cfg(test)]
mod codes;
#[cfg(test)]
mod daemon;
#[cfg(test)]
mod e2e;
#[cfg(test)]
mod guide;
#[cfg(test)]
mod output;
#[cfg(test)]
mod waiting;

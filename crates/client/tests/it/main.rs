//! The client against small daemons that do what real ones rarely do.

mod changes;
mod daemons;
mod reads;
mod streams;

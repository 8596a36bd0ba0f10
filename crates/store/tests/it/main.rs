//! What every store promises, and what the one on disk promises beyond.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod sample;

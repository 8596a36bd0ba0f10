//! What every store promises, and what the one on disk promises beyond.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod dice;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod file;
#[cfg(test)]
mod full;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod line;
#[cfg(test)]
mod model;
#[cfg(test)]
mod power;
#[cfg(test)]
mod sample;

//! The API before the engine itself: a real pump, the store in memory, processes that are played.

mod analytics;
mod audit;
mod batch;
mod capabilities;
mod config;
mod degradation;
mod groups;
mod lifecycle;
mod metrics;
mod pause;
mod recoveries;
mod retention;
mod world;

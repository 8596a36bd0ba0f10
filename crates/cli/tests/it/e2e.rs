//! The real binary with real processes, a real database and real sockets: what holds when things are killed, full or broken.

mod capabilities;
mod care;
mod checkpoint;
mod children;
mod config;
mod crash;
mod damage;
mod database;
mod degradation;
mod disk;
mod example;
mod fleet;
mod groups;
mod http;
mod keys;
mod load;
mod orphans;
mod pausing;
mod procs;
mod readers;
mod rollout;
mod skip;
mod starts;
mod tasks;
mod tries;
mod upgrade;

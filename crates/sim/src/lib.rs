//! A world of processes and disks in one thread, on virtual time, for testing the engine.

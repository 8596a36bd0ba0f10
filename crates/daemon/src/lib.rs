//! The body of Stead: pump, clock, HTTP API, drivers and probes around the engine.

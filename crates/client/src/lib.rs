//! Typed HTTP client of the Stead daemon.

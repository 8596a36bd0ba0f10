//! The parent of all agent processes: spawns, reaps, keeps their logs and notify sockets.

//! Durable journal, state rows and slot leases: one Store trait, memory and SQLite.

//! The nouns of Stead: ids, profiles, specs, commands, events, and the journal's types.

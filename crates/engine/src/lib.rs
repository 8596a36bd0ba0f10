//! The brain of Stead: everything that decides, as a pure value with one door.

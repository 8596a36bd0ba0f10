//! Random choices that a printed seed brings back.

/// SplitMix64.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// The seeds to try: the one in `STEAD_SEED`, else as many as `STEAD_TRIES` says, else `count`. Each is printed, so that a failed one can
/// be tried again.
pub(crate) fn seeds(count: u64) -> Vec<u64> {
    let given = |name| std::env::var(name).ok().map(|number| number.parse().unwrap());
    match given("STEAD_SEED") {
        Some(seed) => vec![seed],
        None => (1..=given("STEAD_TRIES").unwrap_or(count)).collect(),
    }
}

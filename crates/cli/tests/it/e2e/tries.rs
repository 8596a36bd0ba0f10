//! Tries with a printed seed: `STEAD_TRIES=100` asks for more of them, `STEAD_SEED=7` for one of them again.

use std::time::Duration;

/// Runs `one` for each seed.
pub(crate) fn tries(name: &str, short: u64, mut one: impl FnMut(&mut Dice)) {
    let given = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seeds = match given("STEAD_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=given("STEAD_TRIES").unwrap_or(short),
    };
    for seed in seeds {
        println!("{name}: STEAD_SEED={seed}");
        one(&mut Dice(seed));
    }
}

/// As many as in the long form, else as in the short one.
pub(crate) fn size(short: usize, long: usize) -> usize {
    if is_long() { long } else { short }
}

/// Whether this is the long form, which has the machine for itself: goals that hang on its speed are held there.
pub(crate) fn is_long() -> bool {
    std::env::var_os("STEAD_TRIES").is_some()
}

/// Numbers out of a seed.
pub(crate) struct Dice(u64);

impl Dice {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// Lets a random time pass: when something is killed is what is tried here.
    pub(crate) fn wait(&mut self, most: Duration) {
        let most = u64::try_from(most.as_micros()).unwrap();
        std::thread::sleep(Duration::from_micros(self.below(most)));
    }
}

//! Which of a few actions to try first, learned per class of failure: success over cost, by discounted Thompson sampling.
//!
//! Each action keeps how often it helped and how often not, both forgotten little by little (Raj and Kalyani, "Taming
//! non-stationary bandits", 2017). To choose, a success rate is drawn for each from what is known of it; the order is that
//! of rate over cost, the one that keeps the expected time of trying them in turn shortest. There is no generator: the
//! seed decides, the same every time.

use crate::draw;

/// How it is learned.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `keep` | 0.9 | a few bad tries turn the order over | what helped last year is tried first |
/// | `explore` | 20 % | what began to help is never noticed | known remedies wait for guesses |
/// | `least` | 1 % | what failed often is never tried again | hopeless actions come too early |
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LearnedConfig {
    /// What is left of older tries with each new one; 0 to 1.
    pub keep: f32,
    /// Percent of choices that are drawn; all others take what is known as it is. 0 switches exploration off.
    pub explore: u8,
    /// The least success rate, in percent, that an action is believed to have.
    pub least: u8,
}

impl Default for LearnedConfig {
    fn default() -> Self {
        Self {
            keep: 0.9,
            explore: 20,
            least: 1,
        }
    }
}

/// What is known of `N` actions against one class of failure.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Learned<const N: usize> {
    helped: [f32; N],
    failed: [f32; N],
}

impl<const N: usize> Default for Learned<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Learned<N> {
    /// Nothing tried yet: each action helps as often as not.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            helped: [0.0; N],
            failed: [0.0; N],
        }
    }

    /// Counts one try, verified or failed. An action without a place is nothing.
    pub fn learn(&mut self, config: &LearnedConfig, action: usize, helped: bool) {
        if let (Some(good), Some(bad)) = (self.helped.get_mut(action), self.failed.get_mut(action)) {
            let keep = config.keep.clamp(0.0, 1.0);
            *good = *good * keep + f32::from(u8::from(helped));
            *bad = *bad * keep + f32::from(u8::from(!helped));
        }
    }

    /// How likely an action is thought to help, from 0 to 1.
    #[must_use]
    pub fn rate(&self, action: usize) -> f32 {
        match (self.helped.get(action), self.failed.get(action)) {
            (Some(good), Some(bad)) => (good + 1.0) / (good + bad + 2.0),
            (_, _) => 0.0,
        }
    }

    /// The actions in the order in which to try them, given what each costs (any unit, above 0). Where rates over costs
    /// are equal, in the order given.
    #[must_use]
    pub fn order(&self, config: &LearnedConfig, costs: &[f32; N], seed: u64) -> [usize; N] {
        let explore = draw(seed, 0) % 100 < u64::from(config.explore);
        let least = f32::from(config.least) / 100.0;
        let mut worth = [0.0_f32; N];
        for (action, (worth, cost)) in worth.iter_mut().zip(costs).enumerate() {
            let rate = if explore {
                self.drawn(action, draw(seed, 1))
            } else {
                self.rate(action)
            };
            *worth = rate.max(least) / cost.max(f32::MIN_POSITIVE);
        }
        let mut order: [usize; N] = core::array::from_fn(|action| action);
        order.sort_by(|a, b| worth[*b].total_cmp(&worth[*a]));
        order
    }

    /// A rate drawn from the beta distribution of what is known, as two gamma draws.
    fn drawn(&self, action: usize, seed: u64) -> f32 {
        let (Some(good), Some(bad)) = (self.helped.get(action), self.failed.get(action)) else {
            return 0.0;
        };
        let part = u64::try_from(action).unwrap_or(0);
        let (good, bad) = (
            gamma(good + 1.0, draw(seed, 2 * part)),
            gamma(bad + 1.0, draw(seed, 2 * part + 1)),
        );
        good / (good + bad).max(f32::MIN_POSITIVE)
    }
}

/// A draw from the gamma distribution of `shape`, 1 or more (Marsaglia and Tsang, ACM TOMS 26, 2000).
fn gamma(shape: f32, seed: u64) -> f32 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / libm::sqrtf(9.0 * d);
    for turn in 0..16 {
        let [first, second, third] = [0, 1, 2].map(|n| unit(draw(seed, 3 * turn + n)));
        let x = libm::sqrtf(-2.0 * libm::logf(first)) * libm::cosf(core::f32::consts::TAU * second);
        let v = (1.0 + c * x) * (1.0 + c * x) * (1.0 + c * x);
        if v > 0.0 && libm::logf(third) < 0.5 * x * x + d - d * v + d * libm::logf(v) {
            return d * v;
        }
    }
    // Sixteen refusals come once in 10^20: the mean.
    shape
}

/// Above 0, up to 1.
fn unit(bits: u64) -> f32 {
    ((bits >> 40) as f32 + 1.0) / (1_u64 << 24) as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONFIG: LearnedConfig = LearnedConfig {
        keep: 0.98,
        explore: 4,
        least: 5,
    };

    fn taught(action: usize, tries: u32, helped: bool) -> Learned<3> {
        let mut learned = Learned::new();
        (0..tries).for_each(|_| learned.learn(&CONFIG, action, helped));
        learned
    }

    #[test]
    fn at_first_the_cheapest_comes_first() {
        let off = LearnedConfig { explore: 0, ..CONFIG };
        assert_eq!(Learned::<3>::new().order(&off, &[3.0, 1.0, 2.0], 1), [1, 2, 0]);
    }

    #[test]
    fn what_keeps_failing_moves_down_and_comes_back_when_it_helps() {
        let off = LearnedConfig { explore: 0, ..CONFIG };
        let mut learned = taught(0, 20, false);
        assert_eq!(learned.order(&off, &[1.0, 2.0, 3.0], 1), [1, 2, 0]);
        (0..40).for_each(|_| learned.learn(&off, 0, true));
        assert_eq!(learned.order(&off, &[1.0, 2.0, 3.0], 1)[0], 0);
    }

    #[test]
    fn exploration_is_bounded() {
        let learned = taught(0, 6, false);
        let costs = [1.0, 1.2, 1.4];
        let explored = (0..5000)
            .filter(|seed| learned.order(&CONFIG, &costs, *seed)[0] != 1)
            .count();
        assert!((1..=250).contains(&explored), "{explored}");
    }

    #[test]
    fn draws_have_the_mean_of_their_distribution() {
        for shape in [1.0, 2.5, 30.0] {
            let mean = (0..20_000).map(|seed| gamma(shape, seed)).sum::<f32>() / 20_000.0;
            assert!((mean / shape - 1.0).abs() < 0.05, "{shape}: {mean}");
        }
    }

    proptest! {
        #[test]
        fn every_action_comes_once_and_the_same_seed_says_the_same(
            tries in proptest::collection::vec((0_usize..5, any::<bool>()), 0..100),
            costs in proptest::array::uniform4(any::<f32>()), seed: u64,
        ) {
            let mut learned = Learned::<4>::new();
            tries.iter().for_each(|(action, helped)| learned.learn(&CONFIG, *action, *helped));
            let order = learned.order(&CONFIG, &costs, seed);
            prop_assert_eq!(order, learned.order(&CONFIG, &costs, seed));
            let mut sorted = order;
            sorted.sort_unstable();
            prop_assert_eq!(sorted, [0, 1, 2, 3]);
        }
    }
}

//! What a fuzz target does to its inputs beside libFuzzer's own mutations: steps are inserted, removed, repeated, swapped and spliced, and numbers go to
//! a neighbouring edge.

use super::{Case, Generator};

/// Changes inputs by steps.
#[derive(Clone, Debug)]
pub struct Mutator {
    generator: Generator,
}

impl Default for Mutator {
    fn default() -> Mutator {
        Mutator { generator: Generator::new(0) }
    }
}

impl Mutator {
    /// The input with one change; the same for the same seed.
    #[must_use]
    pub fn mutated(&mut self, data: &[u8], seed: u32) -> Vec<u8> {
        self.generator.reseed(u64::from(seed));
        self.generator.changed(&Case::decode(data)).encode()
    }

    /// Changes `data[..size]` in place and gives its new size. Every second time, and where the change does not fit, `other` does it: libFuzzer.
    pub fn mutate(&mut self, data: &mut [u8], size: usize, seed: u32, other: impl FnOnce(&mut [u8], usize) -> usize) -> usize {
        let changed = if seed.is_multiple_of(2) { Vec::new() } else { self.mutated(data.get(..size).unwrap_or_default(), seed) };
        match data.get_mut(..changed.len()).filter(|_| !changed.is_empty()) {
            Some(place) => {
                place.copy_from_slice(&changed);
                changed.len()
            }
            None => other(data, size),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Mutator;
    use crate::fuzz::{Case, seeds};

    #[test]
    fn one_change_by_steps_and_the_same_for_the_same_seed() {
        let script = seeds().into_iter().nth(40).expect("a seed").script;
        let input = Case::new(script.clone(), 1).encode();
        let (mut a, mut b) = (Mutator::default(), Mutator::default());
        let mut different = 0;
        for seed in 0..200 {
            let changed = a.mutated(&input, seed);
            assert_eq!(changed, b.mutated(&input, seed));
            let steps = Case::decode(&changed).script.steps;
            different += usize::from(steps != script.steps);
        }
        assert!(different > 120, "{different}");
        let mut place = vec![0; 4096];
        place[..input.len()].copy_from_slice(&input);
        assert_eq!(a.mutate(&mut place, input.len(), 2, |_, size| size + 1), input.len() + 1, "libFuzzer's turn");
        let size = a.mutate(&mut place, input.len(), 3, |_, _| 0);
        assert_eq!(&place[..size], &b.mutated(&input, 3)[..]);
        let longer = (1..200).step_by(2).find(|seed| b.mutated(&input, *seed).len() > input.len()).expect("one inserts");
        assert_eq!(a.mutate(&mut input.clone(), input.len(), longer, |_, _| 0), 0, "no room");
    }
}

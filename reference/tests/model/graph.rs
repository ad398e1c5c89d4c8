//! The graph of the states that were reached.

use std::collections::HashMap;

/// Which state follows which.
#[derive(Default)]
pub(crate) struct Graph {
    after: HashMap<u64, Vec<u64>>,
    pub(crate) edges: usize,
}

impl Graph {
    pub(crate) fn edge(&mut self, from: u64, to: u64) {
        self.after.entry(from).or_default().push(to);
        self.edges += 1;
    }

    /// How many states there are from which no way leads on, and how long the longest way is; `None` where a way leads back to where it was.
    pub(crate) fn ends(&self) -> Option<(usize, usize)> {
        let mut into: HashMap<u64, usize> = self.after.keys().map(|&k| (k, 0)).collect();
        for &to in self.after.values().flatten() {
            *into.entry(to).or_default() += 1;
        }
        let total = into.len();
        let mut ready: Vec<(u64, usize)> = into.iter().filter(|(_, n)| **n == 0).map(|(&k, _)| (k, 0)).collect();
        let (mut done, mut ends, mut longest) = (0, 0, 0);
        let mut depth: HashMap<u64, usize> = HashMap::new();
        while let Some((state, steps)) = ready.pop() {
            done += 1;
            longest = longest.max(steps);
            let Some(after) = self.after.get(&state) else {
                ends += 1;
                continue;
            };
            for to in after {
                let deepest = depth.entry(*to).or_default();
                *deepest = (*deepest).max(steps + 1);
                let left = into.entry(*to).or_default();
                *left -= 1;
                if *left == 0 {
                    ready.push((*to, *deepest));
                }
            }
        }
        (done == total).then_some((ends, longest))
    }
}

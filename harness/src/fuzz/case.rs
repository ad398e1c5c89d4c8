//! What one run of the fuzzer is made of.

use tcp_reference::api::Family;
use tcp_vectors::bytes;
use tcp_vectors::model::Script;

/// A script, the IP version it runs over, and the seed of the run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    /// The stimuli.
    pub script: Script,
    /// IP version.
    pub family: Family,
    /// Decides the peer's ISN and the target's own randomness.
    pub seed: u64,
}

/// What the count of steps leaves of a first octet says over which IP version and with which seed: seeds 1 and 3 put the peer's ISN where
/// numbers wrap and where they change sign.
const MANNERS: [(Family, u64); 4] = [(Family::V4, 2), (Family::V6, 2), (Family::V4, 1), (Family::V6, 3)];

/// How many counts of steps there are.
const COUNTS: usize = bytes::MAX_STEPS + 1;

impl Case {
    /// The case with this script and the `manner`-th pair of IP version and seed, counted round.
    #[must_use]
    pub fn new(script: Script, manner: usize) -> Case {
        let (family, seed) = MANNERS[manner % MANNERS.len()];
        Case { script, family, seed }
    }

    /// The case that a fuzzer's octets stand for. Every octet string is one.
    #[must_use]
    pub fn decode(data: &[u8]) -> Case {
        Case::new(bytes::decode(data), data.first().map_or(0, |count| usize::from(*count) / COUNTS))
    }

    /// Octets that decode to this case. A script of more than 60 steps runs in the first three manners only.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut data = bytes::encode(&self.script);
        let manner = MANNERS.iter().position(|m| *m == (self.family, self.seed)).unwrap_or(0);
        if let Some(count) = data.first_mut() {
            let octet = usize::from(*count) + manner * COUNTS;
            *count = u8::try_from(octet).unwrap_or(*count);
        }
        data
    }
}

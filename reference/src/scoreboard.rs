//! What a peer's SACK blocks say of the text in flight, for both readers of the rules: RFC 6675 section 4.

use crate::seq::Seq;

/// How many segments behind a gap show that it is lost (RFC 6675 section 2, DupThresh).
pub(crate) const DUP_THRESH: u32 = 3;

/// What was reported behind a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reported {
    /// Octets, each once.
    pub(crate) octets: u32,
    /// Ranges that do not touch.
    ranges: u32,
}

impl Reported {
    /// What these ranges `[left, right)` say of the octets at `from` and behind; they may overlap and stand in any order.
    pub(crate) fn behind(from: Seq, blocks: impl Iterator<Item = (Seq, Seq)>) -> Reported {
        let behind = blocks.filter(|(_, right)| right.gt(from));
        let mut sorted: Vec<(u32, u32)> = behind.map(|(left, right)| (left.max(from).since(from), right.since(from))).collect();
        sorted.sort_unstable();
        let (mut octets, mut ranges, mut end) = (0, 0, None);
        for (left, right) in sorted {
            ranges += u32::from(end.is_none_or(|end| left > end));
            octets += right.saturating_sub(left.max(end.unwrap_or(0)));
            end = end.max(Some(right));
        }
        Reported { octets, ranges }
    }

    /// Whether the segment before all of it is lost: "either DupThresh discontiguous SACKed sequences have arrived above 'SeqNum' or more than
    /// (DupThresh - 1) * SMSS bytes" (IsLost).
    pub(crate) fn shows_loss(self, mss: u32) -> bool {
        self.ranges >= DUP_THRESH || self.octets > (DUP_THRESH - 1) * mss
    }
}

#[cfg(test)]
mod tests {
    use super::Reported;
    use crate::seq::Seq;

    fn behind(from: u32, blocks: &[(u32, u32)]) -> Reported {
        Reported::behind(Seq(from), blocks.iter().map(|&(left, right)| (Seq(left), Seq(right))))
    }

    #[test]
    fn octets_count_once_and_what_touches_is_one_range() {
        assert_eq!(behind(0, &[]), Reported { octets: 0, ranges: 0 });
        assert_eq!(behind(0, &[(30, 40), (10, 20), (15, 25), (20, 30)]), Reported { octets: 30, ranges: 1 });
        assert_eq!(behind(5, &[(1, 4), (3, 7), (10, 11)]), Reported { octets: 3, ranges: 2 });
        assert_eq!(behind(u32::MAX - 1, &[(u32::MAX, 3), (5, 6)]), Reported { octets: 5, ranges: 2 });
    }

    #[test]
    fn three_ranges_or_more_than_two_segments_show_a_loss() {
        assert!(!behind(0, &[(10, 20), (30, 40)]).shows_loss(10));
        assert!(behind(0, &[(10, 20), (30, 41)]).shows_loss(10));
        assert!(behind(0, &[(10, 11), (30, 31), (50, 51)]).shows_loss(1000));
    }
}

//! Initial sequence numbers over the connections of a run (RFC 9293 section 3.4.1, RFC 6528), and their first timestamps (RFC 7323 section 7.1).

use std::collections::BTreeMap;

use crate::api::Micros;
use crate::catalogue::RuleId;
use crate::profile::SECOND;
use crate::rules;
use crate::segment::Tuple;
use crate::seq::Seq;

/// The numbers that a stack chose.
#[derive(Clone, Debug, Default)]
pub(crate) struct Isns {
    /// Of each 4-tuple the last, and how many times in a row it was not ahead of the one before as a clock would have it.
    last: BTreeMap<Tuple, (Chosen, u8)>,
    /// Those of different 4-tuples that were chosen within a second.
    recent: Vec<(Tuple, Chosen)>,
    /// That the next number can be known was told.
    predictable: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Chosen {
    isn: Seq,
    /// When: earliest, latest.
    at: (Micros, Micros),
}

impl Isns {
    /// A SYN left with this number; the rule that it breaks, and the kind of finding. `reopened` where the number had to be above the last one's.
    pub(crate) fn take(&mut self, tuple: Tuple, isn: Seq, at: (Micros, Micros), reopened: bool) -> Option<(RuleId, &'static str)> {
        let chosen = Chosen { isn, at };
        let entry = self.last.entry(tuple).or_insert((chosen, 0));
        let again = entry.0.isn == isn && entry.0.at != at;
        if again {
            return None;
        }
        let fits = reopened || entry.0 == chosen || by_clock(entry.0, chosen);
        *entry = (chosen, if fits { 0 } else { entry.1 + 1 });
        // A secret that changes breaks the order once (RFC 6528 section 3), so that one miss says nothing.
        if entry.1 == MISSES {
            return Some((rules::ISN_CLOCK, "isn"));
        }
        self.recent.retain(|(t, c)| *t != tuple && at.1.saturating_sub(c.at.0) <= SECOND);
        self.recent.push((tuple, chosen));
        if self.recent.len() >= MANY && !self.predictable && close_together(&self.recent) {
            self.predictable = true;
            return Some((rules::ISN_PREDICTABLE, "isn"));
        }
        None
    }
}

/// The first timestamps of different 4-tuples within a second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tsvals {
    recent: Vec<(Tuple, u32, Micros)>,
    told: bool,
}

impl Tsvals {
    /// A SYN left with this TSval. Whether it is one too many that shows the same clock without an offset of the connection's own.
    pub(crate) fn shows_clock(&mut self, tuple: Tuple, val: u32, at: Micros) -> bool {
        self.recent.retain(|(t, _, then)| *t != tuple && at.saturating_sub(*then) <= SECOND);
        self.recent.push((tuple, val, at));
        let near = |&(_, v, _): &(Tuple, u32, Micros)| v.wrapping_sub(val).cast_signed().unsigned_abs() < TICKS;
        let shows = !self.told && self.recent.len() >= MANY && self.recent.iter().all(near);
        self.told |= shows;
        shows
    }
}

/// Whether the second number is ahead of the first as a clock between 4 microseconds and 28 nanoseconds a tick has it, with some slack; a clock
/// that may have cycled says nothing.
fn by_clock(first: Chosen, second: Chosen) -> bool {
    let (least, most) = (second.at.0.saturating_sub(first.at.1), second.at.1.saturating_sub(first.at.0));
    if most > LONGEST {
        return true;
    }
    let ahead = u64::from(second.isn.since(first.isn));
    let (slowest, fastest) = (least * SLOWEST / SECOND, most * FASTEST / SECOND);
    ahead + SLACK >= slowest && ahead <= fastest + SLACK
}

/// Whether these numbers lie so near one another that the next one is known: the same function for every 4-tuple.
fn close_together(recent: &[(Tuple, Chosen)]) -> bool {
    let first = recent[0].1;
    recent.iter().all(|(_, c)| {
        let ticks = c.at.1.saturating_sub(first.at.0) * FASTEST / SECOND;
        u64::from(c.isn.offset_from(first.isn).unsigned_abs()) < NEAR + ticks
    })
}

/// Ticks of the slowest clock in a second: RFC 9293 section 3.4.1 has one "roughly every 4 microseconds".
const SLOWEST: u64 = 200_000;
/// Ticks of the fastest clock in a second that does not cycle within two minutes.
const FASTEST: u64 = 36_000_000;
/// What a number may be off by: the counter of connections that some stacks add.
const SLACK: u64 = 1 << 17;
/// After this time the clock may have cycled.
const LONGEST: Micros = 100 * SECOND;
/// Misses in a row that are no chance.
const MISSES: u8 = 2;
/// Numbers of different 4-tuples that lie together by no chance.
const MANY: usize = 4;
/// Ticks of a timestamp clock in a second, with some slack: section 5.4 has one of at most a thousand.
const TICKS: u32 = 2_000;
/// How near they lie.
const NEAR: u64 = 1 << 20;

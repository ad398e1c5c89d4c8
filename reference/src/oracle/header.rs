//! What the user asks for of the IP header: the DS field (RFC 9293 section 3.9.1.9) and the time to live (section 3.9.2).

use crate::api::{Micros, SetOption};
use crate::catalogue::RuleId;
use crate::rules;
use crate::segment::Segment;

/// What the user of one connection has asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Asked {
    /// The tuple's incarnation whose user it was.
    pub(crate) stream: usize,
    dscp: Option<Wish>,
    hop_limit: Option<Wish>,
}

/// A value that segments must have from a time on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Wish {
    value: u8,
    since: Micros,
    /// The value that an earlier wish was followed by, and with which segments left.
    before: Option<u8>,
    /// A segment has shown that it is followed, or not: each wish is held against the stack once.
    seen: Option<bool>,
}

impl Wish {
    /// The next wish.
    fn next(earlier: Option<Wish>, value: u8, since: Micros) -> Wish {
        let before = earlier.and_then(|w| if w.seen == Some(true) { Some(w.value) } else { w.before });
        Wish { value, since, before, seen: None }
    }

    /// Whether a segment that left at `from` at the earliest fails it for the first time.
    fn fails(&mut self, value: u8, from: Micros) -> bool {
        if from < self.since || self.seen == Some(false) {
            return false;
        }
        self.seen = Some(value == self.value);
        value != self.value
    }
}

impl Asked {
    pub(crate) fn new(stream: usize) -> Asked {
        Asked { stream, dscp: None, hop_limit: None }
    }

    /// The user has set an option.
    pub(crate) fn set(&mut self, stream: usize, option: SetOption, now: Micros) {
        if self.stream != stream {
            *self = Asked::new(stream);
        }
        match option {
            SetOption::Dscp(dscp) => self.dscp = Some(Wish::next(self.dscp, dscp, now)),
            SetOption::HopLimit(ttl) => self.hop_limit = Some(Wish::next(self.hop_limit, ttl, now)),
            _ => {}
        }
    }

    /// The rule that a segment of the connection breaks, the kind of finding, and what was asked for. A reset may be of no connection.
    pub(crate) fn breach(&mut self, segment: &Segment, from: Micros) -> Option<(RuleId, &'static str, String)> {
        if segment.is_rst() {
            return None;
        }
        let ip = segment.ip;
        if let Some(wish) = &mut self.dscp
            && wish.fails(ip.dscp(), from)
        {
            let rule = match wish.before {
                // What stays as it was before was not set; what becomes something else was altered on the way.
                None if ip.dscp() == 0 => rules::DS_SETTABLE,
                Some(before) if ip.dscp() == before => rules::DS_CHANGES,
                _ => rules::DS_UNCHANGED,
            };
            return Some((rule, "dscp", format!("the DS codepoint {}", wish.value)));
        }
        if let Some(wish) = &mut self.hop_limit
            && wish.fails(ip.hop_limit, from)
        {
            return Some((rules::TTL_SETTABLE, "hop-limit", format!("the time to live {}", wish.value)));
        }
        None
    }
}

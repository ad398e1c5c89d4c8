//! Selective acknowledgments: what a receiver may report (RFC 2018, RFC 2883), and what was negotiated.

use crate::catalogue::Level;
use crate::oracle::emission::{BREAKS, CLOCK, Licence, Misfit, Sent};
use crate::oracle::hypothesis::Hypothesis;
use crate::profile::SECOND;
use crate::rules;
use crate::scoreboard::Reported;
use crate::segment::{Segment, TcpOption};
use crate::seq::Seq;
use crate::state::State;
use crate::tcb::{Conn, MAX_HELD, Tcb};

/// A range of numbers `[left, right)`.
type Range = (Seq, Seq);

/// What is known of a connection's selective acknowledgments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sacks {
    /// The peer's SYN has offered SACK: the stack may send SACK options.
    pub(crate) peer: bool,
    /// The stack's SYN has: the peer may.
    pub(crate) own: bool,
    /// The stack has sent one.
    used: bool,
    /// The stack has reported a duplicate: it has the habit (RFC 2883).
    reports_duplicates: bool,
    /// Text that came out of order and that no acknowledgment has answered.
    fresh: Few,
    /// Text that had come before, first come first, and that was not reported as such.
    duplicates: Few,
    /// The event of the last such text.
    duplicate_at: Option<usize>,
    /// First blocks of the options sent, the latest first.
    reported: [Option<Range>; 4],
    /// What the peer has reported of the stack's text since the last time-out.
    sacked: Few,
    /// Where the last tail loss probe ended.
    tail_probed: Option<Seq>,
}

/// Up to four ranges.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Few {
    ranges: [Option<Range>; 4],
    /// There were more of them, or other reasons for a report: nothing is certain.
    more: bool,
}

impl Few {
    fn push(&mut self, range: Range) {
        match self.ranges.iter_mut().find(|r| r.is_none()) {
            Some(free) => *free = Some(range),
            None => self.more = true,
        }
    }

    /// With this range, which takes the place of those that it holds.
    fn join(&mut self, range: Range) {
        if self.iter().any(|r| holds(r, range)) {
            return;
        }
        for old in &mut self.ranges {
            *old = old.filter(|r| !holds(range, *r));
        }
        self.push(range);
    }

    /// Takes away what ends at `seq` or before.
    fn forget_below(&mut self, seq: Seq) {
        for old in &mut self.ranges {
            *old = old.filter(|r| r.1.gt(seq));
        }
    }

    fn iter(&self) -> impl Iterator<Item = Range> + '_ {
        self.ranges.iter().flatten().copied()
    }

    /// Takes away the ranges up to the first that holds `part`; whether there is one.
    fn take_up_to(&mut self, part: Range) -> bool {
        let Some(i) = self.ranges.iter().position(|r| r.is_some_and(|r| holds(r, part))) else { return false };
        self.ranges.rotate_left(i + 1);
        self.ranges[3 - i..].fill(None);
        true
    }
}

fn holds((left, right): Range, part: Range) -> bool {
    left.le(part.0) && part.1.le(right)
}

fn overlap(a: Range, b: Range) -> bool {
    a.0.lt(b.1) && b.0.lt(a.1)
}

/// The part that two ranges share.
fn common(a: Range, b: Range) -> Option<Range> {
    overlap(a, b).then(|| (a.0.max(b.0), a.1.min(b.1)))
}

/// Whether a block is a whole range of what is held. The FIN that stands behind a range, or alone, may count with it.
fn is_whole(tcb: &Tcb, block: Range) -> bool {
    let fin = tcb.peer_fin.filter(|fin| fin.ge(tcb.rcv_nxt));
    let whole = |&(from, to): &Range| from == block.0 && (to == block.1 || (fin == Some(to) && to + 1 == block.1));
    tcb.held.iter().any(whole) || fin.is_some_and(|fin| (fin, fin + 1) == block)
}

impl Sacks {
    /// What the peer has reported of the octets at `from` and behind.
    pub(crate) fn reported_behind(&self, from: Seq) -> Reported {
        Reported::behind(from, self.sacked.iter())
    }

    /// Whether every range that the peer has reported is known.
    pub(crate) fn all_known(&self) -> bool {
        !self.sacked.more
    }
}

impl Hypothesis {
    /// An arrival, after the connection has become what it makes of it.
    pub(crate) fn note_sack(&mut self, before: &Conn, segment: &Segment, event: usize) {
        if segment.is_syn() {
            // Of repeated SYNs with other options, which one a stack goes by does not show.
            let opens = !matches!(before, Conn::Open(_));
            self.sack.peer = segment.sack_permitted() || (!opens && self.sack.peer);
            return;
        }
        let (Conn::Open(was), Conn::Open(tcb)) = (before, &self.conn) else { return };
        self.sack.sacked.forget_below(tcb.snd_una);
        for option in &segment.options {
            if let TcpOption::Sack(blocks) = option
                && self.sack.own
            {
                let could_be = |b: &&Range| b.0.lt(b.1) && b.0.gt(tcb.snd_una) && b.1.le(tcb.snd_nxt);
                blocks.iter().filter(could_be).for_each(|&block| self.sack.sacked.join(block));
            }
        }
        if !self.sack.peer || segment.is_empty() || segment.is_rst() {
            return;
        }
        let text = (segment.seq, segment.end());
        let below = (segment.seq.min(was.rcv_nxt), was.rcv_nxt);
        let twice = std::iter::once(below).chain(was.held.iter().copied()).filter_map(|part| common(text, part));
        for part in twice {
            // A FIN that came before may be reported too, and need not be; nor need what the ACK field forbids to look at.
            let looked_at = self.last.rule == rules::SEQ_UNACCEPTABLE.at(was.state) || self.last.rule == rules::TEXT_OOO.at(was.state);
            let octets = part.0.lt(segment.text_end()) && looked_at && segment.is_ack() && was.state != State::TimeWait;
            self.sack.duplicates.push(part);
            self.sack.duplicate_at = if octets { Some(event) } else { self.sack.duplicate_at };
        }
        if tcb.rcv_nxt != was.rcv_nxt {
            // "... unless that segment advanced the Acknowledgment Number field".
            self.sack.fresh.more = true;
        } else if self.last.rule == rules::TEXT_OOO.at(was.state)
            && let Some(part) = tcb.held.iter().find_map(|&part| common(text, part))
        {
            self.sack.fresh.push(part);
        }
    }

    /// Judges what a segment that acknowledges RCV.NXT reports beyond it.
    pub(crate) fn reports_truly(&mut self, sent: &Sent<'_>) -> Result<(), Misfit> {
        if !self.sack.peer {
            return Ok(());
        }
        let blocks = sent.segment.options.iter().find_map(|o| if let TcpOption::Sack(blocks) = o { Some(&blocks[..]) } else { None });
        match blocks {
            Some(blocks) => self.report(blocks, sent)?,
            None => self.no_report(sent),
        }
        self.report_sent();
        Ok(())
    }

    /// Whatever came is answered.
    pub(crate) fn report_sent(&mut self) {
        self.sack.fresh = Few::default();
    }

    /// A segment without a SACK option.
    fn no_report(&mut self, sent: &Sent<'_>) {
        let Some(tcb) = self.conn.tcb() else { return };
        let seg = sent.segment;
        let fits = seg.payload.is_empty() || seg.payload.len() + seg.options_len() + 12 <= usize::from(sent.most_text(tcb));
        if self.sack.used && !tcb.held.is_empty() && fits {
            self.depart(rules::SACK_IN_EVERY_ACK, sent.event);
        }
        self.duplicate_unreported(sent);
    }

    /// An acknowledgment that answers a duplicate and does not say so.
    fn duplicate_unreported(&mut self, sent: &Sent<'_>) {
        let answers = self.sack.duplicate_at.is_some_and(|event| event == self.last.event);
        if answers && self.sack.reports_duplicates && sent.segment.is_empty() {
            self.depart(rules::DUPLICATE_REPORTED, sent.event);
        }
        self.sack.duplicate_at = None;
    }

    fn report(&mut self, blocks: &[Range], sent: &Sent<'_>) -> Result<(), Misfit> {
        let Some(tcb) = self.conn.tcb() else { return Ok(()) };
        // The acknowledgment itself has come.
        let cause = self.ack_owed().or(self.dues.ack_soon).map(|due| due.cause);
        let wrong = |rule, kind| Misfit { cause, ..Misfit::new(rule, kind, BREAKS) };
        if blocks.iter().any(|(left, right)| left.ge(*right)) {
            return Err(wrong(rules::SACK_BLOCKS, "sack-edges"));
        }
        let certain = tcb.held.len() < MAX_HELD;
        // RFC 2883: a first block that is acknowledged already, or lies within the second, reports a duplicate.
        let first = blocks.first().copied();
        let acknowledged = |block: &Range| block.1.le(tcb.rcv_nxt);
        let within_second = |block: &Range| blocks.get(1).is_some_and(|second| holds(*second, *block));
        let duplicate = |block: &Range| self.sack.duplicates.iter().any(|d| holds(d, *block)) && !is_whole(tcb, *block);
        let duplicate = first.filter(|block| acknowledged(block) || within_second(block) || duplicate(block));
        let others = if duplicate.is_some() { &blocks[1..] } else { blocks };
        if certain && others.iter().any(|block| !is_whole(tcb, *block)) {
            return Err(wrong(rules::SACK_BLOCKS, "sack-edges"));
        }
        let held = tcb.held.len();
        let enclosing = duplicate.is_none_or(|d| acknowledged(&d) || others.first().is_some_and(|second| holds(*second, d)));
        let newest = self.sack.fresh;
        let tells_newest =
            newest.more || others.is_empty() || newest.iter().next().is_none() || newest.iter().any(|n| overlap(n, others[0]));
        if let Some(block) = duplicate {
            let noted = self.sack.duplicates;
            if !self.sack.duplicates.take_up_to(block) && !noted.more {
                let overlaps = noted.iter().any(|d| overlap(d, block));
                return Err(wrong(if overlaps { rules::DUPLICATE_PART } else { rules::DUPLICATE_ONCE }, "duplicate-sack"));
            }
            self.sack.reports_duplicates = true;
            self.sack.duplicate_at = None;
        } else {
            self.duplicate_unreported(sent);
        }
        if !enclosing && certain {
            self.depart(rules::DUPLICATE_ENCLOSED, sent.event);
        } else if !tells_newest && certain {
            return Err(Misfit { level: Level::Must, ..wrong(rules::SACK_NEWEST_FIRST, "sack-order") });
        }
        // Three blocks fit beside the timestamps, four without them.
        let room = if sent.segment.timestamps().is_some() { 3 } else { 4 } - usize::from(duplicate.is_some());
        if others.len() < held.min(room) && sent.segment.is_empty() && certain {
            self.depart(rules::SACK_AS_MANY, sent.event);
        } else if held > others.len() && certain && !self.repeats_latest(others) {
            self.depart(rules::SACK_LATEST_REPEATED, sent.event);
        }
        self.sack.used = true;
        if let Some(&newest) = others.first() {
            let known = self.sack.reported.iter().position(|r| r.is_some_and(|r| overlap(r, newest))).unwrap_or(3);
            self.sack.reported[..=known].rotate_right(1);
            self.sack.reported[0] = Some(newest);
        }
        Ok(())
    }

    /// Whether the blocks behind the first are those reported last, in any order, as far as so many were reported.
    fn repeats_latest(&self, blocks: &[Range]) -> bool {
        let (Some(tcb), Some((first, others))) = (self.conn.tcb(), blocks.split_first()) else { return true };
        let mut wanted: [Option<Range>; 4] = [None; 4];
        let mut count = 0;
        for reported in self.sack.reported.iter().flatten() {
            let Some(&held) = tcb.held.iter().find(|held| overlap(**held, *reported)) else { continue };
            if !overlap(held, *first) && !wanted.contains(&Some(held)) && count < others.len().min(4) {
                wanted[count] = Some(held);
                count += 1;
            }
        }
        wanted.iter().flatten().all(|held| others.iter().any(|block| overlap(*held, *block)))
    }

    /// Whether the peer has reported the octet at SND.UNA: it may have let it go since (RFC 2018 section 8), so the timer's segment is owed all the
    /// same.
    pub(crate) fn head_sacked(&self) -> bool {
        self.conn.tcb().is_some_and(|t| self.sack.sacked.iter().any(|(left, right)| left.le(t.snd_una) && t.snd_una.lt(right)))
    }

    /// Text leaves again: what the peer has reported is skipped (RFC 2018 section 5) until the timer has expired.
    pub(crate) fn skips_sacked(&mut self, sent: &Sent<'_>) {
        let seg = sent.segment;
        let Some(tcb) = self.conn.tcb() else { return };
        let behind_head = seg.seq.gt(tcb.snd_una) && seg.end().lt(tcb.snd_nxt) && self.clocks.timeouts == 0;
        if behind_head && self.sack.sacked.iter().any(|r| holds(r, (seg.seq, seg.end()))) {
            self.depart(rules::SACKED_SKIPPED, sent.event);
        }
    }

    /// The retransmission timer has expired: "SHOULD turn off all of the SACKed bits".
    pub(crate) fn forget_sacked(&mut self) {
        self.sack.sacked = Few::default();
    }

    /// A tail loss probe may be a new segment, and then "the FlightSize could be one packet greater than the congestion window temporarily" (RFC 8985
    /// section 7.3): after two round trips, or a second where none is known, and none while the last one is in flight.
    pub(crate) fn probes_with_new_text(&mut self, sent: &Sent<'_>) -> bool {
        let Some(tcb) = self.conn.tcb() else { return false };
        let clocks = &self.clocks;
        let wait = if clocks.sampled { (2 * clocks.rtt_min).min(SECOND) } else { SECOND };
        let answered = self.sack.tail_probed.is_none_or(|end| tcb.snd_una.ge(end));
        let may = answered && clocks.timeouts == 0 && self.sack.peer && self.sack.own && sent.at + CLOCK >= clocks.sent_last + wait;
        if may {
            self.sack.tail_probed = Some(sent.segment.end());
        }
        may
    }

    /// Where both ends have offered SACK, the last segment in flight may leave again long before the retransmission timer expires, to draw an
    /// acknowledgment (RFC 8985 section 7.3: a tail loss probe, one for a tail).
    pub(crate) fn tail_probe(&mut self, sent: &Sent<'_>) -> Option<Licence> {
        let tcb = self.conn.tcb()?;
        let tail = sent.segment.end() == tcb.snd_nxt && self.clocks.timeouts == 0 && self.sack.peer && self.sack.own;
        // What leaves again from SND.UNA on after a second is the timer's.
        let timer = sent.segment.seq.le(tcb.snd_una) && sent.at + CLOCK >= self.clocks.head_sent.0 + SECOND;
        if !tail || timer || self.sack.tail_probed == Some(tcb.snd_nxt) {
            return None;
        }
        self.sack.tail_probed = Some(tcb.snd_nxt);
        self.clocks.rto_since = self.clocks.rto_since.max(sent.at);
        Some(Licence { rule: rules::RETRANSMISSION_TIMEOUT, demanded: false })
    }
}

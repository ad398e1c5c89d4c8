//! Selective acknowledgments as the reference stack reports them (RFC 2018 section 4, RFC 2883).

use crate::rules;
use crate::scoreboard::Reported;
use crate::segment::{Segment, TcpOption};
use crate::seq::Seq;
use crate::stack::endpoint::Endpoint;
use crate::stack::mutant::Fault;
use crate::tcb::{Conn, Tcb};

/// What a receiver remembers for its reports.
#[derive(Clone, Hash, Debug, Default)]
pub(crate) struct Reports {
    /// Both ends have offered SACK.
    pub(crate) on: bool,
    /// Where text came out of order, the latest first.
    latest: Vec<Seq>,
    /// Text that had come before and was not reported yet.
    duplicate: Option<(Seq, Seq)>,
    /// What the peer has reported of the stack's own text.
    sacked: Vec<(Seq, Seq)>,
    /// The last segment acknowledged nothing new and reported something: a duplicate by RFC 6675 section 2.
    reported: bool,
    /// Segments that could bear a report so far, and duplicates that came, for mutants.
    count: u32,
    duplicates: u32,
    /// The blocks of the last report, for a mutant.
    last: Vec<(Seq, Seq)>,
}

impl Endpoint {
    /// A segment with text has come, and the connection has become what it makes of it.
    pub(crate) fn note_reports(&mut self, before: &Conn, segment: &Segment) {
        let (Conn::Open(was), Conn::Open(tcb)) = (before, &self.conn) else { return };
        if !self.reports.on || segment.payload.is_empty() || segment.is_syn() || segment.is_rst() || !segment.is_ack() {
            return;
        }
        let (from, to) = (segment.seq, segment.text_end());
        let parts = std::iter::once((from.min(was.rcv_nxt), was.rcv_nxt)).chain(was.held.iter().copied());
        let duplicate = parts.filter(|&(left, right)| from.lt(right) && left.lt(to)).map(|(l, r)| (l.max(from), r.min(to))).next();
        let part = duplicate.map(|part| if self.mutated(Fault::Departs, rules::DUPLICATE_PART) { (from, to) } else { part });
        if part.is_some() {
            self.reports.duplicates += 1;
            self.reports.duplicate = part;
        }
        let held = tcb.held.iter().any(|&(left, right)| left.le(from.max(tcb.rcv_nxt)) && from.lt(right));
        if held {
            let at = from.max(tcb.rcv_nxt);
            self.reports.latest.retain(|&seq| seq != at);
            self.reports.latest.insert(0, at);
            self.reports.latest.truncate(LATEST);
        }
    }

    /// What the peer reports of the stack's own text. The sender resends the head alone, so nothing is skipped on account of it.
    pub(crate) fn note_sacked(&mut self, segment: &Segment, acceptable: bool) {
        let Conn::Open(tcb) = &self.conn else { return };
        let una = tcb.snd_una;
        self.reports.sacked.retain(|&(_, right)| right.gt(una));
        let again = acceptable && segment.is_empty() && segment.ack == una;
        self.reports.reported = again && segment.options.iter().any(|o| matches!(o, TcpOption::Sack(_)));
        for option in &segment.options {
            if let TcpOption::Sack(blocks) = option
                && self.reports.on
                && self.reports.sacked.len() < LATEST
            {
                self.reports.sacked.extend(blocks.iter().filter(|b| b.0.gt(una) && b.1.le(tcb.snd_nxt)));
            }
        }
    }

    /// Whether the peer has reported the octet at SND.UNA.
    pub(crate) fn head_sacked(&self) -> bool {
        self.conn.tcb().is_some_and(|t| self.sacked(t.snd_una))
    }

    /// Whether the peer has reported this octet.
    pub(crate) fn sacked(&self, seq: Seq) -> bool {
        self.reports.sacked.iter().any(|&(left, right)| left.le(seq) && seq.lt(right))
    }

    /// Whether what the peer has reported shows that the segment at SND.UNA is lost.
    pub(crate) fn sack_shows_loss(&self) -> bool {
        let Some(tcb) = self.conn.tcb() else { return false };
        if !self.reports.reported || self.timers.timeouts > 0 || self.head_sacked() || self.mutated(Fault::Departs, rules::SACK_LOSS) {
            return false;
        }
        Reported::behind(tcb.snd_una, self.reports.sacked.iter().copied()).shows_loss(u32::from(tcb.believed_mss()))
    }

    /// Octets of the SACK option that a segment with text bears.
    pub(crate) fn report_len(&self, tcb: &Tcb) -> usize {
        if self.reports.on && !tcb.held.is_empty() { 4 + 8 * tcb.held.len().min(self.most_blocks()) } else { 0 }
    }

    fn most_blocks(&self) -> usize {
        if self.seen.is_some() { 3 } else { 4 }
    }

    /// The segment with the SACK option that is due.
    pub(crate) fn with_report(&mut self, segment: Segment) -> Segment {
        let Conn::Open(tcb) = &self.conn else { return segment };
        if !self.reports.on || segment.is_syn() || segment.is_rst() || !segment.is_ack() {
            return segment;
        }
        let mut blocks = self.blocks(tcb);
        let most = if self.mutated(Fault::Departs, rules::SACK_AS_MANY) { 1 } else { self.most_blocks() };
        let duplicate = self.reports.duplicate.filter(|_| segment.payload.is_empty());
        self.reports.count += u32::from(!blocks.is_empty());
        let skips = self.reports.count.is_multiple_of(2) && self.mutated(Fault::Departs, rules::SACK_IN_EVERY_ACK);
        let unreported = self.reports.duplicates.is_multiple_of(2) && self.mutated(Fault::Departs, rules::DUPLICATE_REPORTED);
        if let Some(part) = duplicate.filter(|_| !unreported) {
            // The block that holds the duplicate follows it.
            if let Some(i) = blocks.iter().position(|&(left, right)| left.le(part.0) && part.1.le(right)) {
                let to = if self.mutated(Fault::Departs, rules::DUPLICATE_ENCLOSED) { blocks.len() - 1 } else { 0 };
                let block = blocks.remove(i);
                blocks.insert(to, block);
            }
            blocks.insert(0, part);
        }
        if duplicate.is_some() && !self.mutated(Fault::Departs, rules::DUPLICATE_ONCE) {
            self.reports.duplicate = None;
        }
        blocks.truncate(most);
        if self.mutated(Fault::Departs, rules::SACK_BLOCKS)
            && let Some(last) = blocks.last_mut()
        {
            last.1 += 1;
        }
        if let Some(last) = blocks.last_mut().filter(|_| self.mutated(Fault::SackLeftOff, rules::SACK_BLOCKS)) {
            last.0 = last.0 - 1;
        }
        if self.mutated(Fault::StaleBlocks, rules::SACK_BLOCKS) {
            match blocks.is_empty() {
                true => blocks.clone_from(&self.reports.last),
                false => self.reports.last.clone_from(&blocks),
            }
        }
        if blocks.is_empty() || skips {
            return segment;
        }
        segment.with_option(TcpOption::Nop).with_option(TcpOption::Nop).with_option(TcpOption::Sack(blocks))
    }

    /// What is held, the latest first.
    fn blocks(&self, tcb: &Tcb) -> Vec<(Seq, Seq)> {
        let mut blocks: Vec<(Seq, Seq)> = Vec::new();
        let held_at = |&seq: &Seq| tcb.held.iter().copied().find(|&(left, right)| left.le(seq) && seq.lt(right));
        for block in self.reports.latest.iter().filter_map(held_at).chain(tcb.held.iter().copied()) {
            if !blocks.contains(&block) {
                blocks.push(block);
            }
        }
        if self.mutated(Fault::Departs, rules::SACK_NEWEST_FIRST) {
            blocks.sort_by(|a, b| a.0.offset_from(b.0).cmp(&0));
        }
        if let (Some(first), Some(last)) = (tcb.held.first(), tcb.held.last())
            && self.mutated(Fault::BlocksJoined, rules::SACK_BLOCKS)
        {
            blocks = vec![(first.0, last.1)];
        }
        if self.mutated(Fault::Departs, rules::SACK_LATEST_REPEATED) && blocks.len() > 1 {
            blocks[1..].sort_by(|a, b| a.0.offset_from(b.0).cmp(&0));
        }
        blocks
    }
}

/// Places of text out of order that are remembered.
const LATEST: usize = 64;

//! What mutants of the reference stack take a segment for: one that is almost the one that came, or none at all.

use crate::catalogue::Level;
use crate::relation::{Answer, Outcome, Owed};
use crate::segment::{Flags, Segment};
use crate::seq::Seq;
use crate::stack::endpoint::Endpoint;
use crate::stack::mutant::Fault;
use crate::tcb::Conn;

impl Endpoint {
    /// The segment that a mutant reads instead of the one that came and that was decided about so.
    pub(super) fn misread(&self, outcome: &Outcome, segment: &Segment) -> Option<Segment> {
        let mutant = self.mutant.filter(|m| m.strikes(outcome.rule) && m.in_state(&self.conn))?;
        let (una, nxt) = match &self.conn {
            Conn::Absent => return None,
            Conn::SynSent(c) => (c.iss, c.snd_nxt),
            Conn::Open(t) => (t.snd_una, t.snd_nxt),
        };
        let tcb = self.conn.tcb();
        let at = |seq: Option<Seq>| segment.is_empty() && seq == Some(segment.seq);
        let mut read = segment.clone();
        match mutant.fault {
            Fault::TakesHighAck if segment.is_ack() && segment.ack == nxt + 1 => read.ack = nxt,
            Fault::TakesLowAck if segment.is_ack() && segment.ack == una => read.ack = nxt,
            Fault::EdgeTakenIn if at(tcb.filter(|t| t.rcv_wnd() > 0).map(|t| t.rcv_right)) => read.seq = segment.seq - 1,
            Fault::TakesSeqBefore if at(tcb.map(|t| t.rcv_nxt - 1)) => read.seq = segment.seq + 1,
            Fault::AckBitUnneeded => (read.flags, read.ack) = (segment.flags | Flags::ACK, nxt),
            Fault::TextUnread => read.payload.clear(),
            _ => return None,
        }
        Some(read)
    }

    /// What becomes of a segment that a mutant drops although it has to be taken.
    pub(super) fn refuse(&self, outcome: &mut Outcome, segment: &Segment) {
        let Some(mutant) = self.mutant.filter(|m| m.strikes(outcome.rule)) else { return };
        let text = !segment.payload.is_empty();
        let tcb = self.conn.tcb();
        let answer = match mutant.fault {
            Fault::ResetOnlyAtZero if segment.seq != Seq(0) => Answer::Silence,
            Fault::ResetIgnoredAtGap if tcb.is_some_and(|t| !t.held.is_empty()) => Answer::Silence,
            Fault::StumblesAtWrap if text && segment.end().0 < segment.seq.0 => Answer::Ack(Owed::AtOnce(Level::Should)),
            Fault::OldAckDropsText if text && tcb.is_some_and(|t| segment.ack.lt(t.snd_una)) => Answer::Ack(Owed::AtOnce(Level::Should)),
            _ => return,
        };
        *outcome = Outcome::new(outcome.rule, self.conn.clone(), answer);
    }
}

//! What the TCP header shows of ECN (RFC 3168 section 6.1): the setup, ECE and CWR. The codepoint in the IP header is not in the trace.

use crate::catalogue::Level;
use crate::oracle::emission::{BREAKS, Misfit, Sent};
use crate::oracle::hypothesis::Hypothesis;
use crate::rules;
use crate::segment::{Flags, Segment};
use crate::seq::Seq;
use crate::tcb::Conn;

/// What was said of ECN on a connection. Of repeated SYNs that differ, which one counts does not show: then whatever one of them allows is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ecn {
    /// The peer has sent an ECN-setup SYN or SYN-ACK.
    peer: bool,
    /// The stack has.
    own: bool,
    /// The peer's SYN had ECE or CWR, and was no ECN-setup SYN or SYN-ACK.
    other_form: bool,
    /// A SYN had the bit of Accurate ECN, which uses these bits for a counter: nothing is judged.
    accurate: bool,
    /// An ECE has come: the next new text bears CWR.
    cwr_due: bool,
    /// SND.NXT when it came: until that is acknowledged, further ECEs tell nothing new.
    cwr_until: Option<Seq>,
}

/// Surprise of a segment that lacks one bit.
const ONE_BIT: u8 = 1;

const BOTH: Flags = Flags(Flags::ECE.0 | Flags::CWR.0);

/// Whether a SYN or SYN-ACK sets up ECN: both flags on the one, ECE alone on the other.
fn is_setup(syn: &Segment) -> bool {
    if syn.is_ack() { (syn.flags & BOTH) == Flags::ECE } else { syn.flags.has(BOTH) }
}

impl Hypothesis {
    /// An arrival, after the connection has become what it makes of it.
    pub(crate) fn note_ecn(&mut self, before: &Conn, segment: &Segment) {
        let ecn = &mut self.user.ecn;
        if segment.is_syn() {
            ecn.accurate |= segment.flags.any(Flags::AE);
            ecn.peer |= is_setup(segment);
            ecn.other_form |= segment.flags.any(BOTH) && !is_setup(segment);
            return;
        }
        let (Conn::Open(was), Conn::Open(tcb)) = (before, &self.conn) else { return };
        // ECE goes on until the CWR has arrived, which stands on text from there on.
        if ecn.cwr_until.is_some_and(|until| tcb.snd_una.gt(until)) {
            ecn.cwr_until = None;
        }
        // In a recovery the window is reduced already; an ACK of nothing in flight tells of nothing.
        let plain = self.clocks.timeouts == 0 && self.clocks.duplicate_acks == 0 && self.last.rule == rules::ACK_NEW;
        let echoes = ecn.peer && ecn.own && !ecn.accurate && segment.flags.has(Flags::ECE);
        if echoes && plain && ecn.cwr_until.is_none() && was.snd_una != was.snd_nxt && tcb.snd_una.gt(was.snd_una) {
            ecn.cwr_due = true;
            ecn.cwr_until = Some(tcb.snd_nxt);
        }
    }

    /// ECE and CWR on a segment of the stack.
    pub(crate) fn ecn_in_use(&mut self, segment: &Segment) -> Result<(), Misfit> {
        let ecn = &mut self.user.ecn;
        ecn.accurate |= segment.is_syn() && segment.flags.any(Flags::AE);
        if segment.is_syn() && is_setup(segment) && (ecn.peer || !segment.is_ack()) {
            ecn.own = true;
        }
        let set_up = if segment.is_syn() { ecn.own } else { ecn.own && ecn.peer };
        if ecn.accurate || set_up || !segment.flags.any(BOTH) {
            return Ok(());
        }
        let rule = match (ecn.other_form, segment.is_syn()) {
            (true, _) => rules::ECN_OTHER_FORMS,
            (false, true) => rules::ECN_SETUP,
            (false, false) => rules::ECN_NEGOTIATED,
        };
        Err(Misfit { level: Level::Must, ..Misfit::new(rule, "ecn", BREAKS) })
    }

    /// New text: after an ECE the first bears CWR.
    pub(crate) fn reduction_told(&mut self, sent: &Sent<'_>) -> Result<(), Misfit> {
        let ecn = &mut self.user.ecn;
        if !ecn.cwr_due || sent.segment.payload.is_empty() {
            return Ok(());
        }
        ecn.cwr_due = false;
        if sent.segment.flags.has(Flags::CWR) {
            return Ok(());
        }
        // Likelier than that the whole acknowledgment was passed over.
        Err(Misfit::new(rules::ECE_ANSWERED, "cwr", ONE_BIT))
    }

    /// Text that left before: without CWR, which could be lost again with it.
    pub(crate) fn resent_without_cwr(&mut self, sent: &Sent<'_>) {
        let ecn = self.user.ecn;
        let old = self.conn.tcb().is_some_and(|t| sent.segment.end().le(t.snd_nxt));
        if old && ecn.own && ecn.peer && !ecn.accurate && sent.segment.flags.has(Flags::CWR) {
            self.depart(rules::CWR_ON_NEW_TEXT, sent.event);
        }
    }
}

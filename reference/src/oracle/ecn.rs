//! ECN (RFC 3168 section 6.1): the setup, ECE and CWR in the TCP header, and the codepoint in the IP header.
//!
//! RFC 8311 section 4.3 lets experiments put ECT on SYNs, pure ACKs, probes and repetitions. Whether a stack takes part in one is its profile's
//! to say (`ecn_experiments`); Accurate ECN, which shows on the wire, is not judged at all.

use crate::catalogue::Level;
use crate::ip::Codepoint;
use crate::oracle::emission::{BREAKS, Licence, Misfit, Sent};
use crate::oracle::hypothesis::Hypothesis;
use crate::rules;
use crate::segment::{Flags, Segment};
use crate::seq::Seq;
use crate::state::State;
use crate::tcb::{Conn, Tcb};

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
    /// The last reduction of the window has been told, and nothing has come since that asks for another.
    cwr_told: bool,
    /// Either side has sent a SYN of its opening that sets up nothing: whether the stack goes by it does not show.
    plain: bool,
    /// Whether the stack's acknowledgments have ECE.
    echo: Echo,
    /// CE has come on text that is not acknowledged yet.
    ce_unacked: bool,
    /// CE has come on text outside the window, and no acknowledgment has left since.
    ce_outside: bool,
    /// The segment that leaves is text that left before.
    again: bool,
}

/// Whether an acknowledgment has ECE.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Echo {
    /// It must not: nothing tells of congestion.
    #[default]
    No,
    /// The text leaves it open, or the wire does not show it.
    Free,
    /// It must: CE has come, and no CWR since.
    Owed,
    /// It should: CE has come on a window probe (section 6.1.6).
    Wanted,
}

impl Ecn {
    /// Whether both sides have set ECN up, for certain.
    fn echoes(&self) -> bool {
        self.peer && self.own && !self.accurate && !self.plain
    }

    /// A segment arrived on an ECN connection: `tcb` is what it made of `was`.
    fn take_marks(&mut self, was: &Tcb, tcb: &Tcb, segment: &Segment) {
        let (ce, cwr) = (segment.ip.ecn() == Codepoint::Ce, segment.flags.has(Flags::CWR));
        if !ce && !cwr {
            return;
        }
        let text = !segment.payload.is_empty();
        let taken = text && (tcb.rcv_nxt != was.rcv_nxt || tcb.held != was.held);
        // CWR first: where both are on one segment ECE goes on, since an ACK of a CE packet has it (erratum 3639).
        if cwr && self.echo != Echo::No {
            // CWR stands on new text (section 6.1.2). "A packet with the CWR flag set" (6.1.3) may mean any other one as well; and what of a CE
            // that waits for its ACK together with the CWR, the text does not say.
            self.echo = if taken && !self.ce_unacked { Echo::No } else { Echo::Free };
        }
        if !ce {
            return;
        }
        let probe = segment.payload.len() == 1 && segment.seq == was.rcv_nxt && was.rcv_wnd() == 0;
        let outside = text && (segment.text_end().le(was.rcv_nxt) || segment.text_start().ge(was.rcv_room));
        if taken {
            (self.echo, self.ce_unacked) = (Echo::Owed, true);
        } else if self.echo == Echo::No {
            // Section 6.1.3 speaks of data packets: what CE on others is for, and on text that is refused or known already, stays open.
            match (probe, outside) {
                (true, _) => self.echo = Echo::Wanted,
                (false, true) => self.ce_outside = true,
                (false, false) => self.echo = Echo::Free,
            }
        }
    }

    /// Whatever it was, the stack is believed.
    pub(crate) fn believe(&mut self) {
        self.echo = Echo::Free;
    }
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
            let opens = before.tcb().is_none_or(|t| t.state == State::SynReceived);
            ecn.plain |= opens && !is_setup(segment);
            ecn.accurate |= segment.flags.any(Flags::AE);
            ecn.peer |= is_setup(segment);
            ecn.other_form |= segment.flags.any(BOTH) && !is_setup(segment);
            return;
        }
        let (Conn::Open(was), Conn::Open(tcb)) = (before, &self.conn) else { return };
        if ecn.echoes() {
            ecn.take_marks(was, tcb, segment);
        }
        // ECE goes on until the CWR has arrived, which stands on text from there on.
        if ecn.cwr_until.is_some_and(|until| tcb.snd_una.gt(until)) {
            ecn.cwr_until = None;
        }
        // The window is "reduced only once in response to a series of dropped and/or CE packets from a single window of data"; an ACK of nothing in
        // flight tells of nothing.
        let reduced = self.clocks.timeouts > 0 || self.clocks.duplicate_acks > 0 || self.clocks.flight.reduced_for(was.snd_una);
        let plain = !reduced && self.last.rule == rules::ACK_NEW;
        let echoes = ecn.peer && ecn.own && !ecn.accurate && segment.flags.has(Flags::ECE);
        if echoes && plain && ecn.cwr_until.is_none() && was.snd_una != was.snd_nxt && tcb.snd_una.gt(was.snd_una) {
            ecn.cwr_due = true;
            ecn.cwr_until = Some(tcb.snd_nxt);
            self.clocks.flight.reduced_by_mark(tcb.snd_nxt, u32::from(tcb.believed_mss()));
        }
        // A sender tells of a window that it "reduces … for any reason (because of a retransmit timeout, a Fast Retransmit, or in response to an
        // ECN Notification)".
        let congested = segment.flags.has(Flags::ECE) || self.clocks.duplicate_acks > 0 || self.clocks.sacked || self.repairs();
        self.user.ecn.cwr_told &= !congested;
    }

    /// ECE and CWR on a segment of the stack.
    pub(crate) fn ecn_in_use(&mut self, segment: &Segment) -> Result<(), Misfit> {
        let ecn = &mut self.user.ecn;
        ecn.accurate |= segment.is_syn() && segment.flags.any(Flags::AE);
        if segment.is_syn() && is_setup(segment) && (ecn.peer || !segment.is_ack()) {
            ecn.own = true;
        }
        ecn.plain |= segment.is_syn() && !is_setup(segment);
        let set_up = if segment.is_syn() { ecn.own } else { ecn.own && ecn.peer };
        // "A host MUST NOT set ECT on data packets unless" both have set it up (section 6.1.1).
        let capable = segment.ip.ecn() != Codepoint::NotEct && !segment.payload.is_empty() && !segment.is_syn();
        if ecn.accurate || set_up || !(segment.flags.any(BOTH) || capable) {
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
        if sent.segment.payload.is_empty() {
            return Ok(());
        }
        let told = sent.segment.flags.has(Flags::CWR);
        let reduced = self.clocks.timeouts > 0 || self.repairs() || sent.from > self.clocks.sent_last + sent.profile.rto_min;
        let ecn = &mut self.user.ecn;
        let again = told && ecn.cwr_told && !reduced;
        ecn.cwr_told = told || (ecn.cwr_told && !reduced);
        let due = std::mem::take(&mut ecn.cwr_due);
        if again && !due {
            // "It SHOULD set the CWR bit only on the first new data packet that it transmits."
            self.depart(rules::ECE_ANSWERED, sent.event);
        }
        if !due || told {
            return Ok(());
        }
        // Likelier than that the whole acknowledgment was passed over.
        Err(Misfit::new(rules::ECE_ANSWERED, "cwr", ONE_BIT))
    }

    /// Text that left before: without CWR, which could be lost again with it.
    pub(crate) fn resent_without_cwr(&mut self, sent: &Sent<'_>) {
        let ecn = self.user.ecn;
        let old = self.conn.tcb().is_some_and(|t| sent.segment.end().le(t.snd_nxt));
        self.user.ecn.again = old && !sent.segment.payload.is_empty();
        if old && ecn.own && ecn.peer && !ecn.accurate && sent.segment.flags.has(Flags::CWR) {
            self.depart(rules::CWR_ON_NEW_TEXT, sent.event);
        }
    }

    /// The codepoint of a segment that is right otherwise, and the ECE of an acknowledgment.
    pub(crate) fn marked(&mut self, sent: &Sent<'_>, licence: Licence) -> Result<(), Misfit> {
        let (seg, ecn) = (sent.segment, &mut self.user.ecn);
        let again = std::mem::take(&mut ecn.again);
        // A reset is no part of the traffic that section 6.1 speaks of.
        if ecn.accurate || seg.is_rst() {
            return Ok(());
        }
        let wrong = |rule, kind, level| Err(Misfit { level, ..Misfit::new(rule, kind, ONE_BIT) });
        let probes = licence.rule == rules::PROBE;
        if probes && seg.flags.has(Flags::CWR) {
            return wrong(rules::PROBE_UNMARKED, "cwr", Level::Must);
        }
        if seg.ip.ecn() != Codepoint::NotEct && !sent.profile.ecn_experiments {
            let bare = seg.payload.is_empty() && !seg.is_fin();
            let rule = match (seg.is_syn(), probes, bare, again) {
                (true, ..) => Some(rules::ECT_ON_SYN),
                (_, true, ..) => Some(rules::PROBE_UNMARKED),
                (_, _, true, _) => Some(rules::ECT_ON_ACK),
                (_, _, _, true) => Some(rules::ECT_ON_RESENT),
                _ => None,
            };
            if let Some(rule) = rule {
                return wrong(rule, "ecn-codepoint", Level::Must);
            }
        }
        // In TIME-WAIT all of the peer's text has come: no CWR can follow that would end the series.
        let ends = self.conn.tcb().is_none_or(|t| t.state == State::TimeWait);
        let ecn = &mut self.user.ecn;
        if seg.is_syn() || !seg.is_ack() || ends || !ecn.echoes() {
            return Ok(());
        }
        let departs = match (ecn.echo, seg.flags.has(Flags::ECE)) {
            (Echo::No, true) if ecn.ce_outside => {
                ecn.echo = Echo::Free;
                Some(rules::CE_OUTSIDE)
            }
            (Echo::No, true) | (Echo::Owed, false) => return wrong(rules::CE_ECHOED, "ece", Level::Spec),
            (Echo::Wanted, false) => {
                ecn.echo = Echo::No;
                Some(rules::CE_ON_PROBE)
            }
            (Echo::Wanted, true) => {
                ecn.echo = Echo::Owed;
                None
            }
            (Echo::Free, false) => {
                ecn.echo = Echo::No;
                None
            }
            (Echo::No, false) | (Echo::Free | Echo::Owed, true) => None,
        };
        (ecn.ce_unacked, ecn.ce_outside) = (false, false);
        if let Some(rule) = departs {
            self.depart(rule, sent.event);
        }
        Ok(())
    }
}

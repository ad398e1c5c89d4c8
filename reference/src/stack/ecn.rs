//! ECN in the reference stack (RFC 3168 section 6.1): what comes of CE and CWR, and what new text bears.

use crate::ip::Codepoint;
use crate::rules;
use crate::segment::{Flags, Segment};
use crate::stack::endpoint::Endpoint;
use crate::stack::mutant::Fault;
use crate::tcb::{Conn, Tcb};

impl Endpoint {
    /// A segment arrived: CE on text that was taken is echoed until CWR comes, which counts first where it is on the same segment (erratum 3639).
    pub(super) fn take_marks(&mut self, before: &Conn, segment: &Segment) {
        let (Conn::Open(was), Conn::Open(tcb)) = (before, &self.conn) else { return };
        if !self.ecn {
            return;
        }
        let (ce, cwr) = (segment.ip.ecn() == Codepoint::Ce, segment.flags.has(Flags::CWR));
        let text = !segment.payload.is_empty();
        let taken = text && (tcb.rcv_nxt != was.rcv_nxt || tcb.held != was.held);
        let probe = segment.payload.len() == 1 && segment.seq == was.rcv_nxt && was.rcv_wnd() == 0;
        let probe = probe && !self.mutated(Fault::Departs, rules::CE_ON_PROBE);
        let outside = text && segment.text_end().le(was.rcv_nxt) && self.mutated(Fault::Departs, rules::CE_OUTSIDE);
        let stops = cwr && taken && !self.mutated(Fault::StaysPut, rules::CE_ECHOED);
        let seen = ce && (taken || probe || outside) && !self.mutated(Fault::NoReply, rules::CE_ECHOED);
        let fades = taken && !ce && self.mutated(Fault::CeOfLatestText, rules::CE_ECHOED);
        self.ce = seen || (self.ce && !stops && !fades);
        if stops && self.mutated(Fault::CwrAfterCe, rules::CE_ECHOED) {
            self.ce = false;
        }
    }

    /// New text has ECT(0), and the first after an ECE has CWR: neither on a probe of a closed window (section 6.1.6).
    pub(super) fn mark_new(&self, tcb: &Tcb, segment: &mut Segment) {
        if !self.ecn || segment.payload.is_empty() {
            return;
        }
        let closed = tcb.snd_wnd == 0;
        if !closed || self.mutated(Fault::Ect, rules::PROBE_UNMARKED) {
            segment.ip = segment.ip.with_ecn(Codepoint::Ect0);
        }
        let cwr = if closed { self.mutated(Fault::Departs, rules::PROBE_UNMARKED) } else { self.cwr };
        segment.flags |= if cwr { Flags::CWR } else { Flags::NONE };
    }

    /// A segment is about to leave.
    pub(super) fn note_marks(&mut self, segment: &mut Segment) {
        if self.ect_everywhere && !segment.is_rst() {
            segment.ip = segment.ip.with_ecn(Codepoint::Ect0);
        }
        if segment.flags.has(Flags::ECE) && !segment.is_syn() && self.mutated(Fault::Departs, rules::CE_ECHOED) {
            self.ce = false;
        }
    }
}

//! What a connection remembers: the variables of RFC 9293 section 3.3.1, a struct for each kind of state.

use crate::segment::Segment;
use crate::seq::Seq;
use crate::state::State;

/// A connection in any state; what a state does not have does not stand in its variant.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Conn {
    /// No TCB of its own: CLOSED, or LISTEN where a listener serves the port.
    Absent,
    /// SYN-SENT.
    SynSent(SynSent),
    /// SYN-RECEIVED and the synchronized states.
    Open(Tcb),
}

impl Conn {
    /// The state, where `listening` says whether a listener serves the port.
    #[must_use]
    pub fn state(&self, listening: bool) -> State {
        match self {
            Conn::Absent if listening => State::Listen,
            Conn::Absent => State::Closed,
            Conn::SynSent(_) => State::SynSent,
            Conn::Open(tcb) => tcb.state,
        }
    }

    /// Whether this number was sent and is not acknowledged.
    #[must_use]
    pub fn is_outstanding(&self, seq: Seq) -> bool {
        match self {
            Conn::Absent => false,
            Conn::SynSent(c) => seq == c.iss,
            Conn::Open(t) => seq.ge(t.snd_una) && seq.lt(t.snd_nxt),
        }
    }

    /// The TCB of SYN-RECEIVED and the synchronized states.
    #[must_use]
    pub fn tcb(&self) -> Option<&Tcb> {
        if let Conn::Open(tcb) = self { Some(tcb) } else { None }
    }

    /// The TCB of SYN-RECEIVED and the synchronized states.
    #[must_use]
    pub fn tcb_mut(&mut self) -> Option<&mut Tcb> {
        if let Conn::Open(tcb) = self { Some(tcb) } else { None }
    }
}

/// SYN-SENT: only its own side is known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SynSent {
    /// ISS.
    pub iss: Seq,
    /// SND.NXT: beyond ISS+1 where the SYN carried text.
    pub snd_nxt: Seq,
    /// The window that the stack's SYN advertised, octets.
    pub rcv_wnd: u32,
    /// The window scale that the stack offered, and the MSS.
    pub offered_scale: Option<u8>,
}

/// How SYN-RECEIVED was reached (RFC 9293 MUST-11).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OpenedBy {
    /// From LISTEN.
    Passive,
    /// From SYN-SENT.
    Active,
}

/// The variables of SYN-RECEIVED and the synchronized states.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Tcb {
    /// The state; SYN-RECEIVED or a synchronized one.
    pub state: State,
    /// How it was opened.
    pub opened: OpenedBy,
    /// ISS.
    pub iss: Seq,
    /// IRS.
    pub irs: Seq,
    /// SND.UNA.
    pub snd_una: Seq,
    /// SND.NXT.
    pub snd_nxt: Seq,
    /// SND.WND in octets, an offset from SND.UNA.
    pub snd_wnd: u32,
    /// SND.WL1.
    pub snd_wl1: Seq,
    /// SND.WL2.
    pub snd_wl2: Seq,
    /// MAX.SND.WND (RFC 5961 section 5).
    pub max_snd_wnd: u32,
    /// Shift of the windows that the peer sends.
    pub snd_scale: u8,
    /// Shift of the windows that the stack sends.
    pub rcv_scale: u8,
    /// The most octets of text that the peer takes in a segment, options not counted.
    pub snd_mss: u16,
    /// Whether the peer stated its MSS.
    pub mss_stated: bool,
    /// RCV.NXT.
    pub rcv_nxt: Seq,
    /// RCV.NXT+RCV.WND as advertised: the right edge that the peer knows.
    pub rcv_right: Seq,
    /// The right edge that the last segment advertised: not beyond `rcv_right`, and less where a scaled field cannot say it (RFC 7323 section 2.4).
    pub rcv_last: Seq,
    /// The right edge that the receive buffer can have at most; what lies between `rcv_right` and it may be taken or not.
    pub rcv_room: Seq,
    /// In-window text beyond RCV.NXT that is held: disjoint ranges `[from, to)` in order.
    pub held: Vec<(Seq, Seq)>,
    /// The number of the peer's FIN: held beyond RCV.NXT, or taken where RCV.NXT is past it.
    pub peer_fin: Option<Seq>,
    /// The number of the stack's own FIN once it is sent.
    pub fin_sent: Option<Seq>,
    /// CLOSE was called: a FIN follows behind the last octet of text.
    pub closing: bool,
    /// The connection in TIME-WAIT that the peer's SYN reopened, until the new one is established (RFC 9293 MAY-2).
    pub reopened: Option<Box<Tcb>>,
}

impl Tcb {
    /// Whether the peer has acknowledged the stack's FIN.
    #[must_use]
    pub fn fin_acked(&self) -> bool {
        self.fin_sent.is_some_and(|fin| self.snd_una.gt(fin))
    }

    /// Whether the peer's FIN is taken.
    #[must_use]
    pub fn fin_taken(&self) -> bool {
        self.peer_fin.is_some_and(|fin| self.rcv_nxt.gt(fin))
    }

    /// The number after the last octet of text that can be delivered.
    #[must_use]
    pub fn readable_end(&self) -> Seq {
        if self.fin_taken() { self.rcv_nxt - 1 } else { self.rcv_nxt }
    }

    /// The advertised window, octets.
    #[must_use]
    pub fn rcv_wnd(&self) -> u32 {
        self.rcv_right.since(self.rcv_nxt)
    }

    /// The send MSS, not below what any link carries.
    #[must_use]
    pub fn believed_mss(&self) -> u16 {
        self.snd_mss.max(LEAST_MSS)
    }

    /// SND.UNA+SND.WND.
    #[must_use]
    pub fn snd_right(&self) -> Seq {
        self.snd_una + self.snd_wnd
    }

    /// Whether text or a FIN may still arrive.
    #[must_use]
    pub fn receives(&self) -> bool {
        matches!(self.state, State::Established | State::FinWait1 | State::FinWait2)
    }

    /// SND.WND, SND.WL1 and SND.WL2 from a segment.
    pub fn take_window(&mut self, segment: &Segment) {
        let scale = if segment.is_syn() { 0 } else { self.snd_scale };
        self.snd_wnd = u32::from(segment.window) << scale;
        self.snd_wl1 = segment.seq;
        self.snd_wl2 = segment.ack;
        self.max_snd_wnd = self.max_snd_wnd.max(self.snd_wnd);
    }

    /// Holds `[from, to)`, joining what it touches. Returns `false`, changing nothing, where that would exceed the bound of ranges.
    #[must_use]
    pub fn hold(&mut self, from: Seq, to: Seq) -> bool {
        if from.ge(to) {
            return true;
        }
        let (mut from, mut to) = (from, to);
        let apart = |&(a, b): &(Seq, Seq)| b.lt(from) || a.gt(to);
        if self.held.len() >= MAX_HELD && self.held.iter().all(apart) {
            return false;
        }
        self.held.retain(|&(a, b)| {
            if b.lt(from) || a.gt(to) {
                return true;
            }
            from = from.min(a);
            to = to.max(b);
            false
        });
        let place = self.held.iter().position(|&(a, _)| a.gt(from)).unwrap_or(self.held.len());
        self.held.insert(place, (from, to));
        true
    }

    /// The peer's FIN stands at this number: the first that says so is believed, and what is held behind it is not text.
    pub fn note_fin(&mut self, fin: Seq) {
        let fin = *self.peer_fin.get_or_insert(fin);
        self.held.retain_mut(|(from, to)| {
            *to = Seq::min(*to, fin);
            from.lt(*to)
        });
    }

    /// Moves RCV.NXT over held text that has become contiguous; returns whether it moved.
    pub fn absorb_held(&mut self) -> bool {
        let before = self.rcv_nxt;
        while let Some(&(from, to)) = self.held.first() {
            if from.gt(self.rcv_nxt) {
                break;
            }
            self.rcv_nxt = self.rcv_nxt.max(to);
            self.held.remove(0);
        }
        self.rcv_nxt != before
    }
}

/// Most ranges that are held beyond RCV.NXT.
pub const MAX_HELD: usize = 32;

/// The least MSS that a peer is believed: what IPv4's smallest MTU of 68 octets leaves.
pub const LEAST_MSS: u16 = 28;
/// Send MSS without an MSS option (RFC 9293 MUST-15), IPv4.
pub const DEFAULT_MSS_V4: u16 = 536;
/// Send MSS without an MSS option (RFC 9293 MUST-15), IPv6.
pub const DEFAULT_MSS_V6: u16 = 1220;

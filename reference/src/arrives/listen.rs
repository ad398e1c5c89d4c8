//! RFC 9293 section 3.10.7.2: SEGMENT ARRIVES in LISTEN.

use crate::relation::{Answer, Env, Outcome, ResetForm};
use crate::rules;
use crate::segment::Segment;
use crate::state::State;
use crate::tcb::{Conn, OpenedBy, Tcb};

pub(crate) fn arrive(segment: &Segment, env: &Env, out: &mut Vec<Outcome>) {
    // First, check for a RST.
    if segment.is_rst() {
        out.push(Outcome::new(rules::LISTEN_RST, Conn::Absent, Answer::Silence));
    // Second, check for an ACK.
    } else if segment.is_ack() {
        out.push(Outcome::new(rules::LISTEN_ACK, Conn::Absent, Answer::Reset(ResetForm::Bare(segment.ack))));
    // Third, check for a SYN.
    } else if segment.is_syn() {
        check_syn(segment, env, out);
    // Fourth, other data or control.
    } else {
        out.push(Outcome::new(rules::LISTEN_OTHER, Conn::Absent, Answer::Silence));
    }
}

/// A SYN with FIN may be dropped whole (a filter that FreeBSD and Linux have).
fn check_syn(segment: &Segment, env: &Env, out: &mut Vec<Outcome>) {
    let tcb = Tcb { snd_wl2: env.fresh.iss, ..new_tcb(segment, env) };
    let rule = match (segment.is_fin(), segment.payload.is_empty()) {
        (true, _) => rules::LISTEN_SYN_FIN,
        (false, false) => rules::LISTEN_SYN_DATA,
        (false, true) => rules::LISTEN_SYN,
    };
    out.extend(beside_syn(&tcb, segment).into_iter().map(|next| Outcome::new(rule, Conn::Open(next), Answer::SynAck)));
    if segment.is_fin() {
        out.push(Outcome::new(rule, Conn::Absent, Answer::Silence));
    }
}

/// "Any other control or text should be queued for processing later": what may become of text and FIN beside the peer's SYN. Every SYN-ACK
/// acknowledges RCV.NXT; the FIN's number is never in it, for the eighth step does not process a FIN before the connection is established.
pub(crate) fn beside_syn(tcb: &Tcb, syn: &Segment) -> Vec<Tcb> {
    let end = syn.text_end();
    let queued = |from: &Tcb| {
        let mut next = from.clone();
        if from.rcv_nxt.lt(end) {
            next.held = vec![(from.rcv_nxt, end)];
        }
        next.peer_fin = syn.is_fin().then_some(end);
        next
    };
    let mut ways = Vec::new();
    if !syn.payload.is_empty() {
        // "It is legal to send and receive application data on SYN segments": the text is taken, and waits for its reader.
        let taken = Tcb { rcv_nxt: end, rcv_right: tcb.rcv_right.max(end), ..tcb.clone() };
        if syn.is_fin() {
            ways.push(queued(&taken));
        }
        ways.push(taken);
    }
    // Left unacknowledged, for the peer to send again.
    ways.push(tcb.clone());
    if syn.len() > 1 {
        ways.push(queued(tcb));
    }
    ways
}

/// A TCB that has just seen the peer's SYN.
pub(crate) fn new_tcb(syn: &Segment, env: &Env) -> Tcb {
    let right = syn.seq + 1 + env.fresh.window;
    let scales = syn.window_scale().zip(env.fresh.scale);
    Tcb {
        state: State::SynReceived,
        opened: OpenedBy::Passive,
        iss: env.fresh.iss,
        irs: syn.seq,
        snd_una: env.fresh.iss,
        snd_nxt: env.fresh.iss + 1,
        snd_wnd: u32::from(syn.window),
        snd_wl1: syn.seq,
        snd_wl2: syn.ack,
        max_snd_wnd: u32::from(syn.window),
        // RFC 7323 section 2.3: a shift count above 14 is taken as 14.
        snd_scale: scales.map_or(0, |(peer, _)| peer.min(14)),
        rcv_scale: scales.map_or(0, |(_, own)| own.min(14)),
        // An MSS of 0 cannot be obeyed: it says nothing.
        snd_mss: syn.mss().filter(|&mss| mss > 0).unwrap_or(env.default_mss),
        mss_stated: syn.mss().is_some_and(|mss| mss > 0),
        rcv_nxt: syn.seq + 1,
        rcv_right: right,
        rcv_last: right,
        rcv_room: right,
        held: Vec::new(),
        peer_fin: None,
        fin_sent: None,
        closing: false,
        reopened: None,
    }
}

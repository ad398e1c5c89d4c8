//! RFC 9293 section 3.10.7.3: SEGMENT ARRIVES in SYN-SENT.

use crate::arrives::listen::{beside_syn, new_tcb};
use crate::arrives::{text, timestamps};
use crate::relation::{Answer, Env, Fresh, Outcome, Owed, ResetForm, Signal};
use crate::rules;
use crate::segment::Segment;
use crate::state::State;
use crate::tcb::{Conn, OpenedBy, SynSent, Tcb};

pub(crate) fn arrive(conn: &SynSent, segment: &Segment, env: &Env, out: &mut Vec<Outcome>) {
    let unchanged = Conn::SynSent(*conn);
    // First, check the ACK bit.
    if segment.is_ack() && (segment.ack.le(conn.iss) || segment.ack.gt(conn.snd_nxt)) {
        out.push(if segment.is_rst() {
            Outcome::new(rules::SYN_SENT_ACK_UNACCEPTABLE_RST, unchanged, Answer::Silence)
        } else {
            Outcome::new(rules::SYN_SENT_ACK_UNACCEPTABLE, unchanged, Answer::Reset(ResetForm::Bare(segment.ack)))
        });
        return;
    }
    // Second, check the RST bit. Erratum 8167 removes the published text's comparison of SEG.SEQ.
    if segment.is_rst() {
        out.push(if segment.is_ack() {
            Outcome::new(rules::SYN_SENT_RST_ACK_OK, Conn::Absent, Answer::Silence).telling(Signal::Refused)
        } else {
            Outcome::new(rules::SYN_SENT_RST_NO_ACK, unchanged.clone(), Answer::Silence)
        });
        if segment.is_ack() {
            timestamps::reset_ignored(&unchanged, segment, env, out);
        }
        return;
    }
    // Third, security: no stack here has compartments. Fourth, check the SYN bit.
    if !segment.is_syn() {
        out.push(Outcome::new(rules::SYN_SENT_NO_SYN_NO_RST, unchanged, Answer::Silence));
    } else if segment.is_ack() {
        check_syn_ack(conn, segment, env, out);
    } else {
        check_syn(conn, segment, env, out);
    }
}

/// The peer's SYN acknowledges ours: ESTABLISHED.
fn check_syn_ack(conn: &SynSent, segment: &Segment, env: &Env, out: &mut Vec<Outcome>) {
    let mut tcb = opened(conn, segment, env);
    tcb.state = State::Established;
    tcb.snd_una = segment.ack;
    tcb.snd_wl2 = segment.ack;
    let rule = match (segment.is_fin(), segment.payload.is_empty()) {
        (true, _) => rules::SYN_SENT_SYN_ACK_FIN,
        (false, false) => rules::SYN_SENT_SYN_ACK_WITH_DATA,
        (false, true) => rules::SYN_SENT_SYN_ACK,
    };
    if segment.len() > 1 {
        // Text and FIN are processed from the sixth step on, or left unacknowledged for the peer to send again.
        let from = out.len();
        text::process(&tcb, segment, env, rule, out);
        for outcome in &mut out[from..] {
            outcome.rule = rule;
        }
    }
    out.push(Outcome::new(rule, Conn::Open(tcb), Answer::Ack(Owed::Delayed)));
}

/// The peer's SYN crossed ours: SYN-RECEIVED (simultaneous open).
fn check_syn(conn: &SynSent, segment: &Segment, env: &Env, out: &mut Vec<Outcome>) {
    let tcb = opened(conn, segment, env);
    let rule = if segment.len() > 1 { rules::SYN_SENT_SYN_ONLY_DATA } else { rules::SYN_SENT_SYN_ONLY };
    out.extend(beside_syn(&tcb, segment).into_iter().map(|next| Outcome::new(rule, Conn::Open(next), Answer::SynAck)));
}

fn opened(conn: &SynSent, segment: &Segment, env: &Env) -> Tcb {
    let fresh = Fresh { iss: conn.iss, window: conn.rcv_wnd, scale: conn.offered_scale };
    Tcb { opened: OpenedBy::Active, snd_nxt: conn.snd_nxt, ..new_tcb(segment, &Env { fresh, ..*env }) }
}

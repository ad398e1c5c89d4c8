//! RFC 9293 section 3.10.7.4, fifth step: check the ACK field.

use crate::arrives::text;
use crate::catalogue::Level;
use crate::relation::{Answer, Env, Habit, Outcome, Owed, ResetForm, TimeWaitTimer};
use crate::rules;
use crate::segment::{Flags, Segment};
use crate::state::State;
use crate::tcb::{Conn, Tcb};

pub(crate) fn check_ack(tcb: &Tcb, segment: &Segment, env: &Env, out: &mut Vec<Outcome>) {
    let unchanged = || Conn::Open(tcb.clone());
    let challenge = Answer::Ack(Owed::AtOnce(Level::Spec));
    if !segment.is_ack() {
        out.push(Outcome::new(rules::ACK_MISSING.at(tcb.state), unchanged(), Answer::Silence));
        return;
    }
    if tcb.state == State::SynReceived {
        syn_received(tcb, segment, env, out);
        return;
    }
    if segment.ack.gt(tcb.snd_nxt) {
        // 3.5.2 names TIME-WAIT among the states that answer; the fifth step gives it no test of the ACK field.
        let answer = if tcb.state == State::TimeWait { Answer::MayAck } else { challenge };
        out.push(Outcome::new(rules::ACK_FUTURE.at(tcb.state), unchanged(), answer));
        return;
    }
    // RFC 5961 section 5 (MAY-12): below SND.UNA-MAX.SND.WND the segment may be discarded with an ACK.
    if segment.ack.lt(tcb.snd_una - tcb.max_snd_wnd) {
        // "MAX.SND.WND" may be hard-coded as 65535 or its scaled value, so between the two nothing shows which a stack does.
        let hard_coded = u32::from(u16::MAX) << tcb.snd_scale;
        let between = segment.ack.ge(tcb.snd_una - hard_coded);
        let rule = rules::ACK_5961_RANGE.at(tcb.state);
        if env.habits.allows(Habit::ChecksAckRange, true) {
            let refused = Outcome::new(rule, unchanged(), challenge).by(rules::ACK_RANGE_CHECKED);
            out.push(refused.showing(Habit::ChecksAckRange, true));
        }
        if between || env.habits.allows(Habit::ChecksAckRange, false) {
            let from = out.len();
            per_state(tcb, segment, env, out);
            let checks = env.habits.get(Habit::ChecksAckRange) == Some(true);
            for outcome in &mut out[from..] {
                outcome.habit = outcome.habit.or((!between).then_some((Habit::ChecksAckRange, false)));
                if between && checks && outcome.permit.is_none() {
                    outcome.permit(rules::MAX_SND_WND_HARD_CODED);
                }
            }
        }
        return;
    }
    per_state(tcb, segment, env, out);
}

fn syn_received(tcb: &Tcb, segment: &Segment, env: &Env, out: &mut Vec<Outcome>) {
    if let Some(next) = establish(tcb, segment) {
        let from = out.len();
        text::process_queued(next, segment, env, rules::SYN_RECEIVED_ACK_ACCEPTABLE, out);
        for outcome in out[from..].iter_mut().filter(|o| o.rule == rules::FIN.at(State::Established)) {
            outcome.rule = rules::FIN.at(State::SynReceived);
        }
        return;
    }
    let unchanged = || Conn::Open(tcb.clone());
    let reset = Outcome::new(rules::SYN_RECEIVED_ACK_UNACCEPTABLE, unchanged(), Answer::Reset(ResetForm::Bare(segment.ack)));
    // RFC 5961 section 5 stands before the per-state processing and asks for an ACK outside its range; the order is not clear.
    if segment.ack.gt(tcb.snd_nxt) || segment.ack.lt(tcb.snd_una - tcb.max_snd_wnd) {
        let rule = rules::ACK_5961_RANGE.at(State::SynReceived);
        let challenge = Outcome::new(rule, unchanged(), Answer::Ack(Owed::AtOnce(Level::Spec))).by(rules::FUTURE_ACK_OR_5961);
        if env.habits.get(Habit::ChecksAckRange) == Some(true) {
            out.extend([challenge, reset]);
        } else {
            out.extend([reset, challenge]);
        }
        return;
    }
    out.push(reset);
}

/// SYN-RECEIVED with "SND.UNA < SEG.ACK =< SND.NXT": ESTABLISHED, or where CLOSE has led from there. `None` for another ACK.
pub(crate) fn establish(tcb: &Tcb, segment: &Segment) -> Option<Tcb> {
    if segment.ack.le(tcb.snd_una) || segment.ack.gt(tcb.snd_nxt) {
        return None;
    }
    let mut next = tcb.clone();
    next.snd_una = segment.ack;
    next.reopened = None;
    next.take_window(segment);
    next.state = match (next.closing, next.fin_acked()) {
        (_, true) => State::FinWait2,
        (true, false) => State::FinWait1,
        (false, false) => State::Established,
    };
    Some(next)
}

/// The processing of each synchronized state for SEG.ACK =< SND.NXT.
fn per_state(tcb: &Tcb, segment: &Segment, env: &Env, out: &mut Vec<Outcome>) {
    if tcb.state == State::TimeWait {
        // "The only thing that can arrive in this state is a retransmission of the remote FIN." A FIN here is a new one, beyond the window's
        // left edge; what else arrives is not specified.
        let rule = match (segment.is_fin(), segment.payload.is_empty()) {
            (true, _) => rules::FIN.at(State::TimeWait),
            (false, false) => rules::TEXT.at(State::TimeWait),
            (false, true) if segment.flags.has(Flags::URG) => rules::URG.at(State::TimeWait),
            (false, true) => rules::TIME_WAIT_ACK,
        };
        out.push(Outcome::new(rule, Conn::Open(tcb.clone()), Answer::MayAck).timing(TimeWaitTimer::MayRestart));
        return;
    }
    let Some(next) = honour(tcb, segment) else {
        let rule = if offers_stale_window(tcb, segment) {
            rules::WINDOW_STALE
        } else if ignores_urgent(tcb, segment) {
            rules::URG.at(tcb.state)
        } else {
            rules::ACK_DUPLICATE
        };
        text::process(tcb, segment, env, rule, out);
        return;
    };
    let rule = match (tcb.state, next.state) {
        (State::FinWait1, State::FinWait2) | (State::Closing, State::TimeWait) | (State::LastAck, State::Closed) => {
            rules::ACK_OF_FIN.at(tcb.state)
        }
        _ if next.snd_una == tcb.snd_una && ignores_urgent(tcb, segment) => rules::URG.at(tcb.state),
        (State::FinWait1 | State::Closing | State::LastAck, _) => rules::ACK_NOT_FIN.at(tcb.state),
        (State::Established, _) if offers_stale_window(tcb, segment) => rules::WINDOW_STALE,
        (State::FinWait2, _) => rules::FIN_WAIT_2_ACK,
        (State::CloseWait, _) => rules::CLOSE_WAIT_ACK,
        _ if next.snd_una == tcb.snd_una => rules::WINDOW_UPDATE,
        _ => rules::ACK_NEW,
    };
    match next.state {
        State::Closed => out.push(Outcome::new(rule, Conn::Absent, Answer::Silence)),
        State::TimeWait => {
            // Text or FIN in the same segment lies behind the peer's FIN and is ignored; an ACK for it is harmless.
            let answer = if segment.is_empty() { Answer::Silence } else { Answer::MayAck };
            out.push(Outcome::new(rule, Conn::Open(next), answer).timing(TimeWaitTimer::Starts));
        }
        _ => text::process(&next, segment, env, rule, out),
    }
}

/// "If (SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and SND.WL2 =< SEG.ACK))".
fn updates_window(tcb: &Tcb, segment: &Segment) -> bool {
    tcb.snd_wl1.lt(segment.seq) || (tcb.snd_wl1 == segment.seq && tcb.snd_wl2.le(segment.ack))
}

/// Whether an older segment brings another window than the one that stands.
fn offers_stale_window(tcb: &Tcb, segment: &Segment) -> bool {
    let offered = u32::from(segment.window) << tcb.snd_scale;
    !updates_window(tcb, segment) && offered != tcb.snd_wnd && tcb.state == State::Established
}

/// Whether it is the URG bit that this segment is about: behind the peer's FIN, "Ignore the URG" (sixth step).
fn ignores_urgent(tcb: &Tcb, segment: &Segment) -> bool {
    let behind_fin = matches!(tcb.state, State::CloseWait | State::Closing | State::LastAck);
    behind_fin && segment.flags.has(Flags::URG) && segment.is_empty()
}

/// The effects of an acknowledgment on a connection: SND.UNA, the window, and the state where it acknowledges the SYN or the FIN.
/// `None` where it changes nothing. [`State::Closed`] stands for "delete the TCB".
pub(crate) fn honour(tcb: &Tcb, segment: &Segment) -> Option<Tcb> {
    if tcb.state == State::SynReceived {
        return establish(tcb, segment);
    }
    if segment.ack.gt(tcb.snd_nxt) || segment.ack.lt(tcb.snd_una) {
        return None;
    }
    let mut next = tcb.clone();
    next.snd_una = segment.ack;
    // SND.WND is an offset from SND.UNA: where an older segment acknowledges text without updating it, the right edge moves along.
    if updates_window(tcb, segment) {
        next.take_window(segment);
    }
    if next.fin_acked() {
        next.state = match tcb.state {
            State::FinWait1 => State::FinWait2,
            State::Closing => State::TimeWait,
            State::LastAck => State::Closed,
            other => other,
        };
    }
    (next != *tcb).then_some(next)
}

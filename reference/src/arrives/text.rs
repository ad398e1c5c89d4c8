//! RFC 9293 section 3.10.7.4, sixth to eighth step: the URG bit, the segment text, the FIN bit.

use crate::catalogue::RuleId;
use crate::relation::{Answer, Env, Habit, Outcome, Owed, Reader, ResetForm, Signal, TimeWaitTimer};
use crate::rules;
use crate::segment::Segment;
use crate::seq::Seq;
use crate::state::State;
use crate::tcb::{Conn, Tcb};

/// Steps six to eight for a segment whose ACK is processed. `decided` is the rule that the ACK step went by; a segment without text or FIN
/// ends there. URG tells the user only and draws nothing.
pub(crate) fn process(tcb: &Tcb, segment: &Segment, env: &Env, decided: RuleId, out: &mut Vec<Outcome>) {
    if segment.len() == u32::from(segment.is_syn()) {
        // LAST-ACK says only what an ACK of the FIN does, and 3.5.2 has an unacceptable acknowledgment number answered: an ACK in reply to
        // another one is neither asked for nor excluded.
        let answer = if tcb.state == State::LastAck { Answer::MayAck } else { Answer::Silence };
        out.push(Outcome::new(decided, Conn::Open(tcb.clone()), answer));
        return;
    }
    if !tcb.receives() {
        behind_fin(tcb, segment, env, out);
        return;
    }
    let from = out.len();
    let start = segment.text_start().max(tcb.rcv_nxt);
    // Octets behind the advertised edge may be taken where the buffer has room for them; the part within the window must be.
    // Nothing is held or taken behind the peer's FIN.
    let text_end = tcb.peer_fin.map_or(segment.text_end(), |fin| fin.min(segment.text_end()));
    let mut ends = vec![text_end.min(tcb.rcv_right)];
    if text_end.gt(tcb.rcv_right) && tcb.rcv_room.gt(tcb.rcv_right) {
        ends.push(text_end.min(tcb.rcv_room));
        // A straddling segment may be dropped whole by a stack whose buffer counts memory, not octets.
    }
    let over = text_end.min(tcb.rcv_right + env.overrun);
    if start.lt(tcb.rcv_right) && ends.iter().all(|end| over.gt(*end)) {
        ends.push(over);
    }
    for end in ends {
        if start == tcb.rcv_nxt {
            let reached = segment.is_fin() && end == segment.text_end();
            let fits = reached && fits(tcb, end);
            in_order(tcb, segment, end, fits, decided, out);
            if fits && end.ge(tcb.rcv_right) && !segment.payload.is_empty() {
                // The text fills the advertised window, and the FIN lies behind it: it may be trimmed.
                in_order(tcb, segment, end, false, decided, out);
            }
        } else {
            out_of_order(tcb, segment, start, end, env, out);
        }
    }
    if env.reader != Reader::User && !segment.payload.is_empty() && segment.text_end().gt(tcb.rcv_nxt) {
        // MAY-1: nobody reads any more, and SHLD-3 wants new text to draw a reset, of no stated form: one that answers the segment, or the
        // user's own (3.10.5), which may have taken the text first.
        if env.reader == Reader::Nobody {
            for outcome in &mut out[from..] {
                outcome.departs = outcome.departs.or(Some(rules::HALF_DUPLEX_RST));
            }
        }
        let reset = |form| Outcome::new(rules::HALF_DUPLEX_RST, Conn::Absent, Answer::Reset(form)).by(rules::HALF_DUPLEX);
        out.insert(from, reset(ResetForm::Abort { seq: tcb.snd_nxt, acks: (tcb.rcv_nxt, text_end) }));
        out.insert(from, reset(ResetForm::Bare(segment.ack)));
    }
}

/// Steps six to eight for the segment that establishes a connection: first what was queued beside the peer's SYN is processed.
pub(crate) fn process_queued(mut tcb: Tcb, segment: &Segment, env: &Env, decided: RuleId, out: &mut Vec<Outcome>) {
    let queued = tcb.rcv_nxt;
    tcb.absorb_held();
    let took_fin = take_fin(&mut tcb);
    tcb.rcv_right = tcb.rcv_right.max(tcb.rcv_nxt);
    tcb.rcv_room = tcb.rcv_room.max(tcb.rcv_nxt);
    let from = out.len();
    process(&tcb, segment, env, decided, out);
    if tcb.rcv_nxt == queued {
        return;
    }
    for outcome in &mut out[from..] {
        if matches!(outcome.answer, Answer::Silence | Answer::MayAck | Answer::Ack(Owed::ShouldBeAtOnce(_))) {
            outcome.answer = Answer::Ack(Owed::Delayed);
        }
        if took_fin {
            outcome.signal = Some(Signal::Closing);
            outcome.rule = fin_rule(&tcb, decided);
        }
        if tcb.state == State::TimeWait {
            outcome.time_wait = TimeWaitTimer::Starts;
        }
    }
}

/// Text or FIN after the peer's FIN: ignored. A FIN that repeats the taken one is below the window and does not come here.
fn behind_fin(tcb: &Tcb, segment: &Segment, env: &Env, out: &mut Vec<Outcome>) {
    let rule = if segment.payload.is_empty() { rules::FIN.at(tcb.state) } else { rules::TEXT.at(tcb.state) };
    out.push(Outcome::new(rule, Conn::Open(tcb.clone()), Answer::MayAck));
    if env.reader != Reader::User && !segment.payload.is_empty() {
        out.push(Outcome::new(rule, Conn::Absent, Answer::Reset(ResetForm::Bare(segment.ack))).by(rules::HALF_DUPLEX));
    }
}

/// Seventh and eighth step for a segment that begins at RCV.NXT once trimmed; `end` is the last octet's number plus one, and
/// the FIN is taken with it or not.
fn in_order(tcb: &Tcb, segment: &Segment, end: Seq, with_fin: bool, decided: RuleId, out: &mut Vec<Outcome>) {
    let mut next = tcb.clone();
    let mut filled_gap = false;
    if end.gt(next.rcv_nxt) {
        next.rcv_nxt = end;
        filled_gap = !next.held.is_empty();
        next.absorb_held();
    }
    if with_fin {
        next.note_fin(end);
    }
    let whole = segment.text_start() == tcb.rcv_nxt && end == segment.text_end() && (!segment.is_fin() || with_fin);
    let text_rule = match (segment.payload.is_empty(), whole) {
        (true, _) => decided,
        // "The receiver MUST honor, as in window, any segment that would have been in window for any <ACK> sent by the receiver."
        (false, _) if segment.text_start().ge(tcb.rcv_last) && start_within(tcb, segment) => rules::WINDOW_RETRACTED,
        (false, true) => rules::TEXT.at(tcb.state),
        (false, false) => rules::TRIM,
    };
    let took_fin = take_fin(&mut next);
    let rule = if took_fin { fin_rule(tcb, decided) } else { text_rule };
    let owed = if filled_gap { Owed::DelayedButShouldBeAtOnce(rules::ACK_GAP_FILL_AT_ONCE) } else { Owed::Delayed };
    let moved = next.rcv_nxt != tcb.rcv_nxt;
    let timer = if next.state == State::TimeWait { TimeWaitTimer::Starts } else { TimeWaitTimer::Untouched };
    next.rcv_right = next.rcv_right.max(next.rcv_nxt);
    next.rcv_room = next.rcv_room.max(next.rcv_nxt);
    let answer = if moved { Answer::Ack(owed) } else { Answer::MayAck };
    let outcome = Outcome::new(rule, Conn::Open(next), answer).timing(timer);
    out.push(if took_fin { outcome.telling(Signal::Closing) } else { outcome });
}

/// In-window text that does not begin at RCV.NXT: held (SHLD-31) or dropped, with an ACK allowed (MAY-13) and asked for (RFC 5681).
fn out_of_order(tcb: &Tcb, segment: &Segment, start: Seq, end: Seq, env: &Env, out: &mut Vec<Outcome>) {
    let rule = rules::TEXT_OOO.at(tcb.state);
    let answer = Answer::Ack(Owed::ShouldBeAtOnce(rules::ACK_OOO_AT_ONCE));
    let mut next = tcb.clone();
    let fin_in_window = segment.is_fin() && end == segment.text_end() && fits(tcb, segment.text_end());
    if env.habits.allows(Habit::HoldsOutOfOrder, true) && next.hold(start, end) {
        if fin_in_window {
            next.note_fin(segment.text_end());
            let without_fin = Conn::Open(Tcb { peer_fin: tcb.peer_fin, ..next.clone() });
            out.push(Outcome::new(rule, without_fin, answer).departing(rules::QUEUE_OOO));
        }
        let one_more = next.held.len() > tcb.held.len() && tcb.held.len() == FEW_HELD;
        out.push(Outcome::new(rule, Conn::Open(next), answer).showing(Habit::HoldsOutOfOrder, true));
        if one_more {
            // What a small stack can hold has a narrow bound.
            out.push(Outcome::new(rule, Conn::Open(tcb.clone()), answer).departing(rules::QUEUE_OOO).showing(Habit::HoldsOutOfOrder, true));
        }
    } else if env.habits.get(Habit::HoldsOutOfOrder) == Some(true) {
        // What a stack can hold has a bound.
        out.push(Outcome::new(rule, Conn::Open(tcb.clone()), answer));
    }
    if env.habits.allows(Habit::HoldsOutOfOrder, false) {
        let dropped = Outcome::new(rule, Conn::Open(tcb.clone()), answer).departing(rules::QUEUE_OOO);
        out.push(dropped.showing(Habit::HoldsOutOfOrder, false));
    }
}

/// Ranges after which a small stack may hold no more: smoltcp holds so many. A larger bound shows only at `MAX_HELD`.
const FEW_HELD: usize = 4;

/// Whether text begins within the greatest window that was advertised.
fn start_within(tcb: &Tcb, segment: &Segment) -> bool {
    segment.text_start().lt(tcb.rcv_right)
}

/// Whether a FIN with this number lies in the window. "SYN and FIN outside the window are trimmed"; with room behind the edge it may pass.
fn fits(tcb: &Tcb, fin: Seq) -> bool {
    fin.ge(tcb.rcv_nxt) && (fin.lt(tcb.rcv_right) || fin.lt(tcb.rcv_room))
}

/// Eighth, check the FIN bit: where the peer's FIN stands at RCV.NXT it is taken.
fn take_fin(tcb: &mut Tcb) -> bool {
    if tcb.peer_fin != Some(tcb.rcv_nxt) {
        return false;
    }
    tcb.rcv_nxt += 1;
    tcb.held.clear();
    tcb.state = match tcb.state {
        State::FinWait1 if tcb.fin_acked() => State::TimeWait,
        State::FinWait1 => State::Closing,
        State::FinWait2 => State::TimeWait,
        _ => State::CloseWait,
    };
    true
}

fn fin_rule(tcb: &Tcb, decided: RuleId) -> RuleId {
    match tcb.state {
        State::FinWait1 => rules::FIN_NOT_ACKS_OURS,
        State::FinWait2 if decided == rules::ACK_OF_FIN.at(State::FinWait1) => rules::FIN_ACKS_OURS,
        state => rules::FIN.at(state),
    }
}

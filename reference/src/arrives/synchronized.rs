//! RFC 9293 section 3.10.7.4: SEGMENT ARRIVES in SYN-RECEIVED and the synchronized states, steps one to four.

use crate::arrives::{ack, time_wait, timestamps};
use crate::catalogue::{Level, RuleId};
use crate::relation::{Answer, Env, Habit, Outcome, Owed, ResetForm, Signal, TimeWaitTimer};
use crate::rules;
use crate::segment::Segment;
use crate::seq::Seq;
use crate::state::State;
use crate::tcb::{Conn, OpenedBy, Tcb};

pub(crate) fn arrive(tcb: &Tcb, segment: &Segment, env: &Env, out: &mut Vec<Outcome>) {
    // RFC 7323 section 5.3: "PAWS processing MUST take precedence over the regular TCP acceptability check".
    timestamps::check(tcb, segment, env, out, |out| steps(tcb, segment, env, out));
}

fn steps(tcb: &Tcb, segment: &Segment, env: &Env, out: &mut Vec<Outcome>) {
    let from = out.len();
    let acceptability = check_sequence(tcb, segment);
    if acceptability.may_fail() {
        unacceptable(tcb, segment, env, out);
    }
    if acceptability.may_pass() {
        if segment.is_rst() {
            check_rst(tcb, segment, env, out);
        } else if segment.is_syn() && segment.seq.lt(tcb.rcv_nxt) {
            check_syn_before_window(tcb, segment, env, out);
        } else if segment.is_syn() {
            check_syn(tcb, segment, env, out);
        } else {
            ack::check_ack(tcb, segment, env, out);
        }
    }
    if tcb.state == State::TimeWait && segment.is_syn() && !segment.is_rst() {
        time_wait::syn(tcb, segment, env, from, out);
    }
    if acceptability == Acceptability::Spans {
        for outcome in out[from..].iter_mut().filter(|o| matches!(o.answer, Answer::Ack(Owed::AtOnce(_)))) {
            outcome.permit(rules::SEQ_SPANS_WINDOW);
        }
    }
}

/// What the first step says of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Acceptability {
    Acceptable,
    Unacceptable,
    /// It depends on what the wire does not show: the buffer behind the advertised window.
    Either,
    /// It holds every acceptable octet, but begins and ends outside the window: the text of Table 6 and that on trimming differ.
    Spans,
}

impl Acceptability {
    fn may_pass(self) -> bool {
        self != Acceptability::Unacceptable
    }

    fn may_fail(self) -> bool {
        self != Acceptability::Acceptable
    }
}

/// First, check sequence number (Table 6), for the advertised window and for the widest that the stack can have.
pub(crate) fn check_sequence(tcb: &Tcb, segment: &Segment) -> Acceptability {
    // Octets from RCV.NXT: comparing both ends of a segment modulo 2^32 by themselves misleads where they lie 2^31 apart from an edge.
    let first = i64::from(segment.seq.offset_from(tcb.rcv_nxt));
    let last = first + i64::from(segment.len()) - 1;
    let test = |right: Seq| {
        let window = i64::from(right.since(tcb.rcv_nxt));
        let within = |n: i64| (0..window).contains(&n);
        match (segment.len(), window) {
            (0, 0) => first == 0,
            (0, _) => within(first),
            (_, 0) => false,
            (_, _) => within(first) || within(last),
        }
    };
    // A segment that begins before the window and ends behind it fails both tests although it holds every acceptable octet.
    let advertised = i64::from(tcb.rcv_wnd());
    let spans = first < 0 && last >= advertised && advertised > 0;
    // "If the RCV.WND is zero, … special allowance should be made to accept valid ACKs, URGs, and RSTs."
    let at_zero_window = tcb.rcv_right == tcb.rcv_nxt && segment.seq == tcb.rcv_nxt;
    match (test(tcb.rcv_right), test(tcb.rcv_room)) {
        _ if spans => Acceptability::Spans,
        (true, true) => Acceptability::Acceptable,
        (false, _) if at_zero_window && segment.is_rst() => Acceptability::Acceptable,
        (false, false) => Acceptability::Unacceptable,
        _ => Acceptability::Either,
    }
}

fn unacceptable(tcb: &Tcb, segment: &Segment, env: &Env, out: &mut Vec<Outcome>) {
    let unchanged = || Conn::Open(tcb.clone());
    if segment.is_rst() {
        out.push(Outcome::new(rules::SEQ_UNACCEPTABLE_RST.at(tcb.state), unchanged(), Answer::Silence));
        return;
    }
    if segment.is_syn() {
        // RFC 5961 has the SYN answered "irrespective of the sequence number"; the sequence check asks for the same segment.
        syn_below_window(tcb, segment, out);
    }
    let retransmitted_fin = segment.is_fin() && tcb.fin_taken() && segment.end() == tcb.rcv_nxt;
    let rule = match tcb.state {
        State::TimeWait if retransmitted_fin => rules::TIME_WAIT_FIN_RETRANSMIT,
        state if segment.is_syn() && state != State::SynReceived => rules::SYN.at(state),
        _ if segment.is_syn() && segment.seq == tcb.irs => {
            if segment.is_ack() {
                rules::SYN_RECEIVED_SYN_ACK_SIMULTANEOUS
            } else {
                rules::SYN_RECEIVED_SYN_DUPLICATE
            }
        }
        state => rules::SEQ_UNACCEPTABLE.at(state),
    };
    let timer = if retransmitted_fin && tcb.state == State::TimeWait { TimeWaitTimer::MayRestart } else { TimeWaitTimer::Untouched };
    // "An acknowledgment should be sent in reply"; RFC 5961 section 4 makes it a MUST for a SYN, in stacks that implement it.
    let rfc5961 = segment.is_syn() && tcb.state != State::SynReceived && env.habits.get(Habit::ChallengesSyn) == Some(true);
    let owed = if rfc5961 { Level::Must } else { Level::Should };
    let refused = Outcome::new(rule, unchanged(), Answer::Ack(Owed::AtOnce(owed))).timing(timer);
    // Appendix A.2 lets the acknowledgment in a segment that is otherwise unacceptable be honoured, where its number is old or the right edge's
    // own: none of the conditions that the appendix names brings one from beyond. Of a segment that only a closed window keeps out, 3.10.7.4
    // says that "special allowance should be made".
    if segment.is_ack()
        && !segment.is_syn()
        && segment.seq.le(tcb.rcv_room)
        && let Some(next) = ack::honour(tcb, segment)
    {
        let became_time_wait = next.state == State::TimeWait && tcb.state != State::TimeWait;
        let timer = if became_time_wait { TimeWaitTimer::Starts } else { timer };
        let honoured = if next.state == State::Closed {
            Outcome::new(rule, Conn::Absent, Answer::Silence)
        } else {
            Outcome::new(rule, Conn::Open(next), Answer::Ack(Owed::AtOnce(owed))).timing(timer)
        };
        if tcb.rcv_wnd() == 0 && segment.seq == tcb.rcv_nxt {
            out.push(Outcome { rule: rules::ZERO_WINDOW_EXCEPTIONS, ..honoured });
            out.push(refused.departing(rules::ZERO_WINDOW_EXCEPTIONS));
        } else {
            out.extend([refused, honoured.by(rules::SEQ_CHECK_RELAXED)]);
        }
        return;
    }
    out.push(refused);
}

/// A SYN in SYN-RECEIVED that fails the sequence check: the peer's SYN again, or its SYN-ACK in a simultaneous open.
fn syn_below_window(tcb: &Tcb, segment: &Segment, out: &mut Vec<Outcome>) {
    if tcb.state != State::SynReceived || segment.seq != tcb.irs {
        return;
    }
    if segment.is_ack() {
        // Figure 7: the SYN-ACK of a simultaneous open completes it, although its SEQ is below RCV.NXT.
        if let Some(next) = ack::establish(tcb, segment) {
            out.push(Outcome::new(rules::SYN_RECEIVED_SYN_ACK_SIMULTANEOUS, Conn::Open(next), Answer::MayAck));
        } else {
            let reset = Answer::Reset(ResetForm::Bare(segment.ack));
            out.push(Outcome::new(rules::SYN_RECEIVED_ACK_UNACCEPTABLE, Conn::Open(tcb.clone()), reset));
        }
    } else {
        // Most stacks answer a repeated SYN with their SYN-ACK again.
        out.push(Outcome::new(rules::SYN_RECEIVED_SYN_DUPLICATE, Conn::Open(tcb.clone()), Answer::SynAck));
    }
}

/// Second, check the RST bit.
fn check_rst(tcb: &Tcb, segment: &Segment, env: &Env, out: &mut Vec<Outcome>) {
    let exact = segment.seq == tcb.rcv_nxt;
    let rule = if exact { exact_rst_rule(tcb, segment, env) } else { rules::RST_IN_WINDOW.at(tcb.state) };
    if !exact && env.habits.allows(Habit::ChallengesRst, true) {
        let challenge = Answer::Ack(Owed::AtOnce(Level::Must));
        out.push(Outcome::new(rule, Conn::Open(tcb.clone()), challenge).showing(Habit::ChallengesRst, true));
    }
    if segment.seq.lt(tcb.rcv_nxt) {
        // "Outside the current receive window, silently drop": its number is outside, although its text reaches in.
        out.push(Outcome::new(rule, Conn::Open(tcb.clone()), Answer::Silence));
    }
    if exact || env.habits.allows(Habit::ChallengesRst, false) {
        let reset = Outcome::new(rule, Conn::Absent, Answer::Silence);
        let reset = match (tcb.state, tcb.opened) {
            (State::SynReceived, OpenedBy::Passive) | (State::Closing | State::LastAck | State::TimeWait, _) => reset,
            (State::SynReceived, OpenedBy::Active) => reset.telling(Signal::Refused),
            _ => reset.telling(Signal::Reset),
        };
        let reset = if exact { reset } else { reset.showing(Habit::ChallengesRst, false) };
        if let Some(old) = &tcb.reopened {
            // MAY-2 lets a SYN reopen TIME-WAIT where the stack "returns to TIME-WAIT state if the SYN turns out to be an old duplicate"; the
            // second step, and what is deployed, have it return to LISTEN.
            let way = Some((rules::REOPENED, "returns-to-time-wait"));
            let returned = Outcome { next: Conn::Open(Tcb::clone(old)), way, ..reset.clone() };
            out.push(returned.timing(TimeWaitTimer::MayRestart));
        }
        out.push(reset);
    }
    if tcb.state == State::TimeWait {
        // RFC 1337 fix F1: a RST in TIME-WAIT may be ignored.
        out.push(Outcome::new(rule, Conn::Open(tcb.clone()), Answer::Silence).by(rules::TIME_WAIT_IGNORES_RST));
    }
    timestamps::reset_ignored(&Conn::Open(tcb.clone()), segment, env, out);
}

/// The rule for a RST at RCV.NXT: that of the state, or one that speaks of just such a RST.
fn exact_rst_rule(tcb: &Tcb, segment: &Segment, env: &Env) -> RuleId {
    let acceptable_ack = tcb.snd_una.lt(segment.ack) && segment.ack.le(tcb.snd_nxt);
    if tcb.rcv_wnd() == 0 {
        rules::RST_AT_ZERO_WINDOW
    } else if !segment.payload.is_empty() {
        rules::RST_WITH_DATA
    } else if tcb.state == State::SynReceived && segment.is_ack() && !acceptable_ack {
        rules::SYN_RECEIVED_RST_WITH_ACK
    } else {
        timestamps::reset_rule(segment, env).unwrap_or(rules::RST_EXACT.at(tcb.state))
    }
}

/// A SYN that lies before the window, in a segment whose text reaches into it. 3.10.7.4 has it trimmed ("trimming off any portions that lie
/// outside the window (including SYN and FIN)"), RFC 5961 has it challenged "irrespective of the sequence number". It is not the error that
/// RFC 793 resets for, a SYN in the window: one outside has "an ACK ... sent in the first step".
fn check_syn_before_window(tcb: &Tcb, segment: &Segment, env: &Env, out: &mut Vec<Outcome>) {
    if (tcb.state, tcb.opened) == (State::SynReceived, OpenedBy::Passive) {
        // The fourth step asks here for the SYN bit alone.
        check_syn(tcb, segment, env, out);
        ack::check_ack(tcb, segment, env, out);
        return;
    }
    let opening = tcb.state == State::SynReceived;
    let rule = if opening { rules::SYN_RECEIVED_SYN_ACTIVE } else { rules::SYN.at(tcb.state) };
    let rfc5961 = !opening && env.habits.get(Habit::ChallengesSyn) == Some(true);
    let challenge = Answer::Ack(Owed::AtOnce(if rfc5961 { Level::Must } else { Level::Should }));
    out.push(Outcome::new(rule, Conn::Open(tcb.clone()), challenge));
    if !rfc5961 {
        let from = out.len();
        ack::check_ack(tcb, segment, env, out);
        for outcome in out[from..].iter_mut().filter(|_| !opening) {
            outcome.habit = outcome.habit.or(Some((Habit::ChallengesSyn, false)));
        }
    }
}

/// Fourth, check the SYN bit; the third step, security, has no counterpart in a stack without compartments.
fn check_syn(tcb: &Tcb, segment: &Segment, env: &Env, out: &mut Vec<Outcome>) {
    let unchanged = || Conn::Open(tcb.clone());
    let challenge = Answer::Ack(Owed::AtOnce(Level::Must));
    let reset = Answer::Reset(ResetForm::answering(segment));
    if (tcb.state, tcb.opened) == (State::SynReceived, OpenedBy::Passive) {
        // RFC 9293 returns to LISTEN; a reset (RFC 793), a challenge ACK and the SYN-ACK again are all deployed.
        let rule = rules::SYN_RECEIVED_SYN_PASSIVE;
        out.push(Outcome::new(rule, Conn::Absent, Answer::Silence));
        out.push(Outcome::new(rule, Conn::Absent, reset).one_way("reset"));
        out.push(Outcome::new(rule, unchanged(), challenge).one_way("challenge-ack"));
        out.push(Outcome::new(rule, unchanged(), Answer::SynAck).one_way("syn-ack-again"));
        return;
    }
    // RFC 5961 section 4 speaks of synchronized states; what a stack does in SYN-RECEIVED goes with it, under RFC 9293's own rule.
    let opening = tcb.state == State::SynReceived;
    let rule = if opening { rules::SYN_RECEIVED_SYN_ACTIVE } else { rules::SYN.at(tcb.state) };
    // "If the SYN is in the window it is an error: send a reset" does not say of which form: 3.5.2 gives one for states that are not synchronized,
    // and ABORT (3.10.5) <SEQ=SND.NXT><CTL=RST> for these, which a peer that still has the connection accepts.
    let forms = [ResetForm::answering(segment), ResetForm::Bare(tcb.snd_nxt)];
    let distinct = if forms[0] == forms[1] { 1 } else { 2 };
    let challenges = [(true, Outcome::new(rule, unchanged(), challenge))];
    let resets =
        forms[..distinct].iter().map(|form| (false, Outcome::new(rule, Conn::Absent, Answer::Reset(*form)).telling(Signal::Reset)));
    for (challenges, outcome) in challenges.into_iter().chain(resets).filter(|(c, _)| env.habits.allows(Habit::ChallengesSyn, *c)) {
        let word = if challenges { "challenge-ack" } else { "reset" };
        let outcome = if opening { outcome.one_way(word) } else { outcome };
        out.push(outcome.showing(Habit::ChallengesSyn, challenges));
    }
}

//! Timestamps: what a segment does to TS.Recent, and what the check makes of an old one (RFC 7323 sections 4.3 and 5; RFC 6191).

use super::*;
use crate::relation::{Fresh, Habits, Reader, arrive};
use crate::segment::{Flags, TcpOption};
use crate::tcb::OpenedBy;

/// Ten octets in flight, a window of 100.
fn tcb(state: State) -> Tcb {
    let (rcv_nxt, snd_una) = (Seq(1000), Seq(5000));
    let fin = matches!(state, State::TimeWait);
    Tcb {
        state,
        opened: OpenedBy::Passive,
        iss: if state == State::SynReceived { snd_una } else { Seq(4900) },
        irs: if state == State::SynReceived { rcv_nxt - 1 } else { Seq(900) },
        snd_una,
        snd_nxt: snd_una + if state == State::SynReceived { 1 } else { 10 },
        snd_wnd: 1000,
        snd_wl1: rcv_nxt,
        snd_wl2: snd_una,
        max_snd_wnd: 1000,
        snd_scale: 0,
        rcv_scale: 0,
        snd_mss: 536,
        mss_stated: false,
        rcv_nxt,
        rcv_right: rcv_nxt + 100,
        rcv_last: rcv_nxt + 100,
        rcv_room: rcv_nxt + 100,
        held: Vec::new(),
        peer_fin: fin.then_some(rcv_nxt - 1),
        fin_sent: None,
        closing: false,
        reopened: None,
    }
}

fn env(seen: Option<TimestampsSeen>) -> Env {
    let fresh = Fresh { iss: Seq(9000), window: 100, scale: None };
    Env {
        listening: true,
        reader: Reader::User,
        default_mss: 536,
        fresh,
        habits: Habits::default(),
        seen,
        tsval_sent: None,
        overrun: 0,
        denied: None,
    }
}

fn stamped(segment: Segment, val: u32, ecr: u32) -> Segment {
    segment.with_option(TcpOption::Timestamps { val, ecr })
}

fn text(val: u32) -> Segment {
    stamped(Segment::pure_ack(Seq(1000), Seq(5000)).with_text(b"0123456789"), val, 0)
}

fn outcomes(tcb: Tcb, segment: &Segment, env: &Env) -> Vec<Outcome> {
    let mut out = Vec::new();
    arrive(&Conn::Open(tcb), segment, env, &mut out);
    out
}

fn rules_of(out: &[Outcome]) -> Vec<RuleId> {
    let mut rules: Vec<RuleId> = out.iter().map(|o| o.rule).collect();
    rules.dedup();
    rules
}

#[test]
fn ts_recent_follows_what_is_newer() {
    let seen = TimestampsSeen::first(100);
    let after = |mut seen: TimestampsSeen, val, update, advances| {
        seen.take(&text(val), update, advances);
        (seen.recent, seen.recent_most, seen.highest, seen.in_order)
    };
    assert_eq!(after(seen, 110, Update::Certain, true), (110, 110, 110, 110));
    assert_eq!(after(seen, 110, Update::Certain, false), (110, 110, 110, 100));
    assert_eq!(after(seen, 110, Update::Maybe, false), (100, 110, 110, 100));
    assert_eq!(after(seen, 110, Update::None, false), (100, 100, 110, 100));
    assert_eq!(after(seen, 90, Update::Certain, true), (100, 100, 100, 100));
    // Not valid any more: whatever comes is the newest, and what was certain begins anew.
    let lapsed = TimestampsSeen { lapsed: true, ..seen };
    assert_eq!(after(lapsed, 90, Update::Certain, true), (90, 90, 90, 90));
    assert_eq!(after(lapsed, 90, Update::None, false), (100, 100, 90, 100));
    let mut reset = seen;
    reset.take(&stamped(Segment::rst(Seq(1000)), 200, 0), Update::Certain, true);
    assert_eq!(reset, seen, "a reset changes nothing");
}

#[test]
fn ts_recent_lies_within_its_bounds() {
    let seen = TimestampsSeen { recent: 100, recent_most: 110, ..TimestampsSeen::first(110) };
    assert_eq!([99, 100, 105, 110, 111].map(|val| seen.can_be(val)), [false, true, true, true, false]);
}

/// Section 4.3 (2), of what sections 5.3 and 3.10.7.4 let pass for certain.
#[test]
fn what_may_change_ts_recent() {
    let last_ack = Seq(1000);
    let plain = text(0);
    let of = |state, segment: &Segment| update(&tcb(state), segment, last_ack);
    assert_eq!(of(State::Established, &plain), Update::Certain);
    assert_eq!(of(State::CloseWait, &plain), Update::Certain);
    assert_eq!(of(State::TimeWait, &plain), Update::Maybe);
    // "SEG.SEQ <= Last.ACK.sent"
    assert_eq!(of(State::Established, &Segment { seq: Seq(1001), ..plain.clone() }), Update::None);
    assert_eq!(of(State::Established, &Segment::rst(Seq(1000))), Update::None);
    // Text that is not acceptable, and an ACK that is not.
    assert_eq!(of(State::Established, &Segment { seq: Seq(900), ..plain.clone() }), Update::Maybe);
    assert_eq!(of(State::Established, &Segment { ack: Seq(4999), ..plain.clone() }), Update::Maybe);
    assert_eq!(of(State::Established, &Segment { ack: Seq(5011), ..plain.clone() }), Update::Maybe);
    assert_eq!(of(State::Established, &Segment { flags: Flags::NONE, ..plain.clone() }), Update::Maybe);
    assert_eq!(of(State::Established, &Segment { flags: Flags::SYN | Flags::ACK, ..plain.clone() }), Update::Maybe);
    // The ACK that ends the handshake.
    assert_eq!(of(State::SynReceived, &Segment { ack: Seq(5001), ..plain.clone() }), Update::Certain);
    assert_eq!(of(State::SynReceived, &plain), Update::Maybe);
    assert_eq!(of(State::SynReceived, &Segment { ack: Seq(5002), ..plain.clone() }), Update::Maybe);
    assert_eq!(of(State::SynReceived, &Segment { flags: Flags::SYN | Flags::ACK, ack: Seq(5001), ..plain }), Update::Maybe);
}

/// R1 of section 5.3, where PAWS is used; which stack uses it only shows where nothing else explains what it does.
#[test]
fn an_older_timestamp() {
    let seen = TimestampsSeen::first(1000);
    let ways = |state, val, seen| outcomes(tcb(state), &text(val), &env(Some(seen)));
    let habits = |out: &[Outcome]| {
        let paws = |o: &Outcome| o.habit.filter(|(h, _)| *h == Habit::Paws).map(|(_, value)| value);
        out.iter().map(|o| (o.rule == rules::PAWS, paws(o))).collect::<Vec<_>>()
    };
    // "not newer" is what PAWS refuses, and only that.
    assert_eq!(habits(&ways(State::Established, 1000, seen)), [(false, None)]);
    assert_eq!(habits(&ways(State::Established, 1001, seen)), [(false, None)]);
    assert_eq!(habits(&ways(State::Established, 900, seen)), [(true, Some(true)), (false, Some(false))]);
    // A tick, which a peer's processors may disagree by; SYN-RECEIVED; a TS.Recent of 0; and one that may not stand: nothing is certain.
    assert_eq!(habits(&ways(State::Established, 999, seen)), [(false, None), (true, None)]);
    assert_eq!(
        habits(&outcomes(tcb(State::SynReceived), &Segment { ack: Seq(5001), ..text(900) }, &env(Some(seen)))),
        [(false, None), (true, None)]
    );
    assert_eq!(habits(&ways(State::Established, u32::MAX - 10, TimestampsSeen::first(0))), [(false, None), (true, None)]);
    let open = TimestampsSeen { recent: 800, ..seen };
    assert_eq!(habits(&ways(State::Established, 900, open)), [(false, None), (true, None)]);
    // Where the habit is known, the refusal comes first.
    let known = Env { habits: Habits::default().with(Habit::Paws, true), ..env(Some(seen)) };
    assert_eq!(habits(&outcomes(tcb(State::Established), &text(999), &known)), [(true, None), (false, None)]);
    let known = Env { habits: Habits::default().with(Habit::Paws, true), ..env(Some(open)) };
    assert_eq!(habits(&outcomes(tcb(State::Established), &text(900), &known)), [(false, None), (true, None)]);
    // Section 5.5: what is older only than a TS.Recent that has lapsed is taken.
    let lapsed = TimestampsSeen { lapsed: true, ..seen };
    assert_eq!(rules_of(&ways(State::Established, 900, lapsed)), [rules::PAWS_LAPSES]);
    let newer_again = TimestampsSeen { lapsed: true, in_order: 1100, ..seen };
    assert_eq!(rules_of(&ways(State::Established, 1050, newer_again)), [rules::TEXT.at(State::Established)]);
}

/// "If a non-<RST> segment is received without a TSopt, a TCP SHOULD silently drop the segment."
#[test]
fn a_segment_without_the_option() {
    let bare = Segment::pure_ack(Seq(1000), Seq(5000)).with_text(b"0123456789");
    let out = outcomes(tcb(State::Established), &bare, &env(Some(TimestampsSeen::first(1000))));
    assert_eq!(rules_of(&out), [rules::UNSTAMPED_DROPPED, rules::TEXT.at(State::Established)]);
    assert_eq!(out[0].answer, Answer::Silence);
    assert_eq!(out.iter().map(|o| o.departs).collect::<Vec<_>>(), [None, Some(rules::UNSTAMPED_DROPPED)]);
}

/// "SEG.TSecr MAY be used to provide stricter <RST> acceptance checks"
#[test]
fn the_echo_of_a_reset() {
    let reset = Segment::rst(Seq(1000)).with_ack(Seq(5000));
    let ignores = |segment: &Segment, habits: Habits| {
        let env = Env { tsval_sent: Some(70), habits, ..env(Some(TimestampsSeen::first(1000))) };
        outcomes(tcb(State::Established), segment, &env).iter().map(|o| o.rule == rules::RST_ECHO_CHECKED).collect::<Vec<_>>()
    };
    let known = Habits::default().with(Habit::ChecksResetEcho, true);
    assert_eq!(ignores(&stamped(reset.clone(), 1000, 69), Habits::default()), [false, true]);
    assert_eq!(ignores(&stamped(reset.clone(), 1000, 69), known), [true, false]);
    assert_eq!(ignores(&stamped(reset.clone(), 1000, 70), known), [false]);
    assert_eq!(ignores(&reset, known), [false]);
    // "When the ACK bit is not set, the receiver MUST ignore the value of the TSecr field."
    assert_eq!(ignores(&stamped(Segment::rst(Seq(1000)), 1000, 69), known), [false]);
}

/// RFC 6191 section 2, with `higher` for a number above the last one seen, and whether what honours or drops the SYN stands under its rule.
#[test]
fn a_syn_in_time_wait() {
    let syn = |seq, val: Option<u32>| val.into_iter().fold(Segment::syn(Seq(seq)), |s, val| stamped(s, val, 0));
    let ways =
        |seq, val, seen: Option<TimestampsSeen>, listening| outcomes(tcb(State::TimeWait), &syn(seq, val), &Env { listening, ..env(seen) });
    // The rule by which the SYN is honoured, whether refusing it departs, and whether it may be dropped.
    let verdict = |seq, val, seen| {
        let out = ways(seq, val, seen, true);
        let honoured = out.iter().find(|o| o.permit == Some(rules::REOPENED)).map(|o| (o.rule, o.departs.is_some()));
        let departs = out.iter().any(|o| o.permit != Some(rules::REOPENED) && o.departs.is_some());
        let dropped = out.iter().any(|o| o.answer == Answer::Silence && o.permit == Some(rules::TIME_WAIT_SYN_DROPPED));
        (honoured.unwrap(), departs, dropped)
    };
    let (higher, lower) = (1000, 500);
    let seen = Some(TimestampsSeen::first(100));
    assert_eq!(verdict(lower, Some(101), seen), ((rules::TIME_WAIT_NEWER_TIMESTAMP, false), true, false));
    assert_eq!(verdict(higher, Some(100), seen), ((rules::TIME_WAIT_EQUAL_TIMESTAMP, false), true, false));
    assert_eq!(verdict(lower, Some(100), seen), ((rules::TIME_WAIT_SYN_DROPPED, true), false, true));
    assert_eq!(verdict(higher, Some(99), seen), ((rules::TIME_WAIT_SYN_DROPPED, true), false, true));
    assert_eq!(verdict(higher, None, seen), ((rules::TIME_WAIT_WITHOUT_TIMESTAMP, false), true, false));
    assert_eq!(verdict(lower, None, seen), ((rules::TIME_WAIT_SYN_DROPPED, true), false, true));
    // Which TSval the stack has seen last does not show.
    let some = Some(TimestampsSeen { highest: 110, ..TimestampsSeen::first(100) });
    assert_eq!(verdict(lower, Some(105), some), ((rules::TIME_WAIT_NEWER_TIMESTAMP, false), false, true));
    assert_eq!(verdict(higher, Some(100), some), ((rules::TIME_WAIT_EQUAL_TIMESTAMP, false), false, true));
    assert_eq!(verdict(higher, Some(99), some), ((rules::TIME_WAIT_SYN_DROPPED, true), false, true));
    // Without timestamps before.
    assert_eq!(verdict(higher, Some(5), None), ((rules::TIME_WAIT_FIRST_TIMESTAMP, false), false, false));
    assert_eq!(verdict(lower, Some(5), None), ((rules::TIME_WAIT_FIRST_TIMESTAMP, false), false, true));
    assert_eq!(verdict(higher, None, None), ((rules::TIME_WAIT_FIRST_TIMESTAMP, false), false, false));
    assert_eq!(verdict(lower, None, None), ((rules::TIME_WAIT_SYN_DROPPED, true), false, true));
    // Nobody listens: nothing is there to honour it, and refusing it breaks nothing.
    assert!(ways(lower, Some(101), seen, false).iter().all(|o| o.departs.is_none()));
    // What a SYN says to TIME-WAIT is RFC 6191's to judge, not PAWS's.
    assert!(ways(higher, Some(50), seen, true).iter().all(|o| o.rule != rules::PAWS));
}

/// 24 days (section 5.5).
#[test]
fn ts_recent_lapses() {
    assert_eq!(LAPSES, 24 * 86_400_000_000);
}

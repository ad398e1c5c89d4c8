//! By which rule the relation decides, and what else an outcome says besides what `section_3_10_7` tells of: findings name the rule.

#[path = "section_3_10_7/notation.rs"]
#[allow(dead_code, reason = "the tables of the other test use the rest")]
mod notation;

use std::net::{Ipv4Addr, SocketAddr};

use notation::{BASES, Setup, segment};
use tcp_reference::catalogue::RuleId;
use tcp_reference::relation::{self, Answer, Env, Habit, Habits, Outcome, Reader, ResetForm};
use tcp_reference::rules;
use tcp_reference::segment::{Segment, TcpOption, Tuple};
use tcp_reference::seq::Seq;
use tcp_reference::state::State;
use tcp_reference::tcb::{Conn, OpenedBy, Tcb};

fn outcomes(conn: &Conn, segment: &Segment, env: &Env) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    relation::arrive(conn, segment, env, &mut outcomes);
    outcomes
}

fn of(setup: &Setup, text: &str) -> Vec<Outcome> {
    let b = BASES[0];
    outcomes(&setup.conn(b), &segment(text, b), &setup.env(b))
}

/// Each segment, and the rules that decide about it, each once.
fn check(setup: &Setup, rows: &[(&str, &[RuleId])]) {
    for (text, expected) in rows {
        let mut rules: Vec<RuleId> = of(setup, text).iter().map(|o| o.rule).collect();
        rules.dedup();
        assert_eq!(rules, *expected, "{} < {text}", setup.name);
    }
}

#[test]
fn steps_one_to_four() {
    check(
        &Setup::new(State::SynReceived),
        &[
            (". -10 ack 0", &[rules::SEQ_UNACCEPTABLE.at(State::SynReceived)]),
            ("S -1", &[rules::SYN_RECEIVED_SYN_DUPLICATE]),
            ("S. -1 ack 1", &[rules::SYN_RECEIVED_SYN_ACK_SIMULTANEOUS]),
            ("S 0", &[rules::SYN_RECEIVED_SYN_ACTIVE]),
            // "If the RST bit is set": whatever it acknowledges.
            ("R 0", &[rules::RST_EXACT.at(State::SynReceived)]),
            ("R. 0 ack 1", &[rules::RST_EXACT.at(State::SynReceived)]),
            ("R. 0 ack 0", &[rules::SYN_RECEIVED_RST_WITH_ACK]),
            ("R. 0 ack 2", &[rules::SYN_RECEIVED_RST_WITH_ACK]),
            ("R 0(5)", &[rules::RST_WITH_DATA]),
        ],
    );
    check(&Setup::new(State::SynReceived).passive(), &[("S 0", &[rules::SYN_RECEIVED_SYN_PASSIVE])]);
    check(
        &Setup::new(State::Established),
        &[
            ("S -1", &[rules::SYN.at(State::Established)]),
            ("S 0", &[rules::SYN.at(State::Established)]),
            (". -10 ack 0", &[rules::SEQ_UNACCEPTABLE.at(State::Established)]),
            ("R. 0 ack 0", &[rules::RST_EXACT.at(State::Established)]),
        ],
    );
    check(
        &Setup::new(State::TimeWait),
        &[("F. -1 ack 0", &[rules::TIME_WAIT_FIN_RETRANSMIT]), (". -1 ack 0", &[rules::SEQ_UNACCEPTABLE.at(State::TimeWait)])],
    );
    check(
        &Setup::new(State::Established).window(0),
        &[
            (". 0(1) ack 5", &[rules::ZERO_WINDOW_EXCEPTIONS, rules::SEQ_UNACCEPTABLE.at(State::Established)]),
            ("R 0", &[rules::RST_AT_ZERO_WINDOW]),
        ],
    );
}

/// Table 6 refuses a segment that holds every acceptable octet and more on both sides; the text on trimming takes it. A segment that begins at
/// RCV.NXT, or comes to a closed window, is none of these.
#[test]
fn segments_that_span_the_window() {
    let spans = |setup: &Setup, text: &str| {
        let ways = of(setup, text);
        let refused = ways.iter().any(|o| o.permit == Some(rules::SEQ_SPANS_WINDOW));
        (refused, ways.iter().any(|o| o.rule == rules::TRIM))
    };
    let open = Setup::new(State::Established);
    assert_eq!(spans(&open, ". -1(102) ack 0"), (true, true));
    assert_eq!(spans(&open, ". 0(101) ack 0"), (false, true));
    assert_eq!(spans(&open, ". -1(100) ack 0"), (false, true));
    assert_eq!(spans(&open.clone().window(0), ". -1(5) ack 0"), (false, false));
    let refused = of(&open, ". 100(5) ack 0");
    assert!(refused.iter().all(|o| o.permit != Some(rules::SEQ_SPANS_WINDOW)), "{refused:?}");
}

/// A stack whose buffer counts memory may take text beyond the edge, as far as its profile says, of a segment that begins before it.
#[test]
fn text_beyond_the_window() {
    let b = BASES[0];
    let setup = Setup::new(State::Established);
    let taken = |text, overrun| {
        let ways = outcomes(&setup.conn(b), &segment(text, b), &Env { overrun, ..setup.env(b) });
        ways.iter().filter_map(|o| o.next.tcb()).map(|t| t.rcv_nxt.since(Seq(b.rcv))).max()
    };
    assert_eq!(taken(". 0(110) ack 0", 0), Some(100));
    assert_eq!(taken(". 0(110) ack 0", 4), Some(104));
    assert_eq!(taken(". -1(111) ack 0", 50), Some(110));
    assert_eq!(taken(". 100(10) ack 0", 50), Some(0));
}

#[test]
fn step_five() {
    let open = Setup::new(State::Established);
    check(
        &open,
        &[
            (". 0 ack 0", &[rules::ACK_DUPLICATE]),
            (". 0 ack 5", &[rules::ACK_NEW]),
            (". 0 ack 5 win 500", &[rules::ACK_NEW]),
            (". 0 ack 0 win 500", &[rules::WINDOW_UPDATE]),
        ],
    );
    // "The check here prevents using old segments to update the window."
    check(
        &Setup { wl1: 10, ..open },
        &[
            (". 0 ack 0 win 500", &[rules::WINDOW_STALE]),
            (". 0 ack 5 win 500", &[rules::WINDOW_STALE]),
            (". 0 ack 0", &[rules::ACK_DUPLICATE]),
            (". 0 ack 5", &[rules::ACK_NEW]),
        ],
    );
    check(&Setup { wl1: 10, ..Setup::new(State::CloseWait) }, &[(". 0 ack 0 win 500", &[rules::ACK_DUPLICATE])]);
    check(&Setup::new(State::FinWait2), &[(". 0 ack 0 win 500", &[rules::FIN_WAIT_2_ACK])]);
    check(
        &Setup::new(State::CloseWait),
        &[
            (". 0 ack 5", &[rules::CLOSE_WAIT_ACK]),
            // Sixth step: "Ignore the URG."
            ("U. 0 ack 0 urg 5", &[rules::URG.at(State::CloseWait)]),
            ("U. 0 ack 0 win 500 urg 5", &[rules::URG.at(State::CloseWait)]),
            ("U. 0 ack 5 urg 5", &[rules::CLOSE_WAIT_ACK]),
        ],
    );
    check(&Setup::new(State::TimeWait), &[("U. 0 ack 0 urg 5", &[rules::URG.at(State::TimeWait)]), (". 0 ack 0", &[rules::TIME_WAIT_ACK])]);
}

/// Between MAX.SND.WND and its greatest value nothing shows whether a stack checks the range (RFC 5961 section 5).
#[test]
fn what_shows_whether_the_range_of_the_ack_is_checked() {
    let shown = |text: &str| {
        let mut habits: Vec<_> = of(&Setup::new(State::Established), text).into_iter().map(|o| o.habit).collect();
        habits.dedup();
        habits
    };
    let range = |value| Some((Habit::ChecksAckRange, value));
    assert_eq!(shown(". 0 ack -1000"), [None]);
    assert_eq!(shown(". 0 ack -1001"), [range(true), None]);
    assert_eq!(shown(". 0 ack -65536"), [range(true), range(false)]);
}

#[test]
fn steps_six_to_eight() {
    let open = Setup::new(State::Established);
    check(
        &open,
        &[
            (". 0(10) ack 0", &[rules::TEXT.at(State::Established)]),
            // It fills the window, and leaves no place for a FIN.
            (". 0(100) ack 0", &[rules::TEXT.at(State::Established)]),
            ("F. 0(100) ack 0", &[rules::TRIM]),
            (". 0(101) ack 0", &[rules::TRIM]),
            (". -5(10) ack 0", &[rules::TRIM]),
            ("F. 0 ack 0", &[rules::FIN.at(State::Established)]),
        ],
    );
    check(&Setup::new(State::FinWait1), &[("F. 0 ack 20", &[rules::FIN_ACKS_OURS]), ("F. 0 ack 0", &[rules::FIN_NOT_ACKS_OURS])]);
    check(&Setup::new(State::FinWait2), &[("F. 0 ack 0", &[rules::FIN.at(State::FinWait2)])]);
}

/// "The receiver MUST honor, as in window, any segment that would have been in window for any <ACK> sent by the receiver" (RFC 7323 section 2.4):
/// of what lies behind every edge that was advertised it does not speak.
#[test]
fn text_behind_the_last_edge() {
    let b = BASES[0];
    let setup = Setup::new(State::Established);
    let rule = |last: u32, right: u32| {
        let mut conn = setup.conn(b);
        let tcb = conn.tcb_mut().unwrap();
        (tcb.rcv_last, tcb.rcv_right, tcb.rcv_room) = (tcb.rcv_nxt + last, tcb.rcv_nxt + right, tcb.rcv_nxt + 100);
        let ways = outcomes(&conn, &segment(". 0(10) ack 0", b), &setup.env(b));
        ways.into_iter().map(|o| o.rule).filter(|r| *r != rules::SEQ_UNACCEPTABLE.at(State::Established)).collect::<Vec<_>>()
    };
    assert_eq!(rule(50, 50), [rules::TEXT.at(State::Established)]);
    assert_eq!(rule(0, 50), [rules::WINDOW_RETRACTED]);
    assert!(!rule(0, 0).is_empty() && !rule(0, 0).contains(&rules::WINDOW_RETRACTED), "{:?}", rule(0, 0));
}

/// What a small stack holds has a narrow bound: the range that goes beyond it may be dropped, as a departure; what only widens a range may not.
#[test]
fn the_fifth_range_may_be_dropped() {
    let b = BASES[0];
    let setup = Setup { habits: Habits::default().with(Habit::HoldsOutOfOrder, true), ..Setup::new(State::Established) };
    let mut conn = setup.conn(b);
    let tcb = conn.tcb_mut().unwrap();
    for from in [10, 20, 30, 40] {
        assert!(tcb.hold(tcb.rcv_nxt + from, tcb.rcv_nxt + from + 5));
    }
    let held = |conn: &Conn| conn.tcb().map(|t| t.held.clone());
    let unchanged = |o: &&Outcome| held(&o.next) == held(&conn);
    let dropped = |text| outcomes(&conn, &segment(text, b), &setup.env(b)).iter().filter(unchanged).count();
    assert_eq!(dropped(". 50(5) ack 0"), 1);
    assert_eq!(dropped(". 45(5) ack 0"), 0);
}

/// SHLD-3: where nobody reads any more, new text draws a reset, one that answers the segment or one of the user's own ABORT.
#[test]
fn resets_where_nobody_reads() {
    let b = BASES[0];
    let setup = Setup::new(State::Established);
    let resets = |text| {
        let ways = outcomes(&setup.conn(b), &segment(text, b), &Env { reader: Reader::Nobody, ..setup.env(b) });
        let reset = |o: &Outcome| match o.answer {
            Answer::Reset(ResetForm::Bare(seq)) => Some((seq.since(Seq(b.snd)), None)),
            Answer::Reset(ResetForm::Abort { seq, acks }) => {
                Some((seq.since(Seq(b.snd)), Some((acks.0.since(Seq(b.rcv)), acks.1.since(Seq(b.rcv))))))
            }
            _ => None,
        };
        ways.iter().filter_map(reset).collect::<Vec<_>>()
    };
    // That of ABORT may acknowledge: what came before the text, or the text too.
    assert_eq!(resets(". 0(10) ack 5"), [(5, None), (20, Some((0, 10)))]);
    assert_eq!(resets(". 0(10) ack 20"), [(20, None), (20, Some((0, 10)))]);
}

/// Text beside a SYN is taken and acknowledged with it, left for the peer to send again, or queued until the connection is established.
#[test]
fn text_beside_a_syn() {
    for (state, plain, with_text) in [
        (State::Listen, rules::LISTEN_SYN, rules::LISTEN_SYN_DATA),
        (State::SynSent, rules::SYN_SENT_SYN_ONLY, rules::SYN_SENT_SYN_ONLY_DATA),
    ] {
        let b = BASES[0];
        let taken = |text| {
            let ways = of(&Setup::new(state), text);
            ways.into_iter().map(|o| (o.rule, o.next.tcb().map(|t| (t.rcv_nxt.since(Seq(b.rcv)), t.held.len())))).collect::<Vec<_>>()
        };
        assert_eq!(taken("S 0"), [(plain, Some((1, 0)))], "{state}");
        assert_eq!(taken("S 0(10)"), [(11, 0), (1, 0), (1, 1)].map(|way| (with_text, Some(way))), "{state}");
    }
    // What the SYN advances goes beyond the window that was advertised only where the text does; the window updates count from the stack's own SYN.
    let b = BASES[0];
    let begun = |text: &str| of(&Setup::new(State::Listen).window(5), text)[0].next.tcb().unwrap().clone();
    assert_eq!((begun("S 0").rcv_right, begun("S 0(10)").rcv_right), (Seq(b.rcv) + 6, Seq(b.rcv) + 11));
    assert_eq!(begun("S 0").snd_wl2, Seq(b.snd));
    // SND.NXT stays where a SYN with text of the stack's own has brought it.
    let mut conn = Setup::new(State::SynSent).conn(b);
    let Conn::SynSent(syn_sent) = &mut conn else { panic!("{conn:?}") };
    syn_sent.snd_nxt += 10;
    let crossed = outcomes(&conn, &segment("S 0", b), &Setup::new(State::SynSent).env(b));
    assert_eq!(crossed[0].next.tcb().unwrap().snd_nxt, Seq(b.snd) + 11);
    let opened = |state| of(&Setup::new(state), "S 0")[0].next.tcb().map(|t| t.opened);
    assert_eq!(opened(State::Listen), Some(OpenedBy::Passive));
    assert_eq!(opened(State::SynSent), Some(OpenedBy::Active));
}

/// An MSS of 0 says nothing.
#[test]
fn the_mss_of_a_syn() {
    let b = BASES[0];
    let setup = Setup::new(State::Listen);
    let stated = |mss: Option<u16>| {
        let syn = mss.into_iter().fold(segment("S 0", b), |s, n| s.with_option(TcpOption::Mss(n)));
        let tcb: Tcb = outcomes(&setup.conn(b), &syn, &setup.env(b))[0].next.tcb().unwrap().clone();
        (tcb.snd_mss, tcb.mss_stated)
    };
    assert_eq!(stated(Some(1000)), (1000, true));
    assert_eq!(stated(Some(0)), (536, false));
    assert_eq!(stated(None), (536, false));
}

#[test]
fn addresses_that_are_nobodys() {
    let at = |ip: Ipv4Addr| SocketAddr::new(ip.into(), 80);
    let (own, other) = (at(Ipv4Addr::new(192, 0, 2, 1)), at(Ipv4Addr::new(192, 0, 2, 2)));
    let (many, all) = (at(Ipv4Addr::new(224, 0, 0, 1)), at(Ipv4Addr::BROADCAST));
    let rule = |local, remote, segment: &Segment| relation::not_unicast(&Tuple { local, remote }, segment);
    let (syn, ack) = (Segment::syn(Seq(0)), Segment::pure_ack(Seq(0), Seq(0)));
    assert_eq!(rule(own, other, &syn), None);
    assert_eq!(rule(own, many, &syn), Some(rules::NOT_UNICAST_FROM));
    assert_eq!(rule(all, other, &syn), Some(rules::NOT_UNICAST_TO));
    assert_eq!(rule(own, many, &ack), Some(rules::NOT_UNICAST_ANY));
}

#[test]
fn what_waits_for_its_acknowledgment() {
    let b = BASES[0];
    let waits = |state, n| Setup::new(state).conn(b).is_outstanding(Seq(b.snd) + n);
    assert!(!waits(State::Closed, 0));
    assert_eq!([0, 1].map(|n| waits(State::SynSent, n)), [true, false]);
    assert_eq!([0, 19, 20].map(|n| waits(State::Established, n)), [true, true, false]);
}

#[test]
fn held_text_that_has_become_contiguous() {
    let mut conn = Setup::new(State::Established).conn(BASES[0]);
    let tcb = conn.tcb_mut().unwrap();
    let from = tcb.rcv_nxt;
    assert!(tcb.hold(from + 10, from + 20));
    assert!(!tcb.absorb_held(), "there is a gap");
    tcb.rcv_nxt = from + 10;
    assert!(tcb.absorb_held());
    assert_eq!(tcb.rcv_nxt, from + 20);
}

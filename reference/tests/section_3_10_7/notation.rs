//! The notation of the tables: a connection, a segment and the ways to take it, in numbers relative to RCV.NXT and SND.UNA.
//!
//! A segment reads `FLAGS SEQ(LEN) ack ACK win WINDOW`, SEQ relative to RCV.NXT and ACK to SND.UNA, `-` for no flags. A way reads
//! `ANSWER -> STATE rcv N una N wnd N held A-B fin N tells SIGNAL 2MSL`; what does not change is left out. Answers are
//!
//! | answer | means |
//! | --- | --- |
//! | `-` | silence |
//! | `ack!`, `ack` | `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>` at once, by a MUST or by a "should" |
//! | `ack~` | an ACK of RCV.NXT that may be delayed |
//! | `may-ack` | an ACK of RCV.NXT or nothing |
//! | `R n` | `<SEQ=n><CTL=RST>`, `n` relative to SND.UNA |
//! | `R. n` | `<SEQ=0><ACK=n><CTL=RST,ACK>`, `n` relative to RCV.NXT |
//! | `syn-ack` | `<SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>` |
//!
//! `ack*` in a table stands for `ack` and `ack!`: section 3.10.7.4 says "should", section 3.5.2 says "must".

use std::fmt::Write as _;

use tcp_reference::catalogue::Level;
use tcp_reference::relation::{self, Answer, Env, Fresh, Habits, Outcome, Owed, Reader, ResetForm, Signal, TimeWaitTimer};
use tcp_reference::segment::{FLAG_LETTERS, Flags, Segment};
use tcp_reference::seq::Seq;
use tcp_reference::state::State;
use tcp_reference::tcb::{Conn, OpenedBy, SynSent, Tcb};

/// What the relative numbers count from.
#[derive(Clone, Copy)]
pub(crate) struct Bases {
    pub(crate) rcv: u32,
    pub(crate) snd: u32,
}

/// Numbers in the middle of the circle, at its ends and at the half of it.
pub(crate) const BASES: [Bases; 4] = [
    Bases { rcv: 10_000, snd: 50_000 },
    Bases { rcv: 0, snd: 0xffff_fff8 },
    Bases { rcv: 0xffff_ffd0, snd: 0 },
    Bases { rcv: 0x7fff_ffe0, snd: 0x8000_0000 },
];

/// A connection of the table, before its bases are known.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) name: &'static str,
    pub(crate) state: State,
    pub(crate) opened: OpenedBy,
    /// RCV.WND.
    pub(crate) window: u32,
    /// Octets that the buffer may have room for behind the advertised window.
    pub(crate) room: u32,
    /// Octets of text beside the peer's SYN that are queued.
    pub(crate) queued: u32,
    /// SND.NXT - SND.UNA, the FIN counted.
    pub(crate) flight: u32,
    /// Whether a listener serves the port.
    pub(crate) listening: bool,
    /// SND.WL1 relative to RCV.NXT.
    pub(crate) wl1: i32,
    /// Habits that are known.
    pub(crate) habits: Habits,
}

impl Setup {
    /// A connection in this state with a window of 100 octets: 20 numbers in flight, a FIN of its own the last of them where the state
    /// has one that is not acknowledged.
    pub(crate) fn new(state: State) -> Setup {
        let flight = match state {
            State::Closed | State::Listen | State::FinWait2 | State::TimeWait => 0,
            State::SynSent | State::SynReceived => 1,
            State::Established | State::FinWait1 | State::CloseWait | State::Closing | State::LastAck => 20,
        };
        let listening = matches!(state, State::Listen);
        Setup {
            name: state.name(),
            state,
            opened: OpenedBy::Active,
            window: 100,
            room: 0,
            queued: 0,
            flight,
            listening,
            wl1: 0,
            habits: Habits::default(),
        }
    }

    /// Opened from LISTEN, which is still served.
    pub(crate) fn passive(mut self) -> Setup {
        self.opened = OpenedBy::Passive;
        self.listening = true;
        self.name = if self.state == State::SynReceived { "SYN-RECEIVED (passive)" } else { self.name };
        self
    }

    pub(crate) fn window(mut self, window: u32) -> Setup {
        self.window = window;
        self
    }

    pub(crate) fn env(&self, b: Bases) -> Env {
        Env {
            listening: self.listening,
            seen: None,
            tsval_sent: None,
            overrun: 0,
            denied: None,
            reader: Reader::User,
            default_mss: 536,
            fresh: Fresh { iss: Seq(b.snd), window: self.window, scale: None },
            habits: self.habits,
        }
    }

    pub(crate) fn conn(&self, b: Bases) -> Conn {
        let (rcv_nxt, snd_una) = (Seq(b.rcv), Seq(b.snd));
        let snd_nxt = snd_una + self.flight;
        let fin_sent = match self.state {
            State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck | State::TimeWait => Some(snd_nxt - 1),
            _ => None,
        };
        let peer_fin = matches!(self.state, State::CloseWait | State::Closing | State::LastAck | State::TimeWait).then_some(rcv_nxt - 1);
        match self.state {
            State::Closed | State::Listen => Conn::Absent,
            State::SynSent => Conn::SynSent(SynSent { iss: snd_una, snd_nxt, rcv_wnd: self.window, offered_scale: None }),
            _ => Conn::Open(Tcb {
                state: self.state,
                opened: self.opened,
                iss: if self.state == State::SynReceived { snd_una } else { snd_una - 101 },
                irs: if self.state == State::SynReceived { rcv_nxt - 1 } else { rcv_nxt - 201 },
                snd_una,
                snd_nxt,
                snd_wnd: 1000,
                snd_wl1: rcv_nxt.moved(self.wl1),
                snd_wl2: snd_una,
                max_snd_wnd: 1000,
                snd_scale: 0,
                rcv_scale: 0,
                snd_mss: 536,
                mss_stated: false,
                rcv_nxt,
                rcv_right: rcv_nxt + self.window,
                rcv_last: rcv_nxt + self.window,
                rcv_room: rcv_nxt + self.window + self.room,
                held: if self.queued > 0 { vec![(rcv_nxt, rcv_nxt + self.queued)] } else { Vec::new() },
                peer_fin,
                fin_sent,
                closing: fin_sent.is_some(),
                reopened: None,
            }),
        }
    }
}

/// One row of a table: every way in `text` must be permitted, and nothing but these and the ways in `freedom`.
pub(crate) struct Case<'a> {
    pub(crate) segment: &'a str,
    /// What the text of the section says; `|` parts ways of which at least one must be permitted.
    pub(crate) text: &'a [&'a str],
    /// What a named freedom adds.
    pub(crate) freedom: &'a [&'a str],
}

/// A row.
pub(crate) const fn case<'a>(segment: &'a str, text: &'a [&'a str], freedom: &'a [&'a str]) -> Case<'a> {
    Case { segment, text, freedom }
}

/// Reads a segment of the notation.
pub(crate) fn segment(text: &str, b: Bases) -> Segment {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut flags = Flags::NONE;
    for letter in words[0].chars().filter(|c| *c != '-') {
        flags |= FLAG_LETTERS.iter().find(|(_, l)| *l == letter).unwrap_or_else(|| panic!("{text}: flag {letter}")).0;
    }
    let (seq, len) = words[1].split_once('(').map_or((words[1], 0), |(s, l)| (s, l.trim_end_matches(')').parse().unwrap()));
    let mut segment = Segment::control(Seq(b.rcv).moved(seq.parse().unwrap()), flags).with_window(1000).with_text(&vec![7; len]);
    for pair in words[2..].chunks(2) {
        let n: i32 = pair[1].parse().unwrap();
        match pair[0] {
            "ack" => segment.ack = Seq(b.snd).moved(n),
            "win" => segment.window = u16::try_from(n).unwrap(),
            "urg" => segment.urgent = u16::try_from(n).unwrap(),
            other => panic!("{text}: {other}"),
        }
    }
    segment
}

/// The ways that the relation permits, in the notation, each once.
pub(crate) fn ways(setup: &Setup, text: &str, b: Bases) -> Vec<String> {
    let env = setup.env(b);
    let conn = setup.conn(b);
    let mut outcomes = Vec::new();
    relation::arrive(&conn, &segment(text, b), &env, &mut outcomes);
    let mut ways: Vec<String> = outcomes.iter().map(|o| way(&conn, o, setup.listening, b)).collect();
    ways.sort();
    ways.dedup();
    ways
}

fn way(before: &Conn, o: &Outcome, listening: bool, b: Bases) -> String {
    let rcv = |s: Seq| s.offset_from(Seq(b.rcv));
    let snd = |s: Seq| s.offset_from(Seq(b.snd));
    let mut text = match o.answer {
        Answer::Silence => "-".to_owned(),
        Answer::MayAck => "may-ack".to_owned(),
        Answer::Ack(Owed::AtOnce(Level::Must | Level::Spec)) => "ack!".to_owned(),
        Answer::Ack(Owed::AtOnce(_)) => "ack".to_owned(),
        Answer::Ack(Owed::ShouldBeAtOnce(_)) => "may-ack".to_owned(),
        Answer::Ack(Owed::Delayed | Owed::DelayedButShouldBeAtOnce(_)) => "ack~".to_owned(),
        Answer::Reset(form) => reset(form, &rcv, &snd),
        Answer::MayReset(form) => format!("may {}", reset(form, &rcv, &snd)),
        Answer::SynAck => "syn-ack".to_owned(),
    };
    let (was, is) = (before.state(listening), o.next.state(listening));
    if was != is {
        let _ = write!(text, " -> {is}");
    }
    if let Some(tcb) = o.next.tcb() {
        let old = before.tcb();
        if old.is_none_or(|t| t.rcv_nxt != tcb.rcv_nxt) {
            let _ = write!(text, " rcv {}", rcv(tcb.rcv_nxt));
        }
        let reopened = matches!((was, is), (State::TimeWait, State::SynReceived));
        let old_una = if let Conn::SynSent(s) = before { Some(s.iss) } else { old.map(|t| t.snd_una) };
        if reopened || old_una != Some(tcb.snd_una) {
            let _ = write!(text, " una {}", snd(tcb.snd_una));
        }
        if before == &Conn::Absent || reopened {
            let _ = write!(text, " nxt {}", snd(tcb.snd_nxt));
        } else if let Some(t) = old {
            assert_eq!(t.snd_nxt, tcb.snd_nxt, "an arriving segment does not move SND.NXT");
        }
        // Behind an acknowledged FIN the send window has no meaning.
        if !tcb.fin_acked() && old.is_some_and(|t| t.snd_wnd != tcb.snd_wnd) {
            let _ = write!(text, " wnd {}", tcb.snd_wnd);
        }
        for (from, to) in &tcb.held {
            let _ = write!(text, " held {}-{}", rcv(*from), rcv(*to));
        }
        if let Some(fin) = tcb.peer_fin.filter(|fin| fin.ge(tcb.rcv_nxt)) {
            let _ = write!(text, " fin {}", rcv(fin));
        }
    }
    if let Some(signal) = o.signal {
        text += match signal {
            Signal::Refused => " tells refused",
            Signal::Reset => " tells reset",
            Signal::Closing => " tells closing",
        };
    }
    text += match o.time_wait {
        TimeWaitTimer::Untouched => "",
        TimeWaitTimer::Starts => " 2MSL",
        TimeWaitTimer::MayRestart => " 2MSL?",
    };
    if o.departs.is_some() {
        text += " departs";
    }
    text
}

fn reset(form: ResetForm, rcv: &dyn Fn(Seq) -> i32, snd: &dyn Fn(Seq) -> i32) -> String {
    match form {
        ResetForm::Bare(seq) => format!("R {}", snd(seq)),
        ResetForm::WithAck(ack) => format!("R. {}", rcv(ack)),
        ResetForm::Abort { seq, acks } => format!("R {} or R. to {}", snd(seq), rcv(acks.1)),
    }
}

fn same(pattern: &str, way: &str) -> bool {
    let matches =
        |p: &str| p == way || p.strip_prefix("ack*").is_some_and(|rest| ["ack", "ack!"].iter().any(|a| way == format!("{a}{rest}")));
    pattern.split('|').any(|p| matches(p.trim()))
}

/// Compares a table with the relation at all bases; panics with every row that differs.
pub(crate) fn check(setup: &Setup, cases: &[Case<'_>]) {
    let mut failures = String::new();
    for c in cases {
        for (i, &b) in BASES.iter().enumerate() {
            let ways = ways(setup, c.segment, b);
            let missing: Vec<_> = c.text.iter().filter(|p| !ways.iter().any(|w| same(p, w))).collect();
            let beyond: Vec<_> = ways.iter().filter(|w| !c.text.iter().chain(c.freedom).any(|p| same(p, w))).collect();
            if !missing.is_empty() || !beyond.is_empty() || ways.is_empty() {
                let _ = writeln!(failures, "{} RCV.WND={} < {}\n   permitted {ways:?}", setup.name, setup.window, c.segment);
                let _ = writeln!(failures, "   missing {missing:?} beyond the text {beyond:?} (bases {i})");
                break;
            }
        }
    }
    assert!(failures.is_empty(), "the relation differs from the text:\n{failures}");
}

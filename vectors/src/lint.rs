//! What is wrong with a vector that parses.

use std::collections::BTreeSet;
use std::fmt;

use tcp_reference::catalogue::{self, Level, Rule};
use tcp_reference::segment::{Flags, TcpOption};

use crate::model::{Base, CallStep, Header, Num, Payload, Returned, SegmentSpec, StepKind, Vector, VectorCall};

/// One thing that is wrong with a vector.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lint {
    /// What is wrong.
    pub kind: LintKind,
    /// The line it is about; 0 for the header.
    pub line: u32,
}

/// What is wrong with a vector.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LintKind {
    /// The header has no title.
    NoTitle,
    /// The header names no rule.
    NoRules,
    /// This rule is not in the catalogue.
    UnknownRule(String),
    /// This rule stands twice.
    RepeatedRule(String),
    /// The header has no level.
    NoLevel,
    /// The level is not that of the strongest rule, which is this.
    WrongLevel(&'static str),
    /// The first step is neither the first call nor a segment to the stack.
    FirstStep,
    /// This socket has no name yet.
    UnknownSocket(u8),
    /// Two sockets have this name.
    RepeatedSocket(u8),
    /// This call's or option's need is not in the header's `needs`.
    MissingNeed(&'static str),
    /// Nothing shows that the stack still lives: a dead stack is silent too. Only a warning.
    SilentEnd,
}

impl LintKind {
    /// Whether it is only a warning.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        match self {
            LintKind::SilentEnd => true,
            LintKind::NoTitle
            | LintKind::NoRules
            | LintKind::UnknownRule(_)
            | LintKind::RepeatedRule(_)
            | LintKind::NoLevel
            | LintKind::WrongLevel(_)
            | LintKind::FirstStep
            | LintKind::UnknownSocket(_)
            | LintKind::RepeatedSocket(_)
            | LintKind::MissingNeed(_) => false,
        }
    }
}

impl LintKind {
    /// Whether it is about what the tree asks of its own vectors; one from elsewhere, as a packetdrill script, can be run without.
    #[must_use]
    pub fn is_about_the_tree(&self) -> bool {
        match self {
            LintKind::NoTitle
            | LintKind::NoRules
            | LintKind::RepeatedRule(_)
            | LintKind::NoLevel
            | LintKind::WrongLevel(_)
            | LintKind::FirstStep
            | LintKind::MissingNeed(_)
            | LintKind::SilentEnd => true,
            LintKind::UnknownRule(_) | LintKind::UnknownSocket(_) | LintKind::RepeatedSocket(_) => false,
        }
    }
}

impl fmt::Display for LintKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LintKind::NoTitle => f.write_str("the header has no `title`"),
            LintKind::NoRules => f.write_str("the header names no `rules`"),
            LintKind::UnknownRule(rule) => write!(f, "`{rule}` is not in the catalogue; `harness explain` finds what is near"),
            LintKind::RepeatedRule(rule) => write!(f, "`{rule}` stands twice"),
            LintKind::NoLevel => f.write_str("the header has no `level`"),
            LintKind::WrongLevel(level) => write!(f, "the level of the strongest rule is `{level}`"),
            LintKind::FirstStep => f.write_str("the first step is neither `socket` nor a segment to the stack"),
            LintKind::UnknownSocket(s) => write!(f, "no call before gave the name {s}"),
            LintKind::RepeatedSocket(s) => write!(f, "{s} is the name of another socket"),
            LintKind::MissingNeed(need) => write!(f, "`needs` lacks `{need}`"),
            LintKind::SilentEnd => f.write_str("warning: after the last segment nothing shows that the stack still lives"),
        }
    }
}

/// Everything that is wrong with a vector.
#[must_use]
pub fn vector(vector: &Vector) -> Vec<Lint> {
    let mut lints: Vec<Lint> = header(&vector.header).into_iter().map(|kind| Lint { kind, line: 0 }).collect();
    steps(vector, &mut lints);
    lints
}

fn header(header: &Header) -> Vec<LintKind> {
    let mut lints = Vec::new();
    if header.title.is_empty() {
        lints.push(LintKind::NoTitle);
    }
    if header.rules.is_empty() {
        lints.push(LintKind::NoRules);
    }
    let mut seen = BTreeSet::new();
    for rule in &header.rules {
        if catalogue::rule(rule).is_none() {
            lints.push(LintKind::UnknownRule(rule.clone()));
        }
        if !seen.insert(rule) {
            lints.push(LintKind::RepeatedRule(rule.clone()));
        }
    }
    let strongest = level(header.rules.iter().filter_map(|r| catalogue::rule(r)));
    if header.level.is_empty() {
        lints.push(LintKind::NoLevel);
    } else if !header.rules.is_empty() && header.level != strongest {
        lints.push(LintKind::WrongLevel(strongest));
    }
    lints
}

/// The header's word for the strongest of these rules. A rule without a keyword binds as a MUST does; what only explains binds to nothing.
#[must_use]
pub fn level<'a>(rules: impl Iterator<Item = &'a Rule>) -> &'static str {
    match rules.map(|r| r.level).min() {
        Some(Level::Must | Level::Spec) => "must",
        Some(Level::Should) => "should",
        Some(Level::May | Level::Explains) | None => "may",
    }
}

fn steps(vector: &Vector, lints: &mut Vec<Lint>) {
    let mut sockets: BTreeSet<u8> = BTreeSet::new();
    let (mut proven, mut answered) = (true, false);
    let mut last = 0;
    let mut sent = 0;
    if !matches!(
        vector.steps.first().map(|s| &s.kind),
        Some(StepKind::Inject(_) | StepKind::Call(CallStep { call: VectorCall::Socket, .. }))
    ) {
        lints.push(Lint { kind: LintKind::FirstStep, line: vector.steps.first().map_or(0, |s| s.line) });
    }
    for step in &vector.steps {
        match &step.kind {
            // What comes after a RST asks whether the connection is gone.
            StepKind::Inject(spec) if spec.flags.has(Flags::RST) => answered = true,
            StepKind::Inject(spec) => {
                // A bare ACK right after an answer ends an exchange; it does not prove silence.
                let ends = answered && spec.flags.without(Flags::PSH) == Flags::ACK && spec.payload.is_empty();
                proven = ends || is_probe(spec, sent);
                (answered, last) = (false, step.line);
                sent = sent.max(end(spec));
            }
            StepKind::Icmp(_) => (proven, answered, last) = (false, false, step.line),
            StepKind::Expect(_) | StepKind::AssertState(_) => (proven, answered) = (true, true),
            StepKind::Wait => {}
            StepKind::Call(call) => {
                (proven, answered) = (proven || call.result.is_some(), true);
                for kind in names(call, &mut sockets) {
                    lints.push(Lint { kind, line: step.line });
                }
                if let Some(need) = need(&call.call).filter(|n| !vector.header.needs.iter().any(|have| have == n)) {
                    let lint = Lint { kind: LintKind::MissingNeed(need), line: step.line };
                    if !lints.iter().any(|l| l.kind == lint.kind) {
                        lints.push(lint);
                    }
                }
            }
        }
    }
    if !proven {
        lints.push(Lint { kind: LintKind::SilentEnd, line: last });
    }
}

/// Whether a living stack answers this segment, after one that ended at `sent`.
fn is_probe(spec: &SegmentSpec, sent: i32) -> bool {
    let old = match spec.seq {
        Num { base: Base::RcvNxt | Base::PeerNxt, offset } => offset < 0,
        Num { base: Base::RcvRight, offset } => offset >= 0,
        Num { base: Base::Irs, offset } => offset < sent,
        Num { base: Base::Zero | Base::Iss | Base::SndUna | Base::SndNxt, .. } => false,
    };
    spec.oddity.is_none() && (old || !spec.payload.is_empty() || spec.flags.any(Flags::SYN | Flags::FIN))
}

/// The number after the segment's last, counted from the peer's ISN; 0 where that cannot be told.
fn end(spec: &SegmentSpec) -> i32 {
    let control = i32::from(spec.flags.has(Flags::SYN)) + i32::from(spec.flags.has(Flags::FIN));
    let text = i32::try_from(spec.payload.len()).unwrap_or(0);
    if spec.seq.base == Base::Irs && spec.oddity.is_none() { spec.seq.offset.saturating_add(text + control) } else { 0 }
}

/// Keeps the names that calls give, and finds those that no call gave.
fn names(step: &CallStep, sockets: &mut BTreeSet<u8>) -> Vec<LintKind> {
    let gives = matches!(step.call, VectorCall::Socket | VectorCall::Accept(_));
    let mut lints = Vec::new();
    if let Some(socket) = step.call.socket().filter(|s| !sockets.contains(s)) {
        lints.push(LintKind::UnknownSocket(socket));
    }
    if gives {
        let name = match step.result {
            Some(Returned::Value(n)) => u8::try_from(n).ok(),
            Some(Returned::Error(_)) => None,
            None => (3..=u8::MAX).find(|n| !sockets.contains(n)),
        };
        if let Some(name) = name.filter(|n| !sockets.insert(*n)) {
            lints.push(LintKind::RepeatedSocket(name));
        }
    }
    lints
}

/// The word that `needs` must hold for this call.
fn need(call: &VectorCall) -> Option<&'static str> {
    match call {
        VectorCall::Listen(..) => Some("listen"),
        VectorCall::Accept(_) => Some("accept"),
        VectorCall::Connect(_) => Some("connect"),
        VectorCall::Shutdown(..) => Some("shutdown"),
        VectorCall::SendUrgent(..) => Some("urgent"),
        VectorCall::LingerZero(_) => Some("linger"),
        VectorCall::Set(..) => Some("set"),
        VectorCall::Socket
        | VectorCall::Bind(_)
        | VectorCall::Write(..)
        | VectorCall::Read(..)
        | VectorCall::Close(_)
        | VectorCall::Ignored(_) => None,
    }
}

/// Why packetdrill cannot run a vector as it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum NotPacketdrill {
    /// An expression in braces: `harness show ID --target T` fills it in.
    Expression,
    /// An extension in brackets.
    Extension,
    /// A step that only waits.
    Wait,
    /// More than one flow, which packetdrill writes otherwise.
    Flows,
    /// `set`, or an option in octets.
    Option,
    /// Text that is given, where packetdrill sends zeros.
    Text,
    /// A number or the state is left free, where packetdrill wants one.
    Free,
    /// A segment to a port without a socket: packetdrill sends to a socket of its script.
    NoSocket,
}

impl fmt::Display for NotPacketdrill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotPacketdrill::Expression => "an expression in braces",
            NotPacketdrill::Extension => "an extension in brackets",
            NotPacketdrill::Wait => "a step that only waits",
            NotPacketdrill::Flows => "several flows",
            NotPacketdrill::Option => "`set`, `opt` or `raw`",
            NotPacketdrill::Text => "text that is given",
            NotPacketdrill::Free => "a free number",
            NotPacketdrill::NoSocket => "no socket",
        })
    }
}

/// Why packetdrill cannot run this vector as it is; empty where it can.
#[must_use]
pub fn packetdrill(vector: &Vector) -> Vec<NotPacketdrill> {
    let mut why = BTreeSet::new();
    let options = |list: &[TcpOption]| list.iter().any(|o| matches!(o, TcpOption::Other { .. } | TcpOption::IllFormed(_)));
    let plain = |n: Num, base: Base| n.base == base && n.offset >= 0;
    let mut sockets = false;
    for step in &vector.steps {
        let mut note = |holds: bool, reason: NotPacketdrill| {
            if holds {
                why.insert(reason);
            }
        };
        match &step.kind {
            StepKind::Inject(s) => {
                note(!plain(s.seq, Base::Irs) || s.ack.is_some_and(|a| !plain(a, Base::Iss)), NotPacketdrill::Expression);
                note(s.oddity.is_some() || s.joined || matches!(s.payload, Payload::Other(_)), NotPacketdrill::Extension);
                note(matches!(s.payload, Payload::Text(_)), NotPacketdrill::Text);
                note(s.flow != 0, NotPacketdrill::Flows);
                note(options(&s.options), NotPacketdrill::Option);
                note(!sockets, NotPacketdrill::NoSocket);
            }
            StepKind::Icmp(s) => {
                note(!plain(s.seq, Base::Iss), NotPacketdrill::Expression);
                note(s.flow != 0, NotPacketdrill::Flows);
                note(!sockets, NotPacketdrill::NoSocket);
            }
            StepKind::Expect(s) => {
                let free = s.seq.is_none() || s.len.is_none() || (s.ack.is_none() && s.flags.has(Flags::ACK));
                note(free, NotPacketdrill::Free);
                let expression = s.seq.is_some_and(|n| !plain(n, Base::Iss)) || s.ack.is_some_and(|a| !plain(a, Base::Irs));
                note(expression, NotPacketdrill::Expression);
                note(s.flow != 0, NotPacketdrill::Flows);
                note(s.options.as_deref().is_some_and(options), NotPacketdrill::Option);
            }
            StepKind::Call(c) => {
                sockets = true;
                note(crate::print::step(step).contains(" set("), NotPacketdrill::Option);
                note(matches!(c.call, VectorCall::Write(_, Payload::Text(_))), NotPacketdrill::Text);
                note(c.result.is_none() && !matches!(c.call, VectorCall::Connect(_)), NotPacketdrill::Free);
            }
            StepKind::AssertState(_) => {}
            StepKind::Wait => note(true, NotPacketdrill::Wait),
        }
    }
    why.into_iter().collect()
}

//! Findings in words: what was seen, and what would have been allowed.

use crate::api::{Call, CallResult};
use crate::catalogue::{Level, RuleId};
use crate::finding::{Class, Finding};
use crate::ip::Codepoint;
use crate::oracle::connection::{Context, Entry};
use crate::oracle::hypothesis::{Blame, Ended, Hypothesis, ResetDue};
use crate::profile::Profile;
use crate::relation::{ResetForm, Signal};
use crate::segment::{Segment, Tuple};
use crate::seq::Seq;
use crate::tcb::Conn;
use crate::trace::{Arrival, Event, What};

/// The finding for an assumed fault; `before` are the permitted explanations just before it showed.
pub(crate) fn finding(tuple: Tuple, blame: &Blame, before: &[Hypothesis], entry: Entry, context: &Context<'_>) -> Finding {
    let event = &context.trace.events[entry.event];
    let level = blame.rule.entry().map_or(blame.level, |r| if r.level == Level::Explains { blame.level } else { r.level });
    // A rule of section 3.10 whose wording is "should" is a SHOULD; a MAY or a SHOULD whose other branch is binding is judged by that.
    let level = match (level, blame.level) {
        (_, Level::Should) => Level::Should,
        (Level::May | Level::Should | Level::Explains, Level::Spec | Level::Must) => blame.level,
        (level, _) => level,
    };
    let mut unique: Vec<String> = Vec::new();
    for line in before.iter().flat_map(|h| allowed_at(event, h, context.profile)) {
        // Where silence is the fault, what a silent explanation allowed is of no use.
        let useless = blame.kind == "silence" && line.starts_with("silence");
        if !useless && !unique.contains(&line) {
            unique.push(line);
        }
    }
    if unique.is_empty() {
        unique.push(asked(blame.rule));
    }
    Finding {
        rule: blame.rule,
        suspects: Vec::new(),
        class: Class::of(level),
        state: blame.state,
        tuple: Some(tuple),
        event: entry.event,
        cause: blame.cause.or((blame.event != entry.event).then_some(blame.event)).filter(|&c| c != usize::MAX),
        at: event.at,
        kind: blame.kind,
        seen: if blame.kind == "silence" { "nothing was sent".to_owned() } else { seen(event, before.first()) },
        allowed: unique,
    }
}

/// What an event showed.
pub(crate) fn seen(event: &Event, h: Option<&Hypothesis>) -> String {
    match &event.what {
        What::Emit { segment, .. } => format!("the stack sent {}", relative(segment, h)),
        What::Quiet | What::Stall => "nothing was sent".to_owned(),
        What::Call { call: Call::State { .. }, result: CallResult::State(state) } => format!("the state was {state}"),
        What::Call { call: Call::Recv { .. }, result } => match result {
            CallResult::Data(d) => format!("the user read {} octets", d.len()),
            CallResult::Eof => "the user read the end of the stream".to_owned(),
            CallResult::Error(e) => format!("the user's read failed: {e}"),
            other => format!("the user's read returned {other:?}"),
        },
        What::Call { call, result } => format!("{call:?} returned {result:?}"),
        What::Arrive { arrival: Arrival::Icmp(_), .. } => "an ICMP error arrived".to_owned(),
        What::Arrive { .. } => "a segment arrived".to_owned(),
    }
}

fn relative(segment: &Segment, h: Option<&Hypothesis>) -> String {
    let (iss, irs) = bases(h);
    let mut text = format!("<SEQ={}>", name(segment.seq, iss, "ISS"));
    if segment.is_ack() {
        text += &format!("<ACK={}>", name(segment.ack, irs, "IRS"));
    }
    text += &format!("<CTL={}>", segment.flags);
    if segment.ip.ecn() != Codepoint::NotEct {
        text += &format!("[{}]", segment.ip.ecn().name());
    }
    if !segment.payload.is_empty() {
        text += &format!(" with {} octets of text", segment.payload.len());
    }
    text
}

fn bases(h: Option<&Hypothesis>) -> (Option<Seq>, Option<Seq>) {
    match h.map(|h| &h.conn) {
        Some(Conn::Open(t)) => (Some(t.iss), Some(t.irs)),
        Some(Conn::SynSent(c)) => (Some(c.iss), None),
        Some(Conn::Absent) | None => (None, None),
    }
}

fn name(seq: Seq, base: Option<Seq>, word: &str) -> String {
    let near = base.map(|b| seq.offset_from(b)).filter(|d| d.unsigned_abs() < 1 << 24);
    match near {
        Some(0) => word.to_owned(),
        Some(d) => format!("{word}{d:+}"),
        None => seq.to_string(),
    }
}

/// What a rule asks for, in the catalogue's words.
pub(crate) fn asked(rule: RuleId) -> String {
    rule.entry().map_or_else(|| format!("what {rule} asks for"), |r| format!("what {rule} asks for: {}", r.paraphrase))
}

/// What one explanation would have allowed at this event: what the user is told where the user asked, else what is sent.
fn allowed_at(event: &Event, h: &Hypothesis, profile: &Profile) -> Vec<String> {
    match &event.what {
        What::Call { call: Call::State { .. }, .. } => vec![format!("the state {}", h.conn.state(false))],
        What::Call { call: Call::Recv { .. }, .. } => vec![readable(h)],
        What::Call { .. } | What::Emit { .. } | What::Arrive { .. } | What::Quiet | What::Stall => allowed(h, profile),
    }
}

/// What the user can read.
fn readable(h: &Hypothesis) -> String {
    let unread = h.user.readable.saturating_sub(h.user.read);
    match h.user.ended {
        Some(Ended::By(Signal::Reset)) => "the error reset".to_owned(),
        Some(Ended::By(Signal::Refused)) => "the error refused".to_owned(),
        Some(Ended::TimedOut) => "the error timed-out".to_owned(),
        _ if unread > 0 => format!("at most {unread} octets"),
        _ if h.user.eof => "the end of the stream".to_owned(),
        Some(Ended::By(Signal::Closing) | Ended::Normally | Ended::Aborted) => "the end of the stream, or an error".to_owned(),
        None => "nothing yet: the error would-block".to_owned(),
    }
}

/// What one explanation would have allowed, a line each.
fn allowed(h: &Hypothesis, profile: &Profile) -> Vec<String> {
    let (iss, irs) = bases(Some(h));
    let mut lines = Vec::new();
    for (reset, due) in &h.dues.resets {
        let form = match reset {
            ResetDue::Form(ResetForm::Bare(seq) | ResetForm::Abort { seq, .. }, _) => format!("<SEQ={}><CTL=RST>", name(*seq, iss, "ISS")),
            ResetDue::Form(ResetForm::WithAck(ack), _) => format!("<SEQ=0><ACK={}><CTL=RST,ACK>", name(*ack, irs, "IRS")),
            ResetDue::Abort { high: seq, .. } => format!("<SEQ={}><CTL=RST>", name(*seq, iss, "ISS")),
        };
        lines.push(format!("{form} by {}", due.rule));
    }
    if let Some(due) = h.dues.syn {
        let form = match &h.conn {
            Conn::Open(t) => format!("<SEQ=ISS><ACK={}><CTL=SYN,ACK>", name(t.rcv_nxt, irs, "IRS")),
            Conn::Absent | Conn::SynSent(_) => "<SEQ=ISS><CTL=SYN>".to_owned(),
        };
        lines.push(format!("{form} by {}", due.rule));
    }
    if let Conn::Open(t) = &h.conn {
        let ack = format!("<SEQ={}><ACK={}><CTL=ACK>", name(t.snd_nxt, iss, "ISS"), name(t.rcv_nxt, irs, "IRS"));
        if let Some(due) = h.ack_owed().or(h.dues.ack_soon) {
            lines.push(format!("{ack}, or a segment that carries it, by {}", due.rule));
        } else if h.credits > 0 {
            lines.push(format!("{ack}, once"));
        }
    }
    if let Some(due) = h.own_accord(profile) {
        lines.push(format!("what {} asks for, by {:.3} s", due.rule, seconds(due.deadline)));
    }
    if lines.is_empty() {
        lines.push(format!("silence ({})", h.last.rule));
    }
    lines
}

#[expect(clippy::cast_precision_loss, reason = "a time for people to read")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

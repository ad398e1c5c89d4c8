//! Assertions: what the stack must have sent.

use tcp_reference::api::Micros;
use tcp_reference::catalogue::RuleId;
use tcp_reference::finding::{Class, Finding};
use tcp_reference::rules;
use tcp_reference::segment::{Flags, Segment};
use tcp_reference::state::State;
use tcp_vectors::model::{ExpectSpec, Num, Step};

use super::Stop;
use super::drive::{Seen, Session};
use super::view::View;

/// What the untaken segments of a flow hold.
enum Found {
    /// The one that was asked for, by its place among them.
    Match(usize),
    /// Another one that no MAY explains.
    Mismatch(usize),
    /// Nothing that counts.
    Nothing,
}

impl Session<'_> {
    /// Waits for the segment that a `>` line describes.
    pub(super) fn expect(&mut self, step: &Step, spec: &ExpectSpec) -> Result<(), Stop> {
        let from = self.now;
        let earliest = from + step.after - (step.after / 10).min(TOLERANCE);
        let until = from + step.until.unwrap_or(step.after + PATIENCE);
        let flow = self.flow(spec.flow);
        self.called = self.called.filter(|_| step.after == 0);
        self.drain()?;
        loop {
            match self.search(spec, earliest, step.after > 0) {
                Found::Match(i) => {
                    let before = self.unmatched[i].before.clone();
                    self.keep_view(step.line, spec.flow, &before);
                    self.take(i, spec.flow);
                    return Ok(());
                }
                Found::Mismatch(i) => {
                    let seen = &self.unmatched[i];
                    let (event, text) = (seen.event, relative(&seen.segment, &seen.before));
                    let early = self.trace.events[event].at < earliest && matches(spec, seen);
                    let wanted = wanted(spec, &seen.before);
                    let allowed = if early { format!("{wanted}, not before {:.3} s", seconds(earliest)) } else { wanted };
                    self.take(i, spec.flow);
                    self.fail(event, Some(self.last_stimulus), EXPECTATION, (format!("the stack sent {text}"), allowed), &[]);
                    return Ok(());
                }
                Found::Nothing if self.now >= until => {
                    let event = self.trace.events.len().saturating_sub(1);
                    let owed = self.oracle.owed();
                    self.hear_the_oracle(until)?;
                    let wanted = wanted(spec, &self.flows[flow].view);
                    let allowed = format!("{wanted}, by {:.3} s", seconds(until));
                    self.fail(event, Some(self.last_stimulus), EXPECTATION, ("nothing was sent".to_owned(), allowed), &owed);
                    return Ok(());
                }
                Found::Nothing => self.advance_towards(until)?,
            }
        }
    }

    /// Nothing came by `until`. Where the oracle has something owed a little later, it says better than the assertion what is missing.
    fn hear_the_oracle(&mut self, until: Micros) -> Result<(), Stop> {
        let Some(owed) = self.oracle.next_deadline().filter(|&owed| owed >= self.now && owed < until + SOON) else { return Ok(()) };
        while self.now <= owed && self.oracle.next_deadline() == Some(owed) {
            self.advance_towards(owed + 1)?;
        }
        Ok(())
    }

    /// Looks through the untaken segments. What came before the last stimulus and was not asked for is the oracle's to judge.
    fn search(&self, spec: &ExpectSpec, earliest: Micros, delayed: bool) -> Found {
        let mut stale_match = None;
        for (i, seen) in self.unmatched.iter().enumerate().filter(|(_, s)| s.flow == spec.flow) {
            let in_time = !delayed || self.trace.events[seen.event].at >= earliest;
            let optional = self.oracle.licence(seen.event).is_some_and(|l| !l.demanded);
            let fits = matches(spec, seen) && in_time;
            if seen.event < self.last_stimulus {
                stale_match = stale_match.or(fits.then_some(i));
            } else if fits {
                return Found::Match(i);
            } else if !optional {
                return stale_match.map_or(Found::Mismatch(i), Found::Match);
            }
        }
        stale_match.map_or(Found::Nothing, Found::Match)
    }

    /// Takes the segment at this place, and with it those of its flow that came before.
    fn take(&mut self, place: usize, flow: u8) {
        let mut i = 0;
        self.unmatched.retain(|seen| {
            i += 1;
            i > place + 1 || seen.flow != flow
        });
    }

    /// The state of the first flow's connection, as the oracle understands it.
    pub(super) fn state(&self) -> State {
        let tuple = self.flows.first().map(|f| f.tuple);
        tuple.and_then(|t| self.oracle.states(&t).first().copied()).unwrap_or(State::Closed)
    }

    /// Notes that an assertion failed: what was `seen`, what was `allowed`, and the rules of what the oracle had as `owed`.
    pub(super) fn fail(
        &mut self,
        event: usize,
        cause: Option<usize>,
        kind: &'static str,
        (seen, allowed): (String, String),
        owed: &[RuleId],
    ) {
        let Some(&[rule, ref others @ ..]) = self.rules.as_deref() else { return };
        // That a call fails is no fault of what a segment does that arrived before; what is read or leaves afterwards may be.
        let called = self.called.filter(|_| rules::is_of_arrivals(rule));
        let accused = called.filter(|_| ![EXPECTATION, READ].contains(&kind)).unwrap_or(rule);
        let rules = owed.iter().copied().chain(called).chain([rule]).chain(others.iter().copied());
        let suspects = Finding::suspects(accused, rules);
        let (tuple, state) = (self.flows.first().map(|f| f.tuple), self.state());
        let seen = match self.called(event) {
            call if call.is_empty() => seen,
            call => format!("{call} returned {seen}"),
        };
        let at = self.trace.events.get(event).map_or(self.now, |e| e.at);
        self.own.push(Finding {
            rule: accused,
            suspects,
            class: Class::Violates,
            state,
            tuple,
            event,
            cause,
            at,
            kind,
            seen,
            allowed: vec![allowed],
        });
    }
}

fn matches(spec: &ExpectSpec, seen: &Seen) -> bool {
    let (segment, view) = (&seen.segment, &seen.before);
    let number = |num: Option<Num>, is: tcp_reference::seq::Seq| num.is_none_or(|n| view.resolve(n) == is);
    spec.ecn.is_none_or(|codepoint| codepoint == segment.ip.ecn())
        && segment.flags.without(Flags::PSH) == spec.flags.without(Flags::PSH)
        && number(spec.seq, segment.seq)
        && spec.len.is_none_or(|n| usize::from(n) == segment.payload.len())
        && (!segment.is_ack() || number(spec.ack, segment.ack))
        && spec.window.is_none_or(|w| w == segment.window)
        && spec.options.as_ref().is_none_or(|o| *o == segment.options)
}

fn wanted(spec: &ExpectSpec, view: &View) -> String {
    let codepoint = spec.ecn.map(|codepoint| format!("[{}] ", codepoint.name())).unwrap_or_default();
    let mut text = format!("{codepoint}{}", spec.flags.without(Flags::PSH));
    let relative = |num: Num, base: Option<tcp_reference::seq::Seq>| base.map_or(0, |b| view.resolve(num).offset_from(b));
    if let Some(seq) = spec.seq {
        let (from, len) = (relative(seq, view.iss().or(Some(tcp_reference::seq::Seq(0)))), i32::from(spec.len.unwrap_or(0)));
        text += &format!(" {from}:{}({len})", from + len);
    }
    if let Some(ack) = spec.ack {
        text += &format!(" ack {}", relative(ack, Some(view.irs())));
    }
    if let Some(window) = spec.window {
        text += &format!(" win {window}");
    }
    text
}

fn relative(segment: &Segment, view: &View) -> String {
    crate::report::words::segment(segment, view.iss(), Some(view.irs()))
}

#[expect(clippy::cast_precision_loss, reason = "a time for people to read")]
fn seconds(micros: Micros) -> f64 {
    micros as f64 / 1e6
}

/// The kind of a finding that a read returned something else.
pub(super) const READ: &str = "read-result";
/// The kind of a finding that what a vector expects did not leave.
const EXPECTATION: &str = "expectation";
/// How long the oracle's deadline may lie behind that of an assertion, so that it is waited for.
const SOON: Micros = 1_500_000;
/// How long a `>` line without an end waits behind its time.
const PATIENCE: Micros = 500_000;
/// How much earlier than its time a segment may come at most.
const TOLERANCE: Micros = 20_000;

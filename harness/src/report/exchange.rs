//! A trace as lines with relative numbers, one for each segment and call.

use std::collections::HashMap;
use std::net::IpAddr;

use tcp_reference::api::{Call, CallError, CallResult, Micros};
use tcp_reference::segment::{Segment, TcpOption, Tuple};
use tcp_reference::trace::{Arrival, Malformed, Trace, What};

use super::words;
use crate::session::{Flow, Outcome, View};

/// What is known of each connection so far.
type Known = HashMap<Tuple, View>;

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Index into the trace.
    pub event: usize,
    /// When it was seen, on the target's clock.
    pub at: Micros,
    /// Which flow, where it is not flow 0 or no flow of the vector: its mark, as in `#1`.
    pub flow: String,
    /// What.
    pub what: Told,
}

/// What a line tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// A segment to the stack.
    Arrived(String),
    /// A segment of the stack.
    Sent(String),
    /// A user call with its result.
    Called(String),
    /// Something else.
    Noted(String),
}

/// How much a line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// Everything on the wire.
    Whole,
    /// What does not depend on the IP version: a full MSS is `full`. The stack's windows, which may depend on memory, only where they are
    /// asked for or closed.
    Settled {
        /// Whether the stack's windows are told.
        windows: bool,
    },
}

/// The trace's segments and calls. Calls that ask for the state are left out, but for those that `shown` names; so are tries of one call that would block.
#[must_use]
pub fn lines(outcome: &Outcome, detail: Detail, shown: &[usize]) -> Vec<Line> {
    let Outcome { trace, flows, edges, .. } = outcome;
    let mut known: Known = flows.iter().map(|f| (f.tuple, View::new(f.view.irs()))).collect();
    let mut lines = Vec::new();
    for (event, e) in trace.events.iter().enumerate() {
        let (tuple, what) = match &e.what {
            What::Arrive { tuple, arrival } => (Some(*tuple), arrived(&mut known, *tuple, arrival, edges.get(&event).copied(), detail)),
            What::Emit { tuple, segment, defects } => {
                let text = sent(&mut known, *tuple, segment, detail);
                let text = if defects.is_empty() { text } else { format!("{text} {defects:?}") };
                (Some(*tuple), Told::Sent(text))
            }
            What::Call { call, result } => match called(trace, event, call, result, shown) {
                Some(what) => (None, what),
                None => continue,
            },
            What::Quiet if shown.contains(&event) => (None, Told::Noted("nothing came until now".to_owned())),
            What::Quiet => continue,
            What::Stall => (None, Told::Noted("the harness was held up".to_owned())),
        };
        lines.push(Line { event, at: e.at, flow: tuple.map(|t| mark(flows, &t)).unwrap_or_default(), what });
    }
    lines
}

fn mark(flows: &[Flow], tuple: &Tuple) -> String {
    match flows.iter().find(|f| f.tuple == *tuple) {
        Some(flow) if flow.number == 0 => String::new(),
        Some(flow) => format!("#{}", flow.number),
        None if odd(tuple.remote.ip()).is_some() => format!(" [from {}]", odd(tuple.remote.ip()).unwrap_or_default()),
        None if odd(tuple.local.ip()).is_some() => format!(" [to {}]", odd(tuple.local.ip()).unwrap_or_default()),
        None => format!(" [{} {}]", tuple.local.port(), tuple.remote.port()),
    }
}

/// The name of an address that is no host's.
fn odd(ip: IpAddr) -> Option<&'static str> {
    let broadcast = matches!(ip, IpAddr::V4(a) if a.is_broadcast());
    let names = [(broadcast, "broadcast"), (ip.is_multicast(), "multicast"), (ip.is_unspecified(), "unspecified")];
    names.into_iter().find_map(|(is, name)| is.then_some(name))
}

fn arrived(known: &mut Known, tuple: Tuple, arrival: &Arrival, edge: Option<i32>, detail: Detail) -> Told {
    match arrival {
        Arrival::Segment(segment) => {
            if segment.is_syn() {
                known.entry(tuple).or_insert_with(|| View::new(segment.seq));
            }
            let Some(view) = known.get_mut(&tuple) else { return Told::Arrived(words::segment(segment, None, None)) };
            let text = match edge.filter(|_| detail == Detail::Settled { windows: false }) {
                // Where the edge lies depends on IP version and memory.
                Some(distance) => words::segment_at_edge(segment, distance, view.iss()),
                None => words::segment(segment, Some(view.irs()), view.iss()),
            };
            view.sent(segment);
            Told::Arrived(text)
        }
        Arrival::Icmp(icmp) => Told::Arrived(words::icmp(icmp, known.get(&tuple).and_then(View::iss))),
        Arrival::Discarded(reason) => Told::Arrived(
            match reason {
                Malformed::BadChecksum => "a segment with a bad checksum",
                Malformed::DataOffset => "a segment with an impossible data offset",
                Malformed::Truncated => "a truncated segment",
                Malformed::Fragment => "a fragment",
            }
            .to_owned(),
        ),
    }
}

fn sent(known: &mut Known, tuple: Tuple, segment: &Segment, detail: Detail) -> String {
    let mut view = known.get(&tuple).cloned();
    if let Some(view) = &mut view {
        view.received(segment);
        known.insert(tuple, view.clone());
    }
    let (iss, irs) = (view.as_ref().and_then(View::iss), view.as_ref().map(View::irs));
    let Detail::Settled { windows } = detail else {
        return words::segment(segment, iss, irs);
    };
    let mut text = words::numbers(segment, iss, irs);
    if (windows || segment.window == 0) && !segment.is_rst() {
        text += &format!(" win {}", segment.window);
    }
    if !segment.options.is_empty() {
        let full = if tuple.local.is_ipv4() { 1460 } else { 1440 };
        let settled: Vec<String> = segment
            .options
            .iter()
            .map(|o| match o {
                TcpOption::Mss(n) if *n == full => "mss full".to_owned(),
                other => words::options(std::slice::from_ref(other)),
            })
            .collect();
        text += &format!(" <{}>", settled.join(","));
    }
    text
}

fn called(trace: &Trace, event: usize, call: &Call, result: &CallResult, shown: &[usize]) -> Option<Told> {
    let told = Told::Called(format!("{} = {}", words::call(call), words::result(result)));
    if shown.contains(&event) {
        return Some(told);
    }
    if matches!(call, Call::State { .. }) {
        return None;
    }
    // Of the tries of one call only the last is of interest.
    let tried_again = *result == CallResult::Error(CallError::WouldBlock)
        && trace.events[event + 1..]
            .iter()
            .find_map(|e| if let What::Call { call, .. } = &e.what { Some(call) } else { None })
            .is_some_and(|next| next == call);
    (!tried_again).then_some(told)
}

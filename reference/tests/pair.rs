//! Two reference stacks against each other over a wire that loses, duplicates and reorders, each judged by an oracle of its own.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use tcp_reference::api::{Call, CallResult, Family, How, Micros, SocketId};
use tcp_reference::finding::Finding;
use tcp_reference::oracle::Oracle;
use tcp_reference::segment::{Segment, Tuple};
use tcp_reference::stack::{Policy, Stack};
use tcp_reference::state::State;
use tcp_reference::trace::{Arrival, Trace, What};

/// A host with its trace and oracle.
struct Host {
    stack: Stack,
    trace: Trace,
    oracle: Oracle,
    address: IpAddr,
    peer: IpAddr,
}

impl Host {
    fn new(n: u8, policy: &Policy, seed: u64) -> Host {
        let at = |n| IpAddr::V4(Ipv4Addr::new(192, 0, 2, n));
        Host {
            stack: Stack::new(policy.clone(), None, seed),
            trace: Trace::default(),
            oracle: Oracle::new(policy.profile()),
            address: at(n),
            peer: at(3 - n),
        }
    }

    fn call(&mut self, call: Call) -> CallResult {
        let (address, peer) = (self.address, self.peer);
        let result = self.stack.call(&call, |_| (address, peer));
        self.trace.push(self.stack.now(), What::Call { call, result: result.clone() });
        result
    }

    fn deliver(&mut self, tuple: Tuple, segment: Segment) {
        self.stack.arrive(tuple, &segment);
        self.trace.push(self.stack.now(), What::Arrive { tuple, arrival: Arrival::Segment(segment) });
    }

    /// What left, recorded and judged.
    fn sent(&mut self) -> Vec<(Micros, Tuple, Segment)> {
        let left = self.stack.departures();
        for d in &left {
            self.trace.push(d.at, What::Emit { tuple: d.tuple, segment: d.segment.clone(), defects: Vec::new() });
        }
        self.trace.push(self.stack.now(), What::Quiet);
        self.oracle.read(&self.trace);
        left.into_iter().map(|d| (d.at, d.tuple, d.segment)).collect()
    }
}

/// A small generator, so that a seed is a run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// The wire: segments under way by arrival time.
struct Wire {
    under_way: BTreeMap<(Micros, u64), (usize, Tuple, Segment)>,
    random: Random,
    loss: u64,
    count: u64,
}

impl Wire {
    fn send(&mut self, now: Micros, to: usize, tuple: Tuple, segment: &Segment) {
        let copies = if self.random.below(100) < self.loss { 0 } else { 1 + usize::from(self.random.below(100) < self.loss) };
        for _ in 0..copies {
            let delay = 10_000 + if self.random.below(100) < 2 * self.loss { self.random.below(90_000) } else { 0 };
            self.count += 1;
            let facing = Tuple { local: tuple.remote, remote: tuple.local };
            self.under_way.insert((now + delay, self.count), (to, facing, segment.clone()));
        }
    }
}

struct Run {
    hosts: [Host; 2],
    wire: Wire,
    now: Micros,
}

impl Run {
    fn new(policies: &[Policy; 2], seed: u64, loss: u64) -> Run {
        let hosts = [Host::new(1, &policies[0], seed), Host::new(2, &policies[1], seed + 1)];
        let wire = Wire { under_way: BTreeMap::new(), random: Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)), loss, count: 0 };
        Run { hosts, wire, now: 0 }
    }

    fn collect(&mut self) {
        for i in 0..2 {
            for (at, tuple, segment) in self.hosts[i].sent() {
                self.wire.send(at, 1 - i, tuple, &segment);
            }
        }
    }

    /// On to the next arrival or timer, but not beyond `until`; `false` when nothing is left before it.
    fn step(&mut self, until: Micros) -> bool {
        let timers = self.hosts.iter().filter_map(|h| h.stack.next_timer()).min();
        let arrival = self.wire.under_way.keys().next().map(|k| k.0);
        let Some(next) = timers.into_iter().chain(arrival).min().filter(|&t| t <= until) else { return false };
        self.now = self.now.max(next);
        for host in &mut self.hosts {
            host.stack.advance_to(self.now);
        }
        self.collect();
        while let Some(entry) = self.wire.under_way.first_entry().filter(|e| e.key().0 <= self.now) {
            let (to, tuple, segment) = entry.remove();
            self.hosts[to].deliver(tuple, segment);
            self.collect();
        }
        true
    }

    fn run_until(&mut self, until: Micros) {
        for _ in 0..200_000 {
            if !self.step(until) {
                break;
            }
        }
        self.now = until;
        for host in &mut self.hosts {
            host.stack.advance_to(until);
        }
        self.collect();
    }

    fn findings(&self) -> Vec<&Finding> {
        self.hosts.iter().flat_map(|h| h.oracle.findings()).collect()
    }
}

fn socket(result: &CallResult) -> SocketId {
    match result {
        CallResult::Socket(s) | CallResult::Accepted { socket: s, .. } => *s,
        other => panic!("no socket: {other:?}"),
    }
}

/// Opens, sends `sizes` octets each way, closes from both sides; returns the run.
fn exchange(policies: &[Policy; 2], seed: u64, loss: u64, sizes: [usize; 2]) -> Run {
    let mut run = Run::new(policies, seed, loss);
    let listener = socket(&run.hosts[1].call(Call::Listen { port: 80, family: Family::V4, backlog: 4 }));
    let client = socket(&run.hosts[0].call(Call::Connect { port: 4000, remote_port: 80, family: Family::V4 }));
    run.collect();
    let mut server = None;
    let text: Vec<Vec<u8>> = sizes.iter().map(|&n| (0..n).map(|i| u8::try_from(i % 251).unwrap_or(0)).collect()).collect();
    let mut written = [0, 0];
    let mut read = [Vec::new(), Vec::new()];
    let mut closed = [false, false];
    for round in 1..4000 {
        run.run_until(round * 100_000);
        if server.is_none()
            && let accepted @ CallResult::Accepted { .. } = run.hosts[1].call(Call::Accept { socket: listener })
        {
            server = Some(socket(&accepted));
        }
        for (i, s) in [Some(client), server].into_iter().enumerate() {
            let Some(s) = s else { continue };
            if written[i] < text[i].len() {
                let chunk = text[i][written[i]..].iter().copied().take(3000).collect();
                if let CallResult::Count(n) = run.hosts[i].call(Call::Send { socket: s, data: chunk, urgent: false }) {
                    written[i] += n as usize;
                }
            } else if !closed[i] && server.is_some() && (i == 0 || read[1].len() == text[0].len()) {
                closed[i] = true;
                run.hosts[i].call(Call::Shutdown { socket: s, how: How::Write });
            }
            if let CallResult::Data(d) = run.hosts[i].call(Call::Recv { socket: s, max: 100_000 }) {
                read[i].extend(d);
            }
            run.hosts[i].call(Call::State { socket: s });
        }
        run.collect();
        if closed == [true, true] && read[0].len() == text[1].len() && read[1].len() == text[0].len() {
            break;
        }
    }
    let end = run.now + 600_000_000;
    run.run_until(end);
    if read[0].len() != text[1].len() || read[1].len() != text[0].len() {
        let tails: Vec<String> = run.hosts.iter().map(|h| ladder(&h.trace, 0, 4000)).collect();
        let octets = (read[0].len(), read[1].len());
        panic!("seed {seed} loss {loss}: client and server read {octets:?} octets\n{}\n---\n{}", tails[0], tails[1]);
    }
    assert!(read[0] == text[1] && read[1] == text[0], "seed {seed} loss {loss}: the streams differ");
    for (i, s) in [(0, Some(client)), (1, server)] {
        let state = run.hosts[i].call(Call::State { socket: s.unwrap_or(0) });
        assert_eq!(state, CallResult::State(State::Closed), "seed {seed} loss {loss}: host {i} at the end");
    }
    run
}

/// The events from `from` on, a line each.
fn ladder(trace: &Trace, from: usize, count: usize) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for (i, e) in trace.events.iter().enumerate().skip(from).take(count) {
        let line = match &e.what {
            What::Quiet | What::Stall => continue,
            What::Arrive { arrival, .. } => format!("< {arrival:?}"),
            What::Emit { segment, .. } => format!("> {segment}"),
            What::Call { call: Call::Send { .. }, result } => format!("send {result:?}"),
            What::Call { result: CallResult::Data(d), .. } => format!("recv {}", d.len()),
            What::Call { call: Call::State { .. }, .. } | What::Call { result: CallResult::Error(_), .. } => continue,
            What::Call { call, result } => format!("{call:?} {result:?}"),
        };
        let _ = writeln!(text, "{i:5} {:>12} {line}", e.at);
    }
    text
}

fn show(run: &Run, finding: &Finding) -> String {
    let mine = run.hosts.iter().find(|h| h.oracle.findings().iter().any(|f| std::ptr::eq(f, finding)));
    let from = finding.event.saturating_sub(300);
    let trace = mine.map(|h| ladder(&h.trace, from, finding.event - from + 2)).unwrap_or_default();
    format!("{finding:#?}\n{trace}")
}

fn index(n: u64) -> usize {
    usize::try_from(n % 4).unwrap_or(0)
}

#[test]
fn two_stacks_over_a_bad_wire_give_no_finding() {
    let policies = [
        Policy::default(),
        Policy { ack_delay: 0, challenges_rst: false, challenges_syn: false, ..Policy::default() },
        Policy { holds_out_of_order: false, nagle: false, ..Policy::default() },
        Policy { buffer: 4000, checks_ack_range: true, ..Policy::default() },
    ];
    let mut judged = 0;
    for seed in 0..240 {
        for loss in [0, 2, 7, 15] {
            let pair = [policies[index(seed)].clone(), policies[index(seed / 4)].clone()];
            let run = exchange(&pair, seed, loss, [12_000, 30_000]);
            // One of the policies holds nothing out of order and has no Nagle.
            let real: Vec<_> = run.findings().into_iter().filter(|f| !["RFC9293:SHLD-31", "RFC9293:SHLD-7"].contains(&f.rule.0)).collect();
            if let Some(f) = real.first() {
                panic!("seed {seed} loss {loss}: {} findings; the first: {}", real.len(), show(&run, f));
            }
            for host in &run.hosts {
                assert_eq!(host.oracle.inconclusive(), None, "seed {seed} loss {loss}");
                assert_eq!(host.oracle.stats().unjudged, 0, "seed {seed} loss {loss}");
                judged += host.oracle.stats().judged;
            }
        }
    }
    assert!(judged > 80_000, "only {judged} segments were judged");
}

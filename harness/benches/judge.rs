//! What judging costs, as a ratio to a bare loop that gives the same stack the same packets and calls in the same run.
//!
//! - smoltcp: bare; with the trace written; with the trace judged; the whole session, which makes the packets too.
//! - the target protocol: round trips in lockstep with a process that does nothing else, both on one processor.
//! - the kernel: handshakes and teardowns, bare and in a session. Without a TUN device this part is skipped, and says so.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use tcp_harness::profile::profile_for;
use tcp_harness::session::{self, Options};
use tcp_harness::target::{Capabilities, Clock, Packet, Reply, Target, TargetError};
use tcp_harness::targets::{self, TargetOptions};
use tcp_harness::wire::{self, Read};
use tcp_reference::api::{Call, CallResult, Family, Micros, SocketId};
use tcp_reference::ip::Codepoint;
use tcp_reference::oracle::Oracle;
use tcp_reference::segment::{Flags, Segment, Tuple};
use tcp_reference::seq::Seq;
use tcp_reference::trace::{Arrival, Trace, What};
use tcp_vectors::model::{Base, CallStep, Num, Payload, Script, SegmentSpec, Step, StepKind, VectorCall};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut lines = smoltcp(&mut criterion);
    lines.extend(kernel(&mut criterion));
    #[cfg(target_os = "linux")]
    lockstep(&mut criterion);
    criterion.final_summary();
    if std::env::args().any(|a| a == "--bench") {
        println!("\nratios to the bare loop, in pairs of runs side by side:");
        lines.iter().for_each(|line| println!("  {}", line()));
    }
}

/// One run of a conversation: as a script, or as what a session made of it.
type Run = fn(&mut dyn Target, &Script, &[Request]);

/// A line about a ratio; it is measured when it is printed.
type Line = Box<dyn Fn() -> String>;

fn smoltcp(criterion: &mut Criterion) -> Vec<Line> {
    let script = conversation();
    let recorded = record(&script);
    let segments = recorded.segments;
    let mut group = criterion.benchmark_group("smoltcp");
    group.throughput(Throughput::Elements(segments));
    let ways: [(&str, Run); 4] = [
        ("bare", |target, _, requests| bare(target, requests)),
        ("trace", |target, _, requests| drop(black_box(traced(target, requests)))),
        ("trace and oracle", |target, _, requests| judged(target, requests)),
        ("session", |target, script, _| drop(black_box(session::run_script(target, script, &options("smoltcp", Clock::Virtual))))),
    ];
    let mut target = open("smoltcp").unwrap_or_else(|e| panic!("smoltcp: {e:?}"));
    for (name, run) in ways {
        group.bench_function(name, |b| b.iter(|| run(&mut *target, &script, &recorded.requests)));
    }
    group.finish();
    let line = |(name, run): (&'static str, Run), aim: &'static str| -> Line {
        let (script, requests) = (script.clone(), recorded.requests.clone());
        Box::new(move || {
            let mut target = open("smoltcp").unwrap_or_else(|e| panic!("smoltcp: {e:?}"));
            let (plain, other) = pairs(200, |way| match way {
                Way::Bare => bare(&mut *target, &requests),
                Way::Other => run(&mut *target, &script, &requests),
            });
            told("smoltcp", name, plain, other, segments, "segments", aim)
        })
    };
    let [_, trace, oracle, session] = ways;
    vec![line(trace, ""), line(oracle, "aim: at least 0.25"), line(session, "")]
}

fn kernel(criterion: &mut Criterion) -> Vec<Line> {
    const NAME: &str = "linux-kernel";
    let mut target = match open(NAME) {
        Ok(target) => target,
        Err(error) => {
            eprintln!("\n*** SKIPPED: the kernel cannot be measured here: {error:?}\n");
            return Vec::new();
        }
    };
    let script = handshakes();
    let outcome = session::run_script(&mut *target, &script, &options(NAME, Clock::Real));
    assert!(outcome.stats.judged >= u64::from(FLOWS) * 2, "the kernel sent {} segments: {:?}", outcome.stats.judged, outcome.reason);
    let mut group = criterion.benchmark_group(NAME);
    group.throughput(Throughput::Elements(u64::from(FLOWS)));
    group.bench_function("bare", |b| b.iter(|| bare_handshakes(&mut *target)));
    group.bench_function("session", |b| {
        b.iter(|| drop(black_box(session::run_script(&mut *target, &script, &options(NAME, Clock::Real)))));
    });
    group.finish();
    drop(target);
    let line = move || {
        let mut target = open(NAME).unwrap_or_else(|e| panic!("{NAME}: {e:?}"));
        let (plain, other) = pairs(100, |way| match way {
            Way::Bare => bare_handshakes(&mut *target),
            Way::Other => drop(black_box(session::run_script(&mut *target, &script, &options(NAME, Clock::Real)))),
        });
        told(NAME, "session", plain, other, u64::from(FLOWS), "connections", "aim: at least 0.5")
    };
    vec![Box::new(line)]
}

/// Round trips with an adapter in C that has nothing to do; aim: at least 40 000 in a second.
#[cfg(target_os = "linux")]
fn lockstep(criterion: &mut Criterion) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/adapters/example/adapter.c");
    let adapter = concat!(env!("CARGO_TARGET_TMPDIR"), "/bench-adapter");
    let built = std::process::Command::new("cc").args(["-O2", "-o", adapter, source]).status();
    if !built.is_ok_and(|s| s.success()) {
        return eprintln!("\n*** SKIPPED: lockstep cannot be measured here: cc does not build {source}\n");
    }
    let mut target = open(&format!("exec:{adapter}")).unwrap_or_else(|e| panic!("{adapter}: {e:?}"));
    target.reset(0).unwrap_or_else(|e| panic!("{e:?}"));
    let mut group = criterion.benchmark_group("exec");
    group.throughput(Throughput::Elements(1));
    group.bench_function("round trip", |b| b.iter(|| target.deliver(&[]).map(|r| r.now)));
    group.finish();
}

fn open(name: &str) -> Result<Box<dyn Target>, TargetError> {
    targets::open(name, &TargetOptions { watchdog: None })
}

fn options(name: &str, clock: Clock) -> Options {
    Options { check_state: false, tail: 0, longest_tail: 0, ..Options::new(Family::V4, 2, profile_for(name), clock) }
}

/// Which of the two runs of a pair.
#[derive(Clone, Copy)]
enum Way {
    Bare,
    Other,
}

/// The median times of both ways, run in turn so that whatever else the machine does meets both.
fn pairs(times: usize, mut run: impl FnMut(Way)) -> (Duration, Duration) {
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..times {
        for (way, times) in [Way::Bare, Way::Other].into_iter().zip(&mut took) {
            let started = Instant::now();
            run(way);
            times.push(started.elapsed());
        }
    }
    let [bare, other] = took.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    (bare, other)
}

#[expect(clippy::cast_precision_loss, reason = "rates for people to read")]
fn told(target: &str, name: &str, bare: Duration, other: Duration, items: u64, unit: &str, aim: &str) -> String {
    let rate = |took: Duration| items as f64 / took.as_secs_f64();
    let ratio = bare.as_secs_f64() / other.as_secs_f64();
    format!("{target:12} {name:16} {ratio:5.2} of bare ({:.0} of {:.0} {unit}/s) {aim}", rate(other), rate(bare))
}

// The exchange with smoltcp.

/// One connection: text both ways, then the teardown that the peer begins.
fn conversation() -> Script {
    let mut steps = vec![
        call(VectorCall::Socket),
        call(VectorCall::Listen(3, 8)),
        segment(0, Flags::SYN, 0),
        segment(0, Flags::ACK, 0),
        call(VectorCall::Accept(3)),
    ];
    for _ in 0..EXCHANGES {
        steps.push(segment(0, Flags::ACK | Flags::PSH, 1000));
        steps.push(call(VectorCall::Read(4, 2000)));
        steps.push(call(VectorCall::Write(4, Payload::Pattern(1000))));
        steps.push(segment(0, Flags::ACK, 0));
    }
    steps.push(segment(0, Flags::ACK | Flags::FIN, 0));
    steps.push(call(VectorCall::Close(4)));
    steps.push(segment(0, Flags::ACK, 0));
    Script { steps }
}

/// Exchanges of text in a conversation.
const EXCHANGES: usize = 50;

/// Connections that the peer opens and closes one after another, each on a flow of its own.
fn handshakes() -> Script {
    let mut steps = vec![call(VectorCall::Socket), call(VectorCall::Listen(3, 64))];
    for flow in 0..FLOWS {
        steps.push(segment(flow, Flags::SYN, 0));
        steps.push(segment(flow, Flags::ACK, 0));
        steps.push(call(VectorCall::Accept(3)));
        steps.push(segment(flow, Flags::ACK | Flags::FIN, 0));
        steps.push(call(VectorCall::Close(4 + flow)));
        steps.push(segment(flow, Flags::ACK, 0));
    }
    Script { steps }
}

/// Connections in one run on the kernel.
const FLOWS: u8 = 16;

fn call(call: VectorCall) -> Step {
    Step { after: 0, until: None, kind: StepKind::Call(CallStep { call, result: None }), line: 0 }
}

fn segment(flow: u8, flags: Flags, len: u16) -> Step {
    let spec = SegmentSpec {
        flow,
        joined: false,
        ecn: Codepoint::NotEct,
        flags,
        seq: Num { base: Base::PeerNxt, offset: 0 },
        ack: Some(Num { base: Base::SndNxt, offset: 0 }).filter(|_| flags.has(Flags::ACK)),
        window: 65_535,
        urgent: 0,
        options: Vec::new(),
        payload: Payload::Pattern(len),
        oddity: None,
    };
    Step { after: 0, until: None, kind: StepKind::Inject(spec), line: 0 }
}

/// What was asked of a target.
#[derive(Clone)]
enum Request {
    Call(Call),
    Deliver(Vec<Vec<u8>>),
    Advance(Micros),
}

/// What a session asks of smoltcp, and how many segments go either way.
struct Recorded {
    requests: Vec<Request>,
    segments: u64,
}

fn record(script: &Script) -> Recorded {
    let mut recorder = Recorder { inner: open("smoltcp").unwrap_or_else(|e| panic!("smoltcp: {e:?}")), requests: Vec::new() };
    let outcome = session::run_script(&mut recorder, script, &options("smoltcp", Clock::Virtual));
    let segment = |what: &What| matches!(what, What::Arrive { .. } | What::Emit { .. });
    let segments = outcome.trace.events.iter().filter(|e| segment(&e.what)).count();
    assert!(segments > EXCHANGES * 3, "only {segments} segments: {:?}", outcome.reason);
    Recorded { requests: recorder.requests, segments: u64::try_from(segments).unwrap_or(0) }
}

/// Passes requests on and keeps them.
struct Recorder {
    inner: Box<dyn Target>,
    requests: Vec<Request>,
}

impl Target for Recorder {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn reset(&mut self, seed: u64) -> Result<(), TargetError> {
        self.inner.reset(seed)
    }

    fn call(&mut self, call: &Call) -> Result<Reply<CallResult>, TargetError> {
        self.requests.push(Request::Call(call.clone()));
        self.inner.call(call)
    }

    fn deliver(&mut self, datagrams: &[Vec<u8>]) -> Result<Reply<()>, TargetError> {
        self.requests.push(Request::Deliver(datagrams.to_vec()));
        self.inner.deliver(datagrams)
    }

    fn advance(&mut self, us: Micros) -> Result<Reply<()>, TargetError> {
        self.requests.push(Request::Advance(us));
        self.inner.advance(us)
    }
}

/// The requests alone.
fn bare(target: &mut dyn Target, requests: &[Request]) {
    sure(target.reset(2));
    for request in requests {
        match request {
            Request::Call(call) => drop(black_box(sure(target.call(call)))),
            Request::Deliver(datagrams) => drop(black_box(sure(target.deliver(datagrams)))),
            Request::Advance(us) => drop(black_box(sure(target.advance(*us)))),
        }
    }
}

/// The requests, and everything that happened written down.
fn traced(target: &mut dyn Target, requests: &[Request]) -> Trace {
    let mut trace = Trace::default();
    replay(target, requests, |trace| assert!(!black_box(trace).events.is_empty()), &mut trace);
    trace
}

/// As [`traced`], and read by an oracle after every request.
fn judged(target: &mut dyn Target, requests: &[Request]) {
    let mut oracle = Oracle::new(profile_for("smoltcp"));
    replay(target, requests, |trace| oracle.read(trace), &mut Trace::default());
    assert!(black_box(oracle.stats()).judged > 0);
}

fn replay(target: &mut dyn Target, requests: &[Request], mut look: impl FnMut(&Trace), trace: &mut Trace) {
    sure(target.reset(2));
    for request in requests {
        match request {
            Request::Call(call) => {
                let reply = sure(target.call(call));
                trace.push(reply.now, What::Call { call: call.clone(), result: reply.value });
                note(trace, &reply.packets, reply.now);
            }
            Request::Deliver(datagrams) => {
                for datagram in datagrams {
                    if let Ok(Read::Tcp(tcp)) = wire::read(datagram) {
                        let tuple = Tuple { local: tcp.destination, remote: tcp.source };
                        let at = trace.events.last().map_or(0, |e| e.at);
                        trace.push(at, What::Arrive { tuple, arrival: Arrival::Segment(tcp.segment) });
                    }
                }
                let reply = sure(target.deliver(datagrams));
                note(trace, &reply.packets, reply.now);
            }
            Request::Advance(us) => {
                let reply = sure(target.advance(*us));
                note(trace, &reply.packets, reply.now);
            }
        }
        look(trace);
    }
}

fn note(trace: &mut Trace, packets: &[Packet], now: Micros) {
    for packet in packets {
        if let Ok(Read::Tcp(tcp)) = wire::read(&packet.ip) {
            let tuple = Tuple { local: tcp.source, remote: tcp.destination };
            trace.push_between(packet.from, packet.at, What::Emit { tuple, segment: tcp.segment, defects: tcp.defects });
        }
    }
    trace.push(now, What::Quiet);
}

// The exchange with the kernel, without a session.

fn bare_handshakes(target: &mut dyn Target) {
    sure(target.reset(2));
    let [local, _] = target.capabilities().local;
    let [remote, _] = target.capabilities().remote;
    let listener = socket(&sure(target.call(&Call::Listen { port: 8080, family: Family::V4, backlog: 64 })).value);
    for flow in 0..u16::from(FLOWS) {
        let ends = (SocketAddr::new(remote, 40_000 + flow), SocketAddr::new(local, 8080));
        let mut nxt = Seq(0);
        let mut deliver = |segment: Segment| {
            let datagram = wire::build(ends.0, ends.1, &segment.with_window(65_535)).unwrap_or_else(|e| panic!("{e}"));
            let reply = sure(target.deliver(&[datagram]));
            follow(&reply.packets, &mut nxt);
            nxt
        };
        let isn = Seq(1_000_000 * u32::from(flow));
        let nxt = deliver(Segment::syn(isn));
        deliver(Segment::pure_ack(isn + 1, nxt));
        let accepted = socket(&sure(target.call(&Call::Accept { socket: listener })).value);
        let mut fin = Segment::pure_ack(isn + 1, nxt);
        fin.flags |= Flags::FIN;
        let datagram = wire::build(ends.0, ends.1, &fin.with_window(65_535)).unwrap_or_else(|e| panic!("{e}"));
        sure(target.deliver(&[datagram]));
        let mut nxt = nxt;
        follow(&sure(target.call(&Call::Close { socket: accepted })).packets, &mut nxt);
        let last = Segment::pure_ack(isn + 2, nxt).with_window(65_535);
        let datagram = wire::build(ends.0, ends.1, &last).unwrap_or_else(|e| panic!("{e}"));
        sure(target.deliver(&[datagram]));
    }
}

/// The number after the last that these packets used, read with as little work as can be.
fn follow(packets: &[Packet], nxt: &mut Seq) {
    for packet in packets {
        let tcp = &packet.ip[usize::from(packet.ip[0] & 0x0f) * 4..];
        let seq = Seq(u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]));
        let controls = tcp[13] & 3;
        *nxt = seq + u32::from(controls & 1) + u32::from(controls >> 1);
    }
}

fn socket(result: &CallResult) -> SocketId {
    match result {
        CallResult::Socket(socket) | CallResult::Accepted { socket, .. } => *socket,
        other => panic!("no socket: {other:?}"),
    }
}

fn sure<T>(result: Result<T, TargetError>) -> T {
    result.unwrap_or_else(|error| panic!("the target gave no answer: {error:?}"))
}

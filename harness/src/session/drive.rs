//! The session itself: the target's clock, what came back, and the order of the steps.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tcp_reference::api::{Call, CallResult, Family, Micros, SocketId};
use tcp_reference::catalogue::RuleId;
use tcp_reference::finding::{Class, Finding};
use tcp_reference::oracle::Oracle;
use tcp_reference::profile::Profile;
use tcp_reference::segment::{Segment, Tuple};
use tcp_reference::state::State;
use tcp_reference::trace::{Trace, What};
use tcp_vectors::model::{CallStep, Returned, Step, StepKind, VectorCall};

use super::call::Descriptor;
use super::view::{View, peer_isn};
use super::{Echo, Flow, Options, Outcome, Resolved, Stop, joined};
use crate::target::{Clock, NextTimer, Packet, Reply, Target, TargetError};
use crate::wire::{self, Read};

/// A run in progress.
pub(super) struct Session<'a> {
    pub(super) target: &'a mut dyn Target,
    pub(super) options: &'a Options,
    pub(super) trace: Trace,
    pub(super) oracle: Oracle,
    pub(super) flows: Vec<Flow>,
    pub(super) descriptors: HashMap<u8, Descriptor>,
    pub(super) next_descriptor: u8,
    /// Connections whose state is asked for, in the order in which they were made.
    pub(super) watched: Vec<SocketId>,
    /// The connection that the last accept or connect gave, also when it is gone.
    pub(super) newest: Option<SocketId>,
    /// Names that stand for nothing because the call that should have given them failed, which is a finding.
    pub(super) lost: BTreeSet<u8>,
    /// How many connects were made.
    pub(super) connects: u8,
    /// The target's clock at its last reply.
    pub(super) now: Micros,
    /// Segments of the stack that no `>` has taken, oldest first.
    pub(super) unmatched: Vec<Seen>,
    /// Index into the trace of the last stimulus.
    pub(super) last_stimulus: usize,
    /// Where it was a user's call: the rule for it.
    pub(super) called: Option<RuleId>,
    /// Findings of the session's own.
    pub(super) own: Vec<Finding>,
    /// The rules that a failed assertion may have broken: it counts under the first. `None` for a script, which has none.
    pub(super) rules: Option<Vec<RuleId>>,
    /// The views by which steps' numbers were resolved; steps without a line leave none.
    pub(super) views: Vec<Resolved>,
    /// See [`Outcome::edges`].
    pub(super) edges: HashMap<usize, i32>,
    pub(super) clock: Clock,
    addresses: (IpAddr, IpAddr),
    /// The local ports of the connects that the steps hold: the flows below their number are theirs.
    pub(super) ports: Vec<u16>,
    next_timer: NextTimer,
    /// Timers in a row that were due at once.
    spins: u32,
    started: Instant,
}

/// A segment of the stack, with the flow as it was before it.
pub(super) struct Seen {
    pub(super) event: usize,
    pub(super) flow: u8,
    pub(super) before: View,
    pub(super) segment: Segment,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        target: &'a mut dyn Target,
        steps: &[Step],
        rules: Option<Vec<RuleId>>,
        options: &'a Options,
        started: Instant,
    ) -> Session<'a> {
        let capabilities = target.capabilities();
        let side = usize::from(options.family == Family::V6);
        let addresses = (capabilities.local[side], capabilities.remote[side]);
        let clock = capabilities.clock;
        let profile = Profile { mtu: capabilities.mtu, ..options.profile.clone() };
        Session {
            target,
            options,
            trace: Trace::default(),
            oracle: Oracle::new(profile),
            flows: Vec::new(),
            descriptors: HashMap::new(),
            next_descriptor: 3,
            watched: Vec::new(),
            newest: None,
            lost: BTreeSet::new(),
            connects: 0,
            now: 0,
            unmatched: Vec::new(),
            last_stimulus: 0,
            called: None,
            own: Vec::new(),
            rules,
            views: Vec::new(),
            edges: HashMap::new(),
            clock,
            addresses,
            ports: ports_of_connects(steps),
            next_timer: NextTimer::Unknown,
            spins: 0,
            started,
        }
    }

    /// A fresh target.
    pub(super) fn start(&mut self, steps: &[Step]) -> Result<(), Stop> {
        let waits: Micros = steps.iter().map(|s| s.after).sum();
        if self.clock == Clock::Real && waits > A_DAY {
            return Err(Stop::Unsupported(format!("{} days pass, and the target's clock is real", waits / A_DAY)));
        }
        if !self.target.capabilities().families.contains(&self.options.family) {
            return Err(Stop::Unsupported(format!("the target has no IPv{}", self.options.family)));
        }
        self.target.reset(self.options.seed)?;
        Ok(())
    }

    /// Every step in order.
    pub(super) fn all(&mut self, steps: &[Step]) -> Result<(), Stop> {
        let mut i = 0;
        while let Some(step) = steps.get(i) {
            let more = if matches!(step.kind, StepKind::Inject(_)) { joined(&steps[i + 1..]) } else { 0 };
            let group = &steps[i..=i + more];
            self.step(step, group)?;
            self.check_states()?;
            self.check_bounds()?;
            i += 1 + more;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step, group: &[Step]) -> Result<(), Stop> {
        match &step.kind {
            StepKind::Expect(spec) => return self.expect(step, spec),
            StepKind::Call(call) if matches!(call.call, VectorCall::Ignored(_) | VectorCall::Bind(_)) => {
                return self.pass(self.wait_of(step));
            }
            StepKind::Inject(_) | StepKind::Icmp(_) | StepKind::Call(_) | StepKind::AssertState(_) | StepKind::Wait => {}
        }
        self.pass(self.wait_of(step))?;
        match &step.kind {
            StepKind::Inject(_) => self.inject(group),
            StepKind::Icmp(spec) => self.icmp(step.line, spec),
            StepKind::Call(call) => self.call_step(step, call),
            StepKind::AssertState(state) => self.assert_state(step, *state),
            StepKind::Wait | StepKind::Expect(_) => Ok(()),
        }
    }

    /// Runs on so that silence after the last step is judged too.
    pub(super) fn finish(&mut self) -> Result<(), Stop> {
        let end = self.now + self.options.tail;
        let latest = self.now + self.options.longest_tail;
        let owed = self.oracle.next_deadline().map_or(end, |d| d.saturating_add(1));
        let until = if owed <= latest { end.max(owed) } else { end };
        self.pass_until(until)?;
        self.check_states()
    }

    /// How long a step waits. Where a vector waits out TIME-WAIT, or more than half of it, it waits for the RFC's own 2MSL, which becomes the
    /// target's: TIME-WAIT's length is the stack's to state (RFC 9293 section 3.4.2), and a real clock would stand still for minutes.
    fn wait_of(&self, step: &Step) -> Micros {
        let own = *self.options.profile.time_wait.end();
        if !self.options.scale_time_wait {
            return step.after;
        }
        match step.after.checked_sub(RFC_TIME_WAIT) {
            // Behind the latest end that the oracle allows (`Profile::time_wait_after`).
            Some(more) => more + own + own / 20 * 3 + TIME_WAIT_SLACK,
            None if step.after > RFC_TIME_WAIT / 2 => own / 1000 * (step.after / (RFC_TIME_WAIT / 1000)),
            None => step.after,
        }
    }

    /// Time passes.
    pub(super) fn pass(&mut self, us: Micros) -> Result<(), Stop> {
        self.pass_until(self.now.saturating_add(us))
    }

    /// Time passes until the target's clock says `until`; everything sent by then is in the trace.
    pub(super) fn pass_until(&mut self, until: Micros) -> Result<(), Stop> {
        let left = self.options.timeout.saturating_sub(self.started.elapsed());
        let wait = Duration::from_micros(until.saturating_sub(self.now));
        if self.clock == Clock::Real && wait > left {
            let (wait, timeout) = (wait.as_secs(), self.options.timeout.as_secs());
            return Err(Stop::NotPerformed(format!("a wait of {wait} s does not fit into {timeout} s: give a longer --timeout")));
        }
        while self.now < until {
            self.advance_towards(until)?;
        }
        Ok(())
    }

    /// One move of the clock, at most to `until`: to the next timer, or to where something that is owed becomes overdue.
    pub(super) fn advance_towards(&mut self, until: Micros) -> Result<(), Stop> {
        let mut to = until;
        if self.clock == Clock::Virtual {
            if let NextTimer::At(timer) = self.next_timer {
                let spinning = self.spins > MOST_SPINS;
                to = to.min(timer.max(self.now + if spinning { SPIN_STEP } else { 1 }));
                self.spins = if timer <= self.now { self.spins + 1 } else { 0 };
            }
            if let Some(deadline) = self.oracle.next_deadline()
                && deadline >= self.now
            {
                to = to.min(deadline + 1);
            }
        }
        let to = to.clamp(self.now, until.max(self.now));
        let reply = match self.clock {
            Clock::Virtual => self.target.advance(to - self.now)?,
            Clock::Real => self.watch_until(to)?,
        };
        self.note(&reply);
        self.check_bounds()
    }

    /// A real wait, until something was sent or the time has come. It goes in slices: a machine that stood still for a while shows in one that
    /// takes too long.
    fn watch_until(&mut self, to: Micros) -> Result<Reply<()>, Stop> {
        let mut now = self.now;
        loop {
            let asked = (to - now).min(SLICE);
            let reply = self.target.advance(asked)?;
            let overshot = reply.now.saturating_sub(now).saturating_sub(asked);
            if overshot > STALL {
                self.note(&reply);
                return Err(self.held_up(now.min(self.now), overshot, ""));
            }
            if !reply.packets.is_empty() || reply.now >= to {
                return Ok(reply);
            }
            now = now.max(reply.now);
        }
    }

    /// The harness was kept from watching from a time on, for so long: the run proves nothing.
    fn held_up(&mut self, from: Micros, us: Micros, at: &str) -> Stop {
        self.trace.push_between(from, self.now, What::Stall);
        self.oracle.read(&self.trace);
        Stop::Inconclusive(format!("the harness was held up for {} ms{at}", us / 1000))
    }

    /// What the stack has sent until now, before a stimulus. On a virtual clock every reply leaves nothing behind.
    pub(super) fn drain(&mut self) -> Result<(), Stop> {
        if self.clock == Clock::Real {
            let reply = self.target.deliver(&[])?;
            self.note(&reply);
        }
        Ok(())
    }

    /// Asks the target and writes call and answer down.
    pub(super) fn ask(&mut self, call: Call) -> Result<CallResult, Stop> {
        let reply = self.target.call(&call)?;
        let result = reply.value.clone();
        self.trace.push(self.now, What::Call { call, result: result.clone() });
        self.note_answer(&reply)?;
        Ok(result)
    }

    /// Writes down what followed a stimulus. Where the harness was kept from running between its last look and the stimulus, nothing says which
    /// of the two came first, a segment or the stimulus: then the run proves nothing.
    pub(super) fn note_answer<T>(&mut self, reply: &Reply<T>) -> Result<(), Stop> {
        let widest = reply.packets.iter().map(|p| p.at - p.from.min(p.at)).max().unwrap_or(0);
        self.note(reply);
        if self.clock == Clock::Virtual || widest <= BLINK {
            return Ok(());
        }
        Err(self.held_up(self.now, widest, " beside a stimulus"))
    }

    /// Writes a reply down and lets the oracle read it.
    pub(super) fn note<T>(&mut self, reply: &Reply<T>) {
        for packet in &reply.packets {
            self.note_packet(packet);
        }
        self.now = self.now.max(reply.now);
        self.next_timer = reply.next_timer;
        let already = self.trace.events.last().is_some_and(|e| e.what == What::Quiet && e.at == self.now);
        if !already {
            self.trace.push(self.now, What::Quiet);
        }
        self.oracle.read(&self.trace);
    }

    fn note_packet(&mut self, packet: &Packet) {
        let Ok(Read::Tcp(tcp)) = wire::read(&packet.ip) else { return };
        let tuple = Tuple { local: tcp.source, remote: tcp.destination };
        let at = packet.at.max(self.trace.events.last().map_or(0, |e| e.at));
        let event = self.trace.events.len();
        if let Some(flow) = self.flow_of(tuple) {
            let view = &mut self.flows[flow].view;
            let mut before = view.clone();
            view.received(&tcp.segment);
            if tcp.segment.is_syn() {
                // The ISN that a SYN brings is the one that a vector's numbers on its line count from.
                before = view.clone();
            }
            let number = self.flows[flow].number;
            self.unmatched.push(Seen { event, flow: number, before, segment: tcp.segment.clone() });
        }
        self.trace.push_between(packet.from.min(at), at, What::Emit { tuple, segment: tcp.segment, defects: tcp.defects });
    }

    /// The index of a flow, made where it does not exist yet.
    pub(super) fn flow(&mut self, number: u8) -> usize {
        if let Some(i) = self.flows.iter().position(|f| f.number == number) {
            return i;
        }
        let (local, remote) = match self.ports.get(usize::from(number)) {
            Some(port) => (*port, CONNECT_TO),
            None => (LISTEN_PORT, PEER_PORT + u16::from(number)),
        };
        let tuple = Tuple { local: SocketAddr::new(self.addresses.0, local), remote: SocketAddr::new(self.addresses.1, remote) };
        self.flows.push(Flow { number, tuple, view: View::new(peer_isn(self.options.seed, number)) });
        self.flows.len() - 1
    }

    /// Keeps the view by which a step's numbers were resolved, for `show`.
    pub(super) fn keep_view(&mut self, line: u32, flow: u8, view: &View) {
        if line > 0 && self.views.len() < MOST_VIEWS {
            self.views.push(Resolved { line, flow, view: view.clone() });
        }
    }

    fn flow_of(&mut self, tuple: Tuple) -> Option<usize> {
        if let Some(i) = self.flows.iter().position(|f| f.tuple == tuple) {
            return Some(i);
        }
        // A SYN of the stack's own may be the first that is seen of a flow.
        let number = self.ports.iter().position(|port| tuple.local.port() == *port && tuple.remote.port() == CONNECT_TO)?;
        Some(self.flow(u8::try_from(number).ok()?))
    }

    /// Asks for the state of every connection, for the oracle to compare.
    fn check_states(&mut self) -> Result<(), Stop> {
        if !self.options.check_state {
            return Ok(());
        }
        self.drain()?;
        let mut i = 0;
        while let Some(&socket) = self.watched.get(i) {
            match self.ask(Call::State { socket })? {
                CallResult::State(State::Closed) | CallResult::Error(_) | CallResult::Unsupported => {
                    self.watched.remove(i);
                }
                _ => i += 1,
            }
        }
        Ok(())
    }

    pub(super) fn check_bounds(&self) -> Result<(), Stop> {
        if self.trace.events.len() > MOST_EVENTS {
            return Err(Stop::Target(TargetError::Flood(format!("more than {MOST_EVENTS} events in one run"))));
        }
        if self.started.elapsed() > self.options.timeout {
            return Err(Stop::NotPerformed(format!("the run took longer than {} s", self.options.timeout.as_secs())));
        }
        Ok(())
    }

    /// What the run gave.
    pub(super) fn outcome(mut self, stop: Option<Stop>) -> Outcome {
        self.oracle.read(&self.trace);
        self.oracle.finish();
        let (mut findings, echoes) = merged(&self.trace, self.oracle.findings(), std::mem::take(&mut self.own));
        let mut variants = self.oracle.variants(&self.trace);
        for finding in findings.iter_mut().chain(&mut variants) {
            if let Some(flow) = self.flows.iter().find(|f| Some(f.tuple) == finding.tuple) {
                finding.seen = flow.view.relative(&finding.seen);
                finding.allowed.iter_mut().for_each(|a| *a = flow.view.relative(a));
            }
        }
        let worst = findings.iter().chain(&variants).map(|f| f.class).max_by_key(|c| severity(*c)).unwrap_or(Class::Conforms);
        let (ended, reason) = match stop {
            None => match self.oracle.inconclusive() {
                Some(reason) => (Class::Inconclusive, Some(reason.to_owned())),
                None => (Class::Conforms, None),
            },
            Some(Stop::Target(TargetError::Crash(text))) => (Class::Crash, Some(text)),
            Some(Stop::Target(TargetError::Hang(text))) => (Class::Hang, Some(text)),
            Some(Stop::Target(TargetError::Flood(text))) => (Class::Flood, Some(text)),
            Some(Stop::Target(TargetError::Harness(text) | TargetError::Unavailable(text)) | Stop::NotPerformed(text)) => {
                (Class::NotPerformed, Some(text))
            }
            Some(Stop::Target(TargetError::Unsupported(text)) | Stop::Unsupported(text)) => (Class::Unsupported, Some(text)),
            Some(Stop::Inconclusive(text)) => (Class::Inconclusive, Some(text)),
        };
        let class = if severity(ended) >= severity(worst) { ended } else { worst };
        self.flows.sort_by_key(|f| f.number);
        Outcome {
            trace: self.trace,
            findings,
            variants,
            echoes,
            stats: self.oracle.stats(),
            class,
            reason,
            flows: self.flows,
            views: self.views,
            edges: self.edges,
            grown: None,
            now: self.now,
            took: self.started.elapsed(),
        }
    }
}

/// The local port of each socket that connects: a port of its own, or that of the listeners where the socket was bound before, which one
/// connection can have.
fn ports_of_connects(steps: &[Step]) -> Vec<u16> {
    let (mut bound, mut in_use) = (BTreeSet::new(), BTreeSet::new());
    let mut ports = Vec::new();
    for step in steps {
        let StepKind::Call(CallStep { call, result }) = &step.kind else { continue };
        match (call, result) {
            (VectorCall::Socket, Some(Returned::Value(name))) => {
                in_use.retain(|fd| u32::from(*fd) != *name);
            }
            (VectorCall::Bind(fd), _) => {
                bound.insert(*fd);
            }
            (VectorCall::Listen(fd, _), _) => {
                in_use.insert(*fd);
            }
            (VectorCall::Connect(fd), _) if ports.len() < usize::from(u8::MAX) && in_use.insert(*fd) => {
                let own = CONNECT_PORT + u16::try_from(ports.len()).unwrap_or(0);
                let listeners = bound.contains(fd) && !ports.contains(&LISTEN_PORT);
                ports.push(if listeners { LISTEN_PORT } else { own });
            }
            _ => {}
        }
    }
    ports
}

/// The oracle's findings with the session's own, by event. What is plainly a consequence of one of the oracle's, whose word about the same
/// event is the more precise, is only its echo.
fn merged(trace: &Trace, oracle: &[Finding], own: Vec<Finding>) -> (Vec<Finding>, Vec<Echo>) {
    let causes = |own: &Finding, f: &Finding| {
        f.class == Class::Violates && (f.event == own.event || own.cause.is_some_and(|cause| f.event >= cause))
    };
    let (echoing, plain): (Vec<Finding>, Vec<Finding>) = own.into_iter().partition(|o| oracle.iter().any(|f| causes(o, f)));
    let mut findings: Vec<(Option<usize>, Finding)> = oracle.iter().cloned().enumerate().map(|(i, f)| (Some(i), f)).collect();
    findings.extend(plain.into_iter().map(|f| (None, f)));
    findings.sort_by_key(|(_, f)| f.event);
    let of = |own: &Finding| {
        let place = |i: usize| findings.iter().position(|(from, _)| *from == Some(i));
        oracle.iter().enumerate().filter(|(_, f)| causes(own, f)).filter_map(|(i, _)| place(i)).collect()
    };
    // The same rule in the same exchange: until the next stimulus.
    let same = |own: &Finding| {
        let stimulus = |what: &What| match what {
            What::Arrive { .. } => true,
            What::Call { call, .. } => !matches!(call, Call::State { .. }),
            What::Emit { .. } | What::Quiet | What::Stall => false,
        };
        let next = trace.events.iter().enumerate().skip(own.event + 1).find(|(_, e)| stimulus(&e.what)).map_or(usize::MAX, |(i, _)| i);
        oracle.iter().any(|f| causes(own, f) && f.rule == own.rule && f.event < next)
    };
    let echoes = echoing.into_iter().map(|finding| Echo { of: of(&finding), same: same(&finding), finding }).collect();
    (findings.into_iter().map(|(_, f)| f).collect(), echoes)
}

/// Which of two classes a run counts as: a dead stack before a broken rule, a broken rule before what could not be judged.
fn severity(class: Class) -> u8 {
    match class {
        Class::Conforms => 0,
        Class::Variant => 1,
        Class::Departs => 2,
        Class::Unsupported => 3,
        Class::Inconclusive => 4,
        Class::Violates => 5,
        Class::NotPerformed => 6,
        Class::Flood => 7,
        Class::Hang => 8,
        Class::Crash => 9,
    }
}

/// The local port of listeners, and the closed one where nothing listens.
pub(super) const LISTEN_PORT: u16 = 8080;
/// A day, for what a real clock cannot wait for.
const A_DAY: Micros = 86_400_000_000;
/// The peer's port of flow 0; flow n has the n-th after it.
const PEER_PORT: u16 = 40_000;
/// The local port of the first connect.
pub(super) const CONNECT_PORT: u16 = 49_152;
/// The peer's port that connects go to.
pub(super) const CONNECT_TO: u16 = 80;
/// Timers in a row that may be due at once.
const MOST_SPINS: u32 = 64;
/// How far the clock moves when a target always has a timer due at once.
const SPIN_STEP: Micros = 1_000;
/// How long the harness may be kept from looking beside a stimulus: a segment that left meanwhile is taken for one that answers it.
const BLINK: Micros = 2_000;
/// How far a real wait may overshoot before the harness counts as held up.
const STALL: Micros = 150_000;
/// The longest real wait at a time.
const SLICE: Micros = 50_000;
/// Events in one run.
const MOST_EVENTS: usize = 50_000;
/// Views kept.
const MOST_VIEWS: usize = 1_000;
/// 2MSL by the RFC's own MSL of two minutes.
const RFC_TIME_WAIT: Micros = 240_000_000;
/// What a clock may be coarse by at the end of TIME-WAIT, however short that is.
const TIME_WAIT_SLACK: Micros = 1_000_000;

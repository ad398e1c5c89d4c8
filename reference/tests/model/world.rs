//! Two stacks, their users, and the wire between them: a state of the model, and what each action makes of it.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tcp_reference::api::{Call, CallError, CallResult, Family, How, Micros, SocketId};
use tcp_reference::profile::SECOND;
use tcp_reference::segment::{Segment, Tuple};
use tcp_reference::seq::Seq;
use tcp_reference::stack::{Mutant, Policy, Stack};
use tcp_reference::state::State;
use tcp_reference::trace::{Arrival, Trace, What};

/// What a scenario lets happen at most.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) name: &'static str,
    /// How each side opens.
    pub(crate) opens: [Opens; 2],
    /// Octets that each user writes, one a SEND.
    pub(crate) octets: [u8; 2],
    /// Segments under way in each direction; what is sent beyond is lost.
    pub(crate) capacity: usize,
    /// Segments that the wire loses.
    pub(crate) losses: u8,
    /// Segments that it delivers twice.
    pub(crate) duplicates: u8,
    /// Time-outs while segments are under way: the wire is slow.
    pub(crate) early: u8,
    /// Users write before their connection is established.
    pub(crate) writes_early: bool,
    /// Users close only once they have written everything.
    pub(crate) closes_last: bool,
    pub(crate) ack_delay: Micros,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Opens {
    Actively,
    Passively,
    /// Passively, before anything else happens.
    PassivelyAtOnce,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Action {
    Open(usize),
    Write(usize),
    Close(usize),
    /// A segment under way to this side arrives.
    Deliver(usize, usize),
    Lose(usize, usize),
    Duplicate(usize, usize),
    /// On to the next timer of either.
    Timer,
}

/// A state of the model. Two are the same where `key` is.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) sides: [Side; 2],
    /// Segments under way to each side, in an order of their own: the wire has none.
    pub(crate) wire: [Vec<Segment>; 2],
    losses: u8,
    duplicates: u8,
    early: u8,
    /// A reset was sent.
    pub(crate) resets: bool,
    /// A reset was sent without a cause.
    pub(crate) unfounded: bool,
    /// The wire was full, and a segment lost for it.
    pub(crate) full: bool,
    /// The states through which the last action took each side.
    pub(crate) steps: Vec<(State, State)>,
    pub(crate) key: u64,
}

/// A host and its user.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    stack: Stack,
    tuple: Tuple,
    opened: bool,
    listener: Option<SocketId>,
    pub(crate) socket: Option<SocketId>,
    pub(crate) written: Vec<u8>,
    pub(crate) read: Vec<u8>,
    pub(crate) closed: bool,
    pub(crate) eof: bool,
    pub(crate) error: Option<CallError>,
    /// ISS and SND.NXT, as the wire has shown them.
    shown: Option<(Seq, Seq)>,
    /// Where a walk is judged.
    pub(crate) trace: Option<Trace>,
}

impl World {
    pub(crate) fn new(bounds: &Bounds, mutant: Option<&'static Mutant>, judged: bool) -> World {
        // An oracle wants ISNs that follow the clock; a model whose times are relative does not.
        // So few challenges come that no throttle is ever felt.
        let policy = Policy { isn_clock: judged, ack_delay: bounds.ack_delay, challenge_acks: None, ..Policy::default() };
        let mut world = World {
            sides: [Side::new(0, &policy, mutant, judged), Side::new(1, &policy, mutant, judged)],
            wire: [Vec::new(), Vec::new()],
            losses: bounds.losses,
            duplicates: bounds.duplicates,
            early: bounds.early,
            resets: false,
            unfounded: false,
            full: false,
            steps: Vec::new(),
            key: 0,
        };
        for i in [0, 1] {
            if bounds.opens[i] == Opens::PassivelyAtOnce {
                world.open(i, Opens::Passively);
            }
        }
        world.settle(bounds);
        world.steps.clear();
        world
    }

    /// Everything that can happen now.
    pub(crate) fn actions(&self, bounds: &Bounds, actions: &mut Vec<Action>) {
        for (i, side) in self.sides.iter().enumerate() {
            if !side.opened {
                actions.push(Action::Open(i));
                continue;
            }
            if side.may_write(bounds, i) {
                actions.push(Action::Write(i));
            }
            if !side.closed && (!bounds.closes_last || side.has_written(bounds, i)) {
                actions.push(Action::Close(i));
            }
        }
        for (i, wire) in self.wire.iter().enumerate() {
            for n in (0..wire.len()).filter(|&n| n == 0 || wire[n] != wire[n - 1]) {
                actions.push(Action::Deliver(i, n));
                if self.losses > 0 {
                    actions.push(Action::Lose(i, n));
                }
                if self.duplicates > 0 && wire.len() < bounds.capacity {
                    actions.push(Action::Duplicate(i, n));
                }
            }
        }
        if let Some(wait) = self.next_timer() {
            // Nothing lives longer on the wire than MSL, half of what TIME-WAIT lasts.
            if self.is_quiet() || (self.early > 0 && wait <= 30 * SECOND) {
                actions.push(Action::Timer);
            }
        }
    }

    pub(crate) fn after(&self, action: Action, bounds: &Bounds) -> World {
        let mut next = self.clone();
        next.steps.clear();
        match action {
            Action::Open(i) => next.open(i, bounds.opens[i]),
            Action::Write(i) => next.write(i),
            Action::Close(i) => next.close(i),
            Action::Deliver(i, n) => {
                let segment = next.wire[i].remove(n);
                next.deliver(i, segment);
            }
            Action::Lose(i, n) => {
                next.wire[i].remove(n);
                next.losses -= 1;
            }
            Action::Duplicate(i, n) => {
                let again = next.wire[i][n].clone();
                next.wire[i].insert(n, again);
                next.duplicates -= 1;
            }
            Action::Timer => {
                let wait = next.next_timer().unwrap_or(0);
                if !next.is_quiet() {
                    next.early -= 1;
                }
                for i in [0, 1] {
                    next.during(i, |side| side.stack.advance_to(side.stack.now() + wait), |_, _, _| false);
                }
            }
        }
        next.settle(bounds);
        next
    }

    fn open(&mut self, i: usize, opens: Opens) {
        let passive = opens != Opens::Actively;
        let call = match passive {
            true => Call::Listen { port: PORT, family: Family::V4, backlog: 4 },
            false => Call::Connect { port: PORT, remote_port: PORT, family: Family::V4 },
        };
        self.sides[i].opened = true;
        self.during(
            i,
            |side| {
                let CallResult::Socket(socket) = side.call(call) else { return };
                *(if passive { &mut side.listener } else { &mut side.socket }) = Some(socket);
            },
            |_, _, _| false,
        );
    }

    fn write(&mut self, i: usize) {
        self.during(
            i,
            |side| {
                let Some(socket) = side.socket else { return };
                // Each octet says whose it is and which.
                let octet = u8::try_from(0x10 * (i + 1) + side.written.len()).unwrap_or(0);
                if let CallResult::Count(1) = side.call(Call::Send { socket, data: vec![octet], urgent: false }) {
                    side.written.push(octet);
                }
            },
            |_, _, _| false,
        );
    }

    /// CLOSE of the connection, or of the listener where there is none.
    fn close(&mut self, i: usize) {
        self.sides[i].closed = true;
        self.during(
            i,
            |side| match (side.socket, side.listener) {
                (Some(socket), _) => _ = side.call(Call::Shutdown { socket, how: How::Write }),
                (None, Some(socket)) => _ = side.call(Call::Close { socket }),
                (None, None) => {}
            },
            // What waited for `accept` goes with its listener.
            |side, _, _| side.socket.is_none(),
        );
    }

    fn deliver(&mut self, i: usize, segment: Segment) {
        let arrived = segment.clone();
        self.during(
            i,
            move |side| {
                side.stack.arrive(side.tuple, &segment);
                side.note(|side| What::Arrive { tuple: side.tuple, arrival: Arrival::Segment(segment) });
            },
            move |side, state, reset| side.founds(state, &arrived, reset),
        );
    }

    /// Something happens to a side: what leaves it goes onto the wire, and resets are asked for their cause.
    fn during(&mut self, i: usize, happens: impl FnOnce(&mut Side), founded: impl Fn(&Side, State, &Segment) -> bool) {
        let side = &mut self.sides[i];
        let before = side.stack.state(&side.tuple);
        happens(side);
        let after = side.stack.state(&side.tuple);
        if before != after {
            // Where a listener is open, CLOSED is LISTEN again; only a half-open connection goes back to it.
            let back = after == State::Listen && !matches!(before, State::SynReceived | State::Closed);
            self.steps.push((before, if back { State::Closed } else { after }));
        }
        let mut resets = 0;
        for departure in side.stack.departures() {
            let segment = departure.segment;
            if segment.is_rst() {
                resets += 1;
                self.resets = true;
                self.unfounded |= resets > 1 || !founded(side, before, &segment);
            }
            if segment.is_syn() {
                side.shown = Some((segment.seq, segment.end()));
            }
            if let Some((_, nxt)) = side.shown.as_mut().filter(|_| !segment.is_rst()) {
                *nxt = Seq::max(*nxt, segment.end());
            }
            let sent = segment.clone();
            side.note(move |side| What::Emit { tuple: side.tuple, segment: sent, defects: Vec::new() });
            self.wire[1 - i].push(segment);
        }
        side.attend();
    }

    /// What comes of itself after each action: the wire forgets its order and what is too much, and the state gets its key.
    fn settle(&mut self, bounds: &Bounds) {
        for wire in &mut self.wire {
            self.full |= wire.len() > bounds.capacity;
            wire.truncate(bounds.capacity);
            wire.sort_by_key(|s| (s.seq.0, s.ack.0, s.flags.0, s.payload.len(), s.window));
        }
        let mut hasher = DefaultHasher::new();
        self.sides.iter().for_each(|side| side.behaviour(&mut hasher));
        (&self.wire, self.losses, self.duplicates, self.early, self.resets, self.unfounded).hash(&mut hasher);
        self.key = hasher.finish();
    }

    fn next_timer(&self) -> Option<Micros> {
        self.sides.iter().filter_map(|s| s.stack.next_timer().map(|t| t - s.stack.now())).min()
    }

    fn is_quiet(&self) -> bool {
        self.wire.iter().all(Vec::is_empty)
    }

    pub(crate) fn states(&self) -> [State; 2] {
        [0, 1].map(|i| self.sides[i].stack.state(&self.sides[i].tuple))
    }

    /// Both users have closed, and nothing is left of either connection.
    pub(crate) fn is_over(&self) -> bool {
        let gone = self.states().iter().all(|s| matches!(s, State::Closed | State::Listen));
        gone && self.is_quiet() && self.next_timer().is_none() && self.sides.iter().all(|s| s.closed)
    }
}

impl Side {
    fn new(i: usize, policy: &Policy, mutant: Option<&'static Mutant>, judged: bool) -> Side {
        let at = |n: usize| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, u8::try_from(n + 1).unwrap_or(0))), PORT);
        Side {
            stack: Stack::new(policy.clone(), mutant, 7 + i as u64),
            tuple: Tuple { local: at(i), remote: at(1 - i) },
            opened: false,
            listener: None,
            socket: None,
            written: Vec::new(),
            read: Vec::new(),
            closed: false,
            eof: false,
            error: None,
            shown: None,
            trace: judged.then(Trace::default),
        }
    }

    fn may_write(&self, bounds: &Bounds, i: usize) -> bool {
        let established = matches!(self.stack.state(&self.tuple), State::Established | State::CloseWait);
        let early = matches!(self.stack.state(&self.tuple), State::SynSent | State::SynReceived) && bounds.writes_early;
        let left = self.written.len() < usize::from(bounds.octets[i]);
        self.socket.is_some() && !self.closed && left && (established || early)
    }

    /// Whether the user has written everything, or can write no more.
    fn has_written(&self, bounds: &Bounds, i: usize) -> bool {
        let gone = self.socket.is_some() && matches!(self.stack.state(&self.tuple), State::Closed | State::Listen);
        self.written.len() == usize::from(bounds.octets[i]) || gone
    }

    fn call(&mut self, call: Call) -> CallResult {
        let (local, remote) = (self.tuple.local.ip(), self.tuple.remote.ip());
        let result = self.stack.call(&call, |_| (local, remote));
        self.note(|_| What::Call { call, result: result.clone() });
        result
    }

    /// What the user does after everything that happens: accepts, and reads what there is.
    fn attend(&mut self) {
        if let (Some(socket), None, false) = (self.listener, self.socket, self.closed)
            && let CallResult::Accepted { socket, .. } = self.call(Call::Accept { socket })
        {
            self.socket = Some(socket);
        }
        let Some(socket) = self.socket else { return };
        for _ in 0..=4 {
            match self.call(Call::Recv { socket, max: 10 }) {
                CallResult::Data(data) => self.read.extend(data),
                // A connection that is gone has an end too, but not its peer's.
                CallResult::Eof => {
                    let lives = !matches!(self.stack.state(&self.tuple), State::Closed | State::Listen);
                    self.eof |= lives;
                    break;
                }
                CallResult::Error(CallError::WouldBlock) => break,
                CallResult::Error(error) => {
                    self.error = Some(error);
                    break;
                }
                _ => break,
            }
        }
        if self.trace.is_some() {
            self.call(Call::State { socket });
        }
        self.note(|_| What::Quiet);
    }

    /// Whether this reset is one of those that section 3.5.2 has a stack send in answer to a segment, in the form that it gives: nothing
    /// else may reset a connection whose user has not asked for it.
    fn founds(&self, state: State, arrived: &Segment, reset: &Segment) -> bool {
        let form = match arrived.is_ack() {
            true => reset.seq == arrived.ack && !reset.is_ack(),
            false => reset.seq == Seq(0) && reset.is_ack() && reset.ack == arrived.end(),
        };
        let acceptable = self.shown.is_some_and(|(iss, nxt)| arrived.ack.gt(iss) && arrived.ack.le(nxt));
        let due = match state {
            // 1. The connection does not exist.
            State::Closed => !arrived.is_rst(),
            // 2. A state that is not synchronized, and an acknowledgment of something that was not sent.
            State::Listen => arrived.is_ack() && !arrived.is_rst(),
            State::SynSent | State::SynReceived => arrived.is_ack() && !arrived.is_rst() && !acceptable,
            // 3. A synchronized state answers with an acknowledgment.
            State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait => false,
        };
        form && due
    }

    fn behaviour(&self, to: &mut impl Hasher) {
        self.stack.behaviour(to);
        (self.opened, self.listener, self.socket, &self.written, &self.read).hash(to);
        (self.closed, self.eof, &self.error, self.shown).hash(to);
    }

    fn note(&mut self, what: impl FnOnce(&Side) -> What) {
        let Some(mut trace) = self.trace.take() else { return };
        trace.push(self.stack.now(), what(self));
        self.trace = Some(trace);
    }
}

impl PartialEq for World {
    fn eq(&self, other: &World) -> bool {
        self.key == other.key
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, to: &mut H) {
        self.key.hash(to);
    }
}

/// Both sides' port.
const PORT: u16 = 80;

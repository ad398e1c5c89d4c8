//! A stack on another host or in another network namespace, over an interface that is named: `raw:INTERFACE,stack=…,peer=…`.
//!
//! ```text
//! Target ─► Raw ─┬─► Control ── TCP ──► harness agent ─► the sockets of the stack's host
//!                └─► Watch ─► Wire ── Ethernet frames ──► the stack
//! ```
//!
//! The harness plays one host of the link, the peer, whose address no interface has. Calls are made by an agent on the stack's side; without
//! one the stack is judged by the wire alone, and vectors that need calls are `unsupported`. The clock is this host's.

mod control;
pub mod frame;
mod spec;
mod wire;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tcp_reference::api::{Call, CallResult, Family, Micros};

use self::control::Control;
use self::wire::Wire;
use crate::protocol::{Hello, Identity, VERSION};
use crate::target::{Capabilities, Clock, NextTimer, Reply, Target, TargetError};
use crate::targets::watch::{Link, Watch};
use crate::wire::{Read, read};
pub use spec::{FORM, Pair, Spec};

/// What stands before the interface.
pub const PREFIX: &str = "raw:";
/// The name of a stack that is judged by the wire alone.
pub const NAME: &str = "raw";

/// A stack behind an interface.
pub struct Raw {
    capabilities: Capabilities,
    spec: Spec,
    wire: Wire,
    watch: Watch,
    /// `None` without an agent, or from its failing until the next reset.
    control: Option<Control>,
    /// The IP version of what was last asked for.
    v4: bool,
    /// Whether the stack answers echo requests.
    echoes: bool,
    /// How long a datagram may be under way.
    delay: Micros,
}

impl Raw {
    /// Opens the interface that `text` names, finds the stack, and greets the agent.
    ///
    /// # Errors
    /// [`TargetError::Unavailable`]: what is in the way, or why it must not be.
    pub fn new(text: &str) -> Result<Raw, TargetError> {
        let spec = Spec::parse(text).map_err(TargetError::Unavailable)?;
        let wire = Wire::open(&spec)?;
        let family = |p: &Pair| if p.stack.is_ipv4() { Family::V4 } else { Family::V6 };
        let ends = |of: fn(&Pair) -> IpAddr| {
            let none = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
            none.map(|a| spec.pair(a.is_ipv4()).map_or(a, of))
        };
        let capabilities = Capabilities {
            name: NAME.to_owned(),
            version: "unknown".to_owned(),
            clock: Clock::Real,
            repeatable: false,
            families: spec.pairs.iter().map(family).collect(),
            local: ends(|p| p.stack),
            remote: ends(|p| p.peer),
            mtu: wire.mtu(),
            settings: vec![format!(
                "over the interface {}, one vector at a time, the peer's addresses being the harness's own",
                spec.interface
            )],
            alone: true,
        };
        let v4 = spec.pairs.iter().any(|p| p.stack.is_ipv4());
        let mut raw = Raw { capabilities, spec, wire, watch: Watch::new(0), control: None, v4, echoes: true, delay: 0 };
        raw.measure()?;
        raw.greet()?;
        Ok(raw)
    }

    /// How long an echo request takes to come back: the fastest of some, for the slower ones tell how busy this host is. A datagram that comes
    /// from the stack alone is under way for about half as long.
    fn measure(&mut self) -> Result<(), TargetError> {
        for pair in self.spec.pairs.clone() {
            let mut fastest = Micros::MAX;
            for _ in 0..ECHOES {
                match self.watch.barrier(&mut self.wire, (pair.peer, pair.stack)) {
                    Ok(time) => fastest = fastest.min(time),
                    Err(TargetError::Hang(_)) => {
                        self.echoes = false;
                        self.capabilities.settings.push(format!(
                            "{} does not answer echo requests (RFC 1122 section 3.2.2.6, RFC 4443 section 4.2): silence is {} ms without a segment",
                            pair.stack,
                            QUIET / 1000
                        ));
                        return Ok(());
                    }
                    Err(error) => return Err(error),
                }
            }
            self.delay = self.delay.max(fastest);
        }
        if self.delay > FARTHEST {
            return Err(TargetError::Unavailable(format!(
                "an echo takes {} us to the stack and back: what is under way when a segment leaves could not be told from its answer; it has \
                 to be {FARTHEST} us at most",
                self.delay
            )));
        }
        self.capabilities.settings.push(format!("an echo request takes {} us there and back", self.delay));
        Ok(())
    }

    /// Connects to the agent, where there is to be one.
    fn greet(&mut self) -> Result<(), TargetError> {
        let Some(at) = self.spec.agent else {
            self.capabilities.settings.push("by the wire alone: no agent makes calls".to_owned());
            return Ok(());
        };
        let identity = self.connect(at)?;
        self.capabilities.name = identity.name;
        self.capabilities.version = identity.version;
        let spoken: Vec<Family> = identity.families.into_iter().map(Family::from).collect();
        self.capabilities.families.retain(|f| spoken.contains(f));
        self.capabilities.settings.push(format!("calls are made by the agent at {at}"));
        self.capabilities.settings.extend(identity.settings);
        Ok(())
    }

    fn connect(&mut self, at: std::net::SocketAddr) -> Result<Identity, TargetError> {
        let Capabilities { local, remote, mtu, .. } = self.capabilities;
        let (control, identity) = Control::open(at, Hello { protocol: VERSION, local, remote, mtu })?;
        self.control = Some(control);
        Ok(identity)
    }

    /// Everything that the stack sends at once has been read when this returns: a datagram that went in last comes back last.
    fn settle(&mut self) -> Result<(), TargetError> {
        let Some(pair) = self.spec.pair(self.v4).filter(|_| self.echoes) else {
            let mut seen = usize::MAX;
            let mut since = self.watch.now();
            loop {
                self.watch.drain(&mut self.wire)?;
                if std::mem::replace(&mut seen, self.watch.packets.len()) != self.watch.packets.len() {
                    since = self.watch.now();
                }
                let Some(left) = (since + QUIET).checked_sub(self.watch.empty_at).filter(|left| *left > 0) else { return Ok(()) };
                Watch::wait(&self.wire, std::time::Duration::from_micros(left))?;
            }
        };
        let ends = (pair.peer, pair.stack);
        self.watch.barrier(&mut self.wire, ends).map(|_| ())
    }

    /// Where the agent is gone, its sockets are too, and the kernel's resets are no answer to anything.
    fn reply<T>(&mut self, value: T) -> Result<Reply<T>, TargetError> {
        if let Some(control) = &mut self.control
            && self.watch.packets.iter().any(|p| matches!(read(&p.ip), Ok(Read::Tcp(tcp)) if tcp.segment.is_rst()))
        {
            control.is_there().inspect_err(|_| self.control = None)?;
        }
        Ok(Reply { value, packets: self.watch.take(), now: self.watch.empty_at, next_timer: NextTimer::Unknown })
    }
}

impl Target for Raw {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The agent gives up every socket; what they still send is discarded. The stack takes no seed.
    fn reset(&mut self, seed: u64) -> Result<(), TargetError> {
        if let (None, Some(at)) = (&self.control, self.spec.agent) {
            self.connect(at)?;
        }
        if let Some(control) = &mut self.control {
            control.reset(seed).inspect_err(|_| self.control = None)?;
        }
        self.watch.take();
        self.settle()?;
        self.watch = Watch::new(self.delay);
        Ok(())
    }

    fn call(&mut self, call: &Call) -> Result<Reply<CallResult>, TargetError> {
        if let Call::Listen { family, .. } | Call::Connect { family, .. } = call {
            self.v4 = *family == Family::V4;
        }
        self.watch.drain(&mut self.wire)?;
        let result = match (&mut self.control, self.spec.agent) {
            (Some(control), _) => control.call(call).inspect_err(|_| self.control = None)?,
            (None, None) => CallResult::Unsupported,
            (None, Some(at)) => return Err(TargetError::Harness(format!("the agent at {at} failed before"))),
        };
        // To ask for a state sends nothing.
        match call {
            Call::State { .. } => self.watch.drain(&mut self.wire)?,
            _ => self.settle()?,
        }
        self.reply(result)
    }

    fn deliver(&mut self, datagrams: &[Vec<u8>]) -> Result<Reply<()>, TargetError> {
        self.watch.drain(&mut self.wire)?;
        for datagram in datagrams {
            self.wire.send(datagram)?;
        }
        if let Some(octet) = datagrams.iter().find_map(|d| d.first()) {
            self.v4 = octet >> 4 == 4;
            self.settle()?;
        }
        self.reply(())
    }

    fn advance(&mut self, us: Micros) -> Result<Reply<()>, TargetError> {
        self.watch.advance(&mut self.wire, us)?;
        self.reply(())
    }
}

/// Echo requests by which the way's time is measured.
const ECHOES: u32 = 8;
/// The longest that one may take, microseconds: the session takes a segment whose time it knows less well than to 2 ms for no answer.
const FARTHEST: Micros = 1_500;
/// After so long without a segment a stack that answers no echo request counts as silent, microseconds: what "should be sent at once"
/// allows for.
const QUIET: Micros = 20_000;

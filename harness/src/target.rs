//! What the harness needs of a stack under test. `TARGET_PROTOCOL.md` is the wire form of this trait, with the same meaning.

use std::net::IpAddr;

use tcp_reference::api::{Call, CallResult, Family, Micros};

/// A stack under test.
pub trait Target {
    /// What it is and can do; fixed for its lifetime.
    fn capabilities(&self) -> &Capabilities;

    /// A fresh stack at time 0 without sockets. Two runs with the same seed and requests give the same octets where
    /// [`Capabilities::repeatable`] says so.
    ///
    /// # Errors
    /// The target could not be started again.
    fn reset(&mut self, seed: u64) -> Result<(), TargetError>;

    /// A user call; returns when the stack has settled.
    ///
    /// # Errors
    /// The stack died, hung or flooded.
    fn call(&mut self, call: &Call) -> Result<Reply<CallResult>, TargetError>;

    /// Whole IP datagrams arrive in order; no time passes and no call or timer comes between them. An empty slice lets the stack run.
    ///
    /// # Errors
    /// The stack died, hung or flooded.
    fn deliver(&mut self, datagrams: &[Vec<u8>]) -> Result<Reply<()>, TargetError>;

    /// Time moves on by `us` microseconds. A virtual clock jumps, every timer firing at its own time; a real one waits, and returns early
    /// as soon as the stack has sent something, with [`Reply::now`] saying how far it came.
    ///
    /// # Errors
    /// The stack died, hung or flooded.
    fn advance(&mut self, us: Micros) -> Result<Reply<()>, TargetError>;

    /// Octets of memory that the stack's process holds now beyond those that it held after its first reset; `None` where the process is not the
    /// stack's own, or that cannot be told.
    fn growth(&self) -> Option<u64> {
        None
    }

    /// The next reset begins with a fresh process, where the stack has one of its own.
    fn renew(&mut self) {}
}

/// What a target is and can do.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// The target's name, as after `--target`.
    pub name: String,
    /// The stack's version.
    pub version: String,
    /// Which clock it has.
    pub clock: Clock,
    /// Whether the same seed and requests give the same octets.
    pub repeatable: bool,
    /// IP versions.
    pub families: Vec<Family>,
    /// The stack's addresses, IPv4 first.
    pub local: [IpAddr; 2],
    /// The peer's addresses, IPv4 first.
    pub remote: [IpAddr; 2],
    /// The link's MTU in octets.
    pub mtu: u16,
    /// What was changed from the stack's own defaults, each with its reason, for the report.
    pub settings: Vec<String>,
    /// Whether no second one can be open beside it, so that vectors run one after the other.
    pub alone: bool,
}

/// Which clock a target has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// Moves only by [`Target::advance`].
    Virtual,
    /// The machine's.
    Real,
}

/// A target's answer.
#[derive(Clone, Debug)]
pub struct Reply<T> {
    /// The call's own answer.
    pub value: T,
    /// What the stack put on the wire since the last reply, in order.
    pub packets: Vec<Packet>,
    /// The target's clock now: everything sent until then is in `packets` of this or an earlier reply.
    pub now: Micros,
    /// When the stack's next timer is due.
    pub next_timer: NextTimer,
}

/// When a stack would next act without input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NextTimer {
    /// Not before this time, on the target's clock.
    At(Micros),
    /// Never.
    Never,
    /// The target cannot tell.
    Unknown,
}

/// A datagram that left the stack.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Earliest time at which it can have left.
    pub from: Micros,
    /// Latest time at which it can have left; equal to `from` on a virtual clock.
    pub at: Micros,
    /// The whole IP datagram.
    pub ip: Vec<u8>,
}

/// Why a target gave no answer. Never a finding about TCP's rules by itself; the report has classes of its own for these.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TargetError {
    /// The target cannot run here: what is missing and how to get it. Exit code 77.
    Unavailable(String),
    /// The stack died: a panic's text, or exit status and the tail of standard error.
    Crash(String),
    /// The stack did not answer in time.
    Hang(String),
    /// The stack would not stop sending.
    Flood(String),
    /// The target cannot take this stimulus, or must not: the vector that has it is `unsupported`.
    Unsupported(String),
    /// The harness's own failing. Exit code 70.
    Harness(String),
}

impl TargetError {
    /// Why, in words, whatever kind of failure it is.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            TargetError::Unavailable(why)
            | TargetError::Crash(why)
            | TargetError::Hang(why)
            | TargetError::Flood(why)
            | TargetError::Unsupported(why)
            | TargetError::Harness(why) => why,
        }
    }
}

//! The target protocol, version 1: one JSON object a line, in strict lockstep (`harness/TARGETS.md`).
//!
//! Both sides stand here: the harness writes [`Request`]s and reads [`Response`]s, [`serve`] does the opposite.

pub(crate) mod convert;
pub mod serve;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::target::Clock;

/// The protocol's version.
pub const VERSION: u32 = 1;

/// What the harness asks; `op` says which.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Request {
    /// First, and once.
    Hello(Hello),
    /// A fresh stack at time 0 without sockets.
    Reset {
        /// Decides every random choice of the stack.
        seed: u64,
        /// Wishes.
        #[serde(default)]
        config: Config,
    },
    /// Passive OPEN.
    Listen {
        /// Local port.
        port: u16,
        /// IP version.
        family: Version,
        /// Connections that may be half-open or wait for `accept` together.
        #[serde(default = "backlog")]
        backlog: u16,
        /// Options that accepted sockets have too.
        #[serde(default)]
        options: Options,
    },
    /// Takes the next connection from a listener.
    Accept {
        /// The listener.
        socket: u32,
    },
    /// Active OPEN; never waits.
    Connect {
        /// Local port.
        port: u16,
        /// Remote port.
        remote_port: u16,
        /// IP version.
        family: Version,
        /// Options that hold before the SYN leaves.
        #[serde(default)]
        options: Options,
    },
    /// SEND.
    Send {
        /// The connection.
        socket: u32,
        /// The octets offered.
        data: Octets,
        /// RFC 9293's URGENT flag.
        #[serde(default)]
        urgent: bool,
    },
    /// RECEIVE.
    Recv {
        /// The connection.
        socket: u32,
        /// Most octets wanted.
        max: u32,
    },
    /// Half-close; `write` is RFC 9293 CLOSE.
    Shutdown {
        /// The connection.
        socket: u32,
        /// Which directions end.
        how: How,
    },
    /// The sockets API's `close`: CLOSE, and nobody reads any more.
    Close {
        /// The connection or listener.
        socket: u32,
    },
    /// RFC 9293 ABORT.
    Abort {
        /// The connection.
        socket: u32,
    },
    /// Sets an option.
    Set {
        /// The socket.
        socket: u32,
        /// Option and value.
        #[serde(flatten)]
        option: SetOption,
    },
    /// STATUS, its state alone.
    State {
        /// The socket.
        socket: u32,
    },
    /// Datagrams arrive, in order and together.
    Deliver {
        /// Whole IP datagrams; an empty list lets the stack run.
        packets: Vec<Octets>,
    },
    /// Time moves on.
    Advance {
        /// By so many microseconds.
        us: u64,
    },
}

impl Request {
    /// A reset, with the buffers that the harness wishes for: the most without a window scale.
    #[must_use]
    pub fn reset(seed: u64) -> Request {
        Request::Reset { seed, config: Config { recv_buffer: Some(65_535), send_buffer: Some(65_535) } }
    }
}

/// What `hello` says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Hello {
    /// The protocol's version.
    pub protocol: u32,
    /// The stack's addresses, IPv4 first.
    pub local: [std::net::IpAddr; 2],
    /// The peer's addresses, IPv4 first.
    pub remote: [std::net::IpAddr; 2],
    /// The link's MTU in octets.
    pub mtu: u16,
}

/// Buffer sizes in octets: as wishes in `reset`, as they are in its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Config {
    /// Receive buffer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recv_buffer: Option<u64>,
    /// Send buffer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_buffer: Option<u64>,
}

/// Socket options, each only where it is to be set.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Options {
    /// Nagle's algorithm off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodelay: Option<bool>,
    /// Timestamps offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamps: Option<bool>,
    /// SACK offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sack: Option<bool>,
    /// Window scale offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_scale: Option<bool>,
    /// Delayed ACK interval, microseconds; null for no delay.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub ack_delay_us: Option<Option<u64>>,
    /// Keep-alive interval, microseconds; null for off.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub keepalive_us: Option<Option<u64>>,
    /// User timeout, microseconds; null for the stack's own.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub timeout_us: Option<Option<u64>>,
    /// Maximum segment size offered, octets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mss: Option<u16>,
    /// DSCP of the DS field, 0 to 63.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dscp: Option<u8>,
    /// Time to live, or hop limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u8>,
    /// Congestion control by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub congestion: Option<String>,
}

/// One option with its value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "option", content = "value", rename_all = "snake_case")]
pub enum SetOption {
    /// Nagle's algorithm off.
    Nodelay(bool),
    /// Timestamps offered.
    Timestamps(bool),
    /// SACK offered.
    Sack(bool),
    /// Window scale offered.
    WindowScale(bool),
    /// Delayed ACK interval, microseconds; null for no delay.
    AckDelayUs(Option<u64>),
    /// Keep-alive interval, microseconds; null for off.
    KeepaliveUs(Option<u64>),
    /// User timeout, microseconds; null for the stack's own.
    TimeoutUs(Option<u64>),
    /// Maximum segment size offered, octets.
    Mss(u16),
    /// DSCP of the DS field, 0 to 63.
    Dscp(u8),
    /// Time to live, or hop limit.
    Ttl(u8),
    /// Congestion control by its name.
    Congestion(String),
}

/// Which directions `shutdown` ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Nobody reads any more.
    Read,
    /// RFC 9293 CLOSE; the user still reads.
    Write,
    /// Both.
    Both,
}

/// An IP version: the number 4 or 6.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u8", into = "u8")]
#[schemars(extend("enum" = [4, 6]))]
pub struct Version(pub u8);

impl TryFrom<u8> for Version {
    type Error = String;

    fn try_from(number: u8) -> Result<Version, String> {
        if matches!(number, 4 | 6) { Ok(Version(number)) } else { Err(format!("{number} is no IP version: 4 or 6")) }
    }
}

impl From<Version> for u8 {
    fn from(version: Version) -> u8 {
        version.0
    }
}

/// Octets as lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(transparent)]
#[serde(transparent)]
pub struct Octets(
    #[serde(with = "hex::serde")]
    #[schemars(with = "String", regex(pattern = "^([0-9a-f]{2})*$"))]
    pub Vec<u8>,
);

/// An answer: the fields of its own request, and those that any answer may hold.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Response {
    /// What the stack put on the wire since the last answer, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packets: Vec<Packet>,
    /// Absolute, later than now: before it nothing happens without input. Null when nothing is pending; left out when the stack cannot tell.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub next_timer_us: Option<Option<u64>>,
    /// The stack would not stop sending.
    #[serde(default, skip_serializing_if = "not")]
    pub flood: bool,
    /// The stack has no such call or option.
    #[serde(default, skip_serializing_if = "not")]
    pub unsupported: bool,
    /// `would-block`, `refused`, `reset`, `timed-out`, `not-connected`, `closed`, `address-in-use`, `no-buffer`, `invalid`, or `other: …`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// `listen`, `accept`, `connect`: the new socket's id, never given before since `reset`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<u32>,
    /// `accept`: the peer's address and port, where the stack tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<std::net::SocketAddr>,
    /// `send`: octets taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// `recv`: octets given, at least one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Octets>,
    /// `recv`: the peer has closed and everything was read.
    #[serde(default, skip_serializing_if = "not")]
    pub eof: bool,
    /// `state`: its name in RFC 9293, as in `FIN-WAIT-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// `reset`: what was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Config>,
}

/// A datagram that left the stack.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Packet {
    /// When, on the target's clock.
    pub us: u64,
    /// The whole IP datagram.
    pub ip: Octets,
}

/// The answer to `hello`: what a target says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// The protocol's version.
    pub protocol: u32,
    /// The stack's name: lower-case letters, digits and hyphens; expectations, profile and snapshots go by it.
    pub name: String,
    /// The stack's version.
    pub version: String,
    /// `virtual` or `real`.
    pub clock: ClockName,
    /// What `advance` takes a multiple of, microseconds.
    #[serde(default = "one")]
    pub tick_us: u64,
    /// Whether the same seed and requests give the same octets.
    #[serde(default = "yes")]
    pub repeatable: bool,
    /// IP versions.
    pub families: Vec<Version>,
    /// The calls that the stack has.
    pub calls: Vec<String>,
    /// What was changed from the stack's own defaults, each with its reason, for the report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<String>,
}

/// Which clock a target has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClockName {
    /// Moves only by `advance`.
    Virtual,
    /// The machine's.
    Real,
}

impl From<ClockName> for Clock {
    fn from(name: ClockName) -> Clock {
        match name {
            ClockName::Virtual => Clock::Virtual,
            ClockName::Real => Clock::Real,
        }
    }
}

/// The time, or the next that a clock of this tick can show.
pub(crate) fn whole_ticks(us: u64, tick: u64) -> u64 {
    us.checked_next_multiple_of(tick.max(1)).unwrap_or(u64::MAX)
}

/// The user's calls, as `calls` names them.
pub const CALLS: [&str; 10] = ["listen", "accept", "connect", "send", "recv", "shutdown", "close", "abort", "set", "state"];

/// The protocol's JSON Schema, of requests and responses.
#[must_use]
pub fn schema() -> serde_json::Value {
    let of = |schema: schemars::Schema| schema.to_value();
    serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Target protocol, version 1",
        "description": "A line from the harness is a request, a line from the target a response; that to the request hello is a hello. harness/TARGETS.md says what they mean.",
        "$defs": {
            "request": of(schemars::schema_for!(Request)),
            "hello": of(schemars::schema_for!(Identity)),
            "response": of(schemars::schema_for!(Response)),
        },
    })
}

fn backlog() -> u16 {
    8
}

fn one() -> u64 {
    1
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn not(flag: &bool) -> bool {
    !flag
}

/// A field that may be null tells apart null and left out.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

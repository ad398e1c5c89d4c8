//! A vector as values: a header, and steps that are stimuli or assertions. A [`Script`] is the stimuli alone.

use tcp_reference::api::{CallError, Family, How, Micros, SetOption};
use tcp_reference::icmp::IcmpError;
use tcp_reference::ip::Codepoint;
use tcp_reference::segment::{Flags, TcpOption};
use tcp_reference::state::State;

/// A golden vector: one behaviour, with the rules that it exercises.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Vector {
    /// `area/slug`; never changes.
    pub id: String,
    /// What the header's `//@` lines say.
    pub header: Header,
    /// The steps in order.
    pub steps: Vec<Step>,
}

/// What a vector's `//@` lines say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Header {
    /// One line that says what happens.
    pub title: String,
    /// Ids of the catalogue.
    pub rules: Vec<String>,
    /// The level of the strongest rule: `must`, `should` or `may`.
    pub level: String,
    /// Where it comes from, in free text.
    pub source: String,
    /// TC8 test cases that it covers.
    pub tc8: Vec<String>,
    /// What the target must have: names of calls (`listen accept connect`), `linger` and the like.
    pub needs: Vec<String>,
    /// IP versions it runs over; both unless the header says `family: 4` or `6`, with the reason in `family-why`.
    pub families: Vec<Family>,
    /// Why not both; empty where it runs over both.
    pub family_why: String,
}

/// A step with the time that passes before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Microseconds from the step before; for an assertion, the earliest time.
    pub after: Micros,
    /// For an assertion written `+a~+b`, the latest time, microseconds from the step before.
    pub until: Option<Micros>,
    /// What happens.
    pub kind: StepKind,
    /// The line of the source it stands on, from 1; 0 where there is no source.
    pub line: u32,
}

/// A stimulus or an assertion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StepKind {
    /// `<`: a segment to the stack. Several that carry [`SegmentSpec::joined`] arrive together before the stack runs.
    Inject(SegmentSpec),
    /// `< icmp`: an ICMP error about a segment of the stack.
    Icmp(IcmpSpec),
    /// `>`: the next segment of the stack that a MAY permit does not explain must match this.
    Expect(ExpectSpec),
    /// A user call, with what it must return where the vector says so.
    Call(CallStep),
    /// `%{ assert tcpi_state == TCP_ESTABLISHED }%`: the state of the socket that the last accept or connect gave.
    AssertState(State),
    /// Time passes, nothing else.
    Wait,
}

/// A number that is relative to what was seen on the wire. The names are the stack's own variables as a peer can infer them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Num {
    /// What it is relative to.
    pub base: Base,
    /// Octets from there.
    pub offset: i32,
}

/// What a [`Num`] is relative to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Base {
    /// Zero: an absolute number.
    Zero,
    /// The stack's ISN (`{iss}`), as in its latest SYN on this flow; before it sent one, 0.
    Iss,
    /// The peer's ISN (`{irs}`): the number that relative sequence numbers of `<` lines count from.
    Irs,
    /// `{snd_una}`: the highest acknowledgment that the peer sent.
    SndUna,
    /// `{snd_nxt}`: the number after the last that the stack sent.
    SndNxt,
    /// `{rcv_nxt}`: the highest acknowledgment seen from the stack.
    RcvNxt,
    /// `{rcv_right}`: the right edge of the window that the stack advertised.
    RcvRight,
    /// `{peer_nxt}`: the number after what was sent to the stack contiguously.
    PeerNxt,
}

/// A segment to send to the stack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentSpec {
    /// Which of the peer's ports: 0 is the vector's connection, others are written `<#1`, `<#2`, …
    pub flow: u8,
    /// Arrives together with the segment before it, before the stack runs (`[joined]`).
    pub joined: bool,
    /// ECN's codepoint in the IP header (`[ce]`).
    pub ecn: Codepoint,
    /// The control bits.
    pub flags: Flags,
    /// SEG.SEQ.
    pub seq: Num,
    /// SEG.ACK; `None` leaves the field 0 where ACK is off.
    pub ack: Option<Num>,
    /// The window field as on the wire.
    pub window: u16,
    /// The urgent pointer field.
    pub urgent: u16,
    /// Options in wire order.
    pub options: Vec<TcpOption>,
    /// The text.
    pub payload: Payload,
    /// What is odd about the datagram.
    pub oddity: Option<Oddity>,
}

/// An ICMP error to send to the stack: it quotes a segment's IP header and the first 8 octets of its TCP header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IcmpSpec {
    /// Which flow the quoted segment belongs to.
    pub flow: u8,
    /// What it reports.
    pub error: IcmpError,
    /// SEG.SEQ of the quoted segment.
    pub seq: Num,
    /// Octets of text of the quoted segment.
    pub len: u16,
}

/// A segment's text or a call's data.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Payload {
    /// So many octets of the stream's own pattern, chosen by position in the stream, so that a retransmission holds the same octets.
    Pattern(u16),
    /// As [`Payload::Pattern`], but from another pattern: a retransmission that lies.
    Other(u16),
    /// These octets (`[text "GET / HTTP/1.1\r\n"]`, `write(4, "…", n)`).
    Text(Vec<u8>),
}

impl Payload {
    /// Its length in octets.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Payload::Pattern(n) | Payload::Other(n) => usize::from(*n),
            Payload::Text(t) => t.len(),
        }
    }

    /// Whether there are no octets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What is odd about a datagram: the language's extensions, each written in brackets at the end of a `<` line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Oddity {
    /// `[bad-checksum]`.
    BadChecksum,
    /// `[data-offset N]`: the field's value, 32-bit words.
    DataOffset(u8),
    /// `[truncated N]`: only the first N octets of the TCP header arrive.
    Truncated(u8),
    /// `[reserved N]`: the reserved bits' value.
    Reserved(u8),
    /// `[fragment]`: the first fragment of a datagram whose rest never comes.
    Fragment,
    /// `[ip-option]`: an IPv4 header with an option that nobody knows; nothing odd over IPv6.
    IpOption,
    /// `[from broadcast|multicast|unspecified]`: an invalid source.
    From(OddAddress),
    /// `[to broadcast|multicast]`: an invalid destination.
    To(OddAddress),
}

/// An address that is not a host's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OddAddress {
    /// 255.255.255.255 (IPv4 only).
    Broadcast,
    /// 224.0.0.1 or ff02::1.
    Multicast,
    /// 0.0.0.0 or ::.
    Unspecified,
}

/// A pattern for a segment of the stack; `None` is free.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpectSpec {
    /// Which of the peer's ports.
    pub flow: u8,
    /// ECN's codepoint in the IP header.
    pub ecn: Option<Codepoint>,
    /// The control bits; PSH is never compared.
    pub flags: Flags,
    /// SEG.SEQ.
    pub seq: Option<Num>,
    /// Octets of text.
    pub len: Option<u16>,
    /// SEG.ACK.
    pub ack: Option<Num>,
    /// The window field as on the wire.
    pub window: Option<u16>,
    /// Options in wire order; `<...>` and a missing list are free.
    pub options: Option<Vec<TcpOption>>,
}

/// A user call with its expected result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallStep {
    /// The call.
    pub call: VectorCall,
    /// What it must return; `None` is free.
    pub result: Option<Returned>,
}

/// A user call by the vector's own socket names (packetdrill's file descriptors).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum VectorCall {
    /// `socket(..., SOCK_STREAM, IPPROTO_TCP) = 3`.
    Socket,
    /// `bind(3, ..., ...) = 0`.
    Bind(u8),
    /// `listen(3, 1) = 0`.
    Listen(u8, u16),
    /// `accept(3, ..., ...) = 4`.
    Accept(u8),
    /// `connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)`.
    Connect(u8),
    /// `write(4, ..., 100) = 100`.
    Write(u8, Payload),
    /// `send(4, ..., 1, MSG_OOB) = 1`.
    SendUrgent(u8, Payload),
    /// `read(4, ..., 100) = 100`.
    Read(u8, u32),
    /// `shutdown(4, SHUT_WR) = 0`.
    Shutdown(u8, How),
    /// `close(4) = 0`; an abort after `setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0`.
    Close(u8),
    /// `setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0`: the next close aborts.
    LingerZero(u8),
    /// Any other option that has a meaning on every target.
    Set(u8, SetOption),
    /// A line that has a meaning for packetdrill only (`fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0`); kept as written.
    Ignored(String),
}

impl VectorCall {
    /// The name of the socket that the call is made on.
    #[must_use]
    pub fn socket(&self) -> Option<u8> {
        match self {
            VectorCall::Bind(fd)
            | VectorCall::Listen(fd, _)
            | VectorCall::Accept(fd)
            | VectorCall::Connect(fd)
            | VectorCall::Write(fd, _)
            | VectorCall::SendUrgent(fd, _)
            | VectorCall::Read(fd, _)
            | VectorCall::Shutdown(fd, _)
            | VectorCall::Close(fd)
            | VectorCall::LingerZero(fd)
            | VectorCall::Set(fd, _) => Some(*fd),
            VectorCall::Socket | VectorCall::Ignored(_) => None,
        }
    }
}

/// What a call must return.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Returned {
    /// A number: 0, a count, or a socket's name.
    Value(u32),
    /// `-1` with an errno that stands for this error.
    Error(CallError),
}

/// A list of stimuli: what the fuzzer makes, and what a finding is reduced to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Script {
    /// The stimuli; no step is an assertion and no call has an expected result.
    pub steps: Vec<Step>,
}

impl Vector {
    /// The stimuli alone; what is left out leaves the time that passed before it.
    #[must_use]
    pub fn script(&self) -> Script {
        let stimulus = |step: &Step| match &step.kind {
            StepKind::Inject(_) | StepKind::Icmp(_) | StepKind::Wait => Some(step.clone()),
            StepKind::Call(CallStep { call: VectorCall::Ignored(_), .. }) | StepKind::Expect(_) | StepKind::AssertState(_) => {
                Some(Step { kind: StepKind::Wait, until: None, ..step.clone() }).filter(|s| s.after > 0)
            }
            StepKind::Call(c) => Some(Step { kind: StepKind::Call(CallStep { call: c.call.clone(), result: None }), ..step.clone() }),
        };
        Script { steps: self.steps.iter().filter_map(stimulus).collect() }
    }
}

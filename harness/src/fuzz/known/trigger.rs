//! What must have come before a finding for a cause to be meant: where a fault shows by fingerprints that others share, what set it off tells
//! it from them.

use serde::{Deserialize, Serialize};
use tcp_reference::api::{Call, How};
use tcp_reference::segment::{Flags, Segment, TcpOption, Tuple};
use tcp_reference::seq::Seq;
use tcp_reference::trace::{Arrival, Trace, What};

/// What sets a fault off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Trigger {
    /// An acknowledgment at or below the stack's ISN, which no octet of this connection can have drawn.
    AckBelowIss,
    /// After the stack's SYN-ACK, an acknowledgment of anything else.
    AckNotOfSynAck,
    /// A segment with none of ACK, SYN and RST.
    NoAckBit,
    /// A segment that begins below what has come and ends at or above what was acknowledged last: an ACK is being delayed.
    BehindADelayedAck,
    /// Text that begins below the peer's FIN's end and ends behind it, or has a FIN behind it.
    TextOverFin,
    /// A RST at an edge of the window: on the right where the stack's advertisement ends, or less than 2^16 behind it where the field was as wide
    /// as it can be; on the left below what has come, ending at or above what was acknowledged last.
    RstAtAnEdge,
    /// A RST at the peer's FIN: one below RCV.NXT once that is taken.
    RstBelowFin,
    /// A FIN without text above what was acknowledged last.
    FinBehindGap,
    /// A timestamps option.
    Timestamps,
    /// A SYN with two MSS or two window scale options.
    OptionTwice,
    /// An option behind the end of the option list.
    OptionBehindEnd,
    /// A SYN with an MSS below the kernel's least, 48.
    SmallMss,
    /// A SYN that permits SACK.
    SackPermitted,
    /// An acknowledgment of what was never sent, with text.
    TextWithFutureAck,
    /// A window that the rule of SND.WL1 and SND.WL2 decides about: a smaller one than before, or one in an older segment that acknowledges more.
    OddWindow,
    /// A TCP MD5 signature option or a TCP-AO option.
    Authentication,
    /// The user has closed a connection: nobody reads.
    Close,
    /// The user has shut down reading.
    ShutdownRead,
    /// The user has shut down writing.
    ShutdownWrite,
}

impl Trigger {
    /// Whether it happened by the event with this index, on this connection where the finding names one.
    pub(super) fn happened(self, trace: &Trace, by: usize, on: Option<Tuple>) -> bool {
        let mut seen = Seen::default();
        trace.events.iter().take(by.saturating_add(1)).any(|event| match &event.what {
            What::Arrive { tuple, arrival: Arrival::Segment(segment) } if on.is_none_or(|t| t == *tuple) => seen.arrives(self, segment),
            What::Emit { tuple, segment, .. } if on.is_none_or(|t| t == *tuple) => {
                seen.sent(segment);
                false
            }
            What::Call { call: Call::Close { .. }, .. } => self == Trigger::Close,
            What::Call { call: Call::Shutdown { how, .. }, .. } => match self {
                Trigger::ShutdownRead => *how != How::Write,
                Trigger::ShutdownWrite => *how != How::Read,
                _ => false,
            },
            _ => false,
        })
    }
}

/// What is known of a connection from the wire.
#[derive(Default)]
struct Seen {
    /// The stack's ISN.
    iss: Option<Seq>,
    /// Its SYN-ACK was sent.
    syn_ack: bool,
    /// The number behind the last octet that it sent.
    sent: Option<Seq>,
    /// The last acknowledgment that it sent.
    acked: Option<Seq>,
    /// The right edge of the window that it advertised, whether the field was as wide as it can be, and by how much it scales.
    right_edge: Option<(Seq, bool)>,
    scale: u8,
    /// Whether the peer scales too.
    scales: bool,
    /// The number behind the last octet that came.
    came: Option<Seq>,
    /// SEQ and ACK of the peer's segments, and the widest window in them.
    acks: Vec<(Seq, Seq)>,
    most_window: u16,
    /// Where FINs of the peer stand.
    fins: Vec<Seq>,
}

impl Seen {
    fn sent(&mut self, segment: &Segment) {
        if segment.is_syn() {
            self.iss = Some(segment.seq);
            self.syn_ack |= segment.is_ack();
            self.sent = Some(segment.end());
        }
        if !segment.is_rst() {
            self.sent = self.sent.map(|sent| sent.max(segment.end()));
        }
        if segment.is_syn() {
            self.scale = segment.window_scale().unwrap_or(0);
        }
        if segment.is_ack() && !segment.is_rst() {
            self.acked = Some(segment.ack);
            let scale = if self.scales && !segment.is_syn() { self.scale } else { 0 };
            self.right_edge = Some((segment.ack + (u32::from(segment.window) << scale.min(14)), segment.window == u16::MAX));
        }
    }

    /// Whether this arrival is the trigger.
    fn arrives(&mut self, trigger: Trigger, segment: &Segment) -> bool {
        let acks_syn = segment.is_ack() && self.iss.is_some_and(|iss| segment.ack == iss + 1);
        let is_it = match trigger {
            Trigger::AckBelowIss => segment.is_ack() && self.iss.is_some_and(|iss| segment.ack.le(iss)),
            Trigger::AckNotOfSynAck => self.syn_ack && segment.is_ack() && !acks_syn,
            Trigger::NoAckBit => !segment.flags.has(Flags::ACK) && !segment.is_syn() && !segment.is_rst(),
            Trigger::BehindADelayedAck => self.on_left_edge(segment),
            Trigger::TextOverFin => {
                !segment.payload.is_empty() && self.fins.iter().any(|fin| segment.seq.le(*fin) && segment.end().gt(*fin + 1))
            }
            Trigger::RstAtAnEdge => {
                let behind = self.right_edge.map(|(edge, _)| segment.seq.offset_from(edge));
                let full = self.right_edge.is_some_and(|(_, full)| full);
                segment.is_rst() && (self.on_left_edge(segment) || behind.is_some_and(|n| n == 0 || full && (0..1 << 16).contains(&n)))
            }
            Trigger::RstBelowFin => segment.is_rst() && self.fins.contains(&segment.seq),
            Trigger::FinBehindGap => {
                segment.is_fin() && segment.payload.is_empty() && self.acked.is_some_and(|acked| segment.seq.gt(acked))
            }
            Trigger::Timestamps => segment.timestamps().is_some(),
            Trigger::OptionTwice => {
                let times = |which: fn(&TcpOption) -> bool| segment.options.iter().filter(|o| which(o)).count();
                times(|o| matches!(o, TcpOption::WindowScale(_))) > 1 || times(|o| matches!(o, TcpOption::Mss(_))) > 1
            }
            Trigger::OptionBehindEnd => segment.options.iter().skip_while(|o| **o != TcpOption::Eol).any(|o| *o != TcpOption::Eol),
            Trigger::SmallMss => segment.mss().is_some_and(|mss| mss < 48),
            Trigger::SackPermitted => segment.sack_permitted(),
            Trigger::TextWithFutureAck => {
                !segment.payload.is_empty() && segment.is_ack() && self.sent.is_some_and(|sent| segment.ack.gt(sent))
            }
            Trigger::OddWindow => {
                segment.is_ack()
                    && (segment.window < self.most_window
                        || self.acks.iter().any(|(seq, ack)| segment.seq.lt(*seq) && segment.ack.gt(*ack)))
            }
            Trigger::Authentication => segment.options.iter().any(|o| matches!(o, TcpOption::Other { kind: 19 | 29, .. })),
            Trigger::Close | Trigger::ShutdownRead | Trigger::ShutdownWrite => false,
        };
        if segment.is_syn() {
            self.scales = segment.window_scale().is_some();
        }
        if segment.is_fin() {
            self.fins.push(segment.text_end());
        }
        if segment.is_ack() {
            self.acks.push((segment.seq, segment.ack));
            self.most_window = self.most_window.max(segment.window);
        }
        let near = |came: &Seq| !segment.is_syn() && segment.seq.offset_from(*came).unsigned_abs() < 1 << 17;
        self.came = match self.came {
            Some(came) if near(&came) => Some(came.max(segment.end())),
            Some(came) if !segment.is_syn() => Some(came),
            _ => Some(segment.end()),
        };
        is_it
    }
    /// Whether it begins below what has come and ends at or above what was acknowledged last.
    fn on_left_edge(&self, segment: &Segment) -> bool {
        self.came.is_some_and(|came| segment.seq.lt(came)) && self.acked.is_some_and(|acked| segment.end().ge(acked))
    }
}

//! The eleven states of RFC 9293 section 3.3.2.

use std::fmt;

/// A connection's state (RFC 9293 section 3.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum State {
    /// No connection.
    Closed,
    /// Waits for a connection request from any remote peer.
    Listen,
    /// Has sent a connection request, waits for a matching one.
    SynSent,
    /// Has received and sent a request, waits for its acknowledgment.
    SynReceived,
    /// Open: data flows both ways.
    Established,
    /// Has closed, waits for the peer's FIN or the acknowledgment of its own.
    FinWait1,
    /// Its FIN is acknowledged, waits for the peer's.
    FinWait2,
    /// The peer has closed; waits for the local user to close.
    CloseWait,
    /// Both have closed; waits for the acknowledgment of its FIN.
    Closing,
    /// Closed after the peer; waits for the acknowledgment of its FIN.
    LastAck,
    /// Waits 2MSL so that old duplicates die out.
    TimeWait,
}

impl State {
    /// Every state, in the RFC's order.
    pub const ALL: [State; 11] = [
        State::Closed,
        State::Listen,
        State::SynSent,
        State::SynReceived,
        State::Established,
        State::FinWait1,
        State::FinWait2,
        State::CloseWait,
        State::Closing,
        State::LastAck,
        State::TimeWait,
    ];

    /// The RFC's name, as in `FIN-WAIT-1`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::Closed => "CLOSED",
            State::Listen => "LISTEN",
            State::SynSent => "SYN-SENT",
            State::SynReceived => "SYN-RECEIVED",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN-WAIT-1",
            State::FinWait2 => "FIN-WAIT-2",
            State::CloseWait => "CLOSE-WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST-ACK",
            State::TimeWait => "TIME-WAIT",
        }
    }

    /// The state with this RFC name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|s| s.name() == name)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! Selective acknowledgments: what was negotiated, and what a sender may do with it (RFC 2018, RFC 8985 section 7).

use crate::oracle::emission::{CLOCK, Licence, Sent};
use crate::oracle::hypothesis::Hypothesis;
use crate::profile::SECOND;
use crate::rules;
use crate::segment::Segment;
use crate::seq::Seq;
use crate::tcb::Conn;

/// What is known of a connection's selective acknowledgments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sacks {
    /// The peer's SYN has offered SACK: the stack may send SACK options.
    pub(crate) peer: bool,
    /// The stack's SYN has: the peer may.
    pub(crate) own: bool,
    /// Where the last tail loss probe ended.
    tail_probed: Option<Seq>,
}

impl Hypothesis {
    /// An arrival, after the connection has become what it makes of it.
    pub(crate) fn note_sack(&mut self, before: &Conn, segment: &Segment) {
        let opens = !matches!(before, Conn::Open(_));
        if segment.is_syn() {
            // Of repeated SYNs with other options, which one a stack goes by does not show.
            self.sack.peer = segment.sack_permitted() || (!opens && self.sack.peer);
        }
    }

    /// Where both ends have offered SACK, the last segment in flight may leave again long before the retransmission timer expires, to draw an
    /// acknowledgment (RFC 8985 section 7.3: a tail loss probe, one for a tail).
    pub(crate) fn tail_probe(&mut self, sent: &Sent<'_>) -> Option<Licence> {
        let tcb = self.conn.tcb()?;
        let tail = sent.segment.end() == tcb.snd_nxt && self.clocks.timeouts == 0 && self.sack.peer && self.sack.own;
        // What leaves again from SND.UNA on after a second is the timer's.
        let timer = sent.segment.seq.le(tcb.snd_una) && sent.at + CLOCK >= self.clocks.head_sent.0 + SECOND;
        if !tail || timer || self.sack.tail_probed == Some(tcb.snd_nxt) {
            return None;
        }
        self.sack.tail_probed = Some(tcb.snd_nxt);
        self.clocks.rto_since = self.clocks.rto_since.max(sent.at);
        Some(Licence { rule: rules::RETRANSMISSION_TIMEOUT, demanded: false })
    }
}

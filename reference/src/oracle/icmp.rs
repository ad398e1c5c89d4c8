//! What ICMP errors may do to a connection (RFC 9293 section 3.9.2.2).

use crate::catalogue::{Level, RuleId};
use crate::icmp::{Icmp, IcmpError, Severity};
use crate::lenience::Lenience;
use crate::oracle::arrival::At;
use crate::oracle::hypothesis::{Blame, Ended, Hypothesis, Last};
use crate::relation::Signal;
use crate::rules;
use crate::seq::Seq;
use crate::state::State;
use crate::tcb::Conn;

impl Hypothesis {
    /// An ICMP error quotes a segment of this connection. It never asks for a segment; what it may end depends on its class. That an error
    /// which quotes nothing outstanding is ignored is permitted everywhere (RFC 5927 section 4.1), and not asked for: RFC 9293 does not.
    pub(crate) fn icmp(&self, icmp: &Icmp, at: &At<'_>, broken: bool, out: &mut Vec<Hypothesis>) {
        let rule = icmp.error.rule();
        let mut ignoring = self.clone();
        ignoring.last = Last { rule, event: at.event, state: self.conn.state(at.listening()), silent_at: Some(at.now) };
        if self.conn == Conn::Absent {
            out.push(ignoring);
            return;
        }
        // The section notes that "widespread implementation behavior" takes a soft error for a hard one "during connection establishment", and
        // does not forbid it anew.
        let may_end = match icmp.error.severity() {
            Severity::Hard => true,
            Severity::Soft => self.opens(),
            Severity::Quench => false,
        };
        if icmp.error.severity() == Severity::Hard && self.opens() && self.is_outstanding(icmp.seq) {
            // SHLD-26. In the synchronized states the section leaves it open.
            ignoring.depart(rule, at.event);
        }
        if matches!(icmp.error, IcmpError::NetUnreachable | IcmpError::HostUnreachable) {
            ignoring.backoff_may_be_reverted(at);
        }
        if may_end || at.profile.lets(Lenience::IcmpEndsConnections) {
            out.push(self.ended_by_icmp(rule, at));
        } else if broken {
            out.push(self.wrongly_ended(rule, at));
        }
        out.push(ignoring);
    }

    /// Something happened that must not disturb this connection: an ICMP error quotes a segment of another one, or of none (MUST-54); a user
    /// listens on the port (MUST-41).
    pub(crate) fn undisturbed(&self, rule: RuleId, at: &At<'_>, broken: bool, out: &mut Vec<Hypothesis>) {
        let listen = at.profile.lets(Lenience::ListenEndsConnections) && rule == rules::LISTEN_DISTURBS;
        if listen || at.profile.lets(Lenience::IcmpEndsConnections) && rule == rules::ICMP_OWN_CONNECTION {
            out.push(self.ended_by_icmp(rule, at));
        } else if broken && self.conn != Conn::Absent {
            out.push(self.wrongly_ended(rule, at));
        }
        out.push(self.clone());
    }

    /// The user is told; that the peer is told as well by a reset is not asked for, and not forbidden.
    fn ended_by_icmp(&self, rule: RuleId, at: &At<'_>) -> Hypothesis {
        let last = Last { rule, event: at.event, state: self.conn.state(at.listening()), silent_at: None };
        Hypothesis { last, ..self.clone().gone_with_a_reset(Ended::By(Signal::Refused), rule, at) }
    }

    fn wrongly_ended(&self, rule: RuleId, at: &At<'_>) -> Hypothesis {
        let state = self.conn.state(at.listening());
        let blame = Blame { rule, level: Level::Must, state, event: at.event, cause: None, kind: "aborted", surprise: EXACT };
        Hypothesis { blame: Some(blame), ..self.ended_by_icmp(rule, at) }
    }

    /// RFC 6069: an ICMP error that says that there is no way to the peer takes a doubling of the time-out back, and what it finds overdue
    /// leaves at once.
    fn backoff_may_be_reverted(&mut self, at: &At<'_>) {
        if self.clocks.backoff == 0 && self.clocks.timeouts == 0 {
            return;
        }
        self.clocks.rto_since = self.clocks.rto_since.max(at.now);
        self.clocks.last_gap = 0;
        self.clocks.rto_floor = None;
    }

    /// Whether the connection is not synchronized yet.
    fn opens(&self) -> bool {
        matches!(self.conn.state(false), State::SynSent | State::SynReceived)
    }

    /// Whether the stack waits for this number's acknowledgment for certain.
    fn is_outstanding(&self, seq: Seq) -> bool {
        let unseen = self.iss_unseen && self.conn.tcb().is_some();
        !unseen && self.conn.is_outstanding(seq)
    }
}

/// Surprise of a connection that is ended: what follows follows exactly.
const EXACT: u8 = 2;

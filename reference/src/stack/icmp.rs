//! ICMP errors about a connection's segments (RFC 9293 section 3.9.2.2).

use crate::icmp::{Icmp, Severity};
use crate::rules;
use crate::segment::Tuple;
use crate::stack::endpoint::Endpoint;
use crate::stack::{Fault, Policy, Stack, key};
use crate::state::State;
use crate::tcb::Conn;

impl Stack {
    /// An ICMP error arrives that quotes a segment with these ends: it goes to the connection that sent it.
    pub fn icmp(&mut self, tuple: Tuple, icmp: &Icmp) {
        let misled = self.mutated(Fault::Departs, rules::ICMP_OWN_CONNECTION);
        let other = || self.endpoints.values().find(|e| e.tuple != tuple && e.conn != Conn::Absent).map(|e| e.tuple);
        let tuple = if misled { other().unwrap_or(tuple) } else { tuple };
        let Some(mut endpoint) = self.endpoints.remove(&key(&tuple)) else { return };
        (endpoint.mutant, endpoint.now) = (self.mutant, self.now);
        if endpoint.conn != Conn::Absent && (misled || endpoint.is_ended_by(icmp, &self.policy)) {
            endpoint.refused();
        } else if self.mutated(Fault::AckAnyway, icmp.error.rule()) {
            endpoint.acknowledges_anyway();
        } else if self.mutated(Fault::ResendsHead, icmp.error.rule()) {
            endpoint.resend_needlessly(&self.policy);
        }
        self.settle(tuple, endpoint);
    }
}

impl Endpoint {
    /// Whether the error ends the connection. One that quotes nothing outstanding is taken for forged (RFC 5927 section 4.1).
    fn is_ended_by(&self, icmp: &Icmp, policy: &Policy) -> bool {
        let rule = icmp.error.rule();
        let opens = matches!(self.conn.state(false), State::SynSent | State::SynReceived);
        let ends = match icmp.error.severity() {
            Severity::Hard => opens || policy.hard_errors_abort,
            Severity::Soft => opens && policy.soft_errors_end_opening,
            Severity::Quench => false,
        };
        self.mutated(Fault::Closes, rule) || ends && self.conn.is_outstanding(icmp.seq) && !self.mutated(Fault::StaysPut, rule)
    }

    fn acknowledges_anyway(&mut self) {
        if let Conn::Open(tcb) = &self.conn {
            let ack = self.ordinary(tcb, tcb.snd_nxt, &[], false);
            self.outbox.push((0, ack));
        }
    }
}

//! OPEN: what it may refuse, and what it must (RFC 9293 sections 3.9.1.1 and 3.10.1).

use crate::api::{CallError, Family};
use crate::oracle::host::{Oracle, Socket, observed};
use crate::oracle::hypothesis::Hypothesis;
use crate::rules;
use crate::segment::Tuple;
use crate::state::State;
use crate::trace::Trace;

impl Oracle {
    /// LISTEN gave an error. 3.10.1 knows "connection illegal for this process" and "insufficient resources"; what a host says so is its own, but for
    /// a port that is taken by nothing but a connection "in SYN-SENT or SYN-RECEIVED state" (MUST-42).
    pub(super) fn refused_to_listen(&mut self, port: u16, family: Family, error: &CallError, index: usize, trace: &Trace) {
        let taken = *error == CallError::AddressInUse;
        if taken && self.opens_from(port, family) && !self.listens(port, family) {
            self.findings.push(observed(rules::LISTEN_BESIDE_OPENING, "open", index, trace, "a socket in LISTEN"));
        }
        let own = taken || matches!(error, CallError::NoBuffer | CallError::Invalid | CallError::Other(_));
        if !own {
            self.findings.push(observed(rules::OPEN_PASSIVE, "open", index, trace, "a socket in LISTEN"));
        }
    }

    /// Whether something listens on this port.
    fn listens(&self, port: u16, family: Family) -> bool {
        self.sockets.values().any(|s| matches!(s, Socket::Listener { port: p, family: f, open: true, .. } if (p, f) == (&port, &family)))
    }

    /// Whether connections have this local port, and all of them are in SYN-SENT or SYN-RECEIVED for certain.
    fn opens_from(&self, port: u16, family: Family) -> bool {
        let opening = |h: &Hypothesis| matches!(h.conn.state(false), State::SynSent | State::SynReceived);
        let absent = |h: &Hypothesis| h.conn.state(false) == State::Closed;
        let mut here = self.connections.values().filter(|c| at_port(&c.tuple, port, family));
        let asked = self.connecting.iter().any(|c| (c.0, c.2) == (port, family));
        let mut some = asked;
        let all = here.all(|c| {
            let gone = c.unjudged.is_none() && c.hypotheses.iter().all(absent);
            let opens = c.unjudged.is_none() && c.hypotheses.iter().all(opening);
            some |= opens;
            gone || opens
        });
        some && all
    }

    /// Whether the connection between these ports is for certain in a state from SYN-SENT on. TIME-WAIT does not count: what may be reopened
    /// by the peer, stacks let the user reopen too.
    pub(super) fn exists(&self, port: u16, remote_port: u16, family: Family) -> bool {
        let same = |t: &Tuple| at_port(t, port, family) && t.remote.port() == remote_port;
        let lasts = |h: &Hypothesis| !h.may_have_given_up(self.now, &self.profile);
        let alive = |h: &Hypothesis| !matches!(h.conn.state(false), State::Closed | State::TimeWait) && lasts(h);
        let opening = self.connecting.iter().any(|c| (c.0, c.1, c.2) == (port, remote_port, family));
        opening || self.connections.values().any(|c| same(&c.tuple) && c.unjudged.is_none() && c.hypotheses.iter().all(alive))
    }
}

/// Whether this is the local port of a connection over this IP version.
pub(super) fn at_port(tuple: &Tuple, port: u16, family: Family) -> bool {
    tuple.local.port() == port && (family == Family::V4) == tuple.local.is_ipv4()
}

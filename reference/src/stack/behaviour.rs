//! What decides a stack's future, for a model that has to tell its states apart.

use std::hash::{Hash, Hasher};

use crate::api::Micros;
use crate::profile::CHALLENGE_INTERVAL;
use crate::stack::endpoint::{Endpoint, Timers};
use crate::stack::{Departure, Socket, Stack};
use crate::tcb::Conn;

impl Stack {
    /// Writes everything that decides what the stack does from now on, times relative to its clock: two stacks of one policy, mutant and seed
    /// that write the same do the same. With timestamps, or ISNs that follow the clock, the clock itself is part of it.
    pub fn behaviour(&self, to: &mut impl Hasher) {
        // Whatever a stack comes to remember has to be looked at here.
        let Stack { policy, mutant: _, now, seed: _, opened, sockets, endpoints, departures, late } = self;
        let absolute = policy.timestamps || policy.isn_clock;
        absolute.then_some(*now).hash(to);
        opened.hash(to);
        for socket in sockets {
            socket.behaviour(*now, absolute, to);
        }
        // `accept` gives what was established first.
        let mut order: Vec<&Endpoint> = endpoints.values().filter(|e| e.established_at.is_some()).collect();
        order.sort_by_key(|e| e.established_at);
        order.iter().for_each(|e| e.tuple.hash(to));
        for endpoint in endpoints.values() {
            endpoint.behaviour(*now, absolute, to);
        }
        for Departure { at, tuple, segment } in departures.iter().chain(late) {
            (at.saturating_sub(*now), tuple, segment).hash(to);
        }
    }
}

impl Socket {
    fn behaviour(&self, now: Micros, absolute: bool, to: &mut impl Hasher) {
        match self {
            Socket::Listener { port, family, backlog, open, options } => (port, family, backlog, open, options).hash(to),
            Socket::Connection { tuple, gone } => {
                (tuple, gone.is_some()).hash(to);
                if let Some(endpoint) = gone {
                    endpoint.behaviour(now, absolute, to);
                }
            }
        }
    }
}

impl Endpoint {
    fn behaviour(&self, now: Micros, absolute: bool, to: &mut impl Hasher) {
        let Endpoint {
            tuple,
            conn,
            socket,
            listener,
            established_at,
            unacked,
            unacked_at,
            readable,
            ahead,
            closing,
            orphan,
            ended,
            timers,
            nodelay,
            urgent_end,
            keepalive,
            user_timeout,
            seen,
            stamps,
            scaling_asked,
            reports,
            ecn,
            cwr,
            reduced_until,
            ce,
            dscp,
            hop_limit,
            ect_everywhere,
            now: _,
            outbox,
            mutant: _,
        } = self;
        (tuple, socket, listener, established_at.is_some(), readable, orphan, ended).hash(to);
        conn.hash(to);
        if *conn == Conn::Absent {
            // What a connection leaves to its user; the next one between the same ends begins anew.
            return;
        }
        (unacked, unacked_at, ahead, closing, nodelay, urgent_end, keepalive, user_timeout).hash(to);
        (scaling_asked, reports, ecn, cwr, reduced_until, outbox).hash(to);
        (ce, dscp, hop_limit, ect_everywhere).hash(to);
        absolute.then_some((seen, stamps)).hash(to);
        timers.behaviour(now, to);
    }
}

impl Timers {
    fn behaviour(&self, now: Micros, to: &mut impl Hasher) {
        let Timers {
            retransmit,
            persist,
            delayed_ack,
            time_wait,
            keepalive,
            keepalives,
            sent_at,
            rto,
            srtt,
            timing,
            timeouts,
            first_unanswered,
            full_unacked,
            duplicate_acks,
            limited_transmit,
            challenges,
            cwnd,
            ssthresh,
            fast_recovery,
            recover,
            partial_ack,
        } = self;
        let until = |at: &Option<Micros>| at.map(|at| at.saturating_sub(now));
        for timer in [retransmit, persist, delayed_ack, time_wait, keepalive] {
            until(timer).hash(to);
        }
        // R2 counts while something waits for its acknowledgment; what begins to wait starts it again.
        retransmit.map(|_| now - first_unanswered).hash(to);
        // Idleness is idleness once it is longer than any time-out.
        sent_at.map(|at| (now - at).min(MOST_IDLE)).hash(to);
        challenges.map(|(began, sent)| (now - began, sent)).filter(|(since, _)| *since < CHALLENGE_INTERVAL).hash(to);
        timing.map(|(seq, at)| (seq, now - at)).hash(to);
        (keepalives, rto, srtt, timeouts, full_unacked, duplicate_acks).hash(to);
        (cwnd, ssthresh, fast_recovery, recover, partial_ack, limited_transmit).hash(to);
    }
}

/// A little more than the longest time-out.
const MOST_IDLE: Micros = 61 * crate::profile::SECOND;

//! Section 3.6.1: a connection in TIME-WAIT that a SYN has reopened.

use tcp_reference::relation::{self, Outcome};
use tcp_reference::state::State;
use tcp_reference::tcb::Conn;

use crate::notation::{BASES, Bases, Setup, segment};

/// What comes of a segment on each connection.
fn all(conns: &[Conn], text: &str, b: Bases) -> Vec<Outcome> {
    let setup = Setup { listening: true, ..Setup::new(State::TimeWait) };
    let mut outcomes = Vec::new();
    for conn in conns {
        relation::arrive(conn, &segment(text, b), &setup.env(b), &mut outcomes);
    }
    outcomes
}

/// "it MAY accept a new SYN from the remote TCP endpoint to reopen the connection directly from TIME-WAIT state (MAY-2), if it: ... (2) returns to
/// TIME-WAIT state if the SYN turns out to be an old duplicate": the RST that the peer answers the SYN-ACK with. By the second step of 3.10.7.4, "return
/// this connection to LISTEN state": both are permitted.
#[test]
fn an_old_duplicate_returns_to_time_wait() {
    for b in BASES {
        let old = Setup::new(State::TimeWait).conn(b);
        let reopened: Vec<Conn> = all(std::slice::from_ref(&old), "S 500", b)
            .into_iter()
            .map(|o| o.next)
            .filter(|c| c.state(true) == State::SynReceived)
            .collect();
        assert!(!reopened.is_empty());
        let after: Vec<Conn> = all(&reopened, "R 501", b).into_iter().map(|o| o.next).collect();
        assert!(after.contains(&old), "{after:?}");
        assert!(after.contains(&Conn::Absent), "{after:?}");
        assert_eq!(after.len(), 2 * reopened.len(), "{after:?}");
        // Once it is established there is no way back.
        let established: Vec<Conn> = all(&reopened, ". 501 ack 1", b).into_iter().map(|o| o.next).collect();
        assert!(established.iter().all(|c| c.state(true) == State::Established), "{established:?}");
        let reset: Vec<Conn> = all(&established, "R 501", b).into_iter().map(|o| o.next).collect();
        assert!(reset.iter().all(|c| *c == Conn::Absent), "{reset:?}");
    }
}

//! A connection's state from sock_diag: the only source that knows TIME-WAIT and connections without a descriptor.

use std::net::SocketAddr;

use nix::errno::Errno;
use tcp_reference::segment::Tuple;
use tcp_reference::state::State;

use super::netlink::{Netlink, family, octets};

/// What tells two connections with the same ends apart.
pub(super) type Cookie = [u8; 8];

/// A connection that the kernel knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Found {
    /// Its state.
    pub(super) state: State,
    /// Its cookie, which TIME-WAIT keeps.
    pub(super) cookie: Cookie,
}

/// Looks a connection up by its ends; `None` when there is none. A listener that would take a segment with these ends is none.
pub(super) fn look_up(netlink: &mut Netlink, tuple: &Tuple) -> Result<Option<Found>, Errno> {
    const BY_FAMILY: u16 = 20;
    const STATE_AT: usize = 1;
    const COOKIE_AT: usize = 4 + 40;
    let answer = match netlink.ask(BY_FAMILY, 0, &request(tuple, NO_COOKIE)) {
        Ok(answer) => answer,
        Err(Errno::ENOENT) => return Ok(None),
        Err(error) => return Err(error),
    };
    let state = answer.get(STATE_AT).copied().and_then(state_of);
    let cookie = answer.get(COOKIE_AT..COOKIE_AT + 8).and_then(|c| c.try_into().ok());
    match (state, cookie) {
        (Some(State::Listen | State::Closed), _) => Ok(None),
        (Some(state), Some(cookie)) => Ok(Some(Found { state, cookie })),
        (None, _) | (_, None) => Err(Errno::EBADMSG),
    }
}

/// Ends a connection that has no descriptor any more, without a segment. Used only when a namespace is given up.
pub(super) fn destroy(netlink: &mut Netlink, tuple: &Tuple, cookie: Cookie) -> Result<(), Errno> {
    const DESTROY: u16 = 21;
    netlink.order(DESTROY, 0, &request(tuple, cookie))
}

/// Stands for whatever cookie a socket has.
pub(super) const NO_COOKIE: Cookie = [0xff; 8];

/// `struct inet_diag_req_v2`: family, protocol, two unused octets, a mask of states, and `struct inet_diag_sockid`.
fn request(tuple: &Tuple, cookie: Cookie) -> Vec<u8> {
    const TCP: u8 = 6;
    let mut body = vec![family(tuple.local.ip()), TCP, 0, 0];
    body.extend_from_slice(&u32::MAX.to_ne_bytes());
    body.extend_from_slice(&tuple.local.port().to_be_bytes());
    body.extend_from_slice(&tuple.remote.port().to_be_bytes());
    for end in [tuple.local, tuple.remote] {
        body.extend_from_slice(&sixteen(end));
    }
    body.extend_from_slice(&[0; 4]);
    body.extend_from_slice(&cookie);
    body
}

fn sixteen(end: SocketAddr) -> Vec<u8> {
    let mut address = octets(end.ip());
    address.resize(16, 0);
    address
}

/// The kernel's number for a state (`include/net/tcp_states.h`).
fn state_of(number: u8) -> Option<State> {
    Some(match number {
        1 => State::Established,
        2 => State::SynSent,
        3 | 12 => State::SynReceived,
        4 => State::FinWait1,
        5 => State::FinWait2,
        6 => State::TimeWait,
        7 => State::Closed,
        8 => State::CloseWait,
        9 => State::LastAck,
        10 => State::Listen,
        11 => State::Closing,
        _ => return None,
    })
}

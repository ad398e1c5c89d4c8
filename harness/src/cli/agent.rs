//! `harness agent`: makes the calls where the stack under test is another host's, or another network namespace's.

use std::net::{SocketAddr, TcpListener};

use super::{FAULT, UNAVAILABLE, USAGE, complain, print};
use crate::targets::linux::agent::{may_run, run, settings};

/// Serves harnesses, one after the other, until it is ended.
pub(super) fn agent(listen: SocketAddr) -> u8 {
    if listen.ip().is_unspecified() || listen.ip().is_multicast() {
        complain(&format!("harness: --listen {listen} is no single address of this host: give the one that the harness connects to\n"));
        return USAGE;
    }
    if let Err(why) = may_run(listen.ip()) {
        complain(&format!("harness: the agent cannot run here: {why}\n"));
        return UNAVAILABLE;
    }
    for (path, value, here, why) in settings() {
        complain(&format!("harness: differs from the target linux-kernel: {why}: sysctl -w net/{path}={value} (now {here})\n"));
    }
    let opened = TcpListener::bind(listen).and_then(|listener| Ok((listener.local_addr()?, listener)));
    let ended = opened.and_then(|(at, listener)| {
        print(&format!("listening at {at}\n"));
        run(&listener, |what| complain(&format!("harness: {what}\n")))
    });
    match ended {
        Ok(()) => super::OK,
        Err(error) => {
            complain(&format!("harness: the agent cannot listen at {listen}: {error}\n"));
            FAULT
        }
    }
}

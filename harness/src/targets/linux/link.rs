//! The TUN device seen from the peer's side: datagrams in, datagrams out with the interval in which each left.

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tcp_reference::api::Micros;

use super::namespace::Tun;
use crate::target::{Packet, TargetError};
use crate::targets::{FLOOD, LOCAL, REMOTE};
use crate::wire::{IcmpKind, Read, Skipped, echo_request_into, read};

/// The identifier of the echo requests that prove silence.
const ECHO_ID: u16 = 0x9293;
/// How long the answer to one may take.
const ECHO_WAIT: Duration = Duration::from_secs(1);

/// The peer's view of the link.
#[derive(Debug)]
pub(super) struct Watch {
    start: Instant,
    /// When the device was last seen empty.
    pub(super) empty_at: Micros,
    /// What was read and not yet given to anyone.
    pub(super) packets: Vec<Packet>,
    /// Datagrams read since the last reply.
    count: usize,
    buffer: Vec<u8>,
    echo: Vec<u8>,
    echo_sent: u16,
    echo_seen: u16,
}

impl Watch {
    /// The clock starts now.
    pub(super) fn new() -> Watch {
        Watch {
            start: Instant::now(),
            empty_at: 0,
            packets: Vec::new(),
            count: 0,
            buffer: vec![0; 65_536],
            echo: Vec::new(),
            echo_sent: 0,
            echo_seen: 0,
        }
    }

    /// Microseconds since the start.
    pub(super) fn now(&self) -> Micros {
        Micros::try_from(self.start.elapsed().as_micros()).unwrap_or(Micros::MAX)
    }

    /// A new reply begins.
    pub(super) fn take(&mut self) -> Vec<Packet> {
        self.count = 0;
        std::mem::take(&mut self.packets)
    }

    /// Sends a datagram to the stack, which has dealt with it when this returns. One that the device refuses (it is not IP at all) is
    /// lost.
    pub(super) fn write(tun: &Tun, datagram: &[u8]) -> Result<(), TargetError> {
        match tun.0.send(datagram) {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EINVAL | Errno::EMSGSIZE)) => Ok(()),
            Err(error) => Err(TargetError::Harness(format!("the TUN device does not take a datagram: {error}"))),
        }
    }

    /// Reads all that is there.
    pub(super) fn drain(&mut self, tun: &Tun) -> Result<(), TargetError> {
        loop {
            let before = self.now();
            match tun.0.recv(&mut self.buffer) {
                Ok(length) => {
                    let ip = self.buffer.get(..length).unwrap_or_default();
                    match sort(ip) {
                        Sort::Keep => self.packets.push(Packet { from: self.empty_at, at: self.now(), ip: ip.to_vec() }),
                        Sort::Echo(seq) => self.echo_seen = seq,
                        Sort::Drop => {}
                    }
                    self.count += 1;
                    if self.count > FLOOD {
                        return Err(TargetError::Flood(format!("more than {FLOOD} datagrams in one request, at {before} us")));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.empty_at = before;
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(TargetError::Harness(format!("the TUN device cannot be read: {error}"))),
            }
        }
    }

    /// Waits until there is something to read, or the time is over.
    pub(super) fn wait(tun: &Tun, time: Duration) -> Result<(), TargetError> {
        let mut fds = [PollFd::new(tun.0.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut fds, Some(TimeSpec::from_duration(time)), None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(TargetError::Harness(format!("the TUN device cannot be watched: {error}"))),
        }
    }

    /// Proves that the stack has sent whatever it was going to send at once: an echo request goes in, and everything that comes out
    /// before its reply was sent before.
    pub(super) fn barrier(&mut self, tun: &Tun) -> Result<(), TargetError> {
        self.echo_sent = self.echo_sent.wrapping_add(1);
        echo_request_into(&mut self.echo, REMOTE[0], LOCAL[0], ECHO_ID, self.echo_sent)
            .map_err(|error| TargetError::Harness(error.to_string()))?;
        Watch::write(tun, &self.echo)?;
        let start = Instant::now();
        loop {
            self.drain(tun)?;
            if self.echo_seen == self.echo_sent {
                return Ok(());
            }
            let left = ECHO_WAIT.checked_sub(start.elapsed());
            Watch::wait(tun, left.ok_or_else(|| TargetError::Hang("the kernel does not answer an echo request".to_owned()))?)?;
        }
    }
}

/// What to do with a datagram that the kernel sent.
enum Sort {
    /// TCP, or an ICMP error.
    Keep,
    /// The answer to one of our echo requests.
    Echo(u16),
    /// Neighbour discovery, MLD and the like.
    Drop,
}

fn sort(ip: &[u8]) -> Sort {
    match read(ip) {
        Ok(Read::Tcp(_)) => Sort::Keep,
        Ok(Read::Icmp(icmp)) => match icmp.kind {
            IcmpKind::EchoReply { id: ECHO_ID, seq } => Sort::Echo(seq),
            IcmpKind::Error { .. } => Sort::Keep,
            IcmpKind::EchoReply { .. } | IcmpKind::EchoRequest { .. } | IcmpKind::Other { .. } => Sort::Drop,
        },
        Err(Skipped::NotTcpOrIcmp(_) | Skipped::NotIp) => Sort::Drop,
        // What is broken is for the oracle to judge.
        Err(Skipped::IpChecksum | Skipped::Truncated | Skipped::Fragment | Skipped::TcpTruncated | Skipped::DataOffset) => Sort::Keep,
    }
}

//! A link to a stack on a real clock, seen from the peer's side: datagrams in, datagrams out with the interval in which each left.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tcp_reference::api::Micros;

use crate::target::{Packet, TargetError};
use crate::targets::FLOOD;
use crate::wire::{IcmpKind, Read, Skipped, echo_request_into, read};

/// The identifier of the echo requests that prove silence.
const ECHO_ID: u16 = 0x9293;
/// How long the answer to one may take.
const ECHO_WAIT: Duration = Duration::from_secs(1);

/// What datagrams go over. It never blocks.
pub(super) trait Link {
    /// Sends a datagram to the stack. One that cannot go over the link at all is lost.
    ///
    /// # Errors
    /// The link is broken.
    fn send(&mut self, datagram: &[u8]) -> Result<(), TargetError>;

    /// The next datagram that the stack has sent; `None` where there is none now.
    ///
    /// # Errors
    /// The link is broken.
    fn next(&mut self) -> Result<Option<&[u8]>, TargetError>;

    /// What becomes readable when there is a datagram.
    fn fd(&self) -> BorrowedFd<'_>;
}

/// The peer's view of the link.
#[derive(Debug)]
pub(super) struct Watch {
    start: Instant,
    /// How long a datagram may be under way.
    delay: Micros,
    /// When the link was last seen empty.
    pub(super) empty_at: Micros,
    /// What was read and not yet given to anyone.
    pub(super) packets: Vec<Packet>,
    /// Datagrams read since the last reply.
    count: usize,
    echo: Vec<u8>,
    echo_sent: u16,
    echo_seen: u16,
}

impl Watch {
    /// The clock starts now. A datagram may be under way for `delay` microseconds before it can be read.
    pub(super) fn new(delay: Micros) -> Watch {
        Watch { start: Instant::now(), delay, empty_at: 0, packets: Vec::new(), count: 0, echo: Vec::new(), echo_sent: 0, echo_seen: 0 }
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

    /// Reads all that is there.
    pub(super) fn drain(&mut self, link: &mut impl Link) -> Result<(), TargetError> {
        loop {
            let before = self.now();
            let Some(ip) = link.next()? else {
                self.empty_at = before;
                return Ok(());
            };
            match sort(ip) {
                Sort::Keep => {
                    let from = self.empty_at.saturating_sub(self.delay);
                    self.packets.push(Packet { from, at: self.now(), ip: ip.to_vec() });
                }
                Sort::Echo(seq) => self.echo_seen = seq,
                Sort::Drop => {}
            }
            self.count += 1;
            if self.count > FLOOD {
                return Err(TargetError::Flood(format!("more than {FLOOD} datagrams in one request, at {before} us")));
            }
        }
    }

    /// Waits until there is something to read, or the time is over.
    pub(super) fn wait(link: &impl Link, time: Duration) -> Result<(), TargetError> {
        let mut fds = [PollFd::new(link.fd(), PollFlags::POLLIN)];
        match ppoll(&mut fds, Some(TimeSpec::from_duration(time)), None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(TargetError::Harness(format!("the link to the stack cannot be watched: {error}"))),
        }
    }

    /// Reads until something that the stack has sent is there, or `us` microseconds have passed.
    pub(super) fn advance(&mut self, link: &mut impl Link, us: Micros) -> Result<(), TargetError> {
        let until = self.now().saturating_add(us);
        loop {
            self.drain(link)?;
            if !self.packets.is_empty() || self.empty_at >= until {
                return Ok(());
            }
            Watch::wait(link, Duration::from_micros(until - self.empty_at))?;
        }
    }

    /// Proves that the stack has sent whatever it was going to send at once: an echo request goes in from the peer's address to the stack's,
    /// and everything that comes out before its reply was sent before. Gives the time that took, microseconds.
    pub(super) fn barrier(&mut self, link: &mut impl Link, (peer, stack): (IpAddr, IpAddr)) -> Result<Micros, TargetError> {
        self.echo_sent = self.echo_sent.wrapping_add(1);
        echo_request_into(&mut self.echo, peer, stack, ECHO_ID, self.echo_sent).map_err(|error| TargetError::Harness(error.to_string()))?;
        let start = Instant::now();
        link.send(&self.echo)?;
        loop {
            self.drain(link)?;
            if self.echo_seen == self.echo_sent {
                return Ok(Micros::try_from(start.elapsed().as_micros()).unwrap_or(Micros::MAX));
            }
            let left = ECHO_WAIT.checked_sub(start.elapsed());
            Watch::wait(link, left.ok_or_else(|| TargetError::Hang("the stack does not answer an echo request".to_owned()))?)?;
        }
    }
}

/// What to do with a datagram that the stack sent.
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

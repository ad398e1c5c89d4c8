//! The TUN device that ipstack reads and writes.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tcp_harness::target::Packet;
use tcp_harness::targets::FLOOD;
use tcp_reference::api::Micros;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Both ends of the wire: the stack's, which is a device, and the harness's.
#[derive(Clone)]
pub(crate) struct Wire {
    began: Instant,
    ends: Arc<Mutex<Ends>>,
}

#[derive(Default)]
struct Ends {
    arriving: VecDeque<Vec<u8>>,
    sent: Vec<Packet>,
    reader: Option<Waker>,
}

impl Wire {
    /// A wire whose packets are stamped with the time since now; in the runtime.
    pub(crate) fn new() -> Wire {
        Wire { began: Instant::now(), ends: Arc::default() }
    }

    /// The time since then, microseconds; in the runtime.
    pub(crate) fn now(&self) -> Micros {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(Micros::MAX)
    }

    pub(crate) fn deliver(&self, datagram: &[u8]) {
        let mut ends = self.ends();
        ends.arriving.push_back(datagram.to_vec());
        if let Some(reader) = ends.reader.take() {
            reader.wake();
        }
    }

    /// What the stack has sent since it was last asked.
    pub(crate) fn take(&self) -> Vec<Packet> {
        std::mem::take(&mut self.ends().sent)
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut ends = self.ends();
        let Some(datagram) = ends.arriving.pop_front() else {
            ends.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        // What is longer than the link takes is cut off, as a TUN device does.
        buf.put_slice(&datagram[..datagram.len().min(buf.remaining())]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<usize>> {
        let at = self.now();
        let mut ends = self.ends();
        if ends.sent.len() > FLOOD {
            // Enough to call it a flood: a device that takes no more ends the loop.
            return Poll::Pending;
        }
        ends.sent.push(Packet { from: at, at, ip: datagram.to_vec() });
        Poll::Ready(Ok(datagram.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

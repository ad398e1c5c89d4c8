//! lwIP as a target of the harness.
//!
//! lwIP lives in globals: a reset puts them back (`c/life.c`). There is one lwIP in a process, and it belongs to one thread.

use std::cell::RefCell;

use tcp_harness::target::{Capabilities, NextTimer, Packet, Reply, Target, TargetError};
use tcp_harness::targets::{bounded, simulated};
use tcp_reference::api::{Call, CallError, CallResult, Family, How, Micros, SetOption};
use tcp_reference::state::State;

mod ffi {
    unsafe extern "C" {
        pub(crate) safe fn glue_start(seed: u64);
        pub(crate) safe fn glue_listen(port: u16, family: i32, backlog: u16) -> i32;
        pub(crate) safe fn glue_connect(port: u16, remote_port: u16, family: i32) -> i32;
        pub(crate) safe fn glue_accept(id: u32) -> i32;
        pub(crate) fn glue_send(id: u32, octets: *const u8, length: u32) -> i64;
        pub(crate) fn glue_recv(id: u32, octets: *mut u8, most: u32) -> i64;
        pub(crate) safe fn glue_shutdown(id: u32, read: i32, write: i32) -> i32;
        pub(crate) safe fn glue_close(id: u32) -> i32;
        pub(crate) safe fn glue_abort(id: u32) -> i32;
        pub(crate) safe fn glue_set(id: u32, kind: i32, value: u64) -> i32;
        pub(crate) safe fn glue_state(id: u32) -> i32;
        pub(crate) fn glue_deliver(octets: *const u8, length: u16);
        pub(crate) safe fn glue_next_timer() -> u64;
        pub(crate) safe fn glue_advance(to: u64);
        pub(crate) safe fn glue_now() -> u64;
    }
}

thread_local! {
    static SENT: RefCell<Vec<Packet>> = const { RefCell::new(Vec::new()) };
}

/// lwIP sends a datagram.
///
/// # Safety
/// `octets` points to `length` octets.
#[unsafe(no_mangle)]
extern "C" fn glue_sent(us: u64, octets: *const u8, length: usize) {
    // SAFETY: the glue hands out its own buffer.
    let ip = unsafe { std::slice::from_raw_parts(octets, length) }.to_vec();
    SENT.with_borrow_mut(|sent| sent.push(Packet { from: us, at: us, ip }));
}

/// The lwIP of this process.
pub struct Lwip {
    capabilities: Capabilities,
}

impl Default for Lwip {
    fn default() -> Lwip {
        let settings = [
            "NO_SYS, the raw API, memory from malloc: an application in one thread; assertions on",
            "TCP_MSS 1460, TCP_WND and TCP_SND_BUF 65535: the defaults of 536 and 2144 octets are for the smallest machines",
            "LWIP_TCP_KEEPALIVE: the intervals of keep-alives can be set; SO_REUSE, and SOF_REUSEADDR on each socket",
            "tcp_ticks begins within an hour of uptime: lwIP's clock stands while there is no connection, and at tick 0 round trips are not measured",
            "no window scale, timestamps or SACK: off by default in opt.h",
        ];
        Lwip { capabilities: simulated("lwip", env!("LWIP_VERSION"), &settings) }
    }
}

impl Lwip {
    fn reply<T>(&mut self, value: T) -> Result<Reply<T>, TargetError> {
        let packets = bounded(SENT.take())?;
        let next_timer = match ffi::glue_next_timer() {
            u64::MAX => NextTimer::Never,
            at => NextTimer::At(at),
        };
        Ok(Reply { value, packets, now: ffi::glue_now(), next_timer })
    }
}

impl Target for Lwip {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn reset(&mut self, seed: u64) -> Result<(), TargetError> {
        ffi::glue_start(seed);
        SENT.take();
        Ok(())
    }

    fn call(&mut self, call: &Call) -> Result<Reply<CallResult>, TargetError> {
        let value = perform(call);
        self.reply(value)
    }

    fn deliver(&mut self, datagrams: &[Vec<u8>]) -> Result<Reply<()>, TargetError> {
        for datagram in datagrams {
            let length = u16::try_from(datagram.len()).unwrap_or(u16::MAX);
            // SAFETY: the glue copies what it is given.
            unsafe { ffi::glue_deliver(datagram.as_ptr(), length) };
        }
        self.reply(())
    }

    fn advance(&mut self, us: Micros) -> Result<Reply<()>, TargetError> {
        ffi::glue_advance(ffi::glue_now() + us);
        self.reply(())
    }
}

fn number(family: Family) -> i32 {
    if family == Family::V4 { 4 } else { 6 }
}

fn perform(call: &Call) -> CallResult {
    match call {
        Call::Listen { port, family, backlog } => socket(ffi::glue_listen(*port, number(*family), *backlog)),
        Call::Connect { port, remote_port, family } => socket(ffi::glue_connect(*port, *remote_port, number(*family))),
        Call::Accept { socket } => {
            let n = ffi::glue_accept(*socket);
            u32::try_from(n).map_or_else(|_| error(n.into()), |socket| CallResult::Accepted { socket, peer: None })
        }
        Call::Send { urgent: true, .. } => CallResult::Unsupported,
        Call::Send { socket, data, .. } => {
            let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
            // SAFETY: the glue copies what it is given.
            let n = unsafe { ffi::glue_send(*socket, data.as_ptr(), length) };
            u32::try_from(n).map_or_else(|_| error(n), CallResult::Count)
        }
        Call::Recv { socket, max } => {
            let mut data = vec![0; (*max).min(65_535) as usize];
            // SAFETY: there is room for as many octets as are asked for.
            let n = unsafe { ffi::glue_recv(*socket, data.as_mut_ptr(), (*max).min(65_535)) };
            match usize::try_from(n) {
                Ok(0) => CallResult::Error(CallError::WouldBlock),
                Ok(n) => {
                    data.truncate(n);
                    CallResult::Data(data)
                }
                Err(_) => error(n),
            }
        }
        Call::Shutdown { socket, how } => done(ffi::glue_shutdown(*socket, i32::from(*how != How::Write), i32::from(*how != How::Read))),
        Call::Close { socket } => done(ffi::glue_close(*socket)),
        Call::Abort { socket } => done(ffi::glue_abort(*socket)),
        Call::Set { socket, option: SetOption::NoDelay(on) } => done(ffi::glue_set(*socket, 1, u64::from(*on))),
        Call::Set { socket, option: SetOption::KeepAlive(us) } => done(ffi::glue_set(*socket, 2, us.unwrap_or(0))),
        Call::Set { .. } => CallResult::Unsupported,
        Call::State { socket } => match ffi::glue_state(*socket) {
            n if n < 0 => error(n.into()),
            // lwIP's `enum tcp_state` has the RFC's order.
            n => CallResult::State(State::ALL[usize::try_from(n).unwrap_or(0).min(10)]),
        },
    }
}

fn socket(n: i32) -> CallResult {
    u32::try_from(n).map_or_else(|_| error(n.into()), CallResult::Socket)
}

fn done(n: i32) -> CallResult {
    if n == 0 { CallResult::Done } else { error(n.into()) }
}

/// The glue's errors.
fn error(n: i64) -> CallResult {
    CallResult::Error(match n {
        -1 => CallError::WouldBlock,
        -2 => CallError::Refused,
        -3 => CallError::Reset,
        -4 => CallError::TimedOut,
        -5 => CallError::NotConnected,
        -6 => CallError::Closed,
        -7 => CallError::AddressInUse,
        -8 => CallError::NoBuffer,
        -10 => return CallResult::Unsupported,
        -11 => return CallResult::Eof,
        _ => CallError::Invalid,
    })
}

//! libslirp itself: one guest's network, its wire, and the loop that libslirp's host runs around it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::CStr;
use std::net::{IpAddr, SocketAddr};
use std::ptr::{null, null_mut};

use libc::{c_char, c_int, c_void, in_addr, in6_addr, size_t, ssize_t};
use tcp_harness::target::{NextTimer, Packet, TargetError};
use tcp_harness::targets::raw::frame::{self, Frame, Mac};
use tcp_harness::targets::{FLOOD, LOCAL, MTU, REMOTE};
use tcp_reference::api::Micros;
use tcp_reference::state::State;

use crate::ffi::{self, Slirp};
use crate::host;
use crate::libc_calls::written;

/// The guest's, which the harness plays.
const GUEST: Mac = [0x52, 0x54, 0, 0, 0, 2];
/// A host that has been up for a while: to libslirp the time 0 means "none".
const UPTIME: Micros = 3_600_000_000;
/// From here on libslirp waits for nothing of its own.
const NOTHING_DUE: u32 = 1000;
/// Turns of the loop for one request; a real one has some ten.
const TURNS: u32 = 100_000;

#[derive(Default)]
struct Wire {
    now: Micros,
    sent: Vec<Packet>,
    /// Answers to libslirp's questions who has an address.
    told: VecDeque<Vec<u8>>,
    /// What the loop polls, with what came of it.
    polled: Vec<(c_int, c_int)>,
}

thread_local! {
    static WIRE: RefCell<Wire> = RefCell::default();
}

/// One life of libslirp.
pub(crate) struct Stack {
    slirp: *mut Slirp,
    /// When the loop wakes by itself.
    wakes: Option<Micros>,
}

impl Stack {
    pub(crate) fn new() -> Result<Stack, TargetError> {
        host::start();
        WIRE.take();
        // SAFETY: both live for ever, and libslirp copies what the configuration points to.
        let slirp = unsafe { ffi::slirp_new(&raw const CONFIG.0, &raw const CALLBACKS, null_mut()) };
        if slirp.is_null() {
            return Err(TargetError::Harness("slirp_new refuses its configuration".to_owned()));
        }
        let mut stack = Stack { slirp, wakes: None };
        for (guest, local) in REMOTE.into_iter().zip(LOCAL) {
            let known = if guest.is_ipv4() { frame::question(GUEST, guest, guest) } else { frame::answer((GUEST, guest), (GUEST, local)) };
            stack.input(&known.unwrap_or_default());
        }
        stack.settle()?;
        WIRE.with_borrow_mut(|wire| wire.sent.clear());
        Ok(stack)
    }

    pub(crate) fn now() -> Micros {
        WIRE.with_borrow(|wire| wire.now)
    }

    pub(crate) fn sent() -> Vec<Packet> {
        WIRE.with_borrow_mut(|wire| std::mem::take(&mut wire.sent))
    }

    pub(crate) fn next_timer(&self) -> NextTimer {
        self.wakes.map_or(NextTimer::Never, NextTimer::At)
    }

    pub(crate) fn deliver(&mut self, datagram: &[u8]) -> Result<(), TargetError> {
        let mut octets = Vec::new();
        frame::datagram_into(&mut octets, (GUEST, [0xff; 6]), datagram);
        self.input(&octets);
        self.settle()
    }

    fn input(&mut self, octets: &[u8]) {
        let length = c_int::try_from(octets.len()).unwrap_or(c_int::MAX);
        // SAFETY: libslirp copies what it is given.
        unsafe { ffi::slirp_input(self.slirp, octets.as_ptr(), length) };
    }

    /// Runs the host's loop until it would sleep.
    pub(crate) fn settle(&mut self) -> Result<(), TargetError> {
        for turn in 0..TURNS {
            let mut timeout = u32::MAX;
            WIRE.with_borrow_mut(|wire| wire.polled.clear());
            // SAFETY: the callback asks for nothing else.
            unsafe { ffi::slirp_pollfds_fill(self.slirp, &raw mut timeout, add_poll, null_mut()) };
            let (ready, flood) = WIRE.with_borrow(|wire| {
                let ready = !wire.told.is_empty() || wire.polled.iter().any(|(fd, events)| host::poll(*fd, *events) != 0);
                (ready, wire.sent.len() > FLOOD)
            });
            if flood || (turn > 0 && !ready) {
                self.wakes = (timeout < NOTHING_DUE).then(|| Stack::now() + Micros::from(timeout) * 1000);
                return Ok(());
            }
            // SAFETY: as above.
            unsafe { ffi::slirp_pollfds_poll(self.slirp, 0, revents, null_mut()) };
            while let Some(told) = WIRE.with_borrow_mut(|wire| wire.told.pop_front()) {
                self.input(&told);
            }
        }
        Err(TargetError::Hang(format!("libslirp finds something to do {TURNS} times without any time passing")))
    }

    /// Time passes; the loop wakes when it wants to.
    pub(crate) fn advance(&mut self, to: Micros) -> Result<(), TargetError> {
        while let Some(at) = self.wakes.filter(|at| *at <= to) {
            WIRE.with_borrow_mut(|wire| wire.now = at);
            self.settle()?;
        }
        WIRE.with_borrow_mut(|wire| wire.now = to);
        Ok(())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: it is used no more.
        unsafe { ffi::slirp_cleanup(self.slirp) };
    }
}

/// What libslirp prints of a descriptor's connection.
pub(crate) struct Status {
    pub(crate) state: State,
    /// Octets that wait in libslirp to be read by the application.
    pub(crate) unread: usize,
}

impl Stack {
    /// A connection as libslirp prints it, by the descriptor it has: there is no other way to ask.
    pub(crate) fn status(&self, fd: c_int) -> Option<Status> {
        // SAFETY: a string of libslirp's, ours to free; GLib's free is the C library's.
        let text = unsafe {
            let text = ffi::slirp_connection_info(self.slirp);
            let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
            libc::free(text.cast());
            copy
        };
        text.lines().find_map(|line| read_status(line, fd))
    }

    /// Has libslirp open a connection to a port of the guest's, from this port.
    pub(crate) fn open(&mut self, port: u16, guest: SocketAddr) -> Result<Option<host::Id>, TargetError> {
        let loopback = if guest.is_ipv4() { IpAddr::from([127, 0, 0, 1]) } else { IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]) };
        let ((at, at_length), (to, to_length)) = (written(SocketAddr::new(loopback, FORWARDED)), written(guest));
        // SAFETY: two addresses with their lengths, which libslirp copies.
        let added = unsafe { ffi::slirp_add_hostxfwd(self.slirp, (&raw const at).cast(), at_length, (&raw const to).cast(), to_length, 0) };
        if added != 0 {
            return Err(TargetError::Harness("slirp_add_hostxfwd fails".to_owned()));
        }
        let id = host::connect_to(SocketAddr::new(loopback, FORWARDED), port);
        self.settle()?;
        // SAFETY: as above. It has accepted what was to be accepted.
        unsafe { ffi::slirp_remove_hostxfwd(self.slirp, (&raw const at).cast(), at_length, 0) };
        Ok(id)
    }
}

/// Where the host listens for those that are to be connected to the guest: a port that no vector uses.
const FORWARDED: u16 = 1;

/// A line such as `  TCP[ESTABLISHED]    7       192.0.2.2 40000       192.0.2.1  8080     0     0`.
fn read_status(line: &str, fd: c_int) -> Option<Status> {
    let (state, rest) = line.trim_start().strip_prefix("TCP[")?.split_once(']')?;
    let mut words = rest.split_whitespace();
    if words.next()?.parse() != Ok(fd) {
        return None;
    }
    let unread = words.nth_back(1)?.parse().ok()?;
    let state = match state {
        "LISTEN" => State::Listen,
        "SYN_SENT" => State::SynSent,
        "SYN_RCVD" => State::SynReceived,
        "ESTABLISHED" => State::Established,
        "CLOSE_WAIT" => State::CloseWait,
        "FIN_WAIT_1" => State::FinWait1,
        "CLOSING" => State::Closing,
        "LAST_ACK" => State::LastAck,
        "FIN_WAIT_2" => State::FinWait2,
        "TIME_WAIT" => State::TimeWait,
        _ => State::Closed,
    };
    Some(Status { state, unread })
}

extern "C" fn send_packet(frame: *const c_void, length: size_t, _: *mut c_void) -> ssize_t {
    // SAFETY: libslirp gives a whole frame.
    let octets = unsafe { std::slice::from_raw_parts(frame.cast::<u8>(), length) };
    WIRE.with_borrow_mut(|wire| match frame::read(octets) {
        Frame::Ip { datagram, .. } => {
            let at = wire.now;
            wire.sent.push(Packet { from: at, at, ip: datagram.to_vec() });
        }
        // The guest's network is all that the default route leads to: whoever is asked for, it is the guest.
        Frame::Asks { asker, mac, wanted } => wire.told.extend(frame::answer((GUEST, wanted), (mac, asker))),
        Frame::Tells { .. } | Frame::Other => {}
    });
    ssize_t::try_from(length).unwrap_or(ssize_t::MAX)
}

extern "C" fn clock_get_ns(_: *mut c_void) -> i64 {
    let us = WIRE.with_borrow(|wire| wire.now).saturating_add(UPTIME);
    i64::try_from(us.saturating_mul(1000)).unwrap_or(i64::MAX)
}

extern "C" fn guest_error(_: *const c_char, _: *mut c_void) {}

/// The one timer that libslirp has is that of router advertisements. They are not sent.
extern "C" fn timer_new(_: c_int, cb_opaque: *mut c_void, _: *mut c_void) -> *mut c_void {
    cb_opaque
}

extern "C" fn timer_free(_: *mut c_void, _: *mut c_void) {}

extern "C" fn timer_mod(_: *mut c_void, _: i64, _: *mut c_void) {}

extern "C" fn register_poll_fd(_: c_int, _: *mut c_void) {}

extern "C" fn unregister_poll_fd(fd: c_int, _: *mut c_void) {
    host::closed(fd);
}

extern "C" fn notify(_: *mut c_void) {}

extern "C" fn add_poll(fd: c_int, events: c_int, _: *mut c_void) -> c_int {
    WIRE.with_borrow_mut(|wire| {
        wire.polled.push((fd, events));
        c_int::try_from(wire.polled.len() - 1).unwrap_or(c_int::MAX)
    })
}

extern "C" fn revents(at: c_int, _: *mut c_void) -> c_int {
    let polled = WIRE.with_borrow(|wire| usize::try_from(at).ok().and_then(|at| wire.polled.get(at).copied()));
    polled.map_or(0, |(fd, events)| host::poll(fd, events))
}

struct Constant<T>(T);

// SAFETY: nobody writes to it.
unsafe impl<T> Sync for Constant<T> {}

static CALLBACKS: ffi::Callbacks = ffi::Callbacks {
    send_packet,
    guest_error,
    clock_get_ns,
    timer_new: None,
    timer_free,
    timer_mod,
    register_poll_fd,
    unregister_poll_fd,
    notify,
    init_completed: None,
    timer_new_opaque: timer_new,
};

const fn v4(address: [u8; 4]) -> in_addr {
    in_addr { s_addr: u32::from_ne_bytes(address) }
}

const fn v6(last: u8) -> in6_addr {
    in6_addr { s6_addr: [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last] }
}

/// libslirp's host is at the stack's addresses (`LOCAL`), on a network with the peer. There is no DNS, DHCP or TFTP.
static CONFIG: Constant<ffi::Config> = Constant(ffi::Config {
    version: 4,
    restricted: 0,
    in_enabled: true,
    vnetwork: v4([192, 0, 2, 0]),
    vnetmask: v4([255, 255, 255, 0]),
    vhost: v4([192, 0, 2, 1]),
    in6_enabled: true,
    vprefix_addr6: v6(0),
    vprefix_len: 64,
    vhost6: v6(1),
    vhostname: null(),
    tftp_server_name: null(),
    tftp_path: null(),
    bootfile: null(),
    vdhcp_start: v4([192, 0, 2, 15]),
    vnameserver: v4([192, 0, 2, 3]),
    vnameserver6: v6(3),
    vdnssearch: null(),
    vdomainname: null(),
    if_mtu: MTU as size_t,
    if_mru: MTU as size_t,
    disable_host_loopback: false,
    enable_emu: false,
    outbound_addr: null(),
    outbound_addr6: null(),
    disable_dns: true,
    disable_dhcp: true,
});

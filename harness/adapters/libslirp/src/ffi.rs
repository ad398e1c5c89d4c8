//! What of libslirp.h is used.

use libc::{c_char, c_int, c_void, in_addr, in6_addr, size_t, sockaddr, socklen_t, ssize_t};

/// libslirp's own state.
#[repr(C)]
pub(crate) struct Slirp {
    _opaque: [u8; 0],
}

/// `SlirpCb`: what libslirp asks of its host.
#[repr(C)]
pub(crate) struct Callbacks {
    pub(crate) send_packet: extern "C" fn(*const c_void, size_t, *mut c_void) -> ssize_t,
    pub(crate) guest_error: extern "C" fn(*const c_char, *mut c_void),
    pub(crate) clock_get_ns: extern "C" fn(*mut c_void) -> i64,
    pub(crate) timer_new: Option<extern "C" fn()>,
    pub(crate) timer_free: extern "C" fn(*mut c_void, *mut c_void),
    pub(crate) timer_mod: extern "C" fn(*mut c_void, i64, *mut c_void),
    pub(crate) register_poll_fd: extern "C" fn(c_int, *mut c_void),
    pub(crate) unregister_poll_fd: extern "C" fn(c_int, *mut c_void),
    pub(crate) notify: extern "C" fn(*mut c_void),
    pub(crate) init_completed: Option<extern "C" fn()>,
    pub(crate) timer_new_opaque: extern "C" fn(c_int, *mut c_void, *mut c_void) -> *mut c_void,
}

/// `SlirpConfig`, version 4.
#[repr(C)]
pub(crate) struct Config {
    pub(crate) version: u32,
    pub(crate) restricted: c_int,
    pub(crate) in_enabled: bool,
    pub(crate) vnetwork: in_addr,
    pub(crate) vnetmask: in_addr,
    pub(crate) vhost: in_addr,
    pub(crate) in6_enabled: bool,
    pub(crate) vprefix_addr6: in6_addr,
    pub(crate) vprefix_len: u8,
    pub(crate) vhost6: in6_addr,
    pub(crate) vhostname: *const c_char,
    pub(crate) tftp_server_name: *const c_char,
    pub(crate) tftp_path: *const c_char,
    pub(crate) bootfile: *const c_char,
    pub(crate) vdhcp_start: in_addr,
    pub(crate) vnameserver: in_addr,
    pub(crate) vnameserver6: in6_addr,
    pub(crate) vdnssearch: *const *const c_char,
    pub(crate) vdomainname: *const c_char,
    pub(crate) if_mtu: size_t,
    pub(crate) if_mru: size_t,
    pub(crate) disable_host_loopback: bool,
    pub(crate) enable_emu: bool,
    pub(crate) outbound_addr: *const c_void,
    pub(crate) outbound_addr6: *const c_void,
    pub(crate) disable_dns: bool,
    pub(crate) disable_dhcp: bool,
}

pub(crate) type AddPoll = extern "C" fn(c_int, c_int, *mut c_void) -> c_int;
pub(crate) type GetRevents = extern "C" fn(c_int, *mut c_void) -> c_int;

/// Flags of a poll.
pub(crate) const IN: c_int = 1;
pub(crate) const OUT: c_int = 1 << 1;
pub(crate) const PRI: c_int = 1 << 2;
pub(crate) const ERR: c_int = 1 << 3;
pub(crate) const HUP: c_int = 1 << 4;

unsafe extern "C" {
    pub(crate) fn slirp_new(config: *const Config, callbacks: *const Callbacks, opaque: *mut c_void) -> *mut Slirp;
    pub(crate) fn slirp_cleanup(slirp: *mut Slirp);
    pub(crate) fn slirp_pollfds_fill(slirp: *mut Slirp, timeout: *mut u32, add: AddPoll, opaque: *mut c_void);
    pub(crate) fn slirp_pollfds_poll(slirp: *mut Slirp, select_error: c_int, revents: GetRevents, opaque: *mut c_void);
    pub(crate) fn slirp_input(slirp: *mut Slirp, frame: *const u8, length: c_int);
    pub(crate) fn slirp_add_hostxfwd(
        slirp: *mut Slirp,
        host: *const sockaddr,
        host_length: socklen_t,
        guest: *const sockaddr,
        guest_length: socklen_t,
        flags: c_int,
    ) -> c_int;
    pub(crate) fn slirp_remove_hostxfwd(slirp: *mut Slirp, host: *const sockaddr, host_length: socklen_t, flags: c_int) -> c_int;
    pub(crate) fn slirp_connection_info(slirp: *mut Slirp) -> *mut c_char;
    pub(crate) safe fn slirp_version_string() -> *const c_char;
}

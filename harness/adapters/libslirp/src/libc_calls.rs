//! The functions of the C library by which libslirp uses its host's sockets; in this program they are these. A descriptor is one of the
//! kernel's, which stands for nothing but its number.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use libc::{
    AF_INET, AF_INET6, SO_ERROR, SOCK_STREAM, SOL_SOCKET, c_int, c_void, size_t, sockaddr, sockaddr_in, sockaddr_in6, socklen_t, ssize_t,
};

use crate::host::{Errno, calls};

/// What a function of the C library gives for this.
fn done(result: Result<c_int, Errno>) -> c_int {
    result.unwrap_or_else(|errno| {
        // SAFETY: it is this thread's own.
        unsafe { libc::__errno_location().write(errno) };
        -1
    })
}

/// A descriptor that nobody else has.
fn descriptor() -> Result<c_int, Errno> {
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if fd < 0 { Err(libc::EMFILE) } else { Ok(fd) }
}

/// # Safety
/// `address` points to an address of its family.
pub(crate) unsafe fn read_address(address: *const sockaddr) -> Result<SocketAddr, Errno> {
    // SAFETY: as the caller has it.
    unsafe {
        match c_int::from((*address).sa_family) {
            AF_INET => {
                let v4 = address.cast::<sockaddr_in>().read_unaligned();
                Ok(SocketAddr::new(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into(), u16::from_be(v4.sin_port)))
            }
            AF_INET6 => {
                let v6 = address.cast::<sockaddr_in6>().read_unaligned();
                Ok(SocketAddr::new(Ipv6Addr::from(v6.sin6_addr.s6_addr).into(), u16::from_be(v6.sin6_port)))
            }
            _ => Err(libc::EAFNOSUPPORT),
        }
    }
}

/// An address as the C library has it, and how long it is.
pub(crate) fn written(address: SocketAddr) -> (sockaddr_in6, socklen_t) {
    // SAFETY: all of its octets may be zero.
    let mut room: sockaddr_in6 = unsafe { std::mem::zeroed() };
    let length = match address.ip() {
        IpAddr::V4(ip) => {
            // SAFETY: a sockaddr_in is shorter, and all of its octets may be zero.
            let v4 = unsafe { &mut *(&raw mut room).cast::<sockaddr_in>() };
            v4.sin_family = AF_INET as libc::sa_family_t;
            v4.sin_port = address.port().to_be();
            v4.sin_addr.s_addr = u32::from(ip).to_be();
            size_of::<sockaddr_in>()
        }
        IpAddr::V6(ip) => {
            room.sin6_family = AF_INET6 as libc::sa_family_t;
            room.sin6_port = address.port().to_be();
            room.sin6_addr.s6_addr = ip.octets();
            size_of::<sockaddr_in6>()
        }
    };
    (room, length as socklen_t)
}

/// # Safety
/// `to` points to as many octets as `length` says.
unsafe fn give_address(address: SocketAddr, to: *mut sockaddr, length: *mut socklen_t) {
    let (room, needed) = written(address);
    // SAFETY: as the caller has it.
    unsafe {
        std::ptr::copy_nonoverlapping((&raw const room).cast::<u8>(), to.cast::<u8>(), needed.min(*length) as usize);
        *length = needed;
    }
}

#[unsafe(no_mangle)]
extern "C" fn socket(_domain: c_int, kind: c_int, _protocol: c_int) -> c_int {
    // No other protocol is to leave this host.
    let stream = kind & !(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) == SOCK_STREAM;
    done(if stream { descriptor().inspect(|&fd| calls::socket(fd)) } else { Err(libc::EACCES) })
}

/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn bind(fd: c_int, address: *const sockaddr, _length: socklen_t) -> c_int {
    // SAFETY: as the caller has it.
    done(unsafe { read_address(address) }.and_then(|address| calls::bind(fd, address)).map(|()| 0))
}

#[unsafe(no_mangle)]
extern "C" fn listen(fd: c_int, _backlog: c_int) -> c_int {
    done(calls::listen(fd).map(|()| 0))
}

/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn accept(listener: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int {
    done(descriptor().and_then(|fd| {
        let peer = calls::accept(listener, fd)?;
        // SAFETY: as the caller has it.
        unsafe { give_address(peer, address, length) };
        Ok(fd)
    }))
}

/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn connect(fd: c_int, address: *const sockaddr, _length: socklen_t) -> c_int {
    // SAFETY: as the caller has it.
    done(unsafe { read_address(address) }.and_then(|address| calls::connect(fd, address)).map(|()| 0))
}

/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn getsockname(fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int {
    // SAFETY: as the caller has it.
    done(calls::name(fd).map(|name| unsafe { give_address(name, address, length) }).map(|()| 0))
}

/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn getpeername(fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int {
    // SAFETY: as the caller has it.
    done(calls::peer(fd).map(|name| unsafe { give_address(name, address, length) }).map(|()| 0))
}

/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn getsockopt(fd: c_int, level: c_int, option: c_int, value: *mut c_void, length: *mut socklen_t) -> c_int {
    // SAFETY: as the caller has it.
    unsafe {
        if (level, option) != (SOL_SOCKET, SO_ERROR) || (*length as usize) < size_of::<c_int>() {
            return done(Err(libc::ENOPROTOOPT));
        }
        value.cast::<c_int>().write_unaligned(calls::error(fd));
    }
    0
}

/// None of them changes what happens here.
#[unsafe(no_mangle)]
extern "C" fn setsockopt(_fd: c_int, _level: c_int, _option: c_int, _value: *const c_void, _length: socklen_t) -> c_int {
    0
}

/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn send(fd: c_int, octets: *const c_void, length: size_t, flags: c_int) -> ssize_t {
    // SAFETY: as the caller has it.
    let octets = if length == 0 { &[] } else { unsafe { std::slice::from_raw_parts(octets.cast::<u8>(), length) } };
    done(calls::send(fd, octets, flags & libc::MSG_OOB != 0).map(|count| c_int::try_from(count).unwrap_or(c_int::MAX))) as ssize_t
}

/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn recv(fd: c_int, octets: *mut c_void, length: size_t, _flags: c_int) -> ssize_t {
    done(calls::recv(fd, length).map(|data| {
        // SAFETY: there is room for as many as were asked for.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), octets.cast::<u8>(), data.len()) };
        c_int::try_from(data.len()).unwrap_or(c_int::MAX)
    })) as ssize_t
}

#[unsafe(no_mangle)]
extern "C" fn shutdown(fd: c_int, how: c_int) -> c_int {
    if how != libc::SHUT_RD {
        calls::end(fd);
    }
    0
}

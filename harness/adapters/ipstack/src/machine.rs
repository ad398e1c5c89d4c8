//! What ipstack takes from the machine besides tokio's clock: the standard library's monotonic time, by which it ages what it has sent, and the
//! random octets of its initial sequence numbers. Both are asked of the C library, whose functions these stand in for, in this program alone.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tcp_reference::api::Micros;

/// The time since the last reset, microseconds.
static NOW: AtomicU64 = AtomicU64::new(0);
/// What the next random octets come from.
static CHANCE: AtomicU64 = AtomicU64::new(0);

/// Sets the time of `std::time::Instant`.
pub(crate) fn set_time(now: Micros) {
    NOW.store(now, Relaxed);
}

/// The random octets from here on come from this seed.
pub(crate) fn set_seed(seed: u64) {
    CHANCE.store(seed, Relaxed);
    // What the generator has drawn already belongs to another seed.
    if let Err(error) = rand::rng().reseed() {
        unreachable!("the octets come from below: {error}");
    }
}

/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    if clock != libc::CLOCK_MONOTONIC {
        // SAFETY: as the caller has it.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) }.try_into().unwrap_or(-1);
    }
    let now = NOW.load(Relaxed);
    let seconds = libc::time_t::try_from(now / 1_000_000).unwrap_or(libc::time_t::MAX);
    // SAFETY: the caller gives room for it.
    unsafe { time.write(libc::timespec { tv_sec: seconds, tv_nsec: (now % 1_000_000 * 1000) as libc::c_long }) };
    0
}

/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(octets: *mut u8, length: libc::size_t, _flags: libc::c_uint) -> libc::ssize_t {
    // SAFETY: the caller gives room for them.
    let octets = unsafe { std::slice::from_raw_parts_mut(octets, length) };
    for some in octets.chunks_mut(8) {
        // splitmix64
        let mut z = CHANCE.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        some.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..some.len()]);
    }
    libc::ssize_t::try_from(length).unwrap_or(libc::ssize_t::MAX)
}

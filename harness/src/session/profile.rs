//! What the oracle has to be told of the known targets, each value with its reason.

use std::path::Path;

use tcp_reference::profile::{MILLISECOND, Profile, SECOND};

/// The profile of a target by its name; the RFCs' own values for one that is not known.
#[must_use]
pub fn profile_for(target: &str) -> Profile {
    match target.split(':').next() {
        Some("smoltcp") => smoltcp(),
        Some("linux-kernel") => linux(),
        Some("reference" | "mutant") => tcp_reference::stack::Policy::default().profile(),
        _ => Profile::default(),
    }
}

fn smoltcp() -> Profile {
    Profile {
        time_wait: 10 * SECOND..=10 * SECOND,
        rto_min: SECOND,
        rto_first: 3 * SECOND,
        rto_max: 60 * SECOND,
        reply_throttle: Some(SECOND),
        half_duplex_close: false,
        window_scale: true,
        user_stamps: true,
        reasons: vec![
            "TSvals come from a function of the user's, here the harness's own clock: set_tsval_generator()".to_owned(),
            "windows are scaled (RFC 7323): always, with a shift from the buffer's size; timestamps are off unless they are set".to_owned(),
            "TIME-WAIT lasts 10 s: CLOSE_DELAY in smoltcp's socket/tcp.rs".to_owned(),
            "RTO between 1 s and 60 s: RTTE_MIN_RTO and RTTE_MAX_RTO".to_owned(),
            "replies to unacceptable segments at most once in 1 s: challenge_ack_timer (RFC 5961 section 7 allows a throttle)".to_owned(),
            "close() ends sending only and what arrives can still be read: it is not the half-duplex CLOSE of RFC 9293 MAY-1".to_owned(),
        ],
        ..Profile::default()
    }
}

fn linux() -> Profile {
    linux_of(Path::new("/proc/sys/net/ipv4/tcp_syn_linear_timeouts").exists())
}

/// Linux with or without the setting `tcp_syn_linear_timeouts`, which came with 6.5. Each network namespace has it or none has, and a fresh one
/// has the kernel's own default.
fn linux_of(has_linear_syn_timeouts: bool) -> Profile {
    let (linear_syn_timeouts, linear) = if has_linear_syn_timeouts {
        (4, "the first four time-outs of a SYN do not double: tcp_syn_linear_timeouts")
    } else {
        (0, "the time-outs of a SYN double from the first on: this kernel has no tcp_syn_linear_timeouts")
    };
    Profile {
        time_wait: 60 * SECOND..=60 * SECOND,
        rto_min: 200 * MILLISECOND,
        rto_first: 3 * SECOND,
        rto_max: 120 * SECOND,
        linear_syn_timeouts,
        give_up_orphan: 50 * SECOND,
        accepts_ended: true,
        overrun: 1 << 20,
        window_scale: true,
        timestamps: true,
        reasons: vec![
            "windows are scaled and timestamps known (RFC 7323): tcp_window_scaling and tcp_timestamps are on by default".to_owned(),
            "TIME-WAIT lasts 60 s: TCP_TIMEWAIT_LEN; RFC 9293 section 3.4.2 leaves the MSL to the implementation".to_owned(),
            "RTO from 200 ms: TCP_RTO_MIN; RFC 6298 (2.4) SHOULD be 1 s".to_owned(),
            linear.to_owned(),
            "a connection after close is given up after 8 retransmissions, some 50 s: tcp_orphan_retries".to_owned(),
            "accept gives connections in their order, also one that the peer has reset by then".to_owned(),
            "up to 1 MiB beyond the window is taken: the receive buffer counts memory, not octets".to_owned(),
        ],
        ..Profile::default()
    }
}

#[cfg(test)]
mod tests {
    use super::linux_of;

    #[test]
    fn a_syn_is_held_to_what_the_kernel_has() {
        assert_eq!(linux_of(true).linear_syn_timeouts, 4);
        let older = linux_of(false);
        assert_eq!(older.linear_syn_timeouts, 0);
        assert!(older.reasons.iter().any(|r| r.contains("no tcp_syn_linear_timeouts")), "{:?}", older.reasons);
    }
}

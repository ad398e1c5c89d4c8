//! What happened in a run as counters, which guide a fuzzer where the stack's own code cannot be watched: a kernel, say.

use tcp_reference::trace::{Arrival, Trace, What};

use super::random::mixed;

/// How many counters there are.
pub const COUNTERS: usize = 4096;

/// Counts each answer of the stack together with what it answered and what it had sent before: the wire's own view of state, event and
/// outcome.
pub fn count(trace: &Trace, counters: &mut [u8]) {
    let (mut stimulus, mut last) = (0, 0);
    for event in &trace.events {
        match &event.what {
            What::Arrive { arrival: Arrival::Segment(s), .. } => {
                stimulus = u64::from(s.flags.0) | u64::from(s.payload.is_empty()) << 16 | 1 << 20;
            }
            What::Arrive { arrival: Arrival::Discarded(_), .. } => stimulus = 2 << 20,
            What::Arrive { arrival: Arrival::Icmp(icmp), .. } => stimulus = 4 << 20 | icmp.error as u64,
            What::Call { call, .. } => stimulus = 3 << 20 | discriminant(call),
            What::Emit { segment, .. } => {
                let sent = u64::from(segment.flags.0) | u64::from(segment.payload.is_empty()) << 16;
                let place = mixed(mixed(stimulus << 32 | last) ^ sent) % u64::try_from(counters.len().max(1)).unwrap_or(1);
                if let Some(counter) = usize::try_from(place).ok().and_then(|place| counters.get_mut(place)) {
                    *counter = counter.saturating_add(1);
                }
                last = sent;
            }
            What::Quiet | What::Stall => {}
        }
    }
}

fn discriminant(call: &tcp_reference::api::Call) -> u64 {
    use tcp_reference::api::Call;
    match call {
        Call::Listen { .. } => 0,
        Call::Accept { .. } => 1,
        Call::Connect { .. } => 2,
        Call::Send { .. } => 3,
        Call::Recv { .. } => 4,
        Call::Shutdown { .. } => 5,
        Call::Close { .. } => 6,
        Call::Abort { .. } => 7,
        Call::Set { .. } => 8,
        Call::State { .. } => 9,
    }
}

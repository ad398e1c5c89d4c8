//! What mutants of the reference stack make of window scaling (RFC 7323 section 2).

use crate::segment::Segment;
use crate::stack::Policy;
use crate::stack::endpoint::Endpoint;
use crate::stack::mutant::Fault;
use crate::tcb::Conn;

impl Endpoint {
    /// What a mutant makes of window scaling.
    pub(super) fn spoil_scale(&mut self, segment: &Segment, policy: &Policy, fresh: bool) {
        let (Some(mutant), Conn::Open(tcb)) = (self.mutant, &mut self.conn) else { return };
        let shift = segment.window_scale().map(|n| n.min(30));
        match mutant.fault {
            Fault::ScalesUnasked if fresh => tcb.rcv_scale = policy.window_scale.unwrap_or(0),
            Fault::IgnoresScale if fresh => tcb.snd_scale = 0,
            Fault::ScaleTooLarge if fresh && tcb.snd_scale > 0 => tcb.snd_scale += 1,
            Fault::ScaleUnclamped if fresh => tcb.snd_scale = shift.filter(|_| policy.window_scale.is_some()).unwrap_or(0),
            Fault::ZeroScaleIsNone if fresh && shift == Some(0) => tcb.rcv_scale = 0,
            Fault::ScalesSynWindow if fresh => tcb.snd_wnd <<= tcb.snd_scale,
            Fault::ScalesOnText if !segment.is_syn() => tcb.snd_scale = shift.unwrap_or(tcb.snd_scale),
            _ => {}
        }
    }
}

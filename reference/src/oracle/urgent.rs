//! What the control bits say of the text: URG with its pointer (RFC 9293 section 3.8.5), and PSH.

use crate::catalogue::Level;
use crate::oracle::emission::{BREAKS, Misfit};
use crate::oracle::hypothesis::Hypothesis;
use crate::rules;
use crate::segment::{Flags, Segment};

impl Hypothesis {
    /// URG where urgent text is outstanding and nowhere else; "the urgent pointer MUST point to the sequence number of the octet following the
    /// urgent data" (MUST-62), however long that is (MUST-31).
    pub(crate) fn urgent_pointer(&self, segment: &Segment) -> Result<(), Misfit> {
        let misfit = |rule, kind| Err(Misfit { level: Level::Must, ..Misfit::new(rule, kind, BREAKS) });
        let has_flag = segment.flags.has(Flags::URG);
        let Some((before, last)) = self.user.urgent else {
            return if has_flag { Err(Misfit::new(rules::SEND, "urg", BREAKS)) } else { Ok(()) };
        };
        let Some(tcb) = self.conn.tcb() else { return Ok(()) };
        let ends = [tcb.iss + 1 + before, tcb.iss + 1 + last];
        if !has_flag {
            // A pointer of 16 bits cannot say what lies farther away.
            let ahead = ends[1].offset_from(segment.seq);
            let outstanding = !segment.payload.is_empty() && ahead > 0 && ahead <= i32::from(u16::MAX);
            return if outstanding { misfit(rules::URGENT_LENGTH, "urg") } else { Ok(()) };
        }
        let far = segment.urgent == u16::MAX && ends[1].offset_from(segment.seq) > i32::from(u16::MAX);
        let pointer = segment.seq + u32::from(segment.urgent);
        if ends.contains(&pointer) || far { Ok(()) } else { misfit(rules::URGENT_POINTER, "urgent-pointer") }
    }

    /// Without a PUSH flag on SEND the stack "MUST set the PSH bit in the last buffered segment (i.e., when there is no more queued data to be
    /// sent)" (MUST-61). A FIN implies it (section 3.8).
    pub(crate) fn pushes(&self, segment: &Segment) -> Result<(), Misfit> {
        let last = !segment.payload.is_empty() && segment.text_end() == self.stream_end() && !segment.is_fin();
        if last && !segment.flags.has(Flags::PSH) {
            return Err(Misfit { level: Level::Must, ..Misfit::new(rules::PUSH_LAST, "psh", BREAKS) });
        }
        Ok(())
    }
}

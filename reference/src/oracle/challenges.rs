//! The throttle of challenge ACKs (RFC 5961 section 7): "in any 5 second window, no more than 10 challenge ACKs should be sent", where both numbers are
//! the stack's to choose.

use crate::api::Micros;
use crate::oracle::emission::Sent;
use crate::oracle::hypothesis::Hypothesis;
use crate::profile::{CHALLENGE_INTERVAL, Profile};
use crate::rules;

/// The challenge ACKs of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Challenges {
    /// When the interval began in which they are counted, and how many there are.
    began: Micros,
    sent: u32,
    /// How many there were in the interval before.
    before: u32,
    /// The missing throttle was told.
    told: bool,
}

impl Challenges {
    fn roll(&mut self, now: Micros) {
        if now >= self.began + CHALLENGE_INTERVAL {
            let adjoins = now < self.began + 2 * CHALLENGE_INTERVAL;
            *self = Challenges { began: now, sent: 0, before: if adjoins { self.sent } else { 0 }, ..*self };
        }
    }
}

impl Hypothesis {
    /// Whether a throttle may swallow a challenge now. The stack's own interval may have begun within the last one counted here.
    pub(crate) fn may_throttle(&mut self, now: Micros, profile: &Profile) -> bool {
        let challenges = &mut self.clocks.challenges;
        challenges.roll(now);
        challenges.sent + challenges.before >= *profile.challenge_acks.start()
    }

    /// A challenge ACK was sent.
    pub(crate) fn challenged(&mut self, sent: &Sent<'_>) {
        let challenges = &mut self.clocks.challenges;
        challenges.roll(sent.at);
        challenges.sent += 1;
        if challenges.sent > *sent.profile.challenge_acks.end() && !challenges.told {
            challenges.told = true;
            self.depart(rules::CHALLENGES_THROTTLED, sent.event);
        }
    }
}

//! The ids that code cites, one constant each; a test proves that all stand in the catalogue.

use crate::api::Call;
use crate::catalogue::RuleId;
use crate::state::State;

/// A rule that section 3.10.7.4 states for several states: one id for each.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    ids: [Option<&'static str>; 8],
}

impl Family {
    /// The rule's id in this state. A state for which the catalogue has no row of its own gives ESTABLISHED's, whose processing it shares.
    #[must_use]
    pub const fn at(&self, state: State) -> RuleId {
        let index = match state {
            State::SynReceived => 0,
            State::Closed | State::Listen | State::SynSent | State::Established => 1,
            State::FinWait1 => 2,
            State::FinWait2 => 3,
            State::CloseWait => 4,
            State::Closing => 5,
            State::LastAck => 6,
            State::TimeWait => 7,
        };
        match (self.ids[index], self.ids[1]) {
            (Some(id), _) | (None, Some(id)) => RuleId(id),
            (None, None) => RuleId("RFC9293:3.10.7/processing-order"),
        }
    }

    /// Every id of the family.
    pub fn all(&self) -> impl Iterator<Item = RuleId> + '_ {
        self.ids.iter().flatten().map(|id| RuleId(id))
    }
}

macro_rules! families {
    ($($name:ident $tail:literal [$($state:literal)*];)*) => {
        $(
            #[doc = concat!("Section 3.10.7.4, `", $tail, "`.")]
            pub const $name: Family = {
                let mut ids = [None; 8];
                let mut i = 0;
                let rows: &[(&str, &str)] = &[$(($state, concat!("RFC9293:3.10.7.4/", $state, "/", $tail))),*];
                while i < rows.len() {
                    ids[slot(rows[i].0)] = Some(rows[i].1);
                    i += 1;
                }
                Family { ids }
            };
        )*
        /// Every family.
        pub const FAMILIES: &[Family] = &[$($name),*];
    };
}

macro_rules! singles {
    ($list:ident $($name:ident $id:literal;)*) => {
        $(
            #[doc = concat!("`", $id, "`.")]
            pub const $name: RuleId = RuleId($id);
        )*
        /// Every rule of its kind.
        pub const $list: &[RuleId] = &[$($name),*];
    };
}

/// The place of a state's name in a [`Family`]; evaluated at compile time.
const fn slot(state: &str) -> usize {
    match state.as_bytes() {
        b"SYN-RECEIVED" => 0,
        b"ESTABLISHED" => 1,
        b"FIN-WAIT-1" => 2,
        b"FIN-WAIT-2" => 3,
        b"CLOSE-WAIT" => 4,
        b"CLOSING" => 5,
        b"LAST-ACK" => 6,
        b"TIME-WAIT" => 7,
        _ => panic!("not a state of section 3.10.7.4"),
    }
}

families! {
    SEQ_UNACCEPTABLE "seq-unacceptable" ["SYN-RECEIVED" "ESTABLISHED" "FIN-WAIT-1" "FIN-WAIT-2" "CLOSE-WAIT" "CLOSING" "LAST-ACK" "TIME-WAIT"];
    SEQ_UNACCEPTABLE_RST "seq-unacceptable-rst" ["SYN-RECEIVED" "ESTABLISHED" "FIN-WAIT-1" "FIN-WAIT-2" "CLOSE-WAIT" "CLOSING" "LAST-ACK" "TIME-WAIT"];
    RST_EXACT "rst-exact" ["SYN-RECEIVED" "ESTABLISHED" "FIN-WAIT-1" "FIN-WAIT-2" "CLOSE-WAIT" "CLOSING" "LAST-ACK" "TIME-WAIT"];
    RST_IN_WINDOW "rst-in-window" ["SYN-RECEIVED" "ESTABLISHED" "FIN-WAIT-1" "FIN-WAIT-2" "CLOSE-WAIT" "CLOSING" "LAST-ACK" "TIME-WAIT"];
    SYN "syn" ["ESTABLISHED" "FIN-WAIT-1" "FIN-WAIT-2" "CLOSE-WAIT" "CLOSING" "LAST-ACK" "TIME-WAIT"];
    ACK_MISSING "ack-missing" ["SYN-RECEIVED" "ESTABLISHED" "FIN-WAIT-1" "FIN-WAIT-2" "CLOSE-WAIT" "CLOSING" "LAST-ACK" "TIME-WAIT"];
    ACK_5961_RANGE "ack-5961-range" ["SYN-RECEIVED" "ESTABLISHED" "FIN-WAIT-1" "FIN-WAIT-2" "CLOSE-WAIT" "CLOSING" "LAST-ACK" "TIME-WAIT"];
    ACK_FUTURE "ack-future" ["ESTABLISHED" "FIN-WAIT-1" "FIN-WAIT-2" "CLOSE-WAIT" "CLOSING" "LAST-ACK" "TIME-WAIT"];
    ACK_OF_FIN "ack-of-fin" ["FIN-WAIT-1" "CLOSING" "LAST-ACK"];
    ACK_NOT_FIN "ack-not-fin" ["FIN-WAIT-1" "CLOSING" "LAST-ACK"];
    TEXT "text" ["ESTABLISHED" "FIN-WAIT-1" "FIN-WAIT-2" "CLOSE-WAIT" "CLOSING" "LAST-ACK" "TIME-WAIT"];
    TEXT_OOO "text-in-window-ooo" ["ESTABLISHED" "FIN-WAIT-1" "FIN-WAIT-2"];
    URG "urg" ["CLOSE-WAIT" "CLOSING" "LAST-ACK" "TIME-WAIT"];
    FIN "fin" ["SYN-RECEIVED" "ESTABLISHED" "FIN-WAIT-2" "CLOSE-WAIT" "CLOSING" "LAST-ACK" "TIME-WAIT"];
}

// What a stack may do and need not: a MAY, or a text that can be read in two ways. Without it, some right stack would be found at fault.
singles! { PERMISSIONS
    HALF_DUPLEX "RFC9293:MAY-1";
    REOPENED "RFC9293:MAY-2";
    ACK_RANGE_CHECKED "RFC9293:MAY-12";
    MAX_SND_WND_HARD_CODED "RFC5961:5-3";
    FUTURE_ACK_OR_5961 "RFC9293:3.10.7.4/SYN-RECEIVED/ack-future-vs-5961";
    SEQ_SPANS_WINDOW "RFC9293:3.10.7.4/ANY/seq-spans-window";
    SEQ_CHECK_RELAXED "RFC9293:3.10.7.4/ANY/seq-validation-relaxed";
    RESET_SENDER_LINGERS "RFC9293:3.5.2/reset-sender-timewait";
    TIME_WAIT_FIN_LITERAL "RFC9293:3.10.7.4/TIME-WAIT/fin-retransmit-literal";
    TIME_WAIT_SYN_DROPPED "RFC6191:2-4";
    TIME_WAIT_IGNORES_RST "RFC1337:3-1";
    RST_ECHO_CHECKED "RFC7323:5-5";
}

// A mitigation that RFC 9293 leaves open: either way conforms, and findings of class `variant` say which was seen.
singles! { CHOICES
    THREE_STEP_RST "RFC5961:3-1";
    SYN_CHALLENGED "RFC5961:4-1";
}

// What a stack must or should do.
singles! { SINGLES
    CLOSED_RST "RFC9293:3.10.7.1/CLOSED/rst";
    CLOSED_NO_ACK "RFC9293:3.10.7.1/CLOSED/no-ack";
    CLOSED_ACK "RFC9293:3.10.7.1/CLOSED/ack";
    LISTEN_RST "RFC9293:3.10.7.2/LISTEN/rst";
    LISTEN_ACK "RFC9293:3.10.7.2/LISTEN/ack";
    LISTEN_SYN "RFC9293:3.10.7.2/LISTEN/syn";
    LISTEN_SYN_DATA "RFC9293:3.10.7.2/LISTEN/syn-data";
    LISTEN_SYN_FIN "RFC9293:3.10.7.2/LISTEN/syn-fin";
    LISTEN_OTHER "RFC9293:3.10.7.2/LISTEN/other";
    SYN_SENT_ACK_UNACCEPTABLE "RFC9293:3.10.7.3/SYN-SENT/ack-unacceptable";
    SYN_SENT_ACK_UNACCEPTABLE_RST "RFC9293:3.10.7.3/SYN-SENT/ack-unacceptable-rst";
    SYN_SENT_RST_ACK_OK "RFC9293:3.10.7.3/SYN-SENT/rst-ack-ok";
    SYN_SENT_RST_NO_ACK "RFC9293:3.10.7.3/SYN-SENT/rst-no-ack";
    SYN_SENT_SYN_ACK "RFC9293:3.10.7.3/SYN-SENT/syn-ack";
    SYN_SENT_SYN_ACK_WITH_DATA "RFC9293:3.10.7.3/SYN-SENT/syn-ack-with-data";
    SYN_SENT_SYN_ACK_FIN "RFC9293:3.10.7.3/SYN-SENT/syn-ack-fin";
    SYN_SENT_SYN_ONLY "RFC9293:3.10.7.3/SYN-SENT/syn-only";
    SYN_SENT_SYN_ONLY_DATA "RFC9293:3.10.7.3/SYN-SENT/syn-only-data";
    SYN_SENT_NO_SYN_NO_RST "RFC9293:3.10.7.3/SYN-SENT/no-syn-no-rst";
    SYN_RECEIVED_ACK_ACCEPTABLE "RFC9293:3.10.7.4/SYN-RECEIVED/ack-acceptable";
    SYN_RECEIVED_ACK_UNACCEPTABLE "RFC9293:3.10.7.4/SYN-RECEIVED/ack-unacceptable";
    SYN_RECEIVED_SYN_PASSIVE "RFC9293:3.10.7.4/SYN-RECEIVED/syn-passive";
    SYN_RECEIVED_SYN_DUPLICATE "RFC9293:3.10.7.4/SYN-RECEIVED/syn-duplicate";
    SYN_RECEIVED_SYN_ACTIVE "RFC9293:3.10.7.4/SYN-RECEIVED/syn-active";
    SYN_RECEIVED_SYN_ACK_SIMULTANEOUS "RFC9293:3.10.7.4/SYN-RECEIVED/syn-ack-simultaneous";
    ACK_NEW "RFC9293:3.10.7.4/ESTABLISHED/ack-new";
    WINDOW_UPDATE "RFC9293:3.10.7.4/ESTABLISHED/window-update";
    ACK_DUPLICATE "RFC9293:3.10.7.4/ESTABLISHED/ack-duplicate";
    FIN_WAIT_2_ACK "RFC9293:3.10.7.4/FIN-WAIT-2/ack";
    CLOSE_WAIT_ACK "RFC9293:3.10.7.4/CLOSE-WAIT/ack";
    TIME_WAIT_ACK "RFC9293:3.10.7.4/TIME-WAIT/ack";
    TIME_WAIT_NEWER_TIMESTAMP "RFC6191:2-1";
    TIME_WAIT_EQUAL_TIMESTAMP "RFC6191:2-2";
    TIME_WAIT_WITHOUT_TIMESTAMP "RFC6191:2-3";
    TIME_WAIT_FIRST_TIMESTAMP "RFC6191:2-5";
    TIME_WAIT_FIN_RETRANSMIT "RFC9293:3.10.7.4/TIME-WAIT/fin-retransmit";
    FIN_NOT_ACKS_OURS "RFC9293:3.10.7.4/FIN-WAIT-1/fin-not-acks-ours";
    FIN_ACKS_OURS "RFC9293:3.10.7.4/FIN-WAIT-1/fin-acks-ours";
    ALL_BEFORE_ACK "RFC9293:MUST-59";
    ACK_ALWAYS "RFC9293:3.8/ack-always";
    SYNC_UNACCEPTABLE "RFC9293:3.5.2/sync-unacceptable";
    RST_AT_ZERO_WINDOW "RFC9293:MUST-66";
    RST_WITH_DATA "RFC9293:SHLD-2";
    SYN_RECEIVED_RST_WITH_ACK "RFC9293:3.10.7.4/SYN-RECEIVED/rst-with-ack-bit";
    ZERO_WINDOW_EXCEPTIONS "RFC9293:3.10.7.4/ANY/zero-window-exceptions";
    TRIM "RFC9293:3.10.7.4/ANY/trim";
    NOT_UNICAST_TO "RFC9293:MUST-57";
    NOT_UNICAST_FROM "RFC9293:MUST-63";
    NOT_UNICAST_ANY "RFC1122:4.2.3.10-1";
    CHECKSUM_SENT "RFC9293:MUST-2";
    CHECKSUM_RECEIVED "RFC9293:MUST-3";
    DATA_OFFSET "RFC9293:3.1/data-offset";
    RESERVED_BITS "RFC9293:3.1/reserved-bits";
    OPTION_LENGTH "RFC9293:MUST-68";
    OPTION_PADDING "RFC9293:MUST-69";
    OPTION_ILLEGAL "RFC9293:MUST-7";
    OPEN_PASSIVE "RFC9293:3.10.1/OPEN/CLOSED-passive";
    OPEN_ACTIVE "RFC9293:3.10.1/OPEN/CLOSED-active";
    OPEN_AGAIN "RFC9293:3.10.1/OPEN/OTHER";
    CLOSE_LISTEN "RFC9293:3.10.4/CLOSE/LISTEN";
    CLOSE_SYN_SENT "RFC9293:3.10.4/CLOSE/SYN-SENT";
    CLOSE_SYN_RECEIVED "RFC9293:3.10.4/CLOSE/SYN-RECEIVED";
    CLOSE_ESTABLISHED "RFC9293:3.10.4/CLOSE/ESTABLISHED";
    CLOSE_FIN_WAIT "RFC9293:3.10.4/CLOSE/FIN-WAIT-1-2";
    CLOSE_CLOSE_WAIT "RFC9293:3.10.4/CLOSE/CLOSE-WAIT";
    CLOSE_CLOSING "RFC9293:3.10.4/CLOSE/CLOSING-LAST-ACK-TIME-WAIT";
    ABORT_EARLY "RFC9293:3.10.5/ABORT/LISTEN-SYN-SENT";
    ABORT_OPEN "RFC9293:3.10.5/ABORT/SYN-RECEIVED-to-CLOSE-WAIT";
    ABORT_LATE "RFC9293:3.10.5/ABORT/CLOSING-LAST-ACK-TIME-WAIT";
    RECEIVE "RFC9293:3.10.3/RECEIVE/ESTABLISHED-FIN-WAIT";
    RECEIVE_CLOSE_WAIT "RFC9293:3.10.3/RECEIVE/CLOSE-WAIT";
    SEND "RFC9293:3.10.2/SEND/ESTABLISHED-CLOSE-WAIT";
    NORMAL_OR_ABORTED "RFC9293:MUST-12";
    HALF_DUPLEX_RST "RFC9293:SHLD-3";
    DELAYED_ACK "RFC9293:MUST-40";
    EVERY_SECOND "RFC9293:SHLD-19";
    QUEUE_OOO "RFC9293:SHLD-31";
    ACK_OOO_AT_ONCE "RFC5681:3-8";
    ACK_GAP_FILL_AT_ONCE "RFC5681:3-9";
    ONE_ACK_EACH "RFC5681:4-3";
    TIME_WAIT_2MSL "RFC9293:MUST-13";
    TIME_WAIT_TIMEOUT "RFC9293:3.10.8/time-wait-timeout";
    RETRANSMISSION_TIMEOUT "RFC9293:3.10.8/retransmission-timeout";
    RTO_TOO_EARLY "RFC6298:5-1";
    RTO_MINIMUM "RFC6298:2-4";
    RTO_BACKOFF "RFC6298:5-5";
    RTO_FIRST_SAMPLE "RFC6298:2-2";
    RTO_AFTER_LOST_SYN "RFC6298:5-7";
    KARN "RFC9293:MUST-18";
    USER_TIMEOUT "RFC9293:3.10.8/user-timeout";
    INITIAL_WINDOW "RFC5681:3-2";
    INITIAL_WINDOW_LOST_SYN "RFC5681:3-4";
    CONGESTION_CONTROL "RFC5681:3-1";
    ACK_DIVISION "RFC5681:3-5";
    LOSS_WINDOW "RFC5681:3-7";
    SENDER_SILLY_WINDOW "RFC9293:MUST-38";
    FULL_SEGMENTS "RFC9293:SHLD-28";
    NAGLE "RFC9293:SHLD-7";
    NAGLE_OFF "RFC9293:MUST-17";
    URGENT_LENGTH "RFC9293:MUST-31";
    URGENT_POINTER "RFC9293:MUST-62";
    PUSH_LAST "RFC9293:MUST-61";
    ISN_CLOCK "RFC9293:MUST-8";
    ISN_PREDICTABLE "RFC9293:MUST-9";
    SEND_CLOSED "RFC9293:3.10.2/SEND/CLOSED";
    SEND_LISTEN "RFC9293:3.10.2/SEND/LISTEN";
    SEND_EARLY "RFC9293:3.10.2/SEND/SYN-SENT-SYN-RECEIVED";
    SEND_CLOSING "RFC9293:3.10.2/SEND/FIN-WAIT-CLOSING-LAST-ACK-TIME-WAIT";
    RECEIVE_EARLY "RFC9293:3.10.3/RECEIVE/LISTEN-SYN-SENT-SYN-RECEIVED";
    RECEIVE_LATE "RFC9293:3.10.3/RECEIVE/CLOSING-LAST-ACK-TIME-WAIT";
    STATUS "RFC9293:3.10.6/STATUS/ANY";
    SYN_R2 "RFC9293:MUST-23";
    R2 "RFC9293:SHLD-11";
    PROBED_FOR_EVER "RFC9293:MUST-37";
    SHRUNK_NO_TIMEOUT "RFC9293:SHLD-17";
    PROBE_SHRUNK "RFC9293:MUST-35";
    RESENT_WITHIN_SHRUNK "RFC9293:SHLD-16";
    FIRST_PROBE "RFC9293:SHLD-29";
    PROBE_BACKOFF "RFC9293:SHLD-30";
    KEEPALIVE_SWITCH "RFC9293:MUST-24";
    KEEPALIVE_ONLY_IDLE "RFC9293:MUST-26";
    KEEPALIVE_INTERVAL "RFC9293:MUST-27";
    KEEPALIVE_UNANSWERED "RFC9293:MUST-29";
    KEEPALIVE_EMPTY "RFC9293:SHLD-12";
    RECEIVER_SILLY_WINDOW "RFC9293:MUST-39";
    RTO_INITIAL "RFC6298:2-1";
    TIMER_RESTARTS "RFC6298:5-2";
    EARLIEST_FIRST "RFC6298:5-4";
    FAST_RETRANSMIT "RFC5681:3-10";
    LIMITED_TRANSMIT "RFC5681:3-11";
    FAST_RECOVERY "RFC5681:3-12";
    DUPLICATE_ACK "RFC5681:3-13";
    RESTART_WINDOW "RFC5681:4-1";
    AVOIDANCE "RFC5681:3-6";
    HALF_UNTIL_REPAIRED "RFC5681:4-4";
    CHALLENGES_THROTTLED "RFC5961:7-1";
    SACK_LOSS "RFC6675:5-1";
    PIPE "RFC6675:5-2";
    VARIANCE_ROUNDED "RFC6298:4-1";
    WINDOW_STALE "RFC9293:3.10.7.4/ESTABLISHED/window-stale";
    WINDOW_BEYOND "RFC5681:2-1";
    WINDOW_SHRUNK "RFC9293:SHLD-15";
    RIGHT_EDGE_LEFT "RFC9293:SHLD-14";
    MSS_OBEYED "RFC9293:MUST-16";
    MSS_DEFAULT "RFC9293:MUST-15";
    MSS_ONLY_ON_SYN "RFC9293:MUST-65";
    MSS_RECEIVABLE "RFC9293:MUST-67";
    MSS_STATED "RFC9293:SHLD-5";
    MSS_OF_LINK "RFC6691:2-1";
    SACK_PERMITTED_ON_SYN "RFC2018:2-1";
    SACK_IF_PERMITTED "RFC2018:4-1";
    SACK_IN_EVERY_ACK "RFC2018:4-2";
    SACK_NEWEST_FIRST "RFC2018:4-3";
    SACK_AS_MANY "RFC2018:4-4";
    SACK_LATEST_REPEATED "RFC2018:4-5";
    SACK_BLOCKS "RFC2018:3-1";
    SACKED_SKIPPED "RFC2018:5-1";
    SACKED_HEAD_RESENT "RFC2018:5-3";
    DUPLICATE_REPORTED "RFC2883:4-1";
    DUPLICATE_ONCE "RFC2883:4-2";
    DUPLICATE_ENCLOSED "RFC2883:4-3";
    DUPLICATE_PART "RFC2883:4-4";
    FAST_OPEN_OFF "RFC7413:4-2";
    PROBE "RFC9293:MUST-36";
    NOT_HELD "RFC9293:MUST-60";
    KEEPALIVE_OFF "RFC9293:MUST-25";
    SCALE_UNASKED "RFC7323:2-1";
    SCALE_NOT_OFFERED "RFC7323:2-2";
    SCALE_OF_BOTH "RFC7323:2-3";
    SCALE_ONLY_ON_SYN "RFC7323:2-4";
    SYN_WINDOW_UNSCALED "RFC7323:2-5";
    SCALE_NOT_ANSWERED "RFC7323:2-6";
    WINDOW_SHIFTED "RFC7323:2-7";
    SCALE_AT_MOST_14 "RFC7323:2-8";
    WINDOW_RETRACTED "RFC7323:2-9";
    TIMESTAMPS_UNASKED "RFC7323:3-1";
    ECHO_WITHOUT_ACK "RFC7323:3-2";
    TIMESTAMPS_LACKING "RFC7323:3-4";
    TIMESTAMPS_ON_RST "RFC7323:3-5";
    UNSTAMPED_DROPPED "RFC7323:3-6";
    UNSTAMPED_ABORTS "RFC7323:3-7";
    TIMESTAMP_CLOCK "RFC7323:4-1";
    ECHO_OF_EARLIEST "RFC7323:4-3";
    ECHO_AT_GAP "RFC7323:4-4";
    ECHO_OF_FILLER "RFC7323:4-5";
    ECHO "RFC7323:4-6";
    PAWS "RFC7323:5-2";
    RST_NOT_BY_PAWS "RFC7323:5-3";
    RST_LEAVES_ECHO "RFC7323:5-4";
    TIMESTAMPS_ON_ANSWERING_RST "RFC7323:5-6";
    PAWS_ON_ARRIVAL_ALONE "RFC7323:5-7";
    PAWS_LAPSES "RFC7323:5-8";
    TIMESTAMP_CLOCK_TOO_FAST "RFC7323:5-9";
    TIMESTAMP_OFFSET "RFC7323:7-1";
    ECN_SETUP "RFC3168:6-1";
    ECN_OTHER_FORMS "RFC3168:6-5";
    ECE_ANSWERED "RFC3168:6-8";
    CWR_ON_NEW_TEXT "RFC3168:6-9";
    ECN_NEGOTIATED "RFC3168:6-3";
    ECT_ON_SYN "RFC3168:6-4";
    CE_ECHOED "RFC3168:6-6";
    ECT_ON_ACK "RFC3168:6-10";
    ECT_ON_RESENT "RFC3168:6-11";
    CE_OUTSIDE "RFC3168:6-12";
    PROBE_UNMARKED "RFC3168:6-13";
    CE_ON_PROBE "RFC3168:6-14";
    LISTEN_DISTURBS "RFC9293:MUST-41";
    LISTEN_BESIDE_OPENING "RFC9293:MUST-42";
    SAME_SOURCE "RFC9293:MUST-45";
    DS_SETTABLE "RFC9293:MUST-48";
    DS_CHANGES "RFC9293:SHLD-21";
    DS_UNCHANGED "RFC9293:SHLD-22";
    TTL_SETTABLE "RFC9293:MUST-49";
    IP_OPTIONS "RFC9293:MUST-50";
    ICMP_OWN_CONNECTION "RFC9293:MUST-54";
    SOURCE_QUENCH "RFC9293:MUST-55";
    ICMP_SOFT "RFC9293:MUST-56";
    ICMP_HARD "RFC9293:SHLD-26";
}

/// The rule for CLOSE in this state (RFC 9293 section 3.10.4).
#[must_use]
pub fn close(state: State) -> RuleId {
    match state {
        State::Closed | State::Listen => CLOSE_LISTEN,
        State::SynSent => CLOSE_SYN_SENT,
        State::SynReceived => CLOSE_SYN_RECEIVED,
        State::Established => CLOSE_ESTABLISHED,
        State::FinWait1 | State::FinWait2 => CLOSE_FIN_WAIT,
        State::CloseWait => CLOSE_CLOSE_WAIT,
        State::Closing | State::LastAck | State::TimeWait => CLOSE_CLOSING,
    }
}

/// The rule for ABORT in this state (RFC 9293 section 3.10.5).
#[must_use]
pub fn abort(state: State) -> RuleId {
    match state {
        State::Closed | State::Listen | State::SynSent => ABORT_EARLY,
        State::SynReceived | State::Established | State::FinWait1 | State::FinWait2 | State::CloseWait => ABORT_OPEN,
        State::Closing | State::LastAck | State::TimeWait => ABORT_LATE,
    }
}

/// The rule for a user's call on a connection in this state (RFC 9293 section 3.10), where the section has the call.
#[must_use]
pub fn of_call(call: &Call, state: State) -> Option<RuleId> {
    match call {
        Call::Listen { .. } => Some(OPEN_PASSIVE),
        Call::Connect { .. } => Some(OPEN_ACTIVE),
        Call::Send { .. } => Some(match state {
            State::Closed => SEND_CLOSED,
            State::Listen => SEND_LISTEN,
            State::SynSent | State::SynReceived => SEND_EARLY,
            State::Established | State::CloseWait => SEND,
            State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck | State::TimeWait => SEND_CLOSING,
        }),
        Call::Recv { .. } => match state {
            State::Closed => None,
            State::Listen | State::SynSent | State::SynReceived => Some(RECEIVE_EARLY),
            State::Established | State::FinWait1 | State::FinWait2 => Some(RECEIVE),
            State::CloseWait => Some(RECEIVE_CLOSE_WAIT),
            State::Closing | State::LastAck | State::TimeWait => Some(RECEIVE_LATE),
        },
        Call::Shutdown { .. } | Call::Close { .. } => Some(close(state)),
        Call::Abort { .. } => Some(abort(state)),
        Call::State { .. } => Some(STATUS),
        Call::Accept { .. } | Call::Set { .. } => None,
    }
}

/// Whether the rule says what a segment does that arrives (RFC 9293 section 3.10.7).
#[must_use]
pub fn is_of_arrivals(rule: RuleId) -> bool {
    rule.0.starts_with("RFC9293:3.10.7")
}

/// Whether an ACK by this rule is a challenge (RFC 5961): what came may have been sent by somebody who guesses.
#[must_use]
pub fn is_challenge(rule: RuleId) -> bool {
    [RST_IN_WINDOW, SYN, ACK_FUTURE, ACK_5961_RANGE].iter().any(|family| family.all().any(|id| id == rule))
}

#[cfg(test)]
mod tests {
    use super::{CHOICES, FAMILIES, PERMISSIONS, SINGLES};

    #[test]
    fn every_cited_id_stands_in_the_catalogue() {
        let missing: Vec<_> = FAMILIES
            .iter()
            .flat_map(super::Family::all)
            .chain(SINGLES.iter().chain(PERMISSIONS).chain(CHOICES).copied())
            .filter(|id| id.entry().is_none())
            .collect();
        assert!(missing.is_empty(), "cited but not in the catalogue: {missing:?}");
    }
}

//! How each rule of the catalogue is judged: by its own id, as a permission, under the ids of rules that say the same, or not, and why not.

use crate::catalogue::RuleId;
use crate::rules::{
    ACK_5961_RANGE, ACK_FUTURE, ACK_NOT_FIN, ACK_OOO_AT_ONCE, ACK_RANGE_CHECKED, ALL_BEFORE_ACK, CE_ECHOED, CLOSE_SYN_RECEIVED, CLOSED_ACK,
    CLOSED_NO_ACK, CLOSED_RST, CONGESTION_CONTROL, DELAYED_ACK, ECHO, EVERY_SECOND, FAMILIES, FIN_ACKS_OURS, FIN_NOT_ACKS_OURS,
    FULL_SEGMENTS, Family, HALF_DUPLEX_RST, INITIAL_WINDOW, ISN_CLOCK, ISN_PREDICTABLE, KARN, LIMITED_TRANSMIT, LISTEN_ACK, LISTEN_OTHER,
    LISTEN_RST, LOSS_WINDOW, MSS_OBEYED, MSS_OF_LINK, MSS_STATED, NOT_HELD, ONE_ACK_EACH, PAWS, PERMISSIONS, PROBED_FOR_EVER, QUEUE_OOO,
    RESENT_WITHIN_SHRUNK, RETRANSMISSION_TIMEOUT, RST_EXACT, RST_IN_WINDOW, RTO_BACKOFF, SACKED_HEAD_RESENT, SEQ_UNACCEPTABLE,
    SEQ_UNACCEPTABLE_RST, SINGLES, SOURCE_QUENCH, SYN, SYN_RECEIVED_ACK_ACCEPTABLE, SYN_RECEIVED_ACK_UNACCEPTABLE,
    SYN_RECEIVED_SYN_ACK_SIMULTANEOUS, SYN_RECEIVED_SYN_ACTIVE, SYN_RECEIVED_SYN_PASSIVE, SYN_SENT_ACK_UNACCEPTABLE,
    SYN_SENT_ACK_UNACCEPTABLE_RST, SYN_SENT_NO_SYN_NO_RST, SYN_SENT_RST_ACK_OK, SYN_SENT_RST_NO_ACK, SYN_SENT_SYN_ACK, SYN_SENT_SYN_ONLY,
    TEXT, TEXT_OOO, TIME_WAIT_EQUAL_TIMESTAMP, TIME_WAIT_FIRST_TIMESTAMP, TIME_WAIT_NEWER_TIMESTAMP, TIME_WAIT_SYN_DROPPED,
    TIME_WAIT_WITHOUT_TIMESTAMP, TRIM, USER_TIMEOUT, WINDOW_BEYOND, WINDOW_RETRACTED, WINDOW_SHRUNK, ZERO_WINDOW_EXCEPTIONS,
};
use crate::state::State;

/// How a rule is judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Judged {
    /// Findings name it.
    Named,
    /// It permits something. The oracle grants it; nothing can break it.
    Permission,
    /// It says what these rules say, and findings name them.
    As(Vec<RuleId>),
    /// A vector asserts it: these do.
    Asserted(&'static [&'static str]),
    /// It is not judged: on what ground, and why.
    Not(Ground, &'static str),
}

/// On what ground a rule is excepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ground {
    /// Nothing outside the stack shows it.
    Unseen,
    /// It belongs to a feature or a call that no target has.
    NoTarget,
    /// It explains, compares or permits; nothing can break it.
    BindsNothing,
    /// Another text, or another reading, permits the other way.
    OtherWay,
    /// It binds somebody else: the IP layer, the application, the host's administrator.
    BindsOthers,
}

impl Ground {
    /// In a word or two.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Ground::Unseen => "not seen from outside",
            Ground::NoTarget => "no target has it",
            Ground::BindsNothing => "binds nothing",
            Ground::OtherWay => "the other way is right too",
            Ground::BindsOthers => "binds others",
        }
    }
}

/// How this rule is judged; `None` for one that no part of the oracle knows yet.
#[must_use]
pub fn judged(rule: RuleId) -> Option<Judged> {
    if SINGLES.contains(&rule) || FAMILIES.iter().any(|f| f.all().any(|id| id == rule)) {
        return Some(Judged::Named);
    }
    if PERMISSIONS.contains(&rule) {
        return Some(Judged::Permission);
    }
    if let Some(restated) = RESTATED.iter().find(|r| r.id == rule.0) {
        return Some(Judged::As(restated.families.iter().flat_map(Family::all).chain(restated.rules.iter().copied()).collect()));
    }
    if let Some((_, vectors)) = ASSERTED.iter().find(|(id, _)| *id == rule.0) {
        return Some(Judged::Asserted(vectors));
    }
    let compartments = rule.0.ends_with("security-mismatch");
    if compartments {
        return Some(Judged::Not(Ground::NoTarget, "no target has security compartments, which the third step compares"));
    }
    NOT_JUDGED.iter().find(|(id, _, _)| *id == rule.0).map(|&(_, ground, why)| Judged::Not(ground, why))
}

/// A rule that says in other words what rules say that findings name.
struct Restated {
    id: &'static str,
    families: &'static [Family],
    rules: &'static [RuleId],
}

macro_rules! restated {
    ($($id:literal = [$($family:expr),*] [$($rule:expr),*];)*) => {
        const RESTATED: &[Restated] = &[$(Restated { id: $id, families: &[$($family),*], rules: &[$($rule),*] }),*];
    };
}

restated! {
    "RFC9293:MUST-10" = [] [SYN_SENT_SYN_ONLY, SYN_RECEIVED_SYN_ACK_SIMULTANEOUS];
    "RFC9293:MUST-11" = [] [RST_EXACT.at(State::SynReceived), SYN_RECEIVED_SYN_PASSIVE, SYN_RECEIVED_SYN_ACTIVE];
    "RFC6633:1-1" = [] [SOURCE_QUENCH];
    "RFC9293:MUST-58" = [] [ALL_BEFORE_ACK, ONE_ACK_EACH];
    "RFC9293:SHLD-4" = [] [TIME_WAIT_NEWER_TIMESTAMP, TIME_WAIT_EQUAL_TIMESTAMP, TIME_WAIT_WITHOUT_TIMESTAMP, TIME_WAIT_SYN_DROPPED, TIME_WAIT_FIRST_TIMESTAMP];
    "RFC9293:MAY-13" = [TEXT_OOO] [ACK_OOO_AT_ONCE];
    "RFC9293:3.10.7.3/SYN-SENT/ack-acceptable-range" = [] [SYN_SENT_ACK_UNACCEPTABLE, SYN_SENT_SYN_ACK];
    "RFC9293:3.10.7.3/SYN-SENT/rst-seq-check" = [] [SYN_SENT_RST_ACK_OK];
    "RFC9293:3.5/synsent-rst-listen" = [] [SYN_SENT_RST_ACK_OK];
    // The four rows of Table 6.
    "RFC9293:3.10.7.4/ANY/seq-len0-wnd0" = [SEQ_UNACCEPTABLE, SEQ_UNACCEPTABLE_RST] [];
    "RFC9293:3.10.7.4/ANY/seq-len0-wndpos" = [SEQ_UNACCEPTABLE, SEQ_UNACCEPTABLE_RST] [];
    "RFC9293:3.10.7.4/ANY/seq-lenpos-wnd0" = [SEQ_UNACCEPTABLE] [ZERO_WINDOW_EXCEPTIONS];
    "RFC9293:3.10.7.4/ANY/seq-lenpos-wndpos" = [SEQ_UNACCEPTABLE, TEXT] [TRIM];
    "RFC9293:3.10.7.4/ANY/out-of-order" = [] [QUEUE_OOO];
    "RFC9293:3.10.7.4/TIME-WAIT/seq-syn-ts" = [] [TIME_WAIT_NEWER_TIMESTAMP, TIME_WAIT_EQUAL_TIMESTAMP];
    "RFC9293:3.10.7.4/CLOSED-LISTEN-SYN-SENT/fin" = [] [CLOSED_ACK, CLOSED_NO_ACK, LISTEN_ACK, LISTEN_OTHER, SYN_SENT_NO_SYN_NO_RST];
    "RFC9293:3.10.7.4/errata-8804" = [] [CLOSED_ACK, CLOSED_NO_ACK, LISTEN_ACK, LISTEN_OTHER, SYN_SENT_NO_SYN_NO_RST];
    "RFC9293:3.10.7.4/errata-8805" = [] [FIN_ACKS_OURS, FIN_NOT_ACKS_OURS];
    "RFC9293:3.3.2/errata-8710" = [] [SYN_RECEIVED_SYN_PASSIVE];
    // Every comparison of numbers; vectors whose numbers wrap go with it.
    "RFC9293:3.4/modulo-arithmetic" = [SEQ_UNACCEPTABLE, TEXT, ACK_FUTURE] [];
    "RFC9293:3.5.2/rst-seq-from-ack" = [] [CLOSED_ACK, CLOSED_NO_ACK, LISTEN_ACK, SYN_SENT_ACK_UNACCEPTABLE, SYN_RECEIVED_ACK_UNACCEPTABLE];
    "RFC9293:3.5.2/rst-no-reply-to-rst" = [SEQ_UNACCEPTABLE_RST] [CLOSED_RST, LISTEN_RST, SYN_SENT_ACK_UNACCEPTABLE_RST];
    "RFC9293:3.5.3/rst-validation" = [RST_EXACT, RST_IN_WINDOW, SEQ_UNACCEPTABLE_RST] [];
    "RFC9293:3.5.1/half-open" = [SYN, RST_EXACT] [SYN_SENT_ACK_UNACCEPTABLE];
    "RFC9293:3.10.4/CLOSE/SYN-RECEIVED-fin-wait-1" = [] [CLOSE_SYN_RECEIVED, SYN_RECEIVED_ACK_ACCEPTABLE, ACK_NOT_FIN.at(State::FinWait1)];
    "RFC5961:3-2" = [SEQ_UNACCEPTABLE_RST] [];
    "RFC5961:3-3" = [RST_EXACT] [];
    "RFC5961:3-4" = [RST_IN_WINDOW] [];
    "RFC5961:3-5" = [] [SYN_SENT_RST_NO_ACK, SYN_SENT_ACK_UNACCEPTABLE_RST];
    "RFC5961:3-6" = [RST_EXACT] [];
    "RFC5961:4-2" = [RST_EXACT] [];
    "RFC5961:4-3" = [SYN] [];
    "RFC5961:5-1" = [] [ACK_RANGE_CHECKED];
    "RFC5961:5-2" = [ACK_5961_RANGE, ACK_FUTURE] [];
    "RFC5681:4-2" = [] [DELAYED_ACK, EVERY_SECOND];
    "RFC7323:2-10" = [] [WINDOW_RETRACTED];
    "RFC7323:5-1" = [] [PAWS];
    // The order of timestamps modulo 2^32; vectors whose timestamps wrap go with it.
    "RFC7323:5-10" = [] [PAWS, ECHO];
    // The sender: windows, congestion control, timers, probes.
    "RFC9293:MUST-1" = [] [NOT_HELD];
    "RFC9293:MUST-19" = [] [CONGESTION_CONTROL, INITIAL_WINDOW, LOSS_WINDOW, RTO_BACKOFF];
    "RFC9293:MUST-21" = [] [USER_TIMEOUT];
    "RFC9293:MUST-34" = [] [NOT_HELD, WINDOW_SHRUNK, RETRANSMISSION_TIMEOUT, RESENT_WITHIN_SHRUNK];
    "RFC9293:3.10.7.3/SYN-SENT/snd-wnd-init" = [] [WINDOW_BEYOND, NOT_HELD];
    "RFC9293:3.8.6.1/zwp-ack" = [SEQ_UNACCEPTABLE] [];
    "RFC9293:3.8.4/keepalive-response" = [SEQ_UNACCEPTABLE] [];
    "RFC7323:2-11" = [] [WINDOW_BEYOND, WINDOW_SHRUNK];
    "RFC6298:3-1" = [] [KARN];
    "RFC5681:3-3" = [] [INITIAL_WINDOW];
    "RFC6429:4-1" = [] [PROBED_FOR_EVER];
    "RFC1122:4.2.2.17-1" = [] [PROBED_FOR_EVER];
    "RFC3042:2-1" = [] [LIMITED_TRANSMIT];
    "RFC9293:SHLD-1" = [] [ISN_CLOCK, ISN_PREDICTABLE];
    "RFC6528:3-1" = [] [ISN_CLOCK, ISN_PREDICTABLE];
    "RFC6528:3-2" = [] [ISN_PREDICTABLE];
    "RFC9293:SHLD-27" = [] [FULL_SEGMENTS];
    "RFC1122:4.2.2.13-1" = [] [HALF_DUPLEX_RST];
    "RFC1122:4.2.2.20-1" = [] [SYN_RECEIVED_SYN_PASSIVE, WINDOW_BEYOND];
    "RFC1122:4.2.2.21-1" = [TEXT_OOO] [];
    "RFC1122:4.2.3.2-1" = [] [EVERY_SECOND];
    // Sending the option and reading the peer's.
    "RFC9293:MUST-14" = [] [MSS_STATED, MSS_OBEYED];
    "RFC2018:5-4" = [] [SACKED_HEAD_RESENT];
    "RFC6691:2-2" = [] [MSS_OF_LINK];
    "RFC6691:2-3" = [] [MSS_OBEYED];
    // RFC 3168's own text has ECE on the ACK of a CE packet; the erratum says what it means where that has CWR too.
    "RFC3168:6-7" = [] [CE_ECHOED];
    "RFC1337:1-1" = [] [SEQ_UNACCEPTABLE.at(State::TimeWait), RST_EXACT.at(State::TimeWait)];
}

/// Rules that vectors assert: a finding names the vector's first rule, or the rule that the oracle sees broken in it.
const ASSERTED: &[(&str, &[&str])] = &[
    ("RFC9293:MUST-30", &["urgent/sent"]),
    ("RFC9293:3.1/urgent-pointer-ignored", &["urgent/pointer-without-flag"]),
    ("RFC9293:MUST-20", &["retransmission/no-answer-for-an-hour"]),
    ("RFC9293:MUST-22", &["handshake/never-answered"]),
    ("RFC6298:2-3", &["retransmission/second-round-trip"]),
    ("RFC6298:3-2", &["retransmission/round-trips-grow"]),
    ("RFC7323:3-3", &["timestamps/syn-with-tsecr"]),
    ("RFC7323:3-8", &["timestamps/not-negotiated"]),
    ("RFC7323:4-2", &["timestamps/old-tsecr-is-no-sample"]),
    ("RFC9293:MUST-4", &["options/syn-with-odd-options@nops", "options/mss-found@behind-nops"]),
    ("RFC9293:MUST-5", &["options/on-text", "options/on-any-segment@unknown", "options/on-any-segment@mss"]),
    ("RFC9293:MUST-6", &["options/syn-with-odd-options@unknown-kind", "options/mss-found@behind-an-unknown-option"]),
    ("RFC9293:MUST-64", &["options/syn-with-odd-options@unaligned-mss", "options/mss-found@at-an-odd-offset"]),
    ("RFC6994:3-1", &["options/mss-found@behind-an-experimental-option"]),
    ("RFC2018:5-5", &["sack/malformed-from-peer@left-above-right", "sack/malformed-from-peer@below-the-window"]),
    ("RFC7413:4-1", &["options/fast-open-ill-formed@of-3-octets", "options/fast-open-ill-formed@without-SYN"]),
];

/// The vectors that assert rules, by rule.
#[must_use]
pub fn asserted() -> &'static [(&'static str, &'static [&'static str])] {
    ASSERTED
}

/// Rules that cannot be judged, each with the reason.
const NOT_JUDGED: &[(&str, Ground, &str)] = &[
    ("RFC9293:SHLD-18", Ground::OtherWay, "an ACK at once is right too; the bound of a delay is MUST-40's"),
    ("RFC5961:3-1", Ground::OtherWay, "RFC 9293 takes RFC 793's way for right too; a stack that goes by RFC 5961 is held to 3-2 to 3-4"),
    (
        "RFC5961:4-1",
        Ground::OtherWay,
        "RFC 9293 takes RFC 793's way for right too; a stack that challenges one SYN is held to it for the next",
    ),
    (
        "RFC7323:3-9",
        Ground::BindsNothing,
        "it lets either side use timestamps after crossing SYNs of which one has none; the oracle asks for nothing then",
    ),
    ("RFC9293:REC-1", Ground::Unseen, "the width of a stack's variables; what goes wrong with large windows is found under RFC5681:2-1"),
    ("RFC9293:MUST-28", Ground::NoTarget, "the call that switches keep-alives on names their interval, so no default can be asked for"),
    ("RFC9293:SHLD-9", Ground::NoTarget, "no call of a target reports trouble before the connection is closed"),
    ("RFC9293:SHLD-10", Ground::NoTarget, "R1 is advice from TCP to the IP layer about its gateway, and the link to a target has none"),
    ("RFC9293:MAY-4", Ground::BindsNothing, "the identification of IPv4 is the IP layer's; nothing compares it"),
    ("RFC9293:MAY-5", Ground::BindsNothing, "a target without keep-alives says that it has no such call"),
    ("RFC9293:MAY-6", Ground::BindsNothing, "the octet of a keep-alive is not looked at; SHLD-12 wants none"),
    ("RFC9293:MAY-7", Ground::BindsNothing, "what is sent again may lie beyond a shrunken edge; only new text is held to it"),
    ("RFC9293:MAY-8", Ground::BindsNothing, "nothing ever asks a receiver to open its window"),
    ("RFC9293:MAY-18", Ground::BindsNothing, "congestion control is judged by bounds that every standard one keeps"),
    ("RFC9293:3.3.1/errata-8126", Ground::BindsNothing, "it corrects the caption of figure 3"),
    ("RFC7323:2-12", Ground::BindsNothing, "what is sent again is held to no window, so rounding cannot matter"),
    ("RFC6298:2-5", Ground::BindsNothing, "doubling is asked for up to 55 s only"),
    ("RFC6429:4-2", Ground::BindsNothing, "ABORT at a closed window is judged as any ABORT"),
    (
        "RFC6582:3-1",
        Ground::OtherWay,
        "RFC 5681 lets a stack wait for the time-out after a partial acknowledgment; NewReno's repetitions are permitted",
    ),
    ("RFC5482:3-1", Ground::BindsNothing, "the option may be taken up or passed over; no target takes it up"),
    ("RFC9293:MUST-32", Ground::NoTarget, "no call of a target tells the user of urgent text"),
    ("RFC9293:MUST-33", Ground::NoTarget, "no call of a target asks how much urgent text remains"),
    (
        "RFC9293:3.10.7.4/ESTABLISHED/urg",
        Ground::Unseen,
        "the signal to the user does not show; that URG draws nothing and its text is taken is judged as for any segment",
    ),
    (
        "RFC9293:3.10.7.4/FIN-WAIT-1/urg",
        Ground::Unseen,
        "the signal to the user does not show; that URG draws nothing and its text is taken is judged as for any segment",
    ),
    (
        "RFC9293:3.10.7.4/FIN-WAIT-2/urg",
        Ground::Unseen,
        "the signal to the user does not show; that URG draws nothing and its text is taken is judged as for any segment",
    ),
    ("RFC9293:SHLD-13", Ground::BindsOthers, "it is said to applications"),
    ("RFC9293:SHLD-23", Ground::BindsOthers, "it is said to applications"),
    ("RFC1122:4.2.2.4-1", Ground::BindsNothing, "RFC 1122's pointer is superseded; a stack that sends it breaks MUST-62"),
    (
        "RFC9293:3.4.3/quiet-time",
        Ground::NoTarget,
        "no target loses its sequence numbers in a run, and the section lets implementers leave the quiet time out",
    ),
    (
        "RFC6528:3-3",
        Ground::BindsNothing,
        "a secret that changes breaks the order of a connection's numbers once; MUST-8 counts two misses in a row",
    ),
    (
        "RFC9293:MUST-43",
        Ground::NoTarget,
        "no call of a target names a local address, and each target has one address of a family, which an OPEN could only name again",
    ),
    ("RFC9293:MUST-44", Ground::NoTarget, "each target has one address of a family"),
    ("RFC9293:MUST-46", Ground::NoTarget, "the calls of a target name the peer's port alone, so none can name a multicast address"),
    ("RFC9293:MUST-47", Ground::NoTarget, "no call of a target reports a soft error"),
    ("RFC9293:SHLD-20", Ground::NoTarget, "no call of a target reports a soft error, so there is nothing to switch off"),
    ("RFC9293:SHLD-25", Ground::NoTarget, "no call of a target reports a soft error"),
    ("RFC9293:MUST-51", Ground::NoTarget, "no call of a target gives a source route"),
    (
        "RFC9293:MUST-52",
        Ground::NoTarget,
        "source routes: smoltcp and the reference have no IP options, and Linux drops them as it is set up",
    ),
    (
        "RFC9293:MUST-53",
        Ground::NoTarget,
        "source routes: smoltcp and the reference have no IP options, and Linux drops them as it is set up",
    ),
    (
        "RFC9293:SHLD-24",
        Ground::NoTarget,
        "source routes: smoltcp and the reference have no IP options, and Linux drops them as it is set up",
    ),
    ("RFC9293:MAY-9", Ground::BindsNothing, "no call passes the received field up, and none is asked for"),
    ("RFC9293:MAY-10", Ground::BindsNothing, "IP options of a target are not asked for"),
    ("RFC9293:MAY-11", Ground::BindsNothing, "IP options of a target are not asked for"),
    ("RFC9293:MAY-14", Ground::BindsNothing, "no target has a FLUSH, and none is asked for"),
    ("RFC9293:MAY-15", Ground::BindsNothing, "SEND has no PUSH flag here, so MUST-60 and MUST-61 bind every target"),
    ("RFC9293:MAY-16", Ground::BindsNothing, "text may wait up to a second, and as long as other text is in flight"),
    ("RFC9293:MAY-17", Ground::BindsNothing, "RECEIVE has no PUSH flag here, and any length of text fits"),
    ("RFC1122:4.2.2.2-1", Ground::BindsNothing, "RECEIVE has no PUSH flag here, and PSH on what arrives changes nothing"),
    ("RFC9293:B/errata-8171", Ground::BindsNothing, "it corrects a column of a table"),
    (
        "RFC9293:3.10.7/processing-order",
        Ground::BindsNothing,
        "what is seen from outside is compared with every permitted outcome, never with an order",
    ),
    ("RFC5961:7-2", Ground::BindsOthers, "it is said of the administrator's settings"),
    ("RFC5961:7-3", Ground::BindsNothing, "a held erratum; its advice, a counter for each connection, is what a profile's throttle is"),
    ("RFC9293:SHLD-6", Ground::NoTarget, "binds an interface whose MTU differs from packet to packet, and no target has one"),
    (
        "RFC9293:MAY-3",
        Ground::BindsNothing,
        "a SYN always may state an MSS: nothing can break it, and no finding speaks of one that is there",
    ),
    (
        "RFC9293:SHLD-8",
        Ground::OtherWay,
        "RFC 3168 section 6.1.1 says of the host that receives an ECN-setup SYN that it MAY answer with one: who does not may still implement ECN",
    ),
    (
        "RFC2018:5-2",
        Ground::OtherWay,
        "erratum 1610 makes it a SHOULD, and RFC 6675 section 5.1 keeps the ranges where reneging is tested for: after a time-out both are right",
    ),
    ("RFC3168:6-2", Ground::BindsNothing, "ECE on the SYN-ACK is permitted once a SYN has asked for ECN, and nothing is demanded"),
    ("RFC7413:4-3", Ground::NoTarget, "no call of a target switches the server's Fast Open on, and off is its default"),
    ("RFC7413:4-4", Ground::NoTarget, "no Connect of a target asks for a cookie, and a server that is off gives none"),
    ("RFC7413:4-5", Ground::NoTarget, "with the server's Fast Open off no cookie is valid"),
    (
        "RFC7413:4-6",
        Ground::NoTarget,
        "with the server's Fast Open off no cookie is looked at; that the text is left or queued is judged as LISTEN/syn-data",
    ),
    ("RFC7413:4-7", Ground::NoTarget, "no Connect of a target sends text with its SYN, so no client has a cookie to keep"),
    ("RFC7413:4-8", Ground::NoTarget, "no SYN of a target has text or the option, which its repetition could leave out"),
    ("RFC7413:4-9", Ground::NoTarget, "no SYN-ACK of a target has text or the option, which its repetition could leave out"),
    (
        "RFC7413:4-10",
        Ground::NoTarget,
        "no target sends text before the handshake ends; one that did would break the rule for SEND in SYN-RECEIVED",
    ),
    ("RFC9293:3.10.7.1/CLOSED/data", Ground::Unseen, "what becomes of discarded text does not show outside the stack"),
    ("RFC9293:3.10.1/OPEN/CLOSED-active-unspecified", Ground::NoTarget, "the calls of a target always name the remote end"),
    ("RFC9293:3.10.1/OPEN/LISTEN-active", Ground::NoTarget, "no call of a target turns a listener into an active OPEN"),
];

#[cfg(test)]
mod tests {
    use super::{ASSERTED, Judged, NOT_JUDGED, RESTATED, judged};
    use crate::catalogue::rules;

    #[test]
    fn every_rule_is_judged_or_says_why_not() {
        let open: Vec<_> = rules().iter().map(|r| r.id).filter(|id| judged(*id).is_none()).map(|id| id.0).collect();
        assert!(open.is_empty(), "neither judged nor excepted: {open:?}");
    }

    #[test]
    fn what_stands_here_is_in_the_catalogue_and_leads_to_rules_that_findings_name() {
        for id in RESTATED.iter().map(|r| r.id).chain(ASSERTED.iter().map(|(id, _)| *id)).chain(NOT_JUDGED.iter().map(|(id, _, _)| *id)) {
            let rule = crate::catalogue::rule(id).unwrap_or_else(|| panic!("{id} is not in the catalogue"));
            match judged(rule.id) {
                Some(Judged::As(names)) => assert!(
                    !names.is_empty() && names.iter().all(|n| matches!(judged(*n), Some(Judged::Named | Judged::Permission))),
                    "{id} leads to a rule that no finding names"
                ),
                Some(Judged::Not(..) | Judged::Asserted(_)) => {}
                other => panic!("{id} is {other:?} besides"),
            }
        }
    }
}

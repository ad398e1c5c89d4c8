//! Mutants that are held out: written from the RFC's text alone, left alone while oracle and vectors are worked on, and only scored
//! (`harness mutants`). Do not read them to mend the oracle or a vector; once one has been looked at for that, it moves to `mutants.rs` and another
//! takes its place.

use crate::profile::SECOND;
use crate::rules;
use crate::segment::Flags;
use crate::stack::Policy;
use crate::stack::mutant::{Fault, Mutant, at, mutants};
use crate::state::State;

mutants! {
    /// The mutants that are held out.
    HELD_OUT;

    // CLOSED and LISTEN.
    "closed-rst-does-not-count-fin": Fault::AckLacksFin, at [rules::CLOSED_NO_ACK], breaks [rules::CLOSED_NO_ACK];
    "closed-silent-to-syn-ack": Fault::SilentTo(Flags::SYN), at [rules::CLOSED_ACK], breaks [rules::CLOSED_ACK];
    "closed-rst-at-seg-seq": Fault::SeqOfCause, at [rules::CLOSED_ACK], breaks [rules::CLOSED_ACK];
    "listen-rst-with-ack-bit": Fault::ExtraFlags(Flags::ACK), at [rules::LISTEN_ACK], breaks [rules::LISTEN_ACK];
    "stray-rst-ends-listening": Fault::ListenerCloses, at [rules::LISTEN_RST], breaks [rules::LISTEN_RST, rules::LISTEN_SYN];
    "text-of-the-syn-lost": Fault::TextLost, at [rules::LISTEN_SYN_DATA], breaks [rules::LISTEN_SYN_DATA, rules::RECEIVE];
    "syn-to-broadcast-opens": Fault::TakesNotUnicast, at [rules::NOT_UNICAST_TO], breaks [rules::NOT_UNICAST_TO];
    // SYN-SENT.
    "syn-repeated-with-another-isn": Fault::SeqOff(1), at [rules::RETRANSMISSION_TIMEOUT] in State::SynSent, breaks [rules::RETRANSMISSION_TIMEOUT];
    "syn-sent-takes-ack-one-too-high": Fault::TakesHighAck, at [rules::SYN_SENT_ACK_UNACCEPTABLE], breaks [rules::SYN_SENT_ACK_UNACCEPTABLE];
    "syn-sent-takes-ack-of-the-isn": Fault::TakesLowAck, at [rules::SYN_SENT_ACK_UNACCEPTABLE], breaks [rules::SYN_SENT_ACK_UNACCEPTABLE];
    "syn-sent-takes-only-rst-at-zero": Fault::ResetOnlyAtZero, at [rules::SYN_SENT_RST_ACK_OK], breaks [rules::SYN_SENT_RST_ACK_OK];
    "syn-sent-bare-ack-closes": Fault::Closes, at [rules::SYN_SENT_NO_SYN_NO_RST], breaks [rules::SYN_SENT_NO_SYN_NO_RST];
    "crossing-syn-establishes": Fault::GoesTo(State::Established), at [rules::SYN_SENT_SYN_ONLY], breaks [rules::SYN_SENT_SYN_ONLY, rules::STATUS];
    "crossing-syn-refused": Fault::ResetInstead, at [rules::SYN_SENT_SYN_ONLY], breaks [rules::SYN_SENT_SYN_ONLY];
    "text-of-the-crossing-syn-read-early": Fault::ReadsEarly, at [rules::RECEIVE_EARLY], breaks [rules::RECEIVE_EARLY, rules::SYN_SENT_SYN_ONLY_DATA];
    "text-of-the-syn-ack-lost": Fault::TextLost, at [rules::SYN_SENT_SYN_ACK_WITH_DATA], breaks [rules::SYN_SENT_SYN_ACK_WITH_DATA, rules::RECEIVE];
    // SYN-RECEIVED.
    "syn-received-takes-ack-one-too-high": Fault::TakesHighAck, at [rules::SYN_RECEIVED_ACK_UNACCEPTABLE], breaks [rules::SYN_RECEIVED_ACK_UNACCEPTABLE];
    "syn-received-needs-no-ack-bit": Fault::AckBitUnneeded, at [at!("SYN-RECEIVED/ack-missing")], breaks [at!("SYN-RECEIVED/ack-missing")];
    "rst-in-syn-received-ends-listening": Fault::ListenerCloses, at [at!("SYN-RECEIVED/rst-exact")], breaks [at!("SYN-RECEIVED/rst-exact"), rules::LISTEN_SYN];
    "reset-of-crossing-kept-from-the-user": Fault::Untold, at [at!("SYN-RECEIVED/rst-exact")], breaks [at!("SYN-RECEIVED/rst-exact"), rules::NORMAL_OR_ABORTED];
    "repeated-syn-draws-another-isn": Fault::SeqOff(1), at [rules::SYN_RECEIVED_SYN_DUPLICATE], breaks [rules::SYN_RECEIVED_SYN_DUPLICATE];
    "window-of-handshake-ack-not-taken": Fault::HandshakeWindowKept, at [rules::SYN_RECEIVED_ACK_ACCEPTABLE], breaks [rules::SYN_RECEIVED_ACK_ACCEPTABLE, rules::WINDOW_BEYOND];
    "text-of-handshake-ack-dropped": Fault::TextUnread, at [at!("ESTABLISHED/text")] in State::SynReceived, breaks [at!("ESTABLISHED/text"), rules::DELAYED_ACK];
    "syn-ack-not-retransmitted": Fault::NoRetransmission, at [] in State::SynReceived, breaks [rules::RETRANSMISSION_TIMEOUT];
    "syn-ack-repeated-too-soon": Fault::RtoTenths(8), at [] in State::SynReceived, with Policy::with_short_timeouts, breaks [rules::RTO_INITIAL];
    // Sequence numbers.
    "rst-at-right-edge-challenged": Fault::EdgeTakenIn, at [at!("ESTABLISHED/seq-unacceptable-rst")], breaks [at!("ESTABLISHED/seq-unacceptable-rst")];
    "number-before-the-window-taken": Fault::TakesSeqBefore, at [at!("ESTABLISHED/seq-unacceptable")], breaks [at!("ESTABLISHED/seq-unacceptable")];
    "rst-before-the-window-taken": Fault::TakesSeqBefore, at [at!("CLOSE-WAIT/seq-unacceptable-rst")], breaks [at!("CLOSE-WAIT/seq-unacceptable-rst")];
    "old-segment-draws-retransmission": Fault::ResendsHead, at [at!("ESTABLISHED/seq-unacceptable")], breaks [rules::RTO_TOO_EARLY, rules::SYNC_UNACCEPTABLE];
    "closing-old-answered-at-fin": Fault::SeqOff(-1), at [at!("CLOSING/seq-unacceptable")], breaks [at!("CLOSING/seq-unacceptable"), rules::SYNC_UNACCEPTABLE];
    "text-across-the-wrap-dropped": Fault::StumblesAtWrap, at [at!("ESTABLISHED/text")], breaks [at!("ESTABLISHED/text"), rules::ACK_ALWAYS];
    "acknowledging-text-at-zero-window-unanswered": Fault::NoReply, at [rules::ZERO_WINDOW_EXCEPTIONS] in State::Established, breaks [at!("ESTABLISHED/seq-unacceptable"), rules::ZERO_WINDOW_EXCEPTIONS];
    "overlapping-text-dropped": Fault::StaysPut, at [rules::TRIM], breaks [rules::TRIM, rules::ACK_ALWAYS];
    // RST and SYN.
    "reset-leaves-time-wait": Fault::LingersIn(State::TimeWait), at [at!("ESTABLISHED/rst-exact")], breaks [at!("ESTABLISHED/rst-exact")];
    "reset-before-a-gap-ignored": Fault::ResetIgnoredAtGap, at [at!("ESTABLISHED/rst-exact")], breaks [at!("ESTABLISHED/rst-exact")];
    "fin-wait-2-acknowledges-rst": Fault::AckAnyway, at [at!("FIN-WAIT-2/rst-exact")], breaks [at!("FIN-WAIT-2/rst-exact")];
    "reset-never-told": Fault::NoReply, at [rules::NORMAL_OR_ABORTED], breaks [rules::NORMAL_OR_ABORTED, at!("ESTABLISHED/rst-exact")];
    "last-ack-counts-a-syn": Fault::RcvNxtOff(1), at [at!("LAST-ACK/syn")], breaks [at!("LAST-ACK/syn"), rules::ACK_ALWAYS];
    // ACK.
    "text-beside-a-future-ack-taken": Fault::TakesText, at [at!("ESTABLISHED/ack-future")], breaks [at!("ESTABLISHED/ack-future"), rules::ACK_ALWAYS];
    "fin-wait-1-future-ack-ends-the-fin": Fault::AllAcknowledged, at [at!("FIN-WAIT-1/ack-future")], breaks [at!("FIN-WAIT-1/ack-future"), rules::RETRANSMISSION_TIMEOUT];
    "fin-wait-2-fin-needs-no-ack-bit": Fault::AckBitUnneeded, at [at!("FIN-WAIT-2/ack-missing")], breaks [at!("FIN-WAIT-2/ack-missing")];
    "text-beside-an-older-ack-dropped": Fault::OldAckDropsText, at [at!("ESTABLISHED/text")], breaks [at!("ESTABLISHED/text"), rules::ACK_DUPLICATE];
    "ack-counts-one-octet-more": Fault::UnaOff(1), at [rules::ACK_NEW], breaks [rules::ACK_NEW, rules::EARLIEST_FIRST];
    "fin-wait-1-any-ack-leads-on": Fault::GoesTo(State::FinWait2), at [at!("FIN-WAIT-1/ack-not-fin")], breaks [at!("FIN-WAIT-1/ack-not-fin"), rules::STATUS];
    "closing-any-ack-leads-on": Fault::GoesTo(State::TimeWait), at [at!("CLOSING/ack-not-fin")], breaks [at!("CLOSING/ack-not-fin"), rules::RETRANSMISSION_TIMEOUT];
    "last-ack-any-ack-ends-the-fin": Fault::AllAcknowledged, at [at!("LAST-ACK/ack-not-fin")], breaks [at!("LAST-ACK/ack-not-fin"), rules::RETRANSMISSION_TIMEOUT];
    "established-ancient-ack-closes": Fault::Closes, at [at!("ESTABLISHED/ack-5961-range")], with Policy::with_ack_range, breaks [at!("ESTABLISHED/ack-5961-range")];
    // Text and FIN.
    "fin-wait-2-text-lost": Fault::TextLost, at [at!("FIN-WAIT-2/text")], breaks [at!("FIN-WAIT-2/text"), rules::RECEIVE];
    "every-fourth-segment-acknowledged": Fault::AckEvery(4), at [rules::EVERY_SECOND], breaks [rules::EVERY_SECOND];
    "fin-acknowledged-late": Fault::Late(600_000), at [at!("ESTABLISHED/fin")], breaks [at!("ESTABLISHED/fin"), rules::DELAYED_ACK];
    "fin-jumps-the-gap": Fault::FinJumpsGap, at [at!("ESTABLISHED/text-in-window-ooo")], breaks [at!("ESTABLISHED/text-in-window-ooo"), rules::QUEUE_OOO];
    "fin-behind-a-gap-ends-the-stream": Fault::EofBehindGap, at [rules::RECEIVE], breaks [rules::RECEIVE, rules::NORMAL_OR_ABORTED];
    "fin-wait-2-fin-to-close-wait": Fault::GoesTo(State::CloseWait), at [at!("FIN-WAIT-2/fin")], breaks [at!("FIN-WAIT-2/fin"), rules::STATUS];
    "simultaneous-close-silent": Fault::NoReply, at [rules::FIN_NOT_ACKS_OURS], breaks [rules::FIN_NOT_ACKS_OURS];
    // TIME-WAIT.
    "time-wait-endless-after-closing": Fault::TimeWaitForEver, at [] in State::Closing, breaks [rules::TIME_WAIT_TIMEOUT];
    "time-wait-called-closed": Fault::ReportsState(State::Closed), at [rules::STATUS] in State::TimeWait, breaks [rules::STATUS];
    // The user's calls.
    "second-open-aborts-the-first": Fault::Closes, at [rules::OPEN_AGAIN], breaks [rules::OPEN_AGAIN];
    "text-corrupted": Fault::CorruptsText, at [rules::SEND], breaks [rules::SEND];
    "text-with-stale-ack": Fault::StaleAck, at [rules::SEND], breaks [rules::ACK_ALWAYS];
    "receive-in-fin-wait-2-fails": Fault::Fails, at [rules::RECEIVE] in State::FinWait2, breaks [rules::RECEIVE];
    "close-resets": Fault::ResetInstead, at [rules::CLOSE_ESTABLISHED], breaks [rules::CLOSE_ESTABLISHED];
    "last-fin-waits-for-the-timer": Fault::NoReply, at [rules::CLOSE_CLOSE_WAIT], breaks [rules::CLOSE_CLOSE_WAIT];
    "second-close-deletes": Fault::Closes, at [rules::CLOSE_FIN_WAIT], breaks [rules::CLOSE_FIN_WAIT];
    "abort-sends-fin": Fault::FinInstead, at [rules::ABORT_OPEN], breaks [rules::ABORT_OPEN];
    "reset-of-late-text-off": Fault::SeqOff(1), at [rules::HALF_DUPLEX_RST], breaks [rules::HALF_DUPLEX_RST];
    // Windows and probes.
    "text-closes-the-window": Fault::Window(0), at [rules::SEND], breaks [rules::RIGHT_EDGE_LEFT];
    "first-probe-a-fifth-too-soon": Fault::PersistTenths(8), at [], breaks [rules::FIRST_PROBE];
    "probed-twice-and-no-more": Fault::ProbesAtMost(1), at [], breaks [rules::PROBE, rules::RETRANSMISSION_TIMEOUT];
    // Retransmission and its timer.
    "time-out-of-fin-a-fifth-too-short": Fault::RtoTenths(8), at [] in State::FinWait1, breaks [rules::RTO_TOO_EARLY, rules::RTO_MINIMUM];
    "time-out-grows-to-eight-seconds": Fault::RtoCap(8 * SECOND), at [], breaks [rules::RTO_BACKOFF];
    "time-out-of-syn-does-not-double": Fault::NoBackoff, at [rules::RTO_BACKOFF] in State::SynSent, breaks [rules::RTO_BACKOFF];
    "round-trips-not-measured": Fault::SampleUnused, at [rules::RTO_FIRST_SAMPLE], breaks [rules::RTO_FIRST_SAMPLE, rules::RTO_TOO_EARLY];
    "timer-outlives-the-flight": Fault::TimerOutlivesFlight, at [rules::TIMER_RESTARTS], breaks [rules::TIMER_RESTARTS, rules::RTO_TOO_EARLY];
    "duplicates-restart-the-timer": Fault::DuplicatesRestartTimer, at [rules::TIMER_RESTARTS], breaks [rules::TIMER_RESTARTS, rules::RETRANSMISSION_TIMEOUT];
    "syn-given-up-after-two-minutes": Fault::GivesUpAfter(120 * SECOND), at [rules::SYN_R2] in State::SynSent, breaks [rules::SYN_R2];
    "syn-ack-given-up-after-a-minute": Fault::GivesUpAfter(60 * SECOND), at [rules::SYN_R2] in State::SynReceived, breaks [rules::SYN_R2];
    // Congestion control.
    "initial-window-of-twelve": Fault::InitialSegments(12), at [rules::INITIAL_WINDOW], breaks [rules::INITIAL_WINDOW];
    "slow-start-adds-twice-as-much": Fault::SlowStartTwice, at [rules::ACK_DIVISION], breaks [rules::ACK_DIVISION, rules::CONGESTION_CONTROL];
    "loss-window-of-four": Fault::LossWindowOf(4), at [rules::LOSS_WINDOW], breaks [rules::LOSS_WINDOW];
    "fast-retransmit-at-fifth-duplicate": Fault::DuplicatesNeeded(5), at [], breaks [rules::FAST_RETRANSMIT];
    "duplicates-inflate-fourfold": Fault::InflatesFourfold, at [rules::FAST_RECOVERY], breaks [rules::FAST_RECOVERY, rules::HALF_UNTIL_REPAIRED];
    "limited-transmit-doubled": Fault::LimitedDoubled, at [rules::LIMITED_TRANSMIT], breaks [rules::LIMITED_TRANSMIT, rules::CONGESTION_CONTROL];
    // Keep-alives, ISNs, urgent text.
    "keep-alive-not-put-off": Fault::KeepAliveNotPutOff, at [rules::KEEPALIVE_ONLY_IDLE], breaks [rules::KEEPALIVE_ONLY_IDLE];
    "isn-clock-a-hundredfold-too-slow": Fault::IsnClockSlow, at [rules::ISN_CLOCK], breaks [rules::ISN_CLOCK];
    "urgent-pointer-one-too-high": Fault::UrgentTooHigh, at [rules::URGENT_POINTER], breaks [rules::URGENT_POINTER];
    // MSS, headers and ICMP.
    "mss-of-the-syn-ack-ignored": Fault::MssIgnored, at [rules::MSS_OBEYED], breaks [rules::MSS_OBEYED];
    "mss-of-ipv4-over-ipv6": Fault::Mss(1460), at [rules::LISTEN_SYN, rules::OPEN_ACTIVE], breaks [rules::MSS_OF_LINK];
    "ds-field-on-text-alone": Fault::OnTextAlone, at [rules::DS_SETTABLE], breaks [rules::DS_SETTABLE];
    "checksum-of-odd-text-wrong": Fault::BadOddChecksum, at [], breaks [rules::CHECKSUM_SENT];
    "segment-with-reserved-bits-dropped": Fault::DropsReserved, at [], breaks [rules::RESERVED_BITS];
    "source-quench-draws-retransmission": Fault::ResendsHead, at [rules::SOURCE_QUENCH], breaks [rules::SOURCE_QUENCH, rules::RTO_TOO_EARLY];
    // Window scale and timestamps.
    "scales-its-own-syn": Fault::ScalesOwnSyn, at [rules::OPEN_ACTIVE], with Policy::with_window_scale, breaks [rules::SYN_WINDOW_UNSCALED];
    "scale-of-zero-taken-for-none": Fault::ZeroScaleIsNone, at [], with Policy::with_window_scale, breaks [rules::WINDOW_SHIFTED, rules::RIGHT_EDGE_LEFT];
    "answering-reset-echoes-zero": Fault::EchoIs(0), at [rules::CLOSED_ACK], with Policy::with_timestamps, breaks [rules::TIMESTAMPS_ON_ANSWERING_RST];
    "segments-without-timestamps-acknowledged": Fault::AckAnyway, at [rules::UNSTAMPED_DROPPED], with Policy::with_timestamps, breaks [rules::UNSTAMPED_DROPPED];
    "wrapped-timestamp-refused": Fault::PlainTimestamps, at [rules::PAWS], with Policy::with_paws, breaks [rules::PAWS, at!("ESTABLISHED/text")];
    "echo-goes-back": Fault::EchoGoesBack, at [rules::ECHO], with Policy::with_timestamps, breaks [rules::ECHO];
    // Selective acknowledgments and ECN.
    "sack-left-edge-too-low": Fault::SackLeftOff, at [rules::SACK_BLOCKS], with Policy::with_sack, breaks [rules::SACK_BLOCKS];
    "text-without-sack": Fault::LacksOption(5), at [rules::SEND], with Policy::with_sack, breaks [rules::SACK_IN_EVERY_ACK];
    "ce-echoed-until-the-next-text": Fault::CeOfLatestText, at [rules::CE_ECHOED], with Policy::with_ecn, breaks [rules::CE_ECHOED];
    "ect-on-repeated-syn-ack": Fault::Ect, at [rules::RETRANSMISSION_TIMEOUT] in State::SynReceived, with Policy::with_ecn, breaks [rules::ECT_ON_SYN];
    "ect-on-window-update": Fault::Ect, at [rules::RECEIVE], with Policy::with_ecn, breaks [rules::ECT_ON_ACK];
}

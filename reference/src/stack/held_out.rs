//! Mutants that are held out: written from the RFC's text alone, left alone while oracle and vectors are worked on, and only scored
//! (`harness mutants`). Do not read them to mend the oracle or a vector; once one has been looked at for that, it moves to `mutants.rs` and another
//! takes its place.

use crate::rules;
use crate::segment::Flags;
use crate::stack::Policy;
use crate::stack::mutant::{Fault, Mutant, at, mutants};
use crate::state::State;

mutants! {
    /// The mutants that are held out.
    HELD_OUT;

    // CLOSED and LISTEN.
    "closed-rst-for-syn-without-ack-bit": Fault::LacksFlags(Flags::ACK), at [rules::CLOSED_NO_ACK], breaks [rules::CLOSED_NO_ACK];
    "closed-rst-does-not-count-text": Fault::AckLacksText, at [rules::CLOSED_NO_ACK], breaks [rules::CLOSED_NO_ACK];
    "stray-ack-ends-listening": Fault::ListenerCloses, at [rules::LISTEN_ACK], breaks [rules::LISTEN_ACK, rules::LISTEN_SYN];
    "listen-syn-establishes-at-once": Fault::GoesTo(State::Established), at [rules::LISTEN_SYN], breaks [rules::LISTEN_SYN, rules::STATUS];
    // SYN-SENT and SYN-RECEIVED.
    "syn-ack-leads-to-syn-received": Fault::GoesTo(State::SynReceived), at [rules::SYN_SENT_SYN_ACK], breaks [rules::SYN_SENT_SYN_ACK];
    "handshake-ack-late": Fault::Late(700_000), at [rules::SYN_SENT_SYN_ACK], breaks [rules::SYN_SENT_SYN_ACK];
    "syn-received-fin-establishes": Fault::GoesTo(State::Established), at [at!("SYN-RECEIVED/fin")], breaks [at!("SYN-RECEIVED/fin")];
    "syn-received-rst-with-ack-bit": Fault::ExtraFlags(Flags::ACK), at [rules::SYN_RECEIVED_ACK_UNACCEPTABLE], breaks [rules::SYN_RECEIVED_ACK_UNACCEPTABLE];
    "syn-ack-repeated-without-mss": Fault::LacksOption(2), at [rules::RETRANSMISSION_TIMEOUT] in State::SynReceived, breaks [rules::MSS_STATED];
    "abort-in-syn-received-without-rst": Fault::NoReply, at [rules::ABORT_OPEN] in State::SynReceived, breaks [rules::ABORT_OPEN];
    // Sequence, RST, SYN.
    "old-segment-answered-at-snd-una": Fault::SeqOfUna, at [at!("ESTABLISHED/seq-unacceptable")], breaks [at!("ESTABLISHED/seq-unacceptable"), rules::SYNC_UNACCEPTABLE];
    "close-wait-old-doubled": Fault::Doubled, at [at!("CLOSE-WAIT/seq-unacceptable")], breaks [rules::ONE_ACK_EACH, at!("CLOSE-WAIT/seq-unacceptable")];
    "time-wait-old-closes": Fault::Closes, at [at!("TIME-WAIT/seq-unacceptable")], breaks [at!("TIME-WAIT/seq-unacceptable"), rules::TIME_WAIT_2MSL];
    "close-wait-answers-rst": Fault::ResetAnyway, at [at!("CLOSE-WAIT/rst-exact")], breaks [at!("CLOSE-WAIT/rst-exact")];
    "challenge-closes-the-window": Fault::Window(0), at [at!("ESTABLISHED/rst-in-window")], breaks [rules::RIGHT_EDGE_LEFT];
    "fin-wait-1-challenge-acknowledges-the-syn": Fault::AckOff(1), at [at!("FIN-WAIT-1/syn")], breaks [at!("FIN-WAIT-1/syn")];
    // ACK.
    "future-ack-empties-the-queue": Fault::AllAcknowledged, at [at!("ESTABLISHED/ack-future")], breaks [at!("ESTABLISHED/ack-future"), rules::RETRANSMISSION_TIMEOUT];
    "text-without-ack-bit-taken": Fault::TakesText, at [at!("ESTABLISHED/ack-missing")], breaks [at!("ESTABLISHED/ack-missing"), rules::ACK_ALWAYS];
    "partial-ack-ignored": Fault::WholeAcksOnly, at [rules::ACK_NEW], breaks [rules::ACK_NEW, rules::EARLIEST_FIRST];
    "fin-wait-1-ack-of-fin-to-time-wait": Fault::GoesTo(State::TimeWait), at [at!("FIN-WAIT-1/ack-of-fin")], breaks [at!("FIN-WAIT-1/ack-of-fin")];
    "closing-ignores-ack-of-fin": Fault::StaysPut, at [at!("CLOSING/ack-of-fin")], breaks [at!("CLOSING/ack-of-fin")];
    "last-ack-lingers-in-time-wait": Fault::LingersIn(State::TimeWait), at [at!("LAST-ACK/ack-of-fin")], breaks [at!("LAST-ACK/ack-of-fin")];
    // Text and FIN.
    "one-gap-at-most": Fault::OneGap, at [rules::QUEUE_OOO], breaks [rules::QUEUE_OOO];
    "fin-behind-a-gap-forgotten": Fault::ForgetsFin, at [rules::QUEUE_OOO], breaks [rules::QUEUE_OOO, at!("ESTABLISHED/fin")];
    "overlap-delivered-twice": Fault::OverlapTwice, at [rules::TRIM], breaks [rules::TRIM, rules::RECEIVE];
    "held-text-corrupted": Fault::CorruptsHeld, at [rules::QUEUE_OOO], breaks [rules::RECEIVE, rules::QUEUE_OOO];
    "held-text-delivered-first": Fault::HeldFirst, at [rules::RECEIVE], breaks [rules::RECEIVE];
    "rest-lost-at-receive": Fault::RestLost, at [rules::RECEIVE], breaks [rules::RECEIVE];
    "last-octet-received-again": Fault::LastOctetAgain, at [rules::RECEIVE], breaks [rules::RECEIVE];
    "unread-text-lost-at-fin": Fault::UnreadLost, at [rules::RECEIVE_CLOSE_WAIT], breaks [rules::RECEIVE_CLOSE_WAIT, rules::RECEIVE];
    "established-fin-to-closing": Fault::GoesTo(State::Closing), at [at!("ESTABLISHED/fin")], breaks [at!("ESTABLISHED/fin")];
    "simultaneous-close-to-last-ack": Fault::GoesTo(State::LastAck), at [rules::FIN_NOT_ACKS_OURS], breaks [rules::FIN_NOT_ACKS_OURS, at!("CLOSING/ack-of-fin")];
    // The user's calls.
    "close-in-close-wait-to-closing": Fault::GoesTo(State::Closing), at [rules::CLOSE_CLOSE_WAIT], breaks [rules::CLOSE_CLOSE_WAIT, at!("LAST-ACK/ack-of-fin")];
    "close-drops-what-waits": Fault::DropsUnsent, at [rules::CLOSE_ESTABLISHED], breaks [rules::CLOSE_ESTABLISHED, rules::SEND];
    "abort-rst-at-snd-una": Fault::SeqOfUna, at [rules::ABORT_OPEN], breaks [rules::ABORT_OPEN];
    "abort-in-closing-resets": Fault::ResetAnyway, at [rules::ABORT_LATE], breaks [rules::ABORT_LATE];
    "send-in-close-wait-fails": Fault::Fails, at [rules::SEND], breaks [rules::SEND];
    "last-octet-of-send-lost": Fault::LastOctetLost, at [rules::SEND], breaks [rules::SEND, rules::NOT_HELD];
    "early-text-sent-twice": Fault::WrittenTwice, at [rules::SEND_EARLY], breaks [rules::SEND_EARLY, rules::SEND];
    "close-wait-called-established": Fault::ReportsState(State::Established), at [rules::STATUS] in State::CloseWait, breaks [rules::STATUS];
    // TIME-WAIT, and the delay of ACKs.
    "retransmission-with-stale-ack": Fault::StaleAck, at [rules::RETRANSMISSION_TIMEOUT], breaks [rules::ACK_ALWAYS];
    // Windows.
    "one-octet-beyond-the-window": Fault::OneBeyond, at [rules::WINDOW_BEYOND], breaks [rules::WINDOW_BEYOND];
    "shrunk-window-not-noticed": Fault::EdgeKept, at [rules::WINDOW_SHRUNK], breaks [rules::WINDOW_SHRUNK, rules::WINDOW_BEYOND];
    "large-window-taken-for-negative": Fault::SignedWindow, at [rules::NOT_HELD], breaks [rules::NOT_HELD, rules::SENDER_SILLY_WINDOW];
    "window-update-ignored": Fault::UpdatesIgnored, at [rules::WINDOW_UPDATE], breaks [rules::WINDOW_UPDATE, rules::NOT_HELD];
    "empty-flight-at-closed-window-not-probed": Fault::NoReply, at [rules::PROBE], breaks [rules::PROBE];
    // MSS and options.
    "mss-exceeded-by-one": Fault::MssPlusOne, at [rules::MSS_OBEYED], breaks [rules::MSS_OBEYED];
    "mss-of-1220-assumed": Fault::MssAssumed(1220), at [rules::MSS_DEFAULT], breaks [rules::MSS_DEFAULT, rules::MSS_OBEYED];
    "octets-behind-the-end-of-options": Fault::OptionsEndUnclean, at [rules::LISTEN_SYN], breaks [rules::OPTION_PADDING];
    // Window scale and timestamps.
    "another-scale-stated-than-used": Fault::StatesScale(1), at [rules::LISTEN_SYN, rules::OPEN_ACTIVE], with Policy::with_window_scale, breaks [rules::WINDOW_SHIFTED, rules::RIGHT_EDGE_LEFT];
    "own-windows-not-scaled": Fault::OwnWindowsUnshifted, at [rules::WINDOW_SHIFTED], with Policy::with_window_scale, breaks [rules::WINDOW_SHIFTED, rules::RIGHT_EDGE_LEFT];
    "window-of-handshake-ack-not-scaled": Fault::HandshakeWindowUnshifted, at [rules::WINDOW_SHIFTED], with Policy::with_window_scale, breaks [rules::WINDOW_SHIFTED, rules::NOT_HELD];
    "syn-ack-echoes-zero": Fault::EchoIs(0), at [rules::LISTEN_SYN], with Policy::with_timestamps, breaks [rules::ECHO];
    "retransmission-with-old-tsval": Fault::StaleVal, at [rules::RETRANSMISSION_TIMEOUT], with Policy::with_timestamps, breaks [rules::TIMESTAMP_CLOCK];
    "echo-stays-at-the-syn": Fault::EchoStands, at [rules::ECHO], with Policy::with_timestamps, breaks [rules::ECHO, rules::ECHO_OF_EARLIEST];
    "fin-without-timestamps": Fault::LacksOption(8), at [rules::CLOSE_ESTABLISHED, rules::CLOSE_CLOSE_WAIT], with Policy::with_timestamps, breaks [rules::TIMESTAMPS_LACKING];
    "equal-timestamp-refused": Fault::RefusesEqual, at [rules::PAWS], with Policy::with_paws, breaks [rules::PAWS, at!("ESTABLISHED/text")];
    // Selective acknowledgments.
    "sack-blocks-outlive-their-gap": Fault::StaleBlocks, at [rules::SACK_BLOCKS], with Policy::with_sack, breaks [rules::SACK_BLOCKS, rules::DUPLICATE_ONCE];
    "sack-block-spans-gaps": Fault::BlocksJoined, at [rules::SACK_BLOCKS], with Policy::with_sack, breaks [rules::SACK_BLOCKS];
    // Retransmission and its timer.
    "time-out-does-not-double": Fault::NoBackoff, at [rules::RTO_BACKOFF], breaks [rules::RTO_BACKOFF, rules::PROBE_BACKOFF];
    "round-trip-of-resent-text-counts": Fault::SamplesResent, at [rules::KARN], breaks [rules::KARN, rules::RTO_BACKOFF];
    "time-out-below-a-second": Fault::NoFloor, at [rules::RTO_MINIMUM], breaks [rules::RTO_MINIMUM, rules::RTO_TOO_EARLY];
    "resent-text-corrupted": Fault::CorruptsText, at [rules::RETRANSMISSION_TIMEOUT], breaks [rules::RETRANSMISSION_TIMEOUT, rules::SEND];
    "resent-fin-lacks-its-bit": Fault::LacksFlags(Flags::FIN), at [rules::RETRANSMISSION_TIMEOUT], breaks [rules::RETRANSMISSION_TIMEOUT];
    "three-retransmissions-and-no-more": Fault::ResendsAtMost(3), at [], breaks [rules::RETRANSMISSION_TIMEOUT, rules::R2];
    "user-timeout-too-early": Fault::UserTimeoutTenths(4), at [], breaks [rules::USER_TIMEOUT, rules::R2];
    "giving-up-reported-as-end-of-stream": Fault::TimeoutIsEof, at [rules::NORMAL_OR_ABORTED], breaks [rules::USER_TIMEOUT, rules::NORMAL_OR_ABORTED];
    // Congestion control and Nagle.
    "slow-start-never-ends": Fault::NoAvoidance, at [rules::CONGESTION_CONTROL], breaks [rules::CONGESTION_CONTROL];
    "time-out-leaves-the-congestion-window": Fault::KeepsWindow, at [rules::LOSS_WINDOW], breaks [rules::LOSS_WINDOW];
    "fast-retransmit-at-second-duplicate": Fault::DuplicatesNeeded(2), at [], breaks [rules::FAST_RETRANSMIT, rules::RTO_TOO_EARLY];
    "congestion-window-not-deflated": Fault::NoDeflation, at [rules::FAST_RECOVERY], breaks [rules::FAST_RECOVERY];
    "close-wait-holds-short-text": Fault::HoldsShort, at [rules::NOT_HELD] in State::CloseWait, breaks [rules::NOT_HELD];
    // Keep-alives, ISNs, urgent text.
    "isn-clock-stands": Fault::IsnClockStands, at [rules::ISN_CLOCK], breaks [rules::ISN_CLOCK];
    "urgent-pointer-counts-from-snd-una": Fault::UrgentFromUna, at [rules::URGENT_POINTER], breaks [rules::URGENT_POINTER];
}

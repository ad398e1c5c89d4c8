//! The mutants, in the order of RFC 9293 section 3.10.

use crate::profile::SECOND;
use crate::rules;
use crate::segment::Flags;
use crate::stack::Policy;
use crate::stack::mutant::{Fault, Mutant, at, mutants};
use crate::state::State;

mutants! {
    /// The mutants that the oracle and the vectors are tried on.
    MUTANTS;

    // 3.10.7.1, CLOSED.
    "closed-answers-rst": Fault::ResetAnyway, at [rules::CLOSED_RST], breaks [rules::CLOSED_RST];
    "closed-silent-to-syn": Fault::NoReply, at [rules::CLOSED_NO_ACK], breaks [rules::CLOSED_NO_ACK];
    "closed-rst-ack-off-by-one": Fault::AckOff(-1), at [rules::CLOSED_NO_ACK], breaks [rules::CLOSED_NO_ACK];
    "closed-rst-seq-not-zero": Fault::SeqOff(1), at [rules::CLOSED_NO_ACK], breaks [rules::CLOSED_NO_ACK];
    "closed-silent-to-ack": Fault::NoReply, at [rules::CLOSED_ACK], breaks [rules::CLOSED_ACK];
    "closed-rst-with-ack-bit": Fault::ExtraFlags(Flags::ACK), at [rules::CLOSED_ACK], breaks [rules::CLOSED_ACK];
    "closed-rst-seq-off": Fault::SeqOff(1), at [rules::CLOSED_ACK], breaks [rules::CLOSED_ACK];
    "closed-rst-doubled": Fault::Doubled, at [rules::CLOSED_ACK], breaks [rules::CLOSED_ACK];
    "closed-rst-late": Fault::Late(700_000), at [rules::CLOSED_ACK], breaks [rules::CLOSED_ACK];
    // 3.10.7.2, LISTEN.
    "listen-answers-rst": Fault::ResetAnyway, at [rules::LISTEN_RST], breaks [rules::LISTEN_RST];
    "listen-silent-to-ack": Fault::NoReply, at [rules::LISTEN_ACK], breaks [rules::LISTEN_ACK];
    "listen-rst-seq-off": Fault::SeqOff(1), at [rules::LISTEN_ACK], breaks [rules::LISTEN_ACK];
    "listen-silent-to-syn": Fault::NoReply, at [rules::LISTEN_SYN], breaks [rules::LISTEN_SYN];
    "listen-syn-ack-off-by-one": Fault::AckOff(-1), at [rules::LISTEN_SYN], breaks [rules::LISTEN_SYN];
    "listen-syn-ack-without-ack": Fault::LacksFlags(Flags::ACK), at [rules::LISTEN_SYN], breaks [rules::LISTEN_SYN];
    "listen-syn-ack-doubled": Fault::Doubled, at [rules::LISTEN_SYN], breaks [rules::LISTEN_SYN, rules::RTO_TOO_EARLY];
    "listen-syn-ack-late": Fault::Late(800_000), at [rules::LISTEN_SYN], breaks [rules::LISTEN_SYN];
    "listen-answers-null": Fault::ResetAnyway, at [rules::LISTEN_OTHER], breaks [rules::LISTEN_OTHER];
    // 3.10.7.3, SYN-SENT.
    "syn-sent-takes-bad-ack": Fault::NoReply, at [rules::SYN_SENT_ACK_UNACCEPTABLE], breaks [rules::SYN_SENT_ACK_UNACCEPTABLE];
    "syn-sent-rst-seq-off": Fault::SeqOff(-1), at [rules::SYN_SENT_ACK_UNACCEPTABLE], breaks [rules::SYN_SENT_ACK_UNACCEPTABLE];
    "syn-sent-bad-ack-closes": Fault::Closes, at [rules::SYN_SENT_ACK_UNACCEPTABLE], breaks [rules::SYN_SENT_ACK_UNACCEPTABLE];
    "syn-sent-answers-bad-rst": Fault::ResetAnyway, at [rules::SYN_SENT_ACK_UNACCEPTABLE_RST], breaks [rules::SYN_SENT_ACK_UNACCEPTABLE_RST];
    "syn-sent-bad-rst-closes": Fault::Closes, at [rules::SYN_SENT_ACK_UNACCEPTABLE_RST], breaks [rules::SYN_SENT_ACK_UNACCEPTABLE_RST];
    "syn-sent-ignores-rst": Fault::StaysPut, at [rules::SYN_SENT_RST_ACK_OK], breaks [rules::SYN_SENT_RST_ACK_OK];
    "syn-sent-bare-rst-closes": Fault::Closes, at [rules::SYN_SENT_RST_NO_ACK], breaks [rules::SYN_SENT_RST_NO_ACK];
    "syn-sent-silent-to-syn-ack": Fault::NoReply, at [rules::SYN_SENT_SYN_ACK], breaks [rules::SYN_SENT_SYN_ACK];
    "syn-sent-ack-off-by-one": Fault::AckOff(1), at [rules::SYN_SENT_SYN_ACK], breaks [rules::SYN_SENT_SYN_ACK];
    "syn-sent-silent-to-syn": Fault::NoReply, at [rules::SYN_SENT_SYN_ONLY], breaks [rules::SYN_SENT_SYN_ONLY];
    "syn-sent-crossing-without-ack": Fault::LacksFlags(Flags::ACK), at [rules::SYN_SENT_SYN_ONLY], breaks [rules::SYN_SENT_SYN_ONLY];
    "syn-sent-answers-null": Fault::ResetAnyway, at [rules::SYN_SENT_NO_SYN_NO_RST], breaks [rules::SYN_SENT_NO_SYN_NO_RST];
    "open-syn-with-ack": Fault::ExtraFlags(Flags::FIN), at [rules::OPEN_ACTIVE], breaks [rules::OPEN_ACTIVE];
    // 3.10.7.4, first step.
    "established-silent-to-old": Fault::NoReply, at [at!("ESTABLISHED/seq-unacceptable")], breaks [at!("ESTABLISHED/seq-unacceptable")];
    "established-old-ack-off": Fault::AckOff(1), at [at!("ESTABLISHED/seq-unacceptable")], breaks [at!("ESTABLISHED/seq-unacceptable")];
    "established-old-seq-off": Fault::SeqOff(1), at [at!("ESTABLISHED/seq-unacceptable")], breaks [at!("ESTABLISHED/seq-unacceptable")];
    "established-old-doubled": Fault::Doubled, at [at!("ESTABLISHED/seq-unacceptable")], breaks [rules::ONE_ACK_EACH, at!("ESTABLISHED/seq-unacceptable")];
    "established-old-reset": Fault::ResetInstead, at [at!("ESTABLISHED/seq-unacceptable")], breaks [at!("ESTABLISHED/seq-unacceptable")];
    "established-answers-outside-rst": Fault::AckAnyway, at [at!("ESTABLISHED/seq-unacceptable-rst")], breaks [at!("ESTABLISHED/seq-unacceptable-rst"), rules::ONE_ACK_EACH];
    "established-outside-rst-closes": Fault::Closes, at [at!("ESTABLISHED/seq-unacceptable-rst")], breaks [at!("ESTABLISHED/seq-unacceptable-rst")];
    "syn-received-outside-rst-closes": Fault::Closes, at [at!("SYN-RECEIVED/seq-unacceptable-rst")], breaks [at!("SYN-RECEIVED/seq-unacceptable-rst")];
    "time-wait-silent-to-old": Fault::NoReply, at [at!("TIME-WAIT/seq-unacceptable")], breaks [at!("TIME-WAIT/seq-unacceptable")];
    // Second step.
    "established-ignores-rst": Fault::StaysPut, at [at!("ESTABLISHED/rst-exact")], breaks [at!("ESTABLISHED/rst-exact")];
    "syn-received-ignores-rst": Fault::StaysPut, at [at!("SYN-RECEIVED/rst-exact")], breaks [at!("SYN-RECEIVED/rst-exact")];
    "fin-wait-1-ignores-rst": Fault::StaysPut, at [at!("FIN-WAIT-1/rst-exact")], breaks [at!("FIN-WAIT-1/rst-exact")];
    "fin-wait-2-ignores-rst": Fault::StaysPut, at [at!("FIN-WAIT-2/rst-exact")], breaks [at!("FIN-WAIT-2/rst-exact")];
    "close-wait-ignores-rst": Fault::StaysPut, at [at!("CLOSE-WAIT/rst-exact")], breaks [at!("CLOSE-WAIT/rst-exact")];
    "last-ack-ignores-rst": Fault::StaysPut, at [at!("LAST-ACK/rst-exact")], breaks [at!("LAST-ACK/rst-exact")];
    "established-answers-rst": Fault::ResetAnyway, at [at!("ESTABLISHED/rst-exact")], breaks [at!("ESTABLISHED/rst-exact")];
    "established-no-challenge-to-rst": Fault::NoReply, at [at!("ESTABLISHED/rst-in-window")], breaks [at!("ESTABLISHED/rst-in-window")];
    "established-challenge-ack-off": Fault::AckOff(-1), at [at!("ESTABLISHED/rst-in-window")], breaks [at!("ESTABLISHED/rst-in-window")];
    // Fourth step.
    "established-no-challenge-to-syn": Fault::NoReply, at [at!("ESTABLISHED/syn")], breaks [at!("ESTABLISHED/syn")];
    "established-challenge-then-closes": Fault::Closes, at [at!("ESTABLISHED/syn")], breaks [at!("ESTABLISHED/syn")];
    "fin-wait-2-no-challenge-to-syn": Fault::NoReply, at [at!("FIN-WAIT-2/syn")], breaks [at!("FIN-WAIT-2/syn")];
    // Fifth step.
    "established-answers-missing-ack": Fault::AckAnyway, at [at!("ESTABLISHED/ack-missing")], breaks [at!("ESTABLISHED/ack-missing"), rules::ONE_ACK_EACH];
    "established-silent-to-future-ack": Fault::NoReply, at [at!("ESTABLISHED/ack-future")], breaks [at!("ESTABLISHED/ack-future")];
    "established-future-ack-closes": Fault::Closes, at [at!("ESTABLISHED/ack-future")], breaks [at!("ESTABLISHED/ack-future")];
    "fin-wait-1-silent-to-future-ack": Fault::NoReply, at [at!("FIN-WAIT-1/ack-future")], breaks [at!("FIN-WAIT-1/ack-future")];
    "syn-received-takes-bad-ack": Fault::NoReply, at [rules::SYN_RECEIVED_ACK_UNACCEPTABLE], breaks [rules::SYN_RECEIVED_ACK_UNACCEPTABLE];
    "syn-received-rst-seq-off": Fault::SeqOff(1), at [rules::SYN_RECEIVED_ACK_UNACCEPTABLE], breaks [rules::SYN_RECEIVED_ACK_UNACCEPTABLE];
    "syn-received-bad-ack-closes": Fault::Closes, at [rules::SYN_RECEIVED_ACK_UNACCEPTABLE], breaks [rules::SYN_RECEIVED_ACK_UNACCEPTABLE];
    "syn-received-ignores-ack": Fault::StaysPut, at [rules::SYN_RECEIVED_ACK_ACCEPTABLE], breaks [rules::SYN_RECEIVED_ACK_ACCEPTABLE];
    "fin-wait-1-ignores-ack-of-fin": Fault::GoesTo(State::FinWait1), at [at!("FIN-WAIT-1/ack-of-fin")], breaks [at!("FIN-WAIT-1/ack-of-fin")];
    "closing-ack-of-fin-closes": Fault::Closes, at [at!("CLOSING/ack-of-fin")], breaks [at!("CLOSING/ack-of-fin")];
    "last-ack-ignores-ack-of-fin": Fault::StaysPut, at [at!("LAST-ACK/ack-of-fin")], breaks [at!("LAST-ACK/ack-of-fin")];
    // Seventh and eighth step.
    "established-text-not-acknowledged": Fault::NoReply, at [at!("ESTABLISHED/text")], breaks [rules::DELAYED_ACK];
    "established-text-counted-wrong": Fault::RcvNxtOff(-1), at [at!("ESTABLISHED/text")], breaks [at!("ESTABLISHED/text"), rules::ACK_ALWAYS];
    "established-fin-silent": Fault::NoReply, at [at!("ESTABLISHED/fin")], breaks [at!("ESTABLISHED/fin")];
    "established-fin-not-counted": Fault::AckOff(-1), at [at!("ESTABLISHED/fin")], breaks [at!("ESTABLISHED/fin")];
    "fin-wait-1-fin-to-time-wait": Fault::GoesTo(State::TimeWait), at [rules::FIN_NOT_ACKS_OURS], breaks [rules::FIN_NOT_ACKS_OURS, rules::RETRANSMISSION_TIMEOUT];
    "fin-wait-2-fin-closes": Fault::Closes, at [at!("FIN-WAIT-2/fin")], breaks [at!("FIN-WAIT-2/fin")];
    "fin-wait-2-fin-doubled": Fault::Doubled, at [at!("FIN-WAIT-2/fin")], breaks [at!("FIN-WAIT-2/fin"), rules::ONE_ACK_EACH];
    "time-wait-retransmitted-fin-silent": Fault::NoReply, at [rules::TIME_WAIT_FIN_RETRANSMIT], breaks [rules::TIME_WAIT_FIN_RETRANSMIT];
    // The same rules in the other states.
    "fin-wait-1-silent-to-old": Fault::NoReply, at [at!("FIN-WAIT-1/seq-unacceptable")], breaks [at!("FIN-WAIT-1/seq-unacceptable")];
    "fin-wait-1-outside-rst-closes": Fault::Closes, at [at!("FIN-WAIT-1/seq-unacceptable-rst")], breaks [at!("FIN-WAIT-1/seq-unacceptable-rst")];
    "fin-wait-1-no-challenge-to-rst": Fault::NoReply, at [at!("FIN-WAIT-1/rst-in-window")], breaks [at!("FIN-WAIT-1/rst-in-window")];
    "fin-wait-1-answers-missing-ack": Fault::AckAnyway, at [at!("FIN-WAIT-1/ack-missing")], breaks [at!("FIN-WAIT-1/ack-missing"), rules::ONE_ACK_EACH];
    "fin-wait-2-silent-to-old": Fault::NoReply, at [at!("FIN-WAIT-2/seq-unacceptable")], breaks [at!("FIN-WAIT-2/seq-unacceptable")];
    "fin-wait-2-outside-rst-closes": Fault::Closes, at [at!("FIN-WAIT-2/seq-unacceptable-rst")], breaks [at!("FIN-WAIT-2/seq-unacceptable-rst")];
    "fin-wait-2-no-challenge-to-rst": Fault::NoReply, at [at!("FIN-WAIT-2/rst-in-window")], breaks [at!("FIN-WAIT-2/rst-in-window")];
    "fin-wait-2-answers-missing-ack": Fault::AckAnyway, at [at!("FIN-WAIT-2/ack-missing")], breaks [at!("FIN-WAIT-2/ack-missing"), rules::ONE_ACK_EACH];
    "close-wait-silent-to-old": Fault::NoReply, at [at!("CLOSE-WAIT/seq-unacceptable")], breaks [at!("CLOSE-WAIT/seq-unacceptable")];
    "close-wait-outside-rst-closes": Fault::Closes, at [at!("CLOSE-WAIT/seq-unacceptable-rst")], breaks [at!("CLOSE-WAIT/seq-unacceptable-rst")];
    "close-wait-no-challenge-to-rst": Fault::NoReply, at [at!("CLOSE-WAIT/rst-in-window")], breaks [at!("CLOSE-WAIT/rst-in-window")];
    "close-wait-answers-missing-ack": Fault::AckAnyway, at [at!("CLOSE-WAIT/ack-missing")], breaks [at!("CLOSE-WAIT/ack-missing"), rules::ONE_ACK_EACH];
    "closing-silent-to-old": Fault::NoReply, at [at!("CLOSING/seq-unacceptable")], breaks [at!("CLOSING/seq-unacceptable")];
    "closing-outside-rst-closes": Fault::Closes, at [at!("CLOSING/seq-unacceptable-rst")], breaks [at!("CLOSING/seq-unacceptable-rst")];
    "closing-no-challenge-to-rst": Fault::NoReply, at [at!("CLOSING/rst-in-window")], breaks [at!("CLOSING/rst-in-window")];
    "closing-answers-missing-ack": Fault::AckAnyway, at [at!("CLOSING/ack-missing")], breaks [at!("CLOSING/ack-missing"), rules::ONE_ACK_EACH];
    "last-ack-silent-to-old": Fault::NoReply, at [at!("LAST-ACK/seq-unacceptable")], breaks [at!("LAST-ACK/seq-unacceptable")];
    "last-ack-outside-rst-closes": Fault::Closes, at [at!("LAST-ACK/seq-unacceptable-rst")], breaks [at!("LAST-ACK/seq-unacceptable-rst")];
    "last-ack-no-challenge-to-rst": Fault::NoReply, at [at!("LAST-ACK/rst-in-window")], breaks [at!("LAST-ACK/rst-in-window")];
    "last-ack-answers-missing-ack": Fault::AckAnyway, at [at!("LAST-ACK/ack-missing")], breaks [at!("LAST-ACK/ack-missing"), rules::ONE_ACK_EACH];
    "fin-wait-1-no-challenge-to-syn": Fault::NoReply, at [at!("FIN-WAIT-1/syn")], breaks [at!("FIN-WAIT-1/syn")];
    "close-wait-no-challenge-to-syn": Fault::NoReply, at [at!("CLOSE-WAIT/syn")], breaks [at!("CLOSE-WAIT/syn")];
    "closing-no-challenge-to-syn": Fault::NoReply, at [at!("CLOSING/syn")], breaks [at!("CLOSING/syn")];
    "last-ack-no-challenge-to-syn": Fault::NoReply, at [at!("LAST-ACK/syn")], breaks [at!("LAST-ACK/syn")];
    "fin-wait-2-silent-to-future-ack": Fault::NoReply, at [at!("FIN-WAIT-2/ack-future")], breaks [at!("FIN-WAIT-2/ack-future")];
    "close-wait-silent-to-future-ack": Fault::NoReply, at [at!("CLOSE-WAIT/ack-future")], breaks [at!("CLOSE-WAIT/ack-future")];
    "closing-silent-to-future-ack": Fault::NoReply, at [at!("CLOSING/ack-future")], breaks [at!("CLOSING/ack-future")];
    "last-ack-silent-to-future-ack": Fault::NoReply, at [at!("LAST-ACK/ack-future")], breaks [at!("LAST-ACK/ack-future")];
    "closing-ignores-rst": Fault::StaysPut, at [at!("CLOSING/rst-exact")], breaks [at!("CLOSING/rst-exact")];
    "syn-received-silent-to-old": Fault::NoReply, at [at!("SYN-RECEIVED/seq-unacceptable")], breaks [at!("SYN-RECEIVED/seq-unacceptable")];
    "syn-received-no-challenge-to-rst": Fault::NoReply, at [at!("SYN-RECEIVED/rst-in-window")], breaks [at!("SYN-RECEIVED/rst-in-window")];
    "syn-received-answers-missing-ack": Fault::AckAnyway, at [at!("SYN-RECEIVED/ack-missing")], breaks [at!("SYN-RECEIVED/ack-missing"), rules::ONE_ACK_EACH];
    "syn-received-silent-to-repeated-syn": Fault::NoReply, at [at!("SYN-RECEIVED/syn-duplicate")], breaks [at!("SYN-RECEIVED/syn-duplicate")];
    "syn-received-silent-to-crossing-syn": Fault::NoReply, at [at!("SYN-RECEIVED/syn-active")], breaks [at!("SYN-RECEIVED/syn-active")];
    "syn-received-fin-not-counted": Fault::AckOff(-1), at [at!("SYN-RECEIVED/fin")], breaks [at!("SYN-RECEIVED/fin")];
    "time-wait-outside-rst-closes": Fault::Closes, at [at!("TIME-WAIT/seq-unacceptable-rst")], breaks [at!("TIME-WAIT/seq-unacceptable-rst")];
    "time-wait-answers-missing-ack": Fault::AckAnyway, at [at!("TIME-WAIT/ack-missing")], breaks [at!("TIME-WAIT/ack-missing"), rules::ONE_ACK_EACH];
    "time-wait-no-challenge-to-rst-closes": Fault::ResetAnyway, at [at!("TIME-WAIT/rst-exact")], breaks [at!("TIME-WAIT/rst-exact")];
    "established-out-of-order-silent": Fault::NoReply, at [at!("ESTABLISHED/text-in-window-ooo")], breaks [at!("ESTABLISHED/text-in-window-ooo"), rules::ACK_OOO_AT_ONCE];
    "established-answers-duplicate-ack": Fault::AckAnyway, at [at!("ESTABLISHED/ack-duplicate")], breaks [at!("ESTABLISHED/ack-duplicate"), rules::ONE_ACK_EACH];
    "fin-wait-1-text-not-acknowledged": Fault::NoReply, at [at!("FIN-WAIT-1/text")], breaks [at!("FIN-WAIT-1/text"), rules::DELAYED_ACK];
    "fin-wait-2-text-not-acknowledged": Fault::NoReply, at [at!("FIN-WAIT-2/text")], breaks [at!("FIN-WAIT-2/text"), rules::DELAYED_ACK];
    "listen-syn-data-silent": Fault::NoReply, at [rules::LISTEN_SYN_DATA], breaks [rules::LISTEN_SYN_DATA];
    "listen-syn-fin-ack-off": Fault::AckOff(1), at [rules::LISTEN_SYN_FIN], breaks [rules::LISTEN_SYN_FIN];
    "syn-sent-syn-ack-data-silent": Fault::NoReply, at [rules::SYN_SENT_SYN_ACK_WITH_DATA], breaks [rules::SYN_SENT_SYN_ACK_WITH_DATA];
    "syn-sent-syn-ack-fin-silent": Fault::NoReply, at [rules::SYN_SENT_SYN_ACK_FIN], breaks [rules::SYN_SENT_SYN_ACK_FIN];
    "syn-sent-crossing-data-silent": Fault::NoReply, at [rules::SYN_SENT_SYN_ONLY_DATA], breaks [rules::SYN_SENT_SYN_ONLY_DATA];
    "last-ack-fin-seq-off": Fault::SeqOff(1), at [rules::CLOSE_CLOSE_WAIT], breaks [rules::CLOSE_CLOSE_WAIT, rules::SEND];
    "close-wait-takes-text": Fault::RcvNxtOff(10), at [at!("CLOSE-WAIT/text")], breaks [at!("CLOSE-WAIT/text"), rules::ACK_ALWAYS];
    "closing-takes-text": Fault::RcvNxtOff(10), at [at!("CLOSING/text")], breaks [at!("CLOSING/text"), rules::ACK_ALWAYS];
    "last-ack-takes-text": Fault::RcvNxtOff(10), at [at!("LAST-ACK/text")], breaks [at!("LAST-ACK/text"), rules::ACK_ALWAYS];
    "fin-wait-1-old-ack-closes": Fault::Closes, at [at!("FIN-WAIT-1/ack-not-fin")], breaks [at!("FIN-WAIT-1/ack-not-fin")];
    "closing-old-ack-closes": Fault::Closes, at [at!("CLOSING/ack-not-fin")], breaks [at!("CLOSING/ack-not-fin")];
    "last-ack-old-ack-closes": Fault::Closes, at [at!("LAST-ACK/ack-not-fin")], breaks [at!("LAST-ACK/ack-not-fin")];
    "established-ack-closes": Fault::Closes, at [at!("ESTABLISHED/ack-new")], breaks [at!("ESTABLISHED/ack-new")];
    "close-wait-ack-closes": Fault::Closes, at [at!("CLOSE-WAIT/ack")], breaks [at!("CLOSE-WAIT/ack")];
    "time-wait-challenge-ack-off": Fault::AckOff(1), at [at!("TIME-WAIT/rst-in-window")], breaks [at!("TIME-WAIT/rst-in-window")];
    "time-wait-ack-closes": Fault::Closes, at [at!("TIME-WAIT/ack")], breaks [at!("TIME-WAIT/ack")];
    "time-wait-future-ack-closes": Fault::Closes, at [at!("TIME-WAIT/ack-future")], breaks [at!("TIME-WAIT/ack-future")];
    "simultaneous-syn-ack-closes": Fault::Closes, at [at!("SYN-RECEIVED/syn-ack-simultaneous")], breaks [at!("SYN-RECEIVED/syn-ack-simultaneous")];
    // Timers and calls.
    "ack-after-the-deadline": Fault::AckDelay(600_000), at [], breaks [rules::DELAYED_ACK];
    "time-wait-too-short": Fault::TimeWaitTenths(1), at [], breaks [rules::TIME_WAIT_2MSL];
    "time-wait-too-long": Fault::TimeWaitTenths(60), at [], breaks [rules::TIME_WAIT_TIMEOUT];
    "fin-not-retransmitted-in-closing": Fault::NoRetransmission, at [] in State::Closing, breaks [rules::RETRANSMISSION_TIMEOUT];
    "fin-not-retransmitted-in-last-ack": Fault::NoRetransmission, at [] in State::LastAck, breaks [rules::RETRANSMISSION_TIMEOUT];
    "nothing-retransmitted": Fault::NoRetransmission, at [], breaks [rules::RETRANSMISSION_TIMEOUT];
    "retransmits-too-early": Fault::RtoTenths(5), at [], breaks [rules::RTO_TOO_EARLY];
    "retransmits-too-late": Fault::RtoTenths(60), at [], breaks [rules::RETRANSMISSION_TIMEOUT];
    "retransmission-doubled": Fault::Doubled, at [rules::RETRANSMISSION_TIMEOUT], breaks [rules::RTO_TOO_EARLY, rules::RTO_BACKOFF];
    "abort-silent": Fault::Late(9 * SECOND), at [rules::ABORT_OPEN], breaks [rules::ABORT_OPEN];
    "abort-rst-seq-off": Fault::SeqOff(1), at [rules::ABORT_OPEN], breaks [rules::ABORT_OPEN];
    "close-fin-doubled": Fault::Doubled, at [rules::CLOSE_ESTABLISHED], breaks [rules::RTO_TOO_EARLY, rules::CLOSE_ESTABLISHED];
    "text-seq-off": Fault::SeqOff(1), at [rules::SEND], breaks [rules::SEND];
    "needless-ack-with-text": Fault::Doubled, at [rules::DELAYED_ACK], breaks [rules::ONE_ACK_EACH, rules::DELAYED_ACK];
    // What one rule alone says of a segment.
    "rst-with-data-ignored": Fault::StaysPut, at [rules::RST_WITH_DATA], breaks [rules::RST_WITH_DATA];
    "rst-at-zero-window-ignored": Fault::StaysPut, at [rules::RST_AT_ZERO_WINDOW], breaks [rules::RST_AT_ZERO_WINDOW];
    "syn-received-looks-at-ack-of-rst": Fault::StaysPut, at [rules::SYN_RECEIVED_RST_WITH_ACK], breaks [rules::SYN_RECEIVED_RST_WITH_ACK];
    "ack-at-zero-window-not-honoured": Fault::Departs, at [rules::ZERO_WINDOW_EXCEPTIONS], breaks [rules::ZERO_WINDOW_EXCEPTIONS];
    "old-octets-counted": Fault::RcvNxtOff(20), at [rules::TRIM], breaks [rules::TRIM, rules::ACK_ALWAYS];
    "fin-acks-ours-silent": Fault::NoReply, at [rules::FIN_ACKS_OURS], breaks [rules::FIN_ACKS_OURS];
    "syn-received-ignores-syn-in-window": Fault::StaysPut, at [rules::SYN_RECEIVED_SYN_PASSIVE], breaks [rules::SYN_RECEIVED_SYN_PASSIVE];
    "fin-wait-2-ack-closes": Fault::Closes, at [rules::FIN_WAIT_2_ACK], breaks [rules::FIN_WAIT_2_ACK];
    "fin-wait-1-out-of-order-silent": Fault::NoReply, at [at!("FIN-WAIT-1/text-in-window-ooo")], breaks [at!("FIN-WAIT-1/text-in-window-ooo"), rules::ACK_OOO_AT_ONCE];
    "fin-wait-2-out-of-order-silent": Fault::NoReply, at [at!("FIN-WAIT-2/text-in-window-ooo")], breaks [at!("FIN-WAIT-2/text-in-window-ooo"), rules::ACK_OOO_AT_ONCE];
    "time-wait-takes-text": Fault::RcvNxtOff(10), at [at!("TIME-WAIT/text")], breaks [at!("TIME-WAIT/text"), rules::ACK_ALWAYS];
    "close-wait-counts-second-fin": Fault::RcvNxtOff(1), at [at!("CLOSE-WAIT/fin")], breaks [at!("CLOSE-WAIT/fin"), rules::ACK_ALWAYS];
    "closing-counts-second-fin": Fault::RcvNxtOff(1), at [at!("CLOSING/fin")], breaks [at!("CLOSING/fin"), rules::ACK_ALWAYS];
    "last-ack-counts-second-fin": Fault::RcvNxtOff(1), at [at!("LAST-ACK/fin")], breaks [at!("LAST-ACK/fin"), rules::ACK_ALWAYS];
    "time-wait-counts-second-fin": Fault::RcvNxtOff(1), at [at!("TIME-WAIT/fin")], breaks [at!("TIME-WAIT/fin"), rules::ACK_ALWAYS];
    "broadcast-syn-answered": Fault::ResetAnyway, at [rules::NOT_UNICAST_TO], breaks [rules::NOT_UNICAST_TO];
    "syn-from-broadcast-answered": Fault::ResetAnyway, at [rules::NOT_UNICAST_FROM], breaks [rules::NOT_UNICAST_FROM];
    "segment-from-broadcast-answered": Fault::ResetAnyway, at [rules::NOT_UNICAST_ANY], breaks [rules::NOT_UNICAST_ANY];
    // A SYN in TIME-WAIT.
    "time-wait-silent-to-syn-ack": Fault::NoReply, at [at!("TIME-WAIT/syn")], breaks [at!("TIME-WAIT/syn")];
    "reopens-with-the-old-isn": Fault::StaleIsn, at [rules::REOPENED], breaks [rules::REOPENED];
    "reopening-syn-ack-off": Fault::AckOff(1), at [rules::TIME_WAIT_FIRST_TIMESTAMP], breaks [rules::TIME_WAIT_FIRST_TIMESTAMP];
    "time-wait-refuses-newer-timestamp": Fault::Departs, at [rules::TIME_WAIT_NEWER_TIMESTAMP], with Policy::with_timestamps, breaks [rules::TIME_WAIT_NEWER_TIMESTAMP];
    "time-wait-refuses-equal-timestamp": Fault::Departs, at [rules::TIME_WAIT_EQUAL_TIMESTAMP], with Policy::with_timestamps, breaks [rules::TIME_WAIT_EQUAL_TIMESTAMP];
    "time-wait-refuses-missing-timestamp": Fault::Departs, at [rules::TIME_WAIT_WITHOUT_TIMESTAMP], with Policy::with_timestamps, breaks [rules::TIME_WAIT_WITHOUT_TIMESTAMP];
    "time-wait-takes-older-timestamp": Fault::Departs, at [rules::TIME_WAIT_SYN_DROPPED], with Policy::with_timestamps, breaks [rules::TIME_WAIT_SYN_DROPPED];
    // RFC 5961 section 5, in stacks that have it.
    "syn-received-resets-for-ancient-ack": Fault::ResetInstead, at [at!("SYN-RECEIVED/ack-5961-range")], with Policy::with_ack_range, breaks [at!("SYN-RECEIVED/ack-5961-range"), rules::SYN_RECEIVED_ACK_UNACCEPTABLE];
    "established-resets-for-ancient-ack": Fault::ResetInstead, at [at!("ESTABLISHED/ack-5961-range")], with Policy::with_ack_range, breaks [at!("ESTABLISHED/ack-5961-range")];
    "fin-wait-1-resets-for-ancient-ack": Fault::ResetInstead, at [at!("FIN-WAIT-1/ack-5961-range")], with Policy::with_ack_range, breaks [at!("FIN-WAIT-1/ack-5961-range")];
    "fin-wait-2-resets-for-ancient-ack": Fault::ResetInstead, at [at!("FIN-WAIT-2/ack-5961-range")], with Policy::with_ack_range, breaks [at!("FIN-WAIT-2/ack-5961-range")];
    "close-wait-resets-for-ancient-ack": Fault::ResetInstead, at [at!("CLOSE-WAIT/ack-5961-range")], with Policy::with_ack_range, breaks [at!("CLOSE-WAIT/ack-5961-range")];
    "closing-resets-for-ancient-ack": Fault::ResetInstead, at [at!("CLOSING/ack-5961-range")], with Policy::with_ack_range, breaks [at!("CLOSING/ack-5961-range")];
    "last-ack-resets-for-ancient-ack": Fault::ResetInstead, at [at!("LAST-ACK/ack-5961-range")], with Policy::with_ack_range, breaks [at!("LAST-ACK/ack-5961-range")];
    "time-wait-resets-for-ancient-ack": Fault::ResetInstead, at [at!("TIME-WAIT/ack-5961-range")], with Policy::with_ack_range, breaks [at!("TIME-WAIT/ack-5961-range")];
    "syn-received-challenge-ack-off": Fault::AckOff(1), at [at!("SYN-RECEIVED/ack-5961-range")], with Policy::with_ack_range, breaks [at!("SYN-RECEIVED/ack-5961-range")];
    // Numbers in an ACK of text.
    "established-out-of-order-ack-off": Fault::AckOff(1), at [at!("ESTABLISHED/text-in-window-ooo")], breaks [at!("ESTABLISHED/text-in-window-ooo")];
    "fin-wait-1-out-of-order-ack-off": Fault::AckOff(1), at [at!("FIN-WAIT-1/text-in-window-ooo")], breaks [at!("FIN-WAIT-1/text-in-window-ooo")];
    "fin-wait-2-out-of-order-ack-off": Fault::AckOff(1), at [at!("FIN-WAIT-2/text-in-window-ooo")], breaks [at!("FIN-WAIT-2/text-in-window-ooo")];
    "fin-wait-1-text-counted-wrong": Fault::RcvNxtOff(-1), at [at!("FIN-WAIT-1/text")], breaks [at!("FIN-WAIT-1/text"), rules::ACK_ALWAYS];
    "fin-wait-2-text-counted-wrong": Fault::RcvNxtOff(-1), at [at!("FIN-WAIT-2/text")], breaks [at!("FIN-WAIT-2/text"), rules::ACK_ALWAYS];
    "text-without-ack-bit": Fault::LacksFlags(Flags::ACK), at [rules::SEND], breaks [rules::ACK_ALWAYS];
    // The user's calls.
    "closed-listener-listens-on": Fault::StaysPut, at [rules::CLOSE_LISTEN], breaks [rules::CLOSE_LISTEN];
    "close-in-syn-sent-ignored": Fault::StaysPut, at [rules::CLOSE_SYN_SENT], breaks [rules::CLOSE_SYN_SENT];
    "close-in-syn-received-ignored": Fault::StaysPut, at [rules::CLOSE_SYN_RECEIVED], breaks [rules::CLOSE_SYN_RECEIVED];
    "close-in-established-ignored": Fault::StaysPut, at [rules::CLOSE_ESTABLISHED], breaks [rules::CLOSE_ESTABLISHED];
    "close-in-close-wait-ignored": Fault::StaysPut, at [rules::CLOSE_CLOSE_WAIT], breaks [rules::CLOSE_CLOSE_WAIT];
    "second-fin-in-fin-wait": Fault::FinAgain, at [rules::CLOSE_FIN_WAIT], breaks [rules::CLOSE_FIN_WAIT];
    "second-fin-in-closing": Fault::FinAgain, at [rules::CLOSE_CLOSING], breaks [rules::CLOSE_CLOSING];
    "abort-in-syn-sent-ignored": Fault::StaysPut, at [rules::ABORT_EARLY], breaks [rules::ABORT_EARLY];
    "abort-ignored": Fault::StaysPut, at [rules::ABORT_OPEN], breaks [rules::ABORT_OPEN];
    "abort-in-closing-ignored": Fault::StaysPut, at [rules::ABORT_LATE], breaks [rules::ABORT_LATE];
    "reset-reported-as-end-of-stream": Fault::ResetIsEof, at [rules::NORMAL_OR_ABORTED], breaks [rules::NORMAL_OR_ABORTED];
    "end-of-stream-reported-as-reset": Fault::EofIsReset, at [rules::NORMAL_OR_ABORTED], breaks [rules::NORMAL_OR_ABORTED];
    "listen-fails": Fault::Fails, at [rules::OPEN_PASSIVE], breaks [rules::OPEN_PASSIVE];
    "second-open-succeeds": Fault::Succeeds, at [rules::OPEN_AGAIN], breaks [rules::OPEN_AGAIN];
    "window-update-seq-off": Fault::SeqOff(1), at [rules::RECEIVE], breaks [rules::SYNC_UNACCEPTABLE];
    "filled-gap-acknowledged-piecemeal": Fault::AcksInBetween, at [rules::ALL_BEFORE_ACK], breaks [rules::ALL_BEFORE_ACK];
    // What a SHOULD asks for.
    "unread-text-lost-without-rst": Fault::Departs, at [rules::HALF_DUPLEX_RST], breaks [rules::HALF_DUPLEX_RST];
    "every-second-segment-not-acknowledged": Fault::Departs, at [rules::EVERY_SECOND], breaks [rules::EVERY_SECOND];
    "out-of-order-text-dropped": Fault::Departs, at [rules::QUEUE_OOO], with Policy::without_reassembly, breaks [rules::QUEUE_OOO];
    "out-of-order-text-acknowledged-late": Fault::Departs, at [rules::ACK_OOO_AT_ONCE], breaks [rules::ACK_OOO_AT_ONCE];
    "filled-gap-acknowledged-late": Fault::Departs, at [rules::ACK_GAP_FILL_AT_ONCE], breaks [rules::ACK_GAP_FILL_AT_ONCE];
}

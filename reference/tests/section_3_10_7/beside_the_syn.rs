//! Text beside the peer's SYN: queued until the connection is established, or in a segment whose SYN comes too late.

use tcp_reference::relation::{Habit, Habits};
use tcp_reference::state::State;

use crate::notation::{Setup, case, check};

/// "any other control or text should be queued for processing later ... <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>"; "queue them for processing after
/// the ESTABLISHED state has been reached": then "advance RCV.NXT over the data accepted ... Send an acknowledgment".
#[test]
fn what_was_queued_is_processed_once_established() {
    let queued = |setup: Setup| Setup { queued: 10, ..setup };
    for setup in [queued(Setup::new(State::SynReceived)), queued(Setup::new(State::SynReceived).passive())] {
        check(
            &setup,
            &[
                case(". 10 ack 1", &["ack~ -> ESTABLISHED rcv 10 una 1"], &[]),
                case(". 0 ack 1", &["ack~ -> ESTABLISHED rcv 10 una 1"], &[]),
                case(". 10(5) ack 1", &["ack~ -> ESTABLISHED rcv 15 una 1"], &[]),
                case(". 0(15) ack 1", &["ack~ -> ESTABLISHED rcv 15 una 1"], &[]),
                case("F. 10 ack 1", &["ack~ -> CLOSE-WAIT rcv 11 una 1 tells closing"], &[]),
                // Not before: "form a reset segment", "drop the segment and return".
                case(". 10 ack 0", &["R 0 held 0-10"], &[]),
                case("- 10", &["- held 0-10"], &[]),
            ],
        );
    }
}

/// "it is assumed that the segment is the idealized segment that begins at RCV.NXT ... by trimming off any portions that lie outside the window
/// (including SYN and FIN)"; RFC 5961: "if the SYN bit is set, irrespective of the sequence number, TCP endpoints MUST send a challenge ACK". RFC 793
/// resets "if the SYN is in the window", which this one is not: an ACK is what one outside it draws.
#[test]
fn a_syn_before_the_window_with_text_in_it() {
    for state in [State::Established, State::FinWait2] {
        let rows = [
            case("S. -1(10) ack 0", &["ack*", "ack~ rcv 10"], &[]),
            case("S. -5(10) ack 0", &["ack*", "ack~ rcv 6"], &[]),
            case("S -1(10)", &["ack*", "-"], &[]),
        ];
        check(&Setup::new(state), &rows);
        let rfc5961 = Setup { habits: Habits::default().with(Habit::ChallengesSyn, true), ..Setup::new(state) };
        check(&rfc5961, &[case("S. -1(10) ack 0", &["ack!"], &[]), case("S -1(10)", &["ack!"], &[])]);
        let rfc793 = Setup { habits: Habits::default().with(Habit::ChallengesSyn, false), ..Setup::new(state) };
        check(&rfc793, &rows);
    }
    // The SYN-ACK of a simultaneous open (figure 7) with text.
    check(
        &Setup::new(State::SynReceived),
        &[
            case("S. -1(10) ack 1", &["ack*", "ack~ -> ESTABLISHED rcv 10 una 1"], &[]),
            case("S. -1(10) ack 2", &["ack*", "R 2"], &["ack!"]),
        ],
    );
    // The peer's SYN with text again: the fourth step asks for the SYN bit and returns to LISTEN, and (NOTES, freedom 4) what is deployed; trimmed,
    // it lacks the ACK bit.
    check(&Setup::new(State::SynReceived).passive(), &[case("S -1(10)", &["- -> LISTEN", "-"], &["ack!", "syn-ack", "R. 10 -> LISTEN"])]);
}

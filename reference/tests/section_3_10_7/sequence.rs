//! Section 3.10.7.4, first step: the sequence number, at every edge of the window, in every state.

use tcp_reference::state::State;

use crate::notation::{Setup, case, check};

/// Every state of section 3.10.7.4 with a window of 100 octets and nothing in flight that an ACK of SND.UNA would change.
fn states() -> Vec<Setup> {
    let mut all: Vec<Setup> = SYNCHRONIZED.into_iter().map(Setup::new).collect();
    all.push(Setup::new(State::SynReceived));
    all.push(Setup::new(State::SynReceived).passive());
    all
}

const SYNCHRONIZED: [State; 7] =
    [State::Established, State::FinWait1, State::FinWait2, State::CloseWait, State::Closing, State::LastAck, State::TimeWait];

/// "If an incoming segment is not acceptable, an acknowledgment should be sent in reply (unless the RST bit is set, if so drop the segment
/// and return) ... After sending the acknowledgment, drop the unacceptable segment and return."
#[test]
fn outside_the_window() {
    for setup in states() {
        check(
            &setup,
            &[
                // "0 | >0 | RCV.NXT =< SEG.SEQ < RCV.NXT+RCV.WND". At the edges a pure ACK may be taken (appendix A.2), in silence.
                case(". -1 ack 0", &["ack*"], &["-", "may-ack"]),
                case(". 101 ack 0", &["ack*"], &[]),
                case(". -1000 ack 0", &["ack*"], &["-", "may-ack"]),
                case(". 60000 ack 0", &["ack*"], &[]),
                // ">0 | >0": neither the first number nor the last is in the window.
                case(". -1(1) ack 0", &["ack*"], &[]),
                case(". -10(10) ack 0", &["ack*"], &[]),
                case(". 100(1) ack 0", &["ack*"], &[]),
                case(". 101(10) ack 0", &["ack*"], &[]),
                case("- -10(10)", &["ack*"], &[]),
                case("- 100", &["ack*"], &["-"]),
                // "unless the RST bit is set, if so drop the segment and return"
                case("R -1", &["-"], &[]),
                case("R 100", &["-"], &[]),
                case("R 101", &["-"], &[]),
                case("R. -1 ack 0", &["-"], &[]),
                case("R -10(10)", &["-"], &[]),
                case("R -2000000000", &["-"], &[]),
                case("R 2000000000", &["-"], &[]),
            ],
        );
    }
}

/// A pure ACK at the right edge "fails" the second row of table 6; many stacks take it (appendix A.2), and then its ACK is processed.
#[test]
fn a_pure_ack_at_the_right_edge() {
    for setup in states() {
        let relaxed: &[&str] = match setup.state {
            // SND.UNA is not an acceptable ACK here: taken, it draws "<SEQ=SEG.ACK><CTL=RST>".
            State::SynReceived => &["R 0"],
            State::TimeWait => &["-", "may-ack", "ack! 2MSL", "may-ack 2MSL?", "- 2MSL"],
            _ => &["-"],
        };
        check(&setup, &[case(". 100 ack 0", &["ack*"], relaxed)]);
    }
}

/// "0 | 0 | SEG.SEQ = RCV.NXT" and ">0 | 0 | not acceptable".
#[test]
fn a_closed_window() {
    for state in SYNCHRONIZED {
        let time_wait = state == State::TimeWait;
        let also: &[&str] = if time_wait { &["-", "may-ack", "ack*", "ack! 2MSL", "- 2MSL", "may-ack 2MSL?"] } else { &[] };
        let quiet: &[&str] = if time_wait { &["-|may-ack|may-ack 2MSL?"] } else { &["-"] };
        // LAST-ACK: in `disputed`.
        let (quiet, also) = if state == State::LastAck { (&[][..], &["-", "may-ack"][..]) } else { (quiet, also) };
        check(
            &Setup::new(state).window(0),
            &[
                case(". 0 ack 0", quiet, also),
                case(". 1 ack 0", &["ack*"], &[]),
                case(". -1 ack 0", &["ack*"], &["-", "may-ack"]),
                case(". 0(1) ack 0", &["ack*"], &[]),
                case(". 0(100) ack 0", &["ack*"], &[]),
                case(". -1(1) ack 0", &["ack*"], &[]),
                case("F. 0 ack 0", &["ack*"], &[]),
                // MUST-66: "process the RST and URG fields of all incoming segments, even when the receive window is zero"
                case("R 1", &["-"], &[]),
                case("R -1", &["-"], &[]),
            ],
        );
    }
}

/// "special allowance should be made to accept valid ACKs, URGs, and RSTs": the text is refused, its ACK should be taken.
#[test]
fn the_ack_on_refused_text_at_a_closed_window() {
    check(
        &Setup::new(State::Established).window(0),
        &[
            case(". 0 ack 5", &["- una 5"], &[]),
            case(". 0(1) ack 5", &["ack* una 5"], &["ack* departs"]),
            case("R 0", &["- -> CLOSED tells reset"], &[]),
            case("R. 0 ack 5", &["- -> CLOSED tells reset"], &[]),
            case("R 0(10)", &["- -> CLOSED tells reset"], &[]),
        ],
    );
    // The RST is valid whether the buffer has room behind the closed window or not.
    check(
        &Setup { room: 10, ..Setup::new(State::Established).window(0) },
        &[case("R 0", &["- -> CLOSED tells reset"], &[]), case("R 0(10)", &["- -> CLOSED tells reset"], &[])],
    );
    // The allowance is made in every state.
    for setup in [Setup::new(State::SynReceived), Setup::new(State::SynReceived).passive()] {
        check(&setup.window(0), &[case(". 0(1) ack 1", &["ack* -> ESTABLISHED una 1"], &["ack* departs"])]);
    }
}

/// "After sending the acknowledgment, drop the unacceptable segment and return": what appendix A.2 tells of (simultaneous open and close,
/// self-connects, window probes) are segments with old numbers.
#[test]
fn the_ack_on_a_segment_from_beyond_the_window() {
    for state in [State::Established, State::FinWait1, State::CloseWait, State::Closing, State::LastAck] {
        check(
            &Setup::new(state),
            &[
                case(". 101 ack 5", &["ack*"], &[]),
                case(". 60000 ack 20", &["ack*"], &[]),
                case(". 101(10) ack 20", &["ack*"], &[]),
                case(". 101 ack 0 win 500", &["ack*"], &[]),
            ],
        );
    }
    check(
        &Setup::new(State::SynReceived),
        &[case(". 101 ack 1", &["ack*"], &[]), case(". -1 ack 1", &["ack*"], &["ack* -> ESTABLISHED una 1"])],
    );
}

/// "There are four cases for the acceptability test": the inner edges, and text that straddles them ("only the new parts are processed").
#[test]
fn text_at_the_edges_where_text_is_taken() {
    for state in [State::Established, State::FinWait1, State::FinWait2] {
        check(
            &Setup::new(state),
            &[
                case(". 0(1) ack 0", &["ack~ rcv 1"], &[]),
                case(". 0(100) ack 0", &["ack~ rcv 100"], &[]),
                case(". -1(2) ack 0", &["ack~ rcv 1"], &[]),
                case(". -99(100) ack 0", &["ack~ rcv 1"], &[]),
                case(". -10(110) ack 0", &["ack~ rcv 100|ack! rcv 100"], &[]),
                // "trimming off any portions that lie outside the window": what does not fit is dropped, or the whole where the buffer
                // takes only whole segments (DESIGN, seen at Linux).
                case(
                    ". 0(101) ack 0",
                    &["ack~ rcv 100|ack! rcv 100"],
                    &["ack~ rcv 100", "ack! rcv 100", "ack*", "may-ack", "ack* departs"],
                ),
                // The first octet lies before the window and the last behind it: both tests of the fourth row fail.
                case(". -1(102) ack 0", &["ack*"], &["ack~ rcv 100", "ack! rcv 100"]),
                case(". -5(200) ack 0", &["ack*"], &["ack~ rcv 100", "ack! rcv 100"]),
                // "Segments with higher beginning sequence numbers SHOULD be held for later processing (SHLD-31)"; "MAY send an ACK
                // segment acknowledging RCV.NXT" (MAY-13; RFC 5681 section 4.2 SHOULD).
                case(". 1(1) ack 0", &["may-ack held 1-2|ack~ held 1-2"], &["may-ack departs", "ack~ departs", "- departs"]),
                case(". 99(1) ack 0", &["may-ack held 99-100|ack~ held 99-100"], &["may-ack departs", "ack~ departs", "- departs"]),
                case(
                    ". 95(10) ack 0",
                    &["may-ack held 95-100|ack~ held 95-100"],
                    &["may-ack departs", "ack~ departs", "- departs", "may-ack", "ack*", "ack~"],
                ),
            ],
        );
    }
}

/// "Note that ... trimming off any portions that lie outside the window (including SYN and FIN)".
#[test]
fn a_fin_at_the_edges() {
    check(
        &Setup::new(State::Established),
        &[
            case("F. 100 ack 0", &["ack*"], &[]),
            case("F. 0(99) ack 0", &["ack~ -> CLOSE-WAIT rcv 100 tells closing|ack! -> CLOSE-WAIT rcv 100 tells closing"], &[]),
            case("F. 0(100) ack 0", &["ack~ rcv 100|ack! rcv 100"], &["ack~ rcv 100", "ack! rcv 100", "ack*", "ack* departs"]),
            case("F. -1 ack 0", &["ack*"], &[]),
            case("F. -10(10) ack 0", &["ack~ -> CLOSE-WAIT rcv 1 tells closing"], &[]),
            case("F. -11(10) ack 0", &["ack*"], &[]),
        ],
    );
}

/// The edges for an RST (RFC 9293 second step, and 3.5.3: "A reset is valid if its sequence number is in the window").
#[test]
fn a_reset_at_the_edges() {
    let closed = "- -> CLOSED tells reset";
    check(
        &Setup::new(State::Established),
        &[
            case("R 0", &[closed], &[]),
            case("R 1", &["ack!", closed], &[]),
            case("R 99", &["ack!", closed], &[]),
            // SHLD-2: "SHOULD allow a received RST segment to include data"
            case("R 0(10)", &[closed], &[]),
            case("R. 0(10) ack 0", &[closed], &[]),
            // Only SEQ decides: "all reset (RST) segments are validated by checking their SEQ fields".
            case("R. 0 ack 999", &[closed], &[]),
            case("R. 0 ack -5000", &[closed], &[]),
            // The RST is looked at before SYN and FIN.
            case("SR 0", &[closed], &[]),
            case("FR. 0 ack 0", &[closed], &[]),
        ],
    );
}

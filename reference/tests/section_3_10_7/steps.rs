//! Section 3.10.7.4, steps two to eight, by state.

use tcp_reference::state::State;

use crate::notation::{Case, Setup, case, check};

const SYNCHRONIZED: [State; 7] =
    [State::Established, State::FinWait1, State::FinWait2, State::CloseWait, State::Closing, State::LastAck, State::TimeWait];

/// Second step.
#[test]
fn reset() {
    // "return this connection to LISTEN state and return.  The user need not be informed."
    let listen = "- -> LISTEN";
    check(&Setup::new(State::SynReceived).passive(), &[case("R 0", &[listen], &[]), case("R 50", &["ack!", listen], &[])]);
    // "the connection was refused; signal the user "connection refused" ... enter the CLOSED state and delete the TCB"
    let refused = "- -> CLOSED tells refused";
    check(&Setup::new(State::SynReceived), &[case("R 0", &[refused], &[]), case("R 50", &["ack!", refused], &[])]);
    // "Users should also receive an unsolicited general "connection reset" signal.  Enter the CLOSED state"
    let told = "- -> CLOSED tells reset";
    for state in [State::Established, State::FinWait1, State::FinWait2, State::CloseWait] {
        check(&Setup::new(state), &[case("R 0", &[told], &[]), case("R. 0 ack 0", &[told], &[]), case("R 50", &["ack!", told], &[])]);
    }
    // "If the RST bit is set, then enter the CLOSED state, delete the TCB, and return."
    let closed = "- -> CLOSED";
    for state in [State::Closing, State::LastAck] {
        check(&Setup::new(state), &[case("R 0", &[closed], &[]), case("R. 0 ack 0", &[closed], &[]), case("R 50", &["ack!", closed], &[])]);
    }
    // RFC 1337: "Ignore RST segments in TIME-WAIT state."
    check(&Setup::new(State::TimeWait), &[case("R 0", &[closed], &["-"]), case("R 50", &["ack!", closed], &["-"])]);
}

/// Fourth step.
#[test]
fn syn() {
    // "If the connection was initiated with a passive OPEN, then return this connection to the LISTEN state and return."
    // A second SYN in SYN-RECEIVED: back to LISTEN, RST, challenge ACK, or the SYN-ACK again are all deployed (NOTES, freedom 4).
    let passive = ["ack!", "ack", "syn-ack", "R. 1 -> LISTEN", "R. 1", "R 0 -> LISTEN", "R 0", "R 1", "R 1 -> LISTEN"];
    check(
        &Setup::new(State::SynReceived).passive(),
        &[
            case("S 0", &["- -> LISTEN"], &passive),
            case("S. 0 ack 1", &["- -> LISTEN"], &passive),
            // The SYN again, as after a lost SYN-ACK: not in the window, so "an acknowledgment should be sent in reply".
            case("S -1", &["ack*"], &["syn-ack"]),
            case("S 100", &["ack*"], &["syn-ack"]),
        ],
    );
    // "Otherwise, handle per the directions for synchronized states below": RFC 5961, or "If the SYN is in the window it is an error: send
    // a reset ... enter the CLOSED state". RFC 793's reset is that of section 3.5.2; the text gives none for these states, and ABORT's
    // (3.10.5), <SEQ=SND.NXT><CTL=RST>, is a freedom.
    check(
        &Setup::new(State::SynReceived),
        &[
            case("S 0", &["ack!", "R. 1 -> CLOSED tells reset|R. 1 -> CLOSED tells refused"], &["syn-ack", "R 1 -> CLOSED tells reset"]),
            case("S. 0 ack 1", &["ack!", "R 1 -> CLOSED tells reset|R 1 -> CLOSED tells refused"], &["syn-ack"]),
            case("S -1", &["ack*"], &["syn-ack"]),
            // The SYN-ACK of a simultaneous open has SEQ = IRS: the first step answers it with an ACK, figure 7 completes the handshake.
            case("S. -1 ack 1", &["ack*"], &["may-ack -> ESTABLISHED una 1", "- -> ESTABLISHED una 1"]),
            case("S. -1 ack 2", &["ack*"], &["R 2"]),
        ],
    );
    for state in SYNCHRONIZED.into_iter().filter(|s| *s != State::TimeWait) {
        // Section 3.10.7.4 asks the "connection reset" signal of all these states.
        let abort = "R 20 -> CLOSED tells reset|R 0 -> CLOSED tells reset";
        check(
            &Setup::new(state),
            &[
                case("S 0", &["ack!", "R. 1 -> CLOSED tells reset"], &[abort]),
                case("S 50(10)", &["ack!", "R. 61 -> CLOSED tells reset"], &[abort]),
                case("S. 99 ack 0", &["ack!", "R 0 -> CLOSED tells reset"], &[abort]),
                case("SF 0", &["ack!", "R. 2 -> CLOSED tells reset"], &[abort]),
                // "If the SYN is not in the window, this step would not be reached and an ACK would have been sent in the first step"
                case("S -1", &["ack*"], &[]),
                case("S 100", &["ack*"], &[]),
                case("S. -100 ack 0", &["ack*"], &[]),
            ],
        );
    }
    // "it MAY accept a new SYN from the remote TCP endpoint to reopen the connection directly from TIME-WAIT state (MAY-2)"; RFC 6191
    // lets an unsuited SYN be dropped in silence.
    let time_wait = ["-", "- 2MSL", "R. 1 -> CLOSED", "ack! 2MSL", "R 0 -> CLOSED tells reset"];
    check(&Setup::new(State::TimeWait), &[case("S 0", &["ack!", "R. 1 -> CLOSED tells reset"], &time_wait)]);
    check(&Setup::new(State::TimeWait), &[case("S -1", &["ack*"], &["-"]), case("S 100", &["ack*"], &["-", "R. 101 -> CLOSED"])]);
    let served = Setup { listening: true, ..Setup::new(State::TimeWait) };
    let reopened = "syn-ack -> SYN-RECEIVED rcv 1 una 0 nxt 1";
    check(
        &served,
        &[case("S 0", &["ack!", reopened], &["-", "- -> LISTEN", "R. 1 -> LISTEN tells reset", "R 0 -> LISTEN tells reset", "ack! 2MSL"])],
    );
    // MAY-2 makes no condition of the number; RFC 6191: "Otherwise, silently drop the incoming SYN segment".
    check(&served, &[case("S -50", &["ack*"], &["-", "syn-ack -> SYN-RECEIVED rcv -49 una 0 nxt 1 departs"])]);
}

/// Fifth step: "if the ACK bit is off, drop the segment and return".
#[test]
fn without_ack() {
    let mut all: Vec<Setup> = SYNCHRONIZED.into_iter().map(Setup::new).collect();
    all.extend([Setup::new(State::SynReceived), Setup::new(State::SynReceived).passive()]);
    for setup in all {
        check(
            &setup,
            &[
                case("- 0", &["-"], &[]),
                case("- 0(10)", &["-"], &[]),
                case("- 10(10)", &["-"], &[]),
                case("F 0", &["-"], &[]),
                case("F 0(10)", &["-"], &[]),
                case("U 0(10) urg 5", &["-"], &[]),
            ],
        );
    }
}

/// Fifth step, SYN-RECEIVED.
#[test]
fn ack_in_syn_received() {
    // Whether the connection outlives the reset that it sends: 3.5.2 "The connection remains in the same state".
    let table = |reset_also: &'static [&'static str]| -> Vec<Case<'static>> {
        vec![
            // "If SND.UNA < SEG.ACK =< SND.NXT, then enter ESTABLISHED state and continue processing"
            case(". 0 ack 1", &["- -> ESTABLISHED una 1"], &[]),
            case(". 0 ack 1 win 500", &["- -> ESTABLISHED una 1 wnd 500"], &[]),
            case(". 0(10) ack 1", &["ack~ -> ESTABLISHED rcv 10 una 1"], &[]),
            // "SYN-RECEIVED STATE, ESTABLISHED STATE: Enter the CLOSE-WAIT state."
            case("F. 0 ack 1", &["ack~ -> CLOSE-WAIT rcv 1 una 1 tells closing"], &[]),
            case("F. 0(10) ack 1", &["ack~ -> CLOSE-WAIT rcv 11 una 1 tells closing"], &[]),
            // "If the segment acknowledgment is not acceptable, form a reset segment <SEQ=SEG.ACK><CTL=RST> and send it."
            case(". 0 ack 0", &["R 0"], reset_also),
            case(". 0(10) ack 0", &["R 0"], reset_also),
            case("F. 0 ack 0", &["R 0"], reset_also),
            // RFC 5961 section 5 answers the same with an ACK (NOTES: which comes first is unclear).
            case(". 0 ack 2", &["R 2"], &["ack!"]),
            case(". 0(10) ack 2", &["R 2"], &["ack!"]),
            case(". 0 ack -1001", &["R -1001"], &["ack!"]),
            // RFC 5961's range ends at SND.UNA-MAX.SND.WND, and that itself is in it.
            case(". 0 ack -1000", &["R -1000"], &[]),
            // Out of order: held (SHLD-31). The ACK is good whatever the text's place.
            case(
                ". 10(10) ack 1",
                &["may-ack -> ESTABLISHED una 1 held 10-20|ack~ -> ESTABLISHED una 1 held 10-20"],
                &["may-ack -> ESTABLISHED una 1 departs", "ack~ -> ESTABLISHED una 1 departs", "may-ack held 10-20"],
            ),
        ]
    };
    check(&Setup::new(State::SynReceived), &table(&[]));
    check(&Setup::new(State::SynReceived).passive(), &table(&[]));
}

/// Fifth step, ESTABLISHED: CLOSE-WAIT does "the same processing", FIN-WAIT-1 and CLOSING do it "in addition".
#[test]
fn ack_as_in_established() {
    for state in [State::Established, State::FinWait1, State::CloseWait, State::Closing] {
        let rows = vec![
            // "If SND.UNA < SEG.ACK =< SND.NXT, then set SND.UNA <- SEG.ACK."
            case(". 0 ack 1", &["- una 1"], &[]),
            case(". 0 ack 19", &["- una 19"], &[]),
            // "If the ACK is a duplicate (SEG.ACK =< SND.UNA), it can be ignored."
            case(". 0 ack 0", &["-"], &[]),
            case(". 0 ack -5", &["-"], &[]),
            case(". 0 ack -1000", &["-"], &[]),
            // "((SND.UNA - MAX.SND.WND) =< SEG.ACK =< SND.NXT) ... MUST be discarded and an ACK sent back" (MAY-12); see `disputed`.
            case(". 0 ack -1001", &["-"], &["ack!", "- departs"]),
            // "If the ACK acks something not yet sent (SEG.ACK > SND.NXT), then send an ACK, drop the segment, and return."
            case(". 0 ack 21", &["ack!"], &[]),
            case(". 0(10) ack 21", &["ack!"], &[]),
            case("F. 0 ack 21", &["ack!"], &[]),
            case(". 0 ack 2000000000", &["ack!"], &[]),
            // "If SND.UNA =< SEG.ACK =< SND.NXT, the send window should be updated. If (SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and
            // SND.WL2 =< SEG.ACK)), set SND.WND <- SEG.WND"
            case(". 0 ack 0 win 500", &["- wnd 500"], &[]),
            case(". 0 ack 0 win 0", &["- wnd 0"], &[]),
            case(". 0 ack 5 win 500", &["- una 5 wnd 500"], &[]),
            case(". 10 ack 0 win 500", &["- wnd 500"], &["-"]),
            case(". 0 ack -5 win 500", &["-"], &[]),
            case(". 0 ack 21 win 500", &["ack!"], &[]),
        ];
        check(&Setup::new(state), &rows);
        // "The check here prevents using old segments to update the window."
        check(
            &Setup { wl1: 10, ..Setup::new(state) },
            &[
                case(". 0 ack 0 win 500", &["-"], &[]),
                case(". 9 ack 0 win 500", &["-"], &[]),
                case(". 10 ack 0 win 500", &["- wnd 500"], &["-"]),
                case(". 11 ack 0 win 500", &["- wnd 500"], &["-"]),
            ],
        );
    }
}

/// Fifth step, where the ACK covers the stack's FIN (20) or all but it (19).
#[test]
fn ack_of_the_fin() {
    // "if the FIN segment is now acknowledged, then enter FIN-WAIT-2 and continue processing in that state"
    check(&Setup::new(State::FinWait1), &[case(". 0 ack 20", &["- -> FIN-WAIT-2 una 20"], &[]), case(". 0 ack 19", &["- una 19"], &[])]);
    check(&Setup::new(State::FinWait1), &[case(". 0(10) ack 20", &["ack~ -> FIN-WAIT-2 rcv 10 una 20"], &[])]);
    check(&Setup::new(State::Established), &[case(". 0 ack 20", &["- una 20"], &[])]);
    check(&Setup::new(State::CloseWait), &[case(". 0 ack 20", &["- una 20"], &[])]);
    // "if the ACK acknowledges our FIN, then enter the TIME-WAIT state; otherwise, ignore the segment"
    check(&Setup::new(State::Closing), &[case(". 0 ack 20", &["- -> TIME-WAIT una 20 2MSL"], &[])]);
    // "If our FIN is now acknowledged, delete the TCB, enter the CLOSED state, and return."
    check(
        &Setup::new(State::LastAck),
        &[
            case(". 0 ack 20", &["- -> CLOSED"], &[]),
            case("F. 0 ack 20", &["- -> CLOSED"], &[]),
            case(". 0(10) ack 20", &["- -> CLOSED"], &[]),
            case(". 0 ack 21", &["ack!|-"], &["-"]),
        ],
    );
    // FIN-WAIT-2: "In addition to the processing for the ESTABLISHED state"
    check(
        &Setup::new(State::FinWait2),
        &[
            case(". 0 ack 0", &["-"], &[]),
            case(". 0 ack -5", &["-"], &[]),
            case(". 0 ack 1", &["ack!"], &[]),
            case(". 0(10) ack 1", &["ack!"], &[]),
            case(". 0 ack 0 win 500", &["-"], &[]),
        ],
    );
    // "The only thing that can arrive in this state is a retransmission of the remote FIN.  Acknowledge it, and restart the 2 MSL timeout."
    // A retransmitted FIN fails the first step (NOTES), so the restart can be read either way; a pure ACK is not spoken of.
    check(
        &Setup::new(State::TimeWait),
        &[
            case("F. -1 ack 0", &["ack* 2MSL?|ack* 2MSL|ack*"], &["ack*", "ack* 2MSL"]),
            case("F. -10(9) ack 0", &["ack* 2MSL?|ack* 2MSL|ack*"], &["ack*", "ack* 2MSL"]),
            case(". 0 ack 0", &["-|may-ack|may-ack 2MSL?"], &["ack!", "ack", "ack! 2MSL", "- 2MSL"]),
            // The fifth step has no test of the ACK field for TIME-WAIT; section 3.5.2 names the state.
            case(". 0 ack 1", &["ack!|may-ack"], &["-"]),
        ],
    );
}

/// Seventh step, where text is taken; the edges stand in `sequence`.
#[test]
fn text() {
    for state in [State::Established, State::FinWait1, State::FinWait2] {
        check(
            &Setup::new(state),
            &[
                // "it advances RCV.NXT over the data accepted ... Send an acknowledgment"
                case(". 0(10) ack 0", &["ack~ rcv 10"], &[]),
                case("P. 0(10) ack 0", &["ack~ rcv 10"], &[]),
                case("U. 0(10) ack 0 urg 5", &["ack~ rcv 10"], &[]),
                case(". 0(10) ack -5", &["ack~ rcv 10"], &[]),
                case(". 0(10) ack -1001", &["ack~ rcv 10"], &["ack!", "- departs"]),
                // "If a segment's contents straddle the boundary between old and new, only the new parts are processed."
                case(". -5(10) ack 0", &["ack~ rcv 5"], &[]),
                // The urgent pointer alone is no text.
                case("U. 0 ack 0 urg 5", &["-"], &[]),
            ],
        );
    }
    check(&Setup::new(State::Established), &[case(". 0(10) ack 5", &["ack~ rcv 10 una 5"], &[])]);
    // Out of order: the text waits, its ACK counts (a reading that makes the ACK wait with it is possible too: "only processing further if
    // the segment then begins at RCV.NXT").
    check(
        &Setup::new(State::Established),
        &[case(
            ". 10(10) ack 5",
            &["may-ack una 5 held 10-20|ack~ una 5 held 10-20"],
            &["may-ack una 5 departs", "ack~ una 5 departs", "may-ack held 10-20"],
        )],
    );
}

/// Seventh step: "This should not occur since a FIN has been received from the remote side.  Ignore the segment text."
#[test]
fn text_after_the_peers_fin() {
    for state in [State::CloseWait, State::Closing, State::LastAck, State::TimeWait] {
        let answers = ["-", "may-ack", "ack!", "ack~", "ack", "ack! 2MSL", "- 2MSL", "may-ack 2MSL?"];
        let quiet: &[&str] = &["-|may-ack|may-ack 2MSL?"];
        check(
            &Setup::new(state),
            &[
                case(". 0(10) ack 0", quiet, &answers),
                case("U. 0(10) ack 0 urg 5", quiet, &answers),
                case(". -5(10) ack 0", quiet, &answers),
                case(". 50(10) ack 0", quiet, &answers),
            ],
        );
    }
    check(&Setup::new(State::CloseWait), &[case(". 0(10) ack 5", &["- una 5|may-ack una 5"], &["ack! una 5", "ack~ una 5"])]);
    check(&Setup::new(State::Closing), &[case(". 0(10) ack 20", &["- -> TIME-WAIT una 20 2MSL|may-ack -> TIME-WAIT una 20 2MSL"], &[])]);
}

/// Eighth step.
#[test]
fn fin() {
    // "signal the user "connection closing" ... advance RCV.NXT over the FIN, and send an acknowledgment for the FIN"
    check(
        &Setup::new(State::Established),
        &[
            case("F. 0 ack 0", &["ack~ -> CLOSE-WAIT rcv 1 tells closing"], &[]),
            case("F. 0(10) ack 0", &["ack~ -> CLOSE-WAIT rcv 11 tells closing"], &[]),
            case("F. 0 ack 5", &["ack~ -> CLOSE-WAIT rcv 1 una 5 tells closing"], &[]),
            case("F. -5(5) ack 0", &["ack~ -> CLOSE-WAIT rcv 1 tells closing"], &[]),
            case("F. 0 ack -5", &["ack~ -> CLOSE-WAIT rcv 1 tells closing"], &[]),
        ],
    );
    // "If our FIN has been ACKed (perhaps in this segment), then enter TIME-WAIT, start the time-wait timer ... otherwise, enter CLOSING"
    check(
        &Setup::new(State::FinWait1),
        &[
            case("F. 0 ack 0", &["ack~ -> CLOSING rcv 1 tells closing"], &[]),
            case("F. 0 ack 19", &["ack~ -> CLOSING rcv 1 una 19 tells closing"], &[]),
            case("F. 0 ack 20", &["ack~ -> TIME-WAIT rcv 1 una 20 tells closing 2MSL"], &[]),
            case("F. 0(10) ack 20", &["ack~ -> TIME-WAIT rcv 11 una 20 tells closing 2MSL"], &[]),
        ],
    );
    // "Enter the TIME-WAIT state.  Start the time-wait timer"
    check(
        &Setup::new(State::FinWait2),
        &[
            case("F. 0 ack 0", &["ack~ -> TIME-WAIT rcv 1 tells closing 2MSL"], &[]),
            case("F. 0(10) ack 0", &["ack~ -> TIME-WAIT rcv 11 tells closing 2MSL"], &[]),
        ],
    );
    // The peer's FIN again lies before the window: the first step acknowledges it and nothing moves; appendix A.2 lets its ACK count.
    check(&Setup::new(State::CloseWait), &[case("F. -1 ack 0", &["ack*"], &[])]);
    check(
        &Setup::new(State::Closing),
        &[case("F. -1 ack 0", &["ack*"], &[]), case("F. -1 ack 20", &["ack*"], &["ack* -> TIME-WAIT una 20 2MSL"])],
    );
    check(
        &Setup::new(State::LastAck),
        &[case("F. -1 ack 0", &["ack*"], &[]), case("F. -1 ack 20", &["ack*"], &["ack* -> CLOSED", "- -> CLOSED"])],
    );
    // "Remain in the CLOSE-WAIT state" and so on: another FIN beyond the first cannot be meant to be counted, whatever is answered.
    for state in [State::CloseWait, State::Closing, State::LastAck] {
        check(&Setup::new(state), &[case("F. 0 ack 0", &["-|may-ack|ack~|ack!|ack"], &["-", "may-ack", "ack~", "ack!", "ack"])]);
    }
    check(
        &Setup::new(State::TimeWait),
        &[case("F. 0 ack 0", &["ack! 2MSL|ack~ 2MSL|may-ack 2MSL?|ack* 2MSL?"], &["-", "may-ack", "ack!", "ack~", "ack"])],
    );
}

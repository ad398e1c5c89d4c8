//! Sections 3.10.7.1 to 3.10.7.3: CLOSED, LISTEN, SYN-SENT.

use tcp_reference::state::State;

use crate::notation::{Setup, case, check};

#[test]
fn closed() {
    check(
        &Setup::new(State::Closed),
        &[
            // "An incoming segment containing a RST is discarded."
            case("R 0", &["-"], &[]),
            case("R. 0 ack 5", &["-"], &[]),
            case("SR 0", &["-"], &[]),
            case("R 0(10)", &["-"], &[]),
            // "If the ACK bit is off, sequence number zero is used, <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>"
            case("S 0", &["R. 1"], &[]),
            case("S 0(10)", &["R. 11"], &[]),
            case("F 0", &["R. 1"], &[]),
            case("SF 0(3)", &["R. 5"], &[]),
            case("- 0", &["R. 0"], &[]),
            case("- 0(10)", &["R. 10"], &[]),
            case("U 0(10) urg 3", &["R. 10"], &[]),
            // "If the ACK bit is on, <SEQ=SEG.ACK><CTL=RST>"
            case(". 0 ack 5", &["R 5"], &[]),
            case(". 0(10) ack 5", &["R 5"], &[]),
            case("S. 0 ack 5", &["R 5"], &[]),
            case("F. 0 ack -1", &["R -1"], &[]),
        ],
    );
}

#[test]
fn listen() {
    check(
        &Setup::new(State::Listen),
        &[
            // "An incoming RST should be ignored.  Return."
            case("R 0", &["-"], &[]),
            case("R. 0 ack 5", &["-"], &[]),
            case("SR 0", &["-"], &[]),
            case("SR. 0 ack 5", &["-"], &[]),
            // "An acceptable reset segment should be formed for any arriving ACK-bearing segment. <SEQ=SEG.ACK><CTL=RST>"
            case(". 0 ack 5", &["R 5"], &[]),
            case("S. 0 ack 5", &["R 5"], &[]),
            case("F. 0 ack 5", &["R 5"], &[]),
            case(". 0(10) ack -5", &["R -5"], &[]),
            // "Set RCV.NXT to SEG.SEQ+1 ... <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK> ... SND.NXT is set to ISS+1 and SND.UNA to ISS."
            case("S 0", &["syn-ack -> SYN-RECEIVED rcv 1 una 0 nxt 1"], &[]),
            // ECN's request (RFC 3168 section 6.1.1) does not change the state machine.
            case("SEW 0", &["syn-ack -> SYN-RECEIVED rcv 1 una 0 nxt 1"], &[]),
            // "any other control or text should be queued for processing later": RCV.NXT stays at SEG.SEQ+1, queued or not; "it is legal
            // to send and receive application data on SYN segments" (3.10.7.3) lets the SYN-ACK cover it.
            case(
                "S 0(10)",
                &["syn-ack -> SYN-RECEIVED rcv 1 una 0 nxt 1 held 1-11"],
                &["syn-ack -> SYN-RECEIVED rcv 1 una 0 nxt 1", "syn-ack -> SYN-RECEIVED rcv 11 una 0 nxt 1"],
            ),
            case(
                "SF 0",
                &["syn-ack -> SYN-RECEIVED rcv 1 una 0 nxt 1 fin 1"],
                // The catalogue's 3.10.7.2/LISTEN/syn-fin: "many stacks drop it".
                &["syn-ack -> SYN-RECEIVED rcv 1 una 0 nxt 1", "syn-ack -> SYN-RECEIVED rcv 2 una 0 nxt 1", "-"],
            ),
            // "This should not be reached.  Drop the segment and return."
            case("- 0", &["-"], &[]),
            case("- 0(10)", &["-"], &[]),
            case("F 0", &["-"], &[]),
            case("U 0(10) urg 5", &["-"], &[]),
        ],
    );
}

#[test]
fn syn_sent() {
    check(
        &Setup::new(State::SynSent),
        &[
            // "If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset (unless the RST bit is set, if so drop the segment and return)"
            case(". 0 ack 0", &["R 0"], &[]),
            case(". 0 ack 2", &["R 2"], &[]),
            case(". 0 ack -100", &["R -100"], &[]),
            case("S. 0 ack 0", &["R 0"], &[]),
            case("S. 0 ack 2", &["R 2"], &[]),
            case("F. 0 ack 2", &["R 2"], &[]),
            case(". 0(10) ack 2", &["R 2"], &[]),
            case("R. 0 ack 0", &["-"], &[]),
            case("R. 0 ack 2", &["-"], &[]),
            case("SR. 0 ack 2", &["-"], &[]),
            // "If the ACK was acceptable, then signal to the user "error: connection reset", drop the segment, enter CLOSED state";
            // section 3.5.2's case and RFC 1122 call the same "refused". Erratum 8167 takes the check of SEQ away.
            case("R. 0 ack 1", &["- -> CLOSED tells reset|- -> CLOSED tells refused"], &[]),
            case("R. 77 ack 1", &["- -> CLOSED tells reset|- -> CLOSED tells refused"], &[]),
            case("SR. 0 ack 1", &["- -> CLOSED tells reset|- -> CLOSED tells refused"], &[]),
            // "Otherwise (no ACK), drop the segment and return."
            case("R 0", &["-"], &[]),
            case("SR 0", &["-"], &[]),
            // "change the connection state to ESTABLISHED, form an ACK segment <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK> and send it." That it may
            // wait for data to ride on is the freedom of ACK delay and piggybacking.
            case("S. 0 ack 1", &["ack! -> ESTABLISHED rcv 1 una 1|ack~ -> ESTABLISHED rcv 1 una 1"], &[]),
            // "Some TCP implementations suppress sending this segment when the received segment contains data"; text on a SYN may be
            // left unacknowledged, to come again.
            case(
                "S. 0(10) ack 1",
                &["ack~ -> ESTABLISHED rcv 11 una 1|ack! -> ESTABLISHED rcv 11 una 1"],
                &["ack! -> ESTABLISHED rcv 1 una 1", "ack~ -> ESTABLISHED rcv 1 una 1"],
            ),
            // "If there are other controls or text in the segment, then continue processing at the sixth step": the FIN too.
            case(
                "SF. 0 ack 1",
                &["ack! -> CLOSE-WAIT rcv 2 una 1 tells closing|ack~ -> CLOSE-WAIT rcv 2 una 1 tells closing"],
                &["ack! -> ESTABLISHED rcv 1 una 1", "ack~ -> ESTABLISHED rcv 1 una 1"],
            ),
            case(
                "SF. 0(10) ack 1",
                &["ack! -> CLOSE-WAIT rcv 12 una 1 tells closing|ack~ -> CLOSE-WAIT rcv 12 una 1 tells closing"],
                &["ack! -> ESTABLISHED rcv 1 una 1", "ack~ -> ESTABLISHED rcv 1 una 1"],
            ),
            // "Otherwise, enter SYN-RECEIVED, form a SYN,ACK segment <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK> and send it."
            case("S 0", &["syn-ack -> SYN-RECEIVED rcv 1"], &[]),
            // "If there are other controls or text in the segment, queue them for processing after the ESTABLISHED state"
            case(
                "S 0(10)",
                &["syn-ack -> SYN-RECEIVED rcv 1 held 1-11"],
                &["syn-ack -> SYN-RECEIVED rcv 1", "syn-ack -> SYN-RECEIVED rcv 11"],
            ),
            case("SF 0", &["syn-ack -> SYN-RECEIVED rcv 1 fin 1"], &["syn-ack -> SYN-RECEIVED rcv 1", "-"]),
            // "if neither of the SYN or RST bits is set, then drop the segment and return."
            case(". 0 ack 1", &["-"], &[]),
            case(". 0(5) ack 1", &["-"], &[]),
            case("F. 0 ack 1", &["-"], &[]),
            case("- 0", &["-"], &[]),
            case("- 0(5)", &["-"], &[]),
            case("F 0", &["-"], &[]),
        ],
    );
}

/// "this is not appropriate when the stack is capable of sending data on the SYN because the TCP peer may not accept and acknowledge all of
/// the data on the SYN."
#[test]
fn syn_sent_with_ten_octets_on_the_syn() {
    check(
        &Setup { flight: 11, ..Setup::new(State::SynSent) },
        &[
            case("S. 0 ack 0", &["R 0"], &[]),
            case("S. 0 ack 1", &["ack! -> ESTABLISHED rcv 1 una 1|ack~ -> ESTABLISHED rcv 1 una 1"], &[]),
            case("S. 0 ack 5", &["ack! -> ESTABLISHED rcv 1 una 5|ack~ -> ESTABLISHED rcv 1 una 5"], &[]),
            case("S. 0 ack 11", &["ack! -> ESTABLISHED rcv 1 una 11|ack~ -> ESTABLISHED rcv 1 una 11"], &[]),
            case("S. 0 ack 12", &["R 12"], &[]),
            case("R. 0 ack 5", &["- -> CLOSED tells reset|- -> CLOSED tells refused"], &[]),
            case("S 0", &["syn-ack -> SYN-RECEIVED rcv 1"], &[]),
        ],
    );
}

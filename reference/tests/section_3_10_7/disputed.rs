//! Rows where the relation first read the text otherwise than this table; it was mended for each.

use tcp_reference::relation::{Habit, Habits};
use tcp_reference::state::State;

use crate::notation::{Setup, case, check};

/// "1) If the RST bit is set and the sequence number is outside the current receive window, silently drop the segment"; 3.5.3: "A reset is
/// valid if its sequence number is in the window." The text of this one reaches into the window, its number does not.
#[test]
fn a_reset_that_begins_before_the_window() {
    check(&Setup::new(State::Established), &[case("R -5(10)", &["-"], &["- -> CLOSED tells reset", "ack!"])]);
}

/// "Segments with higher beginning sequence numbers SHOULD be held for later processing (SHLD-31)": the FIN with them.
#[test]
fn a_fin_out_of_order() {
    let dropped = ["may-ack departs", "ack~ departs", "- departs", "may-ack held 10-15 departs"];
    check(
        &Setup::new(State::Established),
        &[
            case("F. 99 ack 0", &["may-ack fin 99|ack~ fin 99"], &dropped),
            case("F. 10(5) ack 0", &["may-ack held 10-15 fin 15|ack~ held 10-15 fin 15"], &dropped),
        ],
    );
}

/// "The only thing that can arrive in this state is an acknowledgment of our FIN.  If our FIN is now acknowledged, delete the TCB": nothing
/// asks for a reply to an ACK that is in the window; 3.5.2, "any unacceptable segment (out-of-window sequence number or an unacceptable
/// acknowledgment number) must be responded to", can be read to. Both are permitted.
#[test]
fn a_pure_ack_in_last_ack() {
    check(
        &Setup::new(State::LastAck),
        &[case(". 0 ack 19", &["- una 19|-|may-ack una 19"], &["-"]), case(". 0 ack 0", &["-|may-ack"], &[])],
    );
    check(&Setup::new(State::LastAck).window(0), &[case(". 0 ack 0", &["-|may-ack"], &[])]);
}

/// "All incoming segments whose ACK value doesn't satisfy the above condition MUST be discarded and an ACK sent back."
#[test]
fn an_ack_below_the_range_is_not_dropped_in_silence() {
    let checks = Setup { habits: Habits::default().with(Habit::ChecksAckRange, true), ..Setup::new(State::Established) };
    check(&checks, &[case(". 0 ack -65536", &["ack!"], &[]), case(". 0(10) ack -65536", &["ack!"], &[])]);
}

/// "SND.WND is an offset from SND.UNA", and only a newer segment sets it.
#[test]
fn the_window_moves_along_with_an_older_ack() {
    check(&Setup { wl1: 10, ..Setup::new(State::Established) }, &[case(". 0 ack 5 win 500", &["- una 5"], &[])]);
    check(&Setup::new(State::CloseWait), &[case("F. -1 ack 5", &["ack*"], &["ack* una 5"])]);
}

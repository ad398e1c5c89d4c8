//! What is left of the freedom once a stack has shown its habit: RFC 5961's ways and RFC 793's do not mix in one stack.

use tcp_reference::relation::{Habit, Habits};
use tcp_reference::state::State;

use crate::notation::{Setup, case, check};

fn known(habit: Habit, value: bool) -> Setup {
    Setup { habits: Habits::default().with(habit, value), ..Setup::new(State::Established) }
}

#[test]
fn resets() {
    // "TCP endpoints MUST send an acknowledgment (challenge ACK)"
    check(&known(Habit::ChallengesRst, true), &[case("R 50", &["ack!"], &[]), case("R 0", &["- -> CLOSED tells reset"], &[])]);
    check(
        &known(Habit::ChallengesRst, false),
        &[case("R 50", &["- -> CLOSED tells reset"], &[]), case("R 0", &["- -> CLOSED tells reset"], &[]), case("R 100", &["-"], &[])],
    );
}

#[test]
fn syns() {
    check(&known(Habit::ChallengesSyn, true), &[case("S 50", &["ack!"], &[]), case("S -50", &["ack*"], &[])]);
    check(
        &known(Habit::ChallengesSyn, false),
        &[case("S 50", &["R. 51 -> CLOSED tells reset"], &["R 20 -> CLOSED tells reset"]), case("S -50", &["ack*"], &[])],
    );
}

#[test]
fn the_range_of_the_ack() {
    check(
        &known(Habit::ChecksAckRange, true),
        &[
            case(". 0 ack -65536", &["ack!"], &["- departs"]),
            case(". 0(10) ack -65536", &["ack!"], &["- departs"]),
            // "Implementations can also chose to hard code the MAX.SND.WND value to the maximum permissible window size, i.e., 65535".
            case(". 0(10) ack -1001", &["ack!", "ack~ rcv 10"], &[]),
            case(". 0(10) ack -1000", &["ack~ rcv 10"], &[]),
        ],
    );
    check(&known(Habit::ChecksAckRange, false), &[case(". 0 ack -1001", &["-"], &[]), case(". 0(10) ack -1001", &["ack~ rcv 10"], &[])]);
}

#[test]
fn out_of_order_text() {
    check(&known(Habit::HoldsOutOfOrder, true), &[case(". 10(10) ack 0", &["may-ack held 10-20|ack~ held 10-20"], &[])]);
    check(&known(Habit::HoldsOutOfOrder, false), &[case(". 10(10) ack 0", &["may-ack departs|ack~ departs"], &[])]);
}

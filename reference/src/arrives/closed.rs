//! RFC 9293 section 3.10.7.1: SEGMENT ARRIVES in CLOSED.

use crate::relation::{Answer, Outcome, ResetForm};
use crate::rules;
use crate::segment::Segment;
use crate::tcb::Conn;

pub(crate) fn arrive(segment: &Segment, out: &mut Vec<Outcome>) {
    let outcome = if segment.is_rst() {
        Outcome::new(rules::CLOSED_RST, Conn::Absent, Answer::Silence)
    } else {
        let rule = if segment.is_ack() { rules::CLOSED_ACK } else { rules::CLOSED_NO_ACK };
        Outcome::new(rule, Conn::Absent, Answer::Reset(ResetForm::answering(segment)))
    };
    out.push(outcome);
}

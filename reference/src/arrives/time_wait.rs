//! A SYN in TIME-WAIT: RFC 9293 MAY-2 and SHLD-4, that is RFC 6191 section 2.

use crate::arrives::listen;
use crate::catalogue::RuleId;
use crate::relation::{Answer, Env, Outcome, newer};
use crate::rules;
use crate::segment::Segment;
use crate::state::State;
use crate::tcb::{Conn, Tcb};

/// What RFC 6191 says of the connection request, with the row that does.
enum Verdict {
    Honour(RuleId),
    /// It depends on what does not show: whether the stack would take up timestamps, or which TSval it has seen last. With whether it may
    /// be dropped.
    Either(RuleId, bool),
    Drop(RuleId),
}

/// Adds to the ways of refusing the SYN in `out[from..]` those of honouring it and of dropping it.
pub(crate) fn syn(tcb: &Tcb, segment: &Segment, env: &Env, from: usize, out: &mut Vec<Outcome>) {
    if segment.is_ack() {
        // Not a connection request.
        return;
    }
    // "The last sequence number seen" is that of the FIN.
    let higher = segment.seq.ge(tcb.rcv_nxt);
    let dropped = |rule| Outcome::new(rule, Conn::Open(tcb.clone()), Answer::Silence);
    let mut honoured = Vec::new();
    if env.listening {
        listen::arrive(segment, env, &mut honoured);
    }
    for next in honoured.iter_mut().filter_map(|o| o.next.tcb_mut()) {
        next.reopened = Some(Box::new(tcb.clone()));
    }
    let under = |rule| honoured.iter().cloned().map(move |o| Outcome { rule, ..o }.by(rules::REOPENED));
    match verdict(segment, higher, env) {
        Verdict::Honour(rule) if env.listening => {
            for refused in &mut out[from..] {
                refused.departs = refused.departs.or(Some(rule));
            }
            out.splice(from..from, under(rule));
        }
        Verdict::Honour(_) => {}
        Verdict::Either(rule, droppable) => {
            out.splice(from..from, under(rule));
            if droppable {
                out.push(dropped(rules::SYN.at(State::TimeWait)).by(rules::TIME_WAIT_SYN_DROPPED));
            }
        }
        Verdict::Drop(rule) => {
            out.push(dropped(rule).by(rule));
            // MAY-2 itself makes no condition of the peer's number.
            out.extend(under(rule).map(|o| o.departing(rule)));
        }
    }
}

fn verdict(segment: &Segment, higher: bool, env: &Env) -> Verdict {
    match (env.seen, segment.timestamps()) {
        (Some(seen), Some((val, _))) if newer(val, seen.highest) => Verdict::Honour(rules::TIME_WAIT_NEWER_TIMESTAMP),
        (Some(seen), Some((val, _))) if newer(val, seen.recent) => Verdict::Either(rules::TIME_WAIT_NEWER_TIMESTAMP, true),
        (Some(seen), Some((val, _))) if val == seen.recent && higher && seen.recent == seen.highest => {
            Verdict::Honour(rules::TIME_WAIT_EQUAL_TIMESTAMP)
        }
        (Some(seen), Some((val, _))) if val == seen.recent && higher => Verdict::Either(rules::TIME_WAIT_EQUAL_TIMESTAMP, true),
        (Some(_), None) if higher => Verdict::Honour(rules::TIME_WAIT_WITHOUT_TIMESTAMP),
        (None, Some(_)) => Verdict::Either(rules::TIME_WAIT_FIRST_TIMESTAMP, !higher),
        (None, None) if higher => Verdict::Either(rules::TIME_WAIT_FIRST_TIMESTAMP, false),
        _ => Verdict::Drop(rules::TIME_WAIT_SYN_DROPPED),
    }
}

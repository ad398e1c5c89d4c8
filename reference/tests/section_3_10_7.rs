//! Section 3.10.7 of RFC 9293, SEGMENT ARRIVES, as tables written from its text: what each segment may draw in each state.
//!
//! The tables were written without sight of the relation, so that a misreading there does not repeat itself here. Each row says what the
//! text says, which the relation must permit, and what a freedom of the RFC adds, which it may permit; it must permit nothing else.

#[path = "section_3_10_7/notation.rs"]
mod notation;

#[path = "section_3_10_7/before_the_handshake.rs"]
mod before_the_handshake;
#[path = "section_3_10_7/beside_the_syn.rs"]
mod beside_the_syn;
#[path = "section_3_10_7/disputed.rs"]
mod disputed;
#[path = "section_3_10_7/habits.rs"]
mod habits;
#[path = "section_3_10_7/reopened.rs"]
mod reopened;
#[path = "section_3_10_7/sequence.rs"]
mod sequence;
#[path = "section_3_10_7/steps.rs"]
mod steps;

//! A fuzzer's octets and scripts, both ways.
//!
//! Every octet string decodes to a script, and `decode(encode(s)) == s` for every script within the bounds below, so vectors are seeds and
//! the corpus survives. A step takes 16 octets wherever it stands, so a mutation of octets is a mutation of steps; what does not fit stands
//! in a pool behind the steps, read in order. Zeros are the common case: an in-order segment with ACK, at once, with a full window.
//!
//! | octet | segment | call |
//! | --- | --- | --- |
//! | 0 | which step and which flags | which call |
//! | 1 | time before the step | the same |
//! | 2 | bits 0–1 flow, 2 joined, 3–5 what SEG.SEQ counts from, 6–7 options | socket, less 3 |
//! | 3 | bits 0–2 what SEG.ACK counts from, 3 SEG.ACK without ACK, 4 and 5 offsets in the pool | which option or direction |
//! | 4–5, 6–7 | SEG.SEQ's and SEG.ACK's offsets | 4–11: a number |
//! | 8–9, 10–11 | window (inverted), urgent pointer | |
//! | 12–13 | bits 0–11 length of the text, 12–13 its kind | the same |
//! | 14, 15 | what is odd, and its value | |
//!
//! An ICMP error has flow, base, offset and length where a segment has them, and which error it is in octet 14.
//!
//! Bounds of a script: [`MAX_STEPS`] steps, [`MAX_TEXT`] octets of text in a step, [`MAX_AFTER`] before a step, 40 octets of options, flows
//! 0 to 3; SEG.ACK is there where ACK is; numbers of oddities as the language has them; a call's text is never [`Payload::Other`]; no
//! [`VectorCall::Ignored`]; `line` is 0 and `until` is `None`. [`encode`] brings a script within them as well as it can.

mod options;
mod pool;
mod step;

use crate::model::{Script, Step};

use pool::{Reader, Writer};

/// The most steps of a script.
pub const MAX_STEPS: usize = 64;

/// The most octets of text in a step.
pub const MAX_TEXT: u16 = 3000;

/// The most microseconds before a step: ten minutes, which outlasts every timer but keep-alive's.
pub const MAX_AFTER: u64 = 600_000_000;

/// Octets of a step.
const STEP: usize = 16;

/// The script that these octets stand for. The first octet says how many steps there are; the last may be cut short.
#[must_use]
pub fn decode(data: &[u8]) -> Script {
    let Some((count, rest)) = data.split_first() else { return Script::default() };
    let count = (usize::from(*count) % (MAX_STEPS + 1)).min(rest.len().div_ceil(STEP));
    let (fixed, pool) = rest.split_at((count * STEP).min(rest.len()));
    let mut pool = Reader::new(pool);
    let steps = fixed.chunks(STEP).map(|chunk| {
        let mut octets = [0; STEP];
        octets.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        step::decode(octets, &mut pool)
    });
    Script { steps: steps.collect() }
}

/// Octets that decode to this script, or to what is left of it within the bounds.
#[must_use]
pub fn encode(script: &Script) -> Vec<u8> {
    let mut pool = Writer::default();
    let encoded = |s: &Step| step::encode(s, &mut pool);
    let steps: Vec<[u8; STEP]> = script.steps.iter().filter_map(encoded).take(MAX_STEPS).collect();
    let mut data = vec![u8::try_from(steps.len()).unwrap_or(0)];
    data.extend(steps.iter().flatten());
    data.extend(pool.into_octets());
    data
}

impl<'a> arbitrary::Arbitrary<'a> for Script {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Script> {
        u.bytes(u.len()).map(decode)
    }

    fn arbitrary_take_rest(u: arbitrary::Unstructured<'a>) -> arbitrary::Result<Script> {
        Ok(decode(u.take_rest()))
    }
}

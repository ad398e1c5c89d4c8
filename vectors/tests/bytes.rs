//! A fuzzer's octets and scripts.

mod common;

use arbitrary::{Arbitrary, Unstructured};
use tcp_reference::icmp::IcmpError;
use tcp_reference::segment::Flags;
use tcp_vectors::bytes::{MAX_AFTER, MAX_STEPS, MAX_TEXT, decode, encode};
use tcp_vectors::model::{Base, Header, IcmpSpec, Num, Payload, Script, Step, StepKind, Vector};
use tcp_vectors::{golden, parse, print};

fn unlined(mut script: Script) -> Script {
    script.steps.iter_mut().for_each(|s| s.line = 0);
    script
}

#[test]
fn every_octet_string_is_a_script_and_comes_back() {
    let mut random = common::Random::new(2);
    for _ in 0..2_000 {
        let most = if random.below(4) == 0 { 4000 } else { 300 };
        let len = random.below(most);
        let mut data: Vec<u8> = (0..len).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        if random.below(2) == 0 {
            data.iter_mut().skip(1).for_each(|b| *b = if random.below(3) > 0 { 0 } else { *b });
        }
        let script = decode(&data);
        assert!(script.steps.len() <= MAX_STEPS);
        let again = decode(&encode(&script));
        assert_eq!(script, again, "{}", print::script(&script, &Header::default()));
        assert_eq!(Script::arbitrary(&mut Unstructured::new(&data)).unwrap(), script);
    }
}

#[test]
fn every_script_is_text_and_comes_back() {
    let mut random = common::Random::new(3);
    for _ in 0..1_000 {
        let data: Vec<u8> = (0..random.below(600)).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        let script = decode(&data);
        if script.steps.is_empty() {
            continue;
        }
        let text = print::script(&script, &Header::default());
        let vector = parse::vector("fuzz/x", "x.pkt", &text).unwrap_or_else(|e| panic!("{e} ({})\n{text}", e.help));
        assert_eq!(unlined(vector.script()), script, "{text}");
    }
}

#[test]
fn every_vector_is_a_seed() {
    for g in golden() {
        let vector = parse::vector(&g.id, g.file, &g.text).unwrap_or_else(|e| panic!("{e}"));
        let mut script = unlined(vector.script());
        // A wait of days is not within the bounds.
        script.steps.iter_mut().for_each(|s| s.after = s.after.min(tcp_vectors::bytes::MAX_AFTER));
        // Nor are more steps than a script has: of a longer vector the beginning is a seed.
        script.steps.truncate(tcp_vectors::bytes::MAX_STEPS);
        let data = encode(&script);
        assert_eq!(decode(&data), script, "{}", g.id);
    }
}

#[test]
fn zeros_are_a_segment_in_order() {
    let script = decode(&[1, 0]);
    let [step] = &script.steps[..] else { panic!("one step: {script:?}") };
    let StepKind::Inject(spec) = &step.kind else { panic!("a segment: {step:?}") };
    assert_eq!(spec.flags, Flags::ACK);
    assert_eq!(spec.seq, Num { base: Base::PeerNxt, offset: 0 });
    assert_eq!(spec.ack, Some(Num { base: Base::SndNxt, offset: 0 }));
    assert_eq!((spec.window, &spec.payload, spec.oddity), (u16::MAX, &Payload::Pattern(0), None));
    assert_eq!((step.after, step.until), (0, None));
}

#[test]
fn every_icmp_error_is_text_and_octets_and_comes_back() {
    for error in IcmpError::ALL {
        for (flow, base, offset, len) in [(0, Base::Iss, 1, 100), (2, Base::SndUna, -70_000, 0), (1, Base::Zero, 5, MAX_TEXT)] {
            let kind = StepKind::Icmp(IcmpSpec { flow, error, seq: Num { base, offset }, len });
            let script = Script { steps: vec![Step { after: 100, until: None, kind, line: 0 }] };
            assert_eq!(decode(&encode(&script)), script);
            let text = print::script(&script, &Header::default());
            let vector = parse::vector("a/b", "b.pkt", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
            assert_eq!(unlined(vector.script()), script, "{text}");
        }
    }
}

#[test]
fn octets_that_stood_for_waiting_still_do() {
    for code in [250, 252, 253, 254, 255] {
        assert!(matches!(decode(&[1, code]).steps[..], [Step { kind: StepKind::Wait, .. }]), "{code}");
    }
}

#[test]
fn what_is_out_of_bounds_is_brought_within() {
    let text = "0 < . 1:5001(5000) ack 1 win 1\n+1000 wait\n".repeat(40).replace("\n0 <", "\n+0 <");
    let vector: Vector = parse::vector("a/b", "b.pkt", &text).unwrap();
    let script = decode(&encode(&vector.script()));
    assert_eq!(script.steps.len(), MAX_STEPS);
    let StepKind::Inject(spec) = &script.steps[0].kind else { panic!("a segment") };
    assert_eq!(spec.payload, Payload::Pattern(MAX_TEXT));
    assert_eq!(script.steps[1].after, MAX_AFTER);
}

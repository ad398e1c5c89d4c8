//! What holds for every octet string, for the fuzz targets of the project's own parsers. A check panics where it does not hold.

use tcp_vectors::model::Vector;
use tcp_vectors::{bytes, parse, print, template};

use crate::wire::{self, Read};

/// Reading a datagram never panics, and a segment without defects that was read, built anew and read again is the same.
///
/// # Panics
/// It is not.
pub fn codec(data: &[u8]) {
    let Ok(Read::Tcp(first)) = wire::read(data) else { return };
    if !first.defects.is_empty() || first.source.is_ipv4() != first.destination.is_ipv4() {
        return;
    }
    // What no builder makes: more options than a header holds, say.
    let Ok(built) = wire::build(first.source, first.destination, &first.segment) else { return };
    let Ok(Read::Tcp(second)) = wire::read(&built) else { panic!("what was built cannot be read: {:?}", first.segment) };
    assert_eq!((first.source, first.destination), (second.source, second.destination), "the ends");
    assert_eq!(first.segment, second.segment, "the segment");
    assert!(second.defects.is_empty(), "{:?}: {:?}", second.defects, first.segment);
}

/// No text makes the vectors' parser panic, and what it takes is the same when it was printed and parsed again. Octets that are no text are a script,
/// which is the same when it was encoded and decoded again.
///
/// # Panics
/// It is not.
pub fn language(data: &[u8]) {
    let script = bytes::decode(data);
    assert_eq!(bytes::decode(&bytes::encode(&script)), script, "a script as octets");
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _cells = template::vectors("fuzz", "fuzz.pkt.tmpl", text);
    let Ok(vector) = parse::vector("fuzz", "fuzz.pkt", text) else { return };
    let printed = print::vector(&vector);
    match parse::vector("fuzz", "fuzz.pkt", &printed) {
        Ok(again) => assert_eq!(unlined(vector), unlined(again), "{printed}"),
        Err(error) => panic!("what was printed is refused: {error}\n{printed}"),
    }
}

/// Where a step stands in its file does not outlast printing.
fn unlined(mut vector: Vector) -> Vector {
    vector.steps.iter_mut().for_each(|step| step.line = 0);
    vector
}

#[cfg(test)]
mod tests {
    use tcp_vectors::golden;

    use super::{codec, language};
    use crate::fuzz::{Generator, Random};
    use crate::target::Clock;
    use crate::targets::reference::Reference;
    use crate::wire;
    use tcp_reference::stack::Policy;
    use tcp_reference::trace::{Arrival, What};

    /// Some octets changed, taken away or doubled.
    fn worn(octets: &[u8], random: &mut Random) -> Vec<u8> {
        let mut worn = octets.to_vec();
        for _ in 0..1 + random.below(6) {
            let at = random.below(worn.len());
            match random.below(4) {
                0 if at < worn.len() => drop(worn.drain(at..(at + 1 + random.below(8)).min(worn.len()))),
                1 if at < worn.len() => worn.insert(at, worn[at]),
                _ => {
                    if let Some(octet) = worn.get_mut(at) {
                        *octet ^= 1 << random.below(8);
                    }
                }
            }
        }
        worn
    }

    #[test]
    fn datagrams_whole_and_worn_hold() {
        let mut random = Random::new(1);
        let mut generator = Generator::new(1);
        let policy = Policy::with_timestamps();
        let mut target = Reference::new(policy.clone(), None);
        let mut read = 0;
        for _ in 0..60 {
            let case = generator.case();
            let options = crate::session::Options::new(case.family, case.seed, policy.profile(), Clock::Virtual);
            let outcome = crate::session::run_script(&mut target, &case.script, &options);
            for event in &outcome.trace.events {
                let (tuple, segment) = match &event.what {
                    What::Emit { tuple, segment, .. } | What::Arrive { tuple, arrival: Arrival::Segment(segment) } => (tuple, segment),
                    _ => continue,
                };
                let Ok(octets) = wire::build(tuple.local, tuple.remote, segment) else { continue };
                codec(&octets);
                (0..4).for_each(|_| codec(&worn(&octets, &mut random)));
                read += 1;
            }
        }
        assert!(read > 300, "{read}");
    }

    #[test]
    fn vectors_whole_and_worn_hold() {
        let mut random = Random::new(2);
        for vector in golden().iter().step_by(5) {
            language(vector.text.as_bytes());
            (0..4).for_each(|_| language(&worn(vector.text.as_bytes(), &mut random)));
        }
    }
}

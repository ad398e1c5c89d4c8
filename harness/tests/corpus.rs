//! What stands below `fuzz/` for libFuzzer: each input of the corpus holds, and the dictionaries and the datagrams are what they are made from.
//!
//! `FUZZ_SEEDS=write` makes dictionaries and datagrams anew. The scripts of `fuzz/corpus/segments` are the vectors (`tests/fuzz.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{env, fs};

use tcp_harness::fuzz::{COUNTERS, Campaign, Differential, checks};
use tcp_harness::wire;
use tcp_reference::segment::{Flags, Segment, TcpOption};
use tcp_reference::seq::Seq;
use tcp_vectors::{bytes, golden, parse, template};

fn fuzz(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(path)
}

/// The committed inputs of a fuzz target by name. Those that libFuzzer adds have hashes for names, and are not committed.
fn corpus(target: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(fuzz("corpus").join(target)).expect("a corpus");
    let named = entries.map(|e| e.expect("an entry").path()).map(|p| (p.file_name().unwrap_or_default().to_string_lossy().into_owned(), p));
    let committed = named.filter(|(name, _)| name.len() != 40 || !name.bytes().all(|b| b.is_ascii_hexdigit()));
    committed.map(|(name, path)| (name, fs::read(path).expect("an input"))).collect()
}

fn writes() -> bool {
    env::var("FUZZ_SEEDS").is_ok_and(|v| v == "write")
}

const ANEW: &str = "FUZZ_SEEDS=write cargo test -p tcp-harness --test corpus";

#[test]
fn every_script_holds_on_one_stack_and_on_two() {
    let mut failures = String::new();
    let mut counters = vec![0; COUNTERS];
    let mut alone = ["smoltcp", "reference"].map(|target| Campaign::on(target).unwrap_or_else(|e| panic!("{e:?}")));
    let mut both = Differential::on("smoltcp,reference").unwrap_or_else(|e| panic!("{e:?}"));
    let inputs = corpus("segments");
    for (name, octets) in &inputs {
        let mut told: Vec<_> = alone.iter_mut().map(|campaign| campaign.run(octets, &mut counters)).collect();
        told.push(both.run(octets, &mut counters));
        for told in told.into_iter().filter_map(Result::err) {
            let _ = writeln!(failures, "=== {name}\n{told}");
        }
    }
    assert!(inputs.len() > 100 && counters.iter().any(|n| *n > 0) && failures.is_empty(), "{failures}");
}

#[test]
fn every_datagram_and_every_text_holds() {
    for octets in corpus("codec").values() {
        checks::codec(octets);
    }
    for (name, octets) in corpus("language") {
        checks::language(&octets);
        let text = String::from_utf8(octets).unwrap_or_default();
        if name.ends_with(".pkt") {
            parse::vector(&name, &name, &text).unwrap_or_else(|e| panic!("{name}: {e}"));
        } else if name.ends_with(".tmpl") {
            let cells = template::vectors(&name, &name, &text).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(cells.len(), 4, "{name}");
        }
    }
}

/// Segments as different as the wire allows, each over one IP version.
fn datagrams() -> BTreeMap<String, Vec<u8>> {
    let timestamps = TcpOption::Timestamps { val: 100, ecr: 7 };
    let blocks = |n: u32| TcpOption::Sack((1..=n).map(|i| (Seq(i * 100), Seq(i * 100 + 50))).collect());
    let with = |flags: Flags, options: &[TcpOption], text: &[u8]| Segment {
        seq: Seq(0xffff_fff0),
        ack: if flags.has(Flags::ACK) { Seq(0x8000_0001) } else { Seq(0) },
        flags,
        window: 65_535,
        urgent: if flags.has(Flags::URG) { 3 } else { 0 },
        options: options.to_vec(),
        payload: text.to_vec(),
        ..Segment::default()
    };
    let all = [TcpOption::Mss(1460), TcpOption::Nop, TcpOption::WindowScale(7), TcpOption::SackPermitted, timestamps.clone()];
    let other = |kind, len: u8| TcpOption::Other { kind, data: (0..len).collect() };
    let segments = [
        ("syn", with(Flags::SYN, &[TcpOption::Mss(1460)], b"")),
        ("syn-all-options", with(Flags::SYN, &all, b"")),
        ("syn-data", with(Flags::SYN, &[], b"early")),
        ("syn-ecn", with(Flags::SYN | Flags::ECE | Flags::CWR, &[TcpOption::Mss(536), TcpOption::Eol], b"")),
        ("syn-ack", with(Flags::SYN | Flags::ACK, &[TcpOption::Mss(65_535)], b"")),
        ("ack", with(Flags::ACK, &[], b"")),
        ("ack-timestamps", with(Flags::ACK, &[TcpOption::Nop, TcpOption::Nop, timestamps.clone()], b"")),
        ("ack-sack", with(Flags::ACK, &[TcpOption::Nop, TcpOption::Nop, blocks(1)], b"")),
        ("ack-sack-three-timestamps", with(Flags::ACK, &[timestamps, blocks(3)], b"")),
        ("ack-sack-four", with(Flags::ACK, &[blocks(4)], b"")),
        ("text", with(Flags::ACK | Flags::PSH, &[], b"GET / HTTP/1.1\r\n\r\n")),
        ("text-odd", with(Flags::ACK, &[], b"odd")),
        ("urgent", with(Flags::ACK | Flags::PSH | Flags::URG, &[], b"now")),
        ("fin", with(Flags::ACK | Flags::FIN, &[], b"")),
        ("rst", with(Flags::RST, &[], b"")),
        ("rst-ack", with(Flags::RST | Flags::ACK, &[], b"")),
        ("no-flags", with(Flags::default(), &[], b"")),
        ("experiment", with(Flags::ACK, &[other(253, 4), TcpOption::Eol], b"")),
        ("unknown-option", with(Flags::SYN, &[other(200, 38)], b"")),
        ("option-of-no-data", with(Flags::SYN, &[other(6, 0), TcpOption::Mss(0)], b"")),
    ];
    let ends = |v6: bool| if v6 { ("[2001:db8::2]:80", "[2001:db8::1]:8080") } else { ("192.0.2.2:80", "192.0.2.1:8080") };
    let built = segments.iter().zip([false, true].iter().cycle()).map(|((name, segment), v6)| {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap_or_else(|e| panic!("{text}: {e}"));
        let (from, to) = ends(*v6);
        let octets = wire::build(address(from), address(to), segment).unwrap_or_else(|e| panic!("{name}: {e}"));
        ((*name).to_owned(), octets)
    });
    built.collect()
}

#[test]
fn the_datagrams_are_segments() {
    let made = datagrams();
    if writes() {
        for (name, octets) in &made {
            fs::write(fuzz("corpus/codec").join(name), octets).expect("an input can be written");
        }
    }
    let there = corpus("codec");
    let wrong: Vec<&String> = made.iter().filter(|(name, octets)| there.get(*name) != Some(octets)).map(|(name, _)| name).collect();
    assert!(wrong.is_empty(), "{wrong:?}: {ANEW}");
    for (name, octets) in &made {
        assert!(matches!(wire::read(octets), Ok(wire::Read::Tcp(d)) if d.defects.is_empty()), "{name}");
    }
}

/// The entries of a dictionary in libFuzzer's form: `"…"` with `\\`, `\"` and `\xHH`, at most 64 octets long (FuzzerDictionary.h).
fn dictionary(name: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(fuzz("dictionaries").join(name)).expect("a dictionary");
    let entry = |line: &str| {
        let mut rest = line.strip_prefix('"').and_then(|l| l.strip_suffix('"')).unwrap_or_else(|| panic!("{name}: {line}"));
        let mut octets = Vec::new();
        while let Some(c) = rest.chars().next() {
            assert!(c.is_ascii_graphic() && c != '"' || c == ' ', "{name}: {line}");
            let hex = rest.strip_prefix("\\x").and_then(|r| r.get(..2)).map(|h| u8::from_str_radix(h, 16));
            let (octet, taken) = match (hex, rest.as_bytes()) {
                (Some(Ok(octet)), _) => (octet, 4),
                (_, [b'\\', octet @ (b'\\' | b'"'), ..]) => (*octet, 2),
                (_, [octet, ..]) if *octet != b'\\' => (*octet, 1),
                _ => panic!("{name}: {line}"),
            };
            octets.push(octet);
            rest = &rest[taken..];
        }
        assert!(!octets.is_empty() && octets.len() <= 64, "{name}: {line}");
        octets
    };
    let entries: Vec<Vec<u8>> = text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).map(entry).collect();
    let distinct: BTreeSet<&Vec<u8>> = entries.iter().collect();
    assert_eq!(distinct.len(), entries.len(), "{name} has an entry twice");
    entries
}

/// A dictionary's entry for a step: its sixteen octets. What is in the pool behind the steps is no part of it.
fn step_entry(step: &str) -> String {
    let vector = parse::vector("step", "segments.dict", &step.replacen('+', "", 1)).unwrap_or_else(|e| panic!("{step}: {e}"));
    let octets = bytes::encode(&vector.script());
    assert_eq!(octets.len(), 17, "{step} needs the pool");
    octets[1..].iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "\\x{octet:02x}");
        text
    })
}

#[test]
fn the_dictionary_of_segments_is_the_octets_of_its_steps() {
    let path = fuzz("dictionaries/segments.dict");
    let text = fs::read_to_string(&path).expect("a dictionary");
    let mut made = String::new();
    for line in text.lines().filter(|l| l.is_empty() || l.starts_with('#')) {
        let _ = writeln!(made, "{line}");
        if let Some(step) = line.strip_prefix("# ").filter(|step| step.starts_with('+')) {
            let _ = writeln!(made, "\"{}\"", step_entry(step));
        }
    }
    if writes() {
        fs::write(path, &made).expect("a dictionary can be written");
    }
    assert!(made == text || writes(), "fuzz/dictionaries/segments.dict: {ANEW}");
    let entries = dictionary("segments.dict");
    assert!(entries.len() > 50 && entries.iter().all(|e| e.len() == 16), "{}", entries.len());
}

/// The words of a line of the language, but for what stands in quotes, the words behind an error's name, comments, octets and flags.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let line = line.split("//").next().unwrap_or_default();
    let line = if line.contains("= -1 E") { line.rsplit_once(" (").map_or(line, |(call, _)| call) } else { line };
    let plain = line.split('"').step_by(2);
    let words = plain.flat_map(|part| part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    let octets = |w: &str| w.contains(|c: char| c.is_ascii_digit()) && w.chars().all(|c| c.is_ascii_hexdigit());
    let flags = |w: &str| w.chars().all(|c| "SFRPUEWA".contains(c));
    words.filter(move |w| w.len() > 1 && !octets(w) && !flags(w) && w.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// Each word that the vectors use is in the dictionary, and each entry in a seed or in the language's page.
#[test]
fn the_dictionary_of_the_language_has_its_words() {
    let entries = dictionary("language.dict");
    let entries: Vec<&str> = entries.iter().map(|e| std::str::from_utf8(e).expect("words")).collect();
    let mut texts: Vec<String> = corpus("language").into_values().map(|o| String::from_utf8(o).unwrap_or_default()).collect();
    texts.push(fs::read_to_string(fuzz("../vectors/LANGUAGE.md")).expect("the language"));
    let idle: Vec<&&str> = entries.iter().filter(|e| !texts.iter().any(|t| t.contains(**e))).collect();
    assert!(idle.is_empty(), "of no seed in fuzz/corpus/language, nor in vectors/LANGUAGE.md: {idle:?}");

    let known: BTreeSet<&str> = entries.iter().flat_map(|e| e.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')).collect();
    let used: BTreeSet<&str> = golden().iter().flat_map(|g| g.text.lines()).flat_map(words).collect();
    let missing: Vec<&&str> = used.difference(&known).collect();
    assert!(used.len() > 50 && missing.is_empty(), "fuzz/dictionaries/language.dict lacks {missing:?}");
}

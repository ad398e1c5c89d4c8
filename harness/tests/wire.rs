//! The wire codec: round trips, odd datagrams, and octets that mean nothing.

use std::net::SocketAddr;

use tcp_harness::wire::{
    IcmpKind, Read, Skipped, WireError, build, build_odd, echo_request_into, has_unfinished_checksum, icmp_error, parse_options, quoted,
    read,
};
use tcp_reference::icmp::{Icmp, IcmpError};
use tcp_reference::segment::{Flags, Segment, TcpOption, Tuple};
use tcp_reference::seq::Seq;
use tcp_reference::trace::WireDefect;
use tcp_vectors::model::Oddity;

fn ends(v6: bool) -> (SocketAddr, SocketAddr) {
    let parse = |text: &str| text.parse().expect("an address");
    if v6 { (parse("[2001:db8::2]:49152"), parse("[2001:db8::1]:80")) } else { (parse("192.0.2.2:49152"), parse("192.0.2.1:80")) }
}

fn tcp(ip: &[u8]) -> tcp_harness::wire::Tcp {
    match read(ip) {
        Ok(Read::Tcp(tcp)) => tcp,
        other => panic!("not TCP: {other:?}"),
    }
}

fn all_options() -> Vec<TcpOption> {
    vec![
        TcpOption::Mss(1460),
        TcpOption::Nop,
        TcpOption::WindowScale(7),
        TcpOption::SackPermitted,
        TcpOption::Timestamps { val: 1, ecr: 0xffff_fffe },
        TcpOption::Other { kind: 254, data: vec![1, 2, 3, 4] },
        TcpOption::Nop,
        TcpOption::Nop,
    ]
}

fn samples() -> Vec<Segment> {
    let mut all = vec![
        Segment::syn(Seq(7)),
        Segment::rst(Seq(0xffff_ffff)),
        Segment::pure_ack(Seq(1), Seq(2)).with_window(3),
        Segment::control(Seq(1), Flags(0x1ff)),
        Segment { options: all_options(), ..Segment::syn(Seq(9)) },
        Segment { urgent: 5, ..Segment::control(Seq(1), Flags::URG) },
        Segment::pure_ack(Seq(1), Seq(2))
            .with_option(TcpOption::Sack(vec![(Seq(1), Seq(2)), (Seq(3), Seq(4))]))
            .with_option(TcpOption::Nop)
            .with_option(TcpOption::Nop),
    ];
    all.extend((0..40).map(|n| Segment::pure_ack(Seq(5), Seq(6)).with_text(&vec![0xa5; n])));
    all.push(Segment::pure_ack(Seq(5), Seq(6)).with_text(&vec![0xff; 1461]));
    all
}

#[test]
fn round_trip() {
    for v6 in [false, true] {
        let (from, to) = ends(v6);
        for segment in samples() {
            let seen = tcp(&build(from, to, &segment).expect("builds"));
            assert_eq!((seen.source, seen.destination), (from, to));
            assert_eq!(seen.segment, segment);
            assert_eq!(seen.defects, []);
        }
    }
}

#[test]
fn padding_is_one_end_of_list() {
    let (from, to) = ends(false);
    let segment = Segment::syn(Seq(1)).with_option(TcpOption::WindowScale(2)).with_option(TcpOption::SackPermitted);
    let seen = tcp(&build(from, to, &segment).expect("builds"));
    assert_eq!(seen.segment.options, [TcpOption::WindowScale(2), TcpOption::SackPermitted, TcpOption::Eol]);
    assert_eq!(seen.defects, []);
}

#[test]
fn what_cannot_be_built() {
    let (from, to) = ends(false);
    let (from6, _) = ends(true);
    let syn = Segment::syn(Seq(1));
    assert_eq!(build(from6, to, &syn), Err(WireError::MixedFamilies));
    assert_eq!(build(from, to, &syn.clone().with_text(&vec![0; 65_496])), Err(WireError::TooLong));
    let long = |n| Segment { options: vec![TcpOption::Nop; n], ..syn.clone() };
    assert!(build(from, to, &long(40)).is_ok());
    assert_eq!(build(from, to, &long(41)), Err(WireError::OptionsTooLong));
    let huge = syn.clone().with_option(TcpOption::Sack(vec![(Seq(0), Seq(0)); 40]));
    assert_eq!(build(from, to, &huge), Err(WireError::OptionsTooLong));
}

#[test]
fn options_and_their_defects() {
    use TcpOption::{Eol, IllFormed, Mss, Nop, Other};
    let table: &[(&[u8], Vec<TcpOption>, &[WireDefect])] = &[
        (&[], vec![], &[]),
        (&[1, 1, 0, 0], vec![Nop, Nop, Eol], &[]),
        (&[0, 0, 0, 1], vec![Eol], &[WireDefect::OptionPadding]),
        (&[2, 4, 5, 180], vec![Mss(1460)], &[]),
        (&[2, 0, 5, 180], vec![IllFormed(vec![2, 0, 5, 180])], &[WireDefect::OptionLength]),
        (&[1, 2, 1, 9], vec![Nop, IllFormed(vec![2, 1, 9])], &[WireDefect::OptionLength]),
        (&[1, 1, 1, 2], vec![Nop, Nop, Nop, IllFormed(vec![2])], &[WireDefect::OptionLength]),
        (&[2, 5, 1, 1], vec![IllFormed(vec![2, 5, 1, 1])], &[WireDefect::OptionLength]),
        (&[2, 3, 9, 0], vec![Other { kind: 2, data: vec![9] }, Eol], &[WireDefect::OptionLength]),
        (&[5, 2, 1, 0], vec![Other { kind: 5, data: vec![] }, Nop, Eol], &[WireDefect::OptionLength]),
        (&[253, 2, 0, 0], vec![Other { kind: 253, data: vec![] }, Eol], &[]),
    ];
    for (octets, options, defects) in table {
        let mut seen = Vec::new();
        assert_eq!(&parse_options(octets, &mut seen), options, "{octets:?}");
        assert_eq!(&seen, defects, "{octets:?}");
    }
}

#[test]
fn oddities() {
    for v6 in [false, true] {
        let (from, to) = ends(v6);
        let segment = Segment::syn(Seq(1)).with_option(TcpOption::Mss(1460)).with_text(b"abc");
        let odd = |oddity| build_odd(from, to, &segment, oddity).expect("builds");
        assert_eq!(tcp(&odd(Oddity::BadChecksum)).defects, [WireDefect::BadChecksum]);
        for words in [0, 1, 4, 15] {
            assert_eq!(read(&odd(Oddity::DataOffset(words))), Err(Skipped::DataOffset), "{words}");
        }
        let longer = tcp(&odd(Oddity::DataOffset(5)));
        assert_eq!((longer.segment.options, longer.defects), (vec![], vec![]), "the options became text");
        for octets in 0..20 {
            assert_eq!(read(&odd(Oddity::Truncated(octets))), Err(Skipped::TcpTruncated), "{octets}");
        }
        for octets in 20..24 {
            assert_eq!(read(&odd(Oddity::Truncated(octets))), Err(Skipped::DataOffset), "{octets}");
        }
        assert_eq!(tcp(&odd(Oddity::Truncated(24))).defects, [WireDefect::BadChecksum]);
        let reserved = tcp(&odd(Oddity::Reserved(7)));
        assert_eq!(reserved.defects, [WireDefect::ReservedBits]);
        assert_eq!(reserved.segment, segment);
        assert_eq!(read(&odd(Oddity::Fragment)), Err(Skipped::Fragment));
    }
}

#[test]
fn echo_request() {
    for v6 in [false, true] {
        let (from, to) = ends(v6);
        let mut ip = Vec::new();
        echo_request_into(&mut ip, from.ip(), to.ip(), 0x1234, 7).expect("builds");
        match read(&ip) {
            Ok(Read::Icmp(icmp)) => assert_eq!(icmp.kind, IcmpKind::EchoRequest { id: 0x1234, seq: 7 }),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn truncated_anywhere() {
    for v6 in [false, true] {
        let (from, to) = ends(v6);
        let ip = build(from, to, &Segment { options: all_options(), ..Segment::syn(Seq(9)).with_text(b"text") }).expect("builds");
        for length in 0..ip.len() {
            assert!(read(&ip[..length]).is_err(), "{length} octets");
        }
    }
}

/// Random octets, and valid datagrams with some octets changed, never panic.
#[test]
fn no_octets_panic() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..200_000_u32 {
        let (from, to) = ends(random() & 1 == 0);
        let mut ip = if round % 4 == 0 {
            (0..random() % 80).map(|_| random().to_le_bytes()[0]).collect()
        } else {
            build(from, to, &Segment { options: all_options(), ..Segment::syn(Seq(9)).with_text(b"text") }).expect("builds")
        };
        for _ in 0..random() % 6 {
            let length = ip.len() as u64;
            if length > 0 {
                let at = usize::try_from(random() % length).expect("small");
                ip[at] = random().to_le_bytes()[0];
            }
        }
        if let Ok(Read::Tcp(tcp)) = read(&ip) {
            // What was read can be written again, and reads the same but for its padding.
            let again = build(tcp.source, tcp.destination, &tcp.segment).expect("what was read fits");
            let Ok(Read::Tcp(again)) = read(&again) else { panic!("what was built reads") };
            assert_eq!(again.segment.payload, tcp.segment.payload);
            assert_eq!(again.segment.options, tcp.segment.options);
        }
    }
}

#[test]
fn an_icmp_error_quotes_a_segment_and_is_read_back() {
    for v6 in [false, true] {
        let (remote, local) = ends(v6);
        let tuple = Tuple { local, remote };
        for error in IcmpError::ALL {
            let lacking = v6 && matches!(error, IcmpError::ProtocolUnreachable | IcmpError::SourceRouteFailed | IcmpError::SourceQuench);
            let built = icmp_error(tuple, Seq(0xfedc_ba98), 100, error);
            if lacking {
                assert_eq!(built, Err(WireError::NoSuchError));
                continue;
            }
            let Ok(Read::Icmp(icmp)) = read(&built.expect("builds")) else { panic!("no ICMP message: {error:?}") };
            assert_eq!((icmp.source, icmp.destination), (remote.ip(), local.ip()));
            assert_eq!(quoted(&icmp), Some((tuple, Icmp { error, seq: Seq(0xfedc_ba98) })));
            let IcmpKind::Error { about, kind, code } = icmp.kind.clone() else { panic!("no error") };
            for octets in 0..about.len() {
                let kind = IcmpKind::Error { kind, code, about: about[..octets].to_vec() };
                assert_eq!(quoted(&tcp_harness::wire::Icmp { kind, ..icmp.clone() }), None, "{octets} octets");
            }
        }
    }
}

/// The sum over the pseudo-header alone, which a stack leaves to its network hardware, is told from a wrong checksum.
#[test]
fn an_unfinished_checksum_is_no_wrong_one() {
    for (from, to, at) in [("192.0.2.1:80", "192.0.2.2:40000", 20), ("[2001:db8::1]:80", "[2001:db8::2]:40000", 40)] {
        let (from, to): (SocketAddr, SocketAddr) = (from.parse().expect("an address"), to.parse().expect("an address"));
        for text in [&b""[..], b"odd"] {
            let mut ip = build(from, to, &Segment::pure_ack(Seq(1), Seq(2)).with_text(text)).expect("builds");
            assert!(!has_unfinished_checksum(&ip));
            let length = u16::try_from(ip.len() - at).expect("is short");
            let addresses = if from.is_ipv4() { 12..20 } else { 8..40 };
            let words = ip[addresses].chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
            let sum = words.sum::<u32>() + 6 + u32::from(length);
            let folded = u16::try_from((sum & 0xffff) + (sum >> 16)).expect("no carry is left");
            ip[at + 16..at + 18].copy_from_slice(&folded.to_be_bytes());
            assert!(has_unfinished_checksum(&ip), "{from} {text:?}");
            ip[at + 16] ^= 1;
            assert!(!has_unfinished_checksum(&ip));
            for cut in 0..ip.len() {
                let _it_ends = has_unfinished_checksum(&ip[..cut]);
            }
        }
    }
}

//! The second judge by itself: a clean trace passes, and each planted fault is found under its own kind.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tcp_reference::api::{Call, CallResult, Family, How, Micros};
use tcp_reference::finding::Finding;
use tcp_reference::linter::lint;
use tcp_reference::segment::{Flags, Segment, TcpOption, Tuple};
use tcp_reference::seq::Seq;
use tcp_reference::trace::{Arrival, Malformed, Trace, What, WireDefect};

const TUPLE: Tuple = Tuple {
    local: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 80),
    remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 4000),
};
/// The peer's ISN and the stack's, near the wrap.
const IRS: Seq = Seq(0xffff_fff0);
const ISS: Seq = Seq(0xffff_fffa);

fn peer(n: u32) -> Seq {
    IRS + n
}

fn own(n: u32) -> Seq {
    ISS + n
}

/// A trace that grows.
#[derive(Clone, Default)]
struct Story {
    trace: Trace,
    now: Micros,
}

impl Story {
    fn arrives(mut self, segment: Segment) -> Story {
        self.now += 1000;
        self.trace.push(self.now, What::Arrive { tuple: TUPLE, arrival: Arrival::Segment(segment) });
        self
    }

    fn sends(mut self, segment: Segment) -> Story {
        self.trace.push(self.now, What::Emit { tuple: TUPLE, segment, defects: Vec::new() });
        self
    }

    fn calls(mut self, call: Call, result: CallResult) -> Story {
        self.now += 1000;
        self.trace.push(self.now, What::Call { call, result });
        self
    }

    /// Opened by the peer with a window of 100 octets, its text "peer" taken, "stack" written and sent.
    fn open() -> Story {
        Story::default()
            .calls(Call::Listen { port: 80, family: Family::V4, backlog: 1 }, CallResult::Socket(3))
            .arrives(Segment::syn(IRS).with_window(100))
            .sends(Segment::syn(ISS).with_ack(peer(1)).with_window(1000).with_option(TcpOption::Mss(1460)))
            .arrives(Segment::pure_ack(peer(1), own(1)).with_window(100))
            .calls(Call::Accept { socket: 3 }, CallResult::Accepted { socket: 4, peer: Some(TUPLE.remote) })
            .arrives(Segment::pure_ack(peer(1), own(1)).with_window(100).with_text(b"peer"))
            .sends(Segment::pure_ack(own(1), peer(5)).with_window(996))
            .writes(b"stack")
            .sends(Segment::pure_ack(own(1), peer(5)).with_window(996).with_text(b"stack"))
    }

    fn writes(self, data: &[u8]) -> Story {
        let count = CallResult::Count(u32::try_from(data.len()).unwrap());
        self.calls(Call::Send { socket: 4, data: data.to_vec(), urgent: false }, count)
    }

    fn reads(self, data: &[u8]) -> Story {
        self.calls(Call::Recv { socket: 4, max: 100 }, CallResult::Data(data.to_vec()))
    }

    fn closes(self) -> Story {
        self.calls(Call::Shutdown { socket: 4, how: How::Write }, CallResult::Done)
    }
}

/// The stack's next segment in [`Story::open`].
fn next() -> Segment {
    Segment::pure_ack(own(6), peer(5)).with_window(996)
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "a row reads better without a reference")]
fn check(story: Story, kinds: &[&str]) {
    let findings = lint(&story.trace);
    assert_eq!(findings.iter().map(|f| f.kind).collect::<Vec<_>>(), kinds, "{findings:#?}");
    assert!(findings.iter().all(|f: &Finding| f.rule.entry().is_some()), "a rule that is not in the catalogue");
}

#[test]
fn a_clean_trace_passes() {
    let story = Story::open()
        .reads(b"pe")
        .reads(b"er")
        .arrives(Segment::pure_ack(peer(5), own(6)).with_window(100))
        .closes()
        .sends(Segment::fin(own(6), peer(5)).with_window(1000))
        .arrives(Segment::fin(peer(5), own(7)))
        .sends(Segment::pure_ack(own(7), peer(6)).with_window(999))
        .arrives(Segment::rst(peer(6)))
        .arrives(Segment::pure_ack(peer(6), own(7)))
        .sends(Segment::rst(own(7)));
    check(story, &[]);
}

#[test]
fn wire_defects() {
    let rows = [
        (WireDefect::BadChecksum, "checksum"),
        (WireDefect::ReservedBits, "reserved"),
        (WireDefect::OptionLength, "option-length"),
        (WireDefect::OptionPadding, "padding"),
    ];
    for (defect, kind) in rows {
        let mut story = Story::open();
        story.trace.push(story.now, What::Emit { tuple: TUPLE, segment: next(), defects: vec![defect] });
        check(story, &[kind]);
    }
}

#[test]
fn an_mss_option_only_on_a_syn() {
    check(Story::open().sends(next().with_option(TcpOption::Mss(1460))), &["mss"]);
}

#[test]
fn acknowledgments() {
    check(Story::open().sends(Segment::pure_ack(own(6), peer(6)).with_window(995)), &["ack-beyond"]);
    check(Story::open().sends(Segment::pure_ack(own(6), peer(4)).with_window(997)), &["ack-back"]);
    check(Story::open().sends(Segment { flags: Flags::NONE, ..next() }), &["ack-missing"]);
    // Text behind a gap does not count, nor a segment whose checksum is wrong.
    let gap = Segment::pure_ack(peer(6), own(1)).with_window(100).with_text(b"gap");
    check(Story::open().arrives(gap.clone()).sends(Segment::pure_ack(own(6), peer(9)).with_window(996)), &["ack-beyond"]);
    let mut story = Story::open();
    story.trace.push(story.now, What::Arrive { tuple: TUPLE, arrival: Arrival::Discarded(Malformed::BadChecksum) });
    check(story.sends(Segment::pure_ack(own(6), peer(6)).with_window(996)), &["ack-beyond"]);
    // The gap filled from before the window on, it does.
    let fill = Segment::pure_ack(peer(3), own(1)).with_window(100).with_text(b"er_");
    check(Story::open().arrives(gap).arrives(fill).sends(Segment::pure_ack(own(6), peer(9)).with_window(996)), &[]);
}

#[test]
fn the_right_edge_of_the_stack() {
    check(Story::open().sends(next().with_window(995)), &["shrunk"]);
    check(Story::open().sends(next().with_window(2000)), &[]);
}

#[test]
fn numbers() {
    check(Story::open().sends(Segment::pure_ack(own(7), peer(5)).with_window(996)), &["seq-gap"]);
    check(Story::open().sends(Segment::pure_ack(ISS - 1, peer(5)).with_window(996)), &["seq-before"]);
}

#[test]
fn the_stream_that_the_user_wrote() {
    let again = |text: &[u8]| Segment::pure_ack(own(1), peer(5)).with_window(996).with_text(text);
    check(Story::open().sends(again(b"stack")), &[]);
    check(Story::open().sends(again(b"sta")), &[]);
    check(Story::open().sends(again(b"stuck")), &["text"]);
    check(Story::open().sends(again(b"stacks")), &["text-beyond"]);
    check(Story::open().sends(next().with_text(b"x")), &["text-beyond"]);
    // A keep-alive's octet may be anything; only where it was acknowledged.
    let probe = Segment::pure_ack(own(5), peer(5)).with_window(996).with_text(b"?");
    check(Story::open().arrives(Segment::pure_ack(peer(5), own(6)).with_window(100)).sends(probe.clone()), &[]);
    check(Story::open().sends(probe), &["text"]);
}

#[test]
fn the_right_edge_of_the_peer() {
    let long = vec![7; 200];
    let sends = |n: usize| Story::open().writes(&long).sends(next().with_text(&long[..n]));
    check(sends(95), &[]);
    check(sends(96), &["edge"]);
    // One octet behind the edge probes.
    check(sends(95).sends(Segment::pure_ack(own(101), peer(5)).with_window(996).with_text(&[7])), &[]);
    // An ACK of what was not sent opens nothing.
    let bogus = Segment::pure_ack(peer(5), own(90)).with_window(100);
    check(Story::open().writes(&long).arrives(bogus).sends(next().with_text(&long[..96])), &["edge"]);
}

#[test]
fn fins() {
    check(Story::open().sends(Segment::fin(own(6), peer(5)).with_window(996)), &["fin"]);
    check(Story::open().closes().sends(Segment::fin(own(1), peer(5)).with_window(996)), &["fin-place"]);
    let fin = || Story::open().closes().sends(Segment::fin(own(6), peer(5)).with_window(996));
    check(fin().sends(Segment::fin(own(6), peer(5)).with_window(996)), &[]);
    check(fin().sends(Segment::fin(own(1), peer(5)).with_window(996).with_text(b"stack")), &[]);
    check(fin().sends(Segment::fin(own(7), peer(5)).with_window(996)), &["behind-fin"]);
    check(fin().writes(b"x").sends(Segment::pure_ack(own(6), peer(5)).with_window(996).with_text(b"x")), &["behind-fin"]);
}

#[test]
fn resets() {
    check(Story::open().arrives(Segment::rst(peer(5))).sends(Segment::rst(own(6))), &["reset-to-reset"]);
    // The user's ABORT is a reason of its own.
    let abort = Story::open().arrives(Segment::rst(peer(50))).calls(Call::Abort { socket: 4 }, CallResult::Done);
    check(abort.sends(Segment::rst(own(6))), &[]);
    // Without a connection the form is fixed, one for each arrival.
    let to_ack = || Story::default().arrives(Segment::pure_ack(peer(9), own(9)));
    check(to_ack().sends(Segment::rst(own(9))), &[]);
    check(to_ack().sends(Segment::rst(own(8))), &["reset-form"]);
    check(to_ack().sends(Segment::rst(own(9)).with_ack(peer(9))), &["reset-form"]);
    check(to_ack().sends(Segment::rst(own(9))).sends(Segment::rst(own(9))), &["reset-form"]);
    let to_fin = || Story::default().arrives(Segment::control(peer(9), Flags::FIN).with_text(b"abc"));
    check(to_fin().sends(Segment::rst(Seq(0)).with_ack(peer(13))), &[]);
    check(to_fin().sends(Segment::rst(Seq(0)).with_ack(peer(12))), &["reset-form"]);
    check(to_fin().sends(Segment::rst(Seq(1)).with_ack(peer(13))), &["reset-form"]);
}

#[test]
fn syns() {
    // Another ISN needs another SYN.
    let syn_ack = |iss: Seq| Segment::syn(iss).with_ack(peer(1)).with_window(1000);
    let begun = || Story::default().arrives(Segment::syn(IRS)).sends(syn_ack(ISS));
    check(begun().sends(syn_ack(ISS)), &[]);
    check(begun().sends(syn_ack(ISS + 9)), &["syn-ack"]);
    check(begun().arrives(Segment::syn(IRS)).sends(syn_ack(ISS + 9)), &[]);
    check(Story::default().sends(Segment::syn(ISS)), &["syn"]);
    let connect = Call::Connect { port: 80, remote_port: 4000, family: Family::V4 };
    let active = || Story::default().calls(connect.clone(), CallResult::Socket(5)).sends(Segment::syn(ISS));
    check(active().sends(Segment::syn(ISS)), &[]);
    check(active().sends(Segment::syn(ISS + 1)), &["syn"]);
    check(Story::default().arrives(Segment::pure_ack(peer(1), own(1))).sends(next()), &["no-connection"]);
}

#[test]
fn what_is_read() {
    check(Story::open().reads(b"peer"), &[]);
    check(Story::open().reads(b"pear"), &["read"]);
    check(Story::open().reads(b"peers"), &["read"]);
    check(Story::open().reads(b"pe").reads(b"pe"), &["read"]);
    // Any version of an octet that the peer sent.
    let other = Segment::pure_ack(peer(1), own(1)).with_window(100).with_text(b"PEER");
    check(Story::open().arrives(other).reads(b"pEeR"), &[]);
}

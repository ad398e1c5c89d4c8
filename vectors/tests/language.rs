//! The language: what it takes, what it refuses and how it says so.

mod common;

use std::fmt::Write;

use miette::Diagnostic;
use tcp_vectors::model::Vector;
use tcp_vectors::{golden, lint, parse, print, template};

fn unlined(mut vector: Vector) -> Vector {
    vector.steps.iter_mut().for_each(|s| s.line = 0);
    vector
}

fn check_round_trip(id: &str, text: &str) {
    let vector = parse::vector(id, "t.pkt", text).unwrap_or_else(|e| panic!("{id}: {e} ({})\n{text}", e.help));
    let printed = print::vector(&vector);
    let again = parse::vector(id, "t.pkt", &printed).unwrap_or_else(|e| panic!("{id}, printed: {e} ({})\n{printed}", e.help));
    assert_eq!(unlined(vector), unlined(again), "{id}\n{printed}");
}

#[test]
fn every_form_round_trips() {
    let lines = [
        "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3",
        "+0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0",
        "+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0 // for packetdrill",
        "+0 bind(3, ..., ...) = 0 /* a comment\n over lines */",
        "+0 listen(3, 1) = 0",
        "+0.000001 < S 0:0(0) win 65535 <mss 1460,nop,wscale 7,sackOK,TS val 100 ecr 0>",
        "+0.1~+0.25 > S. 0:0(0) ack 1 <...>",
        "+0 > S. 0:0(0) ack 1 <mss 1460>",
        "+0 <#1 S {irs-1}(0) win 65535 <opt 253 0102,opt 254,eol>",
        "+0 >#1 S. *",
        "+0 > . *(100) ack {peer_nxt}",
        "+0 > R {snd_nxt}(*) win 0 <>",
        "+0 > R. 0:0(0) ack {irs+1}",
        "+0 < - 1:1(0) win 10",
        "+0 < FP.UEWA 4294967295(0) ack {zero-1} win 10 urg 7 <raw 0200>",
        "+0 < S 1(5) ack 7 win 10 <sack 1:2 3:4> [joined] [truncated 19]",
        "+0 < P. {rcv_nxt}(16) ack {snd_nxt} win 0 [text \"GET / HTTP/1.1\\r\\n\"]",
        "+0 < . {rcv_right-1}(2) ack {snd_una+3} win 65535 [other] [bad-checksum]",
        "+0 < . 1:1(0) ack 1 win 65535 [data-offset 4]",
        "+0 < . 1:1(0) ack 1 win 65535 [reserved 7]",
        "+0 < . 1:1(0) ack 1 win 65535 [fragment]",
        "+0 < S 0:0(0) win 65535 [from unspecified]",
        "+0 < S 0:0(0) win 65535 [to multicast]",
        "+0 accept(3, ..., ...) = 4",
        "+0 accept(3, ..., ...) = -1 EAGAIN (Resource temporarily unavailable)",
        "+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 5",
        "+0 connect(5, ..., ...) = -1 EINPROGRESS (Operation now in progress)",
        "+0 write(4, ..., 100) = 100",
        "+0 write(4, \"a//b\\\"\\x00\\xff\", 7)",
        "+0 send(4, ..., 1, MSG_OOB) = 1",
        "+0 send(4, ..., 1, 0) = ...",
        "+0 read(4, ..., 100) = 0",
        "+0 recv(4, ..., 100, 0) = -1 ECONNRESET (Connection reset by peer)",
        "+0 read(4, ..., 100) = -1 EHOSTUNREACH (No route to host)",
        "+0 shutdown(4, SHUT_WR) = 0",
        "+0 shutdown(4, SHUT_RD) = 0",
        "+0 shutdown(4, SHUT_RDWR) = 0",
        "+0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0",
        "+0 setsockopt(4, IPPROTO_TCP, TCP_NODELAY, [1], 4) = 0",
        "+0 setsockopt(4, SOL_TCP, TCP_MAXSEG, [1000], 4) = 0",
        "+0 setsockopt(4, SOL_TCP, TCP_USER_TIMEOUT, [1000], 4) = 0",
        "+0 set(4, timestamps, off)",
        "+0 set(4, sack, on) = 0",
        "+0 set(4, window_scale, on) = 0",
        "+0 set(4, keepalive, 1000000) = 0",
        "+0 set(4, timeout, off) = 0",
        "+0 set(4, ack_delay, 40000) = 0",
        "+0 %{ assert tcpi_state == TCP_SYN_RECV }%",
        "+1.5 wait",
        "+0 close(4) = 0",
    ];
    for line in lines.iter().filter(|l| l.starts_with('+')) {
        check_round_trip(line, &format!("//@ title: one\n{}\n{line}\n", lines[0]));
    }
    check_round_trip("all", &lines.join("\n"));
}

#[test]
fn every_vector_round_trips_and_is_clean() {
    let mut wrong = String::new();
    for g in golden() {
        match g.vector() {
            Err(e) => writeln!(wrong, "{}: {e}; {}: `{}`", g.id, e.help, e.offending()).unwrap(),
            Ok(vector) => {
                check_round_trip(&g.id, &g.text);
                for l in lint::vector(&vector).iter().filter(|l| !l.kind.is_warning()) {
                    writeln!(wrong, "{}: {}:{}: {}", g.id, g.file, l.line, l.kind).unwrap();
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn what_is_malformed_is_shown_where_it_is() {
    let first = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n";
    let inputs = [
        "",
        "// only a comment",
        "//@ titel: a typing error\n",
        "//@ title:\n",
        "//@ no colon\n",
        "//@ level: perhaps\n",
        "//@ family: 5\n",
        "//@ family: 4\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3",
        "/* no end\n0 close(3)",
        "soon close(3)",
        "+0.1234567 close(3)",
        "+0",
    ];
    let steps = [
        "+0 close(3)\n//@ title: late",
        "1 close(3)",
        "+0.2~+0.1 > . 1:1(0) ack 1",
        "+0~+1 close(3)",
        "+0 < X 0:0(0) win 1",
        "+0 < SS 0:0(0) win 1",
        "+0 < S 0:1(0) win 1",
        "+0 < S {rcv_nx}(0) win 1",
        "+0 < S {rcv_nxt+}(0) win 1",
        "+0 < S * win 1",
        "+0 < . 1:1(0) win 1",
        "+0 < S 0:0(0)",
        "+0 < S 0:0(0) win 70000",
        "+0 < S 0:0(0) win 1 <mss>",
        "+0 < S 0:0(0) win 1 <maximum 5>",
        "+0 < S 0:0(0) win 1 <mss 1460",
        "+0 < S 0:0(0) win 1 <opt 1 00>",
        "+0 < S 0:0(0) win 1 <opt 253 012>",
        "+0 < S 0:0(0) win 1 <TS val 1 ecr 1,TS val 1 ecr 1,TS val 1 ecr 1,TS val 1 ecr 1,mss 1>",
        "+0 < P. 1:5(4) ack 1 win 1 [text \"abc\"]",
        "+0 < P. 1:5(4) ack 1 win 1 [text \"abc]",
        "+0 < P. 1:5(4) ack 1 win 1 [text \"ab\\qc\"]",
        "+0 < . 1:1(0) ack 1 win 1 [bad-checksum] [fragment]",
        "+0 < . 1:1(0) ack 1 win 1 [bad-cheksum]",
        "+0 < . 1:1(0) ack 1 win 1 [to unspecified]",
        "+0 < . 1:1(0) ack 1 win 1 ecr 5",
        "+0 > . 1:1(0) ack 1 win 1 [joined]",
        "+0 clse(3) = 0",
        "+0 close 3",
        "+0 close(x)",
        "+0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3",
        "+0 read(3, ..., 100) = many",
        "+0 read(3, ..., 100) = -1 again",
        "+0 read(3, ..., 100) = -1 EINPROGRESS",
        "+0 write(3, \"abc\", 4) = 4",
        "+0 shutdown(3, SHUT_UP) = 0",
        "+0 setsockopt(3, SOL_SOCKET, SO_LINGER, {onoff=1, linger=5}, 8) = 0",
        "+0 setsockopt(3, SOL_TCP, TCP_CORK, [1], 4) = 0",
        "+0 set(3, colour, on)",
        "+0 %{ assert tcpi_state == TCP_OPEN }%",
        "+0 %{ print 1 }%",
    ];
    let mut all = String::new();
    let texts = inputs.iter().map(|t| (*t).to_owned()).chain(steps.iter().map(|s| format!("{first}{s}\n")));
    for (n, text) in texts.enumerate() {
        let error = parse::vector("a/b", "b.pkt", &text).expect_err(&text);
        assert!(error.line >= 1 && error.column >= 1 && error.labels().is_some() && error.help().is_some());
        writeln!(all, "{}\n  {error}\n  `{}`; {}", text.lines().last().unwrap_or("(empty)"), error.offending(), error.help).unwrap();
        assert!(n < inputs.len() || error.line >= 2, "{error}: the first line is sound");
    }
    insta::assert_snapshot!(all);
}

#[test]
fn an_error_is_drawn_with_its_line() {
    let error = parse::vector("a/b", "b.pkt", "0 close(3) = 0\n+0 < S 0:0(0) win 1 <maximum 5>\n").expect_err("no such option");
    let mut drawn = String::new();
    miette::NarratableReportHandler::new().render_report(&mut drawn, &*error).unwrap();
    insta::assert_snapshot!(drawn);
}

#[test]
fn nothing_panics() {
    let mut random = common::Random::new(1);
    let seeds: Vec<&str> = golden().iter().map(|g| g.text.as_str()).collect();
    let pieces =
        ["+0 ", "< ", "> ", "S. ", "{rcv_nxt", "}", "(0)", "ack ", "win 1", "[", "]", "\"", "\\", "/*", "//@", ":", "\n", "é", "=", "-1 E"];
    for round in 0..20_000 {
        let mut text = String::new();
        if round % 2 == 0 && !seeds.is_empty() {
            let mut octets = seeds[random.below(seeds.len())].as_bytes().to_vec();
            for _ in 0..=random.below(4) {
                let at = random.below(octets.len());
                match random.below(3) {
                    0 => octets[at] = u8::try_from(random.below(256)).unwrap(),
                    1 => octets.truncate(at.max(1)),
                    _ => {
                        let piece = pieces[random.below(pieces.len())];
                        octets.splice(at..at, piece.bytes());
                    }
                }
            }
            text = String::from_utf8_lossy(&octets).into_owned();
        } else {
            for _ in 0..random.below(30) {
                text.push_str(pieces[random.below(pieces.len())]);
            }
        }
        if let Ok(vector) = parse::vector("a/b", "b.pkt", &text) {
            let printed = print::vector(&vector);
            let again = parse::vector("a/b", "b.pkt", &printed).unwrap_or_else(|e| panic!("{e}\n{printed}\nfrom\n{text}"));
            assert_eq!(unlined(vector), unlined(again), "{text}");
        }
        let _ = template::vectors("a/b", "b.pkt.tmpl", &text);
    }
}

#[test]
fn a_template_is_a_grid() {
    let text = "//@ title: ${flag} in ${state}\n//@ for: state = A B\n//@ for: flag|name = .|ack S|syn\n0 < ${flag} 0:0(0) win 1\n";
    let cells = template::expand("x/y", "y.pkt.tmpl", text).unwrap();
    let ids: Vec<&str> = cells.iter().map(|cell| cell.id.as_str()).collect();
    assert_eq!(ids, ["x/y@A,.", "x/y@A,S", "x/y@B,.", "x/y@B,S"]);
    assert_eq!(cells[1].text, "//@ title: S in A\n0 < S 0:0(0) win 1\n");
    for bad in ["//@ for: flag\n", "//@ for: flag = \n", "//@ for: a|b = x\n", "//@ for: a = b\n${c}\n", "//@ for: a = ${a}\n${a}\n"] {
        template::expand("x/y", "y.pkt.tmpl", bad).expect_err(bad);
    }
}

/// Steps and errors of a template's vectors name the file and its own lines.
#[test]
fn a_templates_lines_are_the_files() {
    let text = "//@ title: ${name}\n//@ for: state = ESTABLISHED CLOSE-WAIT\n//@ for: last = 1 2\n${preamble}\n\n+0   < . 1:1(0) ack 1 win ${last}\n";
    let vectors = template::vectors("x/y", "y.pkt.tmpl", text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(vectors.len(), 4);
    for vector in &vectors {
        let lines: Vec<u32> = vector.steps.iter().map(|s| s.line).collect();
        assert!(lines.len() > 5 && lines[..lines.len() - 1].iter().all(|l| *l == 4), "{}: {lines:?}", vector.id);
        assert_eq!(lines.last(), Some(&6), "{}", vector.id);
    }

    let head = "//@ title: a test\n//@ for: flags = S Q\n";
    for (steps, place, underlined) in [
        // A line that stands as it is, behind a removed one and behind one of many lines.
        ("0    close(3)\n+0   clse(3)\n", "y.pkt.tmpl:4:6: ", "clse"),
        ("//@ for: state = ESTABLISHED\n${preamble}\n+0   clse(3)\n", "y.pkt.tmpl:5:6: ", "clse"),
        // A line that a value has spoiled.
        ("0    close(3)\n+0   < ${flags} 0:0(0) win 1\n", "y.pkt.tmpl:4:1: ", "+0   < ${flags} 0:0(0) win 1"),
        ("0    close(3)\n+0   < ${flag} 0:0(0) win 1\n", "y.pkt.tmpl:4:8: `flag` has no value", "${flag}"),
        ("//@ for: flags = 1 2\n0    close(3)\n", "y.pkt.tmpl:3:1: `flags` is a parameter already", "//@ for: flags = 1 2"),
        ("//@ for: a|a = 1|2\n0    close(3)\n", "y.pkt.tmpl:3:1: `a` is a parameter already", "//@ for: a|a = 1|2"),
        ("//@ for: a = 1|2\n0    close(3)\n", "y.pkt.tmpl:3:1: not a parameter", "//@ for: a = 1|2"),
    ] {
        let error = template::vectors("x/y", "y.pkt.tmpl", &format!("{head}{steps}")).expect_err(steps);
        assert!(error.to_string().starts_with(place), "{error}\n{steps}");
        assert_eq!(error.offending(), underlined, "{error}\n{steps}");
    }
    let error = template::vectors("x/y", "y.pkt.tmpl", &format!("{head}0 < ${{flags}} 0:0(0) win 1\n")).expect_err("no flag Q");
    assert!(error.help.contains("in x/y@Q it is `0 < Q 0:0(0) win 1`"), "{}", error.help);
}

//! Examines an adapter of the target protocol: what its author got wrong, and how to mend it.
//!
//! Only the adapter's part is looked at. Whether the stack behind it keeps TCP's rules is what vectors are for.

mod driver;

use std::time::Duration;

use tcp_reference::api::Family;
use tcp_reference::segment::{Flags, Segment};
use tcp_reference::seq::Seq;

use self::driver::{Connected, Driver, Ends, PORT, Wrong, segments, text};
use crate::protocol::{CALLS, ClockName, Identity, Octets, Options, Request, Version};

/// What came of one check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// What was looked at.
    pub what: &'static str,
    /// How it went.
    pub found: Found,
    /// How to mend it.
    pub remedy: &'static str,
}

/// How a check went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// As it should be.
    Right,
    /// Not so: what was seen.
    Wrong(String),
    /// It could not be looked at: why.
    Skipped(String),
}

/// What a check does with a fresh stack.
type Look = fn(&mut Driver) -> Result<(), Wrong>;

/// One check: what is looked at, the calls that it needs, how, and the remedy.
const CHECKS: &[(&str, &[&str], Look, &str)] = &[
    (
        "hello says what the target is",
        &[],
        identity,
        "name the stack in lower-case letters, digits and hyphens, the IP versions it has, and under \"calls\" only calls of the protocol",
    ),
    (
        "an operation that nobody knows is unsupported",
        &[],
        unknown_operation,
        "answer {\"unsupported\":true} to every \"op\" that the adapter does not know: later versions of the harness may ask more",
    ),
    (
        "a line that is no request is invalid",
        &[],
        ill_formed,
        "answer {\"error\":\"invalid\"} to what is not JSON, lacks a field, or has octets that are not an even number of hexadecimal digits",
    ),
    (
        "fields that nobody knows are ignored",
        &[],
        unknown_fields,
        "look only for the fields that the operation has, and pass over all others",
    ),
    (
        "reset gives a fresh stack",
        &["listen"],
        fresh,
        "at \"reset\" forget every socket and port and start the clock at 0; where the stack lives in globals, start the program again (exec)",
    ),
    (
        "a listener listens",
        &["listen", "accept", "state"],
        listener,
        "state of a listener is LISTEN; accept with nobody waiting is would-block; a second listener on its port is address-in-use",
    ),
    (
        "a socket id that was never given is invalid",
        &[],
        unknown_socket,
        "answer {\"error\":\"invalid\"} to calls on ids that were not given since the last reset",
    ),
    (
        "a handshake over IPv4, and its answer in the same response",
        &["listen", "accept"],
        |driver| handshake(driver, Family::V4),
        "a response comes when the stack has settled: run its input and its timers that are due until nothing more comes out, then answer",
    ),
    (
        "a handshake over IPv6, and its answer in the same response",
        &["listen", "accept"],
        |driver| handshake(driver, Family::V6),
        "give the stack the second address of \"local\" with its /64 and a default route, or leave 6 out of \"families\"; switch neighbour \
         discovery and duplicate address detection off",
    ),
    (
        "octets go in and out as they are",
        &["listen", "accept", "send", "recv"],
        octets,
        "recv gives what has come, in order, and would-block where there is nothing; send answers how many octets were taken, and what leaves at \
         once is in \"packets\" of the same response",
    ),
    (
        "the end of the stream, and closing",
        &["listen", "accept", "recv", "shutdown"],
        closing,
        "recv is {\"eof\":true} once all was read and the peer has closed; shutdown \"write\" sends the FIN; state never fails for an id that was \
         given, and says CLOSED when the connection is gone",
    ),
    (
        "what a connection ended by is the answer of every later call",
        &["connect", "recv"],
        refused,
        "remember what ended the connection where the stack tells it once, and answer it to each send and recv",
    ),
    (
        "abort sends a reset, and close and abort can be called again",
        &["listen", "accept", "abort", "close"],
        aborting,
        "after close or abort the id serves state; close, abort and shutdown answer {} from then on",
    ),
    (
        "nothing comes without input or time",
        &["listen", "accept", "send"],
        settled,
        "before answering let the stack run until it has nothing more to send: an empty deliver right after an answer must bring no packets",
    ),
    (
        "the clock, and the next timer",
        &["connect"],
        clock,
        "advance moves the clock by exactly \"us\" and fires every timer at its own time; \"next_timer_us\" is the earliest time at which anything \
         can happen without input: give the true one, null for none, or leave it out",
    ),
    (
        "the same seed and requests give the same octets",
        &["connect"],
        repeatable,
        "draw every random number of the stack (ISN, ports, timestamps, hash keys) from the seed of \"reset\", and use no clock but the protocol's; \
         or say \"repeatable\":false in hello",
    ),
];

/// What is looked at when the adapter's input ends.
const END: (&str, &str) = ("the end of its input ends it", "end with status 0 when standard input ends, so that nothing is left behind");

/// Examines the adapter that a command starts.
#[must_use]
pub fn examine(words: &[String], limit: Duration) -> (Option<Identity>, Vec<Check>) {
    let mut checks = Vec::new();
    let start = ("it starts and answers hello", "print one line for each line read, flushed, and nothing else on standard output");
    let mut driver = match Driver::start(words, limit) {
        Ok(driver) => driver,
        Err(why) => return (None, vec![Check { what: start.0, found: Found::Wrong(why), remedy: start.1 }]),
    };
    checks.push(Check { what: start.0, found: Found::Right, remedy: start.1 });
    let identity = driver.identity.clone();
    for &(what, calls, look, remedy) in CHECKS {
        let lacking: Vec<&str> = calls.iter().copied().filter(|c| !driver.has(c)).collect();
        let found = if lacking.is_empty() {
            match driver.reset(7).and_then(|()| look(&mut driver)) {
                Ok(()) => Found::Right,
                Err(why) if [NO_SUCH_FAMILY, OWN_FIN, RESET_IGNORED].contains(&why.as_str()) => Found::Skipped(why),
                Err(why) => Found::Wrong(why),
            }
        } else {
            Found::Skipped(format!("the stack has no {}", lacking.join(", ")))
        };
        // Whatever went wrong, the next check begins with a fresh adapter.
        if matches!(found, Found::Wrong(_)) {
            match Driver::start(words, limit) {
                Ok(again) => driver = again,
                Err(why) => {
                    checks.push(Check { what, found, remedy });
                    checks.push(Check { what: start.0, found: Found::Wrong(format!("started again: {why}")), remedy: start.1 });
                    return (Some(identity), checks);
                }
            }
        }
        checks.push(Check { what, found, remedy });
    }
    let found = driver.end().map_or_else(Found::Wrong, |()| Found::Right);
    checks.push(Check { what: END.0, found, remedy: END.1 });
    (Some(identity), checks)
}

const NO_SUCH_FAMILY: &str = "the stack does not have this IP version";
const OWN_FIN: &str = "the stack closes of itself when the peer does: what its user is told then is for the vectors to judge";
const RESET_IGNORED: &str = "the stack goes on opening when it is refused: whether it may is for the vectors to judge";

fn identity(driver: &mut Driver) -> Result<(), Wrong> {
    let Identity { name, families, calls, tick_us, .. } = &driver.identity;
    let fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(fit) {
        return Err(format!("the name is {name:?}"));
    }
    if families.is_empty() {
        return Err("there are no \"families\"".to_owned());
    }
    if let Some(call) = calls.iter().find(|c| !CALLS.contains(&c.as_str())) {
        return Err(format!("there is no call {call:?}: there are {}", CALLS.join(", ")));
    }
    if *tick_us == 0 || *tick_us > 1_000_000 {
        return Err(format!("\"tick_us\" is {tick_us}: it is the least step of the clock, from 1 us to 1 s"));
    }
    Ok(())
}

fn unknown_operation(driver: &mut Driver) -> Result<(), Wrong> {
    answers(driver, r#"{"op":"levitate","height":3}"#, "\"unsupported\":true")
}

fn ill_formed(driver: &mut Driver) -> Result<(), Wrong> {
    for line in ["levitate", r#"{"op":"deliver"}"#, r#"{"op":"deliver","packets":["4x"]}"#, r#"{"op":"deliver","packets":["450"]}"#] {
        answers(driver, line, "\"error\":\"invalid\"")?;
    }
    // And it is still there.
    driver.done(&Request::Deliver { packets: Vec::new() }).map(drop)
}

fn answers(driver: &mut Driver, line: &str, wanted: &str) -> Result<(), Wrong> {
    let answer = driver.raw(line)?;
    let squeezed: String = answer.split_whitespace().collect();
    if squeezed.contains(wanted) { Ok(()) } else { Err(format!("{answer:?} in answer to {line:?}, where {{{wanted}}} is asked for")) }
}

fn unknown_fields(driver: &mut Driver) -> Result<(), Wrong> {
    let answer = driver.raw(r#"{"op":"deliver","packets":[],"colour":{"of":["the","cable"]}}"#)?;
    if answer.contains("\"error\"") || answer.contains("\"unsupported\"") {
        return Err(format!("{answer:?} in answer to a deliver with a field \"colour\""));
    }
    Ok(())
}

/// The first IP version that the stack has.
fn first_family(driver: &Driver) -> Family {
    driver.identity.families.first().copied().map_or(Family::V4, Into::into)
}

fn fresh(driver: &mut Driver) -> Result<(), Wrong> {
    let family = first_family(driver);
    for _ in 0..2 {
        driver.reset(7)?;
        driver.listen(family)?;
        driver.advance(driver.identity.tick_us.saturating_mul(10))?;
    }
    Ok(())
}

fn listener(driver: &mut Driver) -> Result<(), Wrong> {
    let family = first_family(driver);
    let socket = driver.listen(family)?;
    driver.state(socket, &["LISTEN"])?;
    driver.fails(&Request::Accept { socket }, &["would-block"])?;
    let again = Request::Listen { port: PORT, family: family.into(), backlog: 8, options: Options::default() };
    let response = driver.ask(&again)?;
    match (response.error.as_deref(), response.socket) {
        // "Unless the stack allows it."
        (Some("address-in-use"), _) | (None, Some(_)) => Ok(()),
        (error, _) => Err(format!("{error:?} for a second listener on the port")),
    }
}

fn unknown_socket(driver: &mut Driver) -> Result<(), Wrong> {
    let socket = 4_000_000_000;
    for (call, request) in [
        ("recv", Request::Recv { socket, max: 10 }),
        ("send", Request::Send { socket, data: Octets(b"x".to_vec()), urgent: false }),
        ("state", Request::State { socket }),
        ("close", Request::Close { socket }),
    ] {
        if driver.has(call) {
            driver.fails(&request, &["invalid"])?;
        }
    }
    Ok(())
}

fn handshake(driver: &mut Driver, family: Family) -> Result<(), Wrong> {
    if !driver.identity.families.contains(&Version::from(family)) {
        return Err(NO_SUCH_FAMILY.to_owned());
    }
    let listener = driver.listen(family)?;
    let first = driver.established(Ends::of(family, 40_000), listener)?;
    let second = driver.established(Ends::of(family, 40_001), listener)?;
    if first.socket == second.socket || first.socket == listener {
        return Err(format!("two sockets have the id {}", first.socket));
    }
    Ok(())
}

/// A connection over the first IP version.
fn connection(driver: &mut Driver) -> Result<(Ends, Connected), Wrong> {
    let family = first_family(driver);
    let listener = driver.listen(family)?;
    let ends = Ends::of(family, 40_000);
    Ok((ends, driver.established(ends, listener)?))
}

fn octets(driver: &mut Driver) -> Result<(), Wrong> {
    let (ends, at) = connection(driver)?;
    let recv = Request::Recv { socket: at.socket, max: 65_536 };
    driver.fails(&recv, &["would-block"])?;
    let text: Vec<u8> = (0..=255).collect();
    driver.deliver(ends, &Segment::pure_ack(at.peer, at.stack).with_window(8000).with_text(&text))?;
    let got = driver.done(&Request::Recv { socket: at.socket, max: 100 })?.data.unwrap_or_default().0;
    let rest = driver.done(&recv)?.data.unwrap_or_default().0;
    if got.len() != 100 || [got, rest].concat() != text {
        return Err("256 octets came in, and two recvs of at most 100 and 65536 octets gave others".to_owned());
    }
    driver.fails(&recv, &["would-block"])?;
    let response = driver.done(&Request::Send { socket: at.socket, data: Octets(b"hello".to_vec()), urgent: false })?;
    if response.count != Some(5) {
        return Err(format!("\"count\" is {:?} for 5 octets into an empty buffer", response.count));
    }
    let sent: Vec<u8> = segments(&response).into_iter().flat_map(|s| s.payload).collect();
    if sent == b"hello" { Ok(()) } else { Err(format!("5 octets were written, and {} left in the same response", sent.len())) }
}

fn closing(driver: &mut Driver) -> Result<(), Wrong> {
    let (ends, at) = connection(driver)?;
    let socket = at.socket;
    driver.deliver(ends, &Segment::pure_ack(at.peer, at.stack).with_window(8000).with_text(b"end"))?;
    let recv = Request::Recv { socket, max: 65_536 };
    if driver.done(&recv)?.data.unwrap_or_default().0 != b"end" {
        return Err("the octets before the peer's FIN were not given".to_owned());
    }
    let answer = driver.deliver(ends, &Segment::fin(at.peer + 3, at.stack).with_window(8000))?;
    if answer.iter().any(Segment::is_fin) {
        return Err(OWN_FIN.to_owned());
    }
    for _ in 0..2 {
        if !driver.done(&recv)?.eof {
            return Err("recv behind the peer's FIN gave no \"eof\"".to_owned());
        }
    }
    driver.state(socket, &["CLOSE-WAIT"])?;
    let response = driver.done(&Request::Shutdown { socket, how: crate::protocol::How::Write })?;
    if !segments(&response).iter().any(Segment::is_fin) {
        return Err("shutdown \"write\" put no FIN into \"packets\" of its response".to_owned());
    }
    driver.state(socket, &["LAST-ACK"])?;
    driver.deliver(ends, &Segment::pure_ack(at.peer + 4, at.stack + 1).with_window(8000))?;
    driver.state(socket, &["CLOSED"])?;
    driver.state(socket, &["CLOSED"])
}

fn refused(driver: &mut Driver) -> Result<(), Wrong> {
    let (connect, family) = connecting(driver);
    let response = driver.done(&connect)?;
    let socket = response.socket.ok_or("\"connect\" gave no \"socket\"")?;
    let Some(syn) = segments(&response).into_iter().find(Segment::is_syn) else {
        return Err("\"connect\" put no SYN into \"packets\" of its response".to_owned());
    };
    driver.state(socket, &["SYN-SENT"])?;
    let recv = Request::Recv { socket, max: 10 };
    driver.fails(&recv, &["would-block"])?;
    let side = Ends::of(family, REMOTE_PORT);
    let ends = Ends { stack: std::net::SocketAddr::new(side.stack.ip(), LOCAL_PORT), ..side };
    driver.deliver(ends, &Segment::control(Seq(0), Flags::RST).with_ack(syn.seq + 1))?;
    if driver.state(socket, &["SYN-SENT"]).is_ok() {
        return Err(RESET_IGNORED.to_owned());
    }
    // A stack may have no more than an end of the stream for this, which the vectors judge: here it has to be the same again.
    let eof = driver.ask(&recv)?.eof;
    for _ in 0..2 {
        if !eof || !driver.ask(&recv)?.eof {
            driver.fails(&recv, &["refused", "reset"])?;
        }
    }
    driver.state(socket, &["CLOSED"])
}

fn connecting(driver: &Driver) -> (Request, Family) {
    let family = first_family(driver);
    (Request::Connect { port: LOCAL_PORT, remote_port: REMOTE_PORT, family: family.into(), options: Options::default() }, family)
}

fn aborting(driver: &mut Driver) -> Result<(), Wrong> {
    let (_, at) = connection(driver)?;
    let socket = at.socket;
    let response = driver.done(&Request::Abort { socket })?;
    if !segments(&response).iter().any(Segment::is_rst) {
        return Err("abort put no RST into \"packets\" of its response".to_owned());
    }
    driver.state(socket, &["CLOSED", "TIME-WAIT"])?;
    for request in [Request::Abort { socket }, Request::Close { socket }, Request::Close { socket }] {
        driver.done(&request)?;
    }
    driver.state(socket, &["CLOSED", "TIME-WAIT"])
}

fn settled(driver: &mut Driver) -> Result<(), Wrong> {
    let (ends, at) = connection(driver)?;
    let stimuli = [
        Request::Send { socket: at.socket, data: Octets(vec![7; 3000]), urgent: false },
        Request::Deliver { packets: vec![datagram(ends, &Segment::pure_ack(at.peer, at.stack + 3000).with_window(8000).with_text(b"x"))?] },
    ];
    for stimulus in stimuli {
        driver.done(&stimulus)?;
        let after = driver.done(&Request::Deliver { packets: Vec::new() })?;
        if !after.packets.is_empty() && driver.identity.clock == ClockName::Virtual {
            return Err(format!("{} packets came without input or time behind the answer to {}", after.packets.len(), text(&stimulus)?));
        }
    }
    Ok(())
}

fn datagram(ends: Ends, segment: &Segment) -> Result<Octets, Wrong> {
    crate::wire::build(ends.peer, ends.stack, segment).map(Octets).map_err(|e| e.to_string())
}

fn clock(driver: &mut Driver) -> Result<(), Wrong> {
    let (connect, _) = connecting(driver);
    let tick = driver.identity.tick_us.max(1);
    if driver.identity.clock == ClockName::Real {
        let began = std::time::Instant::now();
        driver.advance(50_000)?;
        let took = began.elapsed();
        return if took < Duration::from_millis(45) { Err(format!("50 ms on a real clock were over after {took:?}")) } else { Ok(()) };
    }
    // The SYN goes unanswered: it is sent again, at the same times however the clock gets there.
    let in_one = unanswered(driver, &connect, PATIENCE)?;
    if in_one.is_empty() {
        return Err("a SYN went unanswered for 8 s, and was not sent again: do timers fire within \"advance\"?".to_owned());
    }
    let in_steps = unanswered(driver, &connect, 250_000)?;
    if in_one != in_steps {
        return Err(format!(
            "an unanswered SYN was sent again at {in_one:?} us in one step of the clock, and at {in_steps:?} us in steps of 250 ms"
        ));
    }
    driver.reset(7)?;
    let Some(Some(timer)) = driver.done(&connect)?.next_timer_us else { return Ok(()) };
    let before = timer.saturating_sub(tick) / tick * tick;
    if before > 0 {
        let early = driver.advance(before)?;
        if !early.packets.is_empty() {
            return Err(format!("\"next_timer_us\" was {timer}, and something was sent by {before} us"));
        }
    }
    Ok(())
}

/// How long a SYN goes unanswered, microseconds: RFC 6298 (2.1) has it sent again after a second, older stacks after three or six.
const PATIENCE: u64 = 8_000_000;

/// When an unanswered SYN is sent again within [`PATIENCE`], the clock moving by `step` at a time.
fn unanswered(driver: &mut Driver, connect: &Request, step: u64) -> Result<Vec<u64>, Wrong> {
    driver.reset(7)?;
    driver.done(connect)?;
    let mut at = Vec::new();
    while driver.now < PATIENCE {
        at.extend(driver.advance(step)?.packets.iter().map(|p| p.us));
    }
    at.retain(|us| *us <= PATIENCE);
    Ok(at)
}

fn repeatable(driver: &mut Driver) -> Result<(), Wrong> {
    if !driver.identity.repeatable {
        return Ok(());
    }
    let (connect, _) = connecting(driver);
    let mut runs = Vec::new();
    for _ in 0..2 {
        driver.reset(99)?;
        driver.done(&connect)?;
        driver.advance(2_000_000)?;
        runs.push(driver.lines.clone());
    }
    let differs = runs[0].iter().zip(&runs[1]).find(|(a, b)| a != b);
    match differs {
        None => Ok(()),
        Some((a, b)) => Err(format!("the same seed and requests gave\n    {a}\n  and\n    {b}")),
    }
}

/// The ports of an active OPEN.
const LOCAL_PORT: u16 = 49_152;
const REMOTE_PORT: u16 = 80;

//! The target `raw:` over a link between two network namespaces that the test makes: the kernel at one end, with `harness agent`, the harness
//! at the other.
//!
//! Where no such link can be made these tests say so and pass, but for `REQUIRE_KERNEL`; `harness doctor` says what is missing.

#![cfg(target_os = "linux")]

#[path = "common/kernel.rs"]
mod missing;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::Value;
use tcp_harness::targets::linux::bed::{Bed, CONTROL, DEVICE, Room};

const BIN: &str = env!("CARGO_BIN_EXE_harness");
const V4: &str = "stack=192.0.2.1/24,peer=192.0.2.2";
const V6: &str = "stack=2001:db8::1/64,peer=2001:db8::2";

#[track_caller]
fn bed() -> Option<Bed> {
    missing::present(Bed::new())
}

/// A process in a room, which ends with it.
struct Process(Child);

impl Process {
    fn start(room: &Room, args: &[&str]) -> Process {
        Process::start_as(room, &[], args)
    }

    /// With fewer rights, as `setpriv` takes them.
    fn start_as(room: &Room, rights: &[&str], args: &[&str]) -> Process {
        let args: Vec<String> = ["--pdeathsig", "KILL"].iter().chain(rights).chain(&[BIN]).chain(args).map(|a| (*a).to_owned()).collect();
        let spawn = move || {
            let mut command = Command::new("setpriv");
            command.args(args).env("NO_COLOR", "1");
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
        };
        Process(room.run(spawn).expect("the room is there").expect("the command starts (setpriv is util-linux's)"))
    }

    /// What it gives, once it has ended.
    fn output(mut self) -> Output {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (mut stdout, mut stderr) = (self.0.stdout.take().expect("piped"), self.0.stderr.take().expect("piped"));
        std::thread::scope(|scope| {
            scope.spawn(|| std::io::copy(&mut stderr, &mut err));
            std::io::copy(&mut stdout, &mut out).expect("is read");
        });
        Output { status: self.0.wait().expect("ends"), stdout: out, stderr: err }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A bed with an agent at the stack's end.
struct Agent {
    bed: Bed,
    process: Process,
    port: u16,
    /// The settings that it would have otherwise, path and value.
    advice: Vec<(String, String)>,
}

impl Agent {
    fn start(bed: Bed) -> Agent {
        let mut process = Process::start(&bed.stack, &["agent", "--listen", &format!("{CONTROL}:0")]);
        let mut line = String::new();
        BufReader::new(process.0.stdout.as_mut().expect("piped")).read_line(&mut line).expect("is read");
        let port = line.trim().rsplit(':').next().and_then(|p| p.parse().ok());
        let port = port.unwrap_or_else(|| panic!("the agent says {line:?}"));
        // It names them before it listens; what it says from now on is not read, and much less than a pipe holds.
        let mut said = vec![0; 1 << 16];
        let errors = process.0.stderr.as_mut().expect("piped");
        let said = if is_readable(errors) { errors.read(&mut said).map(|n| text(&said[..n])).expect("is read") } else { String::new() };
        let words = said.split_whitespace().filter_map(|w| w.strip_prefix("net/")?.split_once('='));
        let advice = words.map(|(path, value)| (path.to_owned(), value.to_owned())).collect();
        Agent { bed, process, port, advice }
    }

    fn target(&self) -> String {
        format!("raw:{DEVICE},{V4},{V6},agent={CONTROL}:{}", self.port)
    }
}

fn is_readable(fd: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).expect("polls") > 0
}

fn harness(bed: &Bed, args: &[&str]) -> Output {
    Process::start(&bed.peer, args).output()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// The settings that the agent names, as anyone would set them who runs it.
fn as_advised(bed: Bed) -> Agent {
    let agent = Agent::start(bed);
    let advice = agent.advice.clone();
    assert!(advice.iter().any(|(path, ..)| path == "ipv4/tcp_invalid_ratelimit"), "the kernel throttles by itself: {advice:?}");
    for (path, value) in &advice {
        agent.bed.stack.set(path, value).expect("is set");
    }
    let agent = Agent::start(agent.bed);
    assert_eq!(agent.advice, []);
    agent
}

fn ready() -> Option<Bed> {
    let bed = bed()?;
    bed.finish_segments().expect("the kernel has ethtool's netlink");
    Some(bed)
}

#[track_caller]
fn check(output: &Output, code: i32, says: &str) {
    let all = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{all}");
    assert!(all.contains(says), "it does not say {says:?}:\n{all}");
    assert!(!all.contains("panicked"), "{all}");
}

fn classes(output: &Output) -> BTreeMap<String, BTreeSet<String>> {
    let document: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}{}", text(&output.stdout), text(&output.stderr)));
    let mut classes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for result in document["results"].as_array().expect("results") {
        let word = |field: &str| result[field].as_str().unwrap_or_default().to_owned();
        classes.entry(word("class")).or_default().insert(word("id"));
    }
    classes
}

/// The kernel gives the verdicts that it gives over TUN: what is known of it happens, and nothing else.
#[track_caller]
fn as_over_tun(family: &str) {
    let Some(bed) = ready() else { return };
    let agent = as_advised(bed);
    let target = agent.target();
    let mut args = vec!["--target", &target, "--family", family, "--format", "json"];
    args.extend(SOME);
    let output = harness(&agent.bed, &args);
    check(&output, 0, "\"name\": \"linux-kernel\"");
    let classes = classes(&output);
    let all: usize = classes.values().map(BTreeSet::len).sum();
    assert!(all > 60, "{all} vectors");
    let unsupported = classes.get("unsupported").cloned().unwrap_or_default();
    assert!(unsupported.iter().all(|id| id.starts_with("reset/closed-port-from-")), "{unsupported:?}");
    for class in ["not-performed", "inconclusive"] {
        assert_eq!(classes.get(class), None);
    }
}

/// Vectors that wait for nothing long.
const SOME: [&str; 10] = [
    "http",
    "handshake/*open*",
    "teardown/*close*",
    "reset/closed-port-*",
    "reset/listen-*",
    "reset/rst-exact*",
    "reset/abort*",
    "icmp/*hard*",
    "timestamps/*without*",
    "scaling/edge-rounds",
];

#[test]
fn the_kernel_as_over_tun_ipv4() {
    as_over_tun("4");
}

#[test]
fn the_kernel_as_over_tun_ipv6() {
    as_over_tun("6");
}

/// Without an agent nobody makes calls; what needs none is judged all the same.
#[test]
fn by_the_wire_alone() {
    let Some(bed) = ready() else { return };
    let target = format!("raw:{DEVICE},{V4},{V6}");
    let output = harness(&bed, &["--target", &target, "--format", "json", "reset/closed-port-*", "http/short-connection"]);
    check(&output, 0, "\"name\": \"raw\"");
    let classes = classes(&output);
    assert!(classes["conforms"].contains("reset/closed-port-syn"), "{classes:?}");
    let unsupported = ["reset/closed-port-from-broadcast", "reset/closed-port-from-multicast", "reset/closed-port-from-unspecified"];
    let expected = unsupported.into_iter().chain(["http/short-connection"]).map(str::to_owned);
    assert_eq!(classes["unsupported"], expected.collect());
    assert_eq!(classes.len(), 2, "{classes:?}");
}

/// What `TARGETS.md` and `README.md` tell to type.
#[test]
fn the_documented_commands() {
    let Some(bed) = ready() else { return };
    for (manual, command) in [(include_str!("../TARGETS.md"), "harness"), (include_str!("../../README.md"), "cargo run --")] {
        let words = |start: &str| -> Vec<&str> {
            let line = manual.lines().find_map(|l| l.strip_prefix(command)?.strip_prefix(start).map(|_| &l[command.len()..]));
            let line = line.unwrap_or_else(|| panic!("there is no {command}{start}"));
            line.split('#').next().unwrap_or_default().split_whitespace().collect()
        };
        let mut agent = Process::start(&bed.stack, &words(" agent "));
        let mut said = String::new();
        BufReader::new(agent.0.stdout.as_mut().expect("piped")).read_line(&mut said).expect("is read");
        assert!(said.starts_with("listening at "), "{said}");
        let mut args = words(" --target raw:");
        args.push("handshake/passive-open");
        check(&harness(&bed, &args), 0, "results: ");
    }
}

/// What must not be is refused, and says why.
#[test]
fn refusals() {
    let Some(bed) = ready() else { return };
    let refused = |room: &Room, spec: &str, code: i32, says: &str| {
        let output = Process::start(room, &["--target", &format!("raw:{spec}"), "handshake/passive-open"]).output();
        check(&output, code, says);
    };
    let of_peer = |spec: &str, code: i32, says: &str| refused(&bed.peer, spec, code, says);
    of_peer("", 2, "no interface is named");
    of_peer(&format!(",{V4}"), 2, "no interface is named");
    of_peer(V4, 2, "no interface is named");
    of_peer("eth0,stack=192.0.2.1/24,peer=198.51.100.2", 2, "is not within the prefix");
    of_peer(&format!("eth9,{V4}"), 77, "there is no interface eth9");
    of_peer(&format!("lo,{V4}"), 77, "loopback");
    of_peer("eth0,stack=192.0.2.77/24,peer=192.0.2.2", 77, "192.0.2.77 does not answer ARP on eth0");
    of_peer("eth0,stack=2001:db8::77/64,peer=2001:db8::2", 77, "2001:db8::77 does not answer neighbour discovery on eth0");
    of_peer("eth0,stack=198.51.100.1/24,peer=198.51.100.2", 77, "this host's own address, on ctl0");
    of_peer(&format!("eth0,{V4},agent={CONTROL}:9"), 77, "no agent at 198.51.100.1:9");
    refused(&bed.stack, "eth0,stack=192.0.2.2/24,peer=192.0.2.1", 77, "peer=192.0.2.1 is this host's own address, on eth0");
    refused(&bed.stack, &format!("eth0,{V4}"), 77, "stack=192.0.2.1 is this host's own address, on eth0");
    let without = |what: &str, args: &[&str]| Process::start_as(&bed.peer, &["--bounding-set", what], args).output();
    check(&without("-net_raw", &["--target", &format!("raw:eth0,{V4}")]), 77, "give it CAP_NET_RAW");
    check(&without("-net_admin", &["agent"]), 77, "give it CAP_NET_ADMIN");
    bed.add_address("192.0.2.3".parse().expect("an address"), 24).expect("is added");
    of_peer("eth0,stack=192.0.2.1/24,peer=192.0.2.3", 77, "another host on eth0 has the address 192.0.2.3");
    bed.peer.set("ipv4/conf/eth0/forwarding", "1").expect("is set");
    of_peer(&format!("eth0,{V4}"), 77, "sysctl -w net/ipv4/conf/eth0/forwarding=0");
    of_peer(&format!("eth0,{V6}"), 0, "unsupported");
}

/// A stack that leaves its segments to hardware that there is not cannot be judged, and neither can segments that were put together on the way.
#[test]
fn unfinished_segments() {
    let Some(bed) = bed() else { return };
    let agent = Agent::start(bed);
    let target = format!("raw:{DEVICE},{V4},agent={CONTROL}:{}", agent.port);
    check(&harness(&agent.bed, &["--target", &target, "--family", "4", "handshake/passive-open"]), 70, "ethtool -K INTERFACE tx off");
    agent.bed.finish_segments().expect("the kernel has ethtool's netlink");
    check(&harness(&agent.bed, &["--target", &target, "--family", "4", "handshake/passive-open"]), 0, "1 conforms");
}

/// A stack that answers no echo requests is silent when it has sent nothing for a while.
#[test]
fn without_echoes() {
    let Some(bed) = ready() else { return };
    let agent = as_advised(bed);
    agent.bed.stack.set("ipv4/icmp_echo_ignore_all", "1").expect("is set");
    let target = format!("raw:{DEVICE},{V4},agent={CONTROL}:{}", agent.port);
    let output = harness(
        &agent.bed,
        &["--target", &target, "--family", "4", "handshake/passive-open", "http/short-connection", "reset/closed-port-rst@*"],
    );
    check(&output, 0, "192.0.2.1 does not answer echo requests");
    check(&output, 0, "5 results: 5 conforms");
}

/// The agent's own door: one harness at a time, the link's addresses alone, and nothing that is no request.
#[test]
fn the_agents_door() {
    let Some(bed) = ready() else { return };
    let wildcard = Process::start(&bed.stack, &["agent", "--listen", "0.0.0.0:0"]).output();
    check(&wildcard, 2, "no single address of this host");
    let agent = Agent::start(bed);
    let at = SocketAddr::new(CONTROL, agent.port);
    let ask = move |lines: Vec<u8>| {
        let mut stream = TcpStream::connect(at).expect("connects");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("is set");
        // It may have hung up before the end.
        let _gone = stream.write_all(&lines);
        let mut answer = String::new();
        let _reset = BufReader::new(&stream).read_line(&mut answer);
        (answer, stream)
    };
    let hello = |local: &str, remote: &str| {
        let words = format!(r#"{{"op":"hello","protocol":1,"local":["{local}","::"],"remote":["{remote}","::"],"mtu":1500}}"#);
        (words + "\n").into_bytes()
    };
    let first = |lines: Vec<u8>| agent.bed.peer.run(move || ask(lines)).expect("runs");
    for (lines, says) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "the first line has to be a hello"),
        (b"{\"op\":\"reset\",\"seed\":1}\n".to_vec(), "the first line has to be a hello"),
        (hello("192.0.2.9", "192.0.2.2"), "192.0.2.9 is no address of the agent's host"),
        (hello("192.0.2.1", "203.0.113.1"), "203.0.113.1 is not on the link of 192.0.2.1"),
        (hello("192.0.2.1", "198.51.100.1"), "is not on the link"),
        (hello("127.0.0.1", "127.0.0.2"), "is not on the link"),
        (hello("0.0.0.0", "0.0.0.0"), "no addresses are given"),
        (hello("192.0.2.1", "192.0.2.1"), "is an address of the agent's host"),
    ] {
        let (answer, _) = first(lines.clone());
        assert!(answer.contains(says), "{}: {answer}", text(&lines));
    }
    let (_, endless) = first(vec![b'{'; 17 << 20]);
    drop(endless);
    let (answer, alone) = first(hello("192.0.2.1", "192.0.2.2"));
    assert!(answer.contains("linux-kernel"), "{answer}");
    let (answer, _) = first(hello("192.0.2.1", "192.0.2.2"));
    assert!(answer.contains("another harness is connected"), "{answer}");
    // Packets and time are not the agent's.
    let mut alone = BufReader::new(alone);
    for request in [r#"{"op":"deliver","packets":[]}"#, r#"{"op":"advance","us":1}"#, r#"{"op":"dance"}"#] {
        alone.get_mut().write_all(format!("{request}\n").as_bytes()).expect("is written");
        let mut answer = String::new();
        alone.read_line(&mut answer).expect("is read");
        assert_eq!(answer.trim(), r#"{"unsupported":true}"#, "{request}");
    }
}

/// A harness that is killed in the middle of a vector leaves no socket at either end, and the next one is served.
#[test]
fn nothing_remains_after_sigkill() {
    let Some(bed) = ready() else { return };
    let agent = as_advised(bed);
    let target = agent.target();
    let mut killed = Process::start(&agent.bed.peer, &["--target", &target, "http", "teardown/*close*"]);
    let listening = |room: &Room| {
        room.run(|| {
            let table = |name: &str| std::fs::read_to_string(format!("/proc/thread-self/net/{name}")).expect("is read");
            // 8080 in hexadecimal, of listeners and connections alike.
            [table("tcp"), table("tcp6")].concat().matches(":1F90 ").count()
        })
        .expect("runs")
    };
    let packet_sockets = |room: &Room| {
        let table = room.run(|| std::fs::read_to_string("/proc/thread-self/net/packet")).expect("runs");
        table.expect("is read").lines().count() - 1
    };
    soon("the harness is at work", || listening(&agent.bed.stack) > 0 && packet_sockets(&agent.bed.peer) > 0);
    killed.0.kill().expect("is killed");
    killed.0.wait().expect("ends");
    soon("the agent has given up its sockets", || listening(&agent.bed.stack) == 0);
    assert_eq!(packet_sockets(&agent.bed.peer), 0);
    check(&harness(&agent.bed, &["--target", &target, "handshake/passive-open"]), 0, "2 conforms");
}

/// An agent that is gone is no fault of the stack's.
#[test]
fn a_dead_agent_is_no_finding() {
    let Some(bed) = ready() else { return };
    let mut agent = as_advised(bed);
    let running = Process::start(&agent.bed.peer, &["--target", &agent.target(), "http", "handshake/*open*"]);
    let established = |room: &Room| {
        let table = room.run(|| std::fs::read_to_string("/proc/thread-self/net/tcp")).expect("runs").expect("is read");
        table.contains(":1F90 ")
    };
    soon("the harness is at work", || established(&agent.bed.stack));
    agent.process.0.kill().expect("is killed");
    agent.process.0.wait().expect("ends");
    let output = running.output();
    check(&output, 70, "not-performed");
    check(&output, 70, &format!("agent at {CONTROL}:{}", agent.port));
}

/// Waits for what another process is about to do.
#[track_caller]
fn soon(what: &str, is: impl Fn() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

//! The target `raw:` over a link between two network namespaces that the test makes: the kernel at one end, with `harness agent`, the harness
//! at the other.
//!
//! Where no such link can be made these tests say so and pass, but for `REQUIRE_KERNEL`; `harness doctor` says what is missing.

#![cfg(target_os = "linux")]

#[path = "common/kernel.rs"]
mod missing;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tcp_harness::target::TargetError;
use tcp_harness::targets::linux::bed::{Bed, CONTROL, DEVICE, Room};

const BIN: &str = env!("CARGO_BIN_EXE_harness");
const V4: &str = "stack=192.0.2.1/24,peer=192.0.2.2";
const V6: &str = "stack=2001:db8::1/64,peer=2001:db8::2";

#[track_caller]
fn bed() -> Option<Bed> {
    match Bed::new() {
        Ok(bed) => Some(bed),
        Err(TargetError::Unavailable(why)) => {
            missing::is_missing(&why);
            None
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// A process in a room, which ends with it.
struct Process(Child);

impl Process {
    fn start(room: &Room, args: &[&str]) -> Process {
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        let spawn = move || {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", BIN]).args(args).env("NO_COLOR", "1");
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
}

impl Agent {
    fn start(bed: Bed) -> Agent {
        let mut process = Process::start(&bed.stack, &["agent", "--listen", &format!("{CONTROL}:0")]);
        let mut line = String::new();
        BufReader::new(process.0.stdout.as_mut().expect("piped")).read_line(&mut line).expect("is read");
        let port = line.trim().rsplit(':').next().and_then(|p| p.parse().ok());
        Agent { bed, process, port: port.unwrap_or_else(|| panic!("the agent says {line:?}")) }
    }

    fn target(&self) -> String {
        format!("raw:{DEVICE},{V4},{V6},agent={CONTROL}:{}", self.port)
    }
}

fn harness(bed: &Bed, args: &[&str]) -> Output {
    Process::start(&bed.peer, args).output()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// Not a test: runs the command with the arguments of `RAW_ARGS`, to try things.
#[test]
#[ignore = "to try things by hand"]
fn by_hand() {
    let Some(bed) = bed() else { return };
    for (path, value) in SETTINGS {
        bed.stack.set(path, value).expect("sets");
    }
    let agent = Agent::start(bed);
    let words = std::env::var("RAW_ARGS").unwrap_or_default();
    let target = agent.target();
    let mut args = vec!["--target", target.as_str()];
    args.extend(words.split_whitespace());
    let start = Instant::now();
    let output = harness(&agent.bed, &args);
    println!("{}\n{}\n{:?} {:?}", text(&output.stdout), text(&output.stderr), output.status, start.elapsed());
}

/// What the target `linux-kernel` has otherwise, and the agent says so.
const SETTINGS: [(&str, &str); 5] = [
    ("ipv4/tcp_invalid_ratelimit", "0"),
    ("ipv4/tcp_challenge_ack_limit", "2147483647"),
    ("ipv4/tcp_syncookies", "0"),
    ("ipv4/tcp_no_metrics_save", "1"),
    ("ipv4/tcp_congestion_control", "reno"),
];

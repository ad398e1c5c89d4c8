//! The kernel: the same scenarios as every target, and that nothing of it remains.
//!
//! Where the kernel cannot be a target these tests say so and pass, but for `REQUIRE_KERNEL`; `harness doctor` says what is missing.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tcp_harness::target::Target;
use tcp_harness::targets::linux::LinuxKernel;
use tcp_harness::wire::{build, echo_request_into};
use tcp_reference::api::{Call, CallError, CallResult, Family, SetOption};
use tcp_reference::segment::{Flags, Segment, TcpOption};
use tcp_reference::seq::Seq;
use tcp_reference::state::State;

use crate::missing;
use crate::peer::{self, BOTH, PEER_ISS, PEER_PORT, Peer, STACK_PORT};

#[track_caller]
fn kernel() -> Option<LinuxKernel> {
    missing::present(LinuxKernel::new())
}

#[test]
fn scenarios() {
    let Some(mut target) = kernel() else { return };
    for family in BOTH {
        peer::passive_open_data_close(&mut target, family);
        peer::active_open_half_close(&mut target, family);
        peer::endings(&mut target, family);
        peer::abort(&mut target, family);
        peer::backlog(&mut target, family);
    }
}

/// Connections that the user has closed are still told by their state, and TIME-WAIT is not mistaken for the one that reopens it.
#[test]
fn states_after_close() {
    let Some(mut target) = kernel() else { return };
    target.reset(0).expect("resets");
    let mut peer = Peer::new(&mut target, Family::V4);
    let listener = peer.listen();
    peer.handshake();
    let socket = peer.socket(&Call::Accept { socket: listener });
    peer.ok(&Call::Close { socket });
    assert!(peer.next().is_fin());
    assert_eq!(peer.state(socket), State::FinWait1);
    peer.ack += 1;
    peer.send(&peer.pure_ack());
    assert_eq!(peer.state(socket), State::FinWait2);
    peer.send(&Segment::fin(peer.seq, peer.ack).with_window(60_000));
    peer.seq += 1;
    assert_eq!(peer.state(socket), State::TimeWait);
    peer.seen.clear();
    peer.seq += 100_000;
    peer.handshake();
    assert_eq!(peer.state(socket), State::Closed, "another connection has its ends now");
    let again = peer.socket(&Call::Accept { socket: listener });
    assert_eq!(peer.state(again), State::Established);
}

/// What is not an answer is proved not to have been sent, without waiting for it.
#[test]
fn silence_is_proved() {
    let Some(mut target) = kernel() else { return };
    target.reset(0).expect("resets");
    let mut peer = Peer::new(&mut target, Family::V6);
    let start = Instant::now();
    for _ in 0..1000 {
        peer.send(&Segment::rst(Seq(1)));
    }
    assert!(peer.seen.is_empty());
    // A thousand waits of the barrier's one second would take a thousand; however slow the machine, it does not wait.
    assert!(start.elapsed() < Duration::from_secs(200), "{:?}", start.elapsed());
    let reply = target.barrier().expect("answers");
    assert!(reply.packets.is_empty());
}

#[test]
fn options() {
    let Some(mut target) = kernel() else { return };
    target.reset(0).expect("resets");
    let mut peer = Peer::new(&mut target, Family::V4);
    let listener = peer.listen();
    for option in [
        SetOption::Timestamps(false),
        SetOption::Sack(false),
        SetOption::WindowScale(false),
        SetOption::Mss(700),
        SetOption::NoDelay(true),
        SetOption::KeepAlive(Some(2_000_000)),
        SetOption::Timeout(Some(3_000_000)),
    ] {
        peer.ok(&Call::Set { socket: listener, option });
    }
    assert_eq!(peer.call(&Call::Set { socket: listener, option: SetOption::AckDelay(None) }), CallResult::Unsupported);
    let offer = Segment::syn(PEER_ISS)
        .with_option(TcpOption::SackPermitted)
        .with_option(TcpOption::WindowScale(3))
        .with_option(TcpOption::Timestamps { val: 1, ecr: 0 });
    peer.send(&offer);
    assert_eq!(peer.next().options, [TcpOption::Mss(700)]);
}

/// An RST in CLOSE-WAIT is EPIPE to the kernel; it is told as what it is.
#[test]
fn reset_in_close_wait() {
    let Some(mut target) = kernel() else { return };
    target.reset(0).expect("resets");
    let mut peer = Peer::new(&mut target, Family::V4);
    let listener = peer.listen();
    peer.handshake();
    let socket = peer.socket(&Call::Accept { socket: listener });
    peer.send(&Segment::fin(peer.seq, peer.ack).with_window(60_000));
    peer.seq += 1;
    peer.send(&Segment::rst(peer.seq));
    peer.fails(&Call::Send { socket, data: vec![1], urgent: false }, &CallError::Reset);
}

/// Octets that are not IP, and IP that is not TCP, do no harm.
#[test]
fn odd_octets() {
    let Some(mut target) = kernel() else { return };
    target.reset(0).expect("resets");
    for ip in [vec![], vec![0], vec![0x45], vec![0x45; 20], vec![0x60; 40], vec![0xff; 100], vec![0x45; 3000]] {
        let reply = target.deliver(std::slice::from_ref(&ip)).expect("lives");
        assert!(reply.packets.is_empty(), "{ip:?}");
    }
}

/// Thirty-two side by side, each on a thread, with a handshake each: they do not see one another.
#[test]
fn thirty_two_side_by_side() {
    if kernel().is_none() {
        return;
    }
    let mut targets: Vec<LinuxKernel> = (0..32).map(|_| LinuxKernel::new().expect("one more")).collect();
    let inodes: HashSet<u64> = targets.iter().map(LinuxKernel::namespace_inode).collect();
    assert_eq!(inodes.len(), 32);
    assert!(!inodes.contains(&fs::metadata("/proc/self/ns/net").expect("exists").ino()));
    std::thread::scope(|scope| {
        for target in &mut targets {
            scope.spawn(|| {
                target.reset(0).expect("resets");
                let mut peer = Peer::new(target, Family::V4);
                let listener = peer.listen();
                peer.handshake();
                let socket = peer.socket(&Call::Accept { socket: listener });
                assert_eq!(peer.state(socket), State::Established);
            });
        }
    });
    drop(targets);
}

const CHILD: &str = "TCP_HARNESS_TEST_NAMESPACES";

/// Not a test: the child of [`nothing_remains_after_sigkill`]. Says the inodes of its namespaces, and waits to be killed.
#[test]
#[ignore = "run by nothing_remains_after_sigkill"]
fn child_with_namespaces() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let mut targets: Vec<LinuxKernel> = (0..8).map(|_| LinuxKernel::new().expect("one more")).collect();
    for target in &mut targets {
        target.reset(0).expect("resets");
        let mut peer = Peer::new(target, Family::V4);
        let listener = peer.listen();
        peer.handshake();
        peer.socket(&Call::Accept { socket: listener });
        peer.own.set_port(7);
        peer.send(&Segment::control(PEER_ISS, Flags::SYN));
    }
    let inodes: Vec<String> = targets.iter().map(|t| t.namespace_inode().to_string()).collect();
    println!("\ninodes {}", inodes.join(" "));
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn nothing_remains_after_sigkill() {
    if kernel().is_none() {
        return;
    }
    let devices = || fs::read_to_string("/proc/net/dev").expect("exists").lines().map(name_of).collect::<Vec<_>>();
    let before = devices();
    let mut child = Command::new(std::env::current_exe().expect("runs"))
        .args(["--exact", "linux::child_with_namespaces", "--ignored", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let line = lines.map_while(Result::ok).find(|l| l.starts_with("inodes ")).expect("the child is ready");
    let inodes: HashSet<u64> = line.split(' ').skip(1).map(|i| i.parse().expect("a number")).collect();
    assert_eq!(inodes.len(), 8);
    let there = threads_in(&inodes);
    assert_eq!(there.iter().map(|(_, inode)| inode).collect::<HashSet<_>>().len(), 8, "while it lives");
    child.kill().expect("killed");
    child.wait().expect("ends");
    assert_eq!(threads_in(&inodes).intersection(&there).count(), 0, "no thread is left in them");
    assert_eq!(devices(), before);
}

/// The command itself, killed a dozen times at as many moments: while it makes its namespaces, while it runs, at its end.
#[test]
fn nothing_remains_of_the_command_after_sigkill() {
    if kernel().is_none() {
        return;
    }
    let devices = || fs::read_to_string("/proc/net/dev").expect("exists").lines().map(name_of).collect::<Vec<_>>();
    let before = devices();
    let own = fs::metadata("/proc/self/ns/net").expect("exists").ino();
    let mut caught = 0;
    for n in 0..12_u64 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_harness"))
            .args(["--target", "linux-kernel"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let pid = child.id();
        std::thread::sleep(Duration::from_millis(n * n * 5));
        // The last ones are killed for certain while there are namespaces.
        let start = Instant::now();
        let mut inodes = namespaces_of(pid, own);
        while n >= 8 && inodes.is_empty() && start.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(1));
            inodes = namespaces_of(pid, own);
        }
        let there = threads_in(&inodes);
        child.kill().expect("killed");
        child.wait().expect("ends");
        caught += usize::from(!inodes.is_empty());
        assert_eq!(threads_in(&inodes).intersection(&there).count(), 0, "kill {n}: a thread is left in a namespace");
        assert_eq!(devices(), before, "kill {n}");
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "kill {n}: the process is left");
    }
    assert!(caught >= 4, "of 12 kills {caught} met namespaces");
}

/// The network namespaces of a process's threads, without this one.
fn namespaces_of(pid: u32, own: u64) -> HashSet<u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let inodes = threads.filter_map(|thread| fs::metadata(thread.path().join("ns/net")).ok()).map(|m| m.ino());
    inodes.filter(|inode| *inode != own).collect()
}

fn name_of(line: &str) -> String {
    line.split(':').next().unwrap_or_default().trim().to_owned()
}

/// The threads of the machine that are in one of these network namespaces, each with its namespace. The kernel gives the inode of a namespace
/// that is gone to the next one, another test's perhaps: only who was there before and still is has stayed.
fn threads_in(inodes: &HashSet<u64>) -> HashSet<(PathBuf, u64)> {
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let threads = entries(Path::new("/proc")).flat_map(|process| entries(&process.path().join("task")));
    let each = threads.filter_map(|thread| Some((thread.path(), fs::metadata(thread.path().join("ns/net")).ok()?.ino())));
    each.filter(|(_, inode)| inodes.contains(inode)).collect()
}

/// A reset leaves nothing of the run before, whatever state its connections were in, and says so by an RST.
#[test]
fn a_reset_forgets_everything() {
    let Some(mut target) = kernel() else { return };
    for family in BOTH {
        // TIME-WAIT, an orphan in FIN-WAIT-2, one that nobody accepted, a half-open one.
        peer::active_open_half_close(&mut target, family);
        let before = target.namespace_inode();
        let mut peer = Peer::new(&mut target, family);
        peer.own.set_port(PEER_PORT + 1);
        peer.stack.set_port(STACK_PORT + 1);
        let listener = peer.socket(&Call::Listen { port: STACK_PORT + 1, family, backlog: 8 });
        let mut live = Vec::new();
        for n in 1..5 {
            peer.own.set_port(PEER_PORT + n);
            peer.seq = PEER_ISS;
            if n == 4 {
                peer.send(&Segment::syn(peer.seq));
                peer.next();
            } else {
                peer.handshake();
            }
            if n == 1 {
                let socket = peer.socket(&Call::Accept { socket: listener });
                peer.ok(&Call::Close { socket });
                peer.next();
                peer.ack += 1;
                peer.send(&peer.pure_ack());
                assert_eq!(peer.state(socket), State::FinWait2);
            }
            live.push(peer.own);
        }
        peer.target.reset(0).expect("resets");
        for own in live {
            peer.own = own;
            peer.send(&peer.pure_ack());
            assert!(peer.next().is_rst(), "{own}");
        }
        peer.socket(&Call::Listen { port: STACK_PORT, family, backlog: 8 });
        assert_eq!(target.namespace_inode(), before, "only sockets were used");
        // An echo request is not TCP: a new namespace after that.
        let mut echo = Vec::new();
        echo_request_into(&mut echo, target.capabilities().remote[0], target.capabilities().local[0], 1, 1).expect("builds");
        target.deliver(&[echo]).expect("lives");
        target.reset(0).expect("resets");
        assert_ne!(target.namespace_inode(), before);
    }
}

/// Many answers to one request are all there; the device's default queue would drop two thirds of them.
#[test]
fn no_answer_is_lost() {
    let Some(mut target) = kernel() else { return };
    target.reset(0).expect("resets");
    let peer = Peer::new(&mut target, Family::V4);
    let datagram = build(peer.own, peer.stack, &Segment::syn(PEER_ISS)).expect("builds");
    let reply = target.deliver(&vec![datagram; 1500]).expect("lives");
    assert_eq!(reply.packets.len(), 1500);
}

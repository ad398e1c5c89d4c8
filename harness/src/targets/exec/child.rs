//! The adapter's process: lines to its standard input, lines from its standard output, the tail of its standard error.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{self, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::target::TargetError;

/// A running adapter.
pub(crate) struct Child {
    process: process::Child,
    /// `None` once it was closed.
    requests: Option<File>,
    responses: File,
    errors: File,
    /// It may still write to standard error.
    errors_open: bool,
    /// What was read of the responses beyond the last line.
    read: Vec<u8>,
    /// Where in `read` the next line begins.
    from: usize,
    /// The end of what it wrote to standard error.
    tail: Vec<u8>,
}

/// Why there is no line.
#[derive(Debug)]
pub(crate) enum NoLine {
    /// It did not come in time.
    Late,
    /// The process has ended, or closed its standard output.
    Ended,
    /// The line is longer than any response.
    Endless,
    /// The system refused.
    Io(io::Error),
}

impl Child {
    /// Starts a command with its arguments, in a process group of its own.
    ///
    /// # Errors
    /// It could not be started.
    pub(crate) fn start(words: &[String]) -> io::Result<Child> {
        let (program, arguments) = words.split_first().ok_or(ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut process = command.spawn()?;
        let pipes = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(requests), Some(responses), Some(errors)) = pipes else { return Err(ErrorKind::BrokenPipe.into()) };
        Ok(Child {
            process,
            requests: Some(unblocked(requests.into())?),
            responses: unblocked(responses.into())?,
            errors: unblocked(errors.into())?,
            errors_open: true,
            read: Vec::new(),
            from: 0,
            tail: Vec::new(),
        })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Octets of memory that it holds (VmRSS of proc_pid_status(5)).
    pub(crate) fn resident(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
    }

    /// Sends one line and waits for one; neither has its end of line.
    pub(crate) fn exchange(&mut self, line: &[u8], limit: Duration) -> Result<&[u8], NoLine> {
        let deadline = Instant::now() + limit;
        self.send(line, deadline)?;
        self.line(deadline)
    }

    fn send(&mut self, line: &[u8], deadline: Instant) -> Result<(), NoLine> {
        let mut rest = line;
        while !rest.is_empty() {
            let requests = self.requests.as_mut().ok_or(NoLine::Ended)?;
            match requests.write(rest) {
                Ok(n) => rest = &rest[n..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(PollFlags::POLLOUT, deadline)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Err(NoLine::Ended),
                Err(error) => return Err(NoLine::Io(error)),
            }
        }
        Ok(())
    }

    fn line(&mut self, deadline: Instant) -> Result<&[u8], NoLine> {
        self.read.drain(..self.from);
        self.from = 0;
        let mut searched = 0;
        loop {
            if let Some(end) = self.read[searched..].iter().position(|&b| b == b'\n').map(|i| searched + i) {
                self.from = end + 1;
                return Ok(&self.read[..end]);
            }
            searched = self.read.len();
            if searched > LONGEST_LINE {
                return Err(NoLine::Endless);
            }
            self.wait(PollFlags::POLLIN, deadline)?;
            let mut buffer = [0; 16 * 1024];
            match self.responses.read(&mut buffer) {
                Ok(0) => return Err(NoLine::Ended),
                Ok(n) => self.read.extend_from_slice(&buffer[..n]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(NoLine::Io(error)),
            }
        }
    }

    /// Waits until a line can be written or something can be read; what comes on standard error meanwhile is taken.
    fn wait(&mut self, events: PollFlags, deadline: Instant) -> Result<(), NoLine> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX);
            let watched = match &self.requests {
                Some(requests) if events.contains(PollFlags::POLLOUT) => requests.as_fd(),
                _ => self.responses.as_fd(),
            };
            let mut fds = [PollFd::new(watched, events), PollFd::new(self.errors.as_fd(), PollFlags::POLLIN)];
            let counted = if self.errors_open { 2 } else { 1 };
            match poll(&mut fds[..counted], timeout) {
                Ok(0) if left.is_zero() => return Err(NoLine::Late),
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(NoLine::Io(error.into())),
            }
            let [ready, told] = fds.map(|fd| fd.any() == Some(true));
            if told && self.errors_open {
                self.take_errors();
            }
            if ready {
                return Ok(());
            }
        }
    }

    /// Takes what stands on standard error.
    fn take_errors(&mut self) {
        let mut buffer = [0; 4096];
        loop {
            match self.errors.read(&mut buffer) {
                Ok(0) => return self.errors_open = false,
                Ok(n) => {
                    self.tail.extend_from_slice(&buffer[..n]);
                    let surplus = self.tail.len().saturating_sub(TAIL);
                    self.tail.drain(..surplus);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.errors_open &= error.kind() == ErrorKind::WouldBlock,
            }
        }
    }

    /// The last lines of standard error.
    pub(crate) fn last_words(&mut self) -> String {
        self.take_errors();
        String::from_utf8_lossy(&self.tail).trim_end().to_owned()
    }

    /// How it ended, where it does within a time.
    pub(crate) fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + within;
        // Its standard output closes when it ends: there is nothing to be asked for meanwhile.
        let mut buffer = [0; 4096];
        loop {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Some(status);
            }
            match self.responses.read(&mut buffer) {
                Ok(0) => return self.reaped(deadline),
                Ok(_) => {}
                Err(_) => match self.wait(PollFlags::POLLIN, deadline) {
                    Ok(()) => {}
                    Err(_) => return self.process.try_wait().ok().flatten(),
                },
            }
        }
    }

    /// Its exit status, behind the end of its output: the two come all but together.
    fn reaped(&mut self, deadline: Instant) -> Option<ExitStatus> {
        loop {
            match self.process.try_wait() {
                Ok(None) if Instant::now() < deadline => std::thread::yield_now(),
                status => return status.ok().flatten(),
            }
        }
    }

    /// Ends its input, upon which it has to end too (status 0); how it did, where it does within a time.
    pub(crate) fn close(&mut self, within: Duration) -> Option<ExitStatus> {
        self.requests = None;
        self.ended(within)
    }

    /// Ends the process and all that it has started.
    pub(crate) fn kill(&mut self) {
        if let Ok(pid) = i32::try_from(self.process.id()) {
            let _gone = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }

    /// Why there was no response to a request, as the report has it.
    pub(crate) fn obituary(&mut self, why: NoLine, request: &str, limit: Duration) -> TargetError {
        let (crashed, what) = match why {
            NoLine::Late => (false, format!("no answer within {} s", limit.as_secs_f64())),
            NoLine::Endless => (true, format!("a response of more than {LONGEST_LINE} octets without an end of line")),
            NoLine::Io(error) => (true, format!("its pipe failed: {error}")),
            NoLine::Ended => match self.ended(PATIENCE) {
                Some(status) => (true, format!("the adapter ended ({status})")),
                None => (true, "the adapter closed its standard output".to_owned()),
            },
        };
        self.kill();
        let mut text = format!("{what}, asked: {}", shortened(request));
        let words = self.last_words();
        if !words.is_empty() {
            text += &format!("\nits last words on standard error:\n{}", last_lines(&words));
        }
        if crashed { TargetError::Crash(text) } else { TargetError::Hang(text) }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.close(PATIENCE).is_none() {
            self.kill();
        }
    }
}

/// A pipe that never blocks.
fn unblocked(fd: OwnedFd) -> io::Result<File> {
    let flags = OFlag::from_bits_truncate(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(File::from(fd))
}

/// A request or a response as a message has room for it.
pub(crate) fn shortened(line: &str) -> String {
    match line.char_indices().nth(SHORT) {
        Some((cut, _)) => format!("{}… ({} octets)", &line[..cut], line.len()),
        None => line.to_owned(),
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// The longest response, octets: 2000 datagrams of 1500 octets in hexadecimal, and room.
const LONGEST_LINE: usize = 16 << 20;
/// Octets of standard error that are kept.
const TAIL: usize = 8 << 10;
/// Lines of standard error that a report tells.
const LINES: usize = 10;
/// Characters of a request that a message tells.
const SHORT: usize = 200;
/// How long an adapter whose input has ended may take to end.
const PATIENCE: Duration = Duration::from_secs(1);

//! Guards a target in process against hanging: it runs on a thread of its own, which is abandoned when a request takes too long.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use tcp_reference::api::{Call, CallResult, Micros};

use crate::target::{Capabilities, Reply, Target, TargetError};

/// Makes a fresh target.
type Factory = dyn Fn() -> Result<Box<dyn Target>, TargetError> + Send + Sync;

/// A target behind a time limit for each request.
///
/// A thread cannot be killed: after [`TargetError::Hang`] the old one is left to itself and may keep a processor busy until the process
/// ends. The next [`Target::reset`] starts another. Every request crosses to the other thread and back, which costs some microseconds;
/// a fuzz target uses the stack without this.
pub struct Watchdog {
    limit: Duration,
    factory: Arc<Factory>,
    capabilities: Capabilities,
    worker: Option<Worker>,
}

struct Worker {
    requests: Sender<Request>,
    answers: Receiver<Answer>,
}

enum Request {
    Reset(u64),
    Call(Call),
    Deliver(Vec<Vec<u8>>),
    Advance(Micros),
}

enum Answer {
    Started(Result<Capabilities, TargetError>),
    Reset(Result<(), TargetError>),
    Call(Result<Reply<CallResult>, TargetError>),
    Plain(Result<Reply<()>, TargetError>),
}

impl Watchdog {
    /// Starts a target made by `factory`; no request may take longer than `limit`.
    ///
    /// # Errors
    /// What `factory` returned, or [`TargetError::Hang`] when it took too long.
    pub fn new(
        limit: Duration,
        factory: impl Fn() -> Result<Box<dyn Target>, TargetError> + Send + Sync + 'static,
    ) -> Result<Watchdog, TargetError> {
        let factory: Arc<Factory> = Arc::new(factory);
        let (worker, capabilities) = start(&factory, limit)?;
        Ok(Watchdog { limit, factory, capabilities, worker: Some(worker) })
    }

    fn ask(&mut self, request: Request, what: &str) -> Result<Answer, TargetError> {
        let Some(worker) = &self.worker else {
            return Err(TargetError::Hang("it hung before and was not reset since".to_owned()));
        };
        let answer = match worker.requests.send(request) {
            Ok(()) => worker.answers.recv_timeout(self.limit),
            Err(_) => Err(RecvTimeoutError::Disconnected),
        };
        answer.map_err(|reason| {
            self.worker = None;
            match reason {
                RecvTimeoutError::Timeout => TargetError::Hang(format!("no answer to {what} within {:?}", self.limit)),
                RecvTimeoutError::Disconnected => TargetError::Crash(format!("its thread ended during {what}")),
            }
        })
    }
}

impl Target for Watchdog {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn reset(&mut self, seed: u64) -> Result<(), TargetError> {
        if self.worker.is_none() {
            let (worker, capabilities) = start(&self.factory, self.limit)?;
            self.worker = Some(worker);
            self.capabilities = capabilities;
        }
        match self.ask(Request::Reset(seed), "reset")? {
            Answer::Reset(result) => result,
            Answer::Started(_) | Answer::Call(_) | Answer::Plain(_) => Err(crossed()),
        }
    }

    fn call(&mut self, call: &Call) -> Result<Reply<CallResult>, TargetError> {
        match self.ask(Request::Call(call.clone()), "a call")? {
            Answer::Call(result) => result,
            Answer::Started(_) | Answer::Reset(_) | Answer::Plain(_) => Err(crossed()),
        }
    }

    fn deliver(&mut self, datagrams: &[Vec<u8>]) -> Result<Reply<()>, TargetError> {
        match self.ask(Request::Deliver(datagrams.to_vec()), "a delivery")? {
            Answer::Plain(result) => result,
            Answer::Started(_) | Answer::Reset(_) | Answer::Call(_) => Err(crossed()),
        }
    }

    fn advance(&mut self, us: Micros) -> Result<Reply<()>, TargetError> {
        match self.ask(Request::Advance(us), "an advance of the clock")? {
            Answer::Plain(result) => result,
            Answer::Started(_) | Answer::Reset(_) | Answer::Call(_) => Err(crossed()),
        }
    }
}

fn crossed() -> TargetError {
    TargetError::Harness("the watchdog got an answer to another request".to_owned())
}

fn start(factory: &Arc<Factory>, limit: Duration) -> Result<(Worker, Capabilities), TargetError> {
    let (requests, inbox) = channel();
    let (outbox, answers) = channel();
    let factory = Arc::clone(factory);
    let spawned = thread::Builder::new().name("target".to_owned()).spawn(move || serve(&*factory, &inbox, &outbox));
    spawned.map_err(|error| {
        TargetError::Harness(format!("no thread for the target: {error}; allow more processes (ulimit -u) or give fewer --jobs"))
    })?;
    match answers.recv_timeout(limit) {
        Ok(Answer::Started(started)) => Ok((Worker { requests, answers }, started?)),
        Ok(Answer::Reset(_) | Answer::Call(_) | Answer::Plain(_)) => Err(crossed()),
        Err(RecvTimeoutError::Timeout) => Err(TargetError::Hang(format!("it did not start within {limit:?}"))),
        Err(RecvTimeoutError::Disconnected) => Err(TargetError::Crash("its thread ended while it started".to_owned())),
    }
}

/// The worker's loop; ends when the other side is gone.
fn serve(factory: &Factory, inbox: &Receiver<Request>, outbox: &Sender<Answer>) {
    let mut target = match factory() {
        Ok(target) => target,
        Err(error) => {
            let _gone = outbox.send(Answer::Started(Err(error)));
            return;
        }
    };
    if outbox.send(Answer::Started(Ok(target.capabilities().clone()))).is_err() {
        return;
    }
    for request in inbox {
        let answer = match request {
            Request::Reset(seed) => Answer::Reset(target.reset(seed)),
            Request::Call(call) => Answer::Call(target.call(&call)),
            Request::Deliver(datagrams) => Answer::Plain(target.deliver(&datagrams)),
            Request::Advance(us) => Answer::Plain(target.advance(us)),
        };
        if outbox.send(answer).is_err() {
            return;
        }
    }
}

//! The reference stack as a target, whole or with one rule broken on purpose.
//!
//! Between the stack's segments and the harness's datagrams stands the same codec that judges every other target.

use tcp_reference::api::{Call, CallResult, Family, Micros};
use tcp_reference::segment::Tuple;
use tcp_reference::stack::{Mutant, Policy, Stack};
use tcp_reference::trace::WireDefect;

use crate::target::{Capabilities, Clock, NextTimer, Packet, Reply, Target, TargetError};
use crate::targets::{FLOOD, LOCAL, MTU, REMOTE};
use crate::wire::{self, Read};

/// The target's name.
pub const NAME: &str = "reference";
/// What stands before a mutant's name.
pub const MUTANT_PREFIX: &str = "mutant:";

/// The reference stack.
pub struct Reference {
    capabilities: Capabilities,
    policy: Policy,
    mutant: Option<&'static Mutant>,
    stack: Stack,
}

impl Reference {
    /// The reference stack with this policy.
    #[must_use]
    pub fn new(policy: Policy, mutant: Option<&'static Mutant>) -> Reference {
        let name = mutant.map_or_else(|| NAME.to_owned(), |m| format!("{MUTANT_PREFIX}{}", m.name));
        let capabilities = Capabilities {
            name,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            clock: Clock::Virtual,
            repeatable: true,
            families: vec![Family::V4, Family::V6],
            local: LOCAL,
            remote: REMOTE,
            mtu: MTU,
            settings: Vec::new(),
        };
        Reference { capabilities, stack: Stack::new(policy.clone(), mutant, 0), policy, mutant }
    }

    /// The mutant with this name.
    ///
    /// # Errors
    /// [`TargetError::Harness`] where there is none, with the names that come near.
    pub fn mutant(name: &str) -> Result<Reference, TargetError> {
        if let Some(mutant) = Mutant::by_name(name) {
            return Ok(Reference::new((mutant.policy)(), Some(mutant)));
        }
        let near: Vec<&str> =
            Mutant::all().map(|m| m.name).filter(|n| n.split('-').any(|word| name.split('-').any(|w| w == word))).take(5).collect();
        let hint = if near.is_empty() { "`harness list --mutants` lists them".to_owned() } else { format!("near it: {}", near.join(", ")) };
        Err(TargetError::Harness(format!("no mutant is called {name:?}; {hint}")))
    }

    fn reply<T>(&mut self, value: T) -> Result<Reply<T>, TargetError> {
        let departures = self.stack.departures();
        if departures.len() > FLOOD {
            return Err(TargetError::Flood(format!("{} segments for one request", departures.len())));
        }
        let mut packets = Vec::with_capacity(departures.len());
        for d in departures {
            let ip = wire::build(d.tuple.local, d.tuple.remote, &d.segment).map_err(|e| TargetError::Harness(e.to_string()))?;
            packets.push(Packet { from: d.at, at: d.at, ip });
        }
        let next_timer = self.stack.next_timer().map_or(NextTimer::Never, NextTimer::At);
        Ok(Reply { value, packets, now: self.stack.now(), next_timer })
    }
}

impl Target for Reference {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn reset(&mut self, seed: u64) -> Result<(), TargetError> {
        self.stack = Stack::new(self.policy.clone(), self.mutant, seed);
        Ok(())
    }

    fn call(&mut self, call: &Call) -> Result<Reply<CallResult>, TargetError> {
        let value = self.stack.call(call, |family| {
            let i = usize::from(family == Family::V6);
            (LOCAL[i], REMOTE[i])
        });
        self.reply(value)
    }

    fn deliver(&mut self, datagrams: &[Vec<u8>]) -> Result<Reply<()>, TargetError> {
        for datagram in datagrams {
            match wire::read(datagram) {
                Ok(Read::Tcp(tcp)) if !tcp.defects.contains(&WireDefect::BadChecksum) => {
                    self.stack.arrive(Tuple { local: tcp.destination, remote: tcp.source }, &tcp.segment);
                }
                Ok(Read::Icmp(icmp)) => {
                    if let Some((tuple, icmp)) = wire::quoted(&icmp) {
                        self.stack.icmp(tuple, &icmp);
                    }
                }
                Ok(Read::Tcp(_)) | Err(_) => {}
            }
        }
        self.reply(())
    }

    fn advance(&mut self, us: Micros) -> Result<Reply<()>, TargetError> {
        self.stack.advance_to(self.stack.now() + us);
        self.reply(())
    }
}

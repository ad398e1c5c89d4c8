//! The reference stack as a target, whole or with one rule broken on purpose.
//!
//! Between the stack's segments and the harness's datagrams stands the same codec that judges every other target.

use tcp_reference::api::{Call, CallResult, Family, Micros};
use tcp_reference::segment::Tuple;
use tcp_reference::stack::{Fault, Mutant, Policy, Stack};
use tcp_reference::trace::WireDefect;
use tcp_vectors::model::Oddity;

use crate::target::{Capabilities, NextTimer, Packet, Reply, Target, TargetError};
use crate::targets::{LOCAL, REMOTE, bounded, simulated};
use crate::wire::{self, Read, Skipped};

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
        let capabilities = simulated(&name, env!("CARGO_PKG_VERSION"), &[]);
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

    fn fault(&self) -> Option<Fault> {
        self.mutant.map(|m| m.fault)
    }

    fn reply<T>(&mut self, value: T) -> Result<Reply<T>, TargetError> {
        let departures = bounded(self.stack.departures())?;
        let mut packets = Vec::with_capacity(departures.len());
        for d in departures {
            let (from, to) = (d.tuple.local, d.tuple.remote);
            let built = match self.fault() {
                Some(Fault::BadOddChecksum) if d.segment.payload.len() % 2 == 1 => {
                    wire::build_odd(from, to, &d.segment, Oddity::BadChecksum)
                }
                Some(Fault::BadChecksum) => wire::build_odd(from, to, &d.segment, Oddity::BadChecksum),
                Some(Fault::ReservedBits) => wire::build_odd(from, to, &d.segment, Oddity::Reserved(1)),
                _ => wire::build(from, to, &d.segment),
            };
            let ip = built.map_err(|e| TargetError::Harness(e.to_string()))?;
            packets.push(Packet { from: d.at, at: d.at, ip });
        }
        let next_timer = self.stack.next_timer().map_or(NextTimer::Never, NextTimer::At);
        Ok(Reply { value, packets, now: self.stack.now(), next_timer })
    }
}

/// A segment whose data offset makes no sense, read as if it had no options.
fn without_options(datagram: &[u8]) -> Result<Read, Skipped> {
    let mut repaired = datagram.to_vec();
    let tcp = if datagram.first().is_some_and(|o| o >> 4 == 4) { 20 } else { 40 };
    if let Some(octet) = repaired.get_mut(tcp + 12) {
        *octet = 5 << 4 | (*octet & 0x0f);
    }
    wire::read(&repaired)
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
            let read = match wire::read(datagram) {
                Err(Skipped::DataOffset) if self.fault() == Some(Fault::TakesBadOffset) => without_options(datagram),
                read => read,
            };
            // The repaired offset does not match the checksum any more.
            let unchecked = match self.fault() {
                Some(Fault::TakesBadChecksum) => true,
                Some(Fault::TakesBadOffset) => wire::read(datagram).is_err(),
                _ => false,
            };
            match read {
                Ok(Read::Tcp(tcp)) if self.fault() == Some(Fault::DropsReserved) && tcp.defects.contains(&WireDefect::ReservedBits) => {}
                Ok(Read::Tcp(tcp)) if unchecked || !tcp.defects.contains(&WireDefect::BadChecksum) => {
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

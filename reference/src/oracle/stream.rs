//! The octets that the peer sent: each may have been sent in more than one version.

use crate::seq::Seq;

/// What the peer sent, by sequence number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    chunks: Vec<(Seq, Vec<u8>)>,
}

impl Received {
    /// The peer sent `octets` from `seq` on.
    pub(crate) fn add(&mut self, seq: Seq, octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        if let Some((start, last)) = self.chunks.last_mut() {
            let end = *start + u32::try_from(last.len()).unwrap_or(u32::MAX);
            if end == seq && last.len() < MAX_CHUNK {
                last.extend_from_slice(octets);
                return;
            }
        }
        if self.chunks.iter().any(|(start, c)| matches(*start, c, seq, octets) == Some(true)) {
            return;
        }
        self.chunks.push((seq, octets.to_vec()));
    }

    /// Whether `octets` can be what was sent from `seq` on, each octet in some version.
    pub(crate) fn has(&self, seq: Seq, octets: &[u8]) -> bool {
        if self.chunks.iter().any(|(start, c)| matches(*start, c, seq, octets) == Some(true)) {
            return true;
        }
        octets.iter().zip(0u32..).all(|(&octet, i)| {
            let n = seq + i;
            self.chunks.iter().any(|(start, c)| c.get(n.since(*start) as usize) == Some(&octet))
        })
    }
}

/// Whether the chunk covers the octets, and if so whether it equals them.
fn matches(start: Seq, chunk: &[u8], seq: Seq, octets: &[u8]) -> Option<bool> {
    let from = seq.since(start) as usize;
    chunk.get(from..from.checked_add(octets.len())?).map(|c| c == octets)
}

/// Most octets in a chunk.
const MAX_CHUNK: usize = 1 << 20;

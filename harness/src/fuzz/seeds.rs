//! The fuzzer's seeds: the golden vectors' stimuli.

use tcp_vectors::bytes;
use tcp_vectors::golden;
use tcp_vectors::model::{Header, Script};

/// A golden vector as a seed.
#[derive(Clone, Debug)]
pub struct Seed {
    /// The vector's id.
    pub id: String,
    /// Its header.
    pub header: Header,
    /// Its stimuli within the bounds of a fuzz input.
    pub script: Script,
}

impl Seed {
    /// The name of its file in the corpus: the id in words that any file system takes.
    #[must_use]
    pub fn file_name(&self) -> String {
        self.id.replace(['/', '@', ',', '='], "-")
    }
}

/// A seed for every golden vector, in the order of their ids. A vector that does not parse is left out; a test of the vectors' own says so.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let seed = |g: &tcp_vectors::Golden| {
        let vector = g.vector().ok()?;
        let script = bytes::decode(&bytes::encode(&vector.script()));
        Some(Seed { id: vector.id, header: vector.header, script })
    };
    golden().iter().filter_map(seed).collect()
}

//! The octets behind the steps. Reading beyond their end gives zeros, so that every octet string decodes.

/// Reads the pool in order.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Reader<'a> {
        Reader { rest }
    }

    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut octets = [0; N];
        let (now, later) = self.rest.split_at(N.min(self.rest.len()));
        octets.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
        self.rest = later;
        octets
    }

    pub(super) fn byte(&mut self) -> u8 {
        let [octet] = self.array();
        octet
    }

    pub(super) fn octets(&mut self, n: usize) -> Vec<u8> {
        let (now, later) = self.rest.split_at(n.min(self.rest.len()));
        let mut octets = now.to_vec();
        octets.resize(n, 0);
        self.rest = later;
        octets
    }
}

/// Writes the pool in order.
#[derive(Default)]
pub(super) struct Writer {
    octets: Vec<u8>,
}

impl Writer {
    pub(super) fn write(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    pub(super) fn into_octets(self) -> Vec<u8> {
        self.octets
    }
}

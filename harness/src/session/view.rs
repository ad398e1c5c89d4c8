//! What a peer can infer of a connection from the wire alone: the names that a vector's numbers are relative to.

use tcp_reference::segment::Segment;
use tcp_reference::seq::Seq;
use tcp_vectors::model::{Base, Num};

use super::pattern::mixed;

/// A flow as its peer sees it. It is built from the trace's segments alone, never from the oracle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    irs: Seq,
    iss: Option<Seq>,
    snd_una: Option<Seq>,
    snd_nxt: Option<Seq>,
    rcv_nxt: Option<Seq>,
    rcv_right: Option<Seq>,
    peer_nxt: Seq,
    /// Ranges sent beyond `peer_nxt`.
    beyond: Vec<(Seq, Seq)>,
    /// The peer's window scale, the stack's, as offered on their SYNs.
    scales: (Option<u8>, Option<u8>),
    /// The stack's newest timestamp.
    tsval: Option<u32>,
}

impl View {
    /// A flow on which nothing was seen yet.
    #[must_use]
    pub fn new(irs: Seq) -> View {
        View {
            irs,
            iss: None,
            snd_una: None,
            snd_nxt: None,
            rcv_nxt: None,
            rcv_right: None,
            peer_nxt: irs,
            beyond: Vec::new(),
            scales: (None, None),
            tsval: None,
        }
    }

    /// The number that a vector's number stands for now.
    #[must_use]
    pub fn resolve(&self, num: Num) -> Seq {
        self.base(num.base).moved(num.offset)
    }

    /// A finding's text with numbers as the ladder has them: the oracle names the ISNs that it knows of, and of a connection that it takes for
    /// gone, or for one that never was, it knows none.
    #[must_use]
    pub(super) fn relative(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('=') {
            let base = match () {
                () if before.ends_with("<SEQ") => self.iss.map(|iss| (iss, "ISS")),
                () if before.ends_with("<ACK") => Some((self.irs, "IRS")),
                () => None,
            };
            let digits = &behind[..behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len())];
            out.push_str(before);
            out.push('=');
            rest = behind;
            let Some(((base, name), number)) = base.zip(digits.parse::<u32>().ok().filter(|n| *n != 0)) else { continue };
            match Seq(number).offset_from(base) {
                0 => out.push_str(name),
                d if d.unsigned_abs() < NEAR => out.push_str(&format!("{name}{d:+}")),
                _ => continue,
            }
            rest = &behind[digits.len()..];
        }
        out + rest
    }

    fn base(&self, base: Base) -> Seq {
        let iss = self.iss.unwrap_or_default();
        match base {
            Base::Zero => Seq(0),
            Base::Iss => iss,
            Base::Irs => self.irs,
            Base::SndUna => self.snd_una.unwrap_or(iss),
            Base::SndNxt => self.snd_nxt.unwrap_or(iss),
            Base::RcvNxt => self.rcv_nxt.unwrap_or(self.irs),
            Base::RcvRight => self.rcv_right.or(self.rcv_nxt).unwrap_or(self.irs),
            Base::PeerNxt => self.peer_nxt,
        }
    }

    /// The peer's ISN.
    #[must_use]
    pub fn irs(&self) -> Seq {
        self.irs
    }

    /// The stack's ISN; `None` before its first SYN.
    #[must_use]
    pub fn iss(&self) -> Option<Seq> {
        self.iss
    }

    /// The newest TSval that came, for a peer that echoes it.
    #[must_use]
    pub fn tsval(&self) -> Option<u32> {
        self.tsval
    }

    /// A well-formed segment went to the stack.
    pub fn sent(&mut self, segment: &Segment) {
        if segment.is_syn() {
            self.scales.0 = segment.window_scale();
        }
        if segment.is_rst() {
            return;
        }
        if segment.is_ack() && self.snd_nxt.is_some_and(|nxt| segment.ack.le(nxt)) && self.snd_una.is_none_or(|una| segment.ack.gt(una)) {
            self.snd_una = Some(segment.ack);
        }
        if segment.is_empty() || !(segment.is_ack() || segment.is_syn()) {
            return;
        }
        if segment.is_syn() && segment.seq.gt(self.peer_nxt) {
            // A new connection on the same flow begins behind the old one.
            self.peer_nxt = segment.seq;
            self.beyond.clear();
        }
        if self.beyond.len() < MOST_RANGES {
            self.beyond.push((segment.seq, segment.end()));
        }
        while let Some(i) = self.beyond.iter().position(|(from, _)| from.le(self.peer_nxt)) {
            let (_, end) = self.beyond.swap_remove(i);
            self.peer_nxt = self.peer_nxt.max(end);
        }
    }

    /// The stack sent a segment.
    pub fn received(&mut self, segment: &Segment) {
        if segment.is_rst() {
            return;
        }
        self.tsval = segment.timestamps().map(|(val, _)| val).or(self.tsval);
        if segment.is_syn() {
            if self.iss != Some(segment.seq) {
                self.snd_una = None;
                self.snd_nxt = None;
                self.rcv_nxt = None;
                self.rcv_right = None;
            }
            self.iss = Some(segment.seq);
            self.scales.1 = segment.window_scale();
        }
        let end = segment.end();
        if self.iss.is_some() && self.snd_nxt.is_none_or(|nxt| end.gt(nxt)) {
            self.snd_nxt = Some(end);
        }
        if !segment.is_ack() {
            return;
        }
        if self.rcv_nxt.is_none_or(|nxt| segment.ack.gt(nxt)) {
            self.rcv_nxt = Some(segment.ack);
        }
        let shift = match self.scales {
            (Some(_), Some(own)) if !segment.is_syn() => u32::from(own.min(14)),
            _ => 0,
        };
        let right = segment.ack + (u32::from(segment.window) << shift);
        if self.rcv_right.is_none_or(|edge| right.gt(edge)) {
            self.rcv_right = Some(right);
        }
    }
}

/// The peer's ISN on a flow. Some seeds put it where numbers wrap or change sign.
#[must_use]
pub fn peer_isn(seed: u64, flow: u8) -> Seq {
    match seed % 8 {
        1 => Seq(0xffff_fff0 - u32::from(flow)),
        3 => Seq(0x7fff_fff0 - u32::from(flow)),
        5 => Seq(0xffff_ffff),
        7 => Seq(0),
        _ => Seq((mixed(seed, u64::from(flow)) >> 32) as u32),
    }
}

/// Ranges beyond `peer_nxt` that are remembered.
const MOST_RANGES: usize = 256;

/// How far from an ISN a number is told by its distance.
const NEAR: u32 = 1 << 24;

#[cfg(test)]
mod tests {
    use super::View;
    use tcp_reference::segment::{Flags, Segment, TcpOption};
    use tcp_reference::seq::Seq;
    use tcp_vectors::model::{Base, Num};

    fn check(view: &View, base: Base, expected: u32) {
        assert_eq!(view.resolve(Num { base, offset: 0 }), Seq(expected), "{base:?}");
    }

    #[test]
    fn names_follow_the_wire() {
        let mut view = View::new(Seq(1000));
        check(&view, Base::PeerNxt, 1000);
        view.sent(&Segment::syn(Seq(1000)).with_option(TcpOption::WindowScale(2)));
        view.received(&Segment::syn(Seq(50)).with_ack(Seq(1001)).with_window(100).with_option(TcpOption::WindowScale(1)));
        check(&view, Base::Iss, 50);
        check(&view, Base::SndNxt, 51);
        check(&view, Base::SndUna, 50);
        check(&view, Base::RcvNxt, 1001);
        check(&view, Base::RcvRight, 1101);
        view.sent(&Segment::pure_ack(Seq(1001), Seq(51)));
        check(&view, Base::SndUna, 51);
        view.sent(&Segment::pure_ack(Seq(1003), Seq(99)).with_text(b"cd"));
        check(&view, Base::SndUna, 51);
        check(&view, Base::PeerNxt, 1001);
        view.sent(&Segment::pure_ack(Seq(1001), Seq(51)).with_text(b"ab"));
        check(&view, Base::PeerNxt, 1005);
        view.received(&Segment::pure_ack(Seq(51), Seq(1005)).with_window(100));
        check(&view, Base::RcvRight, 1205);
        view.received(&Segment::control(Seq(51), Flags::RST));
        check(&view, Base::SndNxt, 51);
    }

    #[test]
    fn numbers_in_texts_count_from_the_isns() {
        let mut view = View::new(Seq(3_793_791_033));
        assert_eq!(view.relative("<SEQ=0><ACK=3793791043><CTL=RST,ACK> by X"), "<SEQ=0><ACK=IRS+10><CTL=RST,ACK> by X");
        assert_eq!(view.relative("<SEQ=1789947681><ACK=3793791033>, A=5 or <ACK=1>"), "<SEQ=1789947681><ACK=IRS>, A=5 or <ACK=1>");
        view.received(&Segment::control(Seq(1_789_947_680), Flags::SYN));
        assert_eq!(view.relative("the stack sent <SEQ=1789947681><ACK=IRS+1>"), "the stack sent <SEQ=ISS+1><ACK=IRS+1>");
        assert_eq!(view.relative("what A asks for, by 0.5 s"), "what A asks for, by 0.5 s");
    }
}

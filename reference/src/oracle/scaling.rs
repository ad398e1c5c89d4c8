//! Window scaling: the option where it was asked for and nowhere else, and how it turns fields into windows (RFC 7323 section 2).

use crate::catalogue::{Level, RuleId};
use crate::lenience::Lenience;
use crate::oracle::emission::{BREAKS, Misfit, Sent};
use crate::oracle::hypothesis::Hypothesis;
use crate::rules;
use crate::segment::{Segment, TcpOption};
use crate::tcb::Tcb;

/// The shift counts of both sides as they stand in the options.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Scaling {
    /// In the stack's SYN.
    own: Option<u8>,
    /// In the peer's SYN.
    peer: Option<u8>,
    /// In a segment of the peer's without SYN, where it means nothing.
    stray: Option<u8>,
    /// The window field of the stack's SYN, until a segment without SYN has followed.
    syn_window: Option<u16>,
}

impl Scaling {
    /// The first window behind the SYN was judged.
    pub(crate) fn settled(&mut self) {
        self.syn_window = None;
    }

    /// An arrival's option.
    pub(crate) fn take(&mut self, segment: &Segment, opens: bool) {
        match (opens, segment.window_scale()) {
            (true, shift) => self.peer = shift,
            (false, Some(shift)) if !segment.is_syn() => self.stray = Some(shift),
            (false, _) => {}
        }
    }
}

/// The field from which SND.WND was made.
fn field(tcb: &Tcb) -> u32 {
    if from_syn(tcb) { tcb.snd_wnd } else { tcb.snd_wnd >> tcb.snd_scale }
}

/// Whether SND.WND is that of the peer's SYN, which is not scaled.
fn from_syn(tcb: &Tcb) -> bool {
    tcb.snd_wl1 == tcb.irs
}

impl Hypothesis {
    /// The stack's first SYN or SYN-ACK. To be called before the connection knows of it: until then a receive shift says that the peer's SYN had
    /// the option.
    pub(crate) fn scale_offered(&mut self, sent: &Sent<'_>) -> Result<(), Misfit> {
        let own = sent.segment.window_scale();
        let wrong = |rule| Err(Misfit { level: Level::Must, ..Misfit::new(rule, "window-scale", BREAKS) });
        self.user.scaling.own = own;
        self.user.scaling.syn_window = Some(sent.segment.window);
        if sent.profile.lets(Lenience::ScaleUnchecked) {
            return Ok(());
        }
        if own.is_some_and(|shift| shift > 14) {
            return wrong(rules::SCALE_AT_MOST_14);
        }
        let answers = sent.segment.is_ack();
        match (own, self.user.scaling.peer) {
            // "If a Window Scale option was received in the initial <SYN> segment, then this option MAY be sent in the <SYN,ACK> segment."
            (Some(_), None) if answers => return wrong(rules::SCALE_UNASKED),
            (None, Some(_)) if answers && sent.profile.window_scale => self.depart(rules::SCALE_NOT_ANSWERED, sent.event),
            (None, _) if !answers && sent.profile.window_scale => self.depart(rules::SCALE_NOT_OFFERED, sent.event),
            _ => {}
        }
        Ok(())
    }

    /// The options of a SYN with a window scale as it may be.
    pub(crate) fn lawful_scale(&self, syn: &Segment) -> Vec<TcpOption> {
        let unasked = syn.is_ack() && self.user.scaling.peer.is_none();
        let lawful = |option: &TcpOption| match option {
            TcpOption::WindowScale(_) if unasked => TcpOption::Nop,
            TcpOption::WindowScale(shift) => TcpOption::WindowScale((*shift).min(14)),
            other => other.clone(),
        };
        syn.options.iter().map(lawful).collect()
    }

    /// After the finding that the stack scales on its own the windows that follow are taken so.
    pub(crate) fn believe_scale(&mut self) {
        let scales = self.blame.is_some_and(|b| b.rule == rules::SCALE_OF_BOTH && b.kind == SHIFTED);
        let own = self.user.scaling.own.unwrap_or(0).min(14);
        if let Some(tcb) = self.conn.tcb_mut().filter(|_| scales) {
            tcb.rcv_scale = own;
        }
    }

    /// Names the rule for text beyond SND.UNA+SND.WND.
    pub(crate) fn beyond_window(&self, tcb: &Tcb, segment: &Segment) -> RuleId {
        let Scaling { own, peer, stray, .. } = self.user.scaling;
        let reach = u64::from(segment.text_end().since(tcb.snd_una));
        let within = |window: u32, shift: u8| reach <= u64::from(window) << (shift % 32);
        let both = own.is_some() && peer.is_some();
        match (own, peer, stray) {
            (_, _, Some(shift)) if within(field(tcb), shift) => rules::SCALE_ONLY_ON_SYN,
            (Some(shift), None, _) if within(tcb.snd_wnd, shift) => rules::SCALE_OF_BOTH,
            _ if both && from_syn(tcb) && within(tcb.snd_wnd, tcb.snd_scale) => rules::SYN_WINDOW_UNSCALED,
            (_, Some(shift), _) if both && shift > 14 && within(field(tcb), shift) => rules::SCALE_AT_MOST_14,
            _ if both && within(field(tcb), 14) => rules::WINDOW_SHIFTED,
            _ => rules::WINDOW_BEYOND,
        }
    }

    /// New text that stops short where the window would end if it were not shifted, with more behind it.
    pub(crate) fn stops_at_field(&self, sent: &Sent<'_>) -> Result<(), Misfit> {
        let Some(tcb) = self.conn.tcb().filter(|t| t.snd_scale > 0 && !from_syn(t)) else { return Ok(()) };
        let seg = sent.segment;
        let edge = tcb.snd_una + field(tcb);
        let short = seg.payload.len() < usize::from(sent.most_text(tcb)) / 2 && !seg.is_fin();
        let more = seg.text_end().lt(self.stream_end());
        if short && more && seg.text_end() == edge && edge.lt(tcb.snd_right()) {
            return Err(Misfit { level: Level::Must, ..Misfit::new(rules::WINDOW_SHIFTED, "window", BREAKS) });
        }
        Ok(())
    }

    /// The rule for text that is held although the window takes it.
    pub(crate) fn held_rule(tcb: &Tcb, octets: u32) -> RuleId {
        if field(tcb) < octets { rules::WINDOW_SHIFTED } else { rules::NOT_HELD }
    }

    /// The first window behind the stack's SYN: scaled where both sides have said so, and the SYN's never.
    pub(crate) fn first_window(&mut self, sent: &Sent<'_>) -> Result<(), Misfit> {
        let Some(syn_window) = self.user.scaling.syn_window.take() else { return Ok(()) };
        let Some(tcb) = self.conn.tcb() else { return Ok(()) };
        let Some(shift) = self.user.scaling.own.filter(|s| (1..=14).contains(s)) else { return Ok(()) };
        let seg = sent.segment;
        let cause = self.ack_owed().map(|due| due.cause);
        let wrong = |rule| Err(Misfit { level: Level::Must, cause, ..Misfit::new(rule, SHIFTED, TELLING) });
        let shifted = u32::from(seg.window) << shift;
        if self.user.scaling.peer.is_none() {
            let promised = tcb.rcv_right.offset_from(seg.ack).max(0).cast_unsigned();
            if promised >= LEAST_WINDOW && shifted.abs_diff(promised) <= promised / 8 {
                return wrong(rules::SCALE_OF_BOTH);
            }
        } else if seg.window == syn_window && shifted + (1 << shift) > u32::from(u16::MAX) {
            // A SYN that leaves its window as it is says 65535 where there is so much.
            return wrong(rules::SYN_WINDOW_UNSCALED);
        }
        Ok(())
    }
}

/// What kind of fault a window is that is shifted and should not be.
const SHIFTED: &str = "window";
/// Surprise of a window that is the right one but for a shift by what the stack's own option says: nothing else explains it as well.
const TELLING: u8 = 1;
/// Octets of window below which a part of it and a shifted one are not told apart.
const LEAST_WINDOW: u32 = 1024;

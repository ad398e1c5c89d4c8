//! What the options of a segment may be, as far as the header, the link and the peer's SYN decide alone.

use crate::catalogue::RuleId;
use crate::profile::Profile;
use crate::rules;
use crate::segment::{Segment, TcpOption};

/// A rule that an option breaks: the rule, the field, and what would be allowed.
pub(crate) type Breach = (RuleId, &'static str, &'static str);

/// What an option is judged against besides its segment.
#[derive(Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    pub(crate) profile: &'a Profile,
    /// Over IPv4.
    pub(crate) v4: bool,
    /// The user has set an MSS on some socket: which value a SYN has to state is not known then.
    pub(crate) mss_set: bool,
    /// A SYN of the peer has offered SACK, on this connection or on an earlier one between the same ends.
    pub(crate) sack_offered: bool,
}

/// Every rule that the options of a segment break.
pub(crate) fn breaches(segment: &Segment, by: &Circumstances<'_>) -> Vec<Breach> {
    let mut all = Vec::new();
    for option in &segment.options {
        match option {
            TcpOption::Mss(_) if !segment.is_syn() => all.push((rules::MSS_ONLY_ON_SYN, "mss", "no MSS option outside a SYN")),
            TcpOption::SackPermitted if !segment.is_syn() => {
                all.push((rules::SACK_PERMITTED_ON_SYN, "sack-permitted", "no SACK-permitted option outside a SYN"));
            }
            TcpOption::Sack(_) if !by.sack_offered => {
                all.push((rules::SACK_IF_PERMITTED, "sack", "no SACK option where the peer's SYN did not permit it"));
            }
            // RFC 7413 section 4.1.2: FastOpenEnabled "MUST be turned on explicitly by the application", and no call does.
            TcpOption::Other { kind, data } if segment.is_syn() && segment.is_ack() && is_fast_open(*kind, data) => {
                all.push((rules::FAST_OPEN_OFF, "fast-open", "no cookie: no call has switched Fast Open on"));
            }
            _ => {}
        }
    }
    if segment.is_syn() && !segment.is_rst() {
        all.extend(mss(segment, by));
    }
    all
}

/// The MSS option of a SYN (RFC 9293 section 3.7.1, RFC 6691 section 2).
fn mss(segment: &Segment, by: &Circumstances<'_>) -> Option<Breach> {
    let (ip_header, default) = if by.v4 { (20, crate::tcb::DEFAULT_MSS_V4) } else { (40, crate::tcb::DEFAULT_MSS_V6) };
    let receives = by.profile.mtu.saturating_sub(ip_header + 20);
    let Some(stated) = segment.mss() else {
        let differs = receives != default && !by.mss_set;
        return differs.then_some((rules::MSS_STATED, "mss", "an MSS option: what the stack can receive is not the default"));
    };
    // The most that IP can bring: a datagram of 65535 octets over IPv4, a payload of as many over IPv6, where 65535 stands for "infinity".
    let most = match (by.profile.reassembles, by.v4) {
        (true, true) => u16::MAX - ip_header - 20,
        (true, false) => u16::MAX,
        (false, _) => receives,
    };
    if stated > most {
        return Some((rules::MSS_RECEIVABLE, "mss", "an MSS of at most MMS_R-20"));
    }
    let other = stated != receives && !by.mss_set;
    other.then_some((rules::MSS_OF_LINK, "mss", "the link's MTU less the fixed IP and TCP headers"))
}

/// The Fast Open option (RFC 7413 section 4.1.1), or its experimental form (RFC 6994, ExID 0xF989).
fn is_fast_open(kind: u8, data: &[u8]) -> bool {
    kind == 34 || (kind == 254 && data.starts_with(&[0xF9, 0x89]))
}

//! What stands behind `--target raw:` and what of it can be refused without looking at the machine.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use tcp_reference::api::Family;

/// A link to a stack: an interface of this host, and who is behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spec {
    /// The interface's name.
    pub interface: String,
    /// One or two pairs of addresses, IPv4 first.
    pub pairs: Vec<Pair>,
    /// Where the agent listens.
    pub agent: Option<SocketAddr>,
}

/// The ends of the link in one IP version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pair {
    /// The address of the stack under test.
    pub stack: IpAddr,
    /// The length of the link's prefix, bits.
    pub prefix: u8,
    /// The address that the harness plays.
    pub peer: IpAddr,
}

/// How it is written.
pub const FORM: &str = "raw:INTERFACE,stack=ADDRESS/PREFIX,peer=ADDRESS[,agent=ADDRESS:PORT], as in raw:eth1,stack=192.0.2.1/24,peer=192.0.2.2; stack= and \
     peer= may stand there twice, for IPv4 and IPv6";

impl Spec {
    /// Reads what stands behind `raw:`.
    ///
    /// # Errors
    /// What is wrong with it, and how it is written.
    pub fn parse(text: &str) -> Result<Spec, String> {
        Spec::read(text).map_err(|why| format!("{why}: write {FORM}"))
    }

    fn read(text: &str) -> Result<Spec, String> {
        let mut words = text.split(',');
        let interface = words.next().unwrap_or_default();
        if interface.is_empty() || interface.contains('=') {
            return Err("no interface is named, and none is taken that was not named".to_owned());
        }
        // linux/if.h: 15 octets; a name that could leave its directory under /proc/sys is none.
        if interface.len() > 15 || interface.contains('/') || interface == "." || interface == ".." {
            return Err(format!("{interface:?} is no name of an interface"));
        }
        let (mut stacks, mut peers, mut agent) = (Vec::new(), Vec::new(), None);
        for word in words {
            match word.split_once('=') {
                Some(("stack", value)) => stacks.push(prefixed(value)?),
                Some(("peer", value)) => peers.push(address(value)?),
                Some(("agent", value)) if agent.is_none() => {
                    agent = Some(value.parse().map_err(|_| format!("agent={value} is no address and port"))?);
                }
                Some(("agent", _)) => return Err("agent= stands there twice".to_owned()),
                _ => return Err(format!("{word:?} is none of stack=, peer= and agent=")),
            }
        }
        let mut pairs = Vec::new();
        for family in [Family::V4, Family::V6] {
            let of = |a: &IpAddr| a.is_ipv4() == (family == Family::V4);
            let mut stacks = stacks.iter().filter(|(a, _)| of(a));
            let mut peers = peers.iter().filter(|a| of(a));
            let (stack, peer) = (stacks.next(), peers.next());
            if stacks.next().is_some() || peers.next().is_some() {
                return Err(format!("there are two addresses of IPv{family} for one end"));
            }
            match (stack, peer) {
                (None, None) => {}
                (Some(&(stack, prefix)), Some(&peer)) => pairs.push(Pair::new(stack, prefix, peer)?),
                (Some((stack, _)), None) => return Err(format!("stack={stack} has no peer= of its IP version")),
                (None, Some(peer)) => return Err(format!("peer={peer} has no stack= of its IP version")),
            }
        }
        if pairs.is_empty() {
            return Err("no addresses are given".to_owned());
        }
        Ok(Spec { interface: interface.to_owned(), pairs, agent })
    }

    /// The pair of an IP version.
    #[must_use]
    pub fn pair(&self, v4: bool) -> Option<&Pair> {
        self.pairs.iter().find(|p| p.stack.is_ipv4() == v4)
    }
}

impl Pair {
    fn new(stack: IpAddr, prefix: u8, peer: IpAddr) -> Result<Pair, String> {
        let pair = Pair { stack, prefix, peer };
        let bits = if stack.is_ipv4() { 32 } else { 128 };
        // Two hosts need two addresses that are neither the network's nor the broadcast one.
        if !(1..=bits - 2).contains(&prefix) {
            return Err(format!("a prefix of {prefix} bits has no room for two hosts, or is no link's"));
        }
        for (name, address) in [("stack", stack), ("peer", peer)] {
            if let Some(why) = pair.unfit(address) {
                return Err(format!("{name}={address} is {why}"));
            }
        }
        if stack == peer {
            return Err(format!("stack and peer have the same address, {peer}"));
        }
        Ok(pair)
    }

    /// Whether an address lies within the link's prefix.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.stack.is_ipv4() && self.above(address) == self.above(self.stack)
    }

    /// Why an address can be none of a host on this link.
    pub(super) fn unfit(&self, address: IpAddr) -> Option<&'static str> {
        let local = match address {
            IpAddr::V4(a) => a.is_link_local() || a.octets()[0] == 0 || a.octets()[0] >= 240,
            IpAddr::V6(a) => a.is_unicast_link_local() || a.to_ipv4_mapped().is_some(),
        };
        let host = self.bits(address) & self.host_mask();
        Some(match () {
            () if !self.holds(address) => "not within the prefix of the stack's address",
            () if address.is_unspecified() || address.is_multicast() => "no host's address",
            () if address.is_loopback() => "a loopback address: for this machine's own kernel there is the target linux-kernel",
            () if local => "link-local or reserved",
            () if host == 0 || (address.is_ipv4() && host == self.host_mask()) => "the network's own address or its broadcast address",
            () => return None,
        })
    }

    fn bits(&self, address: IpAddr) -> u128 {
        match address {
            IpAddr::V4(a) => u128::from(u32::from(a)),
            IpAddr::V6(a) => u128::from(a),
        }
    }

    fn host_mask(&self) -> u128 {
        let host = (if self.stack.is_ipv4() { 32 } else { 128 }) - u32::from(self.prefix);
        1_u128.checked_shl(host).map_or(u128::MAX, |n| n - 1)
    }

    fn above(&self, address: IpAddr) -> u128 {
        self.bits(address) & !self.host_mask()
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} and {}", self.stack, self.prefix, self.peer)
    }
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is no address"))
}

fn prefixed(text: &str) -> Result<(IpAddr, u8), String> {
    let (ip, prefix) = text.split_once('/').ok_or_else(|| format!("stack={text} has no prefix length"))?;
    let ip = address(ip)?;
    let bits = if ip.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.parse().ok().filter(|p| *p <= bits).ok_or_else(|| format!("stack={text} has a prefix length that is none"))?;
    Ok((ip, prefix))
}

#[cfg(test)]
mod tests {
    use super::Spec;

    #[test]
    fn both_ip_versions_and_an_agent() {
        let spec =
            Spec::parse("eth1,peer=192.0.2.2,stack=2001:db8::1/64,peer=2001:db8::2,stack=192.0.2.1/24,agent=[::1]:9293").expect("reads");
        assert_eq!(spec.interface, "eth1");
        let told: Vec<String> = spec.pairs.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["192.0.2.1/24 and 192.0.2.2", "2001:db8::1/64 and 2001:db8::2"]);
        assert_eq!(spec.agent, "[::1]:9293".parse().ok());
        let pair = spec.pair(true).expect("IPv4");
        assert!(pair.holds("192.0.2.99".parse().expect("an address")));
        assert!(!pair.holds("192.0.3.2".parse().expect("an address")));
    }

    #[test]
    fn what_is_refused_and_why() {
        for (text, why) in [
            ("", "no interface is named"),
            ("stack=192.0.2.1/24,peer=192.0.2.2", "no interface is named"),
            ("../../net,stack=192.0.2.1/24,peer=192.0.2.2", "is no name of an interface"),
            ("eth1", "no addresses are given"),
            ("eth1,stack=192.0.2.1,peer=192.0.2.2", "has no prefix length"),
            ("eth1,stack=192.0.2.1/33,peer=192.0.2.2", "a prefix length that is none"),
            ("eth1,stack=192.0.2.1/31,peer=192.0.2.0", "no room for two hosts"),
            ("eth1,stack=192.0.2.1/0,peer=192.0.2.2", "no room for two hosts"),
            ("eth1,stack=192.0.2.1/24", "has no peer="),
            ("eth1,peer=192.0.2.1", "has no stack="),
            ("eth1,stack=192.0.2.1/24,peer=2001:db8::2", "has no peer="),
            ("eth1,stack=192.0.2.1/24,peer=192.0.3.2", "peer=192.0.3.2 is not within the prefix"),
            ("eth1,stack=192.0.2.1/24,peer=192.0.2.1", "the same address"),
            ("eth1,stack=192.0.2.1/24,peer=192.0.2.255", "broadcast"),
            ("eth1,stack=192.0.2.0/24,peer=192.0.2.2", "the network's own address"),
            ("eth1,stack=127.0.0.1/8,peer=127.0.0.2", "loopback"),
            ("eth1,stack=224.0.0.1/8,peer=224.0.0.2", "no host's address"),
            ("eth1,stack=169.254.0.1/16,peer=169.254.0.2", "link-local"),
            ("eth1,stack=fe80::1/64,peer=fe80::2", "link-local"),
            ("eth1,stack=192.0.2.1/24,peer=192.0.2.2,stack=192.0.2.3/24", "two addresses of IPv4"),
            ("eth1,stack=192.0.2.1/24,peer=192.0.2.2,agent=here", "no address and port"),
            ("eth1,stack=192.0.2.1/24,peer=192.0.2.2,port=80", "none of stack=, peer= and agent="),
        ] {
            let error = Spec::parse(text).expect_err(text);
            assert!(error.contains(why) && error.contains("write raw:INTERFACE"), "{text}: {error}");
        }
    }
}

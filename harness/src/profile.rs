//! What the oracle has to be told of a target: a file for each in `harness/profiles/`, every value with its reason.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;
use tcp_reference::api::Micros;
use tcp_reference::profile::Profile;

use crate::file_error::FileError;
use crate::targets::{linux, reference, smoltcp};

/// The profile of a target by its name; the RFCs' own values for one that is not known.
#[must_use]
pub fn profile_for(target: &str) -> Profile {
    static EMBEDDED: LazyLock<BTreeMap<&str, Profile>> = LazyLock::new(|| {
        // A broken one shows in the tests.
        let profile = |(name, text)| Some((name, read(&format!("harness/profiles/{name}.toml"), text).ok()?));
        TEXTS.iter().copied().filter_map(profile).collect()
    });
    if target == reference::NAME || target.starts_with(reference::MUTANT_PREFIX) {
        return tcp_reference::stack::Policy::default().profile();
    }
    let profile = EMBEDDED.get(target).cloned().unwrap_or_default();
    if target == linux::NAME { linux_of(profile, Path::new("/proc/sys/net/ipv4/tcp_syn_linear_timeouts").exists()) } else { profile }
}

const TEXTS: &[(&str, &str)] = &[
    (smoltcp::NAME, include_str!("../profiles/smoltcp.toml")),
    (linux::NAME, include_str!("../profiles/linux-kernel.toml")),
    ("lwip", include_str!("../profiles/lwip.toml")),
    ("netstack3", include_str!("../profiles/netstack3.toml")),
    ("gvisor", include_str!("../profiles/gvisor.toml")),
    ("ipstack", include_str!("../profiles/ipstack.toml")),
    ("libslirp", include_str!("../profiles/libslirp.toml")),
    ("ns-3", include_str!("../profiles/ns-3.toml")),
];

/// Linux with or without the setting `tcp_syn_linear_timeouts`, which came with 6.5. Each network namespace has it or none has, and a fresh one
/// has the kernel's own default.
fn linux_of(mut profile: Profile, has_linear_syn_timeouts: bool) -> Profile {
    let (timeouts, why) = if has_linear_syn_timeouts {
        (4, "the first four time-outs of a SYN do not double: tcp_syn_linear_timeouts")
    } else {
        (0, "the time-outs of a SYN double from the first on: this kernel has no tcp_syn_linear_timeouts")
    };
    profile.linear_syn_timeouts = timeouts;
    profile.reasons.push(format!("linear_syn_timeouts = {timeouts}: {why}"));
    profile
}

/// One value with its reason.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Setting<T> {
    value: T,
    reason: String,
}

/// A time, or its least and its most.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Interval {
    Exactly(Micros),
    Between([Micros; 2]),
}

impl Interval {
    fn range(self) -> RangeInclusive<Micros> {
        match self {
            Interval::Exactly(us) => us..=us,
            Interval::Between([least, most]) => least..=most,
        }
    }
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty => $set:expr;)*) => {
        /// The settings of a profile's file.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            $($(#[doc = $doc])* $name: Option<Setting<$type>>,)*
        }

        /// Their names.
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        impl File {
            /// Puts each into the profile; for each its name, and whether it has a reason.
            fn put(self, profile: &mut Profile, mut each: impl FnMut(&str, &str)) {
                $(if let Some(Setting { value, reason }) = self.$name {
                    let set: fn(&mut Profile, $type) = $set;
                    set(profile, value);
                    each(stringify!($name), &reason);
                })*
            }
        }
    };
}

settings! {
    /// How long TIME-WAIT lasts.
    time_wait_us: Interval => |profile, value| profile.time_wait = value.range();
    /// Longest delay of an ACK.
    ack_delay_us: Micros => |profile, value| profile.ack_delay = value;
    /// Longest time until a reply that nothing allows to be delayed.
    reply_us: Micros => |profile, value| profile.reply = value;
    /// Whether a reply that is missing when the next stimulus comes is missing for good.
    settles: bool => |profile, value| profile.settles = value;
    /// What a "should be sent at once" allows for.
    at_once_us: Micros => |profile, value| profile.at_once = value;
    /// Shortest retransmission time-out.
    rto_min_us: Micros => |profile, value| profile.rto_min = value;
    /// Longest first retransmission time-out.
    rto_first_us: Micros => |profile, value| profile.rto_first = value;
    /// Longest retransmission time-out at all.
    rto_max_us: Micros => |profile, value| profile.rto_max = value;
    /// How many time-outs in a row a SYN may repeat before the interval doubles.
    linear_syn_timeouts: u8 => |profile, value| profile.linear_syn_timeouts = value;
    /// Shortest time after which the stack may give up a connection.
    give_up_us: Micros => |profile, value| profile.give_up = value;
    /// The same for a SYN.
    give_up_syn_us: Micros => |profile, value| profile.give_up_syn = value;
    /// The same after the sockets API's `close`.
    give_up_orphan_us: Micros => |profile, value| profile.give_up_orphan = value;
    /// Whether the IP layer puts fragments together again.
    reassembles: bool => |profile, value| profile.reassembles = value;
    /// Segments of the initial window.
    initial_window: u32 => |profile, value| profile.initial_window = value;
    /// Least time between replies to unacceptable segments.
    reply_throttle_us: Micros => |profile, value| profile.reply_throttle = Some(value);
    /// Fewest challenge ACKs in five seconds that a throttle lets through, and most.
    challenge_acks: (u32, u32) => |profile, value| profile.challenge_acks = value.0..=value.1;
    /// Whether the sockets API's `close` is half-duplex.
    half_duplex_close: bool => |profile, value| profile.half_duplex_close = value;
    /// Whether `accept` also gives a connection that ended while it waited.
    accepts_ended: bool => |profile, value| profile.accepts_ended = value;
    /// Whether the stack is prepared to scale windows.
    window_scale: bool => |profile, value| profile.window_scale = value;
    /// Whether congestion avoidance is RFC 5681's own.
    reno: bool => |profile, value| profile.reno = value;
    /// Whether the stack knows timestamps.
    timestamps: bool => |profile, value| profile.timestamps = value;
    /// Whether TSvals come from the stack's user.
    user_stamps: bool => |profile, value| profile.user_stamps = value;
    /// Whether the stack takes part in an experiment that puts ECT on SYNs, pure ACKs, probes or what is sent again.
    ecn_experiments: bool => |profile, value| profile.ecn_experiments = value;
    /// Whether the stack uses PAWS.
    paws: bool => |profile, value| profile.paws = value;
    /// Octets beyond the advertised window that may be taken.
    overrun: u32 => |profile, value| profile.overrun = value;
    /// The least MSS that the stack believes a peer, octets.
    least_mss: u16 => |profile, value| profile.least_mss = value;
}

/// Reads a profile's text.
///
/// # Errors
/// It is not TOML, names a setting that there is not, or gives no reason; the error says where and what to do.
pub fn read(file: &str, text: &str) -> Result<Profile, Box<FileError>> {
    let help = format!("a setting is a table with `value` and `reason`; there are {}", NAMES.join(", "));
    let parsed: File = toml::from_str(text).map_err(|e| Box::new(FileError::new(file, text, e.span(), e.message().to_owned(), &help)))?;
    // As they are written, for the report.
    let table: toml::Table = text.parse().unwrap_or_default();
    let mut profile = Profile::default();
    let mut reasons = Vec::new();
    let mut unreasoned = None;
    parsed.put(&mut profile, |name, reason| {
        if reason.trim().is_empty() {
            unreasoned = Some(name.to_owned());
        }
        let value = table.get(name).and_then(|setting| setting.get("value")).map(ToString::to_string).unwrap_or_default();
        reasons.push(format!("{name} = {value}: {reason}"));
    });
    if let Some(name) = unreasoned {
        let span = text.find(&format!("[{name}]")).map(|at| at..at + name.len() + 2);
        let message = format!("{name} has no reason");
        return Err(Box::new(FileError::new(
            file,
            text,
            span,
            message,
            "say where in the stack, or in its documentation, the value stands",
        )));
    }
    profile.reasons = reasons;
    Ok(profile)
}

#[cfg(test)]
mod tests {
    use super::{TEXTS, linux_of, read};
    use tcp_reference::profile::Profile;

    #[test]
    fn a_syn_is_held_to_what_the_kernel_has() {
        assert_eq!(linux_of(Profile::default(), true).linear_syn_timeouts, 4);
        let older = linux_of(Profile::default(), false);
        assert_eq!(older.linear_syn_timeouts, 0);
        assert!(older.reasons.iter().any(|r| r.contains("no tcp_syn_linear_timeouts")), "{:?}", older.reasons);
    }

    #[test]
    fn every_profile_of_the_tree_can_be_read() {
        for (name, text) in TEXTS {
            let profile = read(name, text).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(profile.reasons.len(), text.matches("\nreason = ").count(), "{name}: {:?}", profile.reasons);
        }
    }

    #[test]
    fn what_is_wrong_with_a_profile_is_said_where_it_is_wrong() {
        for (text, message) in [
            ("[time_wait]\nvalue = 1\nreason = \"x\"", "p.toml:1: unknown field `time_wait`"),
            ("\n[settles]\nvalue = 1\nreason = \"x\"", "p.toml:3: invalid type: integer `1`, expected a boolean"),
            ("[settles]\nvalue = true\nreason = \" \"", "p.toml:1: settles has no reason"),
            ("[settles]\nvalue = true", "p.toml:1: missing field `reason`"),
        ] {
            let error = read("p.toml", text).expect_err(text).to_string();
            assert!(error.starts_with(message), "{error}");
        }
        let both = read("p.toml", "[time_wait_us]\nvalue = [1, 2]\nreason = \"x\"").expect("is a profile");
        assert_eq!((both.time_wait, &both.reasons[..]), (1..=2, &["time_wait_us = [1, 2]: x".to_owned()][..]));
    }
}

//! The scenarios. Together they bound the model: each lets few things happen, and everything in every order.

use tcp_reference::profile::MILLISECOND;

use crate::world::{Bounds, Opens};

/// An active OPEN and a listener, no text, a wire that does nothing but reorder.
pub(crate) const CALM: Bounds = Bounds {
    name: "",
    opens: [Opens::Actively, Opens::PassivelyAtOnce],
    octets: [0, 0],
    capacity: 3,
    losses: 0,
    duplicates: 0,
    early: 0,
    writes_early: false,
    closes_last: false,
    ack_delay: 0,
};

/// Both open actively.
pub(crate) const BOTH: Bounds = Bounds { opens: [Opens::Actively, Opens::Actively], ..CALM };

pub(crate) const SCENARIOS: [Bounds; 9] = [
    Bounds {
        name: "open and close before or after the other listens, a loss and a duplicate",
        opens: [Opens::Actively, Opens::Passively],
        losses: 1,
        duplicates: 1,
        ..CALM
    },
    Bounds { name: "open and close, a loss and an early time-out", losses: 1, early: 1, ..CALM },
    Bounds { name: "both open, a loss and a duplicate", losses: 1, duplicates: 1, ..BOTH },
    Bounds { name: "both open, an octet that may be written early, a loss", octets: [1, 0], losses: 1, writes_early: true, ..BOTH },
    Bounds { name: "an octet each way, a loss", octets: [1, 1], losses: 1, ..CALM },
    Bounds { name: "an octet each way, a duplicate", octets: [1, 1], duplicates: 1, ..CALM },
    Bounds {
        name: "two octets, delayed acknowledgments, a loss and a duplicate",
        octets: [2, 0],
        losses: 1,
        duplicates: 1,
        ack_delay: 200 * MILLISECOND,
        ..CALM
    },
    Bounds { name: "two octets each way, delayed acknowledgments", octets: [2, 2], ack_delay: 200 * MILLISECOND, ..CALM },
    Bounds { name: "an octet, an early time-out", octets: [1, 0], early: 1, ..CALM },
];

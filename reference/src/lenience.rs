//! Permissions that no RFC gives. An oracle that has one of them is wrong, and some test has to show that it is: it lets a broken stack through.

use crate::relation::{Answer, Owed};

macro_rules! leniences {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A permission that is added to those of the RFCs, so that tests show that the oracle does without it for a reason.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Lenience {
            $($(#[$doc])* $name,)*
        }

        impl Lenience {
            /// Every one.
            pub const ALL: &[Lenience] = &[$(Lenience::$name),*];
        }
    };
}

leniences! {
    // What is owed to an arrival.
    /// An acknowledgment that is owed at once need not be sent.
    SilenceForAck,
    /// Text and FIN need not be acknowledged.
    SilenceForText,
    /// A reset that is owed need not be sent.
    SilenceForReset,
    /// A SYN, or the SYN-ACK that answers one, need not be sent.
    SilenceForSyn,
    /// A segment that must not be answered may be acknowledged.
    AckForSilence,
    /// An ACK may be delayed for ever.
    AckDelayedWithoutBound,
    /// A reply may come at any time.
    RepliesWithoutBound,
    /// Any segment may be ignored.
    SegmentsIgnored,
    /// Any segment may end the connection without a word.
    SegmentsEndConnections,
    // What a segment may be.
    /// SEG.ACK may be any number up to RCV.NXT.
    AckBehind,
    /// SEG.SEQ of a bare acknowledgment may be any number that is not acknowledged.
    SeqBehind,
    /// Bare acknowledgments may be sent without an occasion.
    AcksWithoutLimit,
    /// A reset that is owed may have any numbers.
    ResetsOfAnyForm,
    /// A reset may be sent without an occasion.
    ResetsUnasked,
    /// The octets that are sent may be any.
    SentOctetsUnchecked,
    /// Text may leave before the connection is established.
    TextBeforeEstablished,
    /// Text may go beyond the peer's window.
    TextBeyondWindow,
    /// Segments may be longer than the peer's MSS.
    SegmentsBeyondMss,
    /// A FIN may be sent before CLOSE, or before all text.
    FinUnasked,
    /// Congestion control bounds nothing.
    FlightUnbounded,
    /// Short segments may be sent at any time: no Nagle, no avoidance of silly windows.
    ShortSegments,
    /// PSH is as it comes.
    PushUnchecked,
    /// The urgent pointer is as it comes.
    UrgentUnchecked,
    /// ECE and CWR are as they come.
    EcnUnchecked,
    /// The receive window may open by an octet.
    SillyWindows,
    /// The right edge of the receive window may move to the left.
    WindowShrinks,
    /// TSval and TSecr are as they come, or not at all.
    TimestampsUnchecked,
    /// SACK blocks are as they come, or not at all.
    SackUnchecked,
    /// The window scale option of a SYN is as it comes.
    ScaleUnchecked,
    /// Other options are as they come.
    OptionsUnchecked,
    /// Initial sequence numbers are as they come.
    IsnUnchecked,
    /// A connection's segments may leave from any address.
    AnySource,
    // Timers.
    /// Text and FIN may be sent again at any time, in any order.
    ResendsAtAnyTime,
    /// Nothing need be sent again.
    NeverResends,
    /// What the user has written need not be sent.
    TextNeverSent,
    /// A closed window need not be probed.
    NeverProbes,
    /// The FIN need not be sent.
    FinNeverSent,
    /// A connection may be given up at any time while something is in flight.
    GivesUpAtAnyTime,
    /// TIME-WAIT may last for any time.
    TimeWaitOfAnyLength,
    /// Keep-alives may come at any time, asked for or not.
    KeepAlivesAtAnyTime,
    // What the user is told.
    /// The user may be told any state.
    StatusUnchecked,
    /// RECEIVE may give any octets.
    ReadOctetsUnchecked,
    /// RECEIVE may say anything of how the connection goes on.
    ReceiveUnchecked,
    /// SEND may take octets at any time.
    SendUnchecked,
    /// An ICMP error may end any connection.
    IcmpEndsConnections,
    /// A second LISTEN may end connections.
    ListenEndsConnections,
    // All of one level.
    /// No SHOULD counts.
    ShouldsUnheeded,
}

impl Lenience {
    /// What is asked of the stack in place of `answer`.
    pub(crate) fn answer(self, answer: Answer) -> Answer {
        match (self, answer) {
            (Lenience::SilenceForAck, Answer::Ack(Owed::AtOnce(_))) => Answer::MayAck,
            (Lenience::SilenceForText, Answer::Ack(Owed::Delayed | Owed::DelayedButShouldBeAtOnce(_))) => Answer::MayAck,
            (Lenience::SilenceForReset, Answer::Reset(form)) => Answer::MayReset(form),
            (Lenience::AckForSilence, Answer::Silence) => Answer::MayAck,
            _ => answer,
        }
    }
}

//! Faults planted in both stacks: each property of the model finds one that it is there for.

use tcp_reference::catalogue::RuleId;
use tcp_reference::rules;
use tcp_reference::stack::{Fault, Mutant, Policy};
use tcp_reference::state::State;

use crate::scenarios::{BOTH, CALM};
use crate::world::Bounds;
use crate::{CAUSE, END, EOF, PATIENCE, STREAM, WHOLE, explore, ladder};

/// A fault that no table has, for it need not break a rule that a finding names.
const fn planted(name: &'static str, fault: Fault, strikes: &'static [RuleId], state: Option<State>) -> Mutant {
    Mutant { name, strikes, state, fault, policy: Policy::default, breaks: &[] }
}

static CORRUPTS: Mutant = planted("corrupts text", Fault::CorruptsText, &[rules::SEND], None);
static TWICE: Mutant = planted("writes early text twice", Fault::WrittenTwice, &[rules::SEND_EARLY], None);
static UNSENT: Mutant = planted("loses what is not sent yet at CLOSE", Fault::DropsUnsent, &[rules::CLOSE_ESTABLISHED], None);
static RESETS: Mutant = planted(
    "resets a connection on account of an old segment",
    Fault::ResetInstead,
    &[RuleId("RFC9293:3.10.7.4/ESTABLISHED/seq-unacceptable")],
    None,
);
static SILENT: Mutant = planted("never acknowledges text", Fault::StaysPut, &[RuleId("RFC9293:3.10.7.4/ESTABLISHED/text")], None);
static FIN_ONCE: Mutant = planted("never sends its FIN again", Fault::NoRetransmission, &[], Some(State::FinWait1));
static LINGERS: Mutant = planted("never leaves TIME-WAIT", Fault::TimeWaitForEver, &[], None);
static NO_EOF: Mutant = planted("tells of a FIN as of a reset", Fault::EofIsReset, &[rules::NORMAL_OR_ABORTED], None);

#[test]
fn planted_faults_break_the_properties() {
    let one = Bounds { octets: [1, 0], ..CALM };
    let cases = [
        (&CORRUPTS, one.clone(), STREAM),
        (&TWICE, Bounds { octets: [1, 0], writes_early: true, ..BOTH }, STREAM),
        (&UNSENT, Bounds { octets: [2, 0], ..CALM }, EOF),
        (&RESETS, Bounds { duplicates: 1, ..one.clone() }, CAUSE),
        (&SILENT, Bounds { closes_last: true, ..one.clone() }, PATIENCE),
        (&FIN_ONCE, Bounds { losses: 1, ..CALM }, END),
        (&LINGERS, CALM, END),
        (&NO_EOF, CALM, WHOLE),
    ];
    for (mutant, bounds, property) in cases {
        assert_eq!(explore(&bounds, None).broken, [], "{} without a fault", mutant.name);
        let broken = explore(&bounds, Some(mutant)).broken;
        let Some((_, way)) = broken.iter().find(|(name, _)| *name == property) else {
            panic!("{}: keeps the property that {property}; breaks {:?}", mutant.name, broken);
        };
        println!("{}, not so that {property}:\n{}", mutant.name, ladder(&bounds, Some(mutant), way));
    }
}

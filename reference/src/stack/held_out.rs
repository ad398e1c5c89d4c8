//! Mutants that are held out: written from the RFC's text alone, left alone while oracle and vectors are worked on, and only scored
//! (`harness mutants`). Do not read them to mend the oracle or a vector; once one has been looked at for that, it moves to `mutants.rs` and another
//! takes its place.

use crate::stack::mutant::{Mutant, mutants};

mutants! {
    /// The mutants that are held out.
    HELD_OUT;
}

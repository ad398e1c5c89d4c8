//! The golden vectors, embedded so that an installed binary has them.

use std::sync::LazyLock;

use crate::template;

/// A golden vector as it stands in the tree, or one cell of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Golden {
    /// `area/slug`, with `@` and the values for a cell of a template.
    pub id: String,
    /// The file, relative to `vectors/`.
    pub file: &'static str,
    /// The text; a template's is expanded.
    pub text: String,
}

/// Every golden vector, by id.
#[must_use]
pub fn golden() -> &'static [Golden] {
    &GOLDEN
}

static GOLDEN: LazyLock<Vec<Golden>> = LazyLock::new(|| {
    let mut golden: Vec<Golden> = FILES.iter().flat_map(|(id, file, text)| cells(id, file, text)).collect();
    golden.sort_by(|a, b| a.id.cmp(&b.id));
    golden
});

/// A template that does not expand stands for itself: the parser then says what is wrong, and so does a test.
fn cells(id: &str, file: &'static str, text: &str) -> Vec<Golden> {
    let expanded = template::expand(id, text).unwrap_or_else(|_| vec![(id.to_owned(), text.to_owned())]);
    expanded.into_iter().map(|(id, text)| Golden { id, file, text }).collect()
}

/// Id, file and text of every file of the tree.
const FILES: &[(&str, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

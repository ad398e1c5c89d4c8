//! The golden vectors, embedded so that an installed binary has them.

use std::sync::LazyLock;

use crate::diagnostic::ParseError;
use crate::model::Vector;
use crate::template::{self, Cell};

/// A golden vector as it stands in the tree, or one cell of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Golden {
    /// `area/slug`, with `@` and the values for a cell of a template.
    pub id: String,
    /// The file, relative to `vectors/`.
    pub file: &'static str,
    /// The text; a template's is expanded.
    pub text: String,
    /// The file's own text.
    source: &'static str,
    /// For each line of the text the file's line.
    lines: Vec<u32>,
}

impl Golden {
    /// Parses it; the lines of its steps are the file's.
    ///
    /// # Errors
    /// It is not of the language, or a template that does not expand.
    pub fn vector(&self) -> Result<Vector, Box<ParseError>> {
        let file = format!("vectors/{}", self.file);
        if self.lines.is_empty() {
            template::expand(&self.id, &file, self.source)?;
        }
        let Golden { id, text, lines, .. } = self.clone();
        Cell { id, text, lines }.vector(&file, self.source)
    }
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

/// A template that does not expand stands for itself: [`Golden::vector`] then says what is wrong, and so does a test.
fn cells(id: &str, file: &'static str, source: &'static str) -> Vec<Golden> {
    let whole = || vec![Cell { id: id.to_owned(), text: source.to_owned(), lines: Vec::new() }];
    let expanded = template::expand(id, file, source).unwrap_or_else(|_| whole());
    expanded.into_iter().map(|Cell { id, text, lines }| Golden { id, file, text, source, lines }).collect()
}

/// Id, file and text of every file of the tree.
const FILES: &[(&str, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

//! What is wrong with a file that the user wrote, shown where it is wrong.

use std::fmt;
use std::ops::Range;

use miette::{LabeledSpan, NamedSource, SourceCode};

/// A file's error with its place and remedy.
#[derive(Debug)]
pub struct FileError {
    message: String,
    help: String,
    span: Range<usize>,
    source: NamedSource<String>,
}

impl FileError {
    pub(crate) fn new(file: &str, text: &str, span: Option<Range<usize>>, message: String, help: &str) -> FileError {
        let span = span.unwrap_or(0..0);
        let end = span.end.min(text.len());
        let span = span.start.min(end)..end;
        FileError { message, help: help.to_owned(), span, source: NamedSource::new(file, text.to_owned()) }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.source.inner().get(..self.span.start).unwrap_or_default().matches('\n').count() + 1;
        write!(f, "{}:{line}: {}", self.source.name(), self.message)
    }
}

impl std::error::Error for FileError {}

impl miette::Diagnostic for FileError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(Some("here".to_owned()), self.span.clone()))))
    }
}

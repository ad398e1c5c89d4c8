//! What is wrong with a vector's text, shown where it is wrong.

use std::fmt;
use std::ops::Range;

use miette::{LabeledSpan, NamedSource, SourceCode, SourceSpan};

/// A vector's text is not of the language: which file, where in it, and what was expected there.
#[derive(Debug)]
pub struct ParseError {
    /// What is wrong, in one line.
    pub message: String,
    /// What the language has there.
    pub help: String,
    /// The file's name as given to the parser.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    span: SourceSpan,
    source: NamedSource<String>,
}

impl ParseError {
    /// An error about the octets `span` of `text`; a span that reaches beyond the text is cut, and blanks at its end are left out.
    #[must_use]
    pub fn new(file: &str, text: &str, span: Range<usize>, message: String, help: String) -> ParseError {
        let mut start = span.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = span.end.clamp(start, text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        let underlined = text.get(start..end).unwrap_or_default();
        end = start + underlined.trim_end().len();
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        ParseError {
            message,
            help,
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            span: (start, end - start).into(),
            source: NamedSource::new(file, text.to_owned()),
        }
    }

    /// The same error about a line of the template that this text was made from: at the same place where the line stands there as it is, else
    /// about the whole line, with what became of it.
    pub(crate) fn at_line_of(&self, template: &str, line: usize, id: &str) -> ParseError {
        let text = self.source.inner();
        let own = text.split('\n').nth(self.line.saturating_sub(1)).unwrap_or_default();
        let theirs = template.split('\n').nth(line.saturating_sub(1)).unwrap_or_default();
        let start: usize = template.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let (span, help) = if own == theirs {
            let before: usize = text.split_inclusive('\n').take(self.line.saturating_sub(1)).map(str::len).sum();
            let at = start + self.span.offset().saturating_sub(before);
            (at..at + self.span.len(), self.help.clone())
        } else {
            (start..start + theirs.len(), format!("{}; in {id} it is `{}`, and the error at `{}`", self.help, own.trim(), self.offending()))
        };
        ParseError::new(&self.file, template, span, self.message.clone(), help)
    }

    /// The text that is underlined.
    #[must_use]
    pub fn offending(&self) -> &str {
        let (from, len) = (self.span.offset(), self.span.len());
        self.source.inner().get(from..from + len).unwrap_or_default()
    }
}

/// One line, as compilers write it: `file:line:column: message`.
impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

impl miette::Diagnostic for ParseError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(Some("here".to_owned()), self.span))))
    }
}

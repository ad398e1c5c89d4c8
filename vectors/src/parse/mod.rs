//! Text to [`Vector`]. A line is a step; comments are blanked first, so that every place in a line is a place in the file.

mod call;
mod header;
mod segment;
mod token;

use winnow::stream::LocatingSlice;

pub(crate) use call::{ERRORS, STATES};
pub(crate) use header::KEYS;
pub(crate) use segment::{ICMP_ERRORS, ODD_SOURCES};
pub(crate) use token::{BASES, ESCAPES};

use token::{In, Parsed, Problem, eat, here, rest, seconds, since, skip, unexpected};

pub use crate::diagnostic::ParseError;
use crate::model::{Header, Step, StepKind, Vector};

/// Parses a vector.
///
/// # Errors
/// The text is not of the language; the error says where, and what was expected there.
pub fn vector(id: &str, file_name: &str, text: &str) -> Result<Vector, Box<ParseError>> {
    let error = |at: usize, p: Problem| Box::new(ParseError::new(file_name, text, at + p.span.start..at + p.span.end, p.message, p.help));
    let blanked = blank_comments(text).map_err(|p| error(0, p))?;
    let mut vector = Vector { id: id.to_owned(), header: Header::default(), steps: Vec::new() };
    let mut at = 0;
    for (number, (line, code)) in text.split('\n').zip(blanked.split('\n')).enumerate() {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start().starts_with("//@") {
            if !vector.steps.is_empty() {
                let span = indent..line.trim_end().len();
                let help = "header lines stand before the first step".to_owned();
                return Err(error(at, Problem { span, message: "a header line among the steps".to_owned(), help }));
            }
            header::line(&mut vector.header, line, indent + 3).map_err(|p| error(at, p))?;
        } else if !code.trim().is_empty() {
            if vector.steps.len() == MAX_STEPS {
                let help = format!("a vector has at most {MAX_STEPS} steps");
                return Err(error(at, Problem { span: 0..line.len(), message: "too many steps".to_owned(), help }));
            }
            let number = u32::try_from(number + 1).unwrap_or(u32::MAX);
            let step = step(code.trim_end(), vector.steps.is_empty(), number).map_err(|p| error(at, p))?;
            vector.steps.push(step);
        }
        at += line.len() + 1;
    }
    if vector.steps.is_empty() {
        let message = "there are no steps".to_owned();
        let help = "a step is a time and what happens: `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3`".to_owned();
        return Err(error(0, Problem { span: text.len()..text.len(), message, help }));
    }
    if vector.header.families.is_empty() != vector.header.family_why.is_empty() {
        let message = "`family` and `family-why` go together".to_owned();
        let help = "a vector runs over IPv4 and IPv6; `family` says which one alone, `family-why` the reason".to_owned();
        let from = text.find("//@ family").unwrap_or(0);
        let len = text[from..].find('\n').unwrap_or(text.len() - from);
        return Err(error(0, Problem { span: from..from + len, message, help }));
    }
    Ok(vector)
}

/// More steps than that are a mistake, not a vector.
const MAX_STEPS: usize = 10_000;

fn step(line: &str, first: bool, number: u32) -> Parsed<Step> {
    let mut input: In<'_> = LocatingSlice::new(line);
    let i = &mut input;
    skip(i);
    let from = here(i);
    let relative = eat(i, "+");
    let after = seconds(i)?;
    if !relative && !first {
        return Err(since(
            i,
            from,
            "an absolute time",
            "only the first step has an absolute time; others say how long after the step before: `+0.2`",
        ));
    }
    let until = if eat(i, "~") {
        if !eat(i, "+") {
            return Err(unexpected(i, "expected `+`", "a range of times is written `+0.2~+0.4`"));
        }
        let until = seconds(i)?;
        if until < after {
            return Err(since(i, from, "the range ends before it begins", "a range of times is written `+0.2~+0.4`"));
        }
        Some(until)
    } else {
        None
    };
    let after_time = here(i);
    skip(i);
    if here(i) == after_time && !rest(i).is_empty() && !rest(i).starts_with(['<', '>', '%']) {
        return Err(since(i, from, "not a time", "a time is in seconds with up to six decimals, and a blank follows it"));
    }
    let kind = kind(i)?;
    skip(i);
    if !rest(i).is_empty() {
        return Err(unexpected(i, "the step has ended here", "a line holds one step"));
    }
    if until.is_some() && !matches!(kind, StepKind::Expect(_)) {
        return Err(since(i, from, "only a `>` line has a range of times", "a stimulus happens at one time"));
    }
    Ok(Step { after, until, kind, line: number })
}

fn kind(i: &mut In<'_>) -> Parsed<StepKind> {
    if rest(i).starts_with('<') {
        token::advance(i, 1);
        return segment::inject(i);
    }
    if rest(i).starts_with('>') {
        token::advance(i, 1);
        return segment::expect(i).map(StepKind::Expect);
    }
    if eat(i, "%{") {
        return call::assert_state(i).map(StepKind::AssertState);
    }
    if rest(i).is_empty() {
        return Err(unexpected(i, "nothing happens", call::STEP_HELP));
    }
    if rest(i).trim_end() == "wait" {
        eat(i, "wait");
        return Ok(StepKind::Wait);
    }
    call::call(i).map(StepKind::Call)
}

/// Comments as blanks, octet for octet; line ends stay, and so do strings.
fn blank_comments(text: &str) -> Result<String, Problem> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            match rest.get(2..).and_then(|r| r.find("*/")) {
                Some(n) => n + 4,
                None => {
                    let from = text.len() - rest.len();
                    let (message, help) = ("the comment does not end".to_owned(), "a comment ends with `*/`".to_owned());
                    return Err(Problem { span: from..from + 2, message, help });
                }
            }
        } else {
            let len = if c == '"' { string_len(rest) } else { c.len_utf8() };
            out.push_str(&rest[..len]);
            rest = &rest[len..];
            continue;
        };
        out.extend(rest[..len].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
        rest = &rest[len..];
    }
    Ok(out)
}

/// The octets of a string with its quotes; up to the line's end where it has no end of its own.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return at,
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

//! The smallest pieces: numbers, names, strings, and the error that they share.

use std::ops::Range;

use winnow::Parser;
use winnow::combinator::opt;
use winnow::error::ParserError;
use winnow::stream::{LocatingSlice, Location};
use winnow::token::{literal, take_while};

use crate::model::{Base, Num};

/// What a line's parsers read: the rest of the line, with the place in it.
pub(super) type In<'a> = LocatingSlice<&'a str>;

/// What a line's parsers give.
pub(super) type Parsed<T> = Result<T, Problem>;

/// What is wrong, by octets of the line.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: String,
}

impl<'a> ParserError<In<'a>> for Problem {
    type Inner = Problem;

    fn from_input(i: &In<'a>) -> Problem {
        unexpected(i, "this does not belong here", "see vectors/LANGUAGE.md")
    }

    fn into_inner(self) -> Result<Problem, Problem> {
        Ok(self)
    }
}

/// A problem about the token that comes next.
pub(super) fn unexpected(i: &In<'_>, message: impl Into<String>, help: impl Into<String>) -> Problem {
    let (from, rest) = (here(i), i.as_ref());
    let len = match rest.find(|c: char| c.is_whitespace() || "<>(){}[],;".contains(c)) {
        Some(0) => rest.chars().next().map_or(0, char::len_utf8),
        Some(n) => n,
        None => rest.len(),
    };
    Problem { span: from..from + len, message: message.into(), help: help.into() }
}

/// A problem about what stands between `from` and here.
pub(super) fn since(i: &In<'_>, from: usize, message: impl Into<String>, help: impl Into<String>) -> Problem {
    Problem { span: from..here(i), message: message.into(), help: help.into() }
}

/// The place in the line, in octets.
pub(super) fn here(i: &In<'_>) -> usize {
    i.current_token_start()
}

/// The rest of the line.
pub(super) fn rest<'a>(i: &In<'a>) -> &'a str {
    i.as_ref()
}

/// Passes over blanks.
pub(super) fn skip(i: &mut In<'_>) {
    let _ = run(i, char::is_whitespace);
}

/// Takes the characters for which `is` holds; perhaps none.
pub(super) fn run<'a>(i: &mut In<'a>, is: impl Fn(char) -> bool) -> &'a str {
    let taken: Parsed<&str> = take_while(0.., is).parse_next(i);
    taken.unwrap_or_default()
}

/// Takes `text` and the blanks after it if it comes next.
pub(super) fn eat(i: &mut In<'_>, text: &str) -> bool {
    let taken: Parsed<Option<&str>> = opt(literal(text)).parse_next(i);
    let found = matches!(taken, Ok(Some(_)));
    if found {
        skip(i);
    }
    found
}

/// Takes `text`, which has to come next.
pub(super) fn want(i: &mut In<'_>, text: &str, help: &str) -> Parsed<()> {
    if eat(i, text) { Ok(()) } else { Err(unexpected(i, format!("expected `{text}`"), help)) }
}

/// Takes a name (letters, digits, `_` and `-`) and the blanks after it; perhaps an empty one.
pub(super) fn word<'a>(i: &mut In<'a>) -> &'a str {
    let w = run(i, |c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    skip(i);
    w
}

/// Takes a decimal number of at most `max`, and the blanks after it.
pub(super) fn number(i: &mut In<'_>, what: &str, max: u64) -> Parsed<u64> {
    let from = here(i);
    let digits = run(i, |c| c.is_ascii_digit());
    if digits.is_empty() {
        return Err(unexpected(i, format!("expected {what}"), format!("{what} is a decimal number up to {max}")));
    }
    match digits.parse::<u64>() {
        Ok(n) if n <= max => {
            skip(i);
            Ok(n)
        }
        _ => Err(since(i, from, format!("{what} is too large"), format!("{what} is at most {max}"))),
    }
}

/// As [`number`], for a field of one octet.
pub(super) fn byte(i: &mut In<'_>, what: &str, max: u8) -> Parsed<u8> {
    number(i, what, u64::from(max)).map(|n| u8::try_from(n).unwrap_or(max))
}

/// As [`number`], for a field of two octets.
pub(super) fn short(i: &mut In<'_>, what: &str) -> Parsed<u16> {
    number(i, what, u64::from(u16::MAX)).map(|n| u16::try_from(n).unwrap_or(u16::MAX))
}

/// As [`number`], for a field of four octets.
pub(super) fn long(i: &mut In<'_>, what: &str) -> Parsed<u32> {
    number(i, what, u64::from(u32::MAX)).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
}

/// The names that stand in braces.
pub(crate) const BASES: [(Base, &str); 8] = [
    (Base::Zero, "zero"),
    (Base::Iss, "iss"),
    (Base::Irs, "irs"),
    (Base::SndUna, "snd_una"),
    (Base::SndNxt, "snd_nxt"),
    (Base::RcvNxt, "rcv_nxt"),
    (Base::RcvRight, "rcv_right"),
    (Base::PeerNxt, "peer_nxt"),
];

/// Takes a sequence number: plain, relative to `plain`, or `{name+k}`.
pub(super) fn num(i: &mut In<'_>, plain: Base, what: &str) -> Parsed<Num> {
    if !rest(i).starts_with('{') {
        let offset = number(i, what, u64::from(u32::MAX)).map_err(|p| Problem {
            help: format!("{what} is a relative number (`1`) or an expression (`{{rcv_nxt}}`, `{{snd_una-1}}`)"),
            ..p
        })?;
        return Ok(Num { base: plain, offset: wrap(offset) });
    }
    want(i, "{", "")?;
    let known = || format!("the names are {}", BASES.map(|(_, n)| n).join(" "));
    let from = here(i);
    let name = run(i, |c| c.is_ascii_lowercase() || c == '_');
    let Some((base, _)) = BASES.into_iter().find(|(_, n)| *n == name) else {
        let message = if name.is_empty() { "expected a name".to_owned() } else { format!("unknown name `{name}`") };
        return Err(if name.is_empty() { unexpected(i, message, known()) } else { since(i, from, message, known()) });
    };
    skip(i);
    let offset = if eat(i, "+") {
        wrap(number(i, "the offset", u64::from(u32::MAX))?)
    } else if eat(i, "-") {
        wrap(number(i, "the offset", u64::from(u32::MAX))?).wrapping_neg()
    } else {
        0
    };
    want(i, "}", "an expression is `{name}`, `{name+k}` or `{name-k}`")?;
    Ok(Num { base, offset })
}

/// Sequence numbers are modulo 2^32, and so are offsets.
fn wrap(n: u64) -> i32 {
    u32::try_from(n).unwrap_or(u32::MAX).cast_signed()
}

/// Takes a string in double quotes with the escapes `\r \n \t \0 \\ \" \xHH`, and the blanks after it.
pub(super) fn string(i: &mut In<'_>) -> Parsed<Vec<u8>> {
    let from = here(i);
    if !rest(i).starts_with('"') {
        return Err(unexpected(i, "expected a string", "a string stands in double quotes"));
    }
    advance(i, 1);
    let mut octets = Vec::new();
    loop {
        octets.extend_from_slice(run(i, |c| c != '"' && c != '\\').as_bytes());
        let mut next = rest(i).chars();
        match (next.next(), next.next()) {
            (Some('"'), _) => {
                advance(i, 1);
                skip(i);
                return Ok(octets);
            }
            (Some(_), Some('x')) => {
                let digits = rest(i).get(2..4).unwrap_or_default();
                let Ok(octet) = u8::from_str_radix(digits, 16) else {
                    return Err(unexpected(i, "expected two hexadecimal digits", "an octet is written `\\x0d`"));
                };
                octets.push(octet);
                advance(i, 4);
            }
            (Some(_), Some(escape)) => {
                let Some((_, octet)) = ESCAPES.iter().find(|(c, _)| *c == escape) else {
                    return Err(unexpected(i, "unknown escape", "the escapes are \\r \\n \\t \\0 \\\\ \\\" \\xHH"));
                };
                octets.push(*octet);
                advance(i, 2);
            }
            (_, None) => return Err(since(i, from, "the string does not end", "a string ends with `\"` on its line")),
            (None, Some(_)) => return Err(since(i, from, "the string does not end", "")),
        }
    }
}

/// The escapes of a string with the octets they stand for.
pub(crate) const ESCAPES: [(char, u8); 6] = [('r', b'\r'), ('n', b'\n'), ('t', b'\t'), ('0', 0), ('\\', b'\\'), ('"', b'"')];

/// Passes over `n` octets, which the caller has seen.
pub(super) fn advance(i: &mut In<'_>, n: usize) {
    let taken: Parsed<&str> = winnow::token::take(n).parse_next(i);
    debug_assert!(taken.is_ok(), "the caller has seen them");
}

/// Takes octets as hexadecimal digits, and the blanks after them.
pub(super) fn hex(i: &mut In<'_>) -> Parsed<Vec<u8>> {
    let from = here(i);
    let digits = run(i, |c| c.is_ascii_alphanumeric());
    let octet = |at: usize| digits.get(at..at + 2).and_then(|d| u8::from_str_radix(d, 16).ok());
    match (0..digits.len()).step_by(2).map(octet).collect::<Option<Vec<u8>>>() {
        Some(octets) => {
            skip(i);
            Ok(octets)
        }
        None => Err(since(i, from, "not octets in hexadecimal", "octets are pairs of hexadecimal digits, as in `01ff`")),
    }
}

/// Takes seconds with up to six decimals, as microseconds; blanks are not passed over.
pub(super) fn seconds(i: &mut In<'_>) -> Parsed<u64> {
    const HELP: &str = "a time is in seconds with up to six decimals, up to 1000000";
    let from = here(i);
    let whole = run(i, |c| c.is_ascii_digit());
    if whole.is_empty() {
        return Err(unexpected(i, "expected a time", "a time is written `0`, `+0.2` or `+0.2~+0.4`"));
    }
    let fraction = if rest(i).starts_with('.') {
        advance(i, 1);
        run(i, |c| c.is_ascii_digit())
    } else {
        ""
    };
    let micros = format!("{fraction:0<6}");
    match (whole.parse::<u64>(), micros.parse::<u64>()) {
        (Ok(s), Ok(us)) if s <= 1_000_000 && fraction.len() <= 6 => Ok(s * 1_000_000 + us),
        _ => Err(since(i, from, "not a time", HELP)),
    }
}

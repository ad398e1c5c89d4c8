//! Templates: one text that stands for a grid of vectors.
//!
//! A line `//@ for: flag = S F P` in the header makes one vector for each value; several such lines make one for each combination.
//! `${flag}` stands for the value, in which `~` is a blank. Where a cell needs several words, a value has parts: `//@ for: flag|name = S|syn F|fin`. The id of a
//! cell is the template's, `@`, and the first part of each value: `reset/slug@ESTABLISHED,syn`.
//!
//! A value that names a block of `states.inc` brings the block's variables too: with `state = ESTABLISHED`, `${preamble}` is the text that
//! brings a fresh connection there.

use std::ops::Range;

use crate::diagnostic::ParseError;

/// One cell's variables: names with their values.
type Cell = Vec<(String, String)>;

/// Expands a template to ids with texts; a text without parameters is its own expansion.
///
/// # Errors
/// A `for` line is not of the form, there are too many cells, or a `${name}` has no value.
pub fn expand(id: &str, text: &str) -> Result<Vec<(String, String)>, Box<ParseError>> {
    let (parameters, body) = parameters(id, text)?;
    let mut cells: Vec<(Vec<String>, Cell)> = vec![(Vec::new(), Cell::new())];
    for Parameter { names, values } in &parameters {
        let combine = |(path, cell): &(Vec<String>, Cell)| {
            let of = |value: &Vec<String>| {
                let mut path = path.clone();
                path.extend(value.first().cloned());
                let own = names.iter().cloned().zip(value.iter().cloned());
                let block = value.first().map(|v| block(v)).unwrap_or_default();
                (path, cell.iter().cloned().chain(own).chain(block).collect())
            };
            values.iter().map(of).collect::<Vec<(Vec<String>, Cell)>>()
        };
        cells = cells.iter().flat_map(combine).collect();
        if cells.len() > MAX_CELLS {
            let help = format!("a template has at most {MAX_CELLS} cells");
            return Err(Box::new(ParseError::new(id, text, 0..0, "too many cells".to_owned(), help)));
        }
    }
    let of = |(path, cell): (Vec<String>, Cell)| {
        let id = if path.is_empty() { id.to_owned() } else { format!("{id}@{}", path.join(",")) };
        substitute(&id, &body, &cell).map(|text| (id, text))
    };
    cells.into_iter().map(of).collect()
}

const MAX_CELLS: usize = 1000;

struct Parameter {
    names: Vec<String>,
    values: Vec<Vec<String>>,
}

/// The parameters, and the text without the lines that name them.
fn parameters(id: &str, text: &str) -> Result<(Vec<Parameter>, String), Box<ParseError>> {
    let (mut parameters, mut body, mut at) = (Vec::new(), String::new(), 0);
    for line in text.split_inclusive('\n') {
        match line.trim_start().strip_prefix("//@").and_then(|l| l.trim_start().strip_prefix("for:")) {
            None => body.push_str(line),
            Some(rest) => parameters.push(parameter(rest).ok_or_else(|| {
                let help = "parameters are written `//@ for: flag = S F P` or `//@ for: flag|name = S|syn F|fin`".to_owned();
                Box::new(ParseError::new(id, text, at..at + line.trim_end().len(), "not a parameter".to_owned(), help))
            })?),
        }
        at += line.len();
    }
    Ok((parameters, body))
}

/// `flag|name = S|syn F|fin`; each value has as many parts as there are names.
fn parameter(text: &str) -> Option<Parameter> {
    let (names, values) = text.split_once('=')?;
    let parts = |s: &str| s.split('|').map(str::to_owned).collect::<Vec<String>>();
    let names = parts(names.trim());
    let values: Vec<Vec<String>> = values.split_whitespace().map(|v| parts(&v.replace('~', " "))).collect();
    let fits = !values.is_empty() && values.iter().all(|v| v.len() == names.len());
    let named = names.iter().all(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
    (fits && named).then_some(Parameter { names, values })
}

/// Puts the cell's values for `${name}`; a value may hold `${name}` itself, to a small depth.
fn substitute(id: &str, body: &str, cell: &Cell) -> Result<String, Box<ParseError>> {
    let mut text = body.to_owned();
    for _ in 0..MAX_DEPTH {
        let Some((span, name)) = variable(&text) else { return Ok(text) };
        let mut out = String::with_capacity(text.len());
        let (mut rest, mut next) = (text.as_str(), Some((span, name)));
        let mut at = 0;
        while let Some((span, name)) = next {
            let Some((_, value)) = cell.iter().find(|(n, _)| *n == name) else {
                let known: Vec<&str> = cell.iter().map(|(n, _)| n.as_str()).collect();
                let help = if known.is_empty() { "there are no parameters".to_owned() } else { format!("there are {}", known.join(", ")) };
                let place = at + span.start..at + span.end;
                return Err(Box::new(ParseError::new(id, &text, place, format!("`{name}` has no value"), help)));
            };
            out.push_str(&rest[..span.start]);
            out.push_str(value.trim_end_matches('\n'));
            rest = &rest[span.end..];
            at += span.end;
            next = variable(rest);
        }
        out.push_str(rest);
        text = out;
    }
    let help = "a value may hold other values, but not itself".to_owned();
    Err(Box::new(ParseError::new(id, body, 0..0, "the values have no end".to_owned(), help)))
}

const MAX_DEPTH: usize = 5;

/// The first `${name}` with its place.
fn variable(text: &str) -> Option<(Range<usize>, String)> {
    let start = text.find("${")?;
    let len = text[start..].find('}')?;
    Some((start..start + len + 1, text[start + 2..start + len].to_owned()))
}

/// The variables of a block of `states.inc`: after `=== NAME` stand `--- variable` and its text.
fn block(name: &str) -> Cell {
    let mut cell = Cell::new();
    let mut inside = false;
    for line in STATES.split_inclusive('\n') {
        if let Some(title) = line.strip_prefix("=== ") {
            inside = title.trim() == name;
        } else if let Some(variable) = line.strip_prefix("--- ").filter(|_| inside) {
            match variable.split_once(':') {
                Some((name, value)) => cell.push((name.trim().to_owned(), value.trim().to_owned())),
                None => cell.push((variable.trim().to_owned(), String::new())),
            }
        } else if inside && let Some((_, value)) = cell.last_mut() {
            value.push_str(line);
        }
    }
    cell
}

const STATES: &str = include_str!("../states.inc");

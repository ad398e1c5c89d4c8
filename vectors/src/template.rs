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
use crate::model::Vector;
use crate::parse;

/// One vector of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cell {
    /// The template's id, `@`, and the first part of each value; the plain id for a text without parameters.
    pub id: String,
    /// The text with the values in it.
    pub text: String,
    /// For each line of it the line of the template from which it came, from 1.
    pub lines: Vec<u32>,
}

/// A cell's variables: names with their values.
type Values = Vec<(String, String)>;

/// The vectors of a file; a text without parameters is one. The lines of steps and errors are the file's own.
///
/// # Errors
/// A `for` line is not of the form, there are too many cells, a `${name}` has no value, or a cell's text is not of the language.
pub fn vectors(id: &str, file: &str, text: &str) -> Result<Vec<Vector>, Box<ParseError>> {
    expand(id, file, text)?.iter().map(|cell| cell.vector(file, text)).collect()
}

impl Cell {
    /// Parses the cell of this template.
    ///
    /// # Errors
    /// Its text is not of the language; the error shows the template's line.
    pub fn vector(&self, file: &str, template: &str) -> Result<Vector, Box<ParseError>> {
        let mut vector = parse::vector(&self.id, file, &self.text).map_err(|error| {
            let line = self.lines.get(error.line.saturating_sub(1)).copied().unwrap_or(1);
            Box::new(error.at_line_of(template, line as usize, &self.id))
        })?;
        for step in &mut vector.steps {
            let place = usize::try_from(step.line).unwrap_or(usize::MAX).saturating_sub(1);
            step.line = self.lines.get(place).copied().unwrap_or(step.line);
        }
        Ok(vector)
    }
}

/// Expands a template to its cells; a text without parameters is its own expansion.
///
/// # Errors
/// A `for` line is not of the form, a parameter stands twice, there are too many cells, or a `${name}` has no value.
pub fn expand(id: &str, file: &str, text: &str) -> Result<Vec<Cell>, Box<ParseError>> {
    let parameters = parameters(file, text)?;
    let mut cells: Vec<(Vec<String>, Values)> = vec![(Vec::new(), Values::new())];
    for Parameter { names, values, span } in &parameters {
        let combine = |(path, cell): &(Vec<String>, Values)| {
            let of = |value: &Vec<String>| {
                let mut path = path.clone();
                path.extend(value.first().cloned());
                let own = names.iter().cloned().zip(value.iter().cloned());
                let block = value.first().map(|v| block(v)).unwrap_or_default();
                (path, cell.iter().cloned().chain(own).chain(block).collect())
            };
            values.iter().map(of).collect::<Vec<(Vec<String>, Values)>>()
        };
        cells = cells.iter().flat_map(combine).collect();
        if cells.len() > MAX_CELLS {
            let help = format!("a template has at most {MAX_CELLS} cells");
            return Err(Box::new(ParseError::new(file, text, span.clone(), "too many cells".to_owned(), help)));
        }
    }
    let of = |(path, values): (Vec<String>, Values)| {
        let id = if path.is_empty() { id.to_owned() } else { format!("{id}@{}", path.join(",")) };
        let lines = substitute(file, text, &values)?;
        let (lines, text): (Vec<u32>, Vec<String>) = lines.into_iter().unzip();
        Ok(Cell { id, text: text.join("\n"), lines })
    };
    cells.into_iter().map(of).collect()
}

const MAX_CELLS: usize = 1000;

struct Parameter {
    names: Vec<String>,
    values: Vec<Vec<String>>,
    /// Where it stands.
    span: Range<usize>,
}

/// What a line that names a parameter says behind `for:`.
fn for_line(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("//@").and_then(|l| l.trim_start().strip_prefix("for:"))
}

fn parameters(file: &str, text: &str) -> Result<Vec<Parameter>, Box<ParseError>> {
    let (mut parameters, mut at): (Vec<Parameter>, usize) = (Vec::new(), 0);
    for line in text.split_inclusive('\n') {
        let span = at..at + line.trim_end().len();
        at += line.len();
        let Some(rest) = for_line(line) else { continue };
        let error = |message: String, help: &str| Box::new(ParseError::new(file, text, span.clone(), message, help.to_owned()));
        let help = "parameters are written `//@ for: flag = S F P` or `//@ for: flag|name = S|syn F|fin`";
        let (names, values) = parameter(rest).ok_or_else(|| error("not a parameter".to_owned(), help))?;
        let before: Vec<&String> = parameters.iter().flat_map(|p| &p.names).collect();
        let twice = names.iter().enumerate().find(|(i, n)| before.contains(n) || names[..*i].contains(n));
        if let Some((_, name)) = twice {
            return Err(error(
                format!("`{name}` is a parameter already"),
                "each parameter stands once; `a|b = 1|x 2|y` gives a value two parts",
            ));
        }
        parameters.push(Parameter { names, values, span });
    }
    Ok(parameters)
}

/// `flag|name = S|syn F|fin`; each value has as many parts as there are names.
fn parameter(text: &str) -> Option<(Vec<String>, Vec<Vec<String>>)> {
    let (names, values) = text.split_once('=')?;
    let parts = |s: &str| s.split('|').map(str::to_owned).collect::<Vec<String>>();
    let names = parts(names.trim());
    let values: Vec<Vec<String>> = values.split_whitespace().map(|v| parts(&v.replace('~', " "))).collect();
    let fits = !values.is_empty() && values.iter().all(|v| v.len() == names.len());
    let named = names.iter().all(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
    (fits && named).then_some((names, values))
}

/// The template's lines, without those that name parameters, with the values for `${name}`, each with the number of the line it came from. A
/// value may hold several lines, and `${name}` itself, to a small depth.
fn substitute(file: &str, template: &str, values: &Values) -> Result<Vec<(u32, String)>, Box<ParseError>> {
    let mut lines: Vec<(u32, String)> =
        (1..).zip(template.split('\n')).filter(|(_, l)| for_line(l).is_none()).map(|(n, l)| (n, l.to_owned())).collect();
    for _ in 0..MAX_DEPTH {
        if !lines.iter().any(|(_, line)| variable(line).is_some()) {
            return Ok(lines);
        }
        let mut out = Vec::with_capacity(lines.len());
        for (n, line) in lines {
            let filled = fill(&line, values).map_err(|name| {
                let known: Vec<&str> = values.iter().map(|(n, _)| n.as_str()).collect();
                let help = if known.is_empty() { "there are no parameters".to_owned() } else { format!("there are {}", known.join(", ")) };
                let span = place_of(template, n as usize, &format!("${{{name}}}"));
                Box::new(ParseError::new(file, template, span, format!("`{name}` has no value"), help))
            })?;
            out.extend(filled.split('\n').map(|l| (n, l.to_owned())));
        }
        lines = out;
    }
    let first = lines.iter().find(|(_, line)| variable(line).is_some()).map_or(1, |(n, _)| *n);
    let help = "a value may hold other values, but not itself".to_owned();
    let span = place_of(template, first as usize, "${");
    Err(Box::new(ParseError::new(file, template, span, "the values have no end".to_owned(), help)))
}

const MAX_DEPTH: usize = 5;

/// A line with the values of its variables; the name of one that has none as an error.
fn fill(line: &str, values: &Values) -> Result<String, String> {
    let (mut out, mut rest) = (String::with_capacity(line.len()), line);
    while let Some((span, name)) = variable(rest) {
        let Some((_, value)) = values.iter().find(|(n, _)| *n == name) else { return Err(name) };
        out.push_str(&rest[..span.start]);
        out.push_str(value.trim_end_matches('\n'));
        rest = &rest[span.end..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Where `what` stands in this line of a text, from 1; the whole line where it is not there.
fn place_of(text: &str, line: usize, what: &str) -> Range<usize> {
    let start = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let own = text.get(start..).and_then(|t| t.split('\n').next()).unwrap_or_default();
    match own.find(what) {
        Some(at) => start + at..start + at + what.len(),
        None => start..start + own.len(),
    }
}

/// The first `${name}` with its place.
fn variable(text: &str) -> Option<(Range<usize>, String)> {
    let start = text.find("${")?;
    let len = text[start..].find('}')?;
    Some((start..start + len + 1, text[start + 2..start + len].to_owned()))
}

/// The variables of a block of `states.inc`: after `=== NAME` stand `--- variable` and its text.
fn block(name: &str) -> Values {
    let mut cell = Values::new();
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

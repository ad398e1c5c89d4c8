//! The `//@ key: value` lines.

use tcp_reference::api::Family;

use super::token::Problem;
use crate::model::Header;

/// The keys of a header, in the order in which they are printed.
pub(crate) const KEYS: [&str; 8] = ["title", "rules", "level", "source", "tc8", "needs", "family", "family-why"];

/// Takes one line into the header. `line` is the whole line; `at` is where the text after `//@` starts in it.
pub(super) fn line(header: &mut Header, line: &str, at: usize) -> Result<(), Problem> {
    let text = line.get(at..).unwrap_or_default();
    let problem = |span: std::ops::Range<usize>, message: String, help: &str| Problem { span, message, help: help.to_owned() };
    let Some(colon) = text.find(':') else {
        return Err(problem(at..line.len(), "expected `key: value`".to_owned(), "a header line is `//@ title: what happens`"));
    };
    let (key, value) = (text[..colon].trim(), text[colon + 1..].trim());
    let key_at = at + text.find(key).unwrap_or(0);
    let key_span = key_at..(key_at + key.len()).max(at + 1);
    let value_at = at + colon + 1 + text[colon + 1..].find(value).unwrap_or(0);
    let value_span = value_at..value_at + value.len();
    if value.is_empty() {
        return Err(problem(key_span, format!("`{key}` says nothing"), "after the colon stands the value"));
    }
    let words = || value.split_whitespace().map(str::to_owned);
    let once = |field: &mut String| {
        if !field.is_empty() {
            return Err(problem(key_span.clone(), format!("`{key}` stands twice"), "this key stands once"));
        }
        value.clone_into(field);
        Ok(())
    };
    match key {
        "title" => once(&mut header.title),
        "rules" => {
            header.rules.extend(words());
            Ok(())
        }
        "level" => {
            if !["must", "should", "may"].contains(&value) {
                return Err(problem(value_span, format!("`{value}` is no level"), "the levels are must, should and may"));
            }
            once(&mut header.level)
        }
        "source" => once(&mut header.source),
        "tc8" => {
            header.tc8.extend(words());
            Ok(())
        }
        "needs" => {
            header.needs.extend(words());
            Ok(())
        }
        "family" => {
            for word in value.split_whitespace() {
                let family = match word {
                    "4" => Family::V4,
                    "6" => Family::V6,
                    _ => return Err(problem(value_span, format!("`{word}` is no IP version"), "the IP versions are 4 and 6")),
                };
                if header.families.contains(&family) {
                    return Err(problem(value_span, format!("`{word}` stands twice"), "each IP version stands once"));
                }
                header.families.push(family);
            }
            Ok(())
        }
        "family-why" => once(&mut header.family_why),
        _ => Err(problem(
            key_span,
            format!("unknown key `{key}`"),
            "the keys are title, rules, level, source, tc8, needs, family and family-why",
        )),
    }
}

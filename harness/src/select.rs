//! Which vectors a run takes.

use std::fmt;
use std::str::FromStr;

use tcp_reference::api::Family;
use tcp_reference::stack::Mutant;
use tcp_vectors::model::Vector;
use tcp_vectors::{Golden, ParseError, golden};

/// A vector over one IP version.
#[derive(Clone, Debug)]
pub struct Item {
    /// The vector.
    pub vector: Vector,
    /// IP version.
    pub family: Family,
    /// Its file as given, for a vector outside the tree.
    pub file: Option<String>,
}

impl Item {
    /// The vector's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.vector.id
    }
}

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Ids, areas or globs of ids, or globs of rules (those with a colon). None takes every vector.
    pub words: Vec<String>,
    /// Globs of rules, one of which a vector must cite besides.
    pub rules: Vec<String>,
    /// One IP version alone.
    pub family: Option<Family>,
    /// One part of what the others take.
    pub part: Option<Part>,
}

/// One of so many parts of the vectors: every vector is in one part, and in the same each time that the same vectors are asked for. Neighbours, which
/// take about as long as each other, are in different parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// Which, from 1.
    which: usize,
    /// Of how many.
    of: usize,
}

impl Part {
    /// Whether the vector at this place among those that are asked for is in it.
    #[must_use]
    pub fn takes(self, place: usize) -> bool {
        place % self.of == self.which - 1
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Part, String> {
        let parts = text.split_once('/').and_then(|(which, of)| Some((which.parse().ok()?, of.parse().ok()?)));
        match parts {
            Some((which, of)) if (1..=of).contains(&which) => Ok(Part { which, of }),
            _ => Err("a part is K/N, the K-th of N, as in 1/4 to 4/4".to_owned()),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.which, self.of)
    }
}

impl Filter {
    /// Whether a vector was asked for.
    #[must_use]
    pub fn takes(&self, vector: &Vector) -> bool {
        let by_word = self.words.is_empty() || self.words.iter().any(|w| word_takes(w, vector));
        let by_rule = self.rules.is_empty() || self.rules.iter().any(|g| cites(g, vector));
        by_word && by_rule
    }

    /// The words that take no vector at all.
    #[must_use]
    pub fn idle<'a>(&'a self, vectors: &[Vector]) -> Vec<&'a str> {
        let words = self.words.iter().filter(|w| !vectors.iter().any(|v| word_takes(w, v)));
        words.chain(self.rules.iter().filter(|g| !vectors.iter().any(|v| cites(g, v)))).map(String::as_str).collect()
    }

    /// The vectors that were asked for, over each IP version that they and the filter allow.
    #[must_use]
    pub fn items(&self, vectors: &[Vector]) -> Vec<Item> {
        let taken =
            vectors.iter().filter(|v| self.takes(v)).enumerate().filter(|(place, _)| self.part.is_none_or(|part| part.takes(*place)));
        taken.flat_map(|(_, v)| families(v, self.family).into_iter().map(|family| Item { vector: v.clone(), family, file: None })).collect()
    }
}

/// The IP versions that a vector runs over.
#[must_use]
pub fn families(vector: &Vector, only: Option<Family>) -> Vec<Family> {
    let own: &[Family] = if vector.header.families.is_empty() { &[Family::V4, Family::V6] } else { &vector.header.families };
    own.iter().copied().filter(|f| only.is_none_or(|o| o == *f)).collect()
}

/// Every golden vector, parsed.
///
/// # Errors
/// A vector of the tree is not of the language.
pub fn all() -> Result<Vec<Vector>, Box<ParseError>> {
    golden().iter().map(Golden::vector).collect()
}

/// Whether a glob with `*` (any text) and `?` (any one character) matches a whole text.
#[must_use]
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// The mutants whose name, or one of whose broken rules, one of these globs takes; all without any.
pub fn mutants(words: &[String]) -> impl Iterator<Item = &'static Mutant> {
    Mutant::all().filter(|m| words.is_empty() || words.iter().any(|w| glob(w, m.name) || breaks(m, w)))
}

/// Whether a mutant breaks a rule of this glob.
#[must_use]
pub fn breaks(mutant: &Mutant, pattern: &str) -> bool {
    mutant.breaks.iter().any(|r| glob(pattern, r.0))
}

/// The ids nearest to one that does not exist, nearest first, at most five.
#[must_use]
pub fn near<'a>(wanted: &str, ids: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase();
    // Of those that are equally near, the shorter.
    let mut scored: Vec<(usize, usize, &str)> = ids.map(|id| (distance(&wanted, &id.to_lowercase()), id.len(), id)).collect();
    scored.sort_unstable();
    scored.dedup();
    let most = (wanted.chars().count() / 2).max(3);
    scored.into_iter().filter(|(d, ..)| *d <= most).take(5).map(|(.., id)| id).collect()
}

fn word_takes(word: &str, vector: &Vector) -> bool {
    if word.contains(':') {
        return cites(word, vector);
    }
    let id = vector.id.as_str();
    // An area or a template stands for all that it holds.
    let below = id.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '@']));
    below || glob(word, id)
}

fn cites(pattern: &str, vector: &Vector) -> bool {
    vector.header.rules.iter().any(|rule| glob(pattern, rule))
}

/// Edits from one text to another (Levenshtein); an id that contains the other whole counts as near.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 3 && b.contains(a) {
        return 1;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Filter, Part, all, glob, near};

    /// Whatever is asked for, the parts are the whole, each vector once, and none is much larger than another.
    #[test]
    fn the_parts_are_the_whole() {
        let vectors = all().unwrap_or_else(|e| panic!("{e}"));
        for words in [vec![], vec!["reset/*".to_owned()], vec!["handshake/passive-open".to_owned()]] {
            let filter = Filter { words, ..Filter::default() };
            let named =
                |filter: &Filter| filter.items(&vectors).iter().map(|i| (i.id().to_owned(), i.family.to_string())).collect::<Vec<_>>();
            let whole = named(&filter);
            assert!(!whole.is_empty());
            for of in [1, 2, 3, 7, 1000] {
                let part = |which: usize| Filter { part: format!("{which}/{of}").parse().ok(), ..filter.clone() };
                let parts: Vec<Vec<_>> = (1..=of).map(|which| named(&part(which))).collect();
                let sizes = || parts.iter().map(|part| part.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len());
                assert!(sizes().max() <= sizes().min().map(|least| least + 1), "{of}");
                let mut together = parts.concat();
                together.sort();
                assert!(together == whole, "{of}");
            }
        }
    }

    #[test]
    fn a_part_is_one_of_so_many() {
        assert_eq!("2/3".parse::<Part>().map(|p| p.to_string()), Ok("2/3".to_owned()));
        for text in ["", "1", "0/3", "4/3", "1/0", "a/b", "-1/3", "1/3/5"] {
            assert!(text.parse::<Part>().is_err(), "{text}");
        }
    }

    #[test]
    fn globs() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("reset/*", "reset/a@B", true),
            ("reset/?", "reset/ab", false),
            ("RFC9293:*/syn", "RFC9293:3.10.7.2/LISTEN/syn", true),
            ("a*b*c", "aXbXbc", true),
            ("a*b", "aXbX", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_typo_finds_its_id() {
        let ids = ["RFC9293:MUST-14", "RFC9293:MUST-15", "RFC5961:3-1"];
        assert_eq!(near("RFC9293:MSUT-14", ids.into_iter()).first(), Some(&"RFC9293:MUST-14"));
        assert!(near("nothing like it at all", ids.into_iter()).is_empty());
    }
}

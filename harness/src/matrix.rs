//! What several stacks do, side by side: for each area of the vectors, and for each rule.

use std::collections::{BTreeMap, BTreeSet};

use tcp_reference::catalogue::{self, Rule};
use tcp_reference::finding::{Class, Finding};

use crate::run::{self, Done, Settings};
use crate::select::{Item, glob};
use crate::target::{Capabilities, TargetError};

/// A stack with all that it did.
pub struct Column {
    /// The stack.
    pub capabilities: Capabilities,
    /// An outcome for each item.
    pub done: Vec<Done>,
}

/// What stacks did.
pub struct Matrix {
    /// The stacks.
    pub stacks: Vec<Capabilities>,
    /// For each area, by its name: a cell for each stack.
    pub areas: Vec<(String, Vec<Area>)>,
    /// For each rule that a vector cites or a finding names: a cell for each stack.
    pub rules: Vec<(&'static Rule, Vec<Cell>)>,
}

/// How many of an area's vectors came out how, over both IP versions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Area(pub BTreeMap<Class, usize>);

/// What a stack does about a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cell {
    /// No finding names the rule, and vectors that cite it were performed.
    Conforms,
    /// The rule leaves a choice: the ways that the stack took.
    Variant(BTreeSet<&'static str>),
    /// A SHOULD was broken.
    Departs,
    /// A MUST or a processing rule was broken.
    Violates,
    /// No vector that cites the rule could be performed.
    Unsupported,
}

impl Cell {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Cell::Conforms => Class::Conforms.name().to_owned(),
            Cell::Variant(ways) => format!("{}: {}", Class::Variant, ways.iter().copied().collect::<Vec<_>>().join(", ")),
            Cell::Departs => Class::Departs.name().to_owned(),
            Cell::Violates => Class::Violates.name().to_owned(),
            Cell::Unsupported => Class::Unsupported.name().to_owned(),
        }
    }
}

impl Area {
    /// In words: how many conform (variants do) of those performed, and what the others did.
    #[must_use]
    pub fn words(&self) -> String {
        let of = |classes: &[Class]| -> usize { classes.iter().filter_map(|c| self.0.get(c)).sum() };
        let conform = of(&[Class::Conforms, Class::Variant]);
        let unsupported = of(&[Class::Unsupported]);
        let performed = self.0.values().sum::<usize>() - unsupported;
        let more = self.0.iter().filter(|(c, _)| !matches!(c, Class::Conforms | Class::Variant | Class::Unsupported));
        let parts: Vec<String> = more.map(|(c, n)| format!("{n} {c}")).collect();
        let more = if parts.is_empty() { String::new() } else { format!(", {}", parts.join(", ")) };
        if performed == 0 { "unsupported".to_owned() } else { format!("{conform} of {performed}{more}") }
    }
}

/// Runs the items on a stack.
///
/// # Errors
/// The target cannot run here.
pub fn column(items: &[Item], settings: &Settings) -> Result<Column, TargetError> {
    let mut capabilities = run::capabilities(settings)?;
    let done = run::run(items, settings, &mut capabilities, |_| ())?;
    Ok(Column { capabilities, done })
}

/// Puts what stacks did side by side; only the rules that one of these globs takes, all without any.
#[must_use]
pub fn matrix(items: &[Item], columns: &[Column], globs: &[String]) -> Matrix {
    let mut areas: BTreeMap<String, Vec<Area>> = BTreeMap::new();
    for (i, column) in columns.iter().enumerate() {
        for done in &column.done {
            let Some(item) = items.get(done.item) else { continue };
            let name = item.id().split('/').next().unwrap_or_default().to_owned();
            let cells = areas.entry(name).or_insert_with(|| vec![Area::default(); columns.len()]);
            *cells[i].0.entry(done.outcome.class).or_default() += 1;
        }
    }
    let wanted = |rule: &&Rule| globs.is_empty() || globs.iter().any(|g| glob(g, rule.id.0));
    let rules = catalogue::rules().iter().filter(wanted).filter_map(|rule| {
        let cells: Vec<Option<Cell>> = columns.iter().map(|c| cell(rule, items, c)).collect();
        let shown = cells.iter().any(|c| c.as_ref().is_some_and(|c| *c != Cell::Unsupported));
        shown.then(|| (rule, cells.into_iter().map(|c| c.unwrap_or(Cell::Unsupported)).collect()))
    });
    Matrix { stacks: columns.iter().map(|c| c.capabilities.clone()).collect(), areas: areas.into_iter().collect(), rules: rules.collect() }
}

/// What a stack does about a rule; `None` where no vector tries it.
fn cell(rule: &Rule, items: &[Item], column: &Column) -> Option<Cell> {
    let of_rule = |f: &&Finding| f.rule == rule.id;
    let findings = column.done.iter().flat_map(|d| &d.outcome.findings).filter(of_rule).map(|f| f.class);
    let worst = findings.filter(|c| matches!(c, Class::Departs | Class::Violates)).max();
    match worst {
        Some(Class::Violates) => return Some(Cell::Violates),
        Some(_) => return Some(Cell::Departs),
        None => {}
    }
    let ways: BTreeSet<&'static str> = column.done.iter().flat_map(|d| &d.outcome.variants).filter(of_rule).map(|f| f.kind).collect();
    if !ways.is_empty() {
        return Some(Cell::Variant(ways));
    }
    let cites = |d: &&Done| items.get(d.item).is_some_and(|i| i.vector.header.rules.iter().any(|r| r == rule.id.0));
    let mut tried = column.done.iter().filter(cites).peekable();
    tried.peek()?;
    let performed = tried.any(|d| d.outcome.class != Class::Unsupported && d.outcome.class != Class::NotPerformed);
    Some(if performed { Cell::Conforms } else { Cell::Unsupported })
}

impl Matrix {
    /// Keeps only the rules about which the stacks differ.
    pub fn keep_differing(&mut self) {
        self.rules.retain(|(_, cells)| cells.iter().any(|c| *c != cells[0]));
    }
}

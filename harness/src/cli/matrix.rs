//! `harness matrix`: stacks side by side.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::judge::{cannot_run, known_target};
use super::{MatrixArgs, MatrixFormat, NOTHING, OK, USAGE, complain, files, print};
use crate::matrix::{Area, Cell, Column, Matrix, column, matrix as side_by_side};
use crate::report::json::level;
use crate::run::Settings;
use crate::select::Filter;

/// Runs the vectors on each target and prints what came of it.
pub(super) fn matrix(args: &MatrixArgs) -> u8 {
    if let Some(why) = args.targets.iter().find_map(|t| known_target(t).err()) {
        complain(&why);
        return USAGE;
    }
    let vectors = match files::golden() {
        Ok(vectors) => vectors,
        Err(code) => return code,
    };
    let items = Filter { words: args.vector.clone(), ..Filter::default() }.items(&vectors);
    if items.is_empty() {
        complain("harness: no vector is selected; `harness list` lists them all\n");
        return NOTHING;
    }
    let mut columns: Vec<Column> = Vec::new();
    for target in &args.targets {
        let settings = Settings { target: target.clone(), jobs: None, seed: 0, timeout: Duration::from_secs(200), profile: None };
        match column(&items, &settings) {
            Ok(column) => columns.push(column),
            Err(error) => return cannot_run(target, &error),
        }
    }
    let mut table = side_by_side(&items, &columns, &args.rule);
    if args.differing {
        table.keep_differing();
    }
    print(&match args.format {
        MatrixFormat::Text => text(&table),
        MatrixFormat::Markdown => markdown(&table),
        MatrixFormat::Json => format!("{:#}\n", document(&table)),
    });
    OK
}

/// The rows of both tables, as words: first the heading.
fn rows(table: &Matrix) -> [Vec<Vec<String>>; 2] {
    let heading = |first: &str| -> Vec<String> {
        std::iter::once(first.to_owned()).chain(table.stacks.iter().map(|s| format!("{} {}", s.name, s.version))).collect()
    };
    let areas = table.areas.iter().map(|(name, cells)| std::iter::once(name.clone()).chain(cells.iter().map(Area::words)).collect());
    let rules = table.rules.iter().map(|(rule, cells)| {
        std::iter::once(format!("{} ({})", rule.id, level(rule.level))).chain(cells.iter().map(Cell::words)).collect()
    });
    [std::iter::once(heading("area")).chain(areas).collect(), std::iter::once(heading("rule")).chain(rules).collect()]
}

fn text(table: &Matrix) -> String {
    let mut text = String::new();
    for rows in rows(table) {
        let columns = rows.first().map_or(0, Vec::len);
        let width = |i: usize| rows.iter().filter_map(|r| r.get(i)).map(String::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            let _ = writeln!(text, "{}", cells.join("  ").trim_end());
        }
        text.push('\n');
    }
    let _ = writeln!(text, "{} rules; an area's cell counts results over both IP versions", table.rules.len());
    text
}

fn markdown(table: &Matrix) -> String {
    let mut text = String::new();
    for rows in rows(table) {
        for (i, row) in rows.iter().enumerate() {
            let _ = writeln!(text, "| {} |", row.join(" | "));
            if i == 0 {
                let _ = writeln!(text, "|{}", " --- |".repeat(row.len()));
            }
        }
        text.push('\n');
    }
    text
}

fn document(table: &Matrix) -> Value {
    let stacks: Vec<Value> = table.stacks.iter().map(|s| json!({"name": s.name, "version": s.version, "settings": s.settings})).collect();
    let areas: Vec<Value> = table
        .areas
        .iter()
        .map(|(name, cells)| {
            let counts: Vec<Value> =
                cells.iter().map(|c| Value::Object(c.0.iter().map(|(class, n)| (class.name().to_owned(), json!(n))).collect())).collect();
            json!({"area": name, "stacks": counts})
        })
        .collect();
    let rules: Vec<Value> = table
        .rules
        .iter()
        .map(|(rule, cells)| json!({"rule": rule.id.0, "level": level(rule.level), "stacks": cells.iter().map(Cell::words).collect::<Vec<_>>()}))
        .collect();
    json!({"stacks": stacks, "areas": areas, "rules": rules})
}

//! `lint`: what is wrong with vectors, and whether packetdrill can run them as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use tcp_vectors::golden;
use tcp_vectors::lint::packetdrill;
use tcp_vectors::model::Vector;

use super::{FAULT, OK, USAGE, diagnose, files, print};

/// Lints these files; the golden vectors without any.
pub(super) fn lint(paths: &[PathBuf]) -> u8 {
    let mut code = OK;
    let mut each: Vec<(String, Vec<Vector>)> = Vec::new();
    for path in paths {
        match files::vectors(path, "`lint` wants readable .pkt or .pkt.tmpl files in UTF-8") {
            Ok(vectors) => each.push((path.display().to_string(), vectors)),
            Err(refused) => code = refused,
        }
    }
    if paths.is_empty() {
        match tree() {
            Ok(vectors) => each.extend(vectors),
            Err(refused) => return refused,
        }
    }
    let (mut text, mut errors, mut warnings, mut whole) = (String::new(), 0, 0, 0);
    for (file, vectors) in &each {
        for lint in files::lints(vectors) {
            let _ = writeln!(text, "{file}:{}: {}", lint.line.max(1), lint.kind);
            if lint.kind.is_warning() { warnings += 1 } else { errors += 1 }
        }
        let (words, all) = plain(vectors);
        whole += usize::from(all);
        let _ = writeln!(text, "{file}: packetdrill: {words}");
    }
    if !each.is_empty() {
        let _ = writeln!(text, "{} files: {errors} errors, {warnings} warnings; packetdrill can run {whole} as they are", each.len());
    }
    print(&text);
    if errors > 0 { USAGE } else { code }
}

/// The golden vectors by file.
fn tree() -> Result<BTreeMap<String, Vec<Vector>>, u8> {
    let mut each: BTreeMap<String, Vec<Vector>> = BTreeMap::new();
    for g in golden() {
        let file = format!("vectors/{}", g.file);
        let vector = g.vector().map_err(|error| {
            diagnose(error.as_ref());
            FAULT
        })?;
        each.entry(file).or_default().push(vector);
    }
    Ok(each)
}

/// Whether packetdrill can run a file's vectors as they are, in words, and whether it can run all of them.
fn plain(vectors: &[Vector]) -> (String, bool) {
    let reasons: Vec<_> = vectors.iter().map(packetdrill).collect();
    let able = reasons.iter().filter(|r| r.is_empty()).count();
    let why: BTreeSet<_> = reasons.into_iter().flatten().collect();
    let why: Vec<String> = why.iter().map(ToString::to_string).collect();
    let words = match (able, vectors.len()) {
        (1, 1) => "runs as it is".to_owned(),
        (a, n) if a == n => format!("its {n} vectors run as `harness show` prints them"),
        (0, _) => format!("not as it is: {}", why.join(", ")),
        (a, n) => format!("{a} of its {n} vectors run as `harness show` prints them; the others not: {}", why.join(", ")),
    };
    (words, able == vectors.len())
}

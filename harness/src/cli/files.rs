//! Files that the user names: read with a bound, and refused with a place and a remedy.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use tcp_vectors::lint::{self, Lint};
use tcp_vectors::model::Vector;
use tcp_vectors::template;

use super::{FAULT, USAGE, complain, diagnose};
use crate::select;

/// A file's text. `wants` says what the caller takes, as in "`replay` wants a .pkt file".
///
/// # Errors
/// What was wrong has been said; the exit code.
pub(super) fn text(path: &Path, wants: &str) -> Result<String, u8> {
    let name = path.display();
    let refuse = |why: String| {
        complain(&format!("harness: {name}: {why}; {wants}\n"));
        USAGE
    };
    let mut octets = Vec::new();
    // A device or a pipe may have no end.
    let read = File::open(path).and_then(|file| file.take(MOST_OCTETS + 1).read_to_end(&mut octets));
    read.map_err(|error| refuse(error.to_string()))?;
    if octets.len() as u64 > MOST_OCTETS {
        return Err(refuse(format!("it is larger than {} MiB", MOST_OCTETS >> 20)));
    }
    let text = String::from_utf8(octets).map_err(|error| {
        let line = 1 + error.as_bytes().iter().take(error.utf8_error().valid_up_to()).filter(|&&b| b == b'\n').count();
        refuse(format!("line {line} is not UTF-8"))
    })?;
    if text.starts_with('\u{feff}') {
        return Err(refuse("it begins with a byte order mark (EF BB BF): remove it, or save the file as UTF-8 without BOM".to_owned()));
    }
    Ok(text)
}

/// Every golden vector.
///
/// # Errors
/// One of the tree is not of the language, which has been said; the exit code.
pub(super) fn golden() -> Result<Vec<Vector>, u8> {
    select::all().map_err(|error| {
        diagnose(error.as_ref());
        FAULT
    })
}

/// The vectors of a file; a template's are its cells.
///
/// # Errors
/// What was wrong has been said; the exit code.
pub(super) fn vectors(path: &Path, wants: &str) -> Result<Vec<Vector>, u8> {
    let name = path.display().to_string();
    let text = text(path, wants)?;
    let file_name = path.file_name().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let slug = file_name.strip_suffix(".tmpl").unwrap_or(&file_name);
    let id = slug.strip_suffix(".pkt").unwrap_or(slug);
    template::vectors(id, &name, &text).map_err(|error| {
        diagnose(error.as_ref());
        USAGE
    })
}

/// What the linter says of these vectors of one file, each thing once, in the order of the lines.
pub(super) fn lints(vectors: &[Vector]) -> Vec<Lint> {
    let mut all: Vec<Lint> = Vec::new();
    for lint in vectors.iter().flat_map(lint::vector) {
        if !all.contains(&lint) {
            all.push(lint);
        }
    }
    all.sort_by_key(|l| l.line);
    all
}

/// What is read of a file at most.
const MOST_OCTETS: u64 = 4 << 20;

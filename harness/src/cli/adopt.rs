//! `adopt`: what the fuzzer found becomes a vector of the tree, or an entry in what is known of its target.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tcp_reference::catalogue;

use super::{AdoptArgs, FAULT, OK, USAGE, complain, diagnose, files, judge, print};
use crate::expectations::{self, Expectations};
use crate::fuzz::folder::{Found, Record};
use crate::fuzz::known::{self, Cause, Causes};

/// Moves a finding to where it is asked for.
pub(super) fn adopt(args: &AdoptArgs) -> u8 {
    match planned(args).and_then(Plan::carried_out) {
        Ok(()) => OK,
        Err(Refusal::Said(code)) => code,
        Err(Refusal::Because(code, why)) => {
            complain(&format!("harness: {why}\n"));
            code
        }
    }
}

/// Why nothing was adopted: it has been said, or is still to be.
enum Refusal {
    Said(u8),
    Because(u8, String),
}

impl From<u8> for Refusal {
    fn from(code: u8) -> Refusal {
        Refusal::Said(code)
    }
}

fn usage(why: String) -> Refusal {
    Refusal::Because(USAGE, why)
}

/// What is written where, all of it looked at before the first file is touched.
struct Plan {
    found: Found,
    vector: Option<Adopted>,
    known: Option<Noted>,
}

/// A vector of the tree to be.
struct Adopted {
    id: String,
    path: PathBuf,
    text: String,
}

/// A file of what is known, with the finding in it.
struct Noted {
    path: PathBuf,
    text: String,
}

fn planned(args: &AdoptArgs) -> Result<Plan, Refusal> {
    let found =
        Found::read(&args.folder).map_err(|e| usage(format!("{e}; `adopt` wants a finding's folder, as `harness fuzz` has written it")))?;
    let text = files::text(&found.script(), "`adopt` wants the finding's script there")?;
    let vector = args.id.as_ref().map(|id| vector(id, &found, &text)).transpose()?;
    let known = match (&args.expect, &args.because) {
        (Some(target), Some(because)) => Some(noted(target, because, args, &found.record, &text)?),
        _ => None,
    };
    Ok(Plan { found, vector, known })
}

/// The tree's vector with this id and text, if there can be one.
fn vector(id: &str, found: &Found, text: &str) -> Result<Adopted, Refusal> {
    let plain = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let Some((area, slug)) = id.split_once('/').filter(|(area, slug)| plain(area) && plain(slug)) else {
        return Err(usage(format!(
            "--as {id}: a vector is called AREA/NAME, in lower-case letters, digits and hyphens, as in reset/listener-is-gone"
        )));
    };
    let folder = tree()?.join("vectors");
    let golden = files::golden()?;
    let areas = || golden.iter().filter_map(|v| v.id.split('/').next());
    if !areas().any(|known| known == area) {
        let near = judge::did_you_mean(area, areas());
        return Err(usage(format!("--as {id}: the vectors have no area {area:?}{near}; `harness list` shows them")));
    }
    let path = folder.join(area).join(format!("{slug}.pkt"));
    if let Some(taken) = [path.clone(), path.with_extension("pkt.tmpl")].iter().find(|p| p.exists()) {
        return Err(usage(format!("{} is there already: choose another name with --as", taken.display())));
    }
    let script = found.script();
    let vectors = files::vectors(&script, "`adopt` wants a vector there")?;
    let mut wrong = false;
    for lint in files::lints(&vectors) {
        complain(&format!("{}:{}: {}\n", script.display(), lint.line.max(1), lint.kind));
        wrong |= !lint.kind.is_warning();
    }
    if wrong {
        return Err(usage(format!("{}: mend it there, then adopt it again", script.display())));
    }
    let seed = found.record.seed;
    if seed != 0 && text.contains("{zero") {
        complain(&format!(
            "{}: warning: it has absolute numbers ({{zero}}) and was seen with --seed {seed}; the tree's vectors run with seed 0, where it may not show: \
             count from {{snd_nxt}} or {{rcv_nxt}} instead\n",
            path.display()
        ));
    }
    Ok(Adopted { id: id.to_owned(), path, text: text.to_owned() })
}

/// The file that says what is known of this target, with the finding in it.
fn noted(target: &str, because: &str, args: &AdoptArgs, record: &Record, script: &str) -> Result<Noted, Refusal> {
    if record.name != target {
        return Err(usage(format!("--expect {target}: it was found on {0}; say --expect {0}", record.name)));
    }
    if because.trim().is_empty() {
        return Err(usage("--because: say why it is the stack and not the oracle".to_owned()));
    }
    let listed = if args.id.is_some() { expectations::listed(target) } else { known::listed(target) };
    let (path, old) = match (&args.expectations, listed) {
        // It need not be there yet.
        (Some(path), _) if !path.exists() => (path.clone(), String::new()),
        (Some(path), _) => (path.clone(), files::text(path, "--expectations wants a readable TOML file in UTF-8")?),
        (None, Some(listed)) => {
            let path = tree()?.join(listed);
            let old = files::text(&path, "the tree's list of what is known should be there")?;
            (path, old)
        }
        (None, None) => {
            return Err(usage(format!(
                "the tree has no list of what is known of {target}: name a file of your own with --expectations FILE"
            )));
        }
    };
    let entry = match &args.id {
        Some(id) => expectation(id, because, record),
        None => cause(because, record, script),
    };
    let entry = entry.map_err(|e| Refusal::Because(FAULT, format!("the entry cannot be written: {e}")))?;
    let gap = if old.is_empty() || old.ends_with("\n\n") { "" } else { "\n" };
    let text = format!("{old}{gap}{entry}");
    Expectations::read(&path.display().to_string(), &text).map_err(|error| {
        diagnose(error.as_ref());
        Refusal::Said(USAGE)
    })?;
    Ok(Noted { path, text })
}

/// What the fuzzer is told: a cause with its fingerprint.
fn cause(because: &str, record: &Record, script: &str) -> Result<String, toml::ser::Error> {
    let steps: Vec<&str> = script.lines().filter(|l| !l.trim().is_empty() && !l.starts_with("//")).collect();
    let cause = Cause {
        what: because.to_owned(),
        clause: clause(record),
        script: steps.join("\n"),
        versions: vec![record.version.clone()],
        after: None,
        fingerprints: vec![record.fingerprint.clone()],
    };
    toml::to_string_pretty(&Causes { cause: vec![cause] })
}

/// What a run of the vectors is told: that this vector shows it.
fn expectation(id: &str, because: &str, record: &Record) -> Result<String, toml::ser::Error> {
    let (fingerprint, _) = record.fingerprint.split_once(' ').unwrap_or((&record.fingerprint, ""));
    let entry = Entry {
        vector: id,
        rule: record.rule.as_deref().unwrap_or(fingerprint),
        kind: record.kind.as_deref(),
        versions: [&record.version],
        reason: because,
        clause: clause(record),
        citation: format!("harness fuzz, {}", record.fingerprint),
    };
    toml::to_string_pretty(&Entries { expect: [entry] })
}

#[derive(Serialize)]
struct Entries<'a> {
    expect: [Entry<'a>; 1],
}

/// As [`expectations::Expectation`].
#[derive(Serialize)]
struct Entry<'a> {
    vector: &'a str,
    rule: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    versions: [&'a str; 1],
    reason: &'a str,
    clause: String,
    citation: String,
}

/// The clause, in the catalogue's words.
fn clause(record: &Record) -> String {
    match record.rule.as_deref().and_then(catalogue::rule) {
        Some(rule) => format!("RFC {} section {}: {}", rule.rfc, rule.section, rule.paraphrase),
        None => "none: a stack that is gone owes everything".to_owned(),
    }
}

/// The checkout in which the command was called.
fn tree() -> Result<PathBuf, Refusal> {
    let here = env::current_dir().map_err(|e| Refusal::Because(FAULT, format!("the current folder: {e}")))?;
    let root = here.ancestors().find(|folder| folder.join("vectors/LANGUAGE.md").is_file());
    root.map(Path::to_owned).ok_or_else(|| {
        usage(format!(
            "{} is in no checkout of this project: call `adopt` in one, or keep what is known in a file of your own, --expectations FILE; a \
             finding's script is a vector for `harness replay` wherever it stands",
            here.display()
        ))
    })
}

impl Plan {
    fn carried_out(self) -> Result<(), Refusal> {
        let unwritten = |path: &Path, error: &io::Error| Refusal::Because(FAULT, format!("{}: {error}; the finding stays", path.display()));
        let mut text = String::new();
        if let Some(Adopted { id, path, text: vector }) = &self.vector {
            let file = OpenOptions::new().write(true).create_new(true).open(path);
            file.and_then(|mut file| file.write_all(vector.as_bytes())).map_err(|e| unwritten(path, &e))?;
            text += &format!("{}: written; it must pass once the stack is mended\n", path.display());
            if self.known.is_none() {
                let name = &self.found.record.name;
                text += &format!(
                    "  until then it fails there: with --expect {name} --because TEXT too, `adopt` would have noted that it is known\n"
                );
            }
            text += &format!("  its snapshots, to be read: cargo insta test --review -p tcp-harness --test vectors -- {id}\n");
            text += "  what else a vector wants: CONTRIBUTING.md\n";
        }
        if let Some(Noted { path, text: known }) = &self.known {
            fs::write(path, known).map_err(|e| unwritten(path, &e))?;
            text += &format!("{}: says that it is known; put the RFC's own words into its `clause`\n", path.display());
        }
        print(&text);
        match self.found.remove() {
            Ok(true) => Ok(()),
            Ok(false) => {
                print("the finding's folder stays, for it holds other files\n");
                Ok(())
            }
            Err(error) => Err(Refusal::Because(FAULT, format!("{error}; what is left of the finding can be removed"))),
        }
    }
}

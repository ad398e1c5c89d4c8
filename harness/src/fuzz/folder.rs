//! What a hunt leaves on disk: a folder for each finding, the cases that reached something new, and how far it came, so that the next run goes on.
//!
//! ```text
//! findings/
//!   campaign.toml           what was done, and how often each fingerprint was seen
//!   corpus/NAME             cases as the fuzzer's octets
//!   FINGERPRINT/script.pkt  a vector that fails now and passes when the stack is mended
//!              /trace.pcapng
//!              /report.md
//!              /finding.toml
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::random::mixed;
use super::{Case, Report};
use crate::report::pcapng;
use crate::report::text::cited;
use crate::report::words::shell;

/// What was done in all runs so far.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// The target, as after `--target`.
    pub target: String,
    /// Runs so far: each has scripts of its own.
    pub runs: u64,
    /// Cases of all runs.
    pub cases: u64,
    /// Steps of all runs.
    pub steps: u64,
    /// In how many cases each fingerprint was seen, known ones too.
    #[serde(default)]
    pub seen: BTreeMap<String, u64>,
}

/// What `finding.toml` says of a finding.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What tells it from others.
    pub fingerprint: String,
    /// The stack's name, by which its expectations go.
    pub name: String,
    /// The stack's version.
    pub version: String,
    /// The seed of the run: with another the peer's ISN is another.
    pub seed: u64,
    /// The rule that it broke; `None` where it died.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The kind of event that broke it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// A finding's folder, as an earlier run wrote it.
#[derive(Clone, Debug)]
pub struct Found {
    root: PathBuf,
    /// What it says of the finding.
    pub record: Record,
}

/// A folder of findings.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

/// Why a folder cannot be used.
#[derive(Debug)]
pub enum FolderError {
    /// It cannot be read or written.
    Io(PathBuf, io::Error),
    /// Something in it is not of its form.
    Form(PathBuf, String),
}

impl std::fmt::Display for FolderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FolderError::Io(path, error) => write!(f, "{}: {error}", path.display()),
            FolderError::Form(path, why) => write!(f, "{}: {why}", path.display()),
        }
    }
}

impl Folder {
    /// The folder at this path, which need not be there yet.
    #[must_use]
    pub fn new(root: &Path) -> Folder {
        Folder { root: root.to_owned() }
    }

    /// What earlier runs did; as of none where there was none.
    ///
    /// # Errors
    /// `campaign.toml` cannot be read, or is not of its form.
    pub fn campaign(&self) -> Result<Campaign, FolderError> {
        let path = self.root.join(CAMPAIGN);
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|e| FolderError::Form(path, e.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Campaign::default()),
            Err(error) => Err(FolderError::Io(path, error)),
        }
    }

    /// Writes down what was done.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put_campaign(&self, campaign: &Campaign) -> Result<(), FolderError> {
        let path = self.root.join(CAMPAIGN);
        let text = toml::to_string(campaign).map_err(|e| FolderError::Form(path.clone(), e.to_string()))?;
        self.write(&path, text.as_bytes())
    }

    /// The cases that earlier runs kept, in the order of their names.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn corpus(&self) -> Result<Vec<Case>, FolderError> {
        let folder = self.root.join(CORPUS);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(FolderError::Io(folder, error)),
        };
        let mut paths: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.is_file()).collect();
        paths.sort();
        paths.into_iter().map(|path| fs::read(&path).map(|octets| Case::decode(&octets)).map_err(|e| FolderError::Io(path, e))).collect()
    }

    /// Keeps a case for later runs.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, case: &Case) -> Result<(), FolderError> {
        let octets = case.encode();
        let name = octets.iter().fold(0, |hash, octet| mixed(hash ^ u64::from(*octet)));
        self.write(&self.root.join(CORPUS).join(format!("{name:016x}")), &octets)
    }

    /// Writes a finding down and says where; `target` as after `--target`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(&self, report: &Report, target: &str) -> Result<PathBuf, FolderError> {
        let folder = self.root.join(name(&report.fingerprint));
        let script = folder.join(SCRIPT);
        self.write(&script, report.script().as_bytes())?;
        let notes: Vec<(usize, String)> =
            report.finding.iter().map(|f| (f.event, format!("here: {}: {}", f.fingerprint(), f.seen))).collect();
        let path = folder.join(CAPTURE);
        let capture = pcapng::capture(&report.outcome.trace, &notes).map_err(|e| FolderError::Form(path.clone(), e.to_string()))?;
        self.write(&path, &capture)?;
        self.write(&folder.join(PAGE), page(report, target, &script).as_bytes())?;
        let path = folder.join(RECORD);
        let record = toml::to_string(&Record::of(report)).map_err(|e| FolderError::Form(path.clone(), e.to_string()))?;
        self.write(&path, record.as_bytes())?;
        Ok(folder)
    }

    fn write(&self, path: &Path, octets: &[u8]) -> Result<(), FolderError> {
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::write(path, octets)).map_err(|e| FolderError::Io(path.to_owned(), e))
    }
}

impl Record {
    fn of(report: &Report) -> Record {
        let finding = report.finding.as_ref();
        Record {
            fingerprint: report.fingerprint.clone(),
            name: report.name.clone(),
            version: report.version.clone(),
            seed: report.case.seed,
            rule: finding.map(|f| f.rule.to_string()),
            kind: finding.map(|f| f.kind.to_owned()),
        }
    }
}

impl Found {
    /// The finding in this folder.
    ///
    /// # Errors
    /// Its `finding.toml` cannot be read, or is not of its form.
    pub fn read(root: &Path) -> Result<Found, FolderError> {
        let path = root.join(RECORD);
        let text = fs::read_to_string(&path).map_err(|e| FolderError::Io(path.clone(), e))?;
        let record = toml::from_str(&text).map_err(|e| FolderError::Form(path, e.to_string()))?;
        Ok(Found { root: root.to_owned(), record })
    }

    /// Where its script stands.
    #[must_use]
    pub fn script(&self) -> PathBuf {
        self.root.join(SCRIPT)
    }

    /// Removes the folder, unless it holds something that no finding has: whether it is gone.
    ///
    /// # Errors
    /// A file of the finding cannot be removed.
    pub fn remove(&self) -> Result<bool, FolderError> {
        for name in [SCRIPT, CAPTURE, PAGE, RECORD] {
            let path = self.root.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(FolderError::Io(path, error)),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(fs::remove_dir(&self.root).is_ok())
    }
}

/// A fingerprint as a file's name that no shell reads otherwise.
#[must_use]
pub fn name(fingerprint: &str) -> String {
    let plain = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => c,
        '@' | '#' => '.',
        _ => '-',
    };
    fingerprint.chars().map(plain).take(LONGEST_NAME).collect()
}

/// A finding as a page.
fn page(report: &Report, target: &str, script: &Path) -> String {
    let (case, finding) = (&report.case, report.finding.as_ref());
    let mut text = format!("# {}\n\nOn {} over IPv{}.\n\n", report.fingerprint, report.stack(), case.family);
    if let Some(finding) = finding {
        if let Some(rule) = finding.rule.entry() {
            let _ = writeln!(text, "The rule: {}.\n", cited(rule));
        }
        let _ = writeln!(text, "Seen in {}: {}.\n", finding.state, finding.seen);
        let _ = writeln!(text, "Allowed would have been:\n");
        for allowed in &finding.allowed {
            let _ = writeln!(text, "- {allowed}");
        }
        text.push('\n');
    }
    if let Some(reason) = &report.outcome.reason {
        let _ = writeln!(text, "The run ended with:\n\n```text\n{}\n```\n", reason.trim_end());
    }
    let ladder = report.ladder();
    if !ladder.trim().is_empty() {
        let _ = writeln!(text, "```text\n{}\n```\n", ladder.trim_end());
    }
    let (path, target) = (shell(&script.display().to_string()), shell(target));
    let _ = writeln!(text, "Again:\n\n```sh\nharness replay {path} --target {target} --seed {}\n```\n", case.seed);
    let _ = match report.repeats {
        true => writeln!(text, "`script.pkt` is what {} runs left of the case in which it was found.", report.runs),
        false => writeln!(text, "It did not show in {} more runs: `script.pkt` is the whole case in which it was seen.", report.runs + 1),
    };
    text.push_str(
        "`campaign.toml`, beside this folder, says in how many cases it was seen; `harness adopt` moves it to where it is kept.\n",
    );
    text
}

const SCRIPT: &str = "script.pkt";
const CAPTURE: &str = "trace.pcapng";
const PAGE: &str = "report.md";
const RECORD: &str = "finding.toml";
const CAMPAIGN: &str = "campaign.toml";
const CORPUS: &str = "corpus";
/// Octets of a file's name; file systems take 255.
const LONGEST_NAME: usize = 200;

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn a_fingerprint_is_a_file_name() {
        assert_eq!(name("RFC9293:3.10.7.4/SYN-SENT/fin@SYN-SENT#no-reply"), "RFC9293-3.10.7.4-SYN-SENT-fin.SYN-SENT.no-reply");
        assert_eq!(name("class:crash src/a b.rs:7"), "class-crash-src-a-b.rs-7");
        assert_eq!(name(&"../x".repeat(200)).len(), 200);
        assert!(!name("../../etc").contains('/'));
    }
}

//! The main job: run vectors, print what came out, and say by the exit code how it went.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Instant;

use tcp_reference::finding::Class;
use tcp_reference::profile::Profile;
use tcp_reference::stack::Mutant;
use tcp_vectors::golden;
use tcp_vectors::model::Vector;

use super::{FAULT, FINDINGS, Format, NOTHING, OK, RunArgs, UNAVAILABLE, USAGE, coloured, complain, diagnose, files, print};
use crate::expectations::Expectations;
use crate::profile::{self, profile_for};
use crate::report::text::{self, Colour};
use crate::report::{json, words};
use crate::run::{self, Stale, Summary, Verdict, weigh};
use crate::select::{self, Filter, Item, families};
use crate::target::{Capabilities, TargetError};
use crate::targets::names as names_of_targets;
#[cfg(target_os = "linux")]
use crate::targets::raw;

/// Runs the golden vectors that a filter takes.
pub(super) fn judge(filter: &Filter, args: &RunArgs) -> u8 {
    let vectors = match files::golden() {
        Ok(vectors) => vectors,
        Err(code) => return code,
    };
    let idle = filter.idle(&vectors);
    for word in &idle {
        complain(&format!("harness: nothing is selected by {word:?}{}\n", did_you_mean(word, names(&vectors))));
    }
    let items = filter.items(&vectors);
    // A word that names nothing is a mistake, and so is any that adds nothing to others. Globs that match nothing select nothing.
    if idle.iter().any(|w| !w.contains(['*', '?'])) || (!idle.is_empty() && !items.is_empty()) {
        complain("harness: `harness list` lists the vectors, `harness --help` the commands\n");
        return USAGE;
    }
    if items.is_empty() {
        let part = filter.part.map_or_else(String::new, |part| format!(" in part {part}"));
        complain(&format!("harness: no vector is selected{part}; `harness list` lists them all\n"));
        return NOTHING;
    }
    all(&items, args)
}

/// What a word can name: commands, areas, templates, vectors and the rules that they cite.
pub(super) fn names(vectors: &[Vector]) -> impl Iterator<Item = &str> {
    let above =
        |v: &Vector| [v.id.split('/').next().unwrap_or_default().len(), v.id.split('@').next().unwrap_or_default().len(), v.id.len()];
    let ids = vectors.iter().flat_map(move |v| above(v).map(|end| &v.id[..end]));
    COMMANDS.into_iter().chain(ids).chain(vectors.iter().flat_map(|v| v.header.rules.iter().map(String::as_str)))
}

/// The commands, for words that are meant as one.
const COMMANDS: [&str; 16] = [
    "agent",
    "list",
    "lint",
    "show",
    "explain",
    "rules",
    "mutants",
    "matrix",
    "doctor",
    "replay",
    "serve",
    "target-check",
    "fuzz",
    "adopt",
    "minimise",
    "help",
];

/// Runs a vector from a file.
pub(super) fn replay(file: &Path, args: &RunArgs) -> u8 {
    let name = file.display().to_string();
    let vectors = match files::vectors(file, "`replay` wants a readable .pkt file in UTF-8") {
        Ok(vectors) => vectors,
        Err(code) => return code,
    };
    let mut wrong = false;
    for lint in files::lints(&vectors) {
        // What the tree asks of its own vectors a file outside it need not have.
        let only_told = lint.kind.is_warning() || lint.kind.is_about_the_tree();
        let word = if lint.kind.is_warning() || !only_told { "" } else { "warning: " };
        complain(&format!("{name}:{}: {word}{}\n", lint.line.max(1), lint.kind));
        wrong |= !only_told;
    }
    if wrong {
        return USAGE;
    }
    let mut items = Vec::new();
    for vector in vectors {
        let each = families(&vector, args.family);
        items.extend(each.into_iter().map(|family| Item { vector: vector.clone(), family, file: Some(name.clone()) }));
    }
    if items.is_empty() {
        complain("harness: the vector does not run over that IP version\n");
        return NOTHING;
    }
    all(&items, args)
}

fn all(items: &[Item], args: &RunArgs) -> u8 {
    if let Err(why) = known_target(&args.stack.target) {
        complain(&why);
        return USAGE;
    }
    let mut settings = args.settings();
    let mut capabilities = match run::capabilities(&settings) {
        Ok(capabilities) => capabilities,
        Err(error) => return unavailable(&error, args),
    };
    let name = &capabilities.name;
    let told =
        expectations_of(args.stack.expectations.as_deref(), name).and_then(|e| Ok((e, profile_of(args.stack.profile.as_deref(), name)?)));
    let (expectations, profile) = match told {
        Ok(told) => told,
        Err(code) => return code,
    };
    let reasons = profile.reasons.clone();
    settings.profile = Some(profile);
    let ids: Vec<&str> = golden().iter().map(|g| g.id.as_str()).chain(items.iter().map(Item::id)).collect();
    for (entry, vector) in expectations.idle(&ids) {
        let near = did_you_mean(vector, ids.iter().copied());
        let word = if args.stack.expectations.is_some() { "warning: " } else { "" };
        complain(&format!("{}:{}: {word}no vector is called {:?}{near}\n", expectations.file, entry.line, vector));
        if args.stack.expectations.is_none() {
            return FAULT;
        }
    }
    let mut progress = Progress::new(items, args.format);
    let ran = run::run(items, &settings, &mut capabilities, |done| progress.tell(done));
    progress.end();
    match ran {
        Ok(done) => {
            let (verdicts, stale, summary) = weigh(items, done, &expectations, &capabilities.version, args.level);
            report(items, (&capabilities, &reasons), &verdicts, (&stale, &expectations), &summary, args)
        }
        Err(error) => unavailable(&error, args),
    }
}

/// Whether there is a target of this name; what to say where there is none.
pub(super) fn known_target(wanted: &str) -> Result<(), String> {
    if let Some(name) = wanted.strip_prefix("mutant:") {
        let near = did_you_mean(name, Mutant::all().map(|m| m.name));
        let there_is = Mutant::all().any(|m| m.name == name);
        return if there_is {
            Ok(())
        } else {
            Err(format!("harness: no mutant is called {name:?}{near}; `harness list --mutants` lists them\n"))
        };
    }
    #[cfg(target_os = "linux")]
    if let Some(spec) = wanted.strip_prefix(raw::PREFIX) {
        return raw::Spec::parse(spec).map(|_| ()).map_err(|why| format!("harness: {wanted}: {why}\n"));
    }
    let names: Vec<&str> = names_of_targets().collect();
    if names.contains(&wanted) || wanted.starts_with("exec:") {
        return Ok(());
    }
    let near = did_you_mean(wanted, names.iter().copied());
    Err(format!(
        "harness: no target is called {wanted:?}{near}; there are: {}, mutant:NAME, exec:COMMAND, raw:INTERFACE,…\n",
        names.join(", ")
    ))
}

fn unavailable(error: &TargetError, args: &RunArgs) -> u8 {
    let code = cannot_run(&args.stack.target, error);
    if code == UNAVAILABLE && args.stack.require_target { FINDINGS } else { code }
}

/// Says why a target cannot run, and the exit code for that.
pub(super) fn cannot_run(target: &str, error: &TargetError) -> u8 {
    let why = error.why();
    if matches!(error, TargetError::Unavailable(_)) {
        complain(&format!("harness: {target} cannot run here: {why}\n`harness doctor` says more\n"));
        UNAVAILABLE
    } else {
        complain(&format!("harness: {target} could not be started: {why}\n"));
        FAULT
    }
}

/// What the oracle is told of the target: a file's, or the target's own.
pub(super) fn profile_of(path: Option<&Path>, target: &str) -> Result<Profile, u8> {
    let Some(path) = path else { return Ok(profile_for(target)) };
    let text = files::text(path, "--profile wants a readable TOML file in UTF-8")?;
    profile::read(&path.display().to_string(), &text).map_err(|error| {
        diagnose(error.as_ref());
        USAGE
    })
}

/// What is known of the target: a file's, or the target's own.
pub(super) fn expectations_of(path: Option<&Path>, target: &str) -> Result<Expectations, u8> {
    let read = match path {
        None => Expectations::of(target),
        Some(path) => {
            let text = files::text(path, "--expectations wants a readable TOML file in UTF-8")?;
            Expectations::read(&path.display().to_string(), &text)
        }
    };
    read.map_err(|error| {
        diagnose(error.as_ref());
        if path.is_some() { USAGE } else { FAULT }
    })
}

fn report(
    items: &[Item],
    (capabilities, profile): (&Capabilities, &[String]),
    verdicts: &[Verdict],
    (stale, expectations): (&[Stale], &Expectations),
    summary: &Summary,
    args: &RunArgs,
) -> u8 {
    let not_performed = summary.classes.contains_key(&Class::NotPerformed);
    let code = if !stale.is_empty() || verdicts.iter().any(|v| v.fails) {
        FINDINGS
    } else if not_performed {
        FAULT
    } else {
        OK
    };
    if args.format == Format::Json {
        let document = json::document(capabilities, items, verdicts, (stale, expectations), summary, (args.seed, code));
        print(&format!("{document:#}\n"));
        return code;
    }
    let colour = coloured(io::stdout().is_terminal());
    let mut out = String::from("\n");
    for verdict in verdicts {
        let known = verdict.findings.iter().any(|f| f.expected) || verdict.death.is_some_and(|d| d.expected);
        let worth_telling = verdict.fails || verdict.done.outcome.class == Class::NotPerformed || (args.known && known);
        if let Some(item) = items.get(verdict.done.item).filter(|_| worth_telling) {
            out += &text::failure(item, verdict, &command(item, args), colour);
            out.push('\n');
        }
    }
    out += &text::known(summary, expectations, |item| {
        items.get(item).map_or_else(String::new, |item| format!("{} --known", command(item, args)))
    });
    out += &text::gone(stale, expectations);
    out += &text::summary(capabilities, summary, expectations, profile, colour);
    print(&out);
    code
}

/// The command that runs one item again.
fn command(item: &Item, args: &RunArgs) -> String {
    let mut text = match &item.file {
        Some(file) => format!("harness replay {}", words::shell(file)),
        None => format!("harness {}", words::shell(item.id())),
    };
    text += &format!(" --target {} --family {} --seed {}", words::shell(&args.stack.target), item.family, args.seed);
    if args.level != run::Strictness::Must {
        text += &format!(" --level {}", args.level.word());
    }
    if let Some(path) = &args.stack.expectations {
        text += &format!(" --expectations {}", words::shell(&path.display().to_string()));
    }
    if let Some(path) = &args.stack.profile {
        text += &format!(" --profile {}", words::shell(&path.display().to_string()));
    }
    text
}

pub(super) fn did_you_mean<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> String {
    match select::near(word, words).first() {
        Some(near) => format!(" (is it {near:?}?)"),
        None => String::new(),
    }
}

/// One line on a terminal, one for each result elsewhere, none beside JSON.
struct Progress<'a> {
    items: &'a [Item],
    manner: Manner,
    done: usize,
    bad: usize,
    drawn: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Line,
    Lines,
    Silent,
}

impl<'a> Progress<'a> {
    fn new(items: &'a [Item], format: Format) -> Progress<'a> {
        let manner = match format {
            Format::Json => Manner::Silent,
            Format::Text if io::stdout().is_terminal() => Manner::Line,
            Format::Text => Manner::Lines,
        };
        Progress { items, manner, done: 0, bad: 0, drawn: None }
    }

    fn tell(&mut self, done: &run::Done) {
        self.done += 1;
        let Some(item) = self.items.get(done.item) else { return };
        if !matches!(done.outcome.class, Class::Conforms | Class::Variant | Class::Unsupported) {
            self.bad += 1;
        }
        match self.manner {
            Manner::Lines => print(&format!("{}\n", text::line(item, &done.outcome, Colour::Off))),
            Manner::Line if self.drawn.is_none_or(|t| t.elapsed().as_millis() > 50) => {
                self.drawn = Some(Instant::now());
                let id: String = item.id().chars().take(50).collect();
                print(&format!("\r\x1b[K{}/{} done, {} not conforming: {id}", self.done, self.items.len(), self.bad));
            }
            Manner::Line | Manner::Silent => {}
        }
    }

    fn end(&self) {
        if self.manner == Manner::Line {
            print("\r\x1b[K");
        }
    }
}

//! The `harness` command: its words, and what they do.

mod adopt;
#[cfg(target_os = "linux")]
mod agent;
mod explain;
mod files;
mod fuzz;
mod judge;
mod lint;
mod matrix;
mod minimise;
mod mutants;
mod rules;
mod serve;
mod show;
mod target_check;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tcp_reference::api::Family;

use crate::report::text::Colour;
use crate::run::{Settings, Strictness};
use crate::select::{Filter, Part};

/// As expected.
pub const OK: u8 = 0;
/// Findings that are not expected, or an expectation that no longer happens.
pub const FINDINGS: u8 = 1;
/// The command or a file was wrong.
pub const USAGE: u8 = 2;
/// Nothing was selected.
pub const NOTHING: u8 = 4;
/// The harness failed.
pub const FAULT: u8 = 70;
/// The target cannot run here.
pub const UNAVAILABLE: u8 = 77;

/// Judges any TCP stack against RFC 9293, clause by clause.
#[derive(Parser, Debug)]
#[command(
    name = "harness",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Exit codes: 0 as expected; 1 findings that are not expected, or an expectation that no longer happens; 2 usage; \
                  4 nothing selected; 70 a fault of the harness; 77 the target cannot run here."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    judge: JudgeArgs,
}

#[cfg(target_os = "linux")]
impl Cli {
    /// Whether the host's own network is wanted, not one that the process makes.
    fn is_about_this_host(&self) -> bool {
        let raw = |target: &String| target.starts_with(crate::targets::raw::PREFIX);
        match &self.command {
            None => raw(&self.judge.run.stack.target),
            Some(Command::Replay { run, .. }) => raw(&run.stack.target),
            Some(Command::Fuzz(FuzzArgs { stack, .. })) => raw(&stack.target),
            Some(Command::Serve { target } | Command::Minimise { target, .. }) => raw(target),
            Some(Command::Show(ShowArgs { target, .. })) => target.iter().any(raw),
            Some(Command::Matrix(MatrixArgs { targets, .. })) => targets.iter().any(raw),
            Some(Command::Agent { .. }) => true,
            Some(_) => false,
        }
    }
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Lists the golden vectors.
    List(ListArgs),
    /// Prints a vector; with a target, the numbers are filled in.
    Show(ShowArgs),
    /// Explains a rule of the catalogue, and names the vectors that cite it.
    Explain {
        /// The rule's id, as in RFC9293:MUST-14.
        rule: String,
    },
    /// Lists the rules of the catalogue, how each is judged, and how many vectors and mutants it has.
    Rules(RulesArgs),
    /// Tries mutants of the reference stack against the vectors, then against the fuzzer, and says what found each out.
    Mutants(MutantsArgs),
    /// Runs the vectors on several stacks and shows side by side, for each area and each rule, what they do.
    Matrix(MatrixArgs),
    /// Tries each thing that each target needs, and says how to get what is missing.
    Doctor,
    /// Says what is wrong with vectors, and whether packetdrill can run them as they are.
    Lint {
        /// Files, .pkt or .pkt.tmpl; the golden vectors without any.
        files: Vec<PathBuf>,
    },
    /// Examines an adapter of the target protocol, and says how to mend what is wrong with it.
    TargetCheck {
        /// The adapter: exec:COMMAND.
        target: String,
        /// Longest time for an answer, seconds.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
        timeout: u64,
    },
    /// Speaks the target protocol for a target of this build: an adapter to compare one's own with.
    Serve {
        /// The target, as after --target.
        target: String,
    },
    /// Runs random scripts on a target; what breaks a rule in a new way is minimised and written down.
    Fuzz(FuzzArgs),
    /// Moves what `fuzz` found into the vectors, or into what is known of its target, or both.
    Adopt(AdoptArgs),
    /// Makes the script of a file smaller, as long as it breaks the same rule in the same way, and prints it as a vector.
    Minimise {
        /// The file, a .pkt.
        file: PathBuf,
        /// The stack under test.
        #[arg(long, default_value = "smoltcp")]
        target: String,
        /// Decides the peer's ISNs and the target's own randomness.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// From which level on a broken rule counts.
        #[arg(long, value_enum, default_value_t)]
        level: Strictness,
    },
    /// Makes the calls of a harness on another host, whose target is raw:INTERFACE and whose stack under test is this host's kernel.
    #[cfg(target_os = "linux")]
    Agent {
        /// The address and port where the harness connects: one that only it can reach, for nobody is asked who he is.
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9293")]
        listen: std::net::SocketAddr,
    },
    /// Runs a vector from a file outside the tree.
    Replay {
        /// The file, a .pkt or .pkt.tmpl.
        file: PathBuf,
        #[command(flatten)]
        run: RunArgs,
    },
}

#[derive(Args, Debug)]
struct ListArgs {
    /// Ids, areas, or globs of ids or rules; all vectors without any.
    filters: Vec<String>,
    /// Only vectors that cite a rule of this glob.
    #[arg(long, value_name = "GLOB")]
    rule: Vec<String>,
    /// Lists the mutants instead.
    #[arg(long)]
    mutants: bool,
}

#[derive(Args, Debug)]
struct RulesArgs {
    /// Topics, ids or globs of ids; all rules without any.
    filters: Vec<String>,
    /// Only rules that a vector of this id, area or glob cites.
    #[arg(long, value_name = "GLOB")]
    vector: Vec<String>,
}

#[derive(Args, Debug)]
struct MutantsArgs {
    /// Globs of mutants' names, or of rules that they break; all mutants without any.
    filters: Vec<String>,
    /// Decides the peer's ISNs and the fuzzer's scripts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Fuzz steps after which a mutant that no vector finds out counts as a survivor.
    #[arg(long, default_value_t = 200_000)]
    steps: u64,
    /// Mutants side by side; by itself, as many as there are processors.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
}

#[derive(Args, Debug)]
struct FuzzArgs {
    #[command(flatten)]
    stack: StackArgs,
    /// How long, as in 90s, 15m or 8h.
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    time: Duration,
    /// Ends after so many steps instead of after a time: with one job the same from run to run.
    #[arg(long, conflicts_with = "time")]
    steps: Option<u64>,
    /// Decides the scripts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Fuzzers side by side; by itself, as many as there are processors.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Where findings go; a second run with the same folder goes on where the first ended.
    #[arg(long, value_name = "FOLDER", default_value = "findings")]
    findings: PathBuf,
    /// From which level on a broken rule is a finding.
    #[arg(long, value_enum, default_value_t)]
    level: Strictness,
    /// How long the stack may take for one script before it counts as hung, seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

#[derive(Args, Debug)]
struct AdoptArgs {
    /// The finding's folder, below findings/; it is gone afterwards.
    folder: PathBuf,
    /// Makes its script a vector of the tree, vectors/AREA/NAME.pkt.
    #[arg(long = "as", value_name = "AREA/NAME", required_unless_present = "expect")]
    id: Option<String>,
    /// Notes that it is known of this target: that `fuzz` finds it, or, with --as, that the vector shows it.
    #[arg(long, value_name = "TARGET", requires = "because")]
    expect: Option<String>,
    /// Why it is the stack and not the oracle.
    #[arg(long, value_name = "TEXT", requires = "expect")]
    because: Option<String>,
    /// Notes it in this file, for --expectations of the other commands; by itself, in the target's own in the tree.
    #[arg(long, value_name = "FILE", requires = "expect")]
    expectations: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct MatrixArgs {
    /// The stacks, each as after --target.
    #[arg(required = true)]
    targets: Vec<String>,
    /// Only vectors of this id, area or glob.
    #[arg(long, value_name = "GLOB")]
    vector: Vec<String>,
    /// Only rules of this glob.
    #[arg(long, value_name = "GLOB")]
    rule: Vec<String>,
    /// Only rules about which the stacks differ.
    #[arg(long)]
    differing: bool,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: MatrixFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum MatrixFormat {
    /// For a terminal.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For a page.
    Markdown,
}

#[derive(Args, Debug)]
struct ShowArgs {
    /// The vector's id.
    id: String,
    /// Runs it on this target and prints plain packetdrill with the numbers that came up.
    #[arg(long)]
    target: Option<String>,
    /// The IP version it is run over.
    #[arg(long, value_parser = family, default_value = "4")]
    family: Family,
    /// Decides the peer's ISNs and the target's own randomness.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Args, Debug)]
struct JudgeArgs {
    /// Ids, areas, or globs of ids or rules; all vectors without any.
    filters: Vec<String>,
    /// Only vectors that cite a rule of this glob.
    #[arg(long, value_name = "GLOB")]
    rule: Vec<String>,
    /// Only the K-th of N parts of these vectors, so that N machines share them.
    #[arg(long, value_name = "K/N")]
    partition: Option<Part>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Args, Debug)]
struct StackArgs {
    /// The stack under test: a name, mutant:NAME, exec:COMMAND, or raw:INTERFACE,stack=ADDRESS/PREFIX,peer=ADDRESS[,agent=ADDRESS:PORT].
    #[arg(long, default_value = "smoltcp")]
    target: String,
    /// Fails where the target cannot run here, instead of exit code 77.
    #[arg(long)]
    require_target: bool,
    /// The expectations file; by itself, the target's own.
    #[arg(long, value_name = "FILE")]
    expectations: Option<PathBuf>,
    /// The profile: what RFC 9293 leaves to the stack, for the oracle; by itself, the target's own.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct RunArgs {
    #[command(flatten)]
    stack: StackArgs,
    /// From which level on a broken rule fails the run.
    #[arg(long, value_enum, default_value_t)]
    level: Strictness,
    /// Vectors side by side; by itself, as many as there are processors, or 32 where waits are real.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Decides the peer's ISNs and the target's own randomness.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// One IP version alone: 4 or 6.
    #[arg(long, value_parser = family)]
    family: Option<Family>,
    /// Longest time for one vector, seconds.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Prints findings that are known of the target in full too.
    #[arg(long)]
    known: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// One document for programs.
    Json,
}

impl RunArgs {
    fn settings(&self) -> Settings {
        Settings {
            target: self.stack.target.clone(),
            jobs: self.jobs.map(usize::from),
            seed: self.seed,
            timeout: Duration::from_secs(self.timeout),
            profile: None,
        }
    }
}

fn family(word: &str) -> Result<Family, String> {
    match word {
        "4" => Ok(Family::V4),
        "6" => Ok(Family::V6),
        _ => Err("an IP version is 4 or 6".to_owned()),
    }
}

/// Runs the command.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // A user namespace can only be made while the process has one thread. Where none is allowed, the kernel target says so itself. An interface
    // of this host and its connections are out of reach from there.
    #[cfg(target_os = "linux")]
    if !cli.is_about_this_host() {
        let _refused = crate::targets::linux::enter_user_namespace_if_needed();
    }
    let code = match &cli.command {
        None => judge::judge(
            &Filter {
                words: cli.judge.filters.clone(),
                rules: cli.judge.rule.clone(),
                family: cli.judge.run.family,
                part: cli.judge.partition,
            },
            &cli.judge.run,
        ),
        Some(Command::Replay { file, run }) => judge::replay(file, run),
        Some(Command::Fuzz(args)) => fuzz::fuzz(args),
        Some(Command::Adopt(args)) => adopt::adopt(args),
        Some(Command::Minimise { file, target, seed, level }) => minimise::minimise(file, target, *seed, *level),
        Some(Command::TargetCheck { target, timeout }) => target_check::target_check(target, Duration::from_secs(*timeout)),
        Some(Command::Serve { target }) => serve::serve(target),
        #[cfg(target_os = "linux")]
        Some(Command::Agent { listen }) => agent::agent(*listen),
        Some(Command::Lint { files }) => lint::lint(files),
        Some(Command::List(args)) => show::list(args),
        Some(Command::Show(args)) => show::show(args),
        Some(Command::Explain { rule }) => explain::explain(rule),
        Some(Command::Rules(args)) => rules::rules(args),
        Some(Command::Mutants(args)) => mutants::mutants(args),
        Some(Command::Matrix(args)) => matrix::matrix(args),
        Some(Command::Doctor) => explain::doctor(),
    };
    ExitCode::from(if UNWRITTEN.load(Ordering::Relaxed) { FAULT } else { code })
}

/// Whether something could not be printed: then the command has not done what it was asked for.
static UNWRITTEN: AtomicBool = AtomicBool::new(false);

/// Prints to standard output. A reader that went away, as `head` does, is no error; anything else is one, and is said once.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) if UNWRITTEN.swap(true, Ordering::Relaxed) => drop(error),
        Err(error) => complain(&format!("harness: standard output cannot be written: {error}\n")),
    }
}

/// Prints to standard error.
fn complain(text: &str) {
    let mut out = io::stderr().lock();
    let _gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints a diagnostic with its place and remedy.
fn diagnose(diagnostic: &dyn miette::Diagnostic) {
    let mut text = String::new();
    let theme = if coloured(io::stderr().is_terminal()) == Colour::On {
        miette::GraphicalTheme::unicode()
    } else {
        miette::GraphicalTheme::unicode_nocolor()
    };
    if miette::GraphicalReportHandler::new_themed(theme).render_report(&mut text, diagnostic).is_err() {
        text = format!("{diagnostic}\n");
    }
    complain(&text);
}

/// Colours only on a terminal, and not where NO_COLOR says so (no-color.org: set and not empty).
fn coloured(terminal: bool) -> Colour {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    if terminal && !refused { Colour::On } else { Colour::Off }
}

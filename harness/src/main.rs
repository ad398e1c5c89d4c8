//! The `harness` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    tcp_harness::cli::main()
}

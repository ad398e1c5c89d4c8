//! The `harness` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A user namespace can only be made while the process has one thread. Where none is allowed, the kernel target says so itself.
    #[cfg(target_os = "linux")]
    let _refused = tcp_harness::targets::linux::enter_user_namespace_if_needed();
    tcp_harness::cli::main()
}

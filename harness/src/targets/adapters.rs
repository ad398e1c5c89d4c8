//! Stacks behind the target protocol whose adapters stand in `harness/adapters/`: each is built once, by a script of its own, and then has a name.

use std::path::{Path, PathBuf};

use super::TargetInfo;
use super::exec::Exec;
use crate::target::{Clock, TargetError};

/// The stacks that have an adapter.
pub(super) const ADAPTERS: &[TargetInfo] = &[
    TargetInfo { name: "lwip", what: "lwIP 2.2.1, in a process of its own", clock: Clock::Virtual },
    TargetInfo { name: "netstack3", what: "Fuchsia's netstack3 0.1.0, in a process of its own", clock: Clock::Virtual },
    TargetInfo { name: "gvisor", what: "gVisor's netstack, in a process of its own", clock: Clock::Virtual },
    TargetInfo { name: "ipstack", what: "ipstack 1.0.1, in a process of its own", clock: Clock::Virtual },
    TargetInfo { name: "libslirp", what: "libslirp 4.7.0, in a process of its own", clock: Clock::Virtual },
    TargetInfo { name: "ns-3", what: "ns-3's TCP, release 3.37, in a process of its own", clock: Clock::Virtual },
];

/// The stack with this name, in its own process; `None` where no adapter is called so.
pub(super) fn open(name: &str, limit: std::time::Duration) -> Option<Result<Exec, TargetError>> {
    let info = ADAPTERS.iter().find(|a| a.name == name)?;
    let program = program(info.name);
    if !program.exists() {
        let remedy = format!("its adapter is not built; build it with harness/adapters/build {name}");
        return Some(Err(TargetError::Unavailable(format!("{} is not there: {remedy}", program.display()))));
    }
    Some(Exec::of(vec![program.display().to_string()], limit))
}

/// Where an adapter's program is put: beside the harness's own builds, or where `TCP_HARNESS_ADAPTERS` says.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("TCP_HARNESS_ADAPTERS");
    folder.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/adapters"), PathBuf::from).join(name)
}

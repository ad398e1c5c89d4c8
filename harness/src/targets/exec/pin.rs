//! Harness and adapter on one processor: lockstep over two is ten times slower.

use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The processors that the harness may use, as it was started.
static PROCESSORS: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
    (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).collect()
});
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The processor of the calling thread, once it has one.
    static OWN: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Binds the calling thread, which drives an adapter from now on, and the adapter to one processor; a thread that is bound stays where it is.
/// Where the system does not allow it, all is slower and nothing else.
pub(super) fn together(adapter: u32) {
    let cpu = OWN.get().or_else(|| PROCESSORS.get(NEXT.fetch_add(1, Ordering::Relaxed) % PROCESSORS.len().max(1)).copied());
    let mut one = CpuSet::new();
    let (Some(cpu), Ok(pid)) = (cpu, i32::try_from(adapter)) else { return };
    if one.set(cpu).is_err() {
        return;
    }
    if OWN.replace(Some(cpu)).is_none() {
        let _slower = sched_setaffinity(Pid::from_raw(0), &one);
    }
    let _slower = sched_setaffinity(Pid::from_raw(pid), &one);
}

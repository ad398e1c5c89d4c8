//! Every target, driven at packet level.

#[cfg(target_os = "linux")]
#[path = "targets/linux.rs"]
mod linux;
#[path = "targets/peer.rs"]
mod peer;
#[path = "targets/smoltcp.rs"]
mod smoltcp;
#[path = "targets/watchdog.rs"]
mod watchdog;

//! Every target, driven at packet level.

#[path = "targets/peer.rs"]
mod peer;
#[path = "targets/smoltcp.rs"]
mod smoltcp;
#[path = "targets/watchdog.rs"]
mod watchdog;

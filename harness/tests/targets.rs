//! Every target, driven at packet level.

#[cfg(target_os = "linux")]
#[path = "targets/linux.rs"]
mod linux;
#[cfg(target_os = "linux")]
#[path = "common/kernel.rs"]
mod missing;
#[path = "targets/peer.rs"]
mod peer;
#[path = "targets/smoltcp.rs"]
mod smoltcp;
#[path = "targets/speed.rs"]
mod speed;
#[path = "targets/watchdog.rs"]
mod watchdog;

/// The doctor's verdict is the targets' own: all is well exactly where the kernel target opens.
#[test]
fn doctor() {
    let checks = tcp_harness::doctor::examine();
    for check in &checks {
        assert!(check.ok == check.remedy.is_empty());
        eprintln!("{check:?}");
    }
    for target in ["smoltcp", "reference"] {
        let of: Vec<_> = checks.iter().filter(|c| c.target == target).collect();
        assert!(of.len() == 2 && of.iter().all(|c| c.ok), "{of:?}");
    }
    #[cfg(target_os = "linux")]
    {
        let opened = tcp_harness::targets::linux::LinuxKernel::new();
        assert_eq!(checks.iter().all(|c| c.ok || c.target == "raw"), opened.is_ok());
        if let Err(why) = opened {
            missing::is_missing(&format!("{why:?}"));
        }
    }
}

//! This machine's kernel; still to come.

use crate::target::TargetError;
use crate::targets::smoltcp::SmolTcp;

/// The target's name.
pub const NAME: &str = "linux-kernel";

/// Placeholder until the next commit.
#[derive(Debug)]
pub enum LinuxKernel {}

impl LinuxKernel {
    /// Never succeeds yet.
    ///
    /// # Errors
    /// Always.
    #[expect(clippy::new_ret_no_self)]
    pub fn new() -> Result<SmolTcp, TargetError> {
        Err(TargetError::Unavailable("the kernel target is not built yet".to_owned()))
    }
}

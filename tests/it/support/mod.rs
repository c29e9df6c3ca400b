//! What the tests stand on: scripted servers and the real executable.

pub(crate) mod bridge;
pub(crate) mod home;
pub(crate) mod http;
#[cfg(target_os = "linux")]
pub(crate) mod keyring;
pub(crate) mod legacy;
pub(crate) mod mcp_server;
pub(crate) mod modern;
pub(crate) mod protected;
pub(crate) mod tls;

use std::time::Duration;

/// How long any wait may last before the test has failed; far above what is
/// ever needed, because the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

//! What the tests stand on: scripted servers and the real executable.

pub(crate) mod authorization_server;
pub(crate) mod bridge;
#[cfg(unix)]
pub(crate) mod browser;
pub(crate) mod clock;
pub(crate) mod dpop;
pub(crate) mod gate;
pub(crate) mod home;
pub(crate) mod http;
pub(crate) mod http_sse;
pub(crate) mod jws;
#[cfg(target_os = "linux")]
pub(crate) mod keyring;
pub(crate) mod legacy;
pub(crate) mod login_endpoint;
pub(crate) mod mcp_server;
pub(crate) mod message;
pub(crate) mod modern;
pub(crate) mod mutual_tls;
#[cfg(target_os = "linux")]
pub(crate) mod preload;
pub(crate) mod protected;
#[cfg(unix)]
pub(crate) mod scene;
pub(crate) mod tls;
pub(crate) mod token_endpoint;
pub(crate) mod tokens;
pub(crate) mod web;

use serde_json::Value;
use std::time::Duration;

/// How long any wait may last before the test has failed; far above what is
/// ever needed, because the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Parses JSON for a look at it. serde_json refuses the valid number 1e400, so
/// it is read as 1 here.
pub(crate) fn value(json: &str) -> Value {
    serde_json::from_str(&json.replace("1e400", "1"))
        .unwrap_or_else(|error| panic!("{error}: {json:.400}"))
}

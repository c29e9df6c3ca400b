//! Remotes of 2024-11-05, which speak HTTP+SSE.

mod breaks;
#[cfg(unix)]
mod credentials;
mod end;
mod found;
mod talk;

use crate::support::bridge::Bridge;
use crate::support::home::Home;
use crate::support::http_sse::SseServer;

/// A bridge with a session, which the server knows of.
fn ready(server: &SseServer) -> Bridge {
    let bridge =
        Home::new("memory").launch(&server.url()).args(&["--log-level", "info"]).start().ready();
    server.wait_for("notifications/initialized");
    bridge
}

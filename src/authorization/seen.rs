//! What was last seen of a remote, to answer with while a person signs in.

use super::Authorization;

/// Raw JSON, as the remote sent it; kept sealed, as it may say what only the person may know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The result of `initialize` (legacy).
    pub initialize: Option<Vec<u8>>,
    /// The result of `server/discover` (modern).
    pub discover: Option<Vec<u8>>,
    /// The result of the first page of `tools/list`, if it was the only one (legacy).
    pub legacy_tools: Option<Vec<u8>>,
    /// The same (modern).
    pub modern_tools: Option<Vec<u8>>,
}

impl Authorization {
    /// What was last seen; empty if nothing was, or if the vault does not open in time.
    pub async fn last_seen(&self) -> Seen {
        Seen::default()
    }

    /// Keeps what is `Some` in `seen` beside what was kept before, in its own time. Does
    /// nothing for remotes that need no sign-in, nor if nothing has changed.
    pub fn remember(&self, _seen: Seen) {}
}

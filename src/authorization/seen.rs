//! What was last seen of a remote, to answer with while a person signs in.

use super::{Authorization, Origin};
use crate::secret::Secret;
use crate::vault::{Header, RecordKey};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::PoisonError;

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
    /// Whether the remote spoke a modern revision of MCP.
    pub modern: Option<bool>,
}

/// As it is sealed.
#[derive(Default, Serialize, Deserialize)]
struct Payload {
    initialize: Option<Box<RawValue>>,
    discover: Option<Box<RawValue>>,
    legacy_tools: Option<Box<RawValue>>,
    modern_tools: Option<Box<RawValue>>,
    #[serde(default)]
    modern: Option<bool>,
}

impl Seen {
    fn over(self, before: Self) -> Self {
        Self {
            initialize: self.initialize.or(before.initialize),
            discover: self.discover.or(before.discover),
            legacy_tools: self.legacy_tools.or(before.legacy_tools),
            modern_tools: self.modern_tools.or(before.modern_tools),
            modern: self.modern.or(before.modern),
        }
    }

    fn to_payload(&self) -> Option<Secret<Vec<u8>>> {
        let raw = |bytes: &Option<Vec<u8>>| {
            let text = String::from_utf8(bytes.clone()?).ok()?;
            RawValue::from_string(text).ok()
        };
        let payload = Payload {
            initialize: raw(&self.initialize),
            discover: raw(&self.discover),
            legacy_tools: raw(&self.legacy_tools),
            modern_tools: raw(&self.modern_tools),
            modern: self.modern,
        };
        serde_json::to_vec(&payload).ok().map(Secret::new)
    }

    fn from_payload(payload: &[u8]) -> Self {
        let read: Payload = serde_json::from_slice(payload).unwrap_or_default();
        let bytes = |raw: Option<Box<RawValue>>| raw.map(|raw| raw.get().as_bytes().to_vec());
        Self {
            initialize: bytes(read.initialize),
            discover: bytes(read.discover),
            legacy_tools: bytes(read.legacy_tools),
            modern_tools: bytes(read.modern_tools),
            modern: read.modern,
        }
    }
}

impl Authorization {
    /// What was last seen; empty if nothing was, or if the vault does not open in time.
    pub async fn last_seen(&self) -> Seen {
        let read = self.vault.read(&self.seen_record(), self.deadline).await;
        read.ok()
            .flatten()
            .map_or_else(Seen::default, |record| Seen::from_payload(record.payload.expose()))
    }

    /// Whether anything is kept of this remote: only where a person signs in.
    pub fn remembers(&self) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().is_some_and(|current| current.origin == Origin::Token)
    }

    /// Keeps which era the remote speaks, where the vault is used for it.
    pub fn remember_era(&self, modern: bool) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let used = current.as_ref().is_some_and(|current| current.is_of_vault());
        drop(current);
        if used {
            self.write_seen(Seen { modern: Some(modern), ..Seen::default() });
        }
    }

    /// Keeps what is `Some` in `seen` beside what was kept before, in its own time. Does
    /// nothing for remotes that need no sign-in, nor if nothing has changed.
    pub fn remember(&self, seen: Seen) {
        if self.remembers() {
            self.write_seen(seen);
        }
    }

    fn write_seen(&self, seen: Seen) {
        let (vault, key, deadline) = (self.vault.clone(), self.seen_record(), self.deadline);
        let (tokens, seeing) = (self.tokens.clone(), self.seeing.clone());
        tokio::spawn(async move {
            let _busy = tokens.keep_busy().await;
            let _alone = seeing.lock().await;
            let before = match vault.read(&key, deadline).await {
                Ok(record) => record.map_or_else(Seen::default, |record| {
                    Seen::from_payload(record.payload.expose())
                }),
                Err(_) => Seen::default(),
            };
            let now = seen.over(before.clone());
            if now == before {
                return;
            }
            let Some(payload) = now.to_payload() else { return };
            let kept = vault.write(&key, Header::of("last-seen"), &payload, deadline).await;
            if let Err(error) = kept {
                tracing::debug!("what was seen of the remote cannot be kept: {error}");
            }
        });
    }

    fn seen_record(&self) -> RecordKey {
        let (url, account) = (self.remote.url().to_string(), self.remote.account().to_owned());
        RecordKey::LastSeen { url, account }
    }
}

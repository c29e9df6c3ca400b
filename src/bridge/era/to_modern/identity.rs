//! Who the client is, which a modern request says each time (MCP 2026-07-28, "General fields").

use super::TASKS;
use super::members::{Edits, Object, joined, member};
use crate::jsonrpc::Message;
use crate::jsonrpc::object::{get, string};
use bytes::Bytes;

/// The legacy revisions, oldest first.
const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", LATEST];
/// The last legacy revision: the one with tasks, URL-mode elicitation and its `mode`.
pub(super) const LATEST: &str = "2025-11-25";
/// The modern revisions that are known here, oldest first.
pub(super) const MODERN: [&str; 1] = ["2026-07-28"];

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const INFO: &str = "io.modelcontextprotocol/clientInfo";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// What a request says of its client: never taken from the request itself.
pub(super) const OURS: [&str; 4] = [VERSION, INFO, CAPABILITIES, LEVEL];

const LEVELS: [&[u8]; 8] = [
    b"\"debug\"",
    b"\"info\"",
    b"\"notice\"",
    b"\"warning\"",
    b"\"error\"",
    b"\"critical\"",
    b"\"alert\"",
    b"\"emergency\"",
];

/// What the client said of itself.
#[derive(Debug)]
pub(super) struct Identity {
    /// The legacy revision that it is spoken to in.
    pub(super) version: &'static str,
    /// The modern revision that the remote is spoken to in.
    pub(super) modern: &'static str,
    info: Option<Bytes>,
    capabilities: Bytes,
    /// The same with the tasks extension.
    with_tasks: Bytes,
    level: Option<&'static [u8]>,
}

impl Default for Identity {
    /// A client that has not introduced itself.
    fn default() -> Self {
        Self {
            version: LATEST,
            modern: MODERN[MODERN.len() - 1],
            info: None,
            capabilities: Bytes::from_static(b"{}"),
            with_tasks: with_tasks(b"{}"),
            level: None,
        }
    }
}

impl Identity {
    /// What `initialize` says.
    pub(super) fn of(initialize: &Message) -> Self {
        let params = initialize.params().unwrap_or_default();
        let asked = get(params, "protocolVersion").and_then(string);
        let known = LEGACY.iter().find(|known| asked.as_deref() == Some(known));
        let object = |name| get(params, name).filter(|raw| raw.starts_with(b"{"));
        let capabilities = modern_capabilities(object("capabilities").unwrap_or(b"{}"));
        Self {
            version: known.copied().unwrap_or(LATEST),
            info: object("clientInfo").map(Bytes::copy_from_slice),
            with_tasks: with_tasks(&capabilities),
            capabilities,
            ..Self::default()
        }
    }

    /// The raw members of `_meta`; `tasks` declares that extension.
    pub(super) fn meta(&self, tasks: bool, level: bool) -> Vec<u8> {
        let version = member(VERSION, format!("\"{}\"", self.modern).as_bytes());
        let info = self.info.as_ref().map(|info| member(INFO, info)).unwrap_or_default();
        let capabilities = if tasks { &self.with_tasks } else { &self.capabilities };
        let capabilities = member(CAPABILITIES, capabilities);
        let level = self.level.filter(|_| level).map(|level| member(LEVEL, level));
        joined(&[&version, &info, &capabilities, &level.unwrap_or_default()])
    }

    /// `logging/setLevel`. False for what is no level.
    pub(super) fn set_level(&mut self, raw: &[u8]) -> bool {
        let known = LEVELS.iter().find(|level| string(level) == string(raw));
        self.level = known.copied().or(self.level);
        known.is_some()
    }

    /// The raw level that the client has set.
    pub(super) fn level(&self) -> Option<&'static [u8]> {
        self.level
    }

    /// True if it has the capability `name`.
    pub(super) fn can(&self, name: &str) -> bool {
        get(&self.capabilities, name).is_some_and(|raw| raw.starts_with(b"{"))
    }

    /// True if it takes elicitation in this mode. An empty capability means forms.
    pub(super) fn can_elicit(&self, url: bool) -> bool {
        let Some(modes) = get(&self.capabilities, "elicitation") else { return false };
        let has = |name| get(modes, name).is_some();
        if url { has("url") } else { modes.starts_with(b"{") && (has("form") || !has("url")) }
    }
}

/// Legacy capabilities in modern words: what is gone is taken out.
fn modern_capabilities(legacy: &[u8]) -> Bytes {
    let mut edits = Edits::default();
    if let Some(all) = Object::read(legacy, 0) {
        // Tasks of the client's own are no more; the server's are declared call by call.
        all.rewrite(legacy, &["tasks"], b"", &mut edits);
        for (name, gone) in [("roots", "listChanged"), ("extensions", TASKS)] {
            let one = all.value(legacy, name).and_then(|at| Object::read(legacy, at.start));
            if let Some(one) = one {
                one.rewrite(legacy, &[gone], b"", &mut edits);
            }
        }
    }
    edits.apply(legacy)
}

fn with_tasks(capabilities: &[u8]) -> Bytes {
    let mut edits = Edits::default();
    let Some(all) = Object::read(capabilities, 0) else { return Bytes::new() };
    let tasks = member(TASKS, b"{}");
    let extensions = all.value(capabilities, "extensions");
    match extensions.and_then(|at| Object::read(capabilities, at.start)) {
        Some(extensions) => extensions.rewrite(capabilities, &[], &tasks, &mut edits),
        None => {
            let tasks = [b"{", &tasks[..], b"}"].concat();
            let extensions = member("extensions", &tasks);
            all.rewrite(capabilities, &["extensions"], &extensions, &mut edits);
        }
    }
    edits.apply(capabilities)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(params: &str) -> Identity {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{params}}}"#);
        Identity::of(&Message::read(text.into()).unwrap())
    }

    fn meta(identity: &Identity, tasks: bool) -> String {
        String::from_utf8(identity.meta(tasks, true)).unwrap()
    }

    #[test]
    fn capabilities_that_are_gone_are_taken_out_and_all_else_stays() {
        let one = identity(
            r#"{"protocolVersion":"2025-06-18","clientInfo":{"name":"c","x":1.0},"capabilities":{"tasks":{"list":{}},"roots":{"listChanged":true,"y":1e400},"sampling":{},"extensions":{"io.modelcontextprotocol/tasks":{},"a/b":{}}}}"#,
        );
        assert_eq!(one.version, "2025-06-18");
        assert_eq!(
            meta(&one, false),
            r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","x":1.0},"io.modelcontextprotocol/clientCapabilities":{"roots":{"y":1e400},"sampling":{},"extensions":{"a/b":{}}}"#
        );
        assert!(meta(&one, true).ends_with(
            r#""sampling":{},"extensions":{"io.modelcontextprotocol/tasks":{},"a/b":{}}}"#
        ));
    }

    #[test]
    fn a_version_that_is_not_known_is_answered_with_the_latest() {
        for asked in [r#"{"protocolVersion":"2030-01-01"}"#, "{}", "[]", r#"{"capabilities":5}"#] {
            assert_eq!(identity(asked).version, "2025-11-25");
        }
        assert!(meta(&identity("{}"), true).ends_with(
            r#"clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#
        ));
    }

    #[test]
    fn only_a_level_of_the_specification_is_taken() {
        let mut one = identity("{}");
        assert!(one.set_level(br#""\u0069nfo""#));
        assert!(!one.set_level(b"\"loud\"") && !one.set_level(b"5"));
        assert!(meta(&one, false).ends_with(r#""io.modelcontextprotocol/logLevel":"info""#));
    }

    #[test]
    fn an_empty_elicitation_capability_means_forms() {
        for (capability, form, url) in [
            (r#"{"elicitation":{}}"#, true, false),
            (r#"{"elicitation":{"form":{}}}"#, true, false),
            (r#"{"elicitation":{"url":{}}}"#, false, true),
            (r#"{"elicitation":{"url":{},"form":{}}}"#, true, true),
            (r#"{"elicitation":null}"#, false, false),
            ("{}", false, false),
        ] {
            let one = identity(&format!(r#"{{"capabilities":{capability}}}"#));
            assert_eq!((one.can_elicit(false), one.can_elicit(true)), (form, url), "{capability}");
        }
    }
}

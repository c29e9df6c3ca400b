//! What a client was told of a session that the remote had not begun yet, and how the real
//! one may differ from it.

use crate::jsonrpc::Message;
use crate::jsonrpc::object::{get, string};

/// What the answer to `initialize` that was made here declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Told {
    /// `protocolVersion`.
    pub(in super::super) version: String,
    /// The notifications that were promised.
    pub(in super::super) promises: Vec<&'static str>,
}

impl Told {
    /// Reads a result of `initialize`.
    pub(in super::super) fn read(result: &[u8]) -> Self {
        let capabilities = get(result, "capabilities").unwrap_or(b"{}");
        let promised = |capability| {
            get(capabilities, capability)
                .is_some_and(|one| get(one, "listChanged") == Some(b"true"))
        };
        let all = [
            ("tools", "notifications/tools/list_changed"),
            ("prompts", "notifications/prompts/list_changed"),
            ("resources", "notifications/resources/list_changed"),
        ];
        let promises = all.into_iter().filter(|(name, _)| promised(name)).map(|(_, one)| one);
        let version = get(result, "protocolVersion").and_then(string).unwrap_or_default();
        Self { version: version.into_owned(), promises: promises.collect() }
    }
}

/// What a remote does not declare, though its client may believe so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Lacks {
    tools: bool,
    prompts: bool,
    resources: bool,
    completions: bool,
    logging: bool,
}

impl Lacks {
    /// By the remote's answer to `initialize`.
    pub(in super::super) fn of(answer: &Message) -> Self {
        let capabilities = answer.result().and_then(|result| get(result, "capabilities"));
        let lacks = |name| capabilities.is_none_or(|all| get(all, name).is_none());
        Self {
            tools: lacks("tools"),
            prompts: lacks("prompts"),
            resources: lacks("resources"),
            completions: lacks("completions"),
            logging: lacks("logging"),
        }
    }

    /// The result to answer with in its stead (legacy); none if the remote can be asked.
    pub(super) fn answer(self, method: &str) -> Option<&'static str> {
        let (lacks, result) = match method {
            "tools/list" => (self.tools, r#"{"tools":[]}"#),
            "prompts/list" => (self.prompts, r#"{"prompts":[]}"#),
            "resources/list" => (self.resources, r#"{"resources":[]}"#),
            "resources/templates/list" => (self.resources, r#"{"resourceTemplates":[]}"#),
            "completion/complete" => (self.completions, r#"{"completion":{"values":[]}}"#),
            "logging/setLevel" => (self.logging, "{}"),
            _ => (false, ""),
        };
        lacks.then_some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_remote_lacks_is_answered_empty() {
        let text = r#"{"jsonrpc":"2.0","id":1,"result":{"capabilities":{"tools":{}}}}"#;
        let lacks = Lacks::of(&Message::read(text.into()).unwrap());
        assert_eq!(lacks.answer("tools/list"), None);
        assert_eq!(lacks.answer("prompts/list"), Some(r#"{"prompts":[]}"#));
        assert_eq!(lacks.answer("logging/setLevel"), Some("{}"));
        assert_eq!(lacks.answer("resources/subscribe"), None, "that has an error of its own");
        assert_eq!(Lacks::default().answer("prompts/list"), None);
    }

    #[test]
    fn the_client_is_told_of_changes_that_were_promised() {
        let told = Told::read(
            br#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true},"prompts":{}}}"#,
        );
        assert_eq!(told.version, "2025-06-18");
        assert_eq!(told.promises, ["notifications/tools/list_changed"]);
    }
}

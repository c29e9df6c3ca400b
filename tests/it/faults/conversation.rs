//! What is said: by the client in the words of its era, and by a kind of remote.

use super::record::Exchange;
use super::remote::Kind;
use crate::support::bridge::initialize_params;

/// A client's script at a remote.
#[derive(Clone, Copy)]
pub(crate) struct Conversation {
    pub(crate) era: Era,
    pub(crate) steps: &'static [Step],
    pub(crate) remote: Kind,
}

/// How the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    Legacy,
    Modern,
}

/// One thing that the client does, named for what it is known by everywhere.
pub(crate) struct Step(pub(crate) &'static str, pub(crate) Does);

pub(crate) enum Does {
    /// `initialize`, again where it fails.
    ShakesHands,
    /// Method and members of the params.
    Asks(&'static str, &'static str),
    /// The name of the tool says what the remote does.
    Calls(&'static str),
    /// The same, given up once the remote is at it.
    CallsAndCancels(&'static str),
    /// An open stream of changes.
    Listens,
    Tells(&'static str),
}
use Does::{Asks, Calls, CallsAndCancels, Listens, ShakesHands, Tells};

pub(crate) const SESSIONS: Conversation =
    Conversation { era: Era::Legacy, steps: LEGACY, remote: Kind::Sessions };
pub(crate) const PLAIN: Conversation =
    Conversation { era: Era::Legacy, steps: LEGACY, remote: Kind::Plain };
pub(crate) const BOTH_MODERN: Conversation =
    Conversation { era: Era::Modern, steps: MODERN, remote: Kind::Modern };
pub(super) const TO_MODERN: Conversation =
    Conversation { era: Era::Legacy, steps: LEGACY, remote: Kind::Modern };
pub(super) const TO_LEGACY: Conversation =
    Conversation { era: Era::Modern, steps: MODERN, remote: Kind::Sessions };
pub(super) const HTTP_SSE: Conversation =
    Conversation { era: Era::Legacy, steps: LEGACY, remote: Kind::HttpSse };
pub(super) const TO_HTTP_SSE: Conversation =
    Conversation { era: Era::Modern, steps: MODERN, remote: Kind::HttpSse };

/// `_meta` of a client that can be asked, and that opens links.
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"it","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"sampling":{},"elicitation":{"form":{},"url":{}}}}"#;

// What a remote of the client's era, over Streamable HTTP, has to do with it.
//                              the client           the remote
const LEGACY: &[Step] = &[
    Step("hello", ShakesHands),           // JSON
    Step("ready", Tells("initialized")),  // 202, and a GET stream
    Step("list", Asks("tools/list", "")), // JSON
    Step("level", Asks("logging/setLevel", r#""level":"info""#)),
    Step("subscription", Asks("resources/subscribe", r#""uri":"file:///a""#)), // JSON, an update on the GET stream
    Step("stream", Calls("progress")), // events: two of progress, the result
    Step("call", Calls("json")),       // JSON
    Step("alive", Asks("ping", "")),   // JSON
    Step("question", Calls("ask")),    // events: sampling, after its answer the result
    Step("pause", Calls("poll")),      // events: none; where there are ids, taken up
    Step("second thoughts", CallsAndCancels("held")), // events: progress
    Step("news", Tells("roots/list_changed")), // 202
    Step("last", Calls("json")),
];

const MODERN: &[Step] = &[
    Step("hello", Asks("server/discover", "")),       // JSON
    Step("changes", Listens),                         // events: acknowledged, an update
    Step("list", Asks("tools/list", "")),             // JSON
    Step("stream", Calls("progress")),                // events: two of progress, the result
    Step("call", Calls("json")),                      // JSON
    Step("question", Calls("ask")),                   // JSON: input required; retried: the result
    Step("pause", Calls("poll")),                     // of legacy remotes only
    Step("link", Calls("link")), // of legacy remotes only: a link; retried: the result
    Step("second thoughts", CallsAndCancels("held")), // events: progress
    Step("last", Calls("json")),
];

impl Conversation {
    /// The steps that this remote has a part in.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &'static Step> {
        let (resumes, links) = (self.resumes(), self.remote != Kind::Modern);
        self.steps.iter().filter(move |step| match step.1 {
            Calls("poll") => resumes,
            Calls("link") => links,
            _ => true,
        })
    }

    /// Streams of this remote can be taken up where they ended.
    pub(crate) fn resumes(&self) -> bool {
        self.remote == Kind::Sessions
    }

    /// Client and remote are of different eras.
    pub(super) fn crosses(&self) -> bool {
        (self.era == Era::Modern) != (self.remote == Kind::Modern)
    }

    /// One of those that stand for their era: with every variant of a fault everywhere.
    pub(super) fn is_whole(&self) -> bool {
        !self.crosses() && matches!(self.remote, Kind::Sessions | Kind::Modern)
    }

    /// All that the remote says comes on one stream.
    pub(super) fn has_one_stream(&self) -> bool {
        self.remote == Kind::HttpSse
    }

    /// Part of finding out how the remote is spoken to.
    pub(super) fn finds_out(&self, recorded: &Exchange) -> bool {
        recorded.step == "hello" && (self.crosses() || self.has_one_stream())
    }

    /// The client knows nothing of this request.
    pub(super) fn is_hidden(&self, recorded: &Exchange) -> bool {
        let made = ["subscriptions/listen", "resources/subscribe"];
        self.finds_out(recorded)
            || (recorded.label == made[0] && self.era == Era::Legacy)
            || (recorded.label == made[1] && self.era == Era::Modern)
    }

    /// The bridge sends nothing for this step: what it says has no place in the remote's era.
    pub(super) fn is_silent(&self, step: &str) -> bool {
        let silent = ["level", "alive", "news"];
        self.era == Era::Legacy && self.crosses() && silent.contains(&step)
    }

    /// Recorded requests that follow on a notification, or on the first answer, in this order.
    pub(crate) fn follows(&self, told: &str) -> &'static [&'static str] {
        const READY: &[&str] = &["notifications/initialized", "GET"];
        match (self.remote, self.era, told) {
            (Kind::Modern, Era::Legacy, "initialized") => &["subscriptions/listen"],
            (Kind::Modern, ..) => &[],
            (Kind::HttpSse, Era::Legacy, "initialized") => &READY[..1],
            (Kind::HttpSse, Era::Modern, "hello") => &READY[..1],
            (_, Era::Legacy, "initialized") | (Kind::Sessions, Era::Modern, "hello") => READY,
            (_, _, "roots/list_changed") => &["notifications/roots/list_changed"],
            (_, _, "cancelled") => &["notifications/cancelled"],
            _ => &[],
        }
    }
}

impl Era {
    /// A request with the step's name for its id.
    pub(crate) fn request(self, id: &str, method: &str, params: &str) -> String {
        let params = match self {
            Self::Legacy => params.to_owned(),
            Self::Modern if params.is_empty() => META.to_owned(),
            Self::Modern => format!("{params},{META}"),
        };
        format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"{method}","params":{{{params}}}}}"#)
    }

    pub(crate) fn initialize(id: &str) -> String {
        let params = initialize_params("2025-11-25");
        format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"initialize","params":{params}}}"#)
    }

    /// A call, counted and its progress told under its id.
    pub(crate) fn call(self, id: &str, tool: &str) -> String {
        let progress = format!(r#""_meta":{{"progressToken":"{id}""#);
        let meta = match self {
            Self::Legacy => format!("{progress}}}"),
            Self::Modern => META.replacen(r#""_meta":{"#, &format!("{progress},"), 1),
        };
        format!(
            r#"{{"jsonrpc":"2.0","id":"{id}","method":"tools/call","params":{{"name":"{tool}","arguments":{{"token":"{id}"}},{meta}}}}}"#
        )
    }

    /// The same again, with what the remote wanted to know under `key`.
    pub(crate) fn call_again(self, id: &str, tool: &str, key: &str, state: &str) -> String {
        let answer = if tool == "link" { r#"{"action":"accept"}"# } else { ANSWER };
        let responses =
            format!(r#""inputResponses":{{"{key}":{answer}}},"requestState":"{state}""#);
        let call = self.call(&format!("{id} again"), tool);
        let token = format!(r#""token":"{id} again""#);
        let call = call.replacen(&token, &format!(r#""token":"{id}""#), 1);
        call.replacen(r#""arguments""#, &format!(r#"{responses},"arguments""#), 1)
    }
}

/// What the client answers when it is asked.
pub(crate) const ANSWER: &str =
    r#"{"role":"assistant","content":{"type":"text","text":"x"},"model":"m"}"#;

pub(crate) fn notification(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/{method}","params":{{{params}}}}}"#)
}

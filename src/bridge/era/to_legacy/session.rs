//! The handshake that a modern client knows nothing of, made from what its first request says
//! of the client (MCP 2025-11-25, "Lifecycle").

use super::capabilities::{self, Offers};
use super::request::Request;
use super::{Asked, Queued, ToLegacy, Why};
use crate::jsonrpc::object::get;
use crate::jsonrpc::{Message, with_id};
use bytes::Bytes;
use serde_json::json;
use std::time::Duration;

/// The revision that is offered.
const LATEST: &str = "2025-11-25";
/// How long a request that declares more than the session knows waits for a better session.
const QUIET: Duration = Duration::from_secs(5);

/// What there is of a session.
#[derive(Debug, Default)]
pub(super) struct Session {
    open: Option<Open>,
    /// What is declared in a handshake that has no answer yet.
    opening: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Open {
    /// The client's capabilities, raw, in modern words.
    declared: Vec<u8>,
    remote: Remote,
}

/// What a remote said of itself.
#[derive(Debug)]
pub(super) struct Remote {
    /// The raw result of `initialize`.
    pub(super) result: Bytes,
    pub(super) logging: bool,
    /// Whose changes it announces.
    pub(super) tools: bool,
    pub(super) prompts: bool,
    pub(super) resources: bool,
    pub(super) subscribe: bool,
    /// Calls as tasks (2025-11-25).
    pub(super) tasks: bool,
}

impl Remote {
    fn read(result: Bytes) -> Self {
        let has = |path: &[&str]| {
            let found = path.iter().try_fold(&result[..], |at, name| get(at, name));
            found.is_some_and(|value| value != b"false" && value != b"null")
        };
        Self {
            logging: has(&["capabilities", "logging"]),
            tools: has(&["capabilities", "tools", "listChanged"]),
            prompts: has(&["capabilities", "prompts", "listChanged"]),
            resources: has(&["capabilities", "resources", "listChanged"]),
            subscribe: has(&["capabilities", "resources", "subscribe"]),
            tasks: has(&["capabilities", "tasks", "requests", "tools", "call"]),
            result,
        }
    }
}

impl Session {
    /// The remote, while requests may go to it.
    pub(super) fn remote(&self) -> Option<&Remote> {
        self.open.as_ref().filter(|_| self.opening.is_none()).map(|open| &open.remote)
    }

    pub(super) fn is_opening(&self) -> bool {
        self.opening.is_some()
    }

    /// What the remote believes that the client lets itself be asked.
    pub(super) fn offers(&self) -> Offers {
        self.open.as_ref().map(|open| Offers::of(&open.declared)).unwrap_or_default()
    }
}

impl ToLegacy {
    /// The request waits for a session, and begins one if there is none.
    pub(super) fn await_session(&mut self, request: Request, acknowledged: bool) {
        if !self.session.is_opening() {
            self.shake_hands(&request, request.capabilities().to_vec());
        }
        self.queue_up(Queued { request, why: Why::Session, acknowledged });
    }

    fn shake_hands(&mut self, request: &Request, declared: Vec<u8>) {
        let own = json!({"name": "keyferry", "version": env!("CARGO_PKG_VERSION")}).to_string();
        let info = request.client_info().unwrap_or(own.as_bytes());
        let params = format!(
            r#"{{"protocolVersion":"{LATEST}","capabilities":{},"clientInfo":{}}}"#,
            String::from_utf8_lossy(&capabilities::to_legacy(&declared)),
            String::from_utf8_lossy(info),
        );
        self.session.opening = Some(declared);
        self.ask_remote("initialize", &params, Asked::Initialize);
    }

    /// The handshake is answered: what waited goes out, or is answered with the same error.
    pub(super) fn shaken_hands(&mut self, answer: &Message) {
        let Some(declared) = self.session.opening.take() else { return };
        let Some(result) = answer.result_range() else {
            for queued in std::mem::take(&mut self.queue) {
                let id = queued.request.id();
                if self.forget_client(&id) {
                    self.tell_client(with_id(answer, &id));
                }
            }
            return;
        };
        let again = self.session.open.is_some();
        let remote = Remote::read(answer.text().slice(result));
        self.session.open = Some(Open { declared, remote });
        self.forget_level();
        self.questions.clear();
        // The others that waited may have declared more than the first.
        if let Some(first) = self.lacking() {
            let all = self.all_declared();
            return self.shake_hands(&first, all);
        }
        self.tell_remote(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        if again {
            self.subscribe_again();
        }
        for queued in std::mem::take(&mut self.queue) {
            self.unqueue(queued);
        }
    }

    fn declared(&self) -> &[u8] {
        self.session.open.as_ref().map_or(b"{}", |open| &open.declared)
    }

    /// True if the session does not know all that the client declares with this request.
    pub(super) fn is_lacking(&self, request: &Request) -> bool {
        let is_sent = !matches!(request.method(), "server/discover" | "subscriptions/listen");
        is_sent && capabilities::lack(self.declared(), request.capabilities())
    }

    /// The first that waits and declares more than the session knows.
    fn lacking(&self) -> Option<Request> {
        let mut waiting = self.queue.iter().map(|queued| &queued.request);
        waiting.find(|request| self.is_lacking(request)).cloned()
    }

    fn all_declared(&self) -> Vec<u8> {
        let waiting = self.queue.iter().map(|queued| queued.request.capabilities());
        waiting.fold(self.declared().to_vec(), |all, more| capabilities::union(&all, more))
    }

    /// The request would do better in a session that knows more of the client. It waits for
    /// the end of what goes on in this one, but not for long.
    pub(super) fn await_better(&mut self, request: Request) {
        if self.is_quiet() {
            let all = capabilities::union(self.declared(), request.capabilities());
            self.shake_hands(&request, all);
            return self.await_session(request, false);
        }
        let token = self.ids.next();
        self.after(QUIET, token);
        self.queue_up(Queued { request, why: Why::Quiet(token), acknowledged: false });
    }

    /// Begins a better session if somebody waits for one and nothing goes on.
    pub(super) fn settle(&mut self) {
        if self.session.is_opening() || self.queue.is_empty() || !self.is_quiet() {
            return;
        }
        // Nothing is asked of the remote, so that nothing else can be waited for.
        if let Some(first) = self.lacking() {
            let all = self.all_declared();
            self.shake_hands(&first, all);
        }
    }

    /// True if nothing is lost when the session is.
    fn is_quiet(&self) -> bool {
        self.asked.is_empty() && self.calls.values().all(|call| call.is_answered())
    }

    /// Nobody waits any longer for a better session: it goes out as things are.
    pub(super) fn give_up_quiet(&mut self, token: u64) {
        if self.session.is_opening() {
            return;
        }
        let ready = self.take_queued(|queued| queued.why == Why::Quiet(token));
        ready.into_iter().for_each(|queued| self.send_at_level(queued.request));
    }
}

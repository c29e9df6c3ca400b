//! Log messages: a level for each request there, one for the whole session here (MCP 2026-07-28
//! and 2025-11-25, "Logging").

use super::request::Request;
use super::{Asked, Call, Effect, Queued, ToLegacy, Why};
use crate::jsonrpc::Message;
use crate::jsonrpc::object::{get, string};
use std::time::Duration;

/// How long a log message may take on the session's stream that belongs to a request whose answer
/// came on another one.
const LINGERING: Duration = Duration::from_secs(1);

/// Severities, the most verbose first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

const NAMES: [(Level, &str); 8] = [
    (Level::Debug, "debug"),
    (Level::Info, "info"),
    (Level::Notice, "notice"),
    (Level::Warning, "warning"),
    (Level::Error, "error"),
    (Level::Critical, "critical"),
    (Level::Alert, "alert"),
    (Level::Emergency, "emergency"),
];

impl Level {
    pub(super) fn read(raw: &[u8]) -> Option<Self> {
        let name = string(raw)?;
        NAMES.iter().find(|(_, known)| *known == name).map(|(level, _)| *level)
    }

    fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// That of a `notifications/message`; what names none that is known is shown to all who
    /// want any.
    pub(super) fn of(message: &Message) -> Self {
        let raw = message.params().and_then(|params| get(params, "level"));
        raw.and_then(Self::read).unwrap_or(Self::Emergency)
    }
}

/// The level of the session.
#[derive(Debug, Default)]
pub(super) struct Logging {
    in_force: Option<Level>,
    /// One at a time, as two could overtake each other.
    setting: Option<Level>,
    /// Of the request that was answered last, for a while; with the token of its end.
    lingering: Option<(Level, u64)>,
    ends: u64,
}

impl ToLegacy {
    /// True if the request may go out now; else it waits for its level.
    pub(super) fn level_is_set(&mut self, level: Option<Level>) -> bool {
        let Some(level) = level.filter(|_| self.session.remote().is_some_and(|one| one.logging))
        else {
            return true;
        };
        if self.logging.in_force == Some(level) {
            return true;
        }
        let others = self.calls.values().filter_map(|call| call.level).min();
        let wanted = others.map_or(level, |others| others.min(level));
        if self.logging.in_force == Some(wanted) {
            return true;
        }
        if self.logging.setting.is_none() {
            self.set_level(wanted);
        }
        false
    }

    fn set_level(&mut self, level: Level) {
        self.logging.setting = Some(level);
        let params = format!(r#"{{"level":"{}"}}"#, level.name());
        self.ask_remote("logging/setLevel", &params, Asked::Level);
    }

    /// The remote has set the level, or will not: what waited goes out.
    pub(super) fn level_answered(&mut self, answer: &Message) {
        let Some(level) = self.logging.setting.take() else { return };
        // The bridge's own errors: the remote never heard of it.
        let heard = !matches!(answer.error_code(), Some(-31008..=-31001));
        self.logging.in_force = Some(level).filter(|_| heard);
        let refused = answer.error().is_some();
        let ready = self.take_queued(|queued| match queued.why {
            Why::Level(wanted) => refused || level <= wanted,
            Why::Session | Why::Quiet(_) => false,
        });
        for Queued { request, .. } in ready {
            self.send(request);
        }
        let waiting = self.queue.iter().filter_map(|queued| match queued.why {
            Why::Level(wanted) => Some(wanted),
            Why::Session | Why::Quiet(_) => None,
        });
        if let Some(wanted) = waiting.min() {
            self.set_level(wanted);
        }
    }

    /// A new session has no level; what waits for one has to be sent in it.
    pub(super) fn forget_level(&mut self) {
        self.logging = Logging::default();
    }

    /// A log message: only for requests that asked for some.
    pub(super) fn log_message(&mut self, message: &Message, origin: Option<u64>) {
        let level = Level::of(message);
        if let Some(number) = origin {
            if self
                .calls
                .get(&number)
                .and_then(|call| call.level)
                .is_some_and(|least| level >= least)
            {
                self.tell_call(number, message.clone());
            }
            return;
        }
        let admits = |call: &Call| call.level.is_some_and(|least| level >= least);
        if self.calls.values().any(|call| !call.is_parked() && admits(call)) {
            self.effects.push(Effect::ToClient(message.text().clone()));
        } else if let Some((number, _)) = self.calls.iter().find(|(_, call)| admits(call)) {
            self.tell_call(*number, message.clone());
        } else if self.logging.lingering.is_some_and(|(least, _)| level >= least) {
            self.effects.push(Effect::ToClient(message.text().clone()));
        }
    }

    /// A request with this level was answered.
    pub(super) fn linger(&mut self, level: Option<Level>) {
        let Some(level) = level.filter(|_| self.session.remote().is_some_and(|one| one.logging))
        else {
            return;
        };
        // Unlike all tokens that are numbers of requests.
        self.logging.ends += 1;
        let token = u64::MAX - self.logging.ends;
        self.logging.lingering = Some((level, token));
        self.after(LINGERING, token);
    }

    /// A request goes out. What comes from now on may be of it, and it may want none.
    pub(super) fn keep_quiet_for(&mut self, level: Option<Level>) {
        if level.is_none() {
            self.logging.lingering = None;
        }
    }

    pub(super) fn end_lingering(&mut self, token: u64) {
        self.logging.lingering = self.logging.lingering.filter(|(_, end)| *end != token);
    }

    /// Sends the request once its level is set.
    pub(super) fn send_at_level(&mut self, request: Request) {
        match request.level() {
            Err(()) => {
                let why = "unknown log level in _meta";
                self.refuse(&request.id(), -32602, why);
            }
            Ok(level) if self.level_is_set(level) => self.send(request),
            Ok(level) => {
                let why = level.map_or(Why::Session, Why::Level);
                self.queue_up(Queued { request, why, acknowledged: false });
            }
        }
    }
}

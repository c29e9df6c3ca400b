//! A legacy client (2024-11-05 ... 2025-11-25) at a modern remote (MCP 2026-07-28).
//!
//! `initialize` becomes `server/discover`; each request gets an id of our own and the client's
//! introduction in `_meta`; `input_required` becomes questions to the client and the call again;
//! subscriptions and list changes come from one `subscriptions/listen`; `ping` and
//! `logging/setLevel` are answered here.
//!
//! A client that never set a log level gets no logs: legacy servers "MAY decide which messages
//! to send automatically", modern ones must not send any unasked, and to ask for a level that
//! nobody chose would put logs on the way of every call.
//!
//! What is kept is bounded: one entry for each request of the client that waits, [`rounds`] per
//! call and questions per round, the sizes in [`cache`] and [`made`], the subscriptions in
//! [`listen`], the tasks in [`watch`].

mod cache;
mod calls;
mod handshake;
mod identity;
mod listen;
mod made;
mod members;
mod news;
mod question;
mod request;
mod result;
mod rounds;
mod shape;
mod tasks;
mod watch;

use super::{Effect, Open, Reach};
use crate::bridge::pending::MANY;
use crate::bridge::refusal::REFUSED;
use crate::jsonrpc::object::get;
use crate::jsonrpc::{BridgeError, Kind, Message};
use bytes::Bytes;
use cache::Cache;
use calls::{Call, Calls, Stage};
use identity::Identity;
use listen::Listen;
use made::Made;
use members::member;
use question::Question;
use request::{Ids, Sent};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use watch::Watch;

/// The tasks extension.
const TASKS: &str = "io.modelcontextprotocol/tasks";

/// The one revision with batches.
const BATCHES: &str = "2025-03-26";

/// What a legacy client says, in modern words, and what comes back in its own.
#[derive(Debug)]
pub(in super::super) struct ToModern {
    ids: Ids,
    remote: String,
    identity: Identity,
    /// The remote declares the tasks extension.
    remote_has_tasks: bool,
    /// The `server/discover` that all else waits for.
    discovering: Option<u64>,
    /// For whom that is asked, and how often it failed, if `initialize` was answered long ago.
    resuming: Option<(Message, u32)>,
    told: Option<(Message, Bytes)>,
    /// The client's requests without an answer.
    calls: Calls,
    /// Requests under way at the remote, by the number of their id.
    sent: BTreeMap<u64, Sent>,
    /// Requests that the client has not answered, by the number of their id.
    questions: BTreeMap<u64, Question>,
    timers: BTreeMap<u64, Timer>,
    last_timer: u64,
    listen: Listen,
    cache: Cache,
    watches: HashMap<String, Watch>,
    made: Made,
    effects: Vec<Effect>,
}

/// What a time that was asked for is for.
#[derive(Debug)]
enum Timer {
    /// Discover again for a client that was told everything already.
    Discover {
        initialize: Message,
        failures: u32,
    },
    /// A call again that was put off, at this round.
    Again {
        call: u64,
        round: u32,
    },
    Reopen,
    /// This listen stream has lasted.
    Lasted(u64),
    Poll(String),
    /// An answer that did not get through.
    Update(Box<Sent>),
    Cached,
}

impl ToModern {
    /// `ids` is the prefix of the ids of own requests; `remote` its name for error texts.
    pub(in super::super) fn new(ids: String, remote: String) -> Self {
        Self {
            ids: Ids::new(ids),
            remote,
            identity: Identity::default(),
            remote_has_tasks: false,
            discovering: None,
            resuming: None,
            told: None,
            calls: Calls::default(),
            sent: BTreeMap::new(),
            questions: BTreeMap::new(),
            timers: BTreeMap::new(),
            last_timer: 0,
            listen: Listen::default(),
            cache: Cache::default(),
            watches: HashMap::new(),
            made: Made::default(),
            effects: Vec::new(),
        }
    }

    /// A message of the client.
    pub(in super::super) fn client(&mut self, message: &Message) -> Vec<Effect> {
        match message.kind() {
            Kind::Request => self.requested(message),
            Kind::Notification => self.noted(message),
            Kind::Response => self.replied(message),
        }
        std::mem::take(&mut self.effects)
    }

    /// A message from the core; `origin` is the own request on whose stream it came.
    pub(in super::super) fn remote(
        &mut self,
        message: &Message,
        origin: Option<&[u8]>,
    ) -> Vec<Effect> {
        match message.kind() {
            Kind::Response => self.answered(message),
            Kind::Notification => self.told_by_remote(message, origin),
            // A modern server asks by `input_required` alone, and could not be answered.
            Kind::Request => {}
        }
        std::mem::take(&mut self.effects)
    }

    /// The time of an `Effect::After` has come.
    pub(in super::super) fn tick(&mut self, token: u64) -> Vec<Effect> {
        match self.timers.remove(&token) {
            Some(Timer::Discover { initialize, failures }) => {
                self.rediscover(initialize, failures + 1);
            }
            Some(Timer::Again { call, round }) => self.again(call, round),
            Some(Timer::Reopen) => self.reopen(token),
            Some(Timer::Lasted(stream)) => self.listen.lasted(stream),
            Some(Timer::Poll(task)) => self.poll_in_time(&task, token),
            Some(Timer::Update(sent)) => {
                self.send_again(*sent);
            }
            Some(Timer::Cached) => self.cache.expire(token),
            None => {}
        }
        std::mem::take(&mut self.effects)
    }

    /// True if the client waits for an answer to a request with this raw id.
    pub(in super::super) fn waits_for(&self, id: &Bytes) -> bool {
        self.calls.with_id(id).is_some()
    }

    /// The client's requests without an answer, as it sent them.
    pub(in super::super) fn open(&self) -> Vec<Open> {
        self.calls.all().map(|(_, call)| self.opened(call)).collect()
    }

    fn opened(&self, call: &Call) -> Open {
        let reach = match call.stage {
            // What it was answered with so far is of no use elsewhere.
            _ if call.rounds > 0 => Reach::Begun,
            Stage::Task(_) => Reach::Begun,
            Stage::Sent(number) => Reach::Sent(self.ids.raw(number).into()),
            Stage::Queued | Stage::Waiting => Reach::Here,
        };
        Open { message: call.message.clone(), reach }
    }

    /// True if the client waits for an answer that does not depend on what it says next.
    pub(in super::super) fn is_awaited(&self) -> bool {
        let asks = |call| self.questions.values().any(|question| question.whose.is_of_call(call));
        self.calls.all().any(|(call, _)| !asks(call))
    }

    /// True while as much waits for the handshake as may.
    pub(in super::super) fn is_full(&self) -> bool {
        self.discovering.is_some() && self.calls.all().len() >= MANY
    }

    /// True if the client may send batches.
    pub(in super::super) fn has_batches(&self) -> bool {
        self.identity.version == BATCHES
    }

    /// Takes back what the client has not answered; nothing comes of it any more.
    pub(in super::super) fn end(&mut self) -> Vec<Effect> {
        self.withdraw(|_| true);
        std::mem::take(&mut self.effects)
    }

    /// Requests that set what the client has set by now.
    pub(in super::super) fn settings(&self) -> Vec<Message> {
        let level = self.identity.level().map(|level| member("level", level));
        let level = level.map(|params| ("logging/setLevel", params));
        let uris = self.listen.subscriptions().map(|raw| member("uri", raw));
        let all = level.into_iter().chain(uris.map(|params| ("resources/subscribe", params)));
        let request = |(method, params): (&str, Vec<u8>)| {
            let head = format!(r#"{{"jsonrpc":"2.0","id":0,"method":"{method}","params":{{"#);
            Message::read([head.as_bytes(), &params, b"}}"].concat().into()).ok()
        };
        all.filter_map(request).collect()
    }

    /// Goes on where a legacy session ended: `initialize` was answered already, and `settings`
    /// were agreed to.
    pub(in super::super) fn resume(
        &mut self,
        initialize: &Message,
        settings: &[Message],
    ) -> Vec<Effect> {
        self.start_over(initialize);
        self.listen.ready = true;
        for params in settings.iter().filter_map(Message::params) {
            self.identity.set_level(get(params, "level").unwrap_or_default());
            self.listen.go_on(get(params, "uri").unwrap_or_default());
        }
        self.rediscover(initialize.clone(), 0);
        std::mem::take(&mut self.effects)
    }

    /// The client's `initialize` and the raw result that it was given.
    pub(in super::super) fn told(&self) -> Option<(Message, Bytes)> {
        self.told.clone()
    }

    fn after(&mut self, delay: Duration, timer: Timer) -> u64 {
        self.last_timer += 1;
        self.timers.insert(self.last_timer, timer);
        self.effects.push(Effect::After(delay, self.last_timer));
        self.last_timer
    }

    fn tell_client(&mut self, text: Bytes) {
        self.effects.push(Effect::ToClient(text));
    }

    /// True if the client may know tasks: it is of their revision, and the remote has them.
    fn has_tasks(&self) -> bool {
        self.remote_has_tasks && self.identity.version == identity::LATEST
    }

    /// The error for an answer that makes no sense.
    fn senseless(&self, what: &str) -> BridgeError {
        BridgeError::new(REFUSED, format!("{} {what}", self.remote))
            .with_hint("tell who runs the server; the call may have been executed")
    }
}

/// The pause after this many failures: one second, then twice as long each time.
fn pause(failures: u32, longest: Duration) -> Duration {
    Duration::from_secs(1 << failures.min(10)).min(longest)
}

#[cfg(test)]
mod tests;

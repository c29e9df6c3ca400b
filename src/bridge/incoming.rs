//! What the client says: requests each on their own way, and answers to the server.

use super::Bridge;
use super::call::{Call, Source};
use super::exchange::Exchange;
use super::pending::Ticket;
use super::refusal::{CLOSED, NOT_ALLOWED};
use super::session::Opener;
use super::stdin::{Incoming, Stdin};
use super::subscription::Subscription;
use crate::jsonrpc::{BridgeError, IdKey, Invalid, Kind, Line, Message, error_response};
use bytes::Bytes;
use std::collections::HashSet;
use std::sync::Arc;

impl Bridge {
    /// The next line; while very much waits for the remote or for the client to read, none
    /// is read, but the end of the input is seen.
    pub(super) async fn next(&self, stdin: &mut Stdin) -> Option<Incoming> {
        loop {
            let fewer = self.pending.fewer();
            let room = async {
                if self.pending.is_full() || self.eras.is_full() {
                    fewer.await;
                } else if self.outbox.is_crowded() {
                    self.outbox.room().await;
                } else if self.notes.is_full() {
                    self.notes.less().await;
                } else {
                    self.requests.less().await;
                }
            };
            let crowded = self.pending.is_full()
                || self.eras.is_full()
                || self.outbox.is_crowded()
                || self.notes.is_full()
                || self.requests.is_full();
            if !crowded {
                return stdin.next().await;
            }
            tokio::select! {
                () = stdin.hung_up() => return None,
                () = room => {}
            }
        }
    }

    /// Queues a message for the client without waiting.
    pub(super) fn answer(&self, text: Bytes) {
        if let Err(text) = self.outbox.try_send(text) {
            let outbox = self.outbox.clone();
            tokio::spawn(async move { outbox.send(text).await });
        }
    }

    /// Queues several in this order.
    pub(super) fn answer_all(&self, texts: Vec<Bytes>) {
        let mut texts = texts.into_iter();
        while let Some(text) = texts.next() {
            if let Err(text) = self.outbox.try_send(text) {
                let outbox = self.outbox.clone();
                tokio::spawn(async move {
                    for text in std::iter::once(text).chain(texts) {
                        outbox.send(text).await;
                    }
                });
                return;
            }
        }
    }

    pub(super) fn take_line(self: &Arc<Self>, line: Bytes) {
        let taken = match Line::read(line.clone()) {
            Ok(Line::One(message)) => self.take_from_client(message),
            Ok(Line::Batch(elements)) => self.take_batch(line, elements),
            Err(invalid) => Err(invalid),
        };
        if let Err(invalid) = taken {
            self.answer(invalid_response(&invalid));
        }
    }

    /// A message in the era of the remote, as far as that is known.
    pub(super) fn take(self: &Arc<Self>, message: Message, source: Source) -> Result<(), Invalid> {
        if message.kind() == Kind::Response {
            self.take_response(message, source);
            return Ok(());
        }
        self.take_call(Call::read(message)?.by(source))
    }

    /// The same of a request or notification.
    pub(super) fn take_call(self: &Arc<Self>, call: Call) -> Result<(), Invalid> {
        if call.is_request() {
            return self.take_request(call);
        }
        self.take_notification(call);
        Ok(())
    }

    fn take_batch(
        self: &Arc<Self>,
        line: Bytes,
        elements: Vec<Result<Message, Invalid>>,
    ) -> Result<(), Invalid> {
        let session = self.session.snapshot();
        if !session.has_batches() && !self.eras.has_batches() {
            let why = "batches belong to protocol version 2025-03-26, which was not negotiated";
            return Err(Invalid { code: -32600, id: None, why });
        }
        // A remote that negotiated something else than the client was told may have none, and
        // one of HTTP+SSE was made before there were any.
        let plain = session.told.is_none() && session.connection.is_none();
        let as_it_is = plain && self.eras.crossing().is_none();
        let whole = if as_it_is { self.as_one(&elements) } else { None };
        if let Some(calls) = whole {
            let calls: Vec<_> = calls.into_iter().map(Arc::new).collect();
            let tickets = calls.iter().filter(|call| call.is_request()).map(Ticket::new).collect();
            self.start(calls, tickets, line, Subscription::default());
            return Ok(());
        }
        // What has no answer, or must be looked at here, or is wrong: each by itself.
        for element in elements {
            if let Err(invalid) = element.and_then(|message| self.take_from_client(message)) {
                self.answer(invalid_response(&invalid));
            }
        }
        Ok(())
    }

    /// The batch as it can be POSTed in one piece: valid requests that are allowed and new,
    /// perhaps with notifications among them.
    fn as_one(&self, elements: &[Result<Message, Invalid>]) -> Option<Vec<Call>> {
        let mut ids = HashSet::new();
        let mut calls = Vec::with_capacity(elements.len());
        for element in elements {
            let call = Call::read(element.as_ref().ok()?.clone()).ok()?;
            let special = matches!(
                call.message.method(),
                "" | "initialize" | "notifications/cancelled" | "notifications/initialized"
            );
            let id = call.message.id();
            let fresh =
                id.is_none_or(|id| self.pending.get(&id).is_none() && ids.insert(IdKey::of(&id)));
            if special || !fresh || !self.may_send(&call) {
                return None;
            }
            calls.push(call);
        }
        (!ids.is_empty()).then_some(calls)
    }

    fn take_request(self: &Arc<Self>, call: Call) -> Result<(), Invalid> {
        let call = Arc::new(self.stand_in.retried(call));
        let ticket = Ticket::new(&call);
        if self.pending.get(&ticket.id).is_some() {
            let why = "a request with this id is still waiting for its answer";
            return Err(Invalid { code: -32600, id: Some(ticket.id), why });
        }
        if !self.may_send(&call) {
            let refusal = error_response(Some(&ticket.id), &self.not_allowed(&call));
            self.reply_now(&ticket, refusal);
            return Ok(());
        }
        if ticket.method() == "initialize" {
            self.give_up_handshake();
        }
        self.start_one(call, ticket, Subscription::default());
        Ok(())
    }

    /// A subscription of the client that was acknowledged to it already.
    pub(super) fn take_acknowledged(self: &Arc<Self>, listen: Message) -> Result<(), Invalid> {
        let call = Arc::new(Call::read(listen)?);
        let ticket = Ticket::new(&call);
        self.start_one(call, ticket, Subscription::acknowledged());
        Ok(())
    }

    fn start_one(self: &Arc<Self>, call: Arc<Call>, ticket: Ticket, subscription: Subscription) {
        let body = call.message.text().clone();
        self.start(vec![call], vec![ticket], body, subscription);
    }

    /// A client that shakes hands again does not wait for the first attempt any more.
    fn give_up_handshake(self: &Arc<Self>) {
        for ticket in self.pending.all().iter().filter(|one| one.method() == "initialize") {
            self.pending.cancel(&ticket.id);
            let error = BridgeError::new(CLOSED, "another initialize took the place of this one");
            self.reply_now(ticket, error_response(Some(&ticket.id), &error));
        }
    }

    /// The error for a tool that flags keep from the client.
    pub(super) fn not_allowed(&self, call: &Call) -> BridgeError {
        let name = self.clean(call.name().unwrap_or_default());
        BridgeError::new(NOT_ALLOWED, format!("the tool '{name}' is not allowed here"))
            .with_hint("the flags --allow-tool, --ignore-tool and --read-only decide")
    }

    pub(super) fn may_send(&self, call: &Call) -> bool {
        call.message.method() != "tools/call"
            || self.tools.may_call(call.name().unwrap_or_default())
            || self.is_own_tool(call)
    }

    fn start(
        self: &Arc<Self>,
        calls: Vec<Arc<Call>>,
        tickets: Vec<Ticket>,
        body: Bytes,
        subscription: Subscription,
    ) {
        for ticket in &tickets {
            self.pending.add(ticket);
        }
        let ids: Vec<_> = tickets.iter().map(|ticket| ticket.id.clone()).collect();
        let handshake = tickets.iter().any(|ticket| ticket.method() == "initialize");
        let _held = self.requests.hold(body.len());
        let exchange = Exchange { bridge: self.clone(), tickets, calls, body, subscription, _held };
        let gate = self.gate.clone();
        // Taken now, in the client's order, not when the task first runs.
        let alone = if handshake { gate.clone().try_write_owned().ok() } else { None };
        let task = tokio::spawn(async move {
            if handshake {
                let alone = match alone {
                    Some(alone) => alone,
                    None => gate.write_owned().await,
                };
                exchange.shake_hands(alone).await;
            } else {
                drop(gate.read().await);
                exchange.run().await;
            }
        });
        for id in ids {
            self.pending.set_task(&id, task.abort_handle());
        }
    }

    /// The answer to `initialize` is here; called before the client sees it.
    pub(super) fn begin(
        self: &Arc<Self>,
        initialize: &Message,
        answer: &Message,
        opener: Opener<'_>,
    ) {
        self.session.forget_settings();
        self.session.set_listener(None);
        if let Some(before) = self.session.establish(initialize, answer, opener) {
            self.delete_soon(before);
        }
        self.look_after_connection();
    }

    pub(super) fn take_response(self: &Arc<Self>, message: Message, source: Source) {
        if self.stand_in.takes_answer(&message) {
            return;
        }
        let id = message.id().unwrap_or_default();
        let Some(session) = self.session.answerable(&id) else {
            tracing::debug!("an answer to a request that is not (or no longer) open is dropped");
            return;
        };
        let place = self.answers.clone().try_acquire_owned().ok();
        if place.is_none() && source == Source::Translation {
            // The client's own stop with its lines; these would be as many as the remote likes.
            return tracing::warn!("the remote asks more than it lets be answered");
        }
        let bridge = self.clone();
        let held = self.notes.hold(message.text().len());
        tokio::spawn(async move {
            let (_held, _place) = (held, place);
            drop(bridge.gate.read().await);
            let told = bridge.tell_answer(message.text(), &session).await;
            bridge.log_refusal("an answer", told);
        });
    }
}

pub(super) fn invalid_response(invalid: &Invalid) -> Bytes {
    let what = if invalid.code == -32700 { "parse error" } else { "invalid request" };
    let error = BridgeError::new(invalid.code, format!("{what}: {}", invalid.why));
    error_response(invalid.id.as_deref(), &error)
}

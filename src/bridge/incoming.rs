//! What the client says: requests each on their own way, notifications in order, answers to
//! the server, cancellations.

use super::call::Call;
use super::era::Era;
use super::exchange::Exchange;
use super::pending::Ticket;
use super::refusal::{CLOSED, Failure, NOT_ALLOWED};
use super::session::Snapshot;
use super::stdin::{Incoming, Stdin};
use super::{Bridge, Note};
use crate::jsonrpc::{BridgeError, IdKey, Invalid, Kind, Line, Message, error_response};
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a notification may hold up the ones behind it.
const NOTIFICATION: Duration = Duration::from_secs(5);
/// How long the end of the handshake may hold up everything else.
const HANDSHAKE: Duration = Duration::from_secs(3);

impl Bridge {
    /// The next line; while very much waits for the remote or for the client to read, none
    /// is read, but the end of the input is seen.
    pub(super) async fn next(&self, stdin: &mut Stdin) -> Option<Incoming> {
        loop {
            let room = async {
                if self.pending.is_full() {
                    self.pending.fewer().await;
                } else if self.outbox.is_crowded() {
                    self.outbox.room().await;
                } else if self.notes.is_full() {
                    self.notes.less().await;
                } else {
                    self.requests.less().await;
                }
            };
            let crowded = self.pending.is_full()
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

    pub(super) fn take_line(self: &Arc<Self>, line: Bytes) {
        let taken = match Line::read(line.clone()) {
            Ok(Line::One(message)) => self.take(message),
            Ok(Line::Batch(elements)) => self.take_batch(line, elements),
            Err(invalid) => Err(invalid),
        };
        if let Err(invalid) = taken {
            self.answer(invalid_response(&invalid));
        }
    }

    fn take(self: &Arc<Self>, message: Message) -> Result<(), Invalid> {
        match message.kind() {
            Kind::Response => self.take_response(message),
            Kind::Notification => self.take_notification(Call::read(message)?),
            Kind::Request => return self.take_request(Call::read(message)?),
        }
        Ok(())
    }

    fn take_batch(
        self: &Arc<Self>,
        line: Bytes,
        elements: Vec<Result<Message, Invalid>>,
    ) -> Result<(), Invalid> {
        if !self.session.snapshot().has_batches() {
            let why = "batches belong to protocol version 2025-03-26, which was not negotiated";
            return Err(Invalid { code: -32600, id: None, why });
        }
        if let Some(calls) = self.as_one(&elements) {
            let calls: Vec<_> = calls.into_iter().map(Arc::new).collect();
            let tickets = calls.iter().filter(|call| call.is_request()).map(Ticket::new).collect();
            self.start(calls, tickets, line);
            return Ok(());
        }
        // What has no answer, or must be looked at here, or is wrong: each by itself.
        for element in elements {
            if let Err(invalid) = element.and_then(|message| self.take(message)) {
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
        let call = Arc::new(call);
        let ticket = Ticket::new(&call);
        if self.pending.get(&ticket.id).is_some() {
            let why = "a request with this id is still waiting for its answer";
            return Err(Invalid { code: -32600, id: Some(ticket.id), why });
        }
        if !self.may_send(&call) {
            let name = self.clean(call.name().unwrap_or_default());
            let error =
                BridgeError::new(NOT_ALLOWED, format!("the tool '{name}' is not allowed here"))
                    .with_hint("the flags --allow-tool, --ignore-tool and --read-only decide");
            self.answer(error_response(Some(&ticket.id), &error));
            return Ok(());
        }
        if ticket.method() == "initialize" {
            self.give_up_handshake();
        }
        let body = call.message.text().clone();
        self.start(vec![call], vec![ticket], body);
        Ok(())
    }

    /// A client that shakes hands again does not wait for the first attempt any more.
    fn give_up_handshake(&self) {
        for ticket in self.pending.all().iter().filter(|one| one.method() == "initialize") {
            self.pending.cancel(&ticket.id);
            let error = BridgeError::new(CLOSED, "another initialize took the place of this one");
            self.answer(error_response(Some(&ticket.id), &error));
        }
    }

    fn may_send(&self, call: &Call) -> bool {
        call.message.method() != "tools/call"
            || self.tools.may_call(call.name().unwrap_or_default())
    }

    fn start(self: &Arc<Self>, calls: Vec<Arc<Call>>, tickets: Vec<Ticket>, body: Bytes) {
        for ticket in &tickets {
            self.pending.add(ticket);
        }
        let ids: Vec<_> = tickets.iter().map(|ticket| ticket.id.clone()).collect();
        let handshake = tickets.iter().any(|ticket| ticket.method() == "initialize");
        let _held = self.requests.hold(body.len());
        let exchange = Exchange { bridge: self.clone(), tickets, calls, body, _held };
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
        headers: &HeaderMap,
    ) {
        self.session.forget_settings();
        self.session.set_listener(None);
        if let Some(before) = self.session.establish(initialize, answer, headers) {
            self.delete_soon(before);
        }
    }

    fn take_response(self: &Arc<Self>, message: Message) {
        let id = message.id().unwrap_or_default();
        let Some(session) = self.session.answerable(&id) else {
            tracing::debug!("an answer to a request that is not (or no longer) open is dropped");
            return;
        };
        let bridge = self.clone();
        let held = self.notes.hold(message.text().len());
        tokio::spawn(async move {
            let _held = held;
            drop(bridge.gate.read().await);
            let told = bridge.tell(message.text().clone(), &session).await;
            bridge.log_refusal("an answer", told);
        });
    }

    fn take_notification(self: &Arc<Self>, call: Call) {
        if call.message.method() == "notifications/cancelled" {
            return self.take_cancellation(&call);
        }
        if call.message.method() == "notifications/initialized" {
            return self.take_initialized(call);
        }
        let held = self.notes.hold(call.message.text().len());
        // The receiver lives as long as the bridge.
        let _ = self.notifications.send((call, held));
    }

    /// Ends the handshake: what the client says after it waits until the remote has it.
    fn take_initialized(self: &Arc<Self>, call: Call) {
        let gate = self.gate.clone();
        let alone = gate.clone().try_write_owned().ok();
        let bridge = self.clone();
        tokio::spawn(async move {
            let alone = match alone {
                Some(alone) => alone,
                None => gate.write_owned().await,
            };
            let mut telling = std::pin::pin!(bridge.notify(&call));
            let told = tokio::select! {
                told = &mut telling => { drop(alone); told }
                // A remote that never takes it must not hold up everything else for good.
                () = tokio::time::sleep(HANDSHAKE) => { drop(alone); telling.await }
            };
            if told.is_ok() {
                bridge.listen();
            }
            bridge.log_refusal("the end of the handshake", told);
        });
    }

    fn take_cancellation(self: &Arc<Self>, call: &Call) {
        let Some(id) = call.cancelled_id() else { return };
        let known = self.pending.get(&id);
        // MCP: the handshake cannot be cancelled.
        if known.as_ref().is_some_and(|ticket| ticket.method() == "initialize") {
            return;
        }
        match self.pending.cancel(&id) {
            Some(ticket) if ticket.era() == Era::Legacy && ticket.was_sent() => {
                self.forward_cancellation(&ticket, Some(call.message.text().clone()));
            }
            // Modern: the end of its stream is the cancellation. Never sent: nothing to cancel.
            Some(_) => {}
            None => tracing::debug!("a cancellation names a request that does not wait any more"),
        }
    }

    /// Tells a legacy remote that nobody waits for this request any more.
    pub(super) fn forward_cancellation(self: &Arc<Self>, ticket: &Ticket, text: Option<Bytes>) {
        if ticket.era() == Era::Modern {
            return;
        }
        let text = text.unwrap_or_else(|| {
            let head =
                br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"#;
            [&head[..], &ticket.id, b"}}"].concat().into()
        });
        let bridge = self.clone();
        tokio::spawn(async move {
            let session = bridge.session.snapshot();
            let told = bridge.tell(text, &session).await;
            bridge.log_refusal("a cancellation", told);
        });
    }

    pub(super) fn log_refusal(&self, what: &str, told: Result<(), Failure>) {
        match told {
            Ok(()) => {}
            Err(Failure::Bridge(error)) => {
                tracing::warn!("{what} did not get through: {}", error.message)
            }
            Err(Failure::Remote(message)) => {
                let why = String::from_utf8_lossy(message.error().unwrap_or_default()).into_owned();
                tracing::warn!("{what} was refused: {}", self.clean(&why));
            }
        }
    }

    /// Sends one notification; a lost session is begun anew once.
    async fn notify(self: &Arc<Self>, call: &Call) -> Result<(), Failure> {
        let session = self.session.snapshot();
        let text = call.message.text().clone();
        if call.era == Era::Modern {
            return self.tell_with(text, |headers| call.put_metadata(headers)).await;
        }
        match self.tell(text.clone(), &session).await {
            Err(failure) if session.id.is_some() && is_not_found(&failure) => {
                self.recover(session.epoch).await?;
                let session: Snapshot = self.session.snapshot();
                self.tell(text, &session).await
            }
            told => told,
        }
    }
}

pub(super) fn invalid_response(invalid: &Invalid) -> Bytes {
    let what = if invalid.code == -32700 { "parse error" } else { "invalid request" };
    let error = BridgeError::new(invalid.code, format!("{what}: {}", invalid.why));
    error_response(invalid.id.as_deref(), &error)
}

fn is_not_found(failure: &Failure) -> bool {
    match failure {
        Failure::Bridge(error) => error.http_status == Some(StatusCode::NOT_FOUND.as_u16()),
        Failure::Remote(_) => false,
    }
}

/// Sends the client's notifications one after the other.
pub(super) async fn forward_notifications(
    bridge: Arc<Bridge>,
    mut ordered: mpsc::UnboundedReceiver<Note>,
) {
    while let Some((call, held)) = ordered.recv().await {
        let bridge = bridge.clone();
        let mut sending = tokio::spawn(async move {
            let _held = held;
            drop(bridge.gate.read().await);
            let told = bridge.notify(&call).await;
            bridge.log_refusal("a notification", told);
        });
        // A remote that does not answer must not stop the notifications behind for good.
        let _ = tokio::time::timeout(NOTIFICATION, &mut sending).await;
    }
}

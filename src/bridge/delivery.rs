//! What the remote sends, on its way to the client: in the remote's order, a response only
//! to the request whose stream it came on, and only once.

use super::Bridge;
use super::call::Call;
use super::crossing::From;
use super::era::{Era, as_modern};
use super::pending::Ticket;
use super::refusal::Failure;
use super::session::{Opener, Snapshot};
use super::subscription::Subscription;
use crate::jsonrpc::object::get;
use crate::jsonrpc::{Invalid, Kind, Line, Message, same_id, with_id};
use crate::transport::{EventStream, Lost};
use bytes::Bytes;
use reqwest::header::HeaderMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a stream may go on after its answer, which should have ended it.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// The reply to some requests of the client.
pub(super) struct Delivery<'a> {
    pub(super) bridge: &'a Arc<Bridge>,
    pub(super) tickets: &'a [Ticket],
    pub(super) session: Snapshot,
    /// Of the HTTP response.
    pub(super) headers: &'a HeaderMap,
    pub(super) subscription: &'a Subscription,
    /// What came is the answer of a remote of the other era.
    pub(super) crossed: AtomicBool,
}

impl Delivery<'_> {
    /// True once none of the requests waits any more.
    pub(super) fn is_done(&self) -> bool {
        self.has_crossed() || !self.tickets.iter().any(|ticket| self.bridge.pending.holds(ticket))
    }

    /// True once it is clear that the requests are of the wrong era for the remote.
    pub(super) fn has_crossed(&self) -> bool {
        self.crossed.load(Ordering::Relaxed)
    }

    /// Delivers events until the stream ends.
    ///
    /// # Errors
    /// [`Lost`] where it breaks.
    pub(super) async fn stream(&self, stream: &mut EventStream) -> Result<(), Lost> {
        loop {
            let event = if self.is_done() {
                match tokio::time::timeout(AFTERWARDS, stream.next()).await {
                    Ok(event) => event?,
                    Err(_) => return Ok(()),
                }
            } else {
                stream.next().await?
            };
            let Some(event) = event else { return Ok(()) };
            if event.is_message()
                && !event.data.is_empty()
                && let Err(invalid) = self.line(event.data).await
            {
                tracing::warn!(
                    why = invalid.why,
                    "an event of the remote is no message and is left out"
                );
            }
        }
    }

    /// Delivers one body or event.
    ///
    /// # Errors
    /// [`Invalid`] if it is no JSON-RPC message.
    pub(super) async fn line(&self, text: Bytes) -> Result<(), Invalid> {
        let line = Line::read(text.clone())?;
        let room = self.bridge.outbox.reserve(text.len()).await;
        let texts = match line {
            Line::One(message) => self.accept(&message).into_iter().collect(),
            Line::Batch(elements) => {
                let count = elements.len();
                let messages: Vec<_> = elements.into_iter().flatten().collect();
                self.batch(text, &messages, count)
            }
        };
        let from = self.tickets.first().map_or(From::Unasked, From::Reply);
        self.bridge.pass(room, from, texts);
        Ok(())
    }

    /// As it came where the client knows batches and nothing of the `count` elements was
    /// changed, else one by one.
    fn batch(&self, text: Bytes, messages: &[Message], count: usize) -> Vec<Bytes> {
        let accepted: Vec<_> = messages.iter().map(|message| self.accept(message)).collect();
        let session = self.bridge.session.snapshot();
        let whole = accepted.iter().zip(messages).all(|(text, message)| {
            text.as_ref().is_some_and(|text| text.as_ptr() == message.text().as_ptr())
        });
        if whole && messages.len() == count && session.has_batches() {
            return vec![text];
        }
        accepted.into_iter().flatten().collect()
    }

    /// The text to write; none for what the client must not see.
    fn accept(&self, message: &Message) -> Option<Bytes> {
        if message.kind() != Kind::Response {
            if message.method() == "notifications/subscriptions/acknowledged"
                && self.subscription.is_known()
            {
                self.tickets.iter().for_each(|ticket| self.bridge.joined(ticket));
                return None;
            }
            let text = self.bridge.unsolicited(message, self.epoch());
            return Some(match self.tickets {
                [ticket] if ticket.stays_open() => {
                    self.subscription.for_client(message, &ticket.id)
                }
                _ => text,
            });
        }
        let (ticket, text) = match message.id() {
            Some(id) => {
                let answers = |ticket: &&Ticket| {
                    same_id(&ticket.id, &id) || self.subscription.is_answered_by(&id)
                };
                let ticket = self.tickets.iter().find(answers);
                if let Some(ticket) = ticket.filter(|ticket| says_little(ticket, message))
                    && self.bridge.pending.holds(ticket)
                    && let Some(instead) = self.doubtful(ticket, message)
                {
                    return instead;
                }
                let ticket = ticket.filter(|ticket| self.bridge.pending.claim(ticket));
                let Some(ticket) = ticket else {
                    tracing::warn!(
                        "a response that no request waits for on this stream is left out"
                    );
                    return None;
                };
                // A peer that reads numbers as doubles spells some ids in another way.
                let same = ticket.id == id;
                let text = if same { message.text().clone() } else { with_id(message, &ticket.id) };
                let text = match ticket.stays_open() {
                    false => text,
                    true => match Message::read(text.clone()) {
                        Ok(message) => self.subscription.for_client(&message, &ticket.id),
                        Err(_) => text,
                    },
                };
                (ticket, text)
            }
            // An error without an id, on the stream of one request, can mean no other.
            None => match self.tickets {
                [ticket] if message.error().is_some() && self.bridge.pending.claim(ticket) => {
                    (ticket, with_id(message, &ticket.id))
                }
                _ => return None,
            },
        };
        Some(self.bridge.learn(&ticket.call, message, Opener::Http(self.headers)).unwrap_or(text))
    }

    /// An error that points to the other era: nothing is delivered, or what was said first.
    fn doubtful(&self, ticket: &Ticket, message: &Message) -> Option<Option<Bytes>> {
        let error = Failure::Remote(Box::new(message.clone()));
        match self.bridge.doubt(ticket, 200, error) {
            Ok(Failure::Remote(same)) if same.text() == message.text() => None,
            Ok(first) => {
                let claimed = self.bridge.pending.claim(ticket);
                Some(first.answer(&ticket.id).filter(|_| claimed))
            }
            Err(_) => {
                self.crossed.store(true, Ordering::Relaxed);
                Some(None)
            }
        }
    }

    /// The session that this stream belongs to: for a handshake the one it opens.
    fn epoch(&self) -> u64 {
        if self.tickets.iter().any(|ticket| ticket.method() == "initialize") {
            self.bridge.session.snapshot().epoch
        } else {
            self.session.epoch
        }
    }
}

/// True for an answer that may be one of a remote of the other era: an error, or the result of
/// a discovery that found nothing.
fn says_little(ticket: &Ticket, answer: &Message) -> bool {
    match answer.result() {
        None => true,
        Some(result) => {
            let named = ["supportedVersions", "resultType"];
            ticket.method() == "server/discover"
                && named.iter().all(|name| get(result, name).is_none())
        }
    }
}

impl Bridge {
    /// What an answer changes here; a new text where the client must see another one.
    pub(super) fn learn(
        self: &Arc<Self>,
        call: &Call,
        answer: &Message,
        opener: Opener<'_>,
    ) -> Option<Bytes> {
        if answer.result().is_none() {
            return self.instead_of_error(call, answer);
        }
        self.keep(call, answer);
        if self.learn_era(call, answer) {
            let (id, method) = (call.message.id()?, call.message.method());
            let filtered =
                if method == "tools/list" { self.tools.learn(call, answer) } else { None };
            let filtered = filtered.and_then(|text| Message::read(text).ok());
            return Some(as_modern(filtered.as_ref().unwrap_or(answer), &id, method));
        }
        match (call.era, call.message.method()) {
            (Era::Legacy, "initialize") => self.begin(&call.message, answer, opener),
            (_, "tools/list") => return self.tools.learn(call, answer),
            (Era::Legacy, _) => self.session.remember(&call.message),
            (Era::Modern, _) => {}
        }
        None
    }

    /// A request or notification of the remote: its text, after taking note of the request.
    pub(super) fn unsolicited(&self, message: &Message, epoch: u64) -> Bytes {
        if let (Kind::Request, Some(id)) = (message.kind(), message.id()) {
            self.session.asked(&id, epoch);
        }
        message.text().clone()
    }

    /// A message on the GET stream: there a response may come to any request of the session
    /// whose own stream broke.
    pub(super) async fn take_unasked(
        self: &Arc<Self>,
        text: Bytes,
        epoch: u64,
    ) -> Result<(), Invalid> {
        for message in Line::read(text)?.into_messages() {
            let room = self.outbox.reserve(message.text().len()).await;
            let taken = match message.kind() {
                Kind::Response => {
                    let ticket = message.id().and_then(|id| self.pending.get(&id));
                    let ticket = ticket.filter(|ticket| {
                        ticket.era() == Era::Legacy
                            && ticket.was_sent()
                            && ticket.method() != "initialize"
                    });
                    match ticket.filter(|ticket| self.pending.take_over(ticket)) {
                        Some(ticket) => {
                            let none = HeaderMap::new();
                            let learned = self.learn(&ticket.call, &message, Opener::Http(&none));
                            (learned.unwrap_or_else(|| message.text().clone()), Some(ticket))
                        }
                        None => continue,
                    }
                }
                Kind::Request | Kind::Notification => (self.unsolicited(&message, epoch), None),
            };
            let (text, ticket) = taken;
            self.pass(room, ticket.as_ref().map_or(From::Unasked, From::Reply), [text]);
        }
        Ok(())
    }
}

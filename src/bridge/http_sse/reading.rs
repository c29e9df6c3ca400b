//! The stream of a connection: what comes on it, and its return when it has ended.

use super::{Closed, Connection};
use crate::bridge::Bridge;
use crate::bridge::crossing::From;
use crate::bridge::refusal::{Failure, SIGN_IN_NEEDED, VAULT};
use crate::bridge::resumption::jitter;
use crate::bridge::session::Opener;
use crate::jsonrpc::{Invalid, Kind, Line, Message, with_id};
use crate::transport::{EventStream, Lost};
use bytes::Bytes;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Wait before the first attempt to connect again; doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The longest wait that a server may ask for.
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// A connection that lasted so long was none in vain.
const LASTING: Duration = Duration::from_secs(10);

impl Bridge {
    /// Reads the stream of a connection for as long as somebody holds that.
    pub(super) fn read_on(self: &Arc<Self>, connection: &Arc<Connection>, stream: EventStream) {
        tokio::spawn(self.clone().read_connection(Arc::downgrade(connection), stream));
    }

    async fn read_connection(self: Arc<Self>, held: Weak<Connection>, mut stream: EventStream) {
        let Some(mut closed) = held.upgrade().map(|one| one.closed.subscribe()) else { return };
        let why = loop {
            let event = tokio::select! {
                biased;
                // By whoever found it of no use, or because nobody holds it any more.
                _ = closed.wait_for(Option::is_some) => break Closed::Forgotten,
                event = stream.next() => event,
            };
            let Some(connection) = held.upgrade() else { return };
            match event {
                Ok(Some(event)) if event.is_message() && !event.data.is_empty() => {
                    if let Err(invalid) = self.take_from_stream(event.data, &connection).await {
                        tracing::warn!(
                            why = invalid.why,
                            "an event of the remote is no message and is left out"
                        );
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => break Closed::Ended,
                Err(Lost::TooLong) => break Closed::TooLong,
                Err(Lost::Broken(why)) => break Closed::Broken(why),
            }
        };
        let Some(connection) = held.upgrade() else { return };
        let retry = stream.retry().unwrap_or_default().min(LONGEST_RETRY);
        connection.retry.store(retry.as_millis() as u64, Ordering::Relaxed);
        drop(stream);
        if connection.opened.elapsed() >= LASTING {
            self.http_sse.attempts.store(0, Ordering::Relaxed);
        }
        connection.close(why);
        self.look_after_connection();
    }

    /// Sees to the return of the session's connection, if it has one that is lost. Called when
    /// one is lost, and when it has become the session's.
    pub(in super::super) fn look_after_connection(self: &Arc<Self>) {
        let session = self.session.snapshot();
        let Some(connection) = session.connection.as_ref().filter(|_| session.is_lost()) else {
            return;
        };
        if connection.returning.swap(true, Ordering::Relaxed) {
            return;
        }
        tracing::info!("the connection to the remote was lost; it is made anew");
        let retry = Duration::from_millis(connection.retry.load(Ordering::Relaxed));
        tokio::spawn(self.clone().come_back(session.epoch, retry));
    }

    /// Begins the lost session of `epoch` anew, unless a call has done so.
    async fn come_back(self: Arc<Self>, epoch: u64, retry: Duration) {
        let mut accepted = self.stand_in.acceptance();
        loop {
            let attempts = self.http_sse.attempts.fetch_add(1, Ordering::Relaxed);
            let doubled = FIRST_WAIT * 2u32.saturating_pow(attempts.min(16));
            let wait = doubled.min(LONGEST_WAIT);
            let pause = (wait + jitter(wait / 4)).max(retry);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // Somebody has signed in.
                _ = accepted.changed() => {}
            }
            if self.session.snapshot().epoch != epoch {
                return;
            }
            match self.recover(epoch).await {
                Ok(()) | Err(Failure::Crossed) => return,
                // A call will ask them; nothing changes before that.
                Err(Failure::Person(_)) => {
                    let _ = accepted.changed().await;
                }
                // Another try with the same would be one for ever.
                Err(Failure::Bridge(error)) if matches!(error.code, SIGN_IN_NEEDED | VAULT) => {
                    return self.log_refusal("a new connection", Err(Failure::Bridge(error)));
                }
                Err(_) => tracing::debug!("the remote cannot be connected to yet"),
            }
        }
    }

    /// One event, or the body of a reply: in the remote's order, a response only to what was
    /// sent over this connection.
    ///
    /// # Errors
    /// [`Invalid`] if it is no JSON-RPC message.
    pub(super) async fn take_from_stream(
        self: &Arc<Self>,
        text: Bytes,
        connection: &Arc<Connection>,
    ) -> Result<(), Invalid> {
        for message in Line::read(text)?.into_messages() {
            if message.kind() == Kind::Response {
                self.take_answer(&message, connection).await;
                continue;
            }
            let room = self.outbox.reserve(message.text().len()).await;
            let text = self.unsolicited(&message, self.epoch_of(connection));
            self.pass(room, From::Unasked, [text]);
        }
        Ok(())
    }

    async fn take_answer(self: &Arc<Self>, message: &Message, connection: &Arc<Connection>) {
        let Some(id) = message.id() else {
            tracing::warn!("a response without an id is left out");
            return;
        };
        if connection.takes(&id, message) {
            return;
        }
        let room = self.outbox.reserve(message.text().len()).await;
        let ticket = self.pending.get(&id);
        let ticket = ticket.filter(|ticket| ticket.was_sent_over(connection.number));
        let Some(ticket) = ticket.filter(|ticket| self.pending.take_over(ticket)) else {
            tracing::warn!("a response that no request waits for is left out");
            return;
        };
        // A peer that reads numbers as doubles spells some ids in another way.
        let same = ticket.id == id;
        let text = if same { message.text().clone() } else { with_id(message, &ticket.id) };
        let learned = self.learn(&ticket.call, message, Opener::Connection(connection));
        self.pass(room, From::Reply(&ticket), [learned.unwrap_or(text)]);
    }

    /// The session that a connection is, or is to be.
    fn epoch_of(&self, connection: &Connection) -> u64 {
        match connection.epoch.load(Ordering::Relaxed) {
            0 => self.session.snapshot().epoch + 1,
            epoch => epoch,
        }
    }
}

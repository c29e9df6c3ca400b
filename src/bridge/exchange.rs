//! The life of one request: sent with a credential, sent again only where it was provably
//! not executed, answered exactly once.

use super::Bridge;
use super::call::Call;
use super::delivery::Delivery;
use super::era::Era;
use super::intake::Held;
use super::pending::Ticket;
use super::refusal::{Failure, TIMED_OUT};
use super::resumption::Resumption;
use super::session::Snapshot;
use crate::authorization::Credential;
use crate::jsonrpc::{BridgeError, error_response, with_id};
use crate::transport::{Content, EventStream, Lost, Reply};
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use std::sync::Arc;
use tokio::sync::OwnedRwLockWriteGuard;

/// How often a request is sent with one credential after another.
const CREDENTIALS: usize = 3;
/// -32020 of MCP 2026-07-28: headers and body do not match.
const HEADER_MISMATCH: i64 = -32020;

/// A request of the client, or a batch of them, on its way.
pub(super) struct Exchange {
    pub(super) bridge: Arc<Bridge>,
    /// One for each request.
    pub(super) tickets: Vec<Ticket>,
    /// The messages with what their headers need; a batch has several.
    pub(super) calls: Vec<Arc<Call>>,
    /// What is POSTed.
    pub(super) body: Bytes,
    /// Its share of what may wait.
    pub(super) _held: Held,
}

impl Exchange {
    /// Sees to it that every request gets its one answer.
    pub(super) async fn run(self) {
        let outcome = match self.bridge.timeout.filter(|_| !self.stays_open()) {
            None => self.attempts().await,
            Some(limit) => match tokio::time::timeout(limit, self.attempts()).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    self.cancel_upstream();
                    let remote = self.bridge.authorization.remote();
                    let message = format!("{remote} did not answer within {} s", limit.as_secs());
                    Err(BridgeError::new(TIMED_OUT, message).with_hint("raise --timeout").into())
                }
            },
        };
        if let Err(failure) = outcome {
            self.answer_with(&failure.with_command()).await;
        }
    }

    /// Runs the handshake, holding everything else back until it has its answer; the stream
    /// on which the answer came may go on after that.
    pub(super) async fn shake_hands(self, alone: OwnedRwLockWriteGuard<()>) {
        let (bridge, tickets) = (self.bridge.clone(), self.tickets.clone());
        let mut running = std::pin::pin!(self.run());
        let answered = async {
            while tickets.iter().any(|ticket| bridge.pending.holds(ticket)) {
                bridge.pending.fewer().await;
            }
        };
        tokio::select! {
            biased;
            () = &mut running => return,
            () = answered => drop(alone),
        }
        running.await;
    }

    /// A stream that is meant to last.
    fn stays_open(&self) -> bool {
        self.tickets.iter().any(Ticket::stays_open)
    }

    fn cancel_upstream(&self) {
        for ticket in self.tickets.iter().filter(|ticket| ticket.was_sent()) {
            self.bridge.forward_cancellation(ticket, None);
        }
    }

    async fn answer_with(&self, failure: &Failure) {
        if let Failure::Bridge(error) = failure {
            tracing::warn!(code = error.code, "{}", error.message);
        }
        for ticket in &self.tickets {
            let answer = match failure {
                Failure::Bridge(error) => error_response(Some(&ticket.id), error),
                Failure::Remote(message) => with_id(message, &ticket.id),
            };
            let room = self.bridge.outbox.reserve(answer.len()).await;
            if self.bridge.pending.claim(ticket) {
                tracing::debug!(method = %ticket.method().escape_debug(), "answered with an error");
                room.send([answer]);
            }
        }
    }

    async fn attempts(&self) -> Result<(), Failure> {
        let bridge = &self.bridge;
        let credential = bridge.authorization.credential().await;
        let mut credential = credential.map_err(|error| bridge.unauthorized(&error))?;
        let mut credentials = 1;
        let mut began_anew = false;
        let mut listed_anew = false;
        loop {
            let session = bridge.session.snapshot();
            let reply = self.post(&credential, &session).await?;
            let lost = reply.status == StatusCode::NOT_FOUND && self.used_session(&session);
            match reply.status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    let fresh = bridge.after_refusal(reply, &credential).await?;
                    credentials += 1;
                    if credentials > CREDENTIALS {
                        return Err(bridge
                            .unauthorized(&bridge.authorization.refused(fresh.origin))
                            .into());
                    }
                    credential = fresh;
                }
                StatusCode::NOT_FOUND if lost && !began_anew => {
                    began_anew = true;
                    reply.body.discard().await;
                    bridge.recover(session.epoch).await?;
                }
                StatusCode::BAD_REQUEST => {
                    let failure = bridge.http_error(reply).await;
                    if listed_anew || !is_header_mismatch(&failure) || !self.list_anew().await {
                        return Err(failure);
                    }
                    listed_anew = true;
                }
                status if status.is_success() => {
                    return self.deliver(reply, &credential, &session).await;
                }
                _ => return Err(bridge.http_error(reply).await),
            }
        }
    }

    async fn post(&self, credential: &Credential, session: &Snapshot) -> Result<Reply, Failure> {
        let headers = self.headers(credential, session);
        self.bridge.session.used();
        for ticket in &self.tickets {
            ticket.mark_sent();
        }
        let reply = self.bridge.remote.post(self.body.clone(), headers).await;
        reply.map_err(|failure| self.bridge.not_sent(&failure).into())
    }

    fn headers(&self, credential: &Credential, session: &Snapshot) -> HeaderMap {
        let mut headers = credential.headers.clone();
        match &self.calls[..] {
            [call] if call.era == Era::Modern => {
                call.put_metadata(&mut headers);
                self.bridge.tools.put_param_headers(call, &mut headers);
            }
            [call] if call.message.method() == "initialize" => {}
            _ => session.put_headers(&mut headers),
        }
        headers
    }

    fn used_session(&self, session: &Snapshot) -> bool {
        session.id.is_some()
            && self
                .calls
                .iter()
                .all(|call| call.era == Era::Legacy && call.message.method() != "initialize")
    }

    /// The headers did not fit the tool: asks what it declares now. False if that fails.
    async fn list_anew(&self) -> bool {
        match &self.calls[..] {
            [call] if call.era == Era::Modern && call.message.method() == "tools/call" => {
                self.bridge.list_tools_anew(call).await
            }
            _ => false,
        }
    }

    async fn deliver(
        &self,
        reply: Reply,
        credential: &Credential,
        session: &Snapshot,
    ) -> Result<(), Failure> {
        let status = reply.status.as_u16();
        let delivery = Delivery {
            bridge: &self.bridge,
            tickets: &self.tickets,
            session: session.clone(),
            headers: &reply.headers,
        };
        match reply.content {
            Content::EventStream => {
                let stream = reply.body.events();
                return self.deliver_stream(&delivery, stream, credential).await;
            }
            Content::Json | Content::Unnamed => {
                let body = reply.body.whole().await.map_err(|lost| self.bridge.lost(&lost))?;
                if !body.is_empty() && delivery.line(body.clone()).await.is_err() {
                    let error = self.bridge.refused(
                        status,
                        "answered with something that is no JSON-RPC message",
                        &body,
                    );
                    return Err(error.into());
                }
            }
            Content::Other => {
                let body = reply.body.refusal().await;
                let what = "answered with something that is no MCP message";
                return Err(self.bridge.refused(status, what, &body).into());
            }
        }
        if delivery.is_done() { Ok(()) } else { Err(self.bridge.unanswered().into()) }
    }

    async fn deliver_stream(
        &self,
        delivery: &Delivery<'_>,
        mut stream: EventStream,
        credential: &Credential,
    ) -> Result<(), Failure> {
        let mut resumption = Resumption::default();
        loop {
            let ended = delivery.stream(&mut stream).await;
            if delivery.is_done() {
                return Ok(());
            }
            resumption.progressed(&stream);
            let failure = match ended {
                Err(Lost::TooLong) => return Err(self.bridge.lost(&Lost::TooLong).into()),
                Err(lost) => self.bridge.lost(&lost),
                Ok(()) => self.bridge.unanswered(),
            };
            // Modern streams are not resumable.
            if self.calls.iter().any(|call| call.era == Era::Modern) {
                return Err(failure.into());
            }
            match resumption.resume(&self.bridge, credential, &delivery.session).await {
                Some(resumed) => stream = resumed,
                None => return Err(failure.into()),
            }
        }
    }
}

fn is_header_mismatch(failure: &Failure) -> bool {
    matches!(failure, Failure::Remote(message) if message.error_code() == Some(HEADER_MISMATCH))
}

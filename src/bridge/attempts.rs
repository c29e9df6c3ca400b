//! Sending a request, and sending it again only where it was provably not executed.

use super::delivery::Delivery;
use super::era::Era;
use super::exchange::Exchange;
use super::pending::Ticket;
use super::refusal::Failure;
use super::resumption::Resumption;
use super::session::Snapshot;
use super::stand_in::Next;
use super::tries::Tries;
use crate::authorization::Credential;
use crate::transport::{Content, EventStream, Lost, Reply, RequestHeaders};
use reqwest::{Method, StatusCode};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// -32020 of MCP 2026-07-28: headers and body do not match.
const HEADER_MISMATCH: i64 = -32020;

impl Exchange {
    pub(super) async fn attempts(&self, tries: &mut Tries) -> Result<(), Failure> {
        let bridge = &self.bridge;
        loop {
            let session = bridge.session.snapshot();
            match self.before_sending(&session, tries).await? {
                Some(Next::Answered) => return Ok(()),
                Some(Next::SendAgain) => continue,
                None => {}
            }
            let credential = self.credential(tries).await?;
            bridge.recall_era(credential.is_of_vault()).await;
            if self.calls.iter().any(|call| bridge.eras.crosses(call.era)) {
                return Err(Failure::Crossed);
            }
            let session = match self.era() {
                Era::Modern => session.by(None),
                Era::Legacy if self.begins_session() => {
                    session.by(Box::pin(self.connection(tries)).await?)
                }
                Era::Legacy => session,
            };
            if session.is_lost() && self.is_in_session() {
                // Just now: it is not sent yet.
                continue;
            }
            let reply = self.post(&credential, &session).await?;
            if let Next::Answered = self.after_sending(reply, &credential, &session, tries).await? {
                return Ok(());
            }
        }
    }

    /// What the session needs first: nothing if the request can be sent in it.
    async fn before_sending(
        &self,
        session: &Snapshot,
        tries: &mut Tries,
    ) -> Result<Option<Next>, Failure> {
        if !self.is_in_session() {
            return Ok(None);
        }
        if session.told.is_some()
            && let Some(next) = Box::pin(self.instead(session, tries)).await?
        {
            return Ok(Some(next));
        }
        if session.is_lost() {
            Box::pin(self.connect_again(session, tries)).await?;
            return Ok(Some(Next::SendAgain));
        }
        if session.unsaid.is_some() {
            self.bridge.end_handshake().await?;
            return Ok(Some(Next::SendAgain));
        }
        Ok(None)
    }

    /// The reply is delivered, or shows that the request was not executed and may be sent again.
    async fn after_sending(
        &self,
        reply: Reply,
        credential: &Arc<Credential>,
        session: &Snapshot,
        tries: &mut Tries,
    ) -> Result<Next, Failure> {
        let bridge = &self.bridge;
        let lost = reply.status == StatusCode::NOT_FOUND && self.used_session(session);
        match reply.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                self.tickets.iter().for_each(Ticket::mark_unsent);
                let answer = bridge.after_refusal(reply, credential);
                let fresh = tries.in_time(bridge, answer).await?;
                tries.take(bridge, fresh)?;
            }
            status if session.connection.is_some() && !status.is_success() => {
                let failure = bridge.http_error(reply).await;
                let again = Box::pin(self.reconnect(session, failure, tries));
                if let Some(failure) = again.await? {
                    return Err(failure);
                }
            }
            status if self.may_fall_back(status) => {
                let failure = bridge.http_error(reply).await;
                let falling_back = Box::pin(self.fall_back_to_sse(status, failure, tries));
                if let Some(failure) = falling_back.await? {
                    return self.failed(status.as_u16(), failure).await;
                }
            }
            StatusCode::NOT_FOUND if lost && !tries.began_anew => {
                tries.began_anew = true;
                self.tickets.iter().for_each(Ticket::mark_unsent);
                reply.body.discard().await;
                bridge.recover(session.epoch).await?;
            }
            status if status.is_success() => {
                bridge.took(credential, self.era()).await;
                match &session.connection {
                    Some(connection) => self.wait_for_stream(reply, connection).await?,
                    None => self.deliver(reply, session, tries).await?,
                }
                return Ok(Next::Answered);
            }
            status => {
                let failure = bridge.http_error(reply).await;
                let mismatch = status == StatusCode::BAD_REQUEST && is_header_mismatch(&failure);
                if !mismatch || tries.listed_anew || !self.list_anew().await {
                    return self.failed(status.as_u16(), failure).await;
                }
                tries.listed_anew = true;
            }
        }
        Ok(Next::SendAgain)
    }

    pub(super) async fn credential(&self, tries: &mut Tries) -> Result<Arc<Credential>, Failure> {
        if let Some(credential) = &tries.credential {
            return Ok(credential.clone());
        }
        let fresh = tries.in_time(&self.bridge, self.bridge.credential()).await?;
        tries.take(&self.bridge, fresh.clone())?;
        Ok(fresh)
    }

    /// An HTTP error is the end of it, unless the remote speaks the other era, or only the
    /// stand-in has spoken so far.
    async fn failed(&self, status: u16, failure: Failure) -> Result<Next, Failure> {
        let [ticket] = &self.tickets[..] else { return Err(failure) };
        let failure = self.bridge.doubt(ticket, status, failure)?;
        let result = self.bridge.after_stand_in(&ticket.call, failure)?;
        self.answer(ticket, &result).await
    }

    /// Batches are legacy.
    pub(super) fn era(&self) -> Era {
        self.calls.first().map_or(Era::Legacy, |call| call.era)
    }

    /// True for what belongs to a legacy session.
    fn is_in_session(&self) -> bool {
        self.calls
            .iter()
            .all(|call| call.era == Era::Legacy && call.message.method() != "initialize")
    }

    async fn post(&self, credential: &Credential, session: &Snapshot) -> Result<Reply, Failure> {
        self.bridge.session.used();
        let reply = match &session.connection {
            Some(connection) => {
                let headers = self.headers(credential, session);
                self.tickets.iter().for_each(|one| one.mark_sent_over(connection.number()));
                self.bridge.post_over(connection, self.body(), headers).await
            }
            None => {
                let place = self.bridge.remote.room().await;
                // Made now, as a proof of possession ages.
                let headers = self.headers(credential, session);
                self.tickets.iter().for_each(Ticket::mark_sent);
                let reply = self.bridge.remote.post_in(place, self.body(), headers).await;
                reply.map_err(|failure| self.bridge.not_sent(&failure).into())
            }
        };
        if let (Ok(reply), [call, ..]) = (&reply, &self.calls[..]) {
            let (method, status) = (call.message.method().escape_debug(), reply.status.as_u16());
            tracing::debug!(%method, status, "the remote replied");
            credential.learn(reply.status.as_u16(), &reply.headers);
        }
        reply
    }

    fn headers(&self, credential: &Credential, session: &Snapshot) -> RequestHeaders {
        let mut headers = credential.for_request(&Method::POST);
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
        session.id.is_some() && self.is_in_session()
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
        session: &Snapshot,
        tries: &mut Tries,
    ) -> Result<(), Failure> {
        let status = reply.status.as_u16();
        let delivery = Delivery {
            bridge: &self.bridge,
            tickets: &self.tickets,
            session: session.clone(),
            headers: &reply.headers,
            subscription: &self.subscription,
            crossed: AtomicBool::new(false),
        };
        match reply.content {
            Content::EventStream => {
                let stream = reply.body.events();
                return self.deliver_stream(&delivery, stream, tries).await;
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
        if delivery.has_crossed() {
            return Err(Failure::Crossed);
        }
        if delivery.is_done() { Ok(()) } else { Err(self.bridge.unanswered().into()) }
    }

    async fn deliver_stream(
        &self,
        delivery: &Delivery<'_>,
        mut stream: EventStream,
        tries: &mut Tries,
    ) -> Result<(), Failure> {
        let mut resumption = Resumption::default();
        loop {
            let ended = delivery.stream(&mut stream).await;
            if delivery.has_crossed() {
                return Err(Failure::Crossed);
            }
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
            stream = match self.resume(&mut resumption, delivery, tries).await? {
                Some(resumed) => resumed,
                None => return Err(failure.into()),
            }
        }
    }

    /// The continuation of a broken stream, after a sign-in if there has to be one.
    async fn resume(
        &self,
        resumption: &mut Resumption,
        delivery: &Delivery<'_>,
        tries: &mut Tries,
    ) -> Result<Option<EventStream>, Failure> {
        loop {
            match resumption.resume(&self.bridge, &delivery.session).await {
                Ok(resumed) => return Ok(resumed),
                Err(need) => Box::pin(self.wait_to_resume(&need, tries)).await?,
            }
            resumption.begin_again();
        }
    }
}

fn is_header_mismatch(failure: &Failure) -> bool {
    matches!(failure, Failure::Remote(message) if message.error_code() == Some(HEADER_MISMATCH))
}

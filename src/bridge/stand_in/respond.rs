//! What happens to a request that needs a person.

use super::answers;
use super::{LISTS, List, Shown, Wants};
use crate::authorization::{Cause, Need, Seen};
use crate::bridge::crossing::From;
use crate::bridge::era::Era;
use crate::bridge::exchange::Exchange;
use crate::bridge::pending::Ticket;
use crate::bridge::refusal::Failure;
use crate::bridge::session::Snapshot;
use crate::bridge::tries::Tries;
use crate::jsonrpc::Message;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a log level waits for a handshake with the remote that is under way.
const LEVEL: Duration = Duration::from_secs(5);

/// What follows.
pub(in super::super) enum Next {
    Answered,
    /// There is, or may be, another credential.
    SendAgain,
}

impl Exchange {
    /// A person is needed: the request is answered here, or waits for the sign-in.
    pub(in super::super) async fn without_credential(
        &self,
        need: Need,
        tries: &mut Tries,
    ) -> Result<Next, Failure> {
        let stand_in = &self.bridge.stand_in;
        for ticket in &self.tickets {
            ticket.mark_unsent();
        }
        // The stand-in speaks as the remote does, if that is known.
        self.bridge.recall_era(true).await;
        if self.calls.iter().any(|call| self.bridge.eras.crosses(call.era)) {
            return Err(Failure::Crossed);
        }
        if !tries.joins {
            stand_in.needs(&need, tries.late, tries.refused(&self.bridge));
        }
        let [ticket] = &self.tickets[..] else { return self.batch(&need, tries).await };
        if ticket.era() == Era::Modern && !stand_in.confirmed_modern.load(Ordering::Relaxed) {
            // Also in a process that was not the one to answer `server/discover`.
            stand_in.assumed_modern.store(true, Ordering::Relaxed);
        }
        match Wants::of(&ticket.call) {
            Wants::Handshake => self.answer_handshake(ticket).await,
            Wants::Discover => self.answer_discover(ticket).await,
            Wants::Ping => self.answer(ticket, b"{}").await,
            Wants::List(list) => {
                let (held, seen) =
                    tokio::join!(self.hold(list, &need, tries), self.bridge.last_seen());
                if held {
                    tries.begin_again();
                    return Ok(Next::SendAgain);
                }
                self.answer_list(ticket, list, &need, seen).await
            }
            Wants::Listen => self.answer_listen(ticket, &need, tries).await,
            Wants::Call if self.bridge.is_own_tool(&ticket.call) => {
                self.offer_sign_in(ticket).await
            }
            Wants::Call | Wants::Level => self.wait(&need, tries).await,
        }
    }

    /// A batch waits as a call does, unless all it asks for are lists.
    async fn batch(&self, need: &Need, tries: &mut Tries) -> Result<Next, Failure> {
        let list = |ticket: &Ticket| match Wants::of(&ticket.call) {
            Wants::List(list) => Some(list),
            _ => None,
        };
        let lists: Option<Vec<List>> = self.tickets.iter().map(list).collect();
        let Some(lists) = lists else { return self.wait(need, tries).await };
        let first = if lists.contains(&List::Tools) { List::Tools } else { lists[0] };
        if self.hold(first, need, tries).await {
            tries.begin_again();
            return Ok(Next::SendAgain);
        }
        for (ticket, list) in self.tickets.iter().zip(lists) {
            let seen = self.bridge.last_seen().await;
            if let Err(failure) = self.answer_list(ticket, list, need, seen).await {
                self.fail(ticket, &failure).await;
            }
        }
        Ok(Next::Answered)
    }

    async fn hold(&self, list: List, need: &Need, tries: &mut Tries) -> bool {
        let entered = tries.entered();
        tries.may_wait() && self.bridge.hold(list, need, entered).await
    }

    /// In a session that was begun without the remote: what is answered here; nothing if the
    /// remote can be asked. May change the session.
    pub(in super::super) async fn instead(
        &self,
        session: &Snapshot,
        tries: &mut Tries,
    ) -> Result<Option<Next>, Failure> {
        let [ticket] = &self.tickets[..] else { return Ok(None) };
        if !session.is_stand_in() {
            let result = session.lacks.answer(ticket.method());
            return match result {
                Some(result) => self.answer(ticket, result.as_bytes()).await.map(Some),
                None => Ok(None),
            };
        }
        let bridge = &self.bridge;
        match Wants::of(&ticket.call) {
            Wants::Ping => return self.answer(ticket, b"{}").await.map(Some),
            Wants::Level => {
                // Not while the real session is told of the settings.
                let recovery = tokio::time::timeout(LEVEL, bridge.session.recovery.lock()).await;
                if bridge.session.snapshot().epoch == session.epoch {
                    bridge.session.remember(&ticket.call.message);
                    drop(recovery);
                    return self.answer(ticket, b"{}").await.map(Some);
                }
            }
            wants => {
                let list = matches!(wants, Wants::List(_));
                if list
                    && bridge.authorization.signing_in().is_some()
                    && let Some((need, _)) = bridge.stand_in.need()
                {
                    // A look at the remote would take its time for nothing.
                    tries.joins = true;
                    return Err(Failure::Person(Box::new(need)));
                }
                let until =
                    if list { tries.entered() + LISTS } else { tries.until(bridge.auth_timeout) };
                let recovery = bridge.recover(session.epoch);
                match tokio::time::timeout_at(until, recovery).await {
                    Ok(outcome) => outcome?,
                    Err(_) if list => {
                        tries.late = true;
                        return Err(Failure::Person(Box::new(bridge.late())));
                    }
                    Err(_) => return Err(bridge.no_session_in_time().into()),
                }
            }
        }
        Ok(Some(Next::SendAgain))
    }

    async fn answer_handshake(&self, ticket: &Ticket) -> Result<Next, Failure> {
        let bridge = &self.bridge;
        let initialize = &ticket.call.message;
        let result =
            answers::initialize(initialize, bridge.last_seen().await.initialize.as_deref());
        let text = answers::response(&ticket.id, &result);
        let room = bridge.outbox.reserve(text.len()).await;
        if bridge.pending.claim(ticket) {
            bridge.begin_stand_in(initialize, &result);
            bridge.pass(room, From::Reply(ticket), [text]);
        }
        Ok(Next::Answered)
    }

    async fn answer_discover(&self, ticket: &Ticket) -> Result<Next, Failure> {
        let seen = self.bridge.last_seen().await.discover;
        self.bridge.stand_in.assumed_modern.store(true, Ordering::Relaxed);
        self.answer(ticket, &answers::discover(ticket.call.version(), seen.as_deref())).await
    }

    /// With what was last seen, else with a stand-in; a client that has seen the real list
    /// is not shown less.
    async fn answer_list(
        &self,
        ticket: &Ticket,
        list: List,
        need: &Need,
        seen: Seen,
    ) -> Result<Next, Failure> {
        let bridge = &self.bridge;
        let era = ticket.era();
        let whole = !super::live::has_cursor(&ticket.call);
        if list == List::Tools && whole {
            let seen = match era {
                Era::Legacy => seen.legacy_tools,
                Era::Modern => seen.modern_tools.as_deref().map(answers::not_to_be_kept),
            };
            if let Some(seen) = seen {
                return self.answer_seen_tools(ticket, &seen).await;
            }
        }
        if bridge.stand_in.shown(list) == Shown::Live || !whole {
            let link = bridge.authorization.signing_in().and_then(|sign_in| sign_in.link());
            return Err(bridge.sign_in_needed(need, link.as_ref()).into());
        }
        let result = match list {
            List::Tools => answers::sign_in_list(&bridge.authorization.remote().to_string(), era),
            _ => answers::empty_list(list, era),
        };
        bridge.stand_in.show(list, Shown::StandIn);
        self.answer(ticket, &result).await
    }

    async fn answer_seen_tools(&self, ticket: &Ticket, seen: &[u8]) -> Result<Next, Failure> {
        let bridge = &self.bridge;
        let text = answers::response(&ticket.id, seen);
        let message = Message::read(text.clone()).ok();
        let filtered = message.and_then(|message| bridge.tools.learn(&ticket.call, &message));
        let text = filtered.unwrap_or(text);
        bridge.stand_in.show(List::Tools, Shown::Seen);
        let room = bridge.outbox.reserve(text.len()).await;
        if bridge.pending.claim(ticket) {
            bridge.pass(room, From::Reply(ticket), [text]);
        }
        Ok(Next::Answered)
    }

    /// Acknowledges the subscription, then waits for the remote to be there for it.
    async fn answer_listen(
        &self,
        ticket: &Ticket,
        need: &Need,
        tries: &mut Tries,
    ) -> Result<Next, Failure> {
        let bridge = &self.bridge;
        let first = !self.subscription.acknowledged.swap(true, Ordering::Relaxed);
        if let Some(text) = answers::acknowledgement(&ticket.call).filter(|_| first) {
            bridge.send(From::Reply(ticket), text).await;
        }
        let _ = bridge.begin_sign_in(need, Cause::Notice);
        tries.acceptance(&bridge.stand_in).await;
        for text in answers::changes(&ticket.call) {
            bridge.send(From::Reply(ticket), text).await;
        }
        tries.begin_again();
        Ok(Next::SendAgain)
    }

    /// Answers with this raw result.
    pub(in super::super) async fn answer(
        &self,
        ticket: &Ticket,
        result: &[u8],
    ) -> Result<Next, Failure> {
        let text = answers::response(&ticket.id, result);
        let room = self.bridge.outbox.reserve(text.len()).await;
        if self.bridge.pending.claim(ticket) {
            self.bridge.pass(room, From::Reply(ticket), [text]);
        }
        Ok(Next::Answered)
    }
}

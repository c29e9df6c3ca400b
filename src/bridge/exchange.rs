//! The life of one request: sent with a credential, sent again only where it was provably
//! not executed, answered exactly once.

use super::Bridge;
use super::call::{Answered, Call};
use super::crossing::From;
use super::intake::Held;
use super::pending::Ticket;
use super::refusal::Failure;
use super::stand_in::{HANDSHAKE, Next, SEEN, Wants};
use super::subscription::Subscription;
use super::tries::Tries;
use crate::jsonrpc::error_response;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::OwnedRwLockWriteGuard;

/// A request of the client, or a batch of them, on its way.
pub(super) struct Exchange {
    pub(super) bridge: Arc<Bridge>,
    /// One for each request.
    pub(super) tickets: Vec<Ticket>,
    /// The messages with what their headers need; a batch has several.
    pub(super) calls: Vec<Arc<Call>>,
    /// What is POSTed.
    pub(super) body: Bytes,
    pub(super) subscription: Subscription,
    /// Its share of what may wait.
    pub(super) _held: Held,
}

impl Exchange {
    /// Sees to it that every request gets its one answer.
    pub(super) async fn run(self) {
        let outcome = match self.bridge.timeout.filter(|_| !self.stays_open()) {
            None => self.until_answered().await,
            Some(limit) => self.in_time(limit).await,
        };
        match outcome {
            Ok(()) => {}
            Err(Failure::Crossed) => {
                let acknowledged = self.subscription.acknowledged.load(Ordering::Relaxed);
                self.bridge.cross(&self.tickets, acknowledged);
            }
            Err(failure) => self.answer_with(&failure.with_command()).await,
        }
    }

    /// Sends it again whenever a person who was needed has signed in.
    async fn until_answered(&self) -> Result<(), Failure> {
        if let Some(outcome) = self.own_tool().await {
            return outcome;
        }
        if self.calls.iter().any(|call| call.sign_in() == Some(Answered::Declined)) {
            return Err(self.bridge.declined().into());
        }
        let mut tries = Tries::of(self);
        loop {
            let before = self.bridge.stand_in.acceptances();
            let need = match self.attempts(&mut tries).await {
                Err(Failure::Person(need)) => need,
                Err(failure) if self.comes_back(&failure).await => {
                    tries = Tries::of(self);
                    continue;
                }
                outcome => return outcome,
            };
            if self.bridge.stand_in.acceptances() != before && tries.may_wait() {
                // Refused before the sign-in that is done by now: no reason for another one.
                tries.begin_again();
                continue;
            }
            // Boxed, as it would make every request larger.
            match Box::pin(self.without_credential(*need, &mut tries)).await? {
                Next::Answered => return Ok(()),
                Next::SendAgain => {}
            }
        }
    }

    /// What is left of a handshake when the remote does not have it has limits of its own: a
    /// client takes an error for a remote of the other era.
    async fn in_time(&self, limit: Duration) -> Result<(), Failure> {
        let mut answering = std::pin::pin!(self.until_answered());
        let mut outcome = tokio::time::timeout(limit, &mut answering).await;
        if outcome.is_err() && self.opens() && !self.was_sent() {
            outcome = tokio::time::timeout(HANDSHAKE + SEEN, &mut answering).await;
        }
        outcome.unwrap_or_else(|_| Err(self.timed_out(limit)))
    }

    /// The first thing that a client of either era says.
    fn opens(&self) -> bool {
        let opens =
            |ticket: &Ticket| matches!(Wants::of(&ticket.call), Wants::Handshake | Wants::Discover);
        self.tickets.iter().any(opens)
    }

    fn timed_out(&self, limit: Duration) -> Failure {
        self.cancel_upstream();
        let bridge = &self.bridge;
        // Nothing was sent: it is the person who takes long.
        if let Some(error) = bridge.waits_for_person().filter(|_| !self.was_sent()) {
            return error.into();
        }
        bridge.no_answer_within(limit).into()
    }

    fn was_sent(&self) -> bool {
        self.tickets.iter().any(Ticket::was_sent)
    }

    /// Runs the handshake, holding everything else back until it has its answer; the stream
    /// on which the answer came may go on after that.
    pub(super) async fn shake_hands(self, alone: OwnedRwLockWriteGuard<()>) {
        let (bridge, tickets) = (self.bridge.clone(), self.tickets.clone());
        let mut running = std::pin::pin!(self.run());
        let answered = async {
            loop {
                let fewer = bridge.pending.fewer();
                if !tickets.iter().any(|ticket| bridge.pending.holds(ticket)) {
                    return;
                }
                fewer.await;
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
    pub(super) fn stays_open(&self) -> bool {
        self.tickets.iter().any(Ticket::stays_open)
    }

    fn cancel_upstream(&self) {
        // MCP: the handshake cannot be cancelled.
        let cancelled = |ticket: &&Ticket| ticket.was_sent() && ticket.method() != "initialize";
        for ticket in self.tickets.iter().filter(cancelled) {
            self.bridge.forward_cancellation(ticket, None);
        }
    }

    async fn answer_with(&self, failure: &Failure) {
        if let Failure::Bridge(error) = failure {
            tracing::warn!(code = error.code, "{}", error.message);
        }
        for ticket in &self.tickets {
            self.fail(ticket, failure).await;
        }
    }

    /// Answers one of them with an error.
    pub(super) async fn fail(&self, ticket: &Ticket, failure: &Failure) {
        let answer = match failure {
            Failure::Person(need) => {
                let error = self.bridge.sign_in_needed(need, None);
                Some(error_response(Some(&ticket.id), &error))
            }
            other => other.answer(&ticket.id),
        };
        let Some(answer) = answer else { return };
        let room = self.bridge.outbox.reserve(answer.len()).await;
        if self.bridge.pending.claim(ticket) {
            tracing::debug!(method = %ticket.method().escape_debug(), "answered with an error");
            self.bridge.pass(room, From::Reply(ticket), [answer]);
        }
    }
}

//! What was tried for one request, over all its attempts.

use super::Bridge;
use super::exchange::Exchange;
use super::http_sse::Connection;
use super::refusal::Failure;
use super::stand_in::{HANDSHAKE, StandIn, Wants};
use crate::authorization::Credential;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How often a request is sent with one credential after another.
const CREDENTIALS: usize = 3;

/// What was tried for one request so far.
#[derive(Default)]
pub(super) struct Tries {
    pub(super) credential: Option<Arc<Credential>>,
    /// How many there were.
    credentials: usize,
    /// How often it waited for a person.
    waits: usize,
    pub(super) began_anew: bool,
    pub(super) listed_anew: bool,
    /// What a handshake goes over (HTTP+SSE).
    pub(super) connection: Option<Arc<Connection>>,
    /// The remote offers it no such way.
    pub(super) without_sse: bool,
    /// How long it waits for a person this time.
    until: Option<Instant>,
    /// When authorization has to be done; it counts as a need for a person after that.
    patience: Option<Instant>,
    /// That happened.
    pub(super) late: bool,
    /// It only joins the sign-in that runs: the need for that is known already.
    pub(super) joins: bool,
    /// When a list began to wait for anything.
    entered: Option<Instant>,
    /// Tells a stream that is meant to last of the end of a sign-in.
    acceptance: Option<watch::Receiver<usize>>,
}

impl Tries {
    pub(super) fn of(exchange: &Exchange) -> Self {
        let mut tries = Self::default();
        if let [call] = &exchange.calls[..] {
            match Wants::of(call) {
                Wants::Handshake | Wants::Discover => {
                    // With --timeout a little less than that, so that it does not strike first.
                    let limit = exchange.bridge.timeout.map(|limit| limit - limit / 10);
                    let patience = limit.map_or(HANDSHAKE, |limit| limit.min(HANDSHAKE));
                    tries.patience = Some(Instant::now() + patience);
                }
                Wants::List(_) => tries.entered = Some(Instant::now()),
                Wants::Listen => tries.acceptance = Some(exchange.bridge.stand_in.acceptance()),
                _ => {}
            }
        }
        tries
    }

    /// Takes another credential.
    ///
    /// # Errors
    /// After too many of them.
    pub(super) fn take(&mut self, bridge: &Bridge, fresh: Arc<Credential>) -> Result<(), Failure> {
        self.credentials += 1;
        if self.credentials > CREDENTIALS {
            return Err(bridge.unauthorized(&bridge.authorization.refused(fresh.origin)).into());
        }
        self.credential = Some(fresh);
        Ok(())
    }

    /// False once another sign-in would not change anything.
    pub(super) fn may_wait(&self) -> bool {
        self.credentials < CREDENTIALS && self.waits < CREDENTIALS
    }

    /// After a sign-in.
    pub(super) fn begin_again(&mut self) {
        self.waits += 1;
        self.credential = None;
        self.until = None;
        (self.late, self.joins) = (false, false);
        // A session that could not be begun without a person can be now.
        self.began_anew = false;
    }

    /// The end of the wait for a person, which lasts `most` from the first time this is asked.
    pub(super) fn until(&mut self, most: Duration) -> Instant {
        *self.until.get_or_insert_with(|| Instant::now() + most)
    }

    /// Since when a list waits, for whatever it is.
    pub(super) fn entered(&mut self) -> Instant {
        *self.entered.get_or_insert_with(Instant::now)
    }

    /// The credential that did not do; none where that is not known.
    pub(super) fn refused(&self, bridge: &Bridge) -> Option<Arc<Credential>> {
        let known = || bridge.authorization.known().filter(|_| !self.late);
        self.credential.clone().or_else(known)
    }

    /// Waits until a person who was needed is not any more.
    pub(super) async fn acceptance(&mut self, stand_in: &StandIn) {
        let seen = self.acceptance.get_or_insert_with(|| stand_in.acceptance());
        // The sender lives as long as the bridge.
        let _ = seen.changed().await;
    }

    /// A handshake does not wait long for what may need a person.
    pub(super) async fn in_time<T>(
        &mut self,
        bridge: &Bridge,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let Some(end) = self.patience else { return work.await };
        tokio::time::timeout_at(end, work).await.unwrap_or_else(|_| {
            self.late = true;
            Err(Failure::Person(Box::new(bridge.late())))
        })
    }
}

//! The tool `sign_in`, which stands in for the tools of a remote that cannot be listed yet.

use super::answers::{self, SIGN_IN};
use super::asking::way;
use super::respond::Next;
use super::{List, Shown};
use crate::authorization::{Cause, Need};
use crate::bridge::Bridge;
use crate::bridge::call::Call;
use crate::bridge::era::Era;
use crate::bridge::exchange::Exchange;
use crate::bridge::pending::Ticket;
use crate::bridge::refusal::Failure;
use std::time::Duration;

/// How long the tool waits for the link.
const LINK: Duration = Duration::from_secs(5);

impl Bridge {
    /// True if this calls the stand-in's own tool, not one of the remote.
    pub(in super::super) fn is_own_tool(&self, call: &Call) -> bool {
        call.message.method() == "tools/call"
            && call.name() == Some(SIGN_IN)
            && match self.stand_in.shown(List::Tools) {
                Shown::StandIn => true,
                Shown::Nothing => self.has_no_tools(),
                Shown::Seen | Shown::Live => false,
            }
    }

    /// Whether nobody could know a tool of the remote: before the first sign-in.
    fn has_no_tools(&self) -> bool {
        let need = self.stand_in.need().filter(|_| self.stand_in.is_needed());
        need.is_some_and(|(need, _)| !need.is_step_up()) && !self.session.snapshot().is_real()
    }
}

impl Exchange {
    /// The outcome, if this calls the stand-in's own tool.
    pub(in super::super) async fn own_tool(&self) -> Option<Result<(), Failure>> {
        let [ticket] = &self.tickets[..] else { return None };
        if ticket.call.name() != Some(SIGN_IN) || ticket.method() != "tools/call" {
            return None;
        }
        let bridge = &self.bridge;
        if bridge.is_own_tool(&ticket.call) {
            return Some(Box::pin(self.offer_sign_in(ticket)).await.map(|_| ()));
        }
        // It was when it came, and flags do not hide that one.
        let allowed = bridge.may_send(&ticket.call);
        (!allowed).then(|| Err(bridge.not_allowed(&ticket.call).into()))
    }

    /// Answers a call of the tool.
    pub(super) async fn offer_sign_in(&self, ticket: &Ticket) -> Result<Next, Failure> {
        let bridge = &self.bridge;
        let remote = bridge.authorization.remote();
        let done = || format!("Already signed in to {remote}: list the tools again to see them.");
        let text = match self.still_needed(ticket.era()).await {
            Ok(None) => done(),
            Err(failure) => return Err(failure),
            Ok(Some(need)) => {
                let begun = bridge.begin_sign_in(&need, Cause::Call);
                let mut sign_in = begun.map_err(|need| bridge.sign_in_needed(&need, None))?;
                match tokio::time::timeout(LINK, sign_in.link_known()).await {
                    Ok(Some(link)) => format!(
                        "Nobody is signed in to {remote} yet: {}, the tools appear when that is \
                         done.\n{}",
                        way(&link),
                        link.url
                    ),
                    // Over before there was one.
                    Ok(None) => match sign_in.finished().await {
                        Ok(()) => done(),
                        Err(error) => return Err(bridge.unauthorized(&error).into()),
                    },
                    Err(_) => format!(
                        "A sign-in to {remote} has begun, but its link is not known yet: call \
                         this tool again in a few seconds."
                    ),
                }
            }
        };
        self.answer(ticket, &answers::said(&text, ticket.era())).await
    }

    /// What a person is needed for, if it still is so.
    async fn still_needed(&self, era: Era) -> Result<Option<Need>, Failure> {
        let bridge = &self.bridge;
        let session = bridge.session.snapshot();
        if era == Era::Legacy && session.is_stand_in() {
            let recovery = tokio::time::timeout(LINK, bridge.recover(session.epoch)).await;
            return match recovery {
                Ok(Ok(())) => Ok(None),
                Ok(Err(Failure::Person(need))) => Ok(Some(*need)),
                Ok(Err(other)) => Err(other),
                Err(_) => Ok(Some(bridge.late())),
            };
        }
        let Some((need, _)) = bridge.stand_in.need() else { return Ok(None) };
        match bridge.credential().await {
            Ok(credential) if bridge.stand_in.is_refused(&credential) => Ok(Some(need)),
            Ok(_) => Ok(None),
            Err(Failure::Person(need)) => Ok(Some(*need)),
            Err(other) => Err(other),
        }
    }
}

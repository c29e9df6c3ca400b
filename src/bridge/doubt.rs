//! Which era the remote speaks, by what it answers: found out by speaking the client's to it
//! first, and again when it no longer fits.

use super::Bridge;
use super::call::{Call, Source};
use super::era::Era;
use super::era::signs::{self, Sign};
use super::eras::Verdict;
use super::pending::Ticket;
use super::refusal::Failure;
use crate::jsonrpc::Message;
use crate::jsonrpc::object::get;
use std::sync::Arc;

impl Bridge {
    /// The remote refused a request with this HTTP status: the failure to answer it with.
    ///
    /// # Errors
    /// [`Failure::Crossed`] where the other era has to be tried.
    pub(super) fn doubt(
        &self,
        ticket: &Ticket,
        status: u16,
        failure: Failure,
    ) -> Result<Failure, Failure> {
        let (era, method) = (ticket.era(), ticket.method());
        let error = match &failure {
            Failure::Remote(message) => Some(&**message),
            _ => None,
        };
        let sign = signs::of_refusal(era, method, status, error);
        // An error of its own making, of a remote that speaks this era; the codes that MCP leaves
        // to the transports of before are not.
        let code = error.and_then(Message::error_code);
        let its_own = code.is_some_and(|code| !(-32019..=-32000).contains(&code))
            && sign != Sign::Certain
            && self.eras.is_confirmed(era);
        // A page is perhaps of something in between: a doubt that rests on that alone must not cost
        // other calls their answers, who would be left with a translation that is gone.
        let costly =
            error.is_none() && self.eras.is_confirmed(era) && self.has_others_under_way(ticket);
        if sign == Sign::Nothing || its_own || costly {
            return Ok(failure);
        }
        match self.eras.refused(era, sign == Sign::Certain, failure) {
            Verdict::Stands(failure) => Ok(failure),
            Verdict::Other => {
                tracing::info!("the remote may speak another generation of MCP; that is tried");
                ticket.mark_unsent();
                Err(Failure::Crossed)
            }
        }
    }

    /// True if the remote has another call of the same translation.
    fn has_others_under_way(&self, ticket: &Ticket) -> bool {
        ticket.source() == Source::Translation
            && self.pending.all().iter().any(|other| {
                other.source() == Source::Translation
                    && other.was_sent()
                    && !other.stays_open()
                    && other.id != ticket.id
            })
    }

    /// The same for a session that could not be begun anew.
    pub(super) fn doubt_session(
        self: &Arc<Self>,
        initialize: &Message,
        failure: Failure,
    ) -> Failure {
        let (status, error) = match &failure {
            Failure::Remote(message) => (400, Some(&**message)),
            Failure::Bridge(error) => (error.http_status.unwrap_or(0), None),
            _ => return failure,
        };
        let sign = signs::of_refusal(Era::Legacy, "initialize", status, error);
        if sign == Sign::Nothing {
            return failure;
        }
        match self.eras.refused(Era::Legacy, sign == Sign::Certain, failure) {
            Verdict::Stands(failure) => failure,
            Verdict::Other => {
                self.leave_session(initialize);
                Failure::Crossed
            }
        }
    }

    /// Takes note of the era in which the remote answered.
    ///
    /// True if it took a modern request for one of its own: a legacy server that insists on no
    /// handshake, whose answer is legacy, too.
    pub(super) fn learn_era(&self, call: &Call, answer: &Message) -> bool {
        let decides = match call.era {
            Era::Legacy => call.message.method() == "initialize",
            Era::Modern => !self.eras.is_confirmed(Era::Modern),
        };
        let Some(result) = answer.result().filter(|_| decides) else { return false };
        let named = || get(result, "resultType").or(get(result, "supportedVersions")).is_some();
        if call.era == Era::Modern && !named() {
            return self.eras.assume_legacy();
        }
        if self.eras.confirm(call.era) {
            self.authorization.remember_era(call.era == Era::Modern);
        }
        false
    }

    /// Reads, once, which era the remote spoke the last time: kept where the vault is used.
    pub(super) async fn recall_era(&self, of_vault: bool) {
        if !of_vault || !self.eras.must_recall() {
            return;
        }
        match self.last_seen().await.modern {
            Some(true) => self.eras.recall(Era::Modern),
            Some(false) => self.eras.recall(Era::Legacy),
            None => {}
        }
    }
}

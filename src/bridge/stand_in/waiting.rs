//! A call that waits for a person.

use super::answers;
use super::elicitation::{Elicited, may_ask_here};
use super::respond::Next;
use crate::authorization::{Cause, Link, Need, SignIn};
use crate::bridge::Bridge;
use crate::bridge::call::Answered;
use crate::bridge::era::Era;
use crate::bridge::exchange::Exchange;
use crate::bridge::pending::Ticket;
use crate::bridge::refusal::Failure;
use crate::bridge::session::Snapshot;
use crate::bridge::tries::Tries;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::{Instant, timeout_at};

impl Bridge {
    /// Tells the remote the client's answer. A call of the remote's waits for that, and with it
    /// one of the client's: it is worth a sign-in, as that is.
    pub(in super::super) async fn tell_answer(
        self: &Arc<Self>,
        text: &Bytes,
        session: &Snapshot,
    ) -> Result<(), Failure> {
        let until = Instant::now() + self.auth_timeout;
        let mut accepted = self.stand_in.acceptance();
        loop {
            let need = match self.tell(text.clone(), session).await {
                Err(Failure::Person(need)) => need,
                told => return told,
            };
            self.person_is_needed(&need, Cause::Call);
            let signed_in = matches!(timeout_at(until, accepted.changed()).await, Ok(Ok(())));
            if !signed_in || self.session.snapshot().epoch > session.epoch {
                return Err(Failure::Person(need));
            }
        }
    }
}

impl Exchange {
    /// Waits for the sign-in; a client that can shows its person the link meanwhile, where
    /// no browser can be opened here.
    pub(super) async fn wait(&self, need: &Need, tries: &mut Tries) -> Result<Next, Failure> {
        let bridge = &self.bridge;
        if !tries.may_wait() {
            return Err(bridge.sign_in_needed(need, None).into());
        }
        let begun = bridge.begin_sign_in(need, Cause::Call);
        let mut sign_in = begun.map_err(|need| bridge.sign_in_needed(&need, None))?;
        let until = tries.until(bridge.auth_timeout);
        let mut elicited = None;
        if let ([ticket], false) = (&self.tickets[..], bridge.authorization.has_browser())
            && let Some(link) = self.link_to_show(ticket, &mut sign_in, until).await
        {
            if ticket.era() == Era::Modern {
                let remote = bridge.authorization.remote().to_string();
                bridge.stand_in.elicited.store(true, Ordering::Relaxed);
                return self.answer(ticket, &answers::input_required(&remote, &link)).await;
            }
            elicited = Some(bridge.elicit(&link).await);
        }
        tokio::select! {
            outcome = timeout_at(until, sign_in.finished()) => match outcome {
                Ok(Ok(())) => {
                    tries.begin_again();
                    Ok(Next::SendAgain)
                }
                Ok(Err(error)) => Err(bridge.unauthorized(&error).into()),
                Err(_) => Err(bridge.sign_in_needed(need, sign_in.link().as_ref()).into()),
            },
            () = Elicited::declined(elicited) => Err(bridge.declined().into()),
        }
    }

    /// The same for a call that the remote has begun to answer: it is not sent again.
    pub(in super::super) async fn wait_to_resume(
        &self,
        need: &Need,
        tries: &mut Tries,
    ) -> Result<(), Failure> {
        self.bridge.stand_in.needs(need, false, self.bridge.authorization.known());
        let waited = self.wait(need, tries).await.map(|_| ());
        waited.map_err(|failure| match failure {
            Failure::Bridge(mut error) => {
                error.message.push_str("; the call was sent and may have been executed");
                Failure::Bridge(error)
            }
            other => other,
        })
    }

    /// The link, if this client can be asked to show it for this call. Only one that works on
    /// any machine is of use (RFC 8628); it has a code.
    async fn link_to_show(
        &self,
        ticket: &Ticket,
        sign_in: &mut SignIn,
        until: Instant,
    ) -> Option<Link> {
        let bridge = &self.bridge;
        let call = &ticket.call;
        let able = call.sign_in() != Some(Answered::Accepted)
            && match call.era {
                Era::Modern => may_ask_here(call),
                Era::Legacy => bridge.client_opens_links(),
            };
        if !able {
            return None;
        }
        let link = timeout_at(until, sign_in.link_known()).await.ok()??;
        link.user_code.is_some().then_some(link)
    }
}

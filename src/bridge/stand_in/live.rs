//! From the stand-in to the real remote, and the other way round.

use super::answers;
use super::{List, Shown, Told, Wants};
use crate::authorization::{Cause, Credential, Seen};
use crate::bridge::Bridge;
use crate::bridge::call::Call;
use crate::bridge::era::Era;
use crate::bridge::pending::Ticket;
use crate::bridge::refusal::{CLOSED, Failure, UNREACHABLE};
use crate::bridge::session::Snapshot;
use crate::jsonrpc::Message;
use crate::jsonrpc::object::get;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Larger results are not kept.
const KEPT: usize = 1024 * 1024;
const METHOD_NOT_FOUND: i64 = -32601;

impl Bridge {
    /// The client's `initialize` is answered here.
    pub(super) fn begin_stand_in(self: &Arc<Self>, initialize: &Message, result: &[u8]) {
        tracing::info!("a person has to sign in; the handshake is answered without the remote");
        self.session.forget_settings();
        self.session.set_listener(None);
        self.stand_in.forget_lists();
        if let Some(before) = self.session.begin_stand_in(initialize, Told::read(result)) {
            self.delete_soon(before);
        }
    }

    /// The client ended its handshake with the stand-in: now a browser may open.
    pub(in super::super) fn client_is_ready(self: &Arc<Self>, session: &Snapshot) {
        let Some((need, late)) = self.stand_in.need() else { return };
        if !late {
            let _ = self.begin_sign_in(&need, Cause::Notice);
            return;
        }
        // Perhaps nobody is needed: the answer just took too long.
        let (bridge, epoch) = (self.clone(), session.epoch);
        tokio::spawn(async move {
            if let Err(Failure::Person(need)) = bridge.recover(epoch).await {
                let _ = bridge.begin_sign_in(&need, Cause::Notice);
            }
        });
    }

    /// The remote took this credential.
    pub(in super::super) async fn took(self: &Arc<Self>, credential: &Credential, era: Era) {
        if era == Era::Modern {
            self.stand_in.confirmed_modern.store(true, Ordering::Relaxed);
        }
        if self.stand_in.is_needed() && !self.stand_in.is_refused(credential) {
            self.person_was_here().await;
        }
    }

    /// The remote has taken up a subscription that was acknowledged here: what changed since
    /// the client was told of the sign-in, nobody has told it.
    pub(in super::super) fn joined(self: &Arc<Self>, listen: &Ticket) {
        for text in answers::missed(&listen.call) {
            self.reply_now(listen, text);
        }
    }

    /// Why the real session could not take the place of the stand-in.
    pub(in super::super) fn not_live(&self, failure: Failure) -> Failure {
        let remote = self.authorization.remote();
        match failure {
            Failure::Bridge(mut error) if error.code == CLOSED => {
                error.code = UNREACHABLE;
                error.message =
                    format!("no session with {remote} could be begun: {}", error.message);
                error.hint = Some("the call was not executed; try again".into());
                Failure::Bridge(error)
            }
            other => other,
        }
    }

    /// A modern call failed at a remote for which only the stand-in has spoken so far: an
    /// empty result where the remote lacks what the stand-in had declared.
    pub(in super::super) fn after_stand_in(
        &self,
        call: &Call,
        failure: Failure,
    ) -> Result<Vec<u8>, Failure> {
        if call.era != Era::Modern || !self.stand_in.assumed_modern.load(Ordering::Relaxed) {
            return Err(failure);
        }
        match &failure {
            Failure::Remote(message) => lacking(call, message).ok_or(failure),
            _ => Err(failure),
        }
    }

    /// The same for an error that came as the proper answer: the text for the client.
    pub(in super::super) fn instead_of_error(
        &self,
        call: &Call,
        answer: &Message,
    ) -> Option<Bytes> {
        if call.era != Era::Modern || !self.stand_in.assumed_modern.load(Ordering::Relaxed) {
            return None;
        }
        let result = lacking(call, answer)?;
        Some(answers::response(&call.message.id()?, &result))
    }

    /// Keeps what the remote answered for the next time a person has to sign in.
    pub(in super::super) fn keep(&self, call: &Call, answer: &Message) {
        let Some(result) = answer.result() else { return };
        let wants = Wants::of(call);
        match wants {
            Wants::List(list) => self.stand_in.show(list, Shown::Live),
            Wants::Discover => self.stand_in.assumed_modern.store(false, Ordering::Relaxed),
            Wants::Handshake => {}
            _ => return,
        }
        if result.len() > KEPT || !self.authorization.remembers() {
            return;
        }
        let kept = || Some(result.to_vec());
        let seen = match (wants, call.era) {
            (Wants::Handshake, _) => Seen { initialize: kept(), ..Seen::default() },
            (Wants::Discover, _) => Seen { discover: kept(), ..Seen::default() },
            (Wants::List(List::Tools), _)
                if has_cursor(call) || get(result, "nextCursor").is_some() =>
            {
                return;
            }
            (Wants::List(List::Tools), Era::Legacy) => {
                Seen { legacy_tools: kept(), ..Seen::default() }
            }
            (Wants::List(List::Tools), Era::Modern) => {
                Seen { modern_tools: kept(), ..Seen::default() }
            }
            _ => return,
        };
        self.authorization.remember(seen);
    }

    /// The same for a handshake of the bridge's own.
    pub(in super::super) fn keep_handshake(&self, answer: &Message) {
        if let Some(result) = answer.result().filter(|result| result.len() <= KEPT)
            && self.authorization.remembers()
        {
            let initialize = Some(result.to_vec());
            self.authorization.remember(Seen { initialize, ..Seen::default() });
        }
    }
}

/// True for a page that is not the first.
pub(super) fn has_cursor(call: &Call) -> bool {
    call.message.params().is_some_and(|params| get(params, "cursor").is_some())
}

/// The empty result for a modern call of a method that the remote does not have.
fn lacking(call: &Call, answer: &Message) -> Option<Vec<u8>> {
    if answer.error_code() != Some(METHOD_NOT_FOUND) {
        return None;
    }
    match Wants::of(call) {
        Wants::List(list) => Some(answers::empty_list(list, Era::Modern)),
        _ if call.message.method() == "completion/complete" => {
            Some(br#"{"resultType":"complete","completion":{"values":[]}}"#.to_vec())
        }
        _ => None,
    }
}

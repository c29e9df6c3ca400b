//! Showing the link through the client: URL-mode elicitation (MCP 2025-11-25 and 2026-07-28,
//! "Elicitation"), for when no browser can be opened here.

use super::StandIn;
use super::answers;
use crate::authorization::Link;
use crate::bridge::Bridge;
use crate::bridge::call::Call;
use crate::bridge::crossing::From;
use crate::bridge::refusal::SIGN_IN_NEEDED;
use crate::jsonrpc::object::{get, string};
use crate::jsonrpc::{BridgeError, Message, same_id};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::watch;

/// What a modern client can do, in its `_meta`.
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// A request of the bridge to a legacy client, until its sign-in is over.
pub(super) struct Elicitation {
    /// Raw; also the elicitation's own.
    id: Bytes,
    answered: bool,
    declined: watch::Sender<bool>,
}

/// How a waiting call learns what the person said.
pub(super) struct Elicited(watch::Receiver<bool>);

impl Elicited {
    /// Resolves when the person will not sign in; never without an elicitation.
    pub(super) async fn declined(elicited: Option<Self>) {
        if let Some(Self(mut declined)) = elicited
            && declined.wait_for(|declined| *declined).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}

/// True if this modern call may be answered with an elicitation (MCP 2026-07-28, "Multi
/// Round-Trip Requests"). One that answers the server's own would lose that answer.
pub(super) fn may_ask_here(call: &Call) -> bool {
    let method = matches!(call.message.method(), "tools/call" | "prompts/get" | "resources/read");
    let params = call.message.params().unwrap_or_default();
    let fresh = get(params, "requestState").is_none() && get(params, "inputResponses").is_none();
    method && fresh && call.meta().and_then(|meta| get(meta, CAPABILITIES)).is_some_and(opens_links)
}

/// True if these capabilities of a client include URL mode.
fn opens_links(capabilities: &[u8]) -> bool {
    get(capabilities, "elicitation").is_some_and(|modes| get(modes, "url").is_some())
}

impl StandIn {
    /// True for the client's answer to the bridge's own request.
    pub(in super::super) fn asked(&self, answer: &Message) -> bool {
        let state = self.lock();
        let asked = state.elicitation.as_ref().zip(answer.id());
        asked.is_some_and(|(asked, id)| same_id(&id, &asked.id))
    }

    /// The same, taking note of it.
    pub(in super::super) fn takes_answer(&self, message: &Message) -> bool {
        let mut state = self.lock();
        let Some(asked) = &mut state.elicitation else { return false };
        if !message.id().is_some_and(|id| same_id(&id, &asked.id)) {
            return false;
        }
        asked.answered = true;
        let action = message.result().and_then(|result| string(get(result, "action")?));
        if action.as_deref() != Some("accept") {
            asked.declined.send_replace(true);
            // The next call may ask again.
            state.elicitation = None;
        }
        true
    }
}

impl Bridge {
    /// True for a legacy client that shows links.
    pub(super) fn client_opens_links(&self) -> bool {
        let initialize = self.session.initialize();
        let params = initialize.as_ref().and_then(Message::params);
        params.and_then(|params| get(params, "capabilities")).is_some_and(opens_links)
    }

    /// Asks a legacy client to show the link, once for all calls that wait.
    pub(super) async fn elicit(self: &Arc<Self>, link: &Link) -> Elicited {
        let (id, elicited) = {
            let mut state = self.stand_in.lock();
            if let Some(asked) = &state.elicitation {
                return Elicited(asked.declined.subscribe());
            }
            let id = self.session.own_id();
            let (declined, receiver) = watch::channel(false);
            let asked = Elicitation { id: id.clone(), answered: false, declined };
            state.elicitation = Some(asked);
            (id, Elicited(receiver))
        };
        let remote = self.authorization.remote().to_string();
        self.send(From::Unasked, answers::elicitation(&id, &remote, link)).await;
        elicited
    }

    /// The sign-in is over: there is nothing to open any more.
    pub(super) async fn end_elicitation(self: &Arc<Self>) {
        let Some(asked) = self.stand_in.lock().elicitation.take() else { return };
        self.send(From::Unasked, answers::elicitation_complete(&asked.id)).await;
        if !asked.answered {
            self.send(From::Unasked, answers::cancelled(&asked.id)).await;
        }
    }

    /// The error for a call whose person will not sign in.
    pub(in super::super) fn declined(&self) -> BridgeError {
        let remote = self.authorization.remote();
        BridgeError::new(SIGN_IN_NEEDED, format!("the sign-in to {remote} was declined"))
            .with_hint(remote.login_command(None))
    }
}

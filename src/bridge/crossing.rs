//! Between a client and a remote of different eras: what the client says goes through a
//! translation to the rest of the bridge, which speaks the remote's era, and what comes back
//! goes through it to the client. Which era the remote speaks is found out by speaking the
//! client's to it first.

use super::Bridge;
use super::call::{Call, Source};
use super::era::signs::{self, Sign};
use super::era::{Effect, Era};
use super::eras::{Translation, Verdict};
use super::pending::Ticket;
use super::refusal::{CLOSED, Failure};
use super::stand_in::Told;
use super::stdout::Room;
use crate::authorization::Origin;
use crate::jsonrpc::object::get;
use crate::jsonrpc::{BridgeError, Invalid, Kind, Message, error_response};
use bytes::Bytes;
use std::sync::Arc;

/// Where a message to the client comes from.
#[derive(Clone, Copy)]
pub(super) enum From<'a> {
    /// The reply to this request, or the bridge on its behalf.
    Reply(&'a Ticket),
    /// No request.
    Unasked,
}

impl Bridge {
    /// A message of the client.
    pub(super) fn take_from_client(self: &Arc<Self>, message: Message) -> Result<(), Invalid> {
        if message.kind() == Kind::Response {
            match self.eras.crossing() {
                // What the bridge asked by itself went through the translation, too.
                Some(era) => self.translate(era, |translation| translation.client(&message)),
                None => self.take_response(message),
            }
            return Ok(());
        }
        let call = Call::read(message)?;
        if call.is_request() {
            self.eras.client_speaks(call.era);
        }
        let Some(era) = self.eras.crossing() else { return self.take_call(call) };
        if let Some(id) = call.message.id().filter(|id| self.waits_for(id)) {
            let why = "a request with this id is still waiting for its answer";
            return Err(Invalid { code: -32600, id: Some(id), why });
        }
        self.translate(era, |translation| translation.client(&call.message));
        Ok(())
    }

    fn waits_for(&self, id: &Bytes) -> bool {
        let waits = |era| self.eras.existing(era, |one| one.waits_for(id)).unwrap_or(false);
        waits(Era::Legacy) || waits(Era::Modern) || self.pending.get(id).is_some()
    }

    /// Lets the translation from the client's `era` do something, and does what it wants.
    pub(super) fn translate(
        self: &Arc<Self>,
        era: Era,
        work: impl FnOnce(Translation<'_>) -> Vec<Effect>,
    ) {
        let remote = || self.authorization.remote().to_string();
        let effects = self.eras.translate(era, &remote, work);
        for line in self.perform(era, effects) {
            self.answer(line);
        }
    }

    /// Does what a translation wants, but for what is for the client, which is returned.
    fn perform(self: &Arc<Self>, era: Era, effects: Vec<Effect>) -> Vec<Bytes> {
        let mut lines = Vec::new();
        for effect in effects {
            match effect {
                Effect::ToClient(line) => lines.push(line),
                Effect::ToRemote(text) => self.take_translated(text),
                Effect::After(wait, token) => {
                    let bridge = self.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(wait).await;
                        // One that is gone wants nothing any more.
                        let effects = bridge.eras.existing(era, |one| one.tick(token));
                        for line in bridge.perform(era, effects.unwrap_or_default()) {
                            bridge.outbox.send(line).await;
                        }
                    });
                }
            }
        }
        lines
    }

    fn take_translated(self: &Arc<Self>, text: Bytes) {
        let taken = Message::read(text).and_then(|message| {
            let id = message.id();
            self.take(message, Source::Translation).map_err(|invalid| Invalid { id, ..invalid })
        });
        let Err(invalid) = taken else { return };
        tracing::error!(why = invalid.why, "a translated message is none");
        // Whoever waits for the answer must get one.
        let answer = super::incoming::invalid_response(&invalid);
        if let (Some(_), Ok(answer)) = (&invalid.id, Message::read(answer)) {
            for era in [Era::Legacy, Era::Modern] {
                let effects = self.eras.existing(era, |one| one.remote(&answer, None));
                for line in self.perform(era, effects.unwrap_or_default()) {
                    self.answer(line);
                }
            }
        }
    }

    /// Queues messages for the client, through the translation where there has to be one.
    pub(super) fn pass(
        self: &Arc<Self>,
        room: Room<'_>,
        from: From<'_>,
        texts: impl IntoIterator<Item = Bytes>,
    ) {
        let (era, origin) = match from {
            From::Reply(ticket) if ticket.source() == Source::Client => return room.send(texts),
            From::Reply(ticket) => (ticket.era().other(), Some(&ticket.id)),
            From::Unasked => match self.eras.crossing() {
                Some(era) => (era, None),
                None => return room.send(texts),
            },
        };
        let mut lines = Vec::new();
        for text in texts {
            let Ok(message) = Message::read(text) else { continue };
            let origin = origin.map(|id| &id[..]);
            let effects = self.eras.existing(era, |one| one.remote(&message, origin));
            lines.extend(self.perform(era, effects.unwrap_or_default()));
        }
        room.send(lines);
    }

    /// The same, waiting for room.
    pub(super) async fn send(self: &Arc<Self>, from: From<'_>, text: Bytes) {
        let room = self.outbox.reserve(text.len()).await;
        self.pass(room, from, [text]);
    }

    /// The same without waiting.
    pub(super) fn send_now(self: &Arc<Self>, from: From<'_>, text: Bytes) {
        self.pass(self.outbox.at_once(), from, [text]);
    }

    /// These requests turned out to be in the wrong era for the remote, which has not executed
    /// them.
    pub(super) fn cross(self: &Arc<Self>, tickets: &[Ticket], acknowledged: bool) {
        for ticket in tickets {
            if !self.pending.withdraw(ticket) {
                continue;
            }
            let message = &ticket.call.message;
            match ticket.source() {
                Source::Translation => self.speak_as_the_client(ticket.era().other()),
                Source::Client if acknowledged => {
                    self.translate(ticket.era(), |one| one.listening(message));
                }
                Source::Client => self.translate(ticket.era(), |one| one.client(message)),
            }
        }
    }

    /// True if a notification of the client has to be translated, which it need not when it
    /// came; that is done.
    pub(super) fn crossed_meanwhile(self: &Arc<Self>, call: &Call) -> bool {
        let Some(era) = self.eras.crossing() else { return false };
        if call.source != Source::Client {
            return false;
        }
        self.translate(era, |translation| translation.client(&call.message));
        true
    }

    /// The remote speaks the client's era after all: what was translated goes to it as it is.
    fn speak_as_the_client(self: &Arc<Self>, era: Era) {
        let (open, told) = self.eras.dissolve(era);
        // A session that the client believes in has to be begun before anything else.
        if let Some((initialize, result)) = told {
            self.session.forget_settings();
            self.session.set_listener(None);
            let told = Told::read(&result);
            if let Some(before) = self.session.begin_stand_in(&initialize, told) {
                self.delete_soon(before);
            }
        }
        for message in open {
            if let Err(invalid) = self.take_from_client(message) {
                self.answer(super::incoming::invalid_response(&invalid));
            }
        }
    }

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
        if sign == Sign::Nothing || its_own {
            return Ok(failure);
        }
        match self.eras.refused(era, sign == Sign::Certain, failure) {
            Verdict::Stands(failure) => Ok(failure),
            Verdict::Other => {
                tracing::info!("the remote may speak another generation of MCP; that is tried");
                Err(Failure::Crossed)
            }
        }
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
    pub(super) fn learn_era(&self, call: &Call, answer: &Message) {
        let decides = match call.era {
            Era::Legacy => call.message.method() == "initialize",
            Era::Modern => !self.eras.is_confirmed(Era::Modern),
        };
        let Some(result) = answer.result().filter(|_| decides) else { return };
        let named = || get(result, "resultType").or(get(result, "supportedVersions")).is_some();
        if (call.era == Era::Legacy || named()) && self.eras.confirm(call.era) {
            self.authorization.remember_era(call.era == Era::Modern);
        }
    }

    /// Reads, once, which era the remote spoke the last time: kept where the vault is used.
    pub(super) async fn recall_era(&self, origin: Origin) {
        if matches!(origin, Origin::Nothing | Origin::Flags) || !self.eras.must_recall() {
            return;
        }
        match self.last_seen().await.modern {
            Some(true) => self.eras.recall(Era::Modern),
            Some(false) => self.eras.recall(Era::Legacy),
            None => {}
        }
    }

    /// The legacy session is gone, and the remote is modern now.
    pub(super) fn leave_session(self: &Arc<Self>, initialize: &Message) {
        tracing::info!("the remote speaks a modern revision of MCP now; the session is translated");
        self.session.set_listener(None);
        if let Some(before) = self.session.end() {
            self.delete_soon(before);
        }
        if self.eras.client() == Some(Era::Legacy) {
            self.translate(Era::Legacy, |one| one.resume(initialize));
        }
    }

    /// Answers what translations still have, at the end.
    pub(super) fn end_translations(&self) {
        let error = BridgeError::new(CLOSED, "keyferry was asked to end before the answer came");
        for id in self.eras.open().iter().filter_map(Message::id) {
            let _ = self.outbox.try_send(error_response(Some(&id), &error));
        }
    }
}

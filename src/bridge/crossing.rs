//! Between a client and a remote of different eras: what the client says goes through a
//! translation to the rest of the bridge, which speaks the remote's era, and what comes back
//! goes through it to the client.

use super::Bridge;
use super::call::{Call, Source};
use super::era::{Effect, Era, Open, Reach, cancelled};
use super::eras::{Dissolved, Translation};
use super::pending::Ticket;
use super::refusal::{CLOSED, LOOK};
use super::stand_in::Told;
use super::stdout::Room;
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
            // What the bridge asked by itself is answered to the bridge by itself.
            match self.eras.crossing().filter(|_| !self.stand_in.asked(&message)) {
                Some(era) => self.translate(era, |translation| translation.client(&message)),
                None => self.take_response(message, Source::Client),
            }
            return Ok(());
        }
        if message.method() == "notifications/cancelled" {
            return self.cancel_for_client(message);
        }
        let call = Call::read(message)?;
        if call.is_request() {
            self.eras.client_speaks(call.era);
        }
        let Some(era) = self.eras.crossing() else { return self.take_call(call) };
        if let Some(id) = call.message.id()
            && (self.translator_of(&id).is_some() || self.pending.get(&id).is_some())
        {
            let why = "a request with this id is still waiting for its answer";
            return Err(Invalid { code: -32600, id: Some(id), why });
        }
        self.limit(&call.message);
        self.translate(era, |translation| translation.client(&call.message));
        Ok(())
    }

    /// A cancellation is for whoever has the request, which may have gone from one to the other.
    fn cancel_for_client(self: &Arc<Self>, message: Message) -> Result<(), Invalid> {
        let _turn = self.eras.turn();
        let id = Call::read(message.clone())?.cancelled_id();
        let Some(era) = id.and_then(|id| self.translator_of(&id)) else {
            return self.take(message, Source::Client);
        };
        self.cancel_translated(era, &message);
        Ok(())
    }

    /// In turn.
    fn cancel_translated(self: &Arc<Self>, era: Era, cancellation: &Message) {
        let effects = self.eras.existing(era, |one| one.client(cancellation));
        self.answer_all(self.perform(era, effects.unwrap_or_default()));
    }

    /// The client's request with this raw id, if it is translated, is answered by someone else.
    /// False if it was answered already.
    pub(super) fn give_up_translated(self: &Arc<Self>, id: &Bytes) -> bool {
        let _turn = self.eras.turn();
        let Some(era) = self.translator_of(id) else { return false };
        if let Ok(cancellation) = Message::read(cancelled(id)) {
            self.cancel_translated(era, &cancellation);
        }
        self.translator_of(id).is_none()
    }

    /// The era from which the request with this raw id was translated, if it was.
    fn translator_of(&self, id: &Bytes) -> Option<Era> {
        let waits = |era: &Era| self.eras.existing(*era, |one| one.waits_for(id)).unwrap_or(false);
        [Era::Legacy, Era::Modern].into_iter().find(waits)
    }

    /// Lets the translation from the client's `era` do something, and does what it wants.
    pub(super) fn translate(
        self: &Arc<Self>,
        era: Era,
        work: impl FnOnce(Translation<'_>) -> Vec<Effect>,
    ) {
        let _turn = self.eras.turn();
        self.translate_in_turn(era, work);
    }

    fn translate_in_turn(
        self: &Arc<Self>,
        era: Era,
        work: impl FnOnce(Translation<'_>) -> Vec<Effect>,
    ) {
        let remote = || self.authorization.remote().to_string();
        let effects = self.eras.translate(era, &remote, work);
        self.answer_all(self.perform(era, effects));
    }

    /// Does what a translation wants, but for what is for the client, which is returned. In turn.
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
                        // How much there will be to say is not known.
                        let room = bridge.outbox.reserve(1).await;
                        bridge.tell_translation(era, room, |one| one.tick(token));
                    });
                }
            }
        }
        lines
    }

    /// Lets the translation from the client's `era` do something; one that is gone wants nothing
    /// any more.
    fn tell_translation(
        self: &Arc<Self>,
        era: Era,
        room: Room<'_>,
        work: impl FnOnce(Translation<'_>) -> Vec<Effect>,
    ) {
        let _turn = self.eras.turn();
        let effects = self.eras.existing(era, work).unwrap_or_default();
        room.send(self.perform(era, effects));
        self.pending.changed();
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
            let bridge = self.clone();
            // In its turn.
            tokio::spawn(async move {
                for era in [Era::Legacy, Era::Modern] {
                    let room = bridge.outbox.reserve(answer.text().len()).await;
                    bridge.tell_translation(era, room, |mut one| one.remote(&answer, None));
                }
            });
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
        let messages = texts.into_iter().filter_map(|text| Message::read(text).ok());
        self.tell_translation(era, room, |mut one| {
            let origin = origin.map(|id| &id[..]);
            messages.flat_map(|message| one.remote(&message, origin)).collect()
        });
    }

    /// The same, waiting for room.
    pub(super) async fn send(self: &Arc<Self>, from: From<'_>, text: Bytes) {
        let room = self.outbox.reserve(text.len()).await;
        self.pass(room, from, [text]);
    }

    /// A reply without waiting; what goes through a translation, after what it does now.
    pub(super) fn reply_now(self: &Arc<Self>, ticket: &Ticket, text: Bytes) {
        if ticket.source() == Source::Client {
            return self.outbox.at_once().send([text]);
        }
        let (bridge, ticket) = (self.clone(), ticket.clone());
        tokio::spawn(async move { bridge.send(From::Reply(&ticket), text).await });
    }

    /// These requests turned out to be in the wrong era for the remote, which has not executed
    /// them.
    pub(super) fn cross(self: &Arc<Self>, tickets: &[Ticket], acknowledged: bool) {
        for ticket in tickets {
            if ticket.source() == Source::Translation {
                self.speak_as_the_client(ticket);
                continue;
            }
            let message = &ticket.call.message;
            if ticket.era() == Era::Legacy {
                self.leave_session_for(message);
            }
            let _turn = self.eras.turn();
            if self.pending.withdraw(ticket) {
                self.translate_in_turn(ticket.era(), |one| match acknowledged {
                    true => one.listening(message),
                    false => one.client(message),
                });
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

    /// The remote speaks the client's era after all, as it said to this request: what was
    /// translated goes to it as it is, but for what it may have executed.
    fn speak_as_the_client(self: &Arc<Self>, refused: &Ticket) {
        let era = refused.era().other();
        let _turn = self.eras.turn();
        if !self.pending.holds(refused) {
            return;
        }
        refused.mark_unsent();
        let Dissolved { open, told, settings, last } = self.eras.dissolve(era);
        let (lost, open): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|one| self.may_be_executed(&one.reach));
        let left = self.pending.all();
        for ticket in left.iter().filter(|one| one.source() == Source::Translation) {
            // Its answer would mean nothing to anybody.
            self.pending.cancel(&ticket.id);
        }
        self.answer_all(self.perform(era, last));
        // A session that the client believes in has to be begun before anything else.
        if let Some((initialize, result)) = told {
            self.session.set_listener(None);
            let told = Told::read(&result);
            if let Some(before) = self.session.begin_stand_in(&initialize, told) {
                self.delete_soon(before);
            }
            self.session.forget_settings();
            settings.iter().for_each(|setting| self.session.remember(setting));
            self.begin_soon();
        } else if era == Era::Modern {
            self.end_session();
        }
        let error = self.left_open();
        for id in lost.iter().filter_map(|one| one.message.id()) {
            self.answer(error_response(Some(&id), &error));
        }
        for Open { message, reach } in open {
            let taken = match reach {
                Reach::Acknowledged => self.take_acknowledged(message),
                _ => self.take(message, Source::Client),
            };
            if let Err(invalid) = taken {
                self.answer(super::incoming::invalid_response(&invalid));
            }
        }
    }

    /// True unless it is certain that the remote has not executed such a request.
    fn may_be_executed(&self, reach: &Reach) -> bool {
        match reach {
            Reach::Here | Reach::Acknowledged => false,
            // One that does not wait any more has its answer, which is on its way here.
            Reach::Sent(own) => self.pending.get(own).is_none_or(|ticket| ticket.was_sent()),
            Reach::Begun => true,
        }
    }

    fn left_open(&self) -> BridgeError {
        let remote = self.authorization.remote();
        let message = format!("{remote} speaks another generation of MCP since it was asked this");
        BridgeError::new(CLOSED, message).with_hint(LOOK)
    }

    /// Begins the session that a client believes in, without a request of the client.
    fn begin_soon(self: &Arc<Self>) {
        let (bridge, epoch) = (self.clone(), self.session.snapshot().epoch);
        tokio::spawn(async move {
            let begun = bridge.recover(epoch).await;
            bridge.log_refusal("a new session", begun);
        });
    }

    /// The legacy session is gone, and the remote is modern now.
    pub(super) fn leave_session(self: &Arc<Self>, initialize: &Message) {
        tracing::info!("the remote speaks a modern revision of MCP now; the session is translated");
        let settings = self.session.remembered();
        let told = self.session.snapshot().as_told();
        self.end_session();
        if self.eras.client() == Some(Era::Legacy) {
            // Should it be legacy after all, the session that the client believes in begins anew.
            self.session.leave(initialize, told);
            settings.iter().for_each(|setting| self.session.remember(setting));
            self.translate(Era::Legacy, |one| one.resume(initialize, &settings));
        }
    }

    /// The same, if there is one, for a request of the client that the remote refused.
    fn leave_session_for(self: &Arc<Self>, request: &Message) {
        let session = self.session.snapshot();
        if session.epoch == 0 || session.is_left() {
            return;
        }
        match self.session.initialize().filter(|_| request.method() != "initialize") {
            Some(initialize) => self.leave_session(&initialize),
            // The client begins anew by itself.
            None => self.end_session(),
        }
    }

    fn end_session(self: &Arc<Self>) {
        if let Some(before) = self.session.end() {
            self.delete_soon(before);
        }
    }

    /// Answers what translations still have, at the end; nothing comes of them any more.
    pub(super) fn end_translations(&self) {
        let error = BridgeError::new(CLOSED, "keyferry was asked to end before the answer came");
        let _turn = self.eras.turn();
        for era in [Era::Legacy, Era::Modern] {
            let open = self.eras.dissolve(era).open;
            for id in open.iter().filter_map(|one| one.message.id()) {
                let _ = self.outbox.try_send(error_response(Some(&id), &error));
            }
        }
    }
}

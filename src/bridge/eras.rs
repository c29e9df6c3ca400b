//! What is known of the eras of client and remote, and the translations between them.

use super::era::{Effect, Era, Open, ToLegacy, ToModern};
use super::refusal::Failure;
use crate::jsonrpc::{IdKey, Message};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a remote that has answered in an era is not doubted again after a doubt.
const DOUBT: Duration = Duration::from_secs(10);

pub(super) struct Eras {
    /// By flags: never found out, never doubted.
    fixed: Option<Era>,
    state: Mutex<State>,
    /// Held while a translation does something and that is done, so that one thing comes after
    /// the other.
    turn: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// Of the remote, as far as is known or assumed.
    remote: Option<Era>,
    /// It has answered in it.
    confirmed: bool,
    /// What the client spoke last.
    client: Option<Era>,
    /// What was kept of the last time has been read.
    recalled: bool,
    /// What it was.
    kept: Option<Era>,
    /// The first refusal since the remote last answered.
    refused: Option<Refusal>,
    doubted: Option<Instant>,
    to_modern: Option<ToModern>,
    to_legacy: Option<ToLegacy>,
    /// Of the requests whose time is limited, which one has that id.
    limited: HashMap<IdKey, u64>,
    last_limited: u64,
}

/// What a translation leaves when it ends.
#[derive(Default)]
pub(super) struct Dissolved {
    /// The requests of the client that it had.
    pub(super) open: Vec<Open>,
    /// The handshake that it answered.
    pub(super) told: Option<(Message, Bytes)>,
    /// What the client has set.
    pub(super) settings: Vec<Message>,
    /// What is left to be said.
    pub(super) last: Vec<Effect>,
}

struct Refusal {
    /// In which it refused.
    era: Era,
    said: Failure,
    /// It had answered in that era before, and does not say itself that it does not any more.
    is_doubt: bool,
}

/// What follows from a refusal.
pub(super) enum Verdict {
    /// It stands.
    Stands(Failure),
    /// The remote is taken to speak the other era from here on.
    Other,
}

impl Eras {
    pub(super) fn new(fixed: Option<Era>) -> Self {
        let state = Mutex::new(State { remote: fixed, ..State::default() });
        Self { fixed, state, turn: Mutex::default() }
    }

    /// A request of the client in this era.
    pub(super) fn client_speaks(&self, era: Era) {
        self.lock().client = Some(era);
    }

    pub(super) fn client(&self) -> Option<Era> {
        self.lock().client
    }

    /// True if messages of this era have to be translated for the remote.
    pub(super) fn crosses(&self, era: Era) -> bool {
        self.lock().remote.is_some_and(|remote| remote != era)
    }

    /// The era that the client spoke last, if it has to be translated for the remote.
    pub(super) fn crossing(&self) -> Option<Era> {
        let state = self.lock();
        state.client.filter(|client| state.remote.is_some_and(|remote| remote != *client))
    }

    /// True if the remote has answered in this era.
    pub(super) fn is_confirmed(&self, era: Era) -> bool {
        let state = self.lock();
        state.confirmed && state.remote == Some(era)
    }

    /// The remote has answered in this era. True if that is to be kept for the next time: it is
    /// not the client's own, which is tried first, or not what was kept.
    pub(super) fn confirm(&self, era: Era) -> bool {
        if self.fixed.is_some() {
            return false;
        }
        let mut state = self.lock();
        state.refused = None;
        (state.remote, state.confirmed) = (Some(era), true);
        let expected = state.kept.or(state.client).unwrap_or(era);
        let news = expected != era;
        if news {
            state.kept = Some(era);
        }
        news
    }

    /// True, once, if it is yet to be read what was kept of the last time.
    pub(super) fn must_recall(&self) -> bool {
        let mut state = self.lock();
        !std::mem::replace(&mut state.recalled, true) && state.remote.is_none()
    }

    /// The remote spoke this era the last time.
    pub(super) fn recall(&self, era: Era) {
        let mut state = self.lock();
        state.kept = Some(era);
        state.remote.get_or_insert(era);
    }

    /// The remote is taken to be legacy, if nothing is known of it. True if so.
    pub(super) fn assume_legacy(&self) -> bool {
        let mut state = self.lock();
        let unknown = state.remote.is_none() && state.refused.is_none();
        if unknown {
            state.remote = Some(Era::Legacy);
        }
        unknown
    }

    /// The remote refused a message of `era` in a way that points to the other one, for certain
    /// or perhaps.
    pub(super) fn refused(&self, era: Era, certain: bool, failure: Failure) -> Verdict {
        let mut state = self.lock();
        if self.fixed.is_some() {
            return Verdict::Stands(failure);
        }
        let was_confirmed = state.confirmed && state.remote == Some(era);
        if !certain && was_confirmed {
            // It worked before: perhaps something in between speaks.
            if state.doubted.is_some_and(|at| at.elapsed() < DOUBT) {
                return Verdict::Stands(failure);
            }
            state.doubted = Some(Instant::now());
        }
        match state.refused.take() {
            // It says itself that the doubt was wrong. The next refusal is none, until it has
            // answered again: this ends.
            Some(first) if first.era != era && first.is_doubt && certain => {
                (state.remote, state.confirmed) = (Some(first.era), false);
                Verdict::Other
            }
            // Neither era: what it said first is the truth about it, and nothing is known.
            Some(first) if first.era != era => {
                (state.remote, state.confirmed) = (None, false);
                Verdict::Stands(first.said)
            }
            _ => {
                let is_doubt = was_confirmed && !certain;
                state.refused = Some(Refusal { era, said: failure, is_doubt });
                (state.remote, state.confirmed) = (Some(era.other()), false);
                Verdict::Other
            }
        }
    }

    /// Lets the translation from the client's `era` do something, making one where there is none.
    pub(super) fn translate(
        &self,
        era: Era,
        remote: &dyn Fn() -> String,
        work: impl FnOnce(Translation<'_>) -> Vec<Effect>,
    ) -> Vec<Effect> {
        let mut state = self.lock();
        work(match era {
            Era::Legacy => Translation::ToModern(
                state.to_modern.get_or_insert_with(|| ToModern::new(ids("m"), remote())),
            ),
            Era::Modern => Translation::ToLegacy(
                state.to_legacy.get_or_insert_with(|| ToLegacy::new(ids("l"), remote())),
            ),
        })
    }

    /// The translation from the client's `era`, if there is one.
    pub(super) fn existing<T>(
        &self,
        era: Era,
        work: impl FnOnce(Translation<'_>) -> T,
    ) -> Option<T> {
        let mut state = self.lock();
        match era {
            Era::Legacy => state.to_modern.as_mut().map(Translation::ToModern).map(work),
            Era::Modern => state.to_legacy.as_mut().map(Translation::ToLegacy).map(work),
        }
    }

    /// The time of a request with this raw id is limited from now on.
    pub(super) fn limit(&self, id: &Bytes) -> u64 {
        let mut state = self.lock();
        state.last_limited += 1;
        let number = state.last_limited;
        state.limited.insert(IdKey::of(id), number);
        number
    }

    /// The time is over; true if no later request has the same id.
    pub(super) fn is_over(&self, id: &Bytes, number: u64) -> bool {
        let mut state = self.lock();
        let key = IdKey::of(id);
        let same = state.limited.get(&key) == Some(&number);
        if same {
            state.limited.remove(&key);
        }
        same
    }

    /// Takes the translation from the client's `era` away.
    pub(super) fn dissolve(&self, era: Era) -> Dissolved {
        let mut state = self.lock();
        match era {
            Era::Legacy => state.to_modern.take().map(|mut one| Dissolved {
                open: one.open(),
                told: one.told(),
                settings: one.settings(),
                last: one.end(),
            }),
            Era::Modern => state
                .to_legacy
                .take()
                .map(|one| Dissolved { open: one.open(), ..Dissolved::default() }),
        }
        .unwrap_or_default()
    }

    /// True if the client waits for something that a translation has.
    pub(super) fn is_awaited(&self) -> bool {
        let state = self.lock();
        state.to_modern.as_ref().is_some_and(ToModern::is_awaited)
            || state.to_legacy.as_ref().is_some_and(ToLegacy::is_awaited)
    }

    /// True while a translation has as much as may wait for a handshake.
    pub(super) fn is_full(&self) -> bool {
        let state = self.lock();
        state.to_modern.as_ref().is_some_and(ToModern::is_full)
            || state.to_legacy.as_ref().is_some_and(ToLegacy::is_full)
    }

    /// True where the revision that the client knows has batches, which no translation passes on.
    pub(super) fn has_batches(&self) -> bool {
        self.crossing().is_some()
            && self.lock().to_modern.as_ref().is_some_and(ToModern::has_batches)
    }

    /// Nothing that is called while this is held may want it, too.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the two.
pub(super) enum Translation<'a> {
    ToModern(&'a mut ToModern),
    ToLegacy(&'a mut ToLegacy),
}

impl Translation<'_> {
    pub(super) fn client(self, message: &Message) -> Vec<Effect> {
        match self {
            Self::ToModern(one) => one.client(message),
            Self::ToLegacy(one) => one.client(message),
        }
    }

    /// A subscription that was acknowledged already.
    pub(super) fn listening(self, message: &Message) -> Vec<Effect> {
        match self {
            Self::ToModern(one) => one.client(message),
            Self::ToLegacy(one) => one.listening(message),
        }
    }

    pub(super) fn remote(&mut self, message: &Message, origin: Option<&[u8]>) -> Vec<Effect> {
        match self {
            Self::ToModern(one) => one.remote(message, origin),
            Self::ToLegacy(one) => one.remote(message, origin),
        }
    }

    pub(super) fn tick(self, token: u64) -> Vec<Effect> {
        match self {
            Self::ToModern(one) => one.tick(token),
            Self::ToLegacy(one) => one.tick(token),
        }
    }

    pub(super) fn waits_for(self, id: &Bytes) -> bool {
        match self {
            Self::ToModern(one) => one.waits_for(id),
            Self::ToLegacy(one) => one.waits_for(id),
        }
    }

    /// The client shook hands in a session that is gone, and set this in it.
    pub(super) fn resume(self, initialize: &Message, settings: &[Message]) -> Vec<Effect> {
        match self {
            Self::ToModern(one) => one.resume(initialize, settings),
            Self::ToLegacy(_) => Vec::new(),
        }
    }
}

/// Unlike those of any client, and of the bridge's own requests.
fn ids(direction: &str) -> String {
    let random = getrandom::u32().unwrap_or(0);
    format!("keyferry-{direction}{random:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::BridgeError;

    fn failure(text: &str) -> Failure {
        BridgeError::new(-31004, text).into()
    }

    fn refused(eras: &Eras, era: Era, certain: bool, text: &str) -> Option<String> {
        match eras.refused(era, certain, failure(text)) {
            Verdict::Other => None,
            Verdict::Stands(Failure::Bridge(error)) => Some(error.message),
            Verdict::Stands(_) => panic!("not ours"),
        }
    }

    #[test]
    fn a_remote_that_refuses_both_eras_is_told_of_by_its_first_refusal() {
        let eras = Eras::new(None);
        assert_eq!(refused(&eras, Era::Legacy, false, "first"), None);
        assert!(eras.crosses(Era::Legacy) && !eras.crosses(Era::Modern));
        assert_eq!(refused(&eras, Era::Modern, false, "second"), Some("first".to_owned()));
        assert!(!eras.crosses(Era::Legacy) && !eras.crosses(Era::Modern));
        assert_eq!(refused(&eras, Era::Legacy, false, "third"), None, "each time anew");
    }

    #[test]
    fn a_remote_that_has_answered_is_doubted_now_and_then_only() {
        let eras = Eras::new(None);
        eras.client_speaks(Era::Legacy);
        assert!(eras.confirm(Era::Modern) && !eras.confirm(Era::Modern), "kept once");
        assert_eq!(refused(&eras, Era::Modern, false, "a"), None);
        eras.confirm(Era::Modern);
        assert_eq!(refused(&eras, Era::Modern, false, "b"), Some("b".to_owned()));
        assert_eq!(refused(&eras, Era::Modern, true, "c"), None, "what it says itself counts");
    }

    #[test]
    fn a_doubt_that_the_remote_dispels_costs_no_call() {
        let eras = Eras::new(None);
        eras.client_speaks(Era::Legacy);
        eras.confirm(Era::Modern);
        assert_eq!(refused(&eras, Era::Modern, false, "a page"), None);
        assert_eq!(refused(&eras, Era::Legacy, true, "not that"), None, "back");
        assert!(eras.crosses(Era::Legacy), "and it is translated again");
        assert_eq!(refused(&eras, Era::Modern, false, "a page"), None);
        let stands = refused(&eras, Era::Legacy, true, "not that");
        assert_eq!(stands, Some("a page".to_owned()), "not for ever");
    }

    #[test]
    fn a_remote_that_refuses_both_eras_for_certain_is_not_asked_for_ever() {
        let eras = Eras::new(None);
        eras.client_speaks(Era::Modern);
        eras.confirm(Era::Modern);
        assert_eq!(refused(&eras, Era::Modern, true, "first"), None);
        assert_eq!(refused(&eras, Era::Legacy, true, "second"), Some("first".to_owned()));
    }

    #[test]
    fn flags_decide_for_good() {
        let eras = Eras::new(Some(Era::Legacy));
        assert_eq!(refused(&eras, Era::Legacy, true, "a"), Some("a".to_owned()));
        eras.confirm(Era::Modern);
        assert!(eras.crosses(Era::Modern));
    }

    #[test]
    fn what_was_kept_counts_until_the_remote_answers_otherwise() {
        let eras = Eras::new(None);
        eras.client_speaks(Era::Legacy);
        assert!(eras.must_recall() && !eras.must_recall());
        eras.recall(Era::Modern);
        assert!(eras.crosses(Era::Legacy));
        assert_eq!(refused(&eras, Era::Modern, true, "a"), None);
        assert!(eras.confirm(Era::Legacy), "that is to be kept now");
    }
}

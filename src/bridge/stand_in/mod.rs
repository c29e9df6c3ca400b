//! The handshake never waits for a person: while one has to sign in, the client is answered
//! from here, with what was last seen of the remote or with a stand-in for it. When the
//! sign-in is done, the real remote takes its place without a restart.

mod answers;
mod asking;
mod elicitation;
mod live;
mod respond;
mod retried;
mod told;
mod tool;
mod waiting;

pub(super) use respond::Next;
pub(super) use told::{Lacks, Told};

use super::call::Call;
use super::era::Era;
use crate::authorization::{Credential, Need};
use elicitation::Elicitation;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a list waits for a quick sign-in, the way to that included.
const LISTS: Duration = Duration::from_secs(5);
/// How long a handshake waits for a credential, which may need the network or a keychain; with
/// [`SEEN`] it stays below the five seconds after which clients lose patience.
pub(super) const HANDSHAKE: Duration = Duration::from_millis(3500);
/// How long reading what was last seen may take.
pub(super) const SEEN: Duration = Duration::from_secs(1);

/// What the client asks for, as far as the stand-in treats it differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    /// `initialize` (legacy).
    Handshake,
    /// `server/discover` (modern).
    Discover,
    /// `ping` (legacy).
    Ping,
    /// `logging/setLevel` (legacy).
    Level,
    List(List),
    /// `subscriptions/listen` (modern).
    Listen,
    /// What only the remote can answer.
    Call,
}

/// A list of the remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Tools,
    Prompts,
    Resources,
    Templates,
}

/// Where the list that the client saw last came from.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// It saw none.
    #[default]
    Nothing,
    /// It was made here.
    StandIn,
    /// What was last seen of the remote.
    Seen,
    /// The remote.
    Live,
}

impl Wants {
    pub(super) fn of(call: &Call) -> Self {
        match (call.era, call.message.method()) {
            (Era::Legacy, "initialize") => Self::Handshake,
            (Era::Legacy, "ping") => Self::Ping,
            (Era::Legacy, "logging/setLevel") => Self::Level,
            (Era::Modern, "server/discover") => Self::Discover,
            (Era::Modern, "subscriptions/listen") => Self::Listen,
            (_, method) => List::of(method).map_or(Self::Call, Self::List),
        }
    }
}

impl List {
    pub(super) fn of(method: &str) -> Option<Self> {
        match method {
            "tools/list" => Some(Self::Tools),
            "prompts/list" => Some(Self::Prompts),
            "resources/list" => Some(Self::Resources),
            "resources/templates/list" => Some(Self::Templates),
            _ => None,
        }
    }

    /// What tells the client that it has changed.
    fn changed(self) -> &'static str {
        match self {
            Self::Tools => "notifications/tools/list_changed",
            Self::Prompts => "notifications/prompts/list_changed",
            Self::Resources | Self::Templates => "notifications/resources/list_changed",
        }
    }
}

/// What stands between a client and a remote that wants a person.
pub(super) struct StandIn {
    state: Mutex<State>,
    /// Whether a person is needed, as far as is known.
    needed: AtomicBool,
    /// `server/discover` was answered here, and the remote has not confirmed it.
    assumed_modern: AtomicBool,
    /// The remote answered a modern request with success.
    confirmed_modern: AtomicBool,
    /// A modern client was asked to open the link.
    elicited: AtomicBool,
    /// A task waits for the end of the sign-in.
    watched: AtomicBool,
    /// How often a person was needed and then was not any more.
    accepted: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    need: Option<Need>,
    /// Nobody could say in time whether there is one.
    late: bool,
    /// The credential that did not do.
    refused: Option<Arc<Credential>>,
    /// By [`List`].
    shown: [Shown; 4],
    /// Lists are held until then for the sign-in that runs.
    lists_until: Option<Instant>,
    tools_held: bool,
    /// What a legacy client is asked.
    elicitation: Option<Elicitation>,
}

impl Default for StandIn {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            needed: AtomicBool::default(),
            assumed_modern: AtomicBool::default(),
            confirmed_modern: AtomicBool::default(),
            elicited: AtomicBool::default(),
            watched: AtomicBool::default(),
            accepted: watch::channel(0).0,
        }
    }
}

impl StandIn {
    /// A person is needed, as `refused` did not do.
    fn needs(&self, need: &Need, late: bool, refused: Option<Arc<Credential>>) {
        let mut state = self.lock();
        state.need = Some(need.clone());
        state.late = late;
        state.refused = refused;
        self.needed.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_needed(&self) -> bool {
        self.needed.load(Ordering::Relaxed)
    }

    /// What the person is needed for, and whether that is only assumed.
    fn need(&self) -> Option<(Need, bool)> {
        let state = self.lock();
        state.need.clone().map(|need| (need, state.late))
    }

    /// True if this credential was none, or did not do.
    fn is_refused(&self, credential: &Credential) -> bool {
        match &self.lock().refused {
            Some(refused) => refused.headers == credential.headers,
            None => credential.origin == crate::authorization::Origin::Nothing,
        }
    }

    /// No person is needed any more.
    pub(super) fn met(&self) {
        self.needed.store(false, Ordering::Relaxed);
        let mut state = self.lock();
        (state.need, state.refused, state.lists_until) = (None, None, None);
        drop(state);
        self.accepted.send_modify(|times| *times += 1);
    }

    /// Resolves, once, whenever a person was needed and is not any more.
    pub(super) fn acceptance(&self) -> watch::Receiver<usize> {
        self.accepted.subscribe()
    }

    /// How often that was so far.
    pub(super) fn acceptances(&self) -> usize {
        *self.accepted.borrow()
    }

    /// The client begins anew.
    fn forget_lists(&self) {
        let mut state = self.lock();
        state.shown = Default::default();
        state.tools_held = false;
    }

    fn show(&self, list: List, shown: Shown) {
        self.lock().shown[list as usize] = shown;
    }

    fn shown(&self, list: List) -> Shown {
        self.lock().shown[list as usize]
    }

    /// The notifications for the lists that the client did not get from the remote.
    pub(super) fn stale(&self) -> Vec<&'static str> {
        let state = self.lock();
        let mut stale = Vec::new();
        for list in [List::Tools, List::Prompts, List::Resources, List::Templates] {
            // What was made here stays known as that until the client has seen the real one.
            let shown = state.shown[list as usize];
            if matches!(shown, Shown::StandIn | Shown::Seen) && !stale.contains(&list.changed()) {
                stale.push(list.changed());
            }
        }
        stale
    }

    /// A sign-in runs: lists are held for a while from now, unless they were already.
    fn hold_lists(&self, now: Instant) {
        self.lock().lists_until.get_or_insert(now + LISTS);
    }

    fn release_lists(&self) {
        self.lock().lists_until = None;
    }

    /// Until when a list may wait that waits since `now`: the first list of tools has its own
    /// five seconds.
    fn held_until(&self, list: List, now: Instant) -> Instant {
        let mut state = self.lock();
        let until = if list == List::Tools && !std::mem::replace(&mut state.tools_held, true) {
            now + LISTS
        } else {
            state.lists_until.unwrap_or(now).min(now + LISTS)
        };
        state.lists_until = Some(until);
        until
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_list_of_tools_is_held_when_the_window_is_over() {
        let stand_in = StandIn::default();
        let now = Instant::now();
        stand_in.hold_lists(now);
        assert_eq!(stand_in.held_until(List::Prompts, now), now + LISTS);
        let later = now + LISTS * 2;
        stand_in.hold_lists(later);
        assert_eq!(stand_in.held_until(List::Prompts, later), now + LISTS);
        assert_eq!(stand_in.held_until(List::Tools, later), later + LISTS);
        assert_eq!(stand_in.held_until(List::Resources, later), later + LISTS);
        assert_eq!(stand_in.held_until(List::Tools, later + LISTS * 2), later + LISTS);
    }

    #[test]
    fn lists_that_did_not_come_from_the_remote_are_announced_once_each() {
        let stand_in = StandIn::default();
        stand_in.show(List::Tools, Shown::Live);
        stand_in.show(List::Resources, Shown::StandIn);
        stand_in.show(List::Templates, Shown::StandIn);
        assert_eq!(stand_in.stale(), ["notifications/resources/list_changed"]);
    }
}

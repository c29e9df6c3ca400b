//! Calls whose client has been asked something: the remote's request stays in flight until the
//! client comes again with the answers (MCP 2026-07-28, "Multi Round-Trip Requests").

use super::capabilities::Offers;
use super::questions::Question;
use super::request::Request;
use super::{Call, ToLegacy, Waiter, answers};
use crate::jsonrpc::{IdKey, Message};
use std::time::Duration;

/// How long a client may take over its answers.
const PATIENCE: Duration = Duration::from_secs(600);
/// Clients that are to come again, and bytes of answers that are kept for them.
const MANY: usize = 1000;
const ANSWERS: usize = 64 * 1024 * 1024;
/// Notifications that are kept for one of them.
const HELD: usize = 256;
const HELD_BYTES: usize = 1024 * 1024;

/// What happens to a call while its client is away.
#[derive(Debug, Default)]
pub(super) struct Parked {
    pub(super) round: u64,
    /// What the client was asked.
    pub(super) asked: Vec<Question>,
    /// What it will be asked when it comes again.
    pub(super) next: Vec<Question>,
    held: Vec<Message>,
    held_bytes: usize,
    pub(super) answer: Option<Message>,
}

impl Parked {
    /// Keeps a notification, unless there are too many.
    pub(super) fn hold(&mut self, message: Message) {
        let size = message.text().len();
        if self.held.len() < HELD && self.held_bytes + size <= HELD_BYTES {
            self.held_bytes += size;
            self.held.push(message);
        }
    }

    /// All that the remote still waits for.
    pub(super) fn questions(self) -> impl Iterator<Item = Question> {
        self.asked.into_iter().chain(self.next)
    }
}

/// What a `requestState` of ours stands for.
#[derive(Debug)]
pub(super) enum Round {
    /// A call that the remote is still at.
    Call(u64),
    /// A call that the remote ended until links were opened: their keys.
    Links { method: String, questions: Vec<Question> },
}

impl ToLegacy {
    fn state(&self, round: u64) -> String {
        format!("{}-state-{round}", self.ids.prefix())
    }

    /// The number of the round, if the state was made here.
    fn round_of(&self, state: &str) -> Option<u64> {
        let number = state.strip_prefix(self.ids.prefix())?.strip_prefix("-state-")?;
        Some(number.parse().unwrap_or(u64::MAX))
    }

    pub(super) fn is_own_state(&self, state: &str) -> bool {
        self.round_of(state).is_some()
    }

    /// Answers the client with questions; its call goes on.
    pub(super) fn park(&mut self, number: u64, asked: Vec<Question>) {
        let round = self.begin_round(Round::Call(number));
        let state = self.state(round);
        let Some(call) = self.calls.get_mut(&number) else { return };
        let id = call.request.id();
        let text = answers::input_required(&id, asked.iter(), &state);
        let parked = call.parked.get_or_insert_default();
        parked.round = round;
        parked.asked = asked;
        self.clients.remove(&IdKey::of(&id));
        self.tell_client(text);
        self.keep_within_bounds();
    }

    /// Answers the client with questions that are not the remote's own requests.
    pub(super) fn park_links(&mut self, request: &Request, questions: Vec<Question>) {
        let method = request.method().to_owned();
        let round = self.begin_round(Round::Links { method, questions: questions.clone() });
        let text = answers::input_required(&request.id(), questions.iter(), &self.state(round));
        self.tell_client(text);
        self.keep_within_bounds();
    }

    fn begin_round(&mut self, round: Round) -> u64 {
        let number = self.ids.next();
        self.rounds.insert(number, round);
        self.after(PATIENCE, number);
        number
    }

    /// The oldest go when there are too many.
    fn keep_within_bounds(&mut self) {
        while self.rounds.len() > MANY
            && let Some((round, _)) = self.rounds.first_key_value()
        {
            self.expire(*round);
        }
    }

    /// The same for what their answers weigh; the newest stays in any case.
    pub(super) fn keep_within_weight(&mut self, newest: u64) {
        let weight = |call: &Call| {
            let answer = call.parked.as_ref().and_then(|parked| parked.answer.as_ref());
            answer.map(|answer| answer.text().len())
        };
        let kept = self.calls.iter().filter_map(|(number, call)| Some((*number, weight(call)?)));
        let kept: Vec<_> = kept.filter(|(number, _)| *number != newest).collect();
        let newest = self.calls.get(&newest).and_then(weight).unwrap_or_default();
        let mut bytes = newest + kept.iter().map(|(_, weight)| weight).sum::<usize>();
        for (number, weight) in kept {
            if bytes <= ANSWERS {
                return;
            }
            self.give_up(number, None);
            bytes -= weight;
        }
    }

    /// The client did not come again.
    pub(super) fn expire(&mut self, round: u64) {
        if let Some(Round::Call(number)) = self.rounds.remove(&round) {
            self.give_up(number, None);
        }
    }

    /// A request that may be a retry; returned if it has to be sent to the remote.
    pub(super) fn retried(&mut self, request: Request) -> Option<Request> {
        let round = request.state().and_then(|state| self.round_of(&state));
        let Some(round) = round else { return Some(request) };
        match self.rounds.remove(&round) {
            Some(Round::Call(number)) if self.is_method_of(number, &request) => {
                self.resume(number, request);
                None
            }
            Some(Round::Links { method, questions }) if method == request.method() => {
                self.links_answered(request, questions)
            }
            other => {
                self.rounds.extend(other.map(|other| (round, other)));
                let why = format!(
                    "the call to {} that this requestState belongs to is over, waited too long \
                     or was of another method; make the call again without requestState",
                    self.remote
                );
                self.refuse(&request.id(), -32602, why);
                None
            }
        }
    }

    fn is_method_of(&self, number: u64, request: &Request) -> bool {
        self.calls.get(&number).is_some_and(|call| call.request.method() == request.method())
    }

    /// The client has come again: its answers go to the remote, and the call is that of the
    /// retry from now on.
    fn resume(&mut self, number: u64, request: Request) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        let Some(mut parked) = call.parked.take() else { return };
        self.clients.insert(IdKey::of(&request.id()), Waiter::Call(number));
        call.offers = Offers::of(request.capabilities());
        call.level = request.level().unwrap_or(call.level);
        call.request = request;
        let request = call.request.clone();
        let mut open = Vec::new();
        for question in parked.asked {
            match request.response(&question.key) {
                Some(response) => self.tell_remote(question.response(&response)),
                None => open.push(question),
            }
        }
        for message in std::mem::take(&mut parked.held) {
            self.tell_call(number, message);
        }
        open.append(&mut parked.next);
        if let Some(answer) = parked.answer {
            self.forget_call(number);
            self.conclude(&request, &answer);
            return self.route_again(open);
        }
        let offers = Offers::of(request.capabilities());
        let (open, refused): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|question| offers.refusal(question).is_none());
        for question in refused {
            self.refuse_remote(&question.id, -32601, "the client cannot be asked this any more");
        }
        if !open.is_empty() {
            self.park(number, open);
        }
    }
}

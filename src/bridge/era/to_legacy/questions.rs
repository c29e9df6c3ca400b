//! Requests of the remote: questions that the client is asked in the answer to its own request
//! (MCP 2026-07-28, "Multi Round-Trip Requests").

use super::edits::{Edits, without};
use super::parked::Parked;
use super::{Asked, ToLegacy, answers};
use crate::jsonrpc::object::{Items, find, get, string};
use crate::jsonrpc::{IdKey, Message, same_id};
use bytes::Bytes;

/// Questions that wait for a call to be asked with, and those of one call.
const MANY: usize = 100;

/// What the remote asks of the client.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// The remote's own raw id.
    pub(super) id: Bytes,
    /// Names it in `inputRequests` and `inputResponses`.
    pub(super) key: String,
    pub(super) method: &'static str,
    /// Raw, in modern words.
    pub(super) params: Option<Bytes>,
    pub(super) is_url: bool,
    pub(super) with_tools: bool,
    /// The raw task that it belongs to (MCP 2025-11-25, "Associating Task-Related Messages").
    related: Option<Bytes>,
    /// It came on the stream of the call that it is asked with.
    pub(super) is_of_call: bool,
}

impl Question {
    pub(super) fn new(id: Bytes, key: String, method: &'static str, params: Option<&[u8]>) -> Self {
        let params = params.unwrap_or_default();
        let mode = get(params, "mode").and_then(string);
        let is_url = method == ELICIT && mode.as_deref() == Some("url");
        let with_tools = method == SAMPLE
            && ["tools", "toolChoice"].iter().any(|name| get(params, name).is_some());
        // Neither tasks nor a later word on a link are part of the modern era.
        let gone: &[&str] = if is_url { &["elicitationId", "task"] } else { &["task"] };
        let related = related_task(params).map(Bytes::copy_from_slice);
        let params = if gone.iter().any(|name| find(params, 0, name).is_some()) {
            without(params, gone)
        } else {
            Bytes::copy_from_slice(params)
        };
        let params = Some(params).filter(|params| !params.is_empty());
        Self { id, key, method, params, is_url, with_tools, related, is_of_call: false }
    }

    /// The response with what the client answers.
    pub(super) fn response(&self, result: &Bytes) -> Bytes {
        let Some(related) = self.related.as_ref().filter(|_| get(result, "_meta").is_none()) else {
            return answers::response(&self.id, result);
        };
        let count = Items::object(result, 0).map_or(0, Iterator::count);
        let mut edits = Edits::default();
        if result.starts_with(b"{") {
            let related = String::from_utf8_lossy(related);
            edits.put_first(0, &format!(r#""_meta":{{"{RELATED}":{related}}}"#), count);
        }
        answers::response(&self.id, &edits.apply(result))
    }
}

const RELATED: &str = "io.modelcontextprotocol/related-task";

/// The raw task that these params say they belong to.
pub(super) fn related_task(params: &[u8]) -> Option<&[u8]> {
    get(get(params, "_meta")?, RELATED)
}

pub(super) const ELICIT: &str = "elicitation/create";
const SAMPLE: &str = "sampling/createMessage";

impl ToLegacy {
    /// A request of the remote.
    pub(super) fn asked(&mut self, message: &Message, origin: Option<&[u8]>) {
        let id = message.id().unwrap_or_default();
        let method = match message.method() {
            "ping" => return self.tell_remote(answers::response(&id, b"{}")),
            ELICIT => ELICIT,
            SAMPLE => SAMPLE,
            "roots/list" => "roots/list",
            _ => return self.refuse_remote(&id, -32601, "the client does not know this method"),
        };
        let key = self.ids.next_plain();
        let question = Question::new(id, key, method, message.params());
        let params = message.params().unwrap_or_default();
        let origin = self.call_of(origin).or_else(|| self.call_of_task(params));
        self.route(question, origin);
    }

    /// The call on one of whose streams something came.
    pub(super) fn call_of(&self, origin: Option<&[u8]>) -> Option<u64> {
        match self.asked.get(&IdKey::of(&Bytes::copy_from_slice(origin?)))? {
            Asked::Call(number) | Asked::TaskGet(number) | Asked::TaskResult(number) => {
                Some(*number)
            }
            _ => None,
        }
    }

    /// Finds the call to ask it with: the one that it came for, else the one that has waited
    /// longest, else the next.
    fn route(&mut self, mut question: Question, origin: Option<u64>) {
        if let Some(number) = origin
            && let Some(call) = self.calls.get(&number).filter(|call| call.may_ask())
        {
            let refusal = call.offers.refusal(&question);
            question.is_of_call = true;
            return match refusal {
                Some((code, why)) => self.refuse_remote(&question.id, code, why),
                None => self.ask_with(number, question),
            };
        }
        let mut refusal = None;
        let mut parked = None;
        let mut waiting = None;
        for (number, call) in self.calls.iter().filter(|(_, call)| call.may_ask()) {
            match call.offers.refusal(&question) {
                Some(_) if call.is_parked() => {}
                Some(why) => refusal = Some(why),
                None if call.is_answered() => {}
                None if call.is_parked() => parked = parked.or(Some(*number)),
                None => {
                    waiting = Some(*number);
                    break;
                }
            }
        }
        if let Some(number) = waiting.or(parked) {
            return self.ask_with(number, question);
        }
        // A list that waits for the answer would wait for ever.
        let lost = (-32601, "the client cannot be asked before it makes a call");
        let refusal = refusal.or(origin.map(|_| lost));
        match refusal.or_else(|| self.session.offers().refusal(&question)) {
            Some((code, why)) => self.refuse_remote(&question.id, code, why),
            None if self.questions.len() >= MANY => self.too_many(&question),
            None => self.questions.push(question),
        }
    }

    fn ask_with(&mut self, number: u64, question: Question) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        match &mut call.parked {
            Some(parked) if parked.next.len() >= MANY => self.too_many(&question),
            Some(parked) => parked.next.push(question),
            None => self.park(number, vec![question]),
        }
    }

    fn too_many(&mut self, question: &Question) {
        self.refuse_remote(&question.id, -32603, "too many requests wait for the client");
    }

    /// What was asked before there was a call to ask it with.
    pub(super) fn ask_what_waits(&mut self, number: u64) {
        let Some(call) = self.calls.get(&number) else { return };
        let offers = call.offers;
        let (now, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.questions)
            .into_iter()
            .partition(|question| offers.refusal(question).is_none());
        self.questions = later;
        if !now.is_empty() {
            self.park(number, now);
        }
    }

    /// What a call left over when it ended: perhaps it was asked for another's sake.
    pub(super) fn route_again(&mut self, questions: Vec<Question>) {
        for question in questions {
            if question.is_of_call {
                self.refuse_question(&question);
            } else {
                self.route(question, None);
            }
        }
    }

    /// Nobody is asked any more what belonged to this call.
    pub(super) fn refuse_questions(&mut self, parked: Option<Box<Parked>>) {
        for question in parked.into_iter().flat_map(|parked| parked.questions()) {
            self.refuse_question(&question);
        }
    }

    fn refuse_question(&mut self, question: &Question) {
        self.refuse_remote(&question.id, -32603, "the call that this was asked for is over");
    }

    /// The remote does not want to know it any more.
    pub(super) fn withdraw(&mut self, message: &Message) {
        let id = message.params().and_then(|params| get(params, "requestId")).unwrap_or_default();
        let stays = |question: &Question| !same_id(&question.id, id);
        self.questions.retain(stays);
        for call in self.calls.values_mut() {
            if let Some(parked) = &mut call.parked {
                parked.asked.retain(stays);
                parked.next.retain(stays);
            }
        }
    }
}

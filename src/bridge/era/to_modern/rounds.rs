//! Multi round-trip requests (MCP 2026-07-28): what the remote needs is asked of the client, and
//! the call is sent again with the answers and the untouched `requestState`.

use super::calls::Stage;
use super::members::Object;
use super::question::{Kind, Question, Whose, compose};
use super::{Timer, ToModern};
use crate::jsonrpc::Message;
use bytes::Bytes;
use std::time::Duration;

/// How often one call is sent, and how much it may ask for at a time.
pub(super) const ROUNDS: u32 = 50;
pub(super) const QUESTIONS: usize = 100;
/// The pause before a call that only has to be sent again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

impl ToModern {
    pub(super) fn input_required(&mut self, call: u64, text: &Bytes, result: &Object) {
        let requests = result.value(text, "inputRequests");
        let state = result.value(text, "requestState").map(|range| text.slice(range));
        let Some(waiting) = self.calls.get_mut(call) else { return };
        waiting.rounds += 1;
        waiting.stage = Stage::Waiting;
        waiting.inputs = requests.as_ref().map(|_| Vec::new());
        waiting.state = state;
        let round = waiting.rounds;
        if round >= ROUNDS {
            let what = format!("asked {ROUNDS} times for more and never answered");
            return self.refuse(call, &self.senseless(&what));
        }
        if requests.is_none() && waiting.state.is_none() {
            let error = self.senseless("asked for input without saying which");
            return self.refuse(call, &error);
        }
        match requests.and_then(|range| Object::read(text, range.start)) {
            Some(requests) if !requests.members().is_empty() => self.ask(call, text, &requests),
            _ => {
                let wait = Duration::from_millis(250) * (1 << (round - 1).min(10));
                self.after(wait.min(LONGEST_PAUSE), Timer::Again { call, round });
            }
        }
    }

    fn ask(&mut self, call: u64, text: &Bytes, requests: &Object) {
        let requests = requests.members();
        if requests.len() > QUESTIONS {
            let error = self.senseless("asked for too much at once");
            return self.refuse(call, &error);
        }
        let (mut inputs, mut composed) = (Vec::new(), Vec::new());
        for request in requests {
            let number = self.ids.next();
            let raw = &text[request.value.clone()];
            match compose(&self.identity, raw, &self.ids.raw(number), None) {
                Ok((text, kind)) => composed.push((number, text, kind)),
                Err(what) => return self.refuse(call, &self.senseless(&what)),
            }
            inputs.push((text.slice(request.key.start - 1..request.key.end + 1), None));
        }
        if let Some(waiting) = self.calls.get_mut(call) {
            waiting.inputs = Some(inputs);
        }
        for (nth, (number, text, kind)) in composed.into_iter().enumerate() {
            let whose = Whose::Call { call, nth };
            self.questions.insert(number, Question { whose, kind });
            self.tell_client(text);
        }
    }

    /// The pause of a call is over.
    pub(super) fn again(&mut self, call: u64, round: u32) {
        let waiting = self.calls.get(call);
        if waiting.is_some_and(|call| call.rounds == round && call.stage == Stage::Waiting) {
            self.send_round(call);
        }
    }

    /// The client's answer to a question.
    pub(super) fn replied(&mut self, message: &Message) {
        let number = message.id().and_then(|id| self.ids.number(&id));
        let question = number.and_then(|number| self.questions.remove(&number));
        let Some(Question { whose, kind }) = question else { return };
        let answer = match message.result_range() {
            Some(range) => message.text().slice(range),
            // Whatever kept it from asking: the person has not answered.
            None if kind == Kind::Elicitation => Bytes::from_static(br#"{"action":"cancel"}"#),
            None => return self.not_given(&whose, message),
        };
        match whose {
            Whose::Call { call, nth } => self.input_given(call, nth, answer),
            Whose::Task { task, key } => self.update_task(&task, &key, &answer),
        }
    }

    fn input_given(&mut self, call: u64, nth: usize, answer: Bytes) {
        let Some(waiting) = self.calls.get_mut(call) else { return };
        let inputs = waiting.inputs.get_or_insert_default();
        if let Some(input) = inputs.get_mut(nth) {
            input.1 = Some(answer);
        }
        if inputs.iter().all(|(_, answer)| answer.is_some()) {
            self.send_round(call);
        }
    }

    /// The client cannot give what was asked for: that is the answer of the call.
    fn not_given(&mut self, whose: &Whose, error: &Message) {
        match whose {
            Whose::Call { call, .. } => {
                self.withdraw(|whose| whose.is_of_call(*call));
                self.pass_error(*call, error);
            }
            Whose::Task { task, key } => self.task_not_given(task, key, error),
        }
    }
}

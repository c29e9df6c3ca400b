//! Where each message goes: which topic it belongs to, and whether it may be sent yet.

use super::request::{Change, Request};
use super::{Asked, MANY, Queued, ToLegacy, Why, answers};
use crate::jsonrpc::{IdKey, Kind, Message};

impl ToLegacy {
    pub(super) fn requested(&mut self, message: &Message, acknowledged: bool) {
        let request = match Request::read(message.clone()) {
            Ok(request) => request,
            Err(invalid) => {
                let id = message.id().unwrap_or_default();
                return self.refuse(&id, invalid.code, format!("invalid request: {}", invalid.why));
            }
        };
        let method = request.method();
        if method == "initialize" || method.starts_with("tasks/") {
            let why = format!("method not found: {}", method.escape_debug());
            return self.refuse(&request.id(), -32601, why);
        }
        if self.clients.len() >= MANY {
            return self.refuse(&request.id(), -32603, "too many requests wait for their answers");
        }
        if let Some(request) = self.retried(request) {
            self.dispatch(request, acknowledged);
        }
    }

    /// Answers the request, sends it, or has it wait.
    pub(super) fn dispatch(&mut self, request: Request, acknowledged: bool) {
        let Some(remote) = self.session.remote() else {
            return self.await_session(request, acknowledged);
        };
        match request.method() {
            _ if request.message.kind() != Kind::Request => {
                self.tell_remote(request.to_legacy(&Change::default()));
            }
            "server/discover" => {
                let version = request.version();
                let text = answers::discovered(&request.id(), version.as_deref(), remote);
                self.tell_client(text);
            }
            "subscriptions/listen" => self.listen(request, acknowledged),
            _ if self.is_lacking(&request) => self.await_better(request),
            _ => self.send_at_level(request),
        }
    }

    pub(super) fn notified(&mut self, message: &Message) {
        match message.method() {
            "notifications/cancelled" => self.cancel(message),
            // Sent here.
            "notifications/initialized" => {}
            _ => {
                let Ok(request) = Request::read(message.clone()) else { return };
                if self.session.is_opening() && self.queue.len() < MANY {
                    self.queue_up(Queued { request, why: Why::Session, acknowledged: false });
                } else if self.session.remote().is_some() {
                    self.dispatch(request, false);
                }
            }
        }
    }

    pub(super) fn answered(&mut self, answer: &Message) {
        let asked = answer.id().and_then(|id| self.asked.remove(&IdKey::of(&id)));
        match asked {
            Some(Asked::Initialize) => self.shaken_hands(answer),
            Some(Asked::Level) => self.level_answered(answer),
            Some(Asked::Subscribe(uri)) => self.subscribed(&uri, answer),
            Some(Asked::Unsubscribe(uri)) => self.unsubscribed(&uri),
            Some(Asked::Call(number)) => self.called(number, answer),
            Some(Asked::TaskGet(number)) => self.task_seen(number, answer),
            Some(Asked::TaskResult(number)) => self.finish(number, answer),
            Some(Asked::InVain) => self.called_in_vain(answer),
            Some(Asked::Nothing) | None => {}
        }
    }

    pub(super) fn told(&mut self, message: &Message, origin: Option<&[u8]>) {
        let origin = self.call_of(origin);
        match message.method() {
            "notifications/progress" => self.progress(message, origin),
            "notifications/message" => self.log_message(message, origin),
            "notifications/cancelled" => self.withdraw(message),
            "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed"
            | "notifications/resources/updated" => self.changed(message),
            // Of no meaning in the modern era.
            "notifications/elicitation/complete" | "notifications/tasks/status" => {}
            _ => match origin {
                Some(number) => self.tell_call(number, message.clone()),
                None => self.tell_client(message.text().clone()),
            },
        }
    }
}

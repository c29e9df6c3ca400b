//! Links that have to be opened before a call is made again: an error up to 2025-11-25 (MCP
//! 2025-11-25, "URL Elicitation Required Error"), a question in the modern era.

use super::capabilities::Offers;
use super::questions::{ELICIT, Question};
use super::request::Request;
use super::{ToLegacy, answers};
use crate::jsonrpc::Message;
use crate::jsonrpc::object::{Items, get, string};
use bytes::Bytes;

/// Links of one error.
const MANY: usize = 100;

impl ToLegacy {
    /// The remote wants links opened first.
    pub(super) fn ask_for_links(&mut self, request: &Request, answer: &Message) {
        let id = request.id();
        let elicitations = answer
            .error()
            .and_then(|error| get(get(error, "data")?, "elicitations"))
            .unwrap_or_default();
        let items = Items::array(elicitations, 0).into_iter().flatten().map_while(Result::ok);
        let links: Vec<_> = items
            .take(MANY)
            .map(|item| &elicitations[item.value])
            .filter(|link| get(link, "url").is_some())
            .map(|link| Question::new(Bytes::new(), self.ids.next_plain(), ELICIT, Some(link)))
            .collect();
        if links.is_empty() {
            return self.tell_client(answers::modern(answer, &id, request.method()));
        }
        if !Offers::of(request.capabilities()).url {
            return self.tell_client(answers::opens_no_links(answer, &id));
        }
        self.park_links(request, links);
    }

    /// The client has come again: the request, if the remote is to see it.
    pub(super) fn links_answered(
        &mut self,
        request: Request,
        questions: Vec<Question>,
    ) -> Option<Request> {
        let response = |question: &Question| request.response(&question.key);
        let accepted = |response: Bytes| {
            get(&response, "action").and_then(string).as_deref() == Some("accept")
        };
        if questions.iter().filter_map(response).any(|response| !accepted(response)) {
            let why = format!("{} needs a link opened for this, which was declined", self.remote);
            self.refuse(&request.id(), -32603, why);
            return None;
        }
        let open: Vec<_> =
            questions.iter().filter(|question| response(question).is_none()).cloned().collect();
        if open.is_empty() {
            return Some(request);
        }
        self.park_links(&request, open);
        None
    }
}

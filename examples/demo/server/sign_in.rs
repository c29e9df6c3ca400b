//! The authorization endpoint (RFC 6749 section 3.1): a page to sign in at, then consent.

use hyper::StatusCode;
use url::Url;

use super::http::{Asked, Parameters, Reply, plain, with_body, with_header};
use super::page;
use super::tokens::Code;
use super::{Seen, State, random};

/// Somebody at the sign-in page.
pub(super) struct Visit {
    request: Parameters,
    person: Option<String>,
}

impl State {
    pub(super) fn sign_in_page(&mut self, asked: &Asked) -> Reply {
        let parameter = |name: &str| asked.query.get(name).map_or("", String::as_str);
        let client = self.clients.get(parameter("client_id"));
        let redirect = parameter("redirect_uri");
        let known =
            client.is_some_and(|client| client.redirect_uris.iter().any(|uri| uri == redirect));
        let wrong = if !known {
            Some("no such client, or not its redirect URI")
        } else if parameter("response_type") != "code" {
            Some("response_type is not code")
        } else if parameter("code_challenge").is_empty()
            || parameter("code_challenge_method") != "S256"
        {
            Some("no PKCE challenge")
        } else if parameter("resource") != self.url() {
            Some("the resource is another one")
        } else {
            None
        };
        if let Some(wrong) = wrong {
            self.note(Seen::Refused(wrong.to_owned()));
            return with_body(StatusCode::BAD_REQUEST, "text/html; charset=utf-8", page::refusal());
        }
        self.note(Seen::SignInPage);
        let id = random("visit");
        let page = page::sign_in(&id, &self.url());
        self.visits.insert(id, Visit { request: asked.query.clone(), person: None });
        with_body(StatusCode::OK, "text/html; charset=utf-8", page)
    }

    /// The first form came back.
    pub(super) fn signed_in(&mut self, asked: &Asked) -> Reply {
        let form = asked.form();
        let id = form.get("visit").cloned().unwrap_or_default();
        let name = form.get("name").map_or("", |name| name.trim());
        let person: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
        let Some(visit) = self.visits.get_mut(&id) else {
            return plain(StatusCode::BAD_REQUEST);
        };
        if person.is_empty() {
            let page = page::sign_in(&id, &self.url());
            return with_body(StatusCode::OK, "text/html; charset=utf-8", page);
        }
        visit.person = Some(person.clone());
        let page = page::consent(&id, &person);
        self.note(Seen::SignedIn { person });
        with_body(StatusCode::OK, "text/html; charset=utf-8", page)
    }

    /// The second form came back: the browser goes home, with a code or without.
    pub(super) fn decided(&mut self, asked: &Asked) -> Reply {
        let form = asked.form();
        let visit = form.get("visit").and_then(|id| self.visits.remove(id));
        let Some((Visit { request, person: Some(person) }, back)) =
            visit.and_then(|visit| visit.redirect().map(|back| (visit, back)))
        else {
            return plain(StatusCode::BAD_REQUEST);
        };
        let outcome = if form.get("decision").is_some_and(|decision| decision == "allow") {
            let code = self.secret("code");
            self.codes.insert(code.clone(), Code::new(request.clone(), person));
            ("code", code)
        } else {
            self.note(Seen::Denied);
            ("error", "access_denied".to_owned())
        };
        let mut back = back;
        let mut query = back.query_pairs_mut();
        query.append_pair(outcome.0, &outcome.1);
        query.append_pair("iss", &self.issuer);
        if let Some(state) = request.get("state") {
            query.append_pair("state", state);
        }
        drop(query);
        with_header(plain(StatusCode::SEE_OTHER), "location", back.as_str())
    }
}

impl Visit {
    /// It was checked when the page was asked for.
    fn redirect(&self) -> Option<Url> {
        Url::parse(self.request.get("redirect_uri")?).ok()
    }
}

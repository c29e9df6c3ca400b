//! The authorization endpoint (RFC 6749, section 4.1; RFC 7636; RFC 8707; RFC 9207).

use super::script::{Consent, Iss, Resource, Script};
use super::state::{Code, covers};
use super::{Asked, Client, Provider};
use crate::support::http::Wire;
use crate::support::web;

impl Provider {
    pub(super) fn authorize(&self, asked: &Asked, wire: Wire) {
        assert_eq!(asked.method, "GET");
        let Some(client) = self.known_client(asked) else {
            return page(wire, "unknown client");
        };
        let redirect_uri = asked.param("redirect_uri").expect("a redirect_uri");
        if !client.redirects_to(redirect_uri, self.script().any_port) {
            return page(wire, "the redirect URI is not registered");
        }
        let answer = self.authorization_response(asked, &client, redirect_uri);
        let mut location = redirect_uri.to_owned();
        for (name, value) in answer.into_iter().chain(self.iss()) {
            let pair = url::form_urlencoded::Serializer::new(String::new())
                .append_pair(&name, &value)
                .finish();
            location.push(if location.contains('?') { '&' } else { '?' });
            location.push_str(&pair);
        }
        wire.reply(302, &[("Location", &location)], b"");
    }

    /// A registered one, or one that is described by the document at its id.
    fn known_client(&self, asked: &Asked) -> Option<Client> {
        let id = asked.param("client_id").expect("a client_id");
        self.state().clients.get(id).cloned()
    }

    fn authorization_response(
        &self,
        asked: &Asked,
        client: &Client,
        redirect_uri: &str,
    ) -> Vec<(String, String)> {
        let state = asked.param("state").expect("a state").to_owned();
        assert!(state.len() >= 16, "state is easy to guess: {state}");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let fail = |error: &str, description: &str| {
            let error = [pair("error", error), pair("error_description", description)];
            error.into_iter().chain([("state".to_owned(), state.clone())]).collect()
        };
        assert_eq!(asked.param("response_type"), Some("code"));
        assert_eq!(asked.param("code_challenge_method"), Some("S256"));
        let challenge = asked.param("code_challenge").expect("a code_challenge").to_owned();
        assert_eq!(challenge.len(), 43, "a SHA-256 in base64url");
        let script = self.script();
        self.check_resource(&script, asked);
        let scope = asked.param("scope");
        if let (Some(asked), Some(registered)) = (scope, &client.scope)
            && !covers(Some(registered), asked)
        {
            return fail("invalid_scope", "not what the client was registered with");
        }
        if let Consent::Error(error, description) = script.consent {
            return fail(error, description);
        }
        let mut remembered = self.state();
        let resource = asked.param("resource");
        let granted = script.grants_only.or(scope);
        let grant = remembered.grant(&client.id, script.user, granted, resource);
        let code = remembered.secret("code");
        let (client, redirect_uri) = (client.id.clone(), redirect_uri.to_owned());
        let spent = false;
        let issued = Code { client, redirect_uri, challenge, grant, spent };
        remembered.codes.insert(code.clone(), issued);
        vec![pair("code", &code), ("state".to_owned(), state)]
    }

    /// RFC 8707; one resource, spelled as it was published.
    pub(super) fn check_resource(&self, script: &Script, asked: &Asked) {
        let resource = asked.param("resource");
        match script.resource {
            Resource::Any => {}
            Resource::Forbidden => assert_eq!(resource, None, "{}", asked.path),
            Resource::Required => {
                let known = self.state().resources.clone();
                let named = resource.unwrap_or_else(|| panic!("no resource: {asked:?}"));
                assert!(known.iter().any(|known| known == named), "{named} is none of {known:?}");
            }
        }
    }

    fn iss(&self) -> Vec<(String, String)> {
        let issuer = self.issuer();
        let iss = |value: &str| ("iss".to_owned(), value.to_owned());
        match &self.script().iss {
            Iss::Right => vec![iss(&issuer)],
            Iss::Missing => Vec::new(),
            Iss::Is(other) => vec![iss(other)],
            Iss::Twice => vec![iss(&issuer), iss(&issuer)],
        }
    }
}

/// An error that must not go to a redirect URI nobody has checked.
fn page(wire: Wire, text: &str) {
    wire.reply(400, &[("Content-Type", "text/html")], format!("<p>{text}</p>").as_bytes());
}

/// True if `verifier` is what `challenge` was made of (RFC 7636, section 4.6).
pub(super) fn proves(verifier: &str, challenge: &str) -> bool {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use sha2::Digest;
    assert!((43..=128).contains(&verifier.len()), "{verifier}");
    URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(verifier)) == challenge
}

/// The callback URL that a visit of `link` ends at, without going there.
#[track_caller]
pub(crate) fn callback_of(link: &str) -> String {
    let reply = web::get(link);
    assert_eq!(reply.status, 302, "{link}: {}", reply.body);
    reply.header("location").expect("a location").to_owned()
}

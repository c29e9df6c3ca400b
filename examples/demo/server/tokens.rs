//! The token endpoint: codes with PKCE (RFC 7636), short-lived access tokens, refresh tokens
//! that are good for one use (OAuth 2.1 section 4.3.1); revocation (RFC 7009).

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::StatusCode;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::http::{self, Asked, Parameters, Reply, plain};
use super::{Seen, State};

/// Of an access token.
pub(crate) const LIFE: Duration = Duration::from_secs(5);
const CODE_LIFE: Duration = Duration::from_secs(60);

/// An authorization code and the request it answers.
pub(super) struct Code {
    request: Parameters,
    person: String,
    made: Instant,
}

/// One sign-in and its tokens.
pub(super) struct Grant {
    pub(super) person: String,
    client_id: String,
    /// Of the access token: 1 from the code, one more with each refresh.
    number: u32,
    access: Option<String>,
    ends: Instant,
    refresh: Option<String>,
    spent: Vec<String>,
}

impl Code {
    pub(super) fn new(request: Parameters, person: String) -> Self {
        Self { request, person, made: Instant::now() }
    }

    fn fits(&self, form: &Parameters) -> bool {
        let verifier = form.get("code_verifier").map_or("", String::as_str);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        let same =
            |name: &str| form.get(name).is_some() && form.get(name) == self.request.get(name);
        self.made.elapsed() < CODE_LIFE
            && self.request.get("code_challenge") == Some(&challenge)
            && same("client_id")
            && same("redirect_uri")
            && same("resource")
    }
}

impl Grant {
    pub(super) fn is_alive(&self) -> bool {
        self.refresh.is_some() || self.access.is_some() && Instant::now() < self.ends
    }

    fn end(&mut self) {
        (self.access, self.refresh) = (None, None);
    }
}

impl State {
    pub(super) fn token(&mut self, asked: &Asked) -> Reply {
        let form = asked.form();
        match form.get("grant_type").map(String::as_str) {
            Some("authorization_code") => self.exchange(&form),
            Some("refresh_token") => self.rotate(&form),
            _ => self.refuse("unsupported_grant_type", "another grant was asked for"),
        }
    }

    fn exchange(&mut self, form: &Parameters) -> Reply {
        let code = form.get("code").and_then(|code| self.codes.remove(code));
        let Some(code) = code.filter(|code| code.fits(form)) else {
            return self.refuse("invalid_grant", "the code, or what came with it, is wrong");
        };
        self.note(Seen::CodeExchanged { person: code.person.clone() });
        self.grants.push(Grant {
            person: code.person,
            client_id: form.get("client_id").cloned().unwrap_or_default(),
            number: 0,
            access: None,
            ends: Instant::now(),
            refresh: None,
            spent: Vec::new(),
        });
        self.issue(self.grants.len() - 1)
    }

    fn rotate(&mut self, form: &Parameters) -> Reply {
        let token = form.get("refresh_token").cloned().unwrap_or_default();
        if let Some(thief) = self.grants.iter_mut().find(|grant| grant.spent.contains(&token)) {
            thief.end();
            self.note(Seen::ReusedRefreshToken);
            return http::json(StatusCode::BAD_REQUEST, &json!({"error": "invalid_grant"}));
        }
        let own = |grant: &Grant| {
            grant.refresh.as_ref() == Some(&token)
                && form.get("client_id") == Some(&grant.client_id)
        };
        let Some(at) = self.grants.iter().position(own) else {
            return self.refuse("invalid_grant", "the refresh token is none of ours");
        };
        self.grants[at].spent.push(token);
        let (person, token) = (self.grants[at].person.clone(), self.grants[at].number + 1);
        self.note(Seen::Refreshed { person, token });
        self.issue(at)
    }

    /// The next pair of tokens of this grant.
    fn issue(&mut self, at: usize) -> Reply {
        let (access, refresh) = (self.secret("access"), self.secret("refresh"));
        let grant = &mut self.grants[at];
        grant.number += 1;
        grant.ends = Instant::now() + LIFE;
        grant.access = Some(access.clone());
        grant.refresh = Some(refresh.clone());
        let answer = json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": LIFE.as_secs(),
            "refresh_token": refresh,
            "scope": "tools"
        });
        http::json(StatusCode::OK, &answer)
    }

    fn refuse(&mut self, error: &str, why: &str) -> Reply {
        self.note(Seen::Refused(why.to_owned()));
        http::json(StatusCode::BAD_REQUEST, &json!({"error": error, "error_description": why}))
    }

    pub(super) fn revoke(&mut self, asked: &Asked) -> Reply {
        let token = asked.form().remove("token");
        for at in 0..self.grants.len() {
            let grant = &mut self.grants[at];
            if token.is_some() && grant.refresh == token {
                grant.refresh = None;
                self.note(Seen::RevokedRefreshToken);
            } else if token.is_some() && grant.access == token {
                grant.access = None;
                self.note(Seen::RevokedAccessToken);
            }
        }
        plain(StatusCode::OK)
    }

    /// Whose token this is, and which one.
    ///
    /// # Errors
    /// Why it is not good.
    pub(super) fn holder(&self, token: Option<&str>) -> Result<(String, u32), &'static str> {
        let token = token.ok_or("without a token")?;
        let own = |grant: &&Grant| grant.access.as_deref() == Some(token);
        let grant = self.grants.iter().find(own).ok_or("with a token that is not valid")?;
        if Instant::now() >= grant.ends {
            return Err("with a token that has expired");
        }
        Ok((grant.person.clone(), grant.number))
    }

    pub(super) fn userinfo(&self, asked: &Asked) -> Reply {
        match self.holder(asked.bearer()) {
            Ok((person, _)) => {
                let claims = json!({"sub": person.to_lowercase(), "preferred_username": person});
                http::json(StatusCode::OK, &claims)
            }
            Err(_) => plain(StatusCode::UNAUTHORIZED),
        }
    }
}

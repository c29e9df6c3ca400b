//! A login endpoint that takes a user name and a password, and returns a token.

use super::api_key::{KeyError, Placement};
use super::details::{placed, shown_url};
use super::lifetime::{Lifetime, end_of_jwt};
use super::words::Words;
use super::{Minted, json};
use crate::secret::{Secret, sealed};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use url::form_urlencoded;
use zeroize::Zeroizing;

#[cfg(test)]
mod tests;

/// Where the token is looked for unless the person says where it is.
const TOKEN_POINTERS: [&str; 2] = ["/access_token", "/token"];
/// Where servers say what is wrong, the most telling first.
const SAID_AT: [&str; 8] = [
    "/error_description",
    "/message",
    "/message/0",
    "/detail",
    "/error/message",
    "/error",
    "/errors/0/message",
    "/title",
];

/// What is posted where, and where the token is in the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Password {
    pub login_url: String,
    pub username: String,
    #[serde(with = "sealed")]
    pub password: Secret<String>,
    pub body: BodyForm,
    /// A JSON pointer (RFC 6901); none: `/access_token`, then `/token`.
    pub token_pointer: Option<String>,
    pub placement: Placement,
}

/// The form of the request's body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyForm {
    #[default]
    Json,
    Form,
}

/// Why the login endpoint gave no token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PasswordError {
    /// A 4xx, or anything else that asking again does not change.
    #[error("the login endpoint refused (HTTP {status})")]
    Refused { status: u16, said: Words },
    /// 5xx, 408 or 429: asking again later may help.
    #[error("the login endpoint is out of order (HTTP {status})")]
    OutOfOrder { status: u16, said: Words },
    /// It said yes, and gave no token where one was looked for.
    #[error("the answer of the login endpoint (HTTP {status}) holds no token at {pointer}")]
    NoToken { status: u16, said: Words, pointer: String },
    #[error("the answer of the login endpoint cannot be sent as a token: {0}")]
    Unsendable(#[from] KeyError),
}

impl PasswordError {
    /// The server's own words, not cleaned: without the password, never a whole document.
    pub fn said(&self) -> Option<&str> {
        match self {
            Self::Refused { said, .. }
            | Self::OutOfOrder { said, .. }
            | Self::NoToken { said, .. } => Some(said.as_str()).filter(|said| !said.is_empty()),
            Self::Unsendable(_) => None,
        }
    }
}

/// Whether `text` can be a [`Password::token_pointer`].
pub fn is_token_pointer(text: &str) -> bool {
    json::is_pointer(text)
}

impl Password {
    /// What `list` shows.
    pub fn details(&self) -> BTreeMap<String, Value> {
        let login_url = shown_url(&self.login_url);
        placed(
            &self.placement,
            [("login_url", json!(login_url)), ("username", json!(self.username))],
        )
    }

    /// Content type and body of the POST to the login endpoint.
    pub fn request(&self) -> (&'static str, Secret<Vec<u8>>) {
        match self.body {
            BodyForm::Json => ("application/json", self.json()),
            BodyForm::Form => ("application/x-www-form-urlencoded", self.form()),
        }
    }

    fn json(&self) -> Secret<Vec<u8>> {
        #[derive(Serialize)]
        struct Login<'a> {
            username: &'a str,
            password: &'a str,
        }
        let login = Login { username: &self.username, password: self.password.expose() };
        let mut body = self.room();
        // Two strings into memory: this cannot fail.
        let _ = serde_json::to_writer(&mut body, &login);
        Secret::new(body)
    }

    fn form(&self) -> Secret<Vec<u8>> {
        // Made of nothing yet, it is UTF-8.
        let room = String::from_utf8(self.room()).unwrap_or_default();
        let mut form = form_urlencoded::Serializer::new(room);
        form.append_pair("username", &self.username);
        form.append_pair("password", self.password.expose());
        Secret::new(form.finish().into_bytes())
    }

    /// Enough for the worst encoding: a vector that grows would leave clear copies behind.
    fn room(&self) -> Vec<u8> {
        Vec::with_capacity(64 + 6 * (self.username.len() + self.password.expose().len()))
    }

    /// The token of an answer, put into its header. It ends as `expires_in` or `expires_at`
    /// beside it or at the top says, else with the `exp` of a JWT. `now` in seconds since 1970.
    ///
    /// # Errors
    /// [`PasswordError`], named for whether asking again may help.
    pub fn read(
        &self,
        status: u16,
        body: &Secret<Vec<u8>>,
        now: u64,
    ) -> Result<Minted, PasswordError> {
        let body = body.expose();
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let body = Zeroizing::new(String::from_utf8_lossy(body).into_owned());
        match status {
            200..=299 => {}
            408 | 429 | 500.. => {
                return Err(PasswordError::OutOfOrder { status, said: self.said(&body) });
            }
            _ => return Err(PasswordError::Refused { status, said: self.said(&body) }),
        }
        let Some((pointer, token)) = self.token(&body) else {
            // Text that is no JSON may be the token itself.
            let said =
                if json::at(&body, "").is_some() { self.said(&body) } else { Words::default() };
            return Err(PasswordError::NoToken { status, said, pointer: self.looked_at() });
        };
        let beside = pointer.rfind('/').and_then(|end| json::at(&body, &pointer[..end]));
        let expires_at = [beside, Some(&body)]
            .into_iter()
            .flatten()
            .find_map(|object| Lifetime::of(object).ends_at(now))
            .or_else(|| end_of_jwt(token.expose(), now));
        let headers = vec![self.placement.header(&token)?];
        Ok(Minted { headers, key: Some(token), expires_at })
    }

    /// The token, and the pointer that found it.
    fn token(&self, body: &str) -> Option<(&str, Secret<String>)> {
        let pointers = match &self.token_pointer {
            Some(pointer) => std::slice::from_ref(pointer).iter().map(String::as_str).collect(),
            None => TOKEN_POINTERS.to_vec(),
        };
        pointers.into_iter().find_map(|pointer| {
            let token = json::text(body, pointer)?;
            Some((pointer, Secret::new(token.trim().to_owned())))
        })
    }

    /// For people.
    fn looked_at(&self) -> String {
        self.token_pointer.clone().unwrap_or_else(|| TOKEN_POINTERS.join(" or "))
    }

    /// What the server says for people: a member of JSON, or the first line of plain text.
    fn said(&self, body: &str) -> Words {
        let member = SAID_AT.into_iter().find_map(|pointer| json::text(body, pointer));
        let line = || {
            let text = body.trim_start();
            let plain = !text.starts_with(['<', '{', '[', '"']);
            plain.then(|| Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
        };
        let said = member.or_else(line).unwrap_or_default();
        match self.password.expose().as_str() {
            "" => Words::new(&said),
            // Some repeat what they got.
            password => Words::new(&Zeroizing::new(said.replace(password, "[redacted]"))),
        }
    }
}

//! What failed on the way to a credential, in words that name the server, the cause and the
//! next step.

use super::Machine;
use crate::authorization::recipe::Recipe;
use crate::authorization::remote::quoted;
use crate::authorization::{AuthorizationError, Kind};
use crate::credential::api_key::Placement;
use crate::credential::jwt::DEFAULT_TTL;
use crate::credential::password::{BodyForm, PasswordError};
use crate::oauth::discovery::DiscoveryError;
use crate::oauth::{TokenError, WebError, host_of};
use reqwest::header::AUTHORIZATION;
use serde_json::Value;
use std::collections::BTreeMap;

/// Details of a record, and the flags of `login` that give them; in the order of the help.
const FLAGS: [(&str, &str); 16] = [
    ("client_id", "--client-id"),
    ("scopes", "--scope"),
    ("issuer", "--issuer"),
    ("token_endpoint", "--token-endpoint"),
    ("resource", "--resource"),
    ("algorithm", "--alg"),
    ("private_key", "--private-key"),
    ("key_id", "--key-id"),
    ("assertion_file", "--assertion-file"),
    ("login_url", "--login-url"),
    ("username", "--username"),
    ("command", "--command"),
    ("idp_issuer", "--idp-issuer"),
    ("idp_client_id", "--idp-client-id"),
    ("idp_token_endpoint", "--idp-token-endpoint"),
    ("id_token_file", "--id-token-file"),
];
/// Claims that are among the details.
const SHOWN: [&str; 3] = ["iss", "sub", "aud"];

/// The flags that teach these details, for a shell.
pub(in crate::authorization) fn flags(kind: Kind, details: &BTreeMap<String, Value>) -> String {
    let mut flags = String::new();
    for (name, flag) in FLAGS {
        if kind == Kind::Jwt && name == "issuer" {
            continue;
        }
        let value = match details.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(all)) => {
                all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
            }
            _ => continue,
        };
        if !value.is_empty() {
            flags.push_str(&format!(" {flag} {}", quoted(&value)));
        }
    }
    let claims = [("issuer", "iss"), ("subject", "sub"), ("audience", "aud")];
    for (name, claim) in claims.iter().filter(|_| kind == Kind::Jwt) {
        let value = match details.get(*name) {
            Some(Value::String(text)) => text.clone(),
            None | Some(Value::Null) => continue,
            Some(other) => other.to_string(),
        };
        flags.push_str(&format!(" --claim {}", quoted(&format!("{claim}={value}"))));
    }
    flags
}

/// All flags that teach this recipe, but for its secret.
pub(in crate::authorization) fn flags_of(recipe: &Recipe) -> String {
    let mut text = flags(recipe.kind(), &recipe.details());
    let mut add = |flag: &str, value: &str| text.push_str(&format!(" {flag} {}", quoted(value)));
    match recipe {
        Recipe::Jwt(jwt) => {
            if let Some(path) = jwt.key.as_ref().and_then(|key| key.path.as_ref()) {
                add("--private-key", &path.to_string_lossy());
            }
            for (name, value) in jwt.claims.iter().filter(|(name, _)| !SHOWN.contains(&&***name)) {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                add("--claim", &format!("{name}={value}"));
            }
            if jwt.ttl != DEFAULT_TTL {
                add("--ttl", &jwt.ttl.to_string());
            }
            place(&mut add, &jwt.placement);
        }
        Recipe::Password(password) => {
            if password.body == BodyForm::Form {
                add("--body", "form");
            }
            if let Some(pointer) = &password.token_pointer {
                add("--token-pointer", pointer);
            }
            place(&mut add, &password.placement);
        }
        Recipe::Command(command) => {
            // They are sealed, as some put there what they should not.
            command.args.iter().for_each(|_| add("--command-arg", "..."));
            place(&mut add, &command.placement);
        }
        Recipe::Grant(grant) => {
            if grant.target.no_resource {
                text.push_str(" --disable-resource-parameter");
            }
        }
        Recipe::CloudflareAccess(_) => {}
    }
    text
}

fn place(add: &mut impl FnMut(&str, &str), placement: &Placement) {
    let default = placement.header == AUTHORIZATION.as_str();
    if !default {
        add("--key-header", &placement.header);
    }
    match placement.scheme.as_deref() {
        Some("Bearer") if default => {}
        None if !default => {}
        scheme => add("--key-scheme", scheme.unwrap_or("none")),
    }
}

impl Machine {
    /// `why` may quote a server or a program.
    pub(super) fn failed(&self, recipe: &Recipe, why: &str) -> AuthorizationError {
        let why = self.tokens.redactor.clean(why);
        AuthorizationError::SignInNeeded {
            message: format!(
                "there is no {} credential for {}: {why}",
                recipe.kind(),
                self.tokens.whom()
            ),
            hint: self.login_command(recipe),
        }
    }

    /// The identity provider will not have the ID token.
    pub(super) fn subject_refused(
        &self,
        recipe: &Recipe,
        server: &str,
        error: &TokenError,
    ) -> AuthorizationError {
        match (self.not_granted(recipe, server, error), error) {
            (AuthorizationError::SignInNeeded { message, hint }, TokenError::Refused(_)) => {
                AuthorizationError::Refused { message, hint }
            }
            (other, _) => other,
        }
    }

    pub(super) fn unavailable(&self, recipe: &Recipe, why: &str) -> AuthorizationError {
        let why = self.tokens.redactor.clean(why);
        let (kind, whom) = (recipe.kind(), self.tokens.whom());
        let message = format!("there is no {kind} credential for {whom} now: {why}");
        AuthorizationError::Unavailable { message }
    }

    pub(super) fn unasked(&self, recipe: &Recipe, error: &WebError) -> AuthorizationError {
        match error {
            WebError::Refused { .. } | WebError::Redirected { .. } | WebError::TooLarge { .. } => {
                self.failed(recipe, &error.to_string())
            }
            _ => self.unavailable(recipe, &error.to_string()),
        }
    }

    pub(super) fn not_logged_in(
        &self,
        recipe: &Recipe,
        url: &str,
        error: &PasswordError,
    ) -> AuthorizationError {
        let host = host_of(url);
        let said = error.said().map(|said| format!(": {said}")).unwrap_or_default();
        let why = format!("{host}: {error}{said}");
        match error {
            PasswordError::OutOfOrder { .. } => self.unavailable(recipe, &why),
            _ => self.failed(recipe, &why),
        }
    }

    pub(super) fn not_granted(
        &self,
        recipe: &Recipe,
        server: &str,
        error: &TokenError,
    ) -> AuthorizationError {
        let why = match error.response() {
            Some(response) => format!("{server} gave no token: {}", response.told()),
            None => format!("{server} gave no token: {error}"),
        };
        match error {
            TokenError::Unavailable(_) | TokenError::Lost(_) => self.unavailable(recipe, &why),
            TokenError::Refused(_) | TokenError::Malformed { .. } => self.failed(recipe, &why),
        }
    }

    pub(super) fn undiscovered(
        &self,
        recipe: &Recipe,
        error: &DiscoveryError,
    ) -> AuthorizationError {
        match error {
            DiscoveryError::Unavailable { .. } | DiscoveryError::Client(_) => {
                self.unavailable(recipe, &error.to_string())
            }
            DiscoveryError::Nothing { .. } => {
                let why =
                    format!("{error}; name its authorization server: --issuer or --token-endpoint");
                self.failed(recipe, &why)
            }
            DiscoveryError::Refused { .. } => self.failed(recipe, &error.to_string()),
        }
    }

    /// The command that teaches this anew.
    pub(super) fn login_command(&self, recipe: &Recipe) -> String {
        let login = self.tokens.remote.login_command(Some(recipe.kind().name()));
        format!("{login}{}", flags_of(recipe))
    }
}

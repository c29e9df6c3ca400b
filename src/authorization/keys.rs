//! Headers from keys and flags, and what to say when they are of no use.

use super::remote::quoted;
use super::{
    Authorization, AuthorizationError, HeaderPart, HeaderTemplate, Kind, KindError, Origin,
};
use crate::credential::api_key::{KeyError, Placement};
use crate::secret::Secret;
use crate::vault::RecordKey;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

impl Authorization {
    pub(super) fn put_key(
        &self,
        headers: &mut HeaderMap,
        placement: Option<&Placement>,
        key: &Secret<String>,
    ) -> Result<(), AuthorizationError> {
        self.redactor.learn(key.expose());
        let default = Placement::new(None, None);
        let placed = match placement {
            Some(placement) => placement.header(key),
            None => default.and_then(|placement| placement.header(key)),
        };
        let (name, value) = placed.map_err(|error| self.bad_key(&error))?;
        headers.insert(name, value);
        Ok(())
    }

    pub(super) async fn value_of(
        &self,
        header: &HeaderTemplate,
    ) -> Result<HeaderValue, AuthorizationError> {
        let mut text = Zeroizing::new(String::new());
        for part in &header.parts {
            match part {
                HeaderPart::Text(piece) => text.push_str(piece.expose()),
                HeaderPart::Vault(name) => {
                    let secret = self.named(name, &header.name).await?;
                    self.redactor.learn(secret.expose());
                    text.push_str(secret.expose());
                }
            }
        }
        let mut value = HeaderValue::from_str(&text).map_err(|_| self.bad_header(&header.name))?;
        value.set_sensitive(true);
        Ok(value)
    }

    async fn named(
        &self,
        name: &str,
        header: &HeaderName,
    ) -> Result<Secret<String>, AuthorizationError> {
        let found = self.vault.read(&RecordKey::Named(name.to_owned()), self.deadline).await?;
        let text = found.and_then(|record| String::from_utf8(record.payload.expose().clone()).ok());
        text.map(Secret::new).ok_or_else(|| AuthorizationError::SignInNeeded {
            message: format!(
                "the header {header} needs the secret '{name}', which the vault does not have"
            ),
            hint: format!("keyferry secret set {name}"),
        })
    }

    pub(super) fn never_taught(&self) -> AuthorizationError {
        let kind = self.plan.kind.unwrap_or(Kind::ApiKey);
        AuthorizationError::SignInNeeded {
            message: format!(
                "the vault has no {kind} credential as these flags ask for {} (account {})",
                self.remote,
                self.remote.account()
            ),
            hint: self.login_command(kind),
        }
    }

    pub(super) fn unusable(&self, error: KindError) -> AuthorizationError {
        AuthorizationError::SignInNeeded {
            message: format!("the credential stored for {} is of no use: {error}", self.remote),
            hint: self.login_command(Kind::ApiKey),
        }
    }

    fn bad_key(&self, error: &KeyError) -> AuthorizationError {
        AuthorizationError::SignInNeeded {
            message: format!("the key for {} cannot be sent: {error}", self.remote),
            hint: self.login_command(Kind::ApiKey),
        }
    }

    fn bad_header(&self, name: &HeaderName) -> AuthorizationError {
        AuthorizationError::SignInNeeded {
            message: format!("the header {name} holds a character that HTTP does not allow"),
            hint: "check the secret and the --header flag for line breaks".into(),
        }
    }

    /// What to say when the remote will not have the credential it was shown.
    pub fn refused(&self, origin: Origin) -> AuthorizationError {
        let message = match origin {
            Origin::Nothing => format!("{} wants a credential and there is none", self.remote),
            Origin::Flags => format!("{} refused the credential that the flags give", self.remote),
            Origin::Record => format!(
                "{} refused the stored key of account '{}'",
                self.remote,
                self.remote.account()
            ),
            Origin::Token => format!("{} refuses this sign-in", self.tokens.whom()),
        };
        let login = self.login_command(Kind::ApiKey);
        let hint = match origin {
            // Flags win over what is stored: a login alone would change nothing.
            Origin::Flags if self.plan.key.is_some() => {
                "correct the key that --secret-env or --secret-file gives".to_owned()
            }
            Origin::Flags if self.flags_suffice() => {
                "correct the header that --header or --header-file gives".to_owned()
            }
            Origin::Flags => {
                format!("correct what --header or --header-file gives, or teach the key: {login}")
            }
            Origin::Nothing if self.flags_suffice() => {
                format!("leave --with none away and teach the key: {login}")
            }
            Origin::Nothing | Origin::Record => login,
            Origin::Token => format!("{} --force", self.remote.login_command(None)),
        };
        AuthorizationError::SignInNeeded { message, hint }
    }

    /// With the flags for the key's place that this process was given, too.
    fn login_command(&self, kind: Kind) -> String {
        let mut command = self.remote.login_command(Some(kind.name()));
        let Some(placement) = self.plan.placement.as_ref().filter(|_| kind == Kind::ApiKey) else {
            return command;
        };
        let default_scheme = if placement.header == AUTHORIZATION.as_str() {
            Some("Bearer")
        } else {
            command.push_str(&format!(" --key-header {}", quoted(&placement.header)));
            None
        };
        if placement.scheme.as_deref() != default_scheme {
            let scheme = placement.scheme.as_deref().unwrap_or("none");
            command.push_str(&format!(" --key-scheme {}", quoted(scheme)));
        }
        command
    }
}

//! What the vault was taught, headers from keys, and what to say when they are of no use.

use super::machine::{flags, flags_of};
use super::remote::quoted;
use super::tokens::is_sign_in;
use super::{
    Asked, Authorization, AuthorizationError, CLAIMS, Kind, KindError, Origin, Recipe, Taught,
    record,
};
use crate::credential::api_key::{KeyError, Placement};
use crate::secret::Secret;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::Value;
use std::time::Duration;

/// How long a look at a private key may take.
const LOOK: Duration = Duration::from_secs(1);

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

    /// What was taught of a key, or of needing none.
    pub(super) async fn key_record(&self) -> Result<Option<Taught>, AuthorizationError> {
        let Some(taught) = self.taught().await? else {
            return match self.plan.kind {
                Some(Kind::ApiKey) => Err(self.never_taught()),
                _ => Ok(None),
            };
        };
        if self.plan.kind.is_some_and(|kind| kind != taught.kind()) {
            return Err(self.never_taught());
        }
        let wanted = self.plan.placement.as_ref();
        match taught.kind() {
            Kind::ApiKey if wanted.is_none() || wanted == taught.placement.as_ref() => {
                Ok(Some(taught))
            }
            Kind::None => Ok(None),
            _ => Err(self.never_taught()),
        }
    }

    /// How to come by a credential without a person, and whether that is the vault's.
    pub(super) async fn recipe(&self) -> Result<Option<(Recipe, bool)>, AuthorizationError> {
        if self.plan.kind.is_none()
            && (self.plan.key.is_some() || self.plan.placement.is_some())
            && let Some(kind) = self.stored_kind().filter(|kind| kind.is_made())
        {
            // As a key, the secret of another kind would go to the remote itself.
            return Err(AuthorizationError::SignInNeeded {
                message: format!(
                    "the flags may mean a key, or the {kind} credential that is stored for {}",
                    self.remote
                ),
                hint: format!("say which: --with api-key or --with {kind}"),
            });
        }
        if self.brings_authorization() || self.plan.key.is_some() {
            return Ok(None);
        }
        let signed_in = self.desk.was_signed_in();
        let by_sign_in = match self.plan.kind {
            _ if self.plan.oauth.enterprise.is_some() => true,
            None => signed_in,
            // Flags that do not say how: what was taught is a sign-in.
            Some(Kind::Enterprise) => signed_in && matches!(self.plan.asked, Asked::LacksFlag(_)),
            Some(_) => false,
        };
        let kind = self.plan.kind.or_else(|| self.stored_kind());
        if by_sign_in || !kind.is_some_and(Kind::is_made) {
            return Ok(None);
        }
        let own = match &self.plan.asked {
            Asked::Whole(recipe) => Some(&**recipe),
            Asked::LacksSecret { otherwise, .. } => otherwise.as_deref(),
            _ => None,
        };
        let taught = match self.taught().await {
            Ok(taught) => taught.and_then(|taught| taught.recipe),
            // Flags that say it all need no vault.
            Err(_) if own.is_some() => None,
            Err(error) => return Err(error),
        };
        let taught = taught.filter(|recipe| match &self.plan.asked {
            Asked::Whole(own) => own.is_same(recipe),
            _ => self.is_wanted(recipe),
        });
        match (taught, own) {
            (Some(taught), _) => Ok(Some((taught, true))),
            (None, Some(own)) => Ok(Some((self.with_passphrase(own).await?, false))),
            (None, None) => Err(self.never_taught()),
        }
    }

    fn is_wanted(&self, recipe: &Recipe) -> bool {
        let known = recipe.all_details();
        let is_known = |(name, value): (&String, &Value)| match (known.get(name), value) {
            // Each of several claims.
            (Some(Value::Array(known)), Value::Array(asked)) if name == CLAIMS => {
                asked.iter().all(|one| known.contains(one))
            }
            (known, _) => known == Some(value),
        };
        self.plan.kind.is_none_or(|kind| kind == recipe.kind())
            && self.plan.wanted.iter().all(is_known)
    }

    /// The vault may know the passphrase of a key that the flags name.
    async fn with_passphrase(&self, recipe: &Recipe) -> Result<Recipe, AuthorizationError> {
        let mut recipe = recipe.clone();
        let Some(file) = recipe.key_file() else { return Ok(recipe) };
        // Off the loop: it may be a pipe that nobody writes to.
        let looked_at = file.clone();
        let looking = tokio::task::spawn_blocking(move || looked_at.lacks_passphrase());
        let lacks = tokio::time::timeout(LOOK, looking).await;
        if !lacks.is_ok_and(|lacks| lacks.unwrap_or(false)) {
            return Ok(recipe);
        }
        if let Some(Taught { recipe: Some(mut known), .. }) = self.taught().await?
            && let Some(known) = known.key_file().filter(|known| known.path == file.path)
        {
            file.passphrase = known.passphrase.take();
        }
        Ok(recipe)
    }

    /// The record, unless a sign-in with OAuth left it.
    pub(super) async fn taught(&self) -> Result<Option<Taught>, AuthorizationError> {
        let Some(found) = self.vault.read(&self.remote.record(), self.deadline).await? else {
            return Ok(None);
        };
        if is_sign_in(&found.header) {
            return Ok(None);
        }
        record::read(&found).map(Some).map_err(|error| self.unusable(error))
    }

    pub(super) fn never_taught(&self) -> AuthorizationError {
        let kind = self.plan.kind.unwrap_or(Kind::ApiKey);
        let lacks = match &self.plan.asked {
            Asked::LacksFlag(flag) => format!(", and they lack {flag}"),
            Asked::LacksSecret { what, .. } => format!(", and they lack {what}"),
            _ => String::new(),
        };
        AuthorizationError::SignInNeeded {
            message: format!(
                "the vault has no {kind} credential as these flags ask for {} (account {}){lacks}",
                self.remote,
                self.remote.account()
            ),
            hint: self.login_command(kind),
        }
    }

    pub(super) fn unusable(&self, error: KindError) -> AuthorizationError {
        AuthorizationError::SignInNeeded {
            message: format!("the credential stored for {} is of no use: {error}", self.remote),
            hint: self.login_command(self.kind()),
        }
    }

    fn bad_key(&self, error: &KeyError) -> AuthorizationError {
        AuthorizationError::SignInNeeded {
            message: format!("the key for {} cannot be sent: {error}", self.remote),
            hint: self.login_command(Kind::ApiKey),
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
            Origin::Made => {
                let (kind, account) = (self.kind(), self.remote.account());
                format!("{} refused the {kind} credential of account '{account}'", self.remote)
            }
        };
        let login = self.login_command(self.kind());
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
            Origin::Nothing | Origin::Record | Origin::Made => login,
            Origin::Token => format!("{} --force", self.remote.login_command(None)),
        };
        AuthorizationError::Refused { message, hint }
    }

    /// The kind of credential in use; a key where nothing is known.
    pub(super) fn kind(&self) -> Kind {
        let stored = || self.stored_kind().filter(|kind| kind.is_made());
        self.plan.kind.filter(|kind| kind.is_made()).or_else(stored).unwrap_or(Kind::ApiKey)
    }

    /// With the flags that this process was given, too.
    pub(super) fn login_command(&self, kind: Kind) -> String {
        let mut command = self.remote.login_command(Some(kind.name()));
        match &self.plan.asked {
            Asked::Whole(recipe) => command.push_str(&flags_of(recipe)),
            Asked::LacksSecret { finish, .. } => {
                command.push_str(&flags_of(&finish(Secret::new(String::new()))));
            }
            _ if !self.plan.wanted.is_empty() => command.push_str(&flags(kind, &self.plan.wanted)),
            _ if kind.is_made() => {
                let header = self.vault.header(&self.remote.record()).ok().flatten();
                let header = header.filter(|header| header.kind == kind.name());
                command.push_str(
                    &header.map(|header| flags(kind, &header.details)).unwrap_or_default(),
                );
            }
            _ => {}
        }
        let stored = || {
            let header = self.vault.header(&self.remote.record()).ok().flatten();
            let header = header.filter(|header| header.kind == kind.name())?;
            let text = |name: &str| header.details.get(name).and_then(Value::as_str);
            Some(Placement {
                header: text("header")?.to_owned(),
                scheme: text("scheme").map(str::to_owned),
            })
        };
        let placement = self.plan.placement.clone().or_else(stored);
        let Some(placement) = placement.filter(|_| kind == Kind::ApiKey) else {
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

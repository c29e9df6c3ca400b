//! The conductor of credentials: the headers for a request, and the answer when the remote
//! refuses them. Alone sees the vault and the kinds of credential.

mod record;
mod remote;
mod seen;
mod sign_in;

pub use record::{ApiKeyRecord, Kind, KindError, header as record_header};
pub use remote::{Remote, RemoteError};
pub use seen::Seen;
pub use sign_in::{Cause, Link, Need, SignIn};

use crate::credential::api_key::{KeyError, Placement};
use crate::secret::{Redactor, Secret};
use crate::vault::{RecordKey, Vault, VaultError};
use remote::quoted;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

/// A header given by flags, with the named secrets that it still needs.
pub struct HeaderTemplate {
    pub name: HeaderName,
    pub parts: Vec<HeaderPart>,
}

/// A piece of a header's value.
pub enum HeaderPart {
    Text(Secret<String>),
    /// The named secret of the vault.
    Vault(String),
}

/// What the flags ask for; what they leave open, the record in the vault decides.
#[derive(Default)]
pub struct Plan {
    /// `--with`.
    pub kind: Option<Kind>,
    /// `--key-header` or `--key-scheme`.
    pub placement: Option<Placement>,
    /// The key of `--secret-env` or `--secret-file`.
    pub key: Option<Secret<String>>,
    /// `--header` and `--header-file`.
    pub headers: Vec<HeaderTemplate>,
}

/// The headers of one credential.
#[derive(Debug)]
pub struct Credential {
    pub headers: HeaderMap,
    /// The bare key in them, where there is one.
    pub key: Option<Secret<String>>,
    pub origin: Origin,
}

/// Where a credential came from, which decides what helps when it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// There is none.
    Nothing,
    /// Flags of this process.
    Flags,
    /// The vault's record.
    Record,
}

/// Why there are no headers to send.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizationError {
    /// A person has to teach the vault first.
    #[error("{message}")]
    SignInNeeded { message: String, hint: String },
    /// A person has to sign in with OAuth: [`Authorization::sign_in`] begins that.
    #[error("{}", .0.message)]
    Person(Need),
    /// The authorization server cannot be asked now; nothing was changed.
    #[error("{message}")]
    Unavailable { message: String },
    #[error("{0}")]
    Vault(#[from] VaultError),
}

/// How the remote refused a request: 401 or 403, with its headers.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    pub status: u16,
    pub headers: &'a HeaderMap,
}

/// Gives out credentials for one remote and account.
pub struct Authorization {
    vault: Vault,
    remote: Remote,
    plan: Plan,
    redactor: Arc<Redactor>,
    /// How long the keychain may take.
    deadline: Duration,
    current: Mutex<Option<Arc<Credential>>>,
}

impl Authorization {
    /// Touches neither disk nor keychain.
    pub fn new(
        vault: Vault,
        remote: Remote,
        plan: Plan,
        redactor: Arc<Redactor>,
        deadline: Duration,
    ) -> Self {
        for value in remote.query_values() {
            redactor.learn(&value);
        }
        Self { vault, remote, plan, redactor, deadline, current: Mutex::new(None) }
    }

    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Makes text from elsewhere fit to show.
    pub fn clean(&self, text: &str) -> String {
        self.redactor.clean(text)
    }

    /// Starts fetching the vault's key if a credential will need it, and returns at once.
    pub fn prepare(&self) {
        let named = self.plan.headers.iter().flat_map(|header| &header.parts);
        let from_flags = named.into_iter().any(|part| matches!(part, HeaderPart::Vault(_)));
        let from_record = !self.flags_suffice()
            && matches!(self.vault.header(&self.remote.record()), Ok(Some(header)) if header.sealed.is_some());
        if from_flags || from_record {
            self.vault.unlock();
        }
    }

    /// The headers to send now.
    ///
    /// # Errors
    /// [`AuthorizationError`] if the vault cannot be opened within the deadline, or if what
    /// the flags ask for was never taught.
    pub async fn credential(&self) -> Result<Arc<Credential>, AuthorizationError> {
        match self.known() {
            Some(credential) => Ok(credential),
            None => self.load().await,
        }
    }

    /// The credential that was given out last, without asking anyone.
    pub fn known(&self) -> Option<Arc<Credential>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The remote refused `sent`: another credential, if there is one by now.
    ///
    /// # Errors
    /// [`AuthorizationError::SignInNeeded`] if what was refused is still all there is,
    /// [`AuthorizationError::Person`] where a sign-in with OAuth helps.
    pub async fn after_refusal(
        &self,
        sent: &Credential,
        _refusal: Refusal<'_>,
    ) -> Result<Arc<Credential>, AuthorizationError> {
        let fresh = self.load().await?;
        if fresh.headers == sent.headers { Err(self.refused(sent.origin)) } else { Ok(fresh) }
    }

    fn flags_suffice(&self) -> bool {
        self.plan.key.is_some()
            || self.plan.kind == Some(Kind::None)
            || self.plan.headers.iter().any(|header| header.name == AUTHORIZATION)
    }

    async fn load(&self) -> Result<Arc<Credential>, AuthorizationError> {
        let mut headers = HeaderMap::new();
        let mut bare = self.plan.key.clone();
        let mut origin = if self.plan.headers.is_empty() { Origin::Nothing } else { Origin::Flags };
        if let Some(key) = &self.plan.key {
            self.put_key(&mut headers, self.plan.placement.as_ref(), key)?;
            origin = Origin::Flags;
        } else if !self.flags_suffice()
            && let Some(record) = self.record().await?
        {
            self.put_key(&mut headers, Some(&record.placement), &record.key)?;
            bare = Some(record.key);
            origin = Origin::Record;
        }
        for header in &self.plan.headers {
            let value = self.value_of(header).await?;
            headers.insert(header.name.clone(), value);
        }
        if let Some(notice) = self.vault.notice() {
            tracing::warn!("{notice}");
        }
        let credential = Arc::new(Credential { headers, key: bare, origin });
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(credential.clone());
        Ok(credential)
    }

    async fn record(&self) -> Result<Option<ApiKeyRecord>, AuthorizationError> {
        let Some(found) = self.vault.read(&self.remote.record(), self.deadline).await? else {
            return match self.plan.kind {
                Some(Kind::ApiKey) => Err(self.never_taught()),
                _ => Ok(None),
            };
        };
        let record = record::read(&found).map_err(|error| self.unusable(error))?;
        let wanted = self.plan.placement.as_ref();
        match record {
            Some(record) if wanted.is_none_or(|wanted| *wanted == record.placement) => {
                Ok(Some(record))
            }
            None if self.plan.kind.is_none_or(|kind| kind == Kind::None) => Ok(None),
            _ => Err(self.never_taught()),
        }
    }

    fn put_key(
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

    async fn value_of(&self, header: &HeaderTemplate) -> Result<HeaderValue, AuthorizationError> {
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

    fn never_taught(&self) -> AuthorizationError {
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

    fn unusable(&self, error: KindError) -> AuthorizationError {
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

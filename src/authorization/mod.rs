//! The conductor of credentials: the headers for a request, and the answer when the remote
//! refuses them. Alone sees the vault, OAuth and the kinds of credential.
//!
//! * `plan`: what the flags ask for. `credential`: what is given out, and why nothing is.
//! * `keys`: headers from keys and flags. `tokens`: what a sign-in with OAuth left.
//! * `sign_in`: getting a credential with a person's help; `oauth_plan`: how they want it.
//! * `seen`: what was last seen of the remote. `logout`: the end.

mod credential;
mod keys;
mod logout;
mod oauth_plan;
mod plan;
mod record;
mod remote;
mod seen;
mod sign_in;
mod tokens;

pub use credential::{AuthorizationError, Credential, Origin, Refusal};
pub use logout::Leave;
pub use oauth_plan::OAuthPlan;
pub use plan::{HeaderPart, HeaderTemplate, Plan};
pub use record::{ApiKeyRecord, Kind, KindError, header as record_header};
pub use remote::{Remote, RemoteError};
pub use seen::Seen;
pub use sign_in::{Cause, Link, Need, SignIn, SignInSettings};

use crate::http::readable;
use crate::oauth::Challenge;
use crate::secret::{Redactor, Secret};
use crate::vault::Vault;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use sign_in::Desk;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokens::{Expiry, TokenRecord, Tokens};
use zeroize::Zeroizing;

/// What an [`Authorization`] is made of.
pub struct Settings {
    pub vault: Vault,
    pub remote: Remote,
    pub plan: Plan,
    pub redactor: Arc<Redactor>,
    /// How long the keychain may take.
    pub deadline: Duration,
    pub sign_in: SignInSettings,
}

/// Gives out credentials for one remote and account.
pub struct Authorization {
    vault: Vault,
    remote: Remote,
    plan: Plan,
    redactor: Arc<Redactor>,
    deadline: Duration,
    current: Arc<Mutex<Option<Arc<Credential>>>>,
    tokens: Arc<Tokens>,
    desk: Arc<Desk>,
    /// Held while what was seen is written: two writes at once would lose one.
    seeing: Arc<tokio::sync::Mutex<()>>,
}

impl Authorization {
    /// Touches neither disk nor keychain nor network.
    pub fn new(settings: Settings) -> Self {
        let Settings { vault, remote, plan, redactor, deadline, sign_in } = settings;
        for value in remote.query_values() {
            redactor.learn(&value);
        }
        if let Some(secret) = &plan.oauth.client_secret {
            redactor.learn(secret.expose());
        }
        let tokens = Arc::new(Tokens::new(
            vault.clone(),
            remote.clone(),
            plan.oauth.clone(),
            redactor.clone(),
            deadline,
            sign_in.web.clone(),
            sign_in.now,
        ));
        let current = Arc::default();
        let desk = Arc::new(Desk::new(tokens.clone(), sign_in, Arc::clone(&current)));
        Self {
            vault,
            remote,
            plan,
            redactor,
            deadline,
            current,
            tokens,
            desk,
            seeing: Arc::default(),
        }
    }

    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Makes text from elsewhere fit to show.
    pub fn clean(&self, text: &str) -> String {
        self.redactor.clean(text)
    }

    /// The text of an HTTP body, fit to show: of HTML only what a browser would show.
    pub fn clean_body(&self, body: &[u8]) -> String {
        self.redactor.clean(&readable(body))
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

    /// The headers to send now; a token is renewed ahead of its end.
    ///
    /// # Errors
    /// [`AuthorizationError`] if the vault cannot be opened within the deadline, if what the
    /// flags ask for was never taught, or if a sign-in is over.
    pub async fn credential(&self) -> Result<Arc<Credential>, AuthorizationError> {
        match self.known() {
            Some(credential) => Ok(credential),
            None => self.load().await,
        }
    }

    /// The credential that was given out last, without asking anyone; none if its end is near.
    pub fn known(&self) -> Option<Arc<Credential>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let fresh = current.expiry.is_none_or(|expiry| expiry.is_fresh((self.tokens.now)()));
        fresh.then_some(current)
    }

    /// The same as long as it can be shown at all: a server may delete the refresh token of
    /// whoever shows a token past its end.
    pub fn last_valid(&self) -> Option<Arc<Credential>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let valid = current.expiry.is_none_or(|expiry| expiry.is_valid((self.tokens.now)()));
        valid.then_some(current)
    }

    /// The remote refused `sent`: another credential, if there is one by now.
    ///
    /// # Errors
    /// [`AuthorizationError::SignInNeeded`] if what was refused is still all there is,
    /// [`AuthorizationError::Person`] where a sign-in with OAuth helps.
    pub async fn after_refusal(
        &self,
        sent: &Credential,
        refusal: Refusal<'_>,
    ) -> Result<Arc<Credential>, AuthorizationError> {
        let challenge = Challenge::read(refusal.headers.get_all(WWW_AUTHENTICATE));
        if let Some(address) = refusal.address {
            self.tokens.web.met_remote_at(address);
        }
        if sent.origin == Origin::Token {
            return self.after_refused_token(sent, refusal.status, challenge).await;
        }
        match self.load().await {
            Ok(fresh) if fresh.headers != sent.headers => return Ok(fresh),
            Ok(_) => {}
            Err(AuthorizationError::Person(need)) => {
                return Err(AuthorizationError::Person(need.challenged(challenge)));
            }
            Err(error) => return Err(error),
        }
        if refusal.status == 401 && self.may_sign_in(sent.origin) {
            return Err(self.desk.first_need(challenge, || self.refused(sent.origin)).await);
        }
        Err(self.refused(sent.origin))
    }

    async fn after_refused_token(
        &self,
        sent: &Credential,
        status: u16,
        challenge: Option<Challenge>,
    ) -> Result<Arc<Credential>, AuthorizationError> {
        let scope = challenge.as_ref().filter(|one| one.is_insufficient_scope());
        if let (403, Some(challenge)) = (status, scope) {
            let record = self.tokens.load().await?;
            if let Some(record) = record.filter(|record| !record.carries(sent.key.as_ref())) {
                return self.give_out(&record).await;
            }
            let challenge = challenge.clone();
            return Err(self.desk.step_up(sent.key.clone(), challenge).await);
        }
        // Some servers answer an expired token with 403 and nothing else.
        let now = (self.tokens.now)();
        let past = sent.expiry.is_some_and(|expiry| !expiry.is_fresh(now));
        if status == 403 && (challenge.is_some() || !past) {
            return Err(self.refused(sent.origin));
        }
        self.tokens.web.forget();
        match self.tokens.renew(sent.key.clone()).await {
            Ok(record) => self.give_out(&record).await,
            Err(AuthorizationError::Person(need)) => {
                Err(AuthorizationError::Person(need.challenged(challenge)))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether OAuth is a way to get in: not where the person gave or taught something else.
    fn may_sign_in(&self, origin: Origin) -> bool {
        !self.flags_suffice()
            && matches!(self.plan.kind, None | Some(Kind::OAuth | Kind::Device))
            && matches!(origin, Origin::Nothing | Origin::Flags | Origin::Token)
            && (self.plan.kind.is_some() || self.stored_kind().is_none_or(Kind::is_oauth))
    }

    /// Whether the flags ask for another sign-in than the one that was taught.
    pub async fn teaches(&self) -> Result<bool, AuthorizationError> {
        let taught = self.tokens.readable().await?;
        Ok(taught.is_none_or(|taught| self.plan.oauth.teaches(&taught.plan)))
    }

    fn stored_kind(&self) -> Option<Kind> {
        let header = self.vault.header(&self.remote.record()).ok().flatten()?;
        Kind::from_name(&header.kind)
    }

    fn flags_suffice(&self) -> bool {
        self.plan.key.is_some()
            || self.plan.kind == Some(Kind::None)
            || self.plan.headers.iter().any(|header| header.name == AUTHORIZATION)
    }

    async fn load(&self) -> Result<Arc<Credential>, AuthorizationError> {
        if !self.flags_suffice()
            && self.plan.kind.is_none_or(Kind::is_oauth)
            && self.stored_kind().is_some_and(Kind::is_oauth)
        {
            let record = self.tokens.renew(None).await?;
            return self.give_out(&record).await;
        }
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
        self.keep(headers, bare, origin, None).await
    }

    /// The credential that these tokens make.
    async fn give_out(&self, record: &TokenRecord) -> Result<Arc<Credential>, AuthorizationError> {
        let mut headers = HeaderMap::new();
        let bearer = record.bearer().cloned();
        let value = bearer.as_ref().and_then(|token| {
            HeaderValue::from_str(&Zeroizing::new(format!("Bearer {}", token.expose()))).ok()
        });
        let Some(mut value) = value else {
            return Err(AuthorizationError::SignInNeeded {
                message: format!("the token for {} cannot be sent in a header", self.remote),
                hint: format!("{} --force", self.remote.login_command(None)),
            });
        };
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        let expiry = record.expiry((self.tokens.now)());
        self.keep(headers, bearer, Origin::Token, expiry).await
    }

    /// Adds the headers of the flags.
    async fn keep(
        &self,
        mut headers: HeaderMap,
        key: Option<Secret<String>>,
        origin: Origin,
        expiry: Option<Expiry>,
    ) -> Result<Arc<Credential>, AuthorizationError> {
        for header in &self.plan.headers {
            let value = self.value_of(header).await?;
            headers.insert(header.name.clone(), value);
        }
        if let Some(notice) = self.vault.notice() {
            tracing::warn!("{notice}");
        }
        let credential = Arc::new(Credential { headers, key, origin, expiry });
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
        if self.plan.kind.is_some_and(Kind::is_oauth) {
            return Ok(None);
        }
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
}

//! The conductor of credentials: the headers for a request, and the answer when the remote
//! refuses them. Alone sees the vault, OAuth and the kinds of credential.
//!
//! * `plan`: what the flags ask for. `credential`: what is given out, and why nothing is.
//! * `load`: what is given out, by kind. `keys`: headers from keys. `recipe`: how to come by a credential without a person;
//!   `machine`: that being done. `proof`: requests signed with a token's key.
//! * `tokens`: what a sign-in with OAuth left. `sign_in`: getting a credential with a person's
//!   help; `oauth_plan`: how they want it.
//! * `connection`: what goes along with every kind; `along`: what was taught of it.
//! * `record`: what the vault holds. `refusal`: what helps when the remote says no.
//! * `seen`: what was last seen of the remote. `logout`: the end.

mod along;
mod connection;
mod credential;
mod files;
mod keys;
mod load;
mod logout;
mod machine;
mod oauth_plan;
mod plan;
mod proof;
mod recipe;
mod record;
mod refusal;
mod remote;
mod seen;
mod sign_in;
mod tokens;

pub use along::{Along, ClientCertificate, HeaderLine};
pub use connection::{Connection, ConnectionSettings, absolute};
pub use credential::{AuthorizationError, Credential, Origin, Refusal};
pub use logout::Leave;
pub use oauth_plan::OAuthPlan;
pub use plan::{Asked, HeaderPart, HeaderTemplate, Plan};
use recipe::CLAIMS;
pub use recipe::{Assertion, Flow, Grant, IdentityProvider, Recipe};
pub use record::{Kind, KindError, Taught, header as record_header};
pub use remote::{Remote, RemoteError};
pub use seen::Seen;
pub use sign_in::{Cause, Link, Need, SignIn, SignInSettings};

use crate::http::readable;
use crate::oauth::client::basic_credentials;
use crate::secret::Redactor;
use crate::vault::Vault;
use machine::Machine;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use sign_in::Desk;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokens::Tokens;
use url::Url;

/// Segments of a path that are no words, in bytes.
const LONG_SEGMENT: usize = 16;

/// What an [`Authorization`] is made of.
pub struct Settings {
    pub vault: Vault,
    pub remote: Remote,
    pub plan: Plan,
    pub connection: Arc<Connection>,
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
    connection: Arc<Connection>,
    redactor: Arc<Redactor>,
    deadline: Duration,
    current: Arc<Mutex<Option<Arc<Credential>>>>,
    tokens: Arc<Tokens>,
    desk: Arc<Desk>,
    machine: Arc<Machine>,
    /// What was given out last may not be what the vault holds by now.
    stale: AtomicBool,
    /// When a bare 403 was last taken for the end of a token.
    last_doubt: Mutex<Option<Instant>>,
    /// Until then (seconds since 1970) a 403 does not mean that a token has ended.
    forbidden_until: AtomicU64,
    /// Held while what was seen is written: two writes at once would lose one.
    seeing: Arc<tokio::sync::Mutex<()>>,
}

impl Authorization {
    /// Touches neither disk nor keychain nor network.
    pub fn new(settings: Settings) -> Self {
        let Settings { vault, remote, plan, connection, redactor, deadline, sign_in } = settings;
        for value in remote.query_values() {
            redactor.learn(&value);
        }
        if let Some(secret) = &plan.oauth.client_secret {
            redactor.learn(secret.expose());
            let id = plan.oauth.client_id.as_deref().unwrap_or_default();
            basic_credentials(id, secret).iter().for_each(|one| redactor.learn(one.expose()));
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
        let hidden = sign_in.browser.hidden_variables.clone();
        let desk = Arc::new(Desk::new(tokens.clone(), sign_in, Arc::clone(&current)));
        let machine = Arc::new(Machine::new(tokens.clone(), desk.clone(), hidden));
        Self {
            vault,
            remote,
            plan,
            connection,
            redactor,
            deadline,
            current,
            tokens,
            desk,
            machine,
            stale: AtomicBool::new(false),
            last_doubt: Mutex::default(),
            forbidden_until: AtomicU64::new(0),
            seeing: Arc::default(),
        }
    }

    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// An address that the remote gave is good for a session: what may be secret in it is not
    /// shown.
    pub fn hide_address(&self, url: &Url) {
        for value in remote::query_values(url.as_str()) {
            self.redactor.learn_passing(&value);
        }
        let segments = url.path_segments().into_iter().flatten();
        for segment in segments.filter(|segment| segment.len() >= LONG_SEGMENT) {
            self.redactor.learn_passing(segment);
        }
    }

    /// Makes text from elsewhere fit to show.
    pub fn clean(&self, text: &str) -> String {
        self.redactor.clean(text)
    }

    /// The text of an HTTP body, fit to show: of HTML only what a browser would show.
    pub fn clean_body(&self, body: &[u8]) -> String {
        self.redactor.clean(&readable(body))
    }

    /// What was made for `recipe` here, for other processes: it has been taught now.
    pub async fn share(&self, recipe: &Recipe) {
        self.machine.share(recipe).await;
    }

    /// The authorization server that a recipe's token came from, where it was found out.
    pub fn found_issuer(&self) -> Option<String> {
        self.machine.issuer()
    }

    /// What goes along with every kind, without a credential.
    ///
    /// # Errors
    /// `SignInNeeded` for a reference that cannot be filled in, `Vault`.
    pub async fn along(&self) -> Result<HeaderMap, AuthorizationError> {
        self.connection.headers().await
    }

    /// Starts fetching the vault's key if a credential will need it, and returns at once.
    pub fn prepare(&self) {
        let from_flags = self.connection.needs_vault();
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
            None => self.load(None).await,
        }
    }

    /// The credential that was given out last, without asking anyone; none if its end is near.
    pub fn known(&self) -> Option<Arc<Credential>> {
        if self.stale.load(Ordering::Relaxed) {
            return None;
        }
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let fresh = current.expiry.is_none_or(|expiry| expiry.is_fresh((self.tokens.now)()));
        fresh.then_some(current)
    }

    /// The same as long as it can be shown at all: a server may delete the refresh token of
    /// whoever shows a token past its end.
    fn last_valid(&self) -> Option<Arc<Credential>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let valid = current.expiry.is_none_or(|expiry| expiry.is_valid((self.tokens.now)()));
        valid.then_some(current)
    }

    /// A credential to take leave with: one that was given out, or one that is made here without
    /// asking anybody. A process that ends might not live to keep what a server gives.
    pub async fn for_the_end(&self) -> Option<Arc<Credential>> {
        if let Some(valid) = self.last_valid() {
            return Some(valid);
        }
        let (recipe, _) = self.recipe().await.ok()??;
        if recipe.asks_nobody() { self.load(None).await.ok() } else { None }
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

    /// The client certificate that the remote is shown, in words, and what that means to a
    /// person whom it was refused to.
    pub fn shown_certificate(&self) -> Option<String> {
        let shown = self.connection.shown_certificate()?;
        Some(format!("; it was shown the client certificate {shown}"))
    }

    /// The next request takes its credential from the vault again.
    pub fn look_again(&self) {
        self.stale.store(true, Ordering::Relaxed);
    }

    /// The command that teaches the kind of credential in use, or of another kind if none is.
    pub fn login_anew(&self, otherwise: Kind) -> String {
        let kind = self.plan.kind.or_else(|| self.stored_kind()).unwrap_or(otherwise);
        if kind.is_oauth() { self.remote.login_command(None) } else { self.login_command(kind) }
    }

    fn stored_kind(&self) -> Option<Kind> {
        let header = self.vault.header(&self.remote.record()).ok().flatten()?;
        Kind::from_name(&header.kind)
    }

    fn flags_suffice(&self) -> bool {
        self.plan.key.is_some()
            || self.plan.kind == Some(Kind::None)
            || matches!(
                self.plan.asked,
                Asked::Whole(_) | Asked::LacksSecret { otherwise: Some(_), .. }
            )
            || self.brings_authorization()
    }

    /// `--header Authorization` wins over everything else.
    fn brings_authorization(&self) -> bool {
        self.connection.flag_headers().any(|name| *name == AUTHORIZATION)
    }
}

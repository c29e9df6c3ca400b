//! Credentials that are made without a person: one at a time, shared among processes where a
//! server gave them, renewed by the clock and when they are refused.
//!
//! * `making`: from a recipe to headers. `grants`: tokens from an authorization server.
//! * `shared`: the token that was made last, in the vault. `trouble`: what failed, in words.

mod grants;
mod making;
mod shared;
mod trouble;

pub(super) use trouble::flags;

use super::proof::Proof;
use super::recipe::Recipe;
use super::remote::query_values;
use super::sign_in::Desk;
use super::tokens::{Expiry, Tokens};
use super::{AuthorizationError, Credential};
use crate::credential::Minted;
use crate::jws::SigningKey;
use crate::oauth::clock::Clocks;
use crate::oauth::dpop::ProofKey;
use grants::Place;
use reqwest::header::HeaderMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long the first, second and later refusals answer for those who come after them.
const BACK_OFF: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(300),
];
/// Longest wait for servers: the client has its answer within 10 s.
const PATIENCE: Duration = Duration::from_secs(8);

/// Makes credentials for one account at one remote.
pub(super) struct Machine {
    tokens: Arc<Tokens>,
    /// Finds authorization servers.
    desk: Arc<Desk>,
    /// Variables that no child may see.
    hidden: Vec<String>,
    held: Mutex<Held>,
    /// The remote's.
    clocks: Clocks,
    /// Where tokens are asked for, once that was found out.
    place: std::sync::Mutex<Option<Place>>,
    /// What was signed with last; a new one is read after a refusal.
    key: std::sync::Mutex<Option<(Recipe, SigningKey)>>,
    /// What its tokens are bound to, where they are.
    proof_key: std::sync::Mutex<Option<ProofKey>>,
}

#[derive(Default)]
struct Held {
    /// What was made last, and how.
    made: Option<(Recipe, Made)>,
    failure: Option<Failed>,
}

/// How the last attempt failed.
struct Failed {
    recipe: Recipe,
    at: Instant,
    error: AuthorizationError,
    /// How often it was refused, one time after the other.
    refusals: usize,
}

impl Failed {
    /// How long it is the answer for those who come later: a password that is refused is not
    /// shown again with every call, which gets accounts locked.
    fn answers_for(&self) -> Duration {
        match self.refusals {
            0 => Duration::ZERO,
            _ if self.recipe.may_change() => BACK_OFF[0],
            refusals => BACK_OFF[refusals.min(BACK_OFF.len()) - 1],
        }
    }
}

/// One that was made.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) minted: Minted,
    pub(super) proof: Option<Proof>,
    pub(super) expiry: Option<Expiry>,
    /// In seconds since 1970.
    obtained_at: u64,
    /// The issuer that gave it, and where it can be ended.
    revocation: Option<(String, String)>,
}

impl Made {
    fn is_fresh(&self, now: u64) -> bool {
        self.expiry.is_none_or(|expiry| expiry.is_fresh(now))
    }

    /// Whether these are the headers that were sent.
    fn is_in(&self, sent: &HeaderMap) -> bool {
        self.minted.headers.iter().all(|(name, value)| sent.get(name) == Some(value))
    }
}

impl Machine {
    pub(super) fn new(tokens: Arc<Tokens>, desk: Arc<Desk>, hidden: Vec<String>) -> Self {
        Self {
            tokens,
            desk,
            hidden,
            held: Mutex::default(),
            clocks: Clocks::default(),
            place: std::sync::Mutex::default(),
            key: std::sync::Mutex::default(),
            proof_key: std::sync::Mutex::default(),
        }
    }

    /// A credential that `recipe` makes, another one than `refused`. With `taught`, it is the
    /// vault's recipe, and so is what it makes.
    ///
    /// # Errors
    /// `SignInNeeded` where a person has to change something, `Unavailable`, `Vault`.
    pub(super) async fn make(
        self: &Arc<Self>,
        recipe: &Recipe,
        taught: bool,
        refused: Option<&Credential>,
    ) -> Result<Made, AuthorizationError> {
        let (machine, recipe, refused) = (self.clone(), recipe.clone(), refused.cloned());
        // A task of its own: what one call waited for in vain, the next need not begin anew.
        let making = tokio::spawn(async move {
            machine.make_alone(&recipe, taught, refused.as_ref(), Instant::now()).await
        });
        making.await.unwrap_or_else(|_| {
            let message = "making the credential broke off".to_owned();
            Err(AuthorizationError::Unavailable { message })
        })
    }

    async fn make_alone(
        &self,
        recipe: &Recipe,
        taught: bool,
        refused: Option<&Credential>,
        came: Instant,
    ) -> Result<Made, AuthorizationError> {
        let mut held = self.held.lock().await;
        let will_do = |made: &Made| {
            made.is_fresh(self.now()) && refused.is_none_or(|sent| !made.is_in(&sent.headers))
        };
        let recipe_at_rest = recipe.without_id_token();
        if let Some((by, made)) = &held.made {
            if *by != recipe_at_rest {
                // Taught anew: it may have to be asked for elsewhere.
                *held = Held::default();
                *self.place.lock().unwrap_or_else(PoisonError::into_inner) = None;
            } else if will_do(made) {
                return Ok(made.clone());
            }
        }
        // Those who waited while it failed share the failure.
        let mut refusals = 0;
        if let Some(failure) = held.failure.as_ref().filter(|failure| failure.recipe == *recipe) {
            if failure.at > came || failure.at.elapsed() < failure.answers_for() {
                return Err(failure.error.clone());
            }
            refusals = failure.refusals;
        }
        if refused.is_some() {
            // Perhaps its file was replaced.
            *self.key.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        for secret in recipe.secrets() {
            self.tokens.redactor.learn(secret.expose());
        }
        for url in recipe.named() {
            self.tokens.web.name(url);
            for value in query_values(url) {
                self.tokens.redactor.learn(&value);
            }
        }
        let made = if taught && recipe.is_shared() {
            self.make_shared(recipe, will_do).await
        } else {
            self.brew_in_time(recipe).await.map(|brewed| self.made(brewed))
        };
        match made {
            Ok(made) => {
                *held = Held { made: Some((recipe_at_rest, made.clone())), failure: None };
                Ok(made)
            }
            Err(error) => {
                *self.place.lock().unwrap_or_else(PoisonError::into_inner) = None;
                let refused = matches!(error, AuthorizationError::SignInNeeded { .. });
                held.failure = Some(Failed {
                    recipe: recipe.clone(),
                    at: Instant::now(),
                    error: error.clone(),
                    refusals: if refused { refusals + 1 } else { 0 },
                });
                Err(error)
            }
        }
    }

    /// Keeps what was made for `recipe` here for other processes.
    pub(super) async fn share(&self, recipe: &Recipe) {
        let made = self.held.lock().await.made.clone();
        if let Some((_, made)) = made.filter(|_| recipe.is_shared()) {
            self.keep_for_others(recipe, &made).await;
        }
    }

    /// Where tokens are asked for, if that was found out from the remote.
    pub(super) fn issuer(&self) -> Option<String> {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        place.as_ref().map(|place| place.issuer.clone()).filter(|issuer| !issuer.is_empty())
    }

    fn now(&self) -> u64 {
        (self.tokens.now)()
    }

    /// The remote's own idea of the time, as far as it told.
    fn remote_now(&self) -> u64 {
        self.clocks.at(self.tokens.remote.url(), self.now())
    }

    /// The remote refused something at the time that its `Date` says.
    pub(super) fn learn_clock(&self, headers: &HeaderMap) {
        if self.clocks.learn(self.tokens.remote.url(), headers, self.now()) {
            tracing::info!("the clock of {} differs from the one here", self.tokens.remote);
        }
    }
}

//! Credentials that are made without a person: one at a time, shared among processes where a
//! server gave them, renewed by the clock and when they are refused.
//!
//! * `held`: what was made last, and what failed. `making`: from a recipe to headers. `grants`: tokens from an authorization server.
//! * `shared`: the token that was made last, in the vault. `trouble`: what failed, in words.

mod grants;
mod held;
mod making;
mod shared;
mod trouble;

pub(super) use trouble::{flags, flags_of};

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
use held::Held;
use reqwest::header::HeaderMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

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
        let at_rest = recipe.without_id_token();
        if held.is_of_another(&at_rest) {
            // Taught anew: it may have to be asked for elsewhere.
            *held = Held::default();
            *self.place.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        // One that was made since then is given out though it may be the same again: making it
        // once more would not change that.
        let known = held.made.as_ref().filter(|known| known.at > came || will_do(&known.made));
        if let Some(known) = known {
            return Ok(known.made.clone());
        }
        // Those who waited while it failed share the failure.
        if let Some(error) = held.failure(recipe, came) {
            // Somebody else may have had more luck, or taught the same anew.
            let found = match taught && recipe.is_shared() {
                true => self.found(recipe).await.filter(|made| will_do(made)),
                false => None,
            };
            if let Some(made) = found {
                held.succeeded(at_rest, made.clone());
                return Ok(made);
            }
            return held.spare(self.now()).filter(|_| refused.is_none()).ok_or(error);
        }
        if refused.is_some() {
            // Perhaps its file was replaced.
            *self.key.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.learn(recipe);
        let made = if taught && recipe.is_shared() {
            self.in_time(recipe, self.make_shared(recipe, refused, will_do)).await
        } else if recipe.is_shared() {
            let brewed = self.in_time(recipe, self.brew(recipe)).await;
            brewed.map(|brewed| self.made(brewed))
        } else {
            // A command has a limit of its own.
            self.brew(recipe).await.map(|brewed| self.made(brewed))
        };
        match made {
            Ok(made) => {
                held.succeeded(at_rest, made.clone());
                Ok(made)
            }
            Err(error) => {
                *self.place.lock().unwrap_or_else(PoisonError::into_inner) = None;
                held.failed(recipe, &error);
                // What the remote has not refused is used to its end.
                match held.spare(self.now()).filter(|_| refused.is_none()) {
                    Some(spare) => {
                        tracing::warn!("the credential is used to its end: {error}");
                        Ok(spare)
                    }
                    None => Err(error),
                }
            }
        }
    }

    fn learn(&self, recipe: &Recipe) {
        for secret in recipe.secrets() {
            self.tokens.redactor.learn(secret.expose());
        }
        for url in recipe.named() {
            self.tokens.web.name(url);
            for value in query_values(url) {
                self.tokens.redactor.learn(&value);
            }
        }
    }

    /// Keeps what was made for `recipe` here for other processes.
    pub(super) async fn share(&self, recipe: &Recipe) {
        let mut held = self.held.lock().await;
        let Some(known) = held.made.as_mut().filter(|_| recipe.is_shared()) else { return };
        known.recipe = recipe.without_id_token();
        self.keep_for_others(recipe, &known.made).await;
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

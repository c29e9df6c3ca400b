//! From a recipe to headers.

use super::{Machine, Made, PATIENCE};
use crate::authorization::AuthorizationError;
use crate::authorization::proof::Proof;
use crate::authorization::recipe::Recipe;
use crate::authorization::tokens::Expiry;
use crate::credential::Minted;
use crate::credential::command::Command;
use crate::credential::jwt::Jwt;
use crate::credential::password::Password;
use crate::jws::SigningKey;
use crate::oauth::dpop::ProofKey;
use crate::oauth::host_of;
use reqwest::header::HeaderMap;
use std::sync::PoisonError;

/// Headers, and what else belongs to them.
pub(super) struct Brewed {
    pub(super) minted: Minted,
    /// In seconds since 1970.
    pub(super) obtained_at: u64,
    /// The token is bound to it.
    pub(super) proof_key: Option<ProofKey>,
    /// The issuer that gave it, and where it can be ended.
    pub(super) revocation: Option<(String, String)>,
}

impl Machine {
    /// Servers that are silent, and others who ask them, hold nobody up for long.
    pub(super) async fn in_time<T>(
        &self,
        recipe: &Recipe,
        asking: impl Future<Output = Result<T, AuthorizationError>>,
    ) -> Result<T, AuthorizationError> {
        tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| {
            let named = recipe.named();
            let host = named.first().map(|url| host_of(url));
            let host = host.unwrap_or_else(|| "its authorization server".to_owned());
            let why = format!("{host} did not answer within {} s", PATIENCE.as_secs());
            Err(self.unavailable(recipe, &why))
        })
    }

    /// Asks whoever has to be asked.
    pub(super) async fn brew(&self, recipe: &Recipe) -> Result<Brewed, AuthorizationError> {
        // An answer is as old as its question.
        let obtained_at = self.now();
        let (mut proof_key, mut revocation) = (None, None);
        let minted = match recipe {
            Recipe::Jwt(jwt) => {
                let key = self.signing_key(recipe).await?;
                self.sign(jwt, key).map_err(|why| self.failed(recipe, &why))?
            }
            Recipe::CloudflareAccess(access) => {
                access.mint().map_err(|error| self.failed(recipe, &error.to_string()))?
            }
            Recipe::Password(password) => self.log_in(recipe, password).await?,
            Recipe::Command(command) => self.run(recipe, command).await?,
            Recipe::Grant(grant) => {
                let granted = self.grant(recipe, grant).await?;
                (proof_key, revocation) = (granted.proof_key, granted.revocation);
                granted.minted
            }
        };
        if let Some(key) = &minted.key {
            self.tokens.redactor.learn_passing(key.expose());
        }
        for (_, value) in &minted.headers {
            self.tokens.redactor.learn_passing(value.to_str().unwrap_or_default());
        }
        tracing::debug!(kind = %recipe.kind(), expires_at = minted.expires_at, "made a credential");
        Ok(Brewed { minted, obtained_at, proof_key, revocation })
    }

    /// With its end by the clocks of this machine.
    pub(super) fn made(&self, brewed: Brewed) -> Made {
        let now = self.now();
        let Brewed { minted, obtained_at, proof_key, revocation } = brewed;
        let expiry = minted.expires_at.map(|at| Expiry::new(obtained_at, at, now));
        let url = self.tokens.remote.url().clone();
        let proof = proof_key.map(|key| Proof::new(key, url, self.tokens.now));
        Made { minted, proof, expiry, obtained_at, revocation }
    }

    /// What `recipe` signs with: opened once, and off the loop, as an encrypted key takes long.
    pub(super) async fn signing_key(
        &self,
        recipe: &Recipe,
    ) -> Result<Option<SigningKey>, AuthorizationError> {
        let known = self.key.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, key)) = known.filter(|(of, _)| of == recipe) {
            return Ok(Some(key));
        }
        let of = recipe.clone();
        let opening = tokio::task::spawn_blocking(move || of.signing_key());
        let opened = tokio::time::timeout(PATIENCE, opening).await;
        let broke_off = "opening the private key takes too long";
        let opened = opened.ok().and_then(Result::ok).unwrap_or_else(|| Err(broke_off.into()));
        let key = opened.map_err(|why| self.failed(recipe, &why))?;
        let mut known = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        *known = key.clone().map(|key| (recipe.clone(), key));
        Ok(key)
    }

    fn sign(&self, jwt: &Jwt, key: Option<SigningKey>) -> Result<Minted, String> {
        let key = key.ok_or("there is nothing to sign with")?;
        // The remote judges by its own clock, and this machine's decides when to sign anew.
        let (here, there) = (self.now(), self.remote_now());
        let mut minted = jwt.mint(&key, there).map_err(|error| error.to_string())?;
        minted.expires_at = Some(here.saturating_add(jwt.ttl));
        Ok(minted)
    }

    async fn log_in(
        &self,
        recipe: &Recipe,
        password: &Password,
    ) -> Result<Minted, AuthorizationError> {
        let (content, body) = password.request();
        let now = self.now();
        let url = &password.login_url;
        let answer = self.tokens.web.post(url, content, HeaderMap::new(), body).await;
        let answer = answer.map_err(|error| self.unasked(recipe, &error))?;
        let read = password.read(answer.status, &answer.body, now);
        read.map_err(|error| self.not_logged_in(recipe, url, &error))
    }

    async fn run(&self, recipe: &Recipe, command: &Command) -> Result<Minted, AuthorizationError> {
        let run = command.run(&self.hidden, self.now()).await;
        run.map_err(|error| {
            let said = error.said().map(|said| format!(": {said}")).unwrap_or_default();
            self.failed(recipe, &format!("{error}{said}"))
        })
    }
}

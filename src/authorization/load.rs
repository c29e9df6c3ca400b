//! What is given out, by kind of credential.

use super::machine::Made;
use super::proof::Proof;
use super::tokens::TokenRecord;
use super::{Authorization, AuthorizationError, Credential, Kind, Origin, Recipe, record_header};
use crate::oauth::dpop::ProofKey;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;
use zeroize::Zeroizing;

impl Credential {
    /// Nobody else can use its token (RFC 9449).
    pub fn is_bound(&self) -> bool {
        self.proof.is_some()
    }
}

impl Authorization {
    /// A credential, another one than `refused` where one can be made.
    pub(super) async fn load(
        &self,
        refused: Option<&Credential>,
    ) -> Result<Arc<Credential>, AuthorizationError> {
        // What is wrong with it is said before anyone is asked.
        self.connection.headers().await?;
        if let Some((recipe, taught)) = self.recipe().await? {
            let made = self.machine.make(&recipe, taught, refused).await?;
            if taught {
                self.bind(recipe.clone()).await;
            }
            return self.give_made(made, refused.is_some(), &recipe, taught).await;
        }
        if !self.flags_suffice()
            && self.plan.kind.is_none_or(|kind| kind.is_oauth() || kind == Kind::Enterprise)
            && (self.desk.was_signed_in() || self.plan.oauth.enterprise.is_some())
        {
            let record = self.tokens.renew(None).await?;
            return match record.plan.enterprise.is_some() {
                true => self.exchanged(record, refused).await,
                false => self.give_out(&record, refused.is_some()).await,
            };
        }
        let mut headers = HeaderMap::new();
        let mut bare = self.plan.key.clone();
        let from_flags = self.connection.flag_headers().next().is_some();
        let mut origin = if from_flags { Origin::Flags } else { Origin::Nothing };
        if let Some(key) = &self.plan.key {
            self.put_key(&mut headers, self.plan.placement.as_ref(), key)?;
            origin = Origin::Flags;
        } else if !self.flags_suffice()
            && let Some(record) = self.key_record().await?
            && let Some(key) = record.key
        {
            self.put_key(&mut headers, record.placement.as_ref(), &key)?;
            bare = Some(key);
            origin = Origin::Record;
        }
        self.keep(Credential { headers, key: bare, origin, ..Credential::default() }).await
    }

    /// What was made without a person.
    async fn give_made(
        &self,
        made: Made,
        replaces: bool,
        recipe: &Recipe,
        taught: bool,
    ) -> Result<Arc<Credential>, AuthorizationError> {
        let Made { minted, proof, expiry, .. } = made;
        let origin = if recipe.is_static() { Origin::Record } else { Origin::Made };
        let replaced = replaces.then(Instant::now);
        let headers = HeaderMap::from_iter(minted.headers);
        let key = minted.key;
        let credential = Credential {
            headers,
            key,
            origin,
            expiry,
            proof,
            replaced,
            by_flags: !taught,
            ..Credential::default()
        };
        self.keep(credential).await
    }

    /// What the ID token of a sign-in at the identity provider is good for.
    async fn exchanged(
        &self,
        mut record: TokenRecord,
        refused: Option<&Credential>,
    ) -> Result<Arc<Credential>, AuthorizationError> {
        let mut renewed = false;
        loop {
            let Some(recipe) = record.exchange() else { return Err(self.never_taught()) };
            match self.machine.make(&recipe, true, refused).await {
                // The identity provider would not have it: ID tokens end sooner than a sign-in.
                Err(AuthorizationError::Refused { .. }) if !renewed => {
                    record = self.tokens.renew(record.id_token.clone()).await?;
                    renewed = true;
                }
                Err(error) => return Err(error),
                Ok(made) => {
                    self.bind(recipe.clone()).await;
                    return self.give_made(made, refused.is_some(), &recipe, true).await;
                }
            }
        }
    }

    /// What was taught without a word of its authorization server is from now on for the one
    /// that gave the first token: a remote that names another one later gets nothing.
    async fn bind(&self, mut recipe: Recipe) {
        let Some(issuer) = self.machine.issuer().filter(|issuer| recipe.bind(issuer)) else {
            return;
        };
        let bound = match self.desk.was_signed_in() {
            true => self.tokens.bind(&issuer).await,
            false => self.bind_taught(&recipe).await,
        };
        match bound {
            Ok(()) => self.machine.share(&recipe).await,
            Err(error) => tracing::warn!("{issuer} is not remembered: {error}"),
        }
    }

    async fn bind_taught(&self, recipe: &Recipe) -> Result<(), AuthorizationError> {
        let key = self.remote.record();
        let _lock = self.tokens.lock().await?;
        let Some(mut taught) = self.taught().await? else { return Ok(()) };
        // Taught anew in the meantime.
        if !taught.recipe.as_ref().is_some_and(|now| now.is_same(recipe)) {
            return Ok(());
        }
        taught.recipe = Some(recipe.clone());
        let now = (self.tokens.now)();
        let header = record_header(taught.kind(), &self.remote, taught.details(), now);
        self.vault.write(&key, header, &taught.payload(), self.deadline).await?;
        Ok(())
    }

    /// The credential that these tokens make.
    pub(super) async fn give_out(
        &self,
        record: &TokenRecord,
        replaces: bool,
    ) -> Result<Arc<Credential>, AuthorizationError> {
        let mut headers = HeaderMap::new();
        let bearer = record.bearer().cloned();
        let proof_key = record.client.proof_key.clone().filter(|_| record.bound);
        let proof_key = proof_key.map(|key| self.known_proof_key(key));
        let scheme = if proof_key.is_some() { "DPoP" } else { "Bearer" };
        let value = bearer.as_ref().and_then(|token| {
            HeaderValue::from_str(&Zeroizing::new(format!("{scheme} {}", token.expose()))).ok()
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
        let url = self.remote.url().clone();
        let proof = proof_key.map(|key| Proof::new(key, url, self.tokens.now));
        let (key, origin) = (bearer, Origin::Token);
        let replaced = replaces.then(Instant::now);
        let credential =
            Credential { headers, key, origin, expiry, proof, replaced, ..Credential::default() };
        self.keep(credential).await
    }

    /// The same key with the nonces that the remote gave, if it is in use.
    fn known_proof_key(&self, key: ProofKey) -> ProofKey {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let known = current.as_ref().and_then(|current| current.proof.as_ref()).map(Proof::key);
        known.filter(|known| known.pkcs8() == key.pkcs8()).cloned().unwrap_or(key)
    }

    /// Adds what goes along with every kind.
    async fn keep(&self, credential: Credential) -> Result<Arc<Credential>, AuthorizationError> {
        let mut credential = credential;
        let along = self.connection.headers().await?;
        credential
            .headers
            .extend(along.into_iter().filter_map(|(name, value)| Some((name?, value))));
        // What is wrong with a certificate is said before anything is sent.
        if self.remote.url().scheme() == "https" {
            self.connection.tls().await?;
        }
        if let Some(notice) = self.vault.notice() {
            tracing::warn!("{notice}");
        }
        let credential = Arc::new(credential);
        self.stale.store(false, Ordering::Relaxed);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(credential.clone());
        Ok(credential)
    }
}

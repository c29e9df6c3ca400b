//! The token that was made last, for all processes: one asks, the others take what it got.

use super::making::Brewed;
use super::{Machine, Made};
use crate::authorization::recipe::Recipe;
use crate::authorization::{AuthorizationError, Credential};
use crate::credential::Minted;
use crate::oauth::dpop::ProofKey;
use crate::oauth::revocation::{TokenKind, revoke};
use crate::secret::{Secret, sealed, sealed_option};
use crate::vault::{Header, RecordKey};
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use reqwest::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// How long another process may be asking: its own requests are bounded.
const LOCK: Duration = Duration::from_secs(30);

/// As it is sealed.
#[derive(Serialize, Deserialize)]
struct Payload {
    /// Of the recipe: another one's token is not taken.
    recipe: String,
    headers: Vec<SealedHeader>,
    #[serde(default, with = "sealed_option")]
    key: Option<Secret<String>>,
    obtained_at: u64,
    expires_at: Option<u64>,
    #[serde(default, with = "sealed_option")]
    proof_key: Option<Secret<String>>,
    #[serde(default)]
    revocation: Option<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct SealedHeader {
    name: String,
    #[serde(with = "sealed")]
    value: Secret<String>,
}

impl Machine {
    /// What another process made, if it will do; else one of our own, kept for the others.
    pub(super) async fn make_shared(
        &self,
        recipe: &Recipe,
        refused: Option<&Credential>,
        will_do: impl Fn(&Made) -> bool,
    ) -> Result<Made, AuthorizationError> {
        let fingerprint = fingerprint(recipe);
        let known = |found: Option<Brewed>| found.map(|brewed| self.made(brewed)).filter(&will_do);
        if let Some(made) = known(self.find(&fingerprint).await) {
            return Ok(made);
        }
        let _lock = self.tokens.vault.lock(&self.place_in_vault(), LOCK).await?;
        // Another process may have been faster.
        if let Some(made) = known(self.find(&fingerprint).await) {
            return Ok(made);
        }
        let made = match self.brew(recipe).await {
            Ok(brewed) => self.made(brewed),
            Err(error) => {
                // What the remote has not refused is used to its end.
                let spare = self.found(recipe).await;
                let valid = |made: &Made| made.expiry.is_some_and(|end| end.is_valid(self.now()));
                return spare.filter(|made| refused.is_none() && valid(made)).ok_or(error);
            }
        };
        // Logged out, or taught another kind, in the meantime: nothing is left behind.
        let kind =
            self.tokens.vault.header(&self.tokens.remote.record())?.map(|header| header.kind);
        if kind.as_deref() == Some(recipe.kind().name()) {
            self.keep_for_others(recipe, &made).await;
        }
        Ok(made)
    }

    /// What another process made with this recipe.
    pub(super) async fn found(&self, recipe: &Recipe) -> Option<Made> {
        self.find(&fingerprint(recipe)).await.map(|brewed| self.made(brewed))
    }

    async fn find(&self, fingerprint: &str) -> Option<Brewed> {
        let found = self.tokens.vault.read(&self.place_in_vault(), self.tokens.deadline).await;
        // What cannot be read is made anew.
        let payload: Payload = serde_json::from_slice(found.ok()??.payload.expose()).ok()?;
        if payload.recipe != fingerprint {
            return None;
        }
        let mut headers = Vec::new();
        for SealedHeader { name, value } in &payload.headers {
            self.tokens.redactor.learn_passing(value.expose());
            let mut value = HeaderValue::from_str(value.expose()).ok()?;
            value.set_sensitive(true);
            headers.push((HeaderName::from_bytes(name.as_bytes()).ok()?, value));
        }
        if let Some(key) = &payload.key {
            self.tokens.redactor.learn_passing(key.expose());
        }
        let proof_key = match &payload.proof_key {
            Some(sealed) => {
                let der = BASE64.decode(sealed.expose()).ok()?;
                Some(ProofKey::from_pkcs8(Secret::new(der)).ok()?)
            }
            None => None,
        };
        let minted = Minted { headers, key: payload.key, expires_at: payload.expires_at };
        let (obtained_at, revocation) = (payload.obtained_at, payload.revocation);
        Some(Brewed { minted, obtained_at, proof_key, revocation })
    }

    /// Ends the token that was made last (RFC 7009); what happened, in words. None if there is
    /// no such token.
    pub(in crate::authorization) async fn revoke(&self, recipe: &Recipe) -> Option<String> {
        let Recipe::Grant(grant) = recipe else { return None };
        let found = self.find(&fingerprint(recipe)).await?;
        let token = found.minted.key?;
        let (issuer, endpoint) = found.revocation?;
        let client = self.authenticated(recipe, grant, None).await.ok()?;
        let (asking, web) = (client.at(&issuer, self.tokens.now), &self.tokens.web);
        let revoked = revoke(web, &endpoint, asking, &token, TokenKind::AccessToken).await;
        let issuer = self.tokens.redactor.clean(&issuer);
        Some(match revoked {
            Ok(()) => format!("the token is revoked at {issuer}"),
            Err(error) => {
                let why = self.tokens.redactor.clean(&error.to_string());
                format!("the token is not revoked at {issuer}: {why}")
            }
        })
    }

    pub(super) async fn keep_for_others(&self, recipe: &Recipe, made: &Made) {
        let header = |(name, value): &(HeaderName, HeaderValue)| SealedHeader {
            name: name.to_string(),
            value: Secret::new(value.to_str().unwrap_or_default().to_owned()),
        };
        let proof_key = made.proof.as_ref().map(|proof| proof.key().pkcs8());
        let payload = Payload {
            recipe: fingerprint(recipe),
            headers: made.minted.headers.iter().map(header).collect(),
            key: made.minted.key.clone(),
            obtained_at: made.obtained_at,
            expires_at: made.minted.expires_at,
            revocation: made.revocation.clone(),
            proof_key: proof_key.map(|der| Secret::new(BASE64.encode(der.expose()))),
        };
        let Ok(payload) = serde_json::to_vec(&payload).map(Secret::new) else { return };
        let (place, header) = (self.place_in_vault(), Header::of("minted"));
        let kept = self.tokens.vault.write(&place, header, &payload, self.tokens.deadline);
        if let Err(error) = kept.await {
            tracing::warn!("the new token is for this process only: {error}");
        }
    }

    pub(in crate::authorization) fn place_in_vault(&self) -> RecordKey {
        let remote = &self.tokens.remote;
        RecordKey::Minted { url: remote.url().to_string(), account: remote.account().to_owned() }
    }
}

/// Of everything in it, its secrets too, but for the ID token of a sign-in.
fn fingerprint(recipe: &Recipe) -> String {
    // Strings, numbers and maps with string keys: nothing in it can fail.
    let recipe = recipe.without_id_token();
    let bytes = Secret::new(serde_json::to_vec(&recipe).unwrap_or_default());
    let hash = Sha256::digest(bytes.expose());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

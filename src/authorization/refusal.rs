//! The remote refused a credential: whether another one helps, or a person.

use super::remote::quoted;
use super::{Authorization, AuthorizationError, Credential, OAuthPlan, Origin, Recipe, Refusal};
use crate::oauth::Challenge;
use reqwest::header::WWW_AUTHENTICATE;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// How long a 403 then means something else, where the token has no known end; in seconds.
const SOMETHING_ELSE: u64 = 60;
/// The least that a token without a known end lasts.
const SHORTEST_LIFE: Duration = Duration::from_millis(1500);

impl Authorization {
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
        if challenge.as_ref().is_some_and(Challenge::wants_dpop_nonce) && sent.proof.is_some() {
            // The token is good, and the proof was none (RFC 9449 section 9).
            sent.learn(refusal.status, refusal.headers);
            return Ok(Arc::new(sent.clone()));
        }
        if challenge.as_ref().is_some_and(|challenge| sent.proof_was_untimely(challenge, refusal)) {
            // So is it here: the remote tells the time by another clock.
            return Ok(Arc::new(sent.clone()));
        }
        match sent.origin {
            Origin::Token => {
                return self.after_refused_token(sent, refusal.status, challenge).await;
            }
            Origin::Made => return self.after_refused_made(sent, refusal, challenge).await,
            Origin::Nothing | Origin::Flags | Origin::Record => {}
        }
        match self.load(None).await {
            Ok(fresh) if fresh.headers != sent.headers => return Ok(fresh),
            Ok(_) => {}
            Err(AuthorizationError::Person(need)) => {
                return Err(AuthorizationError::Person(need.challenged(challenge)));
            }
            Err(error) => return Err(error),
        }
        let wants = refusal.status == 401 || (refusal.status == 403 && self.was_told_how().await?);
        if wants && self.may_sign_in(sent.origin) {
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
                return self.give_out(&record, false).await;
            }
            let challenge = challenge.clone();
            return Err(self.desk.step_up(sent.key.clone(), challenge).await);
        }
        // Some servers answer an expired token, or a revoked one, with 403 and nothing else.
        if status == 403 {
            let told = challenge.is_none() && self.was_told_how().await?;
            let now = (self.tokens.now)();
            let past = sent.expiry.is_some_and(|expiry| !expiry.is_fresh(now));
            if challenge.is_some() || !(past || told && self.may_have_ended(sent)) {
                return Err(self.refused(sent.origin));
            }
        }
        self.tokens.web.forget();
        match self.tokens.renew(sent.key.clone()).await {
            Ok(record) => self.give_out(&record, true).await,
            Err(AuthorizationError::Person(need)) => {
                Err(AuthorizationError::Person(need.challenged(challenge)))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a bare 403 may mean that the token is of no use any more. Where another token
    /// did not help, it means something else until that one's end.
    fn may_have_ended(&self, sent: &Credential) -> bool {
        let now = (self.tokens.now)();
        if sent.expiry.is_some_and(|expiry| !expiry.is_valid(now)) {
            return true;
        }
        if sent.replaced_in_vain() {
            let end = sent.expiry.map_or(now + SOMETHING_ELSE, |expiry| expiry.at());
            self.forbidden_until.store(end, Ordering::Relaxed);
        }
        if now < self.forbidden_until.load(Ordering::Relaxed) {
            return false;
        }
        // Calls that a role forbids look the same: among others that succeed they must not have
        // a new token made each time.
        let known_end = sent.expiry.is_some();
        let pause = if known_end { Duration::from_secs(SOMETHING_ELSE) } else { SHORTEST_LIFE };
        let mut last = self.last_doubt.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|at| at.elapsed() < pause) {
            return false;
        }
        *last = Some(Instant::now());
        true
    }

    /// The person said where to sign in, or as which client: for servers that publish nothing
    /// and answer 403 to whoever is nobody.
    async fn was_told_how(&self) -> Result<bool, AuthorizationError> {
        let told = |plan: &OAuthPlan| plan.issuer.is_some() || plan.token_endpoint.is_some();
        if told(&self.plan.oauth) {
            return Ok(true);
        }
        Ok(self.tokens.readable().await?.is_some_and(|record| told(&record.plan)))
    }

    /// Another token with the scope that the remote wants on top, where that may be asked for.
    async fn widened(
        &self,
        sent: &Credential,
        wanted: &str,
    ) -> Result<Arc<Credential>, AuthorizationError> {
        if let Some(recipe) = self.recipe_in_use().await?.filter(|_| !wanted.is_empty())
            && self.machine.widen(&recipe, wanted).await
        {
            return self.load(Some(sent)).await;
        }
        let wanted = self.redactor.clean(wanted);
        let (kind, remote) = (self.kind(), &self.remote);
        Err(AuthorizationError::Refused {
            message: format!("{remote} wants a scope that the {kind} credential lacks: {wanted}"),
            hint: format!("{} --scope {}", self.login_command(kind), quoted(&wanted)),
        })
    }

    /// The recipe that made what was refused.
    async fn recipe_in_use(&self) -> Result<Option<Recipe>, AuthorizationError> {
        Ok(match self.recipe().await? {
            Some((recipe, _)) => Some(recipe),
            None => self.tokens.load().await?.and_then(|record| record.exchange()),
        })
    }

    /// What was made without a person is made anew, once.
    async fn after_refused_made(
        &self,
        sent: &Credential,
        refusal: Refusal<'_>,
        challenge: Option<Challenge>,
    ) -> Result<Arc<Credential>, AuthorizationError> {
        // Somebody has a new one by now.
        if let Some(known) = self.known().filter(|known| known.headers != sent.headers) {
            return Ok(known);
        }
        let scope = challenge.as_ref().filter(|challenge| challenge.is_insufficient_scope());
        if let Some(challenge) = scope {
            return self.widened(sent, challenge.scope.as_deref().unwrap_or_default()).await;
        }
        let proved = challenge.as_ref().is_some_and(|challenge| challenge.dpop);
        if proved
            && sent.proof.is_none()
            && let Some(recipe) = self.recipe_in_use().await?
            && self.machine.prove(&recipe).await
        {
            return self.load(Some(sent)).await;
        }
        let ended = match refusal.status {
            403 => self.may_have_ended(sent),
            _ => !sent.replaced_in_vain(),
        };
        if !ended {
            return Err(self.refused(sent.origin));
        }
        self.machine.learn_clock(refusal.headers);
        self.tokens.web.forget();
        let fresh = self.load(Some(sent)).await.inspect_err(|_| {
            // The doubt remains.
            *self.last_doubt.lock().unwrap_or_else(PoisonError::into_inner) = None;
        })?;
        if fresh.headers == sent.headers {
            return Err(self.refused(sent.origin));
        }
        Ok(fresh)
    }
}

//! Where sign-ins begin: one at a time for a remote, in this process and among all.

use super::{Cause, Link, Need, Progress, SignIn, SignInSettings};
use crate::authorization::tokens::{Tokens, is_sign_in};
use crate::authorization::{AuthorizationError, Credential};
use crate::oauth::Challenge;
use crate::oauth::browser::Where;
use crate::oauth::discovery::{Discovered, DiscoveryError, Source};
use crate::secret::Secret;
use crate::vault::{Header, RecordKey, RecordLock, VaultError};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// How long a person may take, and the longest wait for another process.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks at the link of another process.
const LOOK: Duration = Duration::from_millis(250);
/// Sign-ins begun by calls in [`BRAKE_SPAN`].
const MOST_STARTS: usize = 5;
const BRAKE_SPAN: Duration = Duration::from_secs(60);
/// How long what was found on the way to a sign-in is believed.
const REMEMBERED: Duration = Duration::from_secs(60);
/// How long the first look at the remote's metadata may hold up the handshake.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// Begins sign-ins for one remote and account.
pub(in crate::authorization) struct Desk {
    pub(super) tokens: Arc<Tokens>,
    pub(super) settings: SignInSettings,
    /// What is given out: void once there are new tokens.
    pub(super) current: Arc<Mutex<Option<Arc<Credential>>>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: Option<SignIn>,
    /// Begun because of [`Cause::Notice`].
    noticed: bool,
    starts: VecDeque<Instant>,
    /// How the last one failed.
    failure: Option<Arc<AuthorizationError>>,
    /// When the last one succeeded.
    succeeded: Option<Instant>,
    /// What was found on the way to a sign-in that has not begun yet.
    found: Option<(Option<Challenge>, Discovered, Instant)>,
}

impl Desk {
    pub(in crate::authorization) fn new(
        tokens: Arc<Tokens>,
        settings: SignInSettings,
        current: Arc<Mutex<Option<Arc<Credential>>>>,
    ) -> Self {
        Self { tokens, settings, current, state: Mutex::default() }
    }

    pub(in crate::authorization) fn was_signed_in(&self) -> bool {
        let header = self.tokens.vault.header(&self.tokens.remote.record()).ok().flatten();
        header.is_some_and(|header| is_sign_in(&header))
    }

    pub(super) fn has_browser(&self) -> bool {
        matches!(self.settings.place, Where::Here)
    }

    pub(super) fn running(&self) -> Option<SignIn> {
        let state = self.lock();
        state.running.clone().filter(|one| one.progress.borrow().outcome.is_none())
    }

    /// The remote wants a credential and there is none: whether OAuth is how to get one.
    /// `refused` is what to say if not.
    pub(in crate::authorization) async fn first_need(
        &self,
        challenge: Option<Challenge>,
        refused: impl FnOnce() -> AuthorizationError,
    ) -> AuthorizationError {
        let look = async {
            if self.found(challenge.as_ref()).is_some() {
                return Ok(true);
            }
            let plan = self.plan().await?;
            let found = self.discover(&plan, challenge.as_ref()).await;
            match found {
                Err(DiscoveryError::Nothing { .. }) => Ok(false),
                // Nothing was published: whether it registers clients tells.
                Ok(found) if found.from == Source::Defaults && plan.client_id.is_none() => {
                    Ok(self.settings.allowed && self.registers(&found, &plan).await)
                }
                // What is wrong there the sign-in will say.
                _ => Ok(true),
            }
        };
        let offered = match tokio::time::timeout(FIRST_LOOK, look).await {
            Ok(Ok(offered)) => offered,
            Ok(Err(error)) => return error,
            Err(_) => true,
        };
        if !offered {
            self.lock().found = None;
            return refused();
        }
        let why = format!("{} wants a sign-in", self.tokens.whom());
        AuthorizationError::Person(self.tokens.need(why, None).challenged(challenge))
    }

    /// The remote wants more scopes than the token has (RFC 6750 section 3.1).
    pub(in crate::authorization) async fn step_up(
        &self,
        sent: Option<Secret<String>>,
        challenge: Challenge,
    ) -> AuthorizationError {
        let remote = &self.tokens.remote;
        let scope = challenge.scope.clone().unwrap_or_default();
        let shown = self.tokens.redactor.clean(&scope);
        let record = match self.tokens.load().await {
            Ok(record) => record,
            Err(error) => return error,
        };
        // What another process has got by now may do.
        let record = record.filter(|record| record.carries(sent.as_ref()));
        let asked = record.is_some_and(|record| record.asked_for(&scope));
        if asked || scope.trim().is_empty() {
            // Asked again, the answer would be the same.
            return AuthorizationError::SignInNeeded {
                message: format!("{remote} wants more than this sign-in is allowed ({shown})"),
                hint: format!("{} --force", remote.login_command(None)),
            };
        }
        let why = format!("{} wants a further permission ({shown})", self.tokens.whom());
        let mut need = self.tokens.need(why, sent).challenged(Some(challenge));
        need.step_up = Some(scope.into());
        AuthorizationError::Person(need)
    }

    /// The need of a person at a terminal: whatever there is, they want to sign in.
    pub(super) async fn login_need(&self) -> Need {
        let why = format!("signing in to {}", self.tokens.whom());
        let stored = self.tokens.readable().await.ok().flatten();
        let bearer = stored.and_then(|record| record.bearer().cloned());
        Need { by_person: true, ..self.tokens.need(why, bearer) }
    }

    pub(super) fn sign_in(self: &Arc<Self>, need: &Need, cause: Cause) -> Result<SignIn, Need> {
        if let Some(running) = self.running() {
            return Ok(running);
        }
        let mut state = self.lock();
        // Somebody signed in since the need arose.
        if state.succeeded.is_some_and(|at| at > need.since)
            && let Some(done) = &state.running
        {
            return Ok(done.clone());
        }
        self.may_begin(&mut state, need, cause)?;
        let (progress, seen) = watch::channel(Progress::default());
        let (pasted, addresses) = mpsc::unbounded_channel();
        let sign_in = SignIn { progress: seen, pasted };
        state.running = Some(sign_in.clone());
        drop(state);
        let (desk, need) = (self.clone(), need.clone());
        tokio::spawn(async move {
            let outcome = desk.take_turn(&need, &progress, addresses).await.map_err(Arc::new);
            // Who asked at a terminal is told there.
            if let Some(error) = outcome.as_ref().err().filter(|_| !need.by_person) {
                (desk.settings.tell)(&format!("the sign-in failed: {error}"));
            }
            *desk.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
            let mut state = desk.lock();
            state.failure = outcome.as_ref().err().cloned();
            state.succeeded = outcome.is_ok().then(Instant::now);
            state.found = None;
            drop(state);
            progress.send_modify(|now| now.outcome = Some(outcome));
        });
        Ok(sign_in)
    }

    fn may_begin(&self, state: &mut State, need: &Need, cause: Cause) -> Result<(), Need> {
        let refused = |failure: Option<&Arc<AuthorizationError>>| Need {
            message: failure.map_or(need.message.clone(), |failure| failure.to_string()),
            ..need.clone()
        };
        if cause == Cause::Person {
            return Ok(());
        }
        if !self.settings.allowed || need.hopeless {
            return Err(need.clone());
        }
        if cause == Cause::Notice {
            if state.noticed || self.was_signed_in() {
                return Err(refused(state.failure.as_ref()));
            }
            state.noticed = true;
        }
        let now = Instant::now();
        state.starts.retain(|start| now.duration_since(*start) < BRAKE_SPAN);
        if state.starts.len() >= MOST_STARTS {
            return Err(refused(state.failure.as_ref()));
        }
        state.starts.push_back(now);
        Ok(())
    }

    /// Waits for sign-ins of other processes, one of which may end the need.
    async fn take_turn(
        self: &Arc<Self>,
        need: &Need,
        progress: &watch::Sender<Progress>,
        pasted: mpsc::UnboundedReceiver<Secret<String>>,
    ) -> Result<(), AuthorizationError> {
        // Before anyone signs in: a token that cannot be kept is found out about first.
        if !self.tokens.vault.lasting(self.tokens.deadline).await? {
            let notice = self.tokens.vault.notice();
            let notice = notice.unwrap_or_else(|| "the sign-in ends with this process".into());
            tracing::warn!("{notice}");
        }
        let lock = self.turn(need, progress).await?;
        if self.is_met(need).await? {
            return Ok(());
        }
        // Of one that was cut short, perhaps.
        let _ = self.tokens.vault.remove(&self.place());
        progress.send_modify(|now| now.link = None);
        let signed_in = self.flow(need, progress, pasted).await;
        let _ = self.tokens.vault.remove(&self.place());
        drop(lock);
        signed_in
    }

    async fn turn(
        &self,
        need: &Need,
        progress: &watch::Sender<Progress>,
    ) -> Result<RecordLock, AuthorizationError> {
        let started = Instant::now();
        let mut told = false;
        loop {
            match self.tokens.vault.lock(&self.place(), LOOK).await {
                Ok(lock) => return Ok(lock),
                Err(VaultError::Busy { .. }) if started.elapsed() < PATIENCE => {
                    let link = self.link_elsewhere().await;
                    if !std::mem::replace(&mut told, true) {
                        self.tell_of_another(need, link.as_ref());
                    }
                    if link.is_some() {
                        progress.send_modify(|now| now.link = link);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn tell_of_another(&self, need: &Need, link: Option<&Link>) {
        let whom = self.tokens.whom();
        let mut text = format!("another keyferry has a sign-in to {whom} open: finish it there");
        if let Some(link) = link {
            text.push_str(&format!(", or here:\n\n{}\n", link.url));
        }
        if need.by_person {
            (self.settings.tell)(&text);
        } else {
            tracing::info!("{text}");
        }
    }

    /// Whether there are tokens by now that end the need.
    async fn is_met(&self, need: &Need) -> Result<bool, AuthorizationError> {
        let readable = self.tokens.readable().await?;
        let Some(record) = readable.filter(|record| record.fits(&self.tokens.flags)) else {
            return Ok(false);
        };
        let refused = need.refused.as_deref();
        Ok(!record.carries(refused)
            && record.is_usable((self.tokens.now)())
            && need.step_up.as_deref().is_none_or(|scope| record.asked_for(scope)))
    }

    /// Tells the other processes where the person is to go.
    pub(super) async fn announce(&self, progress: &watch::Sender<Progress>, link: Link) {
        let code = link.user_code.as_deref().unwrap_or_default();
        let account = self.tokens.remote.account();
        let payload = Secret::new(format!("{}\n{code}\n{account}", link.url).into_bytes());
        progress.send_modify(|now| now.link = Some(link));
        let (place, header) = (self.place(), Header::of("sign-in"));
        let kept = self.tokens.vault.write(&place, header, &payload, self.tokens.deadline);
        if let Err(error) = kept.await {
            tracing::debug!("other processes will not know the link: {error}");
        }
    }

    async fn link_elsewhere(&self) -> Option<Link> {
        let found = self.tokens.vault.read(&self.place(), self.tokens.deadline).await.ok()??;
        let text = String::from_utf8(found.payload.expose().clone()).ok()?;
        let (url, rest) = text.split_once('\n')?;
        let (code, account) = rest.split_once('\n')?;
        // Somebody else would be signed in there.
        if account != self.tokens.remote.account() {
            return None;
        }
        let user_code = (!code.is_empty()).then(|| code.to_owned());
        Some(Link { url: url.to_owned(), user_code, note: None })
    }

    /// What was found for the same challenge a moment ago; forgotten when a sign-in ends.
    pub(super) fn found(&self, challenge: Option<&Challenge>) -> Option<Discovered> {
        let state = self.lock();
        let (asked, found, at) = state.found.as_ref()?;
        (asked.as_ref() == challenge && at.elapsed() < REMEMBERED).then(|| found.clone())
    }

    pub(super) fn remember_found(&self, challenge: Option<&Challenge>, found: &Discovered) {
        self.lock().found = Some((challenge.cloned(), found.clone(), Instant::now()));
    }

    fn place(&self) -> RecordKey {
        RecordKey::SignIn { url: self.tokens.remote.url().to_string() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

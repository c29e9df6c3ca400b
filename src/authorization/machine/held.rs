//! What was made last, and what failed: for those who come later.

use super::Made;
use crate::authorization::AuthorizationError;
use crate::authorization::recipe::Recipe;
use std::time::{Duration, Instant};

/// How long the first, second and later refusals answer for those who come after them.
const BACK_OFF: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(300),
];
/// The same for a server that is out of order.
const OUT_OF_ORDER: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(super) struct Held {
    pub(super) made: Option<Known>,
    failed: Option<Failed>,
}

/// What was made last.
pub(super) struct Known {
    /// But for the ID token of a sign-in, which changes with every renewal.
    pub(super) recipe: Recipe,
    pub(super) made: Made,
    pub(super) at: Instant,
}

/// How the last attempt failed.
struct Failed {
    recipe: Recipe,
    at: Instant,
    error: AuthorizationError,
    /// How often it was refused, one time after the other.
    refusals: usize,
}

impl Held {
    pub(super) fn is_of_another(&self, recipe: &Recipe) -> bool {
        self.made.as_ref().is_some_and(|known| known.recipe != *recipe)
    }

    pub(super) fn succeeded(&mut self, recipe: Recipe, made: Made) {
        *self = Self { made: Some(Known { recipe, made, at: Instant::now() }), failed: None };
    }

    pub(super) fn failed(&mut self, recipe: &Recipe, error: &AuthorizationError) {
        let before = self.failed.take().filter(|failed| failed.recipe == *recipe);
        let refusals = before.map_or(0, |failed| failed.refusals);
        let refused = matches!(error, AuthorizationError::SignInNeeded { .. });
        self.failed = Some(Failed {
            recipe: recipe.clone(),
            at: Instant::now(),
            error: error.clone(),
            refusals: if refused { refusals + 1 } else { 0 },
        });
    }

    /// The failure that answers for who came at this time.
    pub(super) fn failure(&self, recipe: &Recipe, came: Instant) -> Option<AuthorizationError> {
        let failed = self.failed.as_ref().filter(|failed| failed.recipe == *recipe)?;
        let answers = failed.at > came || failed.at.elapsed() < failed.answers_for();
        answers.then(|| failed.error.clone())
    }

    /// What was made last, if it has not come to its end; `now` in seconds since 1970.
    pub(super) fn spare(&self, now: u64) -> Option<Made> {
        let made = &self.made.as_ref()?.made;
        made.expiry.is_some_and(|expiry| expiry.is_valid(now)).then(|| made.clone())
    }
}

impl Failed {
    /// How long it is the answer for those who come later: a password that is refused is not
    /// shown again with every call, which gets accounts locked.
    fn answers_for(&self) -> Duration {
        match self.refusals {
            0 => OUT_OF_ORDER,
            _ if self.recipe.may_change() => BACK_OFF[0],
            refusals => BACK_OFF[refusals.min(BACK_OFF.len()) - 1],
        }
    }
}

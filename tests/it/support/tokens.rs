//! Tokens that a server has given out, and for how long each is good.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[derive(Clone, Default)]
pub(crate) struct Tokens(Arc<Mutex<Given>>);

#[derive(Default)]
struct Given {
    all: Vec<String>,
    good: HashMap<String, (String, Instant)>,
    refused: usize,
}

impl Tokens {
    /// A token of this person that never was before.
    pub(crate) fn give(&self, who: &str, good_for: Duration) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let token = format!("given-5ecret-{}-token", COUNT.fetch_add(1, Ordering::SeqCst));
        self.keep(&token, who, good_for);
        token
    }

    /// One that was made elsewhere.
    pub(crate) fn keep(&self, token: &str, who: &str, good_for: Duration) {
        let mut given = self.0.lock().unwrap();
        given.all.push(token.to_owned());
        given.good.insert(token.to_owned(), (who.to_owned(), Instant::now() + good_for));
    }

    /// Whose token it is, if it is good now.
    pub(crate) fn who(&self, token: &str) -> Option<String> {
        let mut given = self.0.lock().unwrap();
        let who = given.good.get(token).filter(|(_, end)| Instant::now() < *end);
        let who = who.map(|(who, _)| who.clone());
        given.refused += usize::from(who.is_none());
        who
    }

    /// Nothing that was given so far is good any more.
    pub(crate) fn revoke(&self) {
        self.0.lock().unwrap().good.clear();
    }

    /// Everything that was ever given.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().all.clone()
    }

    /// How often a token was shown that was not good.
    pub(crate) fn refused(&self) -> usize {
        self.0.lock().unwrap().refused
    }
}

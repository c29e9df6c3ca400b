//! Metadata documents, kept in memory for as long as their servers allow (RFC 9111 section 4.2).

use reqwest::header::{AGE, CACHE_CONTROL, HeaderMap};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Metadata changes when a server is moved; nobody waits longer for that.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// More documents than one remote and its authorization servers have.
const MOST: usize = 16;

/// Documents by their URL.
#[derive(Default)]
pub struct Cache(Mutex<HashMap<String, Kept>>);

struct Kept {
    body: Vec<u8>,
    until: Instant,
}

impl Cache {
    /// The document, if it may still be used at `now`.
    pub fn fresh(&self, url: &str, now: Instant) -> Option<Vec<u8>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(url).filter(|kept| now < kept.until).map(|kept| kept.body.clone())
    }

    /// Keeps a document that came with `headers` at `now`, if that is allowed.
    pub fn keep(&self, url: &str, headers: &HeaderMap, body: &[u8], now: Instant) {
        let Some(fresh) = freshness(headers) else { return };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| now < kept.until);
        if kept.len() < MOST {
            kept.insert(url.to_owned(), Kept { body: body.to_owned(), until: now + fresh });
        }
    }

    pub fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// How long a document may be used; None: once only.
///
/// Only `max-age` counts. A document without it is asked for again, because a remote may have
/// moved to another authorization server; `Expires` alone is not worth a reader of dates.
fn freshness(headers: &HeaderMap) -> Option<Duration> {
    let control: Vec<_> =
        headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok()).collect();
    let control = control.join(",").to_ascii_lowercase();
    let mut max_age: Option<u64> = None;
    for directive in control.split(',') {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim() {
            "no-store" | "no-cache" => return None,
            // Unreadable means stale (RFC 9111 section 4.2.1).
            "max-age" => max_age = Some(value.trim().trim_matches('"').parse().unwrap_or(0)),
            _ => {}
        }
    }
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok());
    let fresh = Duration::from_secs(max_age?.saturating_sub(age.unwrap_or(0)));
    (!fresh.is_zero()).then(|| fresh.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn headers(text: &str) -> HeaderMap {
        let pair = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        text.lines().map(pair).collect()
    }

    #[test]
    fn documents_are_kept_as_their_headers_say() {
        for (text, seconds) in [
            ("", None),
            ("cache-control: public, Max-Age=60", Some(60)),
            ("cache-control: max-age=60\nage: 20", Some(40)),
            ("cache-control: max-age=60\nage: 90", None),
            ("cache-control: max-age=60\nexpires: 0", Some(60)),
            ("cache-control: max-age=9999999", Some(3600)),
            ("cache-control: max-age=99999999999999999999", None),
            ("cache-control: max-age=60, no-store", None),
            ("cache-control: no-cache=\"x\"", None),
            ("cache-control: max-age=0", None),
            ("cache-control: public", None),
            ("expires: Thu, 01 Jan 2099 00:00:00 GMT", None),
        ] {
            assert_eq!(freshness(&headers(text)).map(|fresh| fresh.as_secs()), seconds, "{text}");
        }
    }

    #[test]
    fn documents_go_stale_and_are_forgotten() {
        let (cache, now) = (Cache::default(), Instant::now());
        let second = Duration::from_secs(1);
        cache.keep("u", &headers("cache-control: max-age=10"), b"x", now);
        assert_eq!(cache.fresh("u", now + 9 * second).unwrap(), b"x");
        assert_eq!(cache.fresh("u", now + 10 * second), None);
        assert_eq!(cache.fresh("v", now), None);
        cache.forget();
        assert_eq!(cache.fresh("u", now), None);
    }
}

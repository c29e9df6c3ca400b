//! Clocks of servers, as their `Date` header tells them (RFC 9110 section 6.6.1): what is
//! signed here must be neither too old nor from the future over there.

use crate::http::date;
use reqwest::header::HeaderMap;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use url::Url;

/// A difference that is none, in seconds: the header is cut to seconds, and old on arrival.
const NONE: u64 = 1;

/// The largest difference that is believed, in seconds. What is signed for a time far from now
/// would stay good until then, for whoever has it: a server must not be able to ask for that.
const BELIEVED: u64 = 15 * 60;

/// How far servers' clocks are ahead of this one, by origin. Clones share what they learn.
#[derive(Debug, Clone, Default)]
pub struct Clocks(Arc<Mutex<BTreeMap<String, Clock>>>);

#[derive(Debug, Clone, Copy, Default)]
struct Clock {
    /// In seconds.
    ahead: i64,
    /// It told a time that was not believed, and the person knows.
    warned: bool,
}

impl Clocks {
    /// The server's time, as far as it is known; both in seconds since 1970.
    pub fn at(&self, url: &Url, now: u64) -> u64 {
        let clock = self.lock().get(&url.origin().ascii_serialization()).copied();
        now.saturating_add_signed(clock.unwrap_or_default().ahead)
    }

    /// Learns from the answer to something that was signed at `now` and refused. Whether the
    /// server's clock is another than was thought, so that signing anew may help. A difference
    /// of more than a quarter of an hour is not believed, and warned of once.
    pub fn learn(&self, url: &Url, headers: &HeaderMap, now: u64) -> bool {
        let Some(date) = date(headers) else { return false };
        if date.abs_diff(self.at(url, now)) <= NONE {
            return false;
        }
        let origin = url.origin().ascii_serialization();
        let mut clocks = self.lock();
        let clock = clocks.entry(origin.clone()).or_default();
        if date.abs_diff(now) > BELIEVED {
            if !std::mem::replace(&mut clock.warned, true) {
                let seconds = date.abs_diff(now);
                let side = if date > now { "ahead of" } else { "behind" };
                tracing::warn!(
                    "the clock of {origin} is {seconds} s {side} this one: too far to be believed"
                );
            }
            return false;
        }
        clock.ahead = date.wrapping_sub(now).cast_signed();
        true
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Clock>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Clocks;
    use reqwest::header::{DATE, HeaderMap, HeaderValue};
    use url::Url;

    fn headers(date: &str) -> HeaderMap {
        HeaderMap::from_iter([(DATE, HeaderValue::from_str(date).unwrap())])
    }

    #[test]
    fn a_clock_is_learned_for_its_origin_and_only_if_it_is_off() {
        let clocks = Clocks::default();
        let url = |text: &str| Url::parse(text).unwrap();
        let (server, other) = (url("https://as.example/token"), url("https://rs.example/"));
        let off = headers("Sun, 06 Nov 1994 08:49:37 GMT");
        let now = 784_111_777;
        for near in [now - 1, now, now + 1] {
            assert!(!clocks.learn(&server, &off, near), "{near}");
        }
        assert!(clocks.learn(&server, &off, now - 90));
        assert_eq!(clocks.at(&url("https://as.example/x"), now - 80), now + 10);
        assert_eq!(clocks.at(&other, 5), 5);
        // Known by now, so that asking again would not help.
        assert!(!clocks.clone().learn(&server, &off, now - 90));
        assert!(clocks.learn(&server, &off, now + 90));
        assert_eq!(clocks.at(&server, now + 90), now);
    }

    #[test]
    fn a_clock_that_is_far_off_is_not_believed() {
        let clocks = Clocks::default();
        let url = Url::parse("https://as.example/token").unwrap();
        let (off, date) = (headers("Sun, 06 Nov 1994 08:49:37 GMT"), 784_111_777);
        for now in [date - 901, date + 901, 0] {
            assert!(!clocks.learn(&url, &off, now), "{now}");
            assert_eq!(clocks.at(&url, now), now);
        }
        let never = headers("Fri, 31 Dec 9999 23:59:59 GMT");
        assert!(!clocks.learn(&url, &never, date));
        assert!(clocks.learn(&url, &off, date - 900));
        // What was learned before stays.
        assert!(!clocks.learn(&url, &never, date - 900));
        assert_eq!(clocks.at(&url, date - 900), date);
        assert!(clocks.learn(&url, &off, date + 900));
        assert_eq!(clocks.at(&url, date + 900), date);
    }
}

//! When a token ends, by the wall clock and by the one that never jumps.

use std::time::{Duration, Instant};

/// The longest time before its end in which a token is renewed, in seconds.
const LONGEST_MARGIN: u64 = 60;
/// A clock that stands this much before the time of issue was set back, in seconds.
const SET_BACK: u64 = 60;

/// The life of an access token, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::authorization) struct Expiry {
    pub(super) obtained_at: u64,
    pub(super) at: u64,
    /// The same by the monotonic clock, which stands still while a machine sleeps.
    until: Instant,
}

impl Expiry {
    /// The end of a token that was obtained at `obtained_at` and ends at `at`, seen from `now`.
    pub(in crate::authorization) fn new(obtained_at: u64, at: u64, now: u64) -> Self {
        let until = Instant::now() + Duration::from_secs(at.saturating_sub(now));
        Self { obtained_at, at, until }
    }

    /// In seconds since 1970.
    pub(in crate::authorization) fn at(&self) -> u64 {
        self.at
    }

    /// Not worth renewing yet.
    pub(in crate::authorization) fn is_fresh(&self, now: u64) -> bool {
        let lifetime = self.at.saturating_sub(self.obtained_at);
        // Of the shortest ones nothing is left to give.
        let margin = if lifetime < 3 { 0 } else { lifetime.div_ceil(5).min(LONGEST_MARGIN) };
        self.lasts(now, margin)
    }

    /// Not past its end.
    pub(in crate::authorization) fn is_valid(&self, now: u64) -> bool {
        self.lasts(now, 0)
    }

    fn lasts(&self, now: u64, margin: u64) -> bool {
        now + SET_BACK >= self.obtained_at
            && now + margin < self.at
            && Instant::now() + Duration::from_secs(margin) < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_a_fifth_of_its_life_ahead_but_no_more_than_a_minute() {
        let hour = Expiry::new(1000, 4600, 1000);
        assert!(hour.is_fresh(4539) && !hour.is_fresh(4540) && hour.is_valid(4599));
        let short = Expiry::new(1000, 1008, 1000);
        assert!(short.is_fresh(1005) && !short.is_fresh(1006) && short.is_valid(1007));
        assert!(Expiry::new(1000, 1001, 1000).is_fresh(1000));
        assert!(!short.is_valid(1008));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_token_young() {
        let token = Expiry::new(10_000, 13_600, 10_000);
        assert!(token.is_fresh(9_950) && !token.is_fresh(9_000));
    }
}

//! A machine that has slept. Its connections are dead, and nothing says so: what is sent on
//! one of them waits until TCP gives up. Pure.

use std::time::{Duration, Instant};

/// The clocks differ by that much only where one of them stood still, or was set.
const NOTICEABLE: u64 = 10;

/// The wall clock goes on while a machine sleeps; the monotonic one of Linux and macOS, by which
/// connections are known to be old, does not.
#[derive(Debug, Default)]
pub(super) struct Sleep(Option<(Instant, u64)>);

impl Sleep {
    /// Whether the machine has slept since this was last asked; `now` in seconds since 1970.
    pub(super) fn noticed(&mut self, at: Instant, now: u64) -> bool {
        let Some((before, then)) = self.0.replace((at, now)) else { return false };
        let passed = at.saturating_duration_since(before) + Duration::from_secs(NOTICEABLE);
        now.saturating_sub(then) > passed.as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wall_clock_that_ran_ahead_tells_of_sleep() {
        let start = Instant::now();
        let mut sleep = Sleep::default();
        let mut after = |seconds, now| sleep.noticed(start + Duration::from_secs(seconds), now);
        assert!(!after(0, 1000), "the first time");
        assert!(!after(3600, 4600), "awake for an hour");
        assert!(!after(3600, 4609), "set right by a little");
        assert!(after(3601, 8200), "asleep for an hour");
        assert!(!after(3602, 8201), "once");
        assert!(!after(3603, 1000), "set back");
    }
}

//! When a stream that is meant to last is asked for again: soon where it served, ever later
//! where it did not, never before the server wants it. Pure.

use std::time::Duration;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The longest wait that a server may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(300);
/// Whatever a server asks for, it is not asked in a tight loop.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// The pauses between one connection and the next.
pub(super) struct Backoff {
    /// Doubles with each attempt that is of no use.
    wait: Duration,
    /// The server's reconnection time.
    retry: Option<Duration>,
    /// The last attempt brought something.
    served: bool,
    /// The server's `Retry-After`, until the next attempt.
    later: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { wait: FIRST_WAIT, retry: None, served: false, later: Duration::ZERO }
    }
}

impl Backoff {
    /// A stream has ended. One that lasted longer than the pause before it makes no tight loop,
    /// though it brought nothing: proxies end what is idle.
    pub(super) fn ended(&mut self, lasted: Duration, served: bool, retry: Option<Duration>) {
        self.retry = retry.or(self.retry);
        self.served = served;
        if served || lasted > self.wait {
            self.wait = FIRST_WAIT;
        }
    }

    /// There was no stream, and the server wants so much time.
    pub(super) fn refused(&mut self, later: Duration) {
        self.served = false;
        self.later = later.min(LONGEST_ASKED);
    }

    /// There is a reason to try as if it were the first time.
    pub(super) fn begin_again(&mut self) {
        self.wait = FIRST_WAIT;
    }

    /// What the server itself wants to have passed.
    pub(super) fn asked(&self) -> Duration {
        self.retry.unwrap_or_default().min(LONGEST_ASKED).max(self.later)
    }

    /// The pause before the next attempt.
    pub(super) fn pause(&mut self) -> Duration {
        let later = std::mem::take(&mut self.later);
        if let (true, Some(retry)) = (self.served, self.retry) {
            return retry.clamp(SHORTEST_WAIT, LONGEST_ASKED).max(later);
        }
        let pause = self.retry.map_or(self.wait, |retry| retry.clamp(self.wait, LONGEST_ASKED));
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        pause.max(later)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// The pauses after streams like this one, in seconds.
    fn pauses(lasted: Duration, served: bool, retry: Option<Duration>) -> [f64; 7] {
        let mut backoff = Backoff::default();
        std::array::from_fn(|_| {
            backoff.ended(lasted, served, retry);
            backoff.pause().as_secs_f64()
        })
    }

    #[test]
    fn what_is_of_no_use_is_asked_for_ever_later() {
        assert_eq!(pauses(ms(5), false, None), [1., 2., 4., 8., 16., 30., 30.]);
        assert_eq!(pauses(ms(5), false, Some(ms(3000))), [3., 3., 4., 8., 16., 30., 30.]);
        let mut backoff = Backoff::default();
        let refused = std::array::from_fn(|_| {
            backoff.refused(Duration::ZERO);
            backoff.pause().as_secs()
        });
        assert_eq!(refused, [1, 2, 4, 8, 16, 30, 30]);
        backoff.begin_again();
        assert_eq!(backoff.pause(), ms(1000));
    }

    #[test]
    fn what_served_is_asked_for_soon() {
        assert_eq!(pauses(ms(5), true, None), [1.; 7]);
        assert_eq!(pauses(ms(5), true, Some(ms(200))), [0.2; 7]);
        assert_eq!(pauses(ms(5), true, Some(ms(0))), [0.01; 7]);
    }

    #[test]
    fn a_stream_that_was_ended_for_being_idle_is_asked_for_soon() {
        assert_eq!(pauses(ms(60_000), false, None), [1.; 7]);
    }

    #[test]
    fn a_server_is_not_asked_before_it_wants_it_and_cannot_want_for_ever() {
        for (later, expected) in [(7, 7), (0, 2), (1_000_000, 300)] {
            let mut backoff = Backoff::default();
            backoff.refused(Duration::ZERO);
            backoff.pause();
            backoff.refused(Duration::from_secs(later));
            assert_eq!(backoff.asked().as_secs(), later.min(300));
            assert_eq!(backoff.pause().as_secs(), expected);
            assert_eq!(backoff.pause().as_secs(), 4, "asked for once only");
        }
        assert_eq!(pauses(ms(5), true, Some(ms(1_000_000_000)))[0], 300.);
    }
}

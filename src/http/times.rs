//! Times in HTTP headers: dates, and how long to wait before another try.

use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use std::time::Duration;

/// The `Date` of a response in seconds since 1970.
pub fn date(headers: &HeaderMap) -> Option<u64> {
    seconds(headers, &DATE)
}

/// How long the server wants not to be asked (RFC 9110 section 10.2.3). A date counts from the
/// server's own, whatever the clock here says.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => seconds,
        Err(_) => seconds(headers, &RETRY_AFTER)?.saturating_sub(date(headers)?),
    };
    Some(Duration::from_secs(wait))
}

/// A date in seconds since 1970, if it is spelled as servers must spell it:
/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
fn seconds(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = headers.get(name)?.to_str().ok()?.trim();
    let (_, text) = text.split_once(", ")?;
    let parts: Vec<&str> = text.split(' ').collect();
    let [day, month, year, time, "GMT"] = parts[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    let clock: Vec<u64> = time.split(':').map_while(|part| part.parse().ok()).collect();
    let [hours, minutes, seconds] = clock[..] else { return None };
    let fits = (1970..10_000).contains(&year) && (1..=31).contains(&day);
    if !fits || hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    // Years that begin in March: the leap day is the last one.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    // Until 1970 by the same count.
    Some((days.checked_sub(719_469)?) * 86_400 + hours * 3600 + minutes * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::{DATE, Duration, HeaderMap, HeaderName, RETRY_AFTER, date, retry_after};
    use reqwest::header::HeaderValue;

    fn with(headers: &[(HeaderName, &str)]) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        headers.iter().map(|(name, text)| (name.clone(), value(text))).collect()
    }

    #[test]
    fn a_date_is_read_as_seconds() {
        for (text, expected) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Tue, 29 Feb 2000 23:59:59 GMT", Some(951_868_799)),
            ("Wed, 01 Mar 2000 00:00:00 GMT", Some(951_868_800)),
            ("Sat, 31 Dec 2016 23:59:60 GMT", Some(1_483_228_800)),
            ("Fri, 01 Jan 2100 00:00:00 GMT", Some(4_102_444_800)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 +0100", None),
            ("Sun, 32 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37:1 GMT", None),
            ("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", None),
            ("1994-11-06", None),
            ("", None),
        ] {
            assert_eq!(date(&with(&[(DATE, text)])), expected, "{text}");
        }
        assert_eq!(date(&HeaderMap::new()), None);
    }

    #[test]
    fn a_wait_is_told_in_seconds_or_by_the_clock_of_the_server() {
        let at = (DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
        for (headers, expected) in [
            (vec![(RETRY_AFTER, "30")], Some(30)),
            (vec![(RETRY_AFTER, " 0 ")], Some(0)),
            (vec![(RETRY_AFTER, "Sun, 06 Nov 1994 08:50:07 GMT"), at.clone()], Some(30)),
            (vec![(RETRY_AFTER, "Sun, 06 Nov 1994 08:49:07 GMT"), at.clone()], Some(0)),
            (vec![(RETRY_AFTER, "Sun, 06 Nov 1994 08:50:07 GMT")], None),
            (vec![(RETRY_AFTER, "-1")], None),
            (vec![(RETRY_AFTER, "soon"), at], None),
            (vec![], None),
        ] {
            let wait = retry_after(&with(&headers));
            assert_eq!(wait, expected.map(Duration::from_secs), "{headers:?}");
        }
    }
}

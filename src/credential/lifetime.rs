//! How long a token is good for, from what came with it or from the token itself.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// Longest lifetime that is believed, in seconds: ten years.
const LONGEST: f64 = 315_360_000.0;
/// A point in time above this is in milliseconds; in seconds it would be in the year 5138.
const MILLISECONDS: f64 = 1e11;

/// What an answer says of its token's end. A member of another type says nothing.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Lifetime<'a> {
    /// Seconds, as a number or a string.
    #[serde(borrow)]
    expires_in: Option<&'a RawValue>,
    /// Seconds or milliseconds since 1970, as a number or a string, or RFC 3339.
    #[serde(borrow)]
    expires_at: Option<&'a RawValue>,
}

/// Only the one member that is read.
#[derive(Deserialize)]
struct Claims {
    exp: f64,
}

impl<'a> Lifetime<'a> {
    /// Of a JSON object; nothing of anything else.
    pub(super) fn of(json: &'a str) -> Self {
        serde_json::from_str(json).unwrap_or_default()
    }

    /// The end in seconds since 1970, between one second and ten years from `now`. One that
    /// has passed says nothing, as a token that is good for nothing would not have been sent:
    /// one of the clocks is wrong.
    pub(super) fn ends_at(&self, now: u64) -> Option<u64> {
        let left = self.expires_in.and_then(spelled).and_then(|text| text.parse().ok());
        let left = left.and_then(|seconds: f64| ends(seconds, now));
        left.or_else(|| {
            let at = point_in_time(&self.expires_at.and_then(spelled)?)?;
            ends(at - now as f64, now)
        })
    }
}

/// The `exp` of a token that is a JWT (RFC 7519 section 4.1.4), read without verifying it,
/// within the same bounds.
pub(super) fn end_of_jwt(token: &str, now: u64) -> Option<u64> {
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let claims = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?);
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    ends(claims.exp - now as f64, now)
}

fn ends(left: f64, now: u64) -> Option<u64> {
    (left > 0.0).then(|| now + left.clamp(1.0, LONGEST) as u64)
}

/// The text of a string or a number.
fn spelled(value: &RawValue) -> Option<String> {
    let text = match value.get() {
        text if text.starts_with('"') => serde_json::from_str(text).ok()?,
        number => number.to_owned(),
    };
    Some(text.trim().to_owned())
}

fn point_in_time(text: &str) -> Option<f64> {
    match text.parse::<f64>() {
        Ok(at) if at > MILLISECONDS => Some(at / 1000.0),
        Ok(at) => Some(at),
        Err(_) => rfc3339(text),
    }
}

/// Seconds since 1970 of a date-time (RFC 3339 section 5.6), fractions left out.
fn rfc3339(text: &str) -> Option<f64> {
    let date_time = text.get(..19)?.as_bytes();
    let blank = matches!(date_time[10], b'T' | b't' | b' ');
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if !blank || marks.iter().any(|&(at, mark)| date_time[at] != mark) {
        return None;
    }
    let (year, month, day) = (digits(text, 0, 4)?, digits(text, 5, 2)?, digits(text, 8, 2)?);
    let (hour, minute, second) = (digits(text, 11, 2)?, digits(text, 14, 2)?, digits(text, 17, 2)?);
    let fits = (1..=12).contains(&month) && (1..=31).contains(&day);
    if !fits || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut zone = &text[19..];
    if let Some(fraction) = zone.strip_prefix('.') {
        zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some((seconds - offset(zone)?) as f64)
}

/// How far a time zone is ahead, in seconds: `Z`, `+02:00`.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let sign = match zone.as_bytes() {
        [b'+', _, _, b':', _, _] => 1,
        [b'-', _, _, b':', _, _] => -1,
        _ => return None,
    };
    Some(sign * (digits(zone, 1, 2)? * 3600 + digits(zone, 4, 2)? * 60))
}

fn digits(text: &str, at: usize, count: usize) -> Option<i64> {
    let digits = text.get(at..at + count)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Days since 1970 in the Gregorian calendar. Years begin in March here, so that a leap day is
/// the last day of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn left(json: &str) -> Option<u64> {
        Lifetime::of(json).ends_at(NOW).map(|at| at - NOW)
    }

    #[test]
    fn a_lifetime_is_read_however_it_is_spelled() {
        for (json, seconds) in [
            (r#"{"expires_in":8}"#, Some(8)),
            (r#"{"expires_in":"3600"}"#, Some(3600)),
            (r#"{"expires_in":0.5}"#, Some(1)),
            (r#"{"expires_in":1e300}"#, Some(315_360_000)),
            (r#"{"expires_at":1800000060}"#, Some(60)),
            (r#"{"expires_at":"1800000060"}"#, Some(60)),
            (r#"{"expires_at":1800000060500}"#, Some(60)),
            (r#"{"expires_at":"2027-01-15T08:01:00Z"}"#, Some(60)),
            (r#"{"expires_in":"soon","expires_at":1800000060}"#, Some(60)),
            (r#"{"expires_in":0}"#, None),
            (r#"{"expires_in":-5}"#, None),
            (r#"{"expires_in":"nan"}"#, None),
            (r#"{"expires_in":null,"expires_at":[1]}"#, None),
            (r#"{"expires_at":1700000000}"#, None),
            (r#"{"expires_at":"tomorrow"}"#, None),
            ("{}", None),
            ("[]", None),
        ] {
            assert_eq!(left(json), seconds, "{json}");
        }
    }

    #[test]
    fn a_point_in_time_is_read_as_rfc_3339_has_it() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", Some(0.0)),
            ("2000-02-29T23:59:60Z", Some(951_868_800.0)),
            ("2027-01-15T08:00:00Z", Some(1_800_000_000.0)),
            ("2027-01-15t10:00:00.123456+02:00", Some(1_800_000_000.0)),
            ("2027-01-15 02:30:00-05:30", Some(1_800_000_000.0)),
            ("2024-12-31T23:59:59Z", Some(1_735_689_599.0)),
            ("2027-01-15T08:00:00", None),
            ("2027-13-15T08:00:00Z", None),
            ("2027-01-15T08:00:00+2", None),
            ("+027-01-15T08:00:00Z", None),
            ("2027-01-15T08:00:0\u{e9}Z", None),
            ("2027-01-15", None),
        ] {
            assert_eq!(rfc3339(text), seconds, "{text}");
        }
    }

    #[test]
    fn a_jwt_tells_its_end() {
        let jwt = |claims: &str| format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(end_of_jwt(&jwt(r#"{"exp":1800000008}"#), NOW), Some(NOW + 8));
        assert_eq!(end_of_jwt(&jwt(r#"{"exp":1800000008.7}"#), NOW), Some(NOW + 8));
        for token in [jwt(r#"{"exp":1700000000}"#), jwt("{}"), "a.b".into(), "a.b.c.d".into()] {
            assert_eq!(end_of_jwt(&token, NOW), None, "{token}");
        }
    }
}

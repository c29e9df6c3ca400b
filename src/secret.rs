//! Values that must never be shown: no `Display`, a redacted `Debug`, wiped on drop.
//!
//! `expose` is the one marked way out; every call of it should end at a header,
//! at the seal of the vault, or at a token endpoint.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use zeroize::{Zeroize, Zeroizing};

/// A secret value, wiped from memory when it is dropped.
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Takes ownership of `value`; the caller must not keep another copy.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself. Look at where it goes before adding a call.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + Clone> Clone for Secret<T> {
    fn clone(&self) -> Self {
        Self::new(T::clone(&self.0))
    }
}

impl<T: Zeroize + PartialEq> PartialEq for Secret<T> {
    fn eq(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl From<String> for Secret<String> {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

/// Secrets as a sealed record holds them; for nothing else. `#[serde(with = ...)]`.
pub mod sealed {
    use super::Secret;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(secret: &Secret<String>, to: S) -> Result<S::Ok, S::Error> {
        secret.expose().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret<String>, D::Error> {
        String::deserialize(from).map(Secret::new)
    }
}

/// [`sealed`] for what may be missing; with `#[serde(default)]` beside it.
pub mod sealed_option {
    use super::Secret;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(
        secret: &Option<Secret<String>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Secret::expose).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Secret<String>>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(Secret::new))
    }
}

/// Longest text from a server that is shown, in characters.
const SHOWN: usize = 500;

/// Shortest part of a composed secret that is a secret by itself, in bytes.
const LONG_PART: usize = 8;

/// Tokens that are remembered: more than are in use at one time, with some that were.
const PASSING: usize = 64;

/// Knows every secret of the process, to keep them out of what is shown.
#[derive(Default)]
pub struct Redactor(Mutex<Known>);

#[derive(Default)]
struct Known {
    lasting: Vec<Secret<String>>,
    /// Each with its spellings, the oldest first.
    passing: VecDeque<Vec<Secret<String>>>,
}

impl Redactor {
    /// From now on `secret` is never shown, nor is it as JSON or a URL would spell it. Very
    /// short values are not learned: they would turn every text into noise, and guessing them
    /// costs nothing.
    pub fn learn(&self, secret: &str) {
        // "Bearer KEY" is a secret, and so is KEY by itself.
        if let Some(last) = secret.split_whitespace().last().filter(|last| *last != secret) {
            self.learn_one(last);
        }
        self.learn_one(secret);
        // So is each value of "sid=VALUE; theme=dark".
        let parts = secret.split(|c: char| c.is_whitespace() || matches!(c, ';' | ',' | '='));
        for part in parts.filter(|part| part.len() >= LONG_PART && *part != secret) {
            self.learn_one(part);
        }
    }

    /// As [`Self::learn`] for what is replaced again and again, such as tokens: the last ones
    /// are remembered.
    pub fn learn_passing(&self, secret: &str) {
        let mut known = self.lock();
        let same =
            |one: &Vec<Secret<String>>| one.first().is_some_and(|one| one.expose() == secret);
        if secret.len() < 4 || known.passing.iter().any(same) {
            return;
        }
        known.passing.push_back(spellings(secret));
        if known.passing.len() > PASSING {
            known.passing.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn_one(&self, secret: &str) {
        if secret.len() < 4 {
            return;
        }
        let known = &mut self.lock().lasting;
        for spelling in spellings(secret) {
            if !known.iter().any(|one| one.expose() == spelling.expose()) {
                known.push(spelling);
            }
        }
    }

    /// Text from elsewhere made fit to show: secrets replaced, control and direction
    /// characters turned into spaces, long text cut.
    pub fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let known = self.lock();
        let mut all: Vec<_> = known.lasting.iter().chain(known.passing.iter().flatten()).collect();
        // The longest first: a secret may be part of another.
        all.sort_by_key(|one| std::cmp::Reverse(one.expose().len()));
        for secret in all {
            text = text.replace(secret.expose().as_str(), "[redacted]");
        }
        drop(known);
        let mut shown = String::new();
        for word in text.split(|c: char| c.is_whitespace() || is_unfit(c)).filter(|w| !w.is_empty())
        {
            if !shown.is_empty() {
                shown.push(' ');
            }
            shown.push_str(word);
        }
        if let Some((end, _)) = shown.char_indices().nth(SHOWN) {
            shown.truncate(end);
            shown.push_str(" ...");
        }
        shown
    }
}

/// The secret itself, then as JSON and URLs would write it.
fn spellings(secret: &str) -> Vec<Secret<String>> {
    let json = json_escaped(secret);
    let slashed = Zeroizing::new(json.replace('/', "\\/"));
    let (upper, lower) = percent_encoded(secret);
    let form = Zeroizing::new(upper.replace("%20", "+"));
    let mut all: Vec<Secret<String>> = Vec::new();
    for spelling in [secret, &json, &slashed, &upper, &lower, &form] {
        if !all.iter().any(|one| one.expose() == spelling) {
            all.push(Secret::new(spelling.to_owned()));
        }
    }
    all
}

fn json_escaped(text: &str) -> Zeroizing<String> {
    let mut quoted = Zeroizing::new(serde_json::Value::from(text).to_string());
    quoted.pop();
    quoted.remove(0);
    quoted
}

/// With upper and with lower case digits.
fn percent_encoded(text: &str) -> (Zeroizing<String>, Zeroizing<String>) {
    let mut encoded = (Zeroizing::new(String::new()), Zeroizing::new(String::new()));
    for byte in text.bytes() {
        // What RFC 3986 leaves as it is (section 2.3).
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.0.push(byte.into());
            encoded.1.push(byte.into());
        } else {
            encoded.0.push_str(&format!("%{byte:02X}"));
            encoded.1.push_str(&format!("%{byte:02x}"));
        }
    }
    encoded
}

/// C0, C1 and bidirectional control characters.
fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::{Redactor, Secret};

    #[test]
    fn text_from_elsewhere_is_shown_without_secrets_and_control_characters() {
        let redactor = Redactor::default();
        redactor.learn("hunter2");
        redactor.learn("Bearer hunter2");
        let text = "no \u{1b}[31mBearer hunter2\u{202e}\nor hunter2";
        assert_eq!(redactor.clean(text), "no [31m[redacted] or [redacted]");
        assert!(redactor.clean(&"x".repeat(9000)).len() < 600);
    }

    #[test]
    fn a_secret_is_known_in_every_spelling_and_part() {
        let redactor = Redactor::default();
        redactor.learn("sk/live+\"5 ecret=");
        for text in [
            r#"sk/live+\"5 ecret="#,
            r#"sk\/live+\"5 ecret="#,
            "sk%2Flive%2B%225%20ecret%3D",
            "sk%2flive%2b%225%20ecret%3d",
            "sk%2Flive%2B%225+ecret%3D",
        ] {
            assert_eq!(redactor.clean(text), "[redacted]");
        }
        redactor.learn("sid=s3cret-1234; theme=dark; a=b");
        assert_eq!(redactor.clean("'s3cret-1234' theme=dark"), "'[redacted]' theme=dark");
    }

    #[test]
    fn of_what_passes_the_last_are_remembered() {
        let redactor = Redactor::default();
        redactor.learn("lasting-5ecret");
        for nth in 0..200 {
            redactor.learn_passing(&format!("token-{nth}-5ecret"));
        }
        assert_eq!(redactor.clean("token-199-5ecret token-150-5ecret"), "[redacted] [redacted]");
        assert_eq!(redactor.clean("token-1-5ecret lasting-5ecret"), "token-1-5ecret [redacted]");
    }

    #[test]
    fn debug_shows_nothing_of_the_value() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "[secret] Some([secret])");
    }
}

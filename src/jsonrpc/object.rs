//! Ordered raw members of a JSON object, elements of an array, and splicing:
//! what is not asked for keeps its bytes, its order and its duplicates.

use super::scan::{Malformed, skip_space, skip_string, skip_value};
use std::borrow::Cow;
use std::ops::Range;

/// One member of an object, as offsets into the text it was read from.
#[derive(Debug, Clone)]
pub struct Member {
    /// The key without its quotes, escapes as written.
    pub key: Range<usize>,
    /// The value's own bytes, without white space around it.
    pub value: Range<usize>,
}

impl Member {
    /// True if the key, unescaped, is `name`.
    pub fn is(&self, text: &[u8], name: &str) -> bool {
        let raw = &text[self.key.clone()];
        raw == name.as_bytes() || (raw.contains(&b'\\') && unescape(raw).as_deref() == Some(name))
    }

    /// The key unescaped; `None` if its escapes name no character.
    pub fn name<'a>(&self, text: &'a [u8]) -> Option<Cow<'a, str>> {
        let raw = &text[self.key.clone()];
        if raw.contains(&b'\\') {
            unescape(raw).map(Cow::Owned)
        } else {
            std::str::from_utf8(raw).ok().map(Cow::Borrowed)
        }
    }
}

fn unescape(raw: &[u8]) -> Option<String> {
    serde_json::from_slice(&[b"\"", raw, b"\""].concat()).ok()
}

/// The string that a JSON string value means; `None` for any other value.
pub fn string(value: &[u8]) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inner.contains(&b'\\') {
        unescape(inner).map(Cow::Owned)
    } else {
        std::str::from_utf8(inner).ok().map(Cow::Borrowed)
    }
}

/// Iterates over the members of the object, or with [`Items::array`] the elements of the
/// array, that starts at an offset. Ends after the closing bracket or at the first fault.
pub struct Items<'a> {
    text: &'a [u8],
    at: usize,
    object: bool,
    first: bool,
    done: bool,
}

impl<'a> Items<'a> {
    /// The members of the object at `at`.
    pub fn object(text: &'a [u8], at: usize) -> Result<Self, Malformed> {
        Self::open(text, at, b'{')
    }

    /// The elements of the array at `at`; their `key` is empty.
    pub fn array(text: &'a [u8], at: usize) -> Result<Self, Malformed> {
        Self::open(text, at, b'[')
    }

    fn open(text: &'a [u8], at: usize, bracket: u8) -> Result<Self, Malformed> {
        let at = skip_space(text, at);
        if text.get(at) != Some(&bracket) {
            return Err(Malformed { at });
        }
        Ok(Self { text, at: at + 1, object: bracket == b'{', first: true, done: false })
    }

    /// The offset behind the closing bracket, once the iteration has ended without a fault.
    pub fn end(&self) -> usize {
        self.at
    }

    fn step(&mut self) -> Result<Option<Member>, Malformed> {
        self.at = skip_space(self.text, self.at);
        let close = if self.object { b'}' } else { b']' };
        match self.text.get(self.at) {
            Some(&byte) if byte == close => {
                self.at += 1;
                self.done = true;
                return Ok(None);
            }
            Some(b',') if !self.first => self.at = skip_space(self.text, self.at + 1),
            Some(_) if self.first => {}
            _ => return Err(Malformed { at: self.at }),
        }
        self.first = false;
        let mut key = self.at..self.at;
        if self.object {
            let end = skip_string(self.text, self.at)?;
            key = self.at + 1..end - 1;
            self.at = skip_space(self.text, end);
            if self.text.get(self.at) != Some(&b':') {
                return Err(Malformed { at: self.at });
            }
            self.at = skip_space(self.text, self.at + 1);
        }
        let start = self.at;
        self.at = skip_value(self.text, start)?;
        Ok(Some(Member { key, value: start..self.at }))
    }
}

impl Iterator for Items<'_> {
    type Item = Result<Member, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.step();
        self.done |= step.is_err();
        step.transpose()
    }
}

/// The value of the first member called `name` in the object `text`; `None` where there is
/// none or `text` is no object.
pub fn get<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    find(text, 0, name).map(|range| &text[range])
}

/// Like [`get`], for the object at `at`, as offsets into `text`.
pub fn find(text: &[u8], at: usize, name: &str) -> Option<Range<usize>> {
    Items::object(text, at)
        .ok()?
        .map_while(Result::ok)
        .find(|member| member.is(text, name))
        .map(|member| member.value)
}

/// `text` with each range replaced; the ranges stand in ascending order and do not overlap.
pub fn splice(text: &[u8], edits: &[(Range<usize>, &[u8])]) -> Vec<u8> {
    let mut spliced =
        Vec::with_capacity(text.len() + edits.iter().map(|(_, with)| with.len()).sum::<usize>());
    let mut at = 0;
    for (range, with) in edits {
        spliced.extend_from_slice(&text[at..range.start]);
        spliced.extend_from_slice(with);
        at = range.end;
    }
    spliced.extend_from_slice(&text[at..]);
    spliced
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn members_keep_order_duplicates_and_spelling() {
        let text = br#" {"b":1.10, "a":1e400,"b" : [1, 2] ,"\u0061":null}"#;
        let members: Vec<_> = Items::object(text, 0)
            .unwrap()
            .map(|member| member.unwrap())
            .map(|member| (member.name(text).unwrap().into_owned(), &text[member.value]))
            .collect();
        let expected: [(&str, &[u8]); 4] =
            [("b", b"1.10"), ("a", b"1e400"), ("b", b"[1, 2]"), ("a", b"null")];
        assert_eq!(members, expected.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn splicing_touches_nothing_else() {
        let text = br#"{"id": 1 ,"x":1.0}"#;
        let id = find(text, 0, "id").unwrap();
        assert_eq!(splice(text, &[(id, b"\"k\"")]), br#"{"id": "k" ,"x":1.0}"#);
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_member_is_found_with_its_own_bytes(
            members in prop::collection::vec((any::<String>(), value()), 0..8),
            pretty in any::<bool>(),
        ) {
            let written: Vec<_> = members.iter().map(|(key, value)| {
                let value = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
                (serde_json::to_string(key).unwrap(), value.unwrap())
            }).collect();
            let body: Vec<_> = written.iter().map(|(key, value)| format!("{key}: {value}")).collect();
            let text = format!("{{{}}}", body.join(" ,\n"));
            let mut items = Items::object(text.as_bytes(), 0).unwrap();
            for ((key, _), (_, raw)) in members.iter().zip(&written) {
                let member = items.next().unwrap().unwrap();
                prop_assert!(member.is(text.as_bytes(), key));
                prop_assert_eq!(&text[member.value], raw);
            }
            prop_assert!(items.next().is_none());
            prop_assert_eq!(items.end(), text.len());
        }
    }
}

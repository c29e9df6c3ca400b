//! Changes to one text that are made at once: what they do not touch keeps its bytes.

use crate::jsonrpc::object::{Items, Member, splice};
use bytes::Bytes;
use std::ops::Range;

/// Replacements of ranges that do not overlap, in any order.
#[derive(Debug, Default)]
pub(super) struct Edits(Vec<(Range<usize>, Bytes)>);

impl Edits {
    /// This text in the place of that range.
    pub(super) fn put(&mut self, range: Range<usize>, text: impl Into<Bytes>) {
        self.0.push((range, text.into()));
    }

    /// Takes members out of the object at `at`; returns how many are left in it.
    pub(super) fn take_out(
        &mut self,
        text: &[u8],
        at: usize,
        hide: impl Fn(&Member) -> bool,
    ) -> usize {
        let Ok(items) = Items::object(text, at) else { return 0 };
        let all: Vec<(Range<usize>, bool)> = items
            .map_while(Result::ok)
            .map(|member| (member.key.start - 1..member.value.end, hide(&member)))
            .collect();
        let first_kept = all.iter().position(|(_, hidden)| !hidden).unwrap_or(all.len());
        for (nth, (range, _)) in all.iter().enumerate().filter(|(_, (_, hidden))| *hidden) {
            // With the comma on the side where a kept member remains.
            let range = if nth > first_kept {
                all[nth - 1].0.end..range.end
            } else if let Some((next, _)) = all.get(nth + 1) {
                range.start..next.start
            } else {
                range.clone()
            };
            self.put(range, Bytes::new());
        }
        all.iter().filter(|(_, hidden)| !hidden).count()
    }

    /// These members, comma-separated, ahead of the others of the object at `at`, of which
    /// `left` remain.
    pub(super) fn put_first(&mut self, at: usize, members: &str, left: usize) {
        let comma = if left > 0 { "," } else { "" };
        self.put(at + 1..at + 1, format!("{members}{comma}"));
    }

    /// The text with all of it done.
    pub(super) fn apply(mut self, text: &[u8]) -> Bytes {
        self.0.sort_by_key(|(range, _)| (range.start, range.end));
        let edits: Vec<_> = self.0.iter().map(|(range, with)| (range.clone(), &with[..])).collect();
        splice(text, &edits).into()
    }
}

/// The object without the members of these names.
pub(super) fn without(object: &[u8], names: &[&str]) -> Bytes {
    let mut edits = Edits::default();
    edits.take_out(object, 0, |member| names.iter().any(|name| member.is(object, name)));
    edits.apply(object)
}

/// `range` of an object that begins at `at`, as offsets into the text around it.
pub(super) fn moved(range: Range<usize>, at: usize) -> Range<usize> {
    range.start + at..range.end + at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_go_with_one_comma_each() {
        for (object, expected) in [
            (r#"{"a":1,"b":2.0, "c" : 3}"#, r#"{"b":2.0}"#),
            (r#"{ "a":1 , "c":3 , "b":2.0 }"#, r#"{ "b":2.0 }"#),
            (r#"{"b":2.0,"a":1,"c":3}"#, r#"{"b":2.0}"#),
            (r#"{"a":1,"c":3}"#, "{}"),
            (r#"{"b":1e400,"b":1}"#, r#"{"b":1e400,"b":1}"#),
        ] {
            assert_eq!(without(object.as_bytes(), &["a", "c"]), expected, "{object}");
        }
    }

    #[test]
    fn what_comes_first_may_take_the_place_of_what_goes() {
        let text = br#"{"a":1,"b":2}"#;
        let mut edits = Edits::default();
        let left = edits.take_out(text, 0, |member| member.is(text, "a"));
        edits.put_first(0, r#""new":0"#, left);
        assert_eq!(edits.apply(text), r#"{"new":0,"b":2}"#);
    }
}

//! Members of an object put in, renamed and taken out. All edits of one text end in one splice,
//! however large it is; what is not named keeps its bytes.

use crate::jsonrpc::object::{Items, Member, splice};
use bytes::Bytes;
use std::ops::Range;

/// The edits of one text, which must not overlap.
#[derive(Debug, Default)]
pub(super) struct Edits(Vec<(Range<usize>, Vec<u8>)>);

impl Edits {
    pub(super) fn replace(&mut self, range: Range<usize>, with: impl Into<Vec<u8>>) {
        self.0.push((range, with.into()));
    }

    /// The edited object alone; no edit may stand outside it.
    pub(super) fn apply_within(self, text: &[u8], object: &Object) -> Bytes {
        let Range { start, end } = object.range();
        let moved = self.0.into_iter();
        let moved = moved.map(|(range, with)| (range.start - start..range.end - start, with));
        Self(moved.collect()).apply(&text[start..end])
    }

    pub(super) fn apply(mut self, text: &[u8]) -> Bytes {
        // An insertion stands before what is taken out at the same place.
        self.0.sort_by_key(|(range, _)| (range.start, range.end));
        let edits: Vec<_> = self.0.iter().map(|(range, with)| (range.clone(), &with[..])).collect();
        splice(text, &edits).into()
    }
}

/// An object inside a text, read once.
#[derive(Debug)]
pub(super) struct Object {
    range: Range<usize>,
    members: Vec<Member>,
}

impl Object {
    /// The object whose brace stands at `at`; `None` where there is none.
    pub(super) fn read(text: &[u8], at: usize) -> Option<Self> {
        let mut items = Items::object(text, at).ok()?;
        let members = items.by_ref().collect::<Result<_, _>>().ok()?;
        Some(Self { range: at..items.end(), members })
    }

    /// Where it stands, with its braces.
    pub(super) fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Where the value of the first member with this name stands.
    pub(super) fn value(&self, text: &[u8], name: &str) -> Option<Range<usize>> {
        self.members.iter().find(|member| member.is(text, name)).map(|member| member.value.clone())
    }

    /// The raw value of the first member with this name.
    pub(super) fn get<'a>(&self, text: &'a [u8], name: &str) -> Option<&'a [u8]> {
        self.value(text, name).map(|range| &text[range])
    }

    /// Another name for a member; nothing if there is none.
    pub(super) fn rename(&self, text: &[u8], from: &str, to: &str, edits: &mut Edits) {
        if let Some(member) = self.members.iter().find(|member| member.is(text, from)) {
            edits.replace(member.key.clone(), to);
        }
    }

    /// Takes out the members called one of `out` and puts the raw members `front` first.
    pub(super) fn rewrite(&self, text: &[u8], out: &[&str], front: &[u8], edits: &mut Edits) {
        let all: Vec<_> =
            self.members.iter().map(|member| member.key.start - 1..member.value.end).collect();
        let goes: Vec<_> = self
            .members
            .iter()
            .map(|member| out.iter().any(|name| member.is(text, name)))
            .collect();
        let first_kept = goes.iter().position(|goes| !goes).unwrap_or(all.len());
        for nth in (0..all.len()).filter(|&nth| goes[nth]) {
            // With the comma on the side where a kept member remains.
            let range = if nth > first_kept {
                all[nth - 1].end..all[nth].end
            } else if nth + 1 < all.len() {
                all[nth].start..all[nth + 1].start
            } else {
                all[nth].clone()
            };
            edits.replace(range, "");
        }
        if !front.is_empty() {
            let comma: &[u8] = if first_kept < all.len() { b"," } else { b"" };
            let at = self.range.start + 1;
            edits.replace(at..at, [front, comma].concat());
        }
    }
}

/// Raw members one after the other, those that are not empty.
pub(super) fn joined(members: &[&[u8]]) -> Vec<u8> {
    members.iter().filter(|raw| !raw.is_empty()).copied().collect::<Vec<_>>().join(&b","[..])
}

/// The raw member `name` with this raw value.
pub(super) fn member(name: &str, value: &[u8]) -> Vec<u8> {
    [format!("\"{name}\":").as_bytes(), value].concat()
}

/// A raw JSON string that means `text`.
pub(super) fn quoted(text: &str) -> Vec<u8> {
    serde_json::Value::from(text).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rewritten(text: &str, out: &[&str], front: &str) -> String {
        let mut edits = Edits::default();
        let object = Object::read(text.as_bytes(), 0).unwrap();
        object.rewrite(text.as_bytes(), out, front.as_bytes(), &mut edits);
        String::from_utf8(edits.apply(text.as_bytes()).to_vec()).unwrap()
    }

    #[test]
    fn commas_stand_where_members_remain() {
        for (text, out, front, expected) in [
            ("{}", &["a"][..], "", "{}"),
            ("{}", &["a"], r#""b":1"#, r#"{"b":1}"#),
            (r#"{"a":1}"#, &["a"], "", "{}"),
            (r#"{"a":1}"#, &["a"], r#""b":1"#, r#"{"b":1}"#),
            (r#"{"a":1, "b":2}"#, &["a"], "", r#"{"b":2}"#),
            (r#"{"a":1, "b":2}"#, &["b"], "", r#"{"a":1}"#),
            (r#"{ "a":1, "b":2 ,"a":3}"#, &["a"], r#""c":0"#, r#"{"c":0, "b":2}"#),
            (r#"{"a":1,"b":2,"c":3}"#, &["a", "b"], "", r#"{"c":3}"#),
            (r#"{"\u0061":1,"b":1.10}"#, &["a"], "", r#"{"b":1.10}"#),
        ] {
            assert_eq!(rewritten(text, out, front), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_not_named_survives_in_order(
            members in prop::collection::vec((0usize..5, "[1-9][0-9]{0,24}(\\.[0-9]{1,5})?(e[0-9]{1,3})?"), 0..9),
            out in prop::collection::vec(0usize..5, 0..3),
            front in any::<bool>(),
        ) {
            let names = ["a", "b", "resultType", "_meta", "x y"];
            let write = |some: &[(usize, String)]| {
                let raw: Vec<_> = some.iter().map(|(name, value)| format!("{:?}:{value}", names[*name])).collect();
                raw.join(",")
            };
            let text = format!("{{{}}}", write(&members));
            let gone: Vec<_> = out.iter().map(|nth| names[*nth]).collect();
            let kept: Vec<_> = members.iter().filter(|(name, _)| !out.contains(name)).cloned().collect();
            let added = if front { "\"new\":1" } else { "" };
            let expected = joined(&[added.as_bytes(), write(&kept).as_bytes()]);
            prop_assert_eq!(rewritten(&text, &gone, added), format!("{{{}}}", String::from_utf8(expected).unwrap()));
        }
    }
}

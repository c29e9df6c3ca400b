//! What a client can do: declared with each modern request, and once for all in a legacy
//! handshake (MCP 2026-07-28 and 2025-11-25, `ClientCapabilities`).

use super::questions::Question;
use crate::jsonrpc::object::{Items, get};

/// What a client lets itself be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Offers {
    pub(super) form: bool,
    pub(super) url: bool,
    pub(super) sampling: bool,
    pub(super) sampling_tools: bool,
    pub(super) roots: bool,
}

impl Offers {
    /// Of raw capabilities; the two eras spell these alike.
    pub(super) fn of(capabilities: &[u8]) -> Self {
        let elicitation = get(capabilities, "elicitation");
        let url = elicitation.is_some_and(|modes| get(modes, "url").is_some());
        let sampling = get(capabilities, "sampling");
        Self {
            // No mode at all means the one that there was first.
            form: elicitation.is_some_and(|modes| !url || get(modes, "form").is_some()),
            url,
            sampling: sampling.is_some(),
            sampling_tools: sampling.is_some_and(|more| get(more, "tools").is_some()),
            roots: get(capabilities, "roots").is_some(),
        }
    }

    fn lacks(self, other: Self) -> bool {
        let new = |have: bool, wanted: bool| wanted && !have;
        new(self.form, other.form)
            || new(self.url, other.url)
            || new(self.sampling_tools, other.sampling_tools)
    }

    /// The error for the remote where the client may not be asked this.
    pub(super) fn refusal(self, question: &Question) -> Option<(i32, &'static str)> {
        let refused = |allowed: bool, code, why| (!allowed).then_some((code, why));
        match question.method {
            "roots/list" => refused(self.roots, -32601, "the client does not list roots"),
            "sampling/createMessage" if !self.sampling => {
                Some((-32601, "the client does not sample"))
            }
            "sampling/createMessage" if question.with_tools => {
                refused(self.sampling_tools, -32602, "the client does not sample with tools")
            }
            "sampling/createMessage" => None,
            _ if !self.form && !self.url => Some((-32601, "the client does not elicit")),
            _ if question.is_url => {
                refused(self.url, -32602, "the client does not elicit in URL mode")
            }
            _ => refused(self.form, -32602, "the client does not elicit in form mode"),
        }
    }
}

/// True if a session that was opened with `have` does not know all of `wanted`.
pub(super) fn lack(have: &[u8], wanted: &[u8]) -> bool {
    if have == wanted {
        return false;
    }
    let new = |(name, _): &(String, &[u8])| name != "tasks" && get(have, name).is_none();
    members(wanted).iter().any(new) || Offers::of(have).lacks(Offers::of(wanted))
}

/// Everything that either has.
pub(super) fn union(one: &[u8], other: &[u8]) -> Vec<u8> {
    let (ours, theirs) = (members(one), members(other));
    let both = ours.iter().map(|(name, value)| {
        let second = theirs.iter().find(|(also, _)| also == name);
        let merged = match second {
            Some((_, second)) => merged(name, value, second),
            None => value.to_vec(),
        };
        (name.as_str(), merged)
    });
    let new = theirs.iter().filter(|(name, _)| ours.iter().all(|(have, _)| have != name));
    object(both.chain(new.map(|(name, value)| (name.as_str(), value.to_vec()))))
}

/// Two values of one capability: the members of both.
fn merged(name: &str, one: &[u8], other: &[u8]) -> Vec<u8> {
    let (one, other) = (explicit(name, one), explicit(name, other));
    let (ours, theirs) = (members(one), members(other));
    let new = theirs.iter().filter(|(name, _)| ours.iter().all(|(have, _)| have != name));
    object(ours.iter().chain(new).map(|(name, value)| (name.as_str(), value.to_vec())))
}

fn explicit<'a>(name: &str, value: &'a [u8]) -> &'a [u8] {
    let no_mode = get(value, "form").is_none() && get(value, "url").is_none();
    if name == "elicitation" && no_mode { br#"{"form":{}}"# } else { value }
}

/// Modern capabilities as a handshake declares them. Changes of the roots are not announced in
/// the modern era, and the tasks of 2025-11-25 are no part of it.
pub(super) fn to_legacy(capabilities: &[u8]) -> Vec<u8> {
    let kept = members(capabilities).into_iter().filter(|(name, _)| name != "tasks");
    let kept: Vec<_> = kept
        .map(
            |(name, value)| {
                if name == "roots" { (name, b"{}".to_vec()) } else { (name, value.to_vec()) }
            },
        )
        .collect();
    object(kept.iter().map(|(name, value)| (name.as_str(), value.clone())))
}

fn members(text: &[u8]) -> Vec<(String, &[u8])> {
    let items = Items::object(text, 0).into_iter().flatten().map_while(Result::ok);
    items
        .filter_map(|member| Some((member.name(text)?.into_owned(), &text[member.value])))
        .collect()
}

fn object<'a>(members: impl Iterator<Item = (&'a str, Vec<u8>)>) -> Vec<u8> {
    let mut text = vec![b'{'];
    for (name, value) in members {
        if text.len() > 1 {
            text.push(b',');
        }
        text.extend_from_slice(serde_json::json!(name).to_string().as_bytes());
        text.push(b':');
        text.extend_from_slice(&value);
    }
    text.push(b'}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(one: &str, other: &str) -> String {
        String::from_utf8(union(one.as_bytes(), other.as_bytes())).unwrap()
    }

    #[test]
    fn an_elicitation_without_a_mode_is_a_form() {
        let offers = Offers::of(br#"{"elicitation":{}}"#);
        assert!(offers.form && !offers.url);
        let offers = Offers::of(br#"{"elicitation":{"url":{}}}"#);
        assert!(!offers.form && offers.url);
        assert_eq!(Offers::of(b"{}"), Offers::default());
    }

    #[test]
    fn only_what_a_session_does_not_know_is_lacking() {
        for (have, wanted, lacking) in [
            ("{}", "{}", false),
            ("{}", r#"{"roots":{}}"#, true),
            ("{}", r#"{"tasks":{}}"#, false),
            (r#"{"elicitation":{}}"#, r#"{"elicitation":{"form":{}}}"#, false),
            (r#"{"elicitation":{}}"#, r#"{"elicitation":{"form":{},"url":{}}}"#, true),
            (r#"{"elicitation":{"url":{}}}"#, r#"{"elicitation":{}}"#, true),
            (r#"{"sampling":{}}"#, r#"{"sampling":{"tools":{}}}"#, true),
            (r#"{"sampling":{"tools":{}},"roots":{}}"#, r#"{"sampling":{}}"#, false),
        ] {
            assert_eq!(lack(have.as_bytes(), wanted.as_bytes()), lacking, "{have} {wanted}");
        }
    }

    #[test]
    fn a_union_knows_both() {
        for (one, other, expected) in [
            ("{}", r#"{"roots":{}}"#, r#"{"roots":{}}"#),
            (
                r#"{"elicitation":{}}"#,
                r#"{"elicitation":{"url":{}},"sampling":{}}"#,
                r#"{"elicitation":{"form":{},"url":{}},"sampling":{}}"#,
            ),
            (
                r#"{"experimental":{"a":1.0}}"#,
                r#"{"experimental":{"a":2,"b":1e400}}"#,
                r#"{"experimental":{"a":1.0,"b":1e400}}"#,
            ),
        ] {
            assert_eq!(joined(one, other), expected);
            assert!(!lack(expected.as_bytes(), one.as_bytes()));
            assert!(!lack(expected.as_bytes(), other.as_bytes()));
        }
    }
}

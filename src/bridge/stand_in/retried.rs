//! A modern call that comes back with the answer to the bridge's own elicitation: that
//! answer is taken out of it, as the remote knows nothing of it. Pure.

use super::StandIn;
use super::answers::{KEY, STATE};
use crate::bridge::call::{Answered, Call};
use crate::bridge::era::Era;
use crate::bridge::tools::without;
use crate::jsonrpc::Message;
use crate::jsonrpc::object::{Items, Member, find, get, string};
use std::ops::Range;
use std::sync::atomic::Ordering;

impl StandIn {
    /// The call as the remote shall see it.
    pub(in super::super) fn retried(&self, call: Call) -> Call {
        if call.era != Era::Modern || !self.elicited.load(Ordering::Relaxed) {
            return call;
        }
        match stripped(&call.message) {
            Some((text, answered)) => {
                let read = Message::read(text.into()).and_then(Call::read);
                read.map(|own| own.after_sign_in(answered)).unwrap_or(call)
            }
            None => call,
        }
    }
}

/// The text without what belongs to the bridge, every other byte untouched, and what the
/// person answered; none if nothing of the bridge's is in it.
fn stripped(message: &Message) -> Option<(Vec<u8>, Answered)> {
    let params = message.params_range()?.start;
    let state = get(message.params()?, "requestState").and_then(string)?;
    if state != STATE {
        return None;
    }
    let mut text = message.text().to_vec();
    let mut answered = Answered::Declined;
    let mut gone = vec!["requestState"];
    if let Some(responses) = find(&text, params, "inputResponses") {
        let action = find(&text, responses.start, KEY)
            .and_then(|own| get(&text[own], "action"))
            .and_then(string);
        if action.as_deref() == Some("accept") {
            answered = Answered::Accepted;
        }
        match without_members(&text, responses.start, &[KEY])? {
            (_, 0) => gone.push("inputResponses"),
            (rest, _) => text = rest,
        }
    }
    let (text, _) = without_members(&text, params, &gone)?;
    Some((text, answered))
}

/// `text` without these members of the object at `at`, and how many are left in that.
fn without_members(text: &[u8], at: usize, names: &[&str]) -> Option<(Vec<u8>, usize)> {
    let members: Vec<Member> = Items::object(text, at).ok()?.map_while(Result::ok).collect();
    let whole = |member: &Member| -> Range<usize> { member.key.start - 1..member.value.end };
    let ranges: Vec<_> = members.iter().map(whole).collect();
    let hidden: Vec<_> =
        members.iter().map(|member| names.iter().any(|name| member.is(text, name))).collect();
    let left = hidden.iter().filter(|hidden| !**hidden).count();
    Some((without(text, &ranges, &hidden), left))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip(params: &str) -> Option<(String, Answered)> {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let (text, answered) = stripped(&Message::read(text.into()).unwrap())?;
        let text = String::from_utf8(text).unwrap();
        let params = text.split_once(r#""params":"#).unwrap().1;
        Some((params[..params.len() - 1].to_owned(), answered))
    }

    #[test]
    fn exactly_what_is_the_bridges_own_is_taken_out() {
        let own = format!(r#""{KEY}": {{"action":"accept"}}"#);
        let state = format!(r#""requestState" : "{STATE}""#);
        for (params, expected) in [
            (
                format!(r#"{{"name":"a", {state} ,"inputResponses":{{{own}}},"x":1e400}}"#),
                r#"{"name":"a","x":1e400}"#,
            ),
            (format!(r#"{{{state},"inputResponses":{{{own}}},"name":"a"}}"#), r#"{"name":"a"}"#),
            (
                format!(r#"{{"name":"a","inputResponses":{{ "b":1.0, {own} }},{state}}}"#),
                r#"{"name":"a","inputResponses":{ "b":1.0 }}"#,
            ),
            (
                format!(r#"{{"inputResponses":{{{own},"b":{{"action":"decline"}}}},{state}}}"#),
                r#"{"inputResponses":{"b":{"action":"decline"}}}"#,
            ),
        ] {
            assert_eq!(strip(&params), Some((expected.to_owned(), Answered::Accepted)));
        }
    }

    #[test]
    fn anything_but_an_acceptance_declines() {
        for responses in ["", &format!(r#""inputResponses":{{"{KEY}":{{"action":"cancel"}}}},"#)] {
            let stripped = strip(&format!(r#"{{{responses}"requestState":"{STATE}"}}"#));
            assert_eq!(stripped, Some(("{}".to_owned(), Answered::Declined)));
        }
    }

    #[test]
    fn a_state_of_the_server_is_left_alone() {
        let params = format!(r#"{{"requestState":"theirs","inputResponses":{{"{KEY}":{{}}}}}}"#);
        assert_eq!(strip(&params), None);
        assert_eq!(strip(r#"{"name":"a"}"#), None);
    }
}

//! What must hold of a conversation, whatever struck it.

use super::fault::{Fault, Outcome};
use super::run::{Run, Sent};
use crate::support::message::response_id;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// What the struck request must come to; everything else must succeed.
pub(crate) struct Sentence {
    pub(crate) step: String,
    pub(crate) outcome: Outcome,
}

/// Where a call that was sent twice is no error: what came the first time is the proof that
/// it was not executed.
const SENT_AGAIN: [Fault; 4] =
    [Fault::RedirectHere, Fault::Restart, Fault::RestartInBody, Fault::NotFound];

/// A legacy remote executes it the second time only.
const OPENS_LINK: &str = "link";

/// Checks one conversation.
///
/// # Panics
/// If anything does not hold.
pub(crate) fn judge(run: &Run, fault: Option<Fault>, sentence: Option<&Sentence>) {
    let answers = answers(run);
    for sent in &run.sent {
        let count = answers.get(&sent.id).map_or(0, Vec::len);
        match sent.cancelled {
            // It may have crossed the cancellation.
            true => assert!(count <= 1, "{} was answered {count} times", sent.id),
            false => assert_eq!(count, 1, "answers to {:?}", sent.id),
        }
    }
    for id in answers.keys() {
        assert!(run.sent.iter().any(|sent| sent.id == *id), "an answer to {id:?}");
    }
    for sent in &run.sent {
        let answer = answers.get(&sent.id).map(|found| &found[0]);
        executions(run, sent, answer);
        let outcome = sentence.filter(|one| one.step == sent.step).map(|one| one.outcome);
        let struck = outcome.is_some() && is_struck(run, sent);
        let outcome = outcome.filter(|_| struck).unwrap_or(Outcome::Result);
        check(run, sent, answer, outcome);
    }
    let mut asked = HashSet::new();
    for exchange in &run.exchanges {
        if let Some(token) = &exchange.token {
            let fresh = asked.insert(token);
            let may = fault.is_some_and(|fault| SENT_AGAIN.contains(&fault)) || token == OPENS_LINK;
            assert!(fresh || may, "{token:?} was sent again");
        }
    }
    assert!(run.ended.status.success(), "{:?}: {}", run.ended.status, run.ended.stderr);
    assert!(run.ended.took < Duration::from_secs(1), "the end took {:?}", run.ended.took);
}

/// The responses on stdout by id, all lines being messages.
fn answers(run: &Run) -> HashMap<String, Vec<Value>> {
    let mut answers: HashMap<_, Vec<_>> = HashMap::new();
    for line in &run.lines {
        if let Some(id) = response_id(line) {
            let id = serde_json::from_str(&id).expect("an id that is a string");
            answers.entry(id).or_default().push(crate::support::value(line));
        }
    }
    answers
}

/// True for the request itself; others of its step are further attempts. Where the struck one
/// has an id that is not the client's, it was made of the last of its step.
fn is_struck(run: &Run, sent: &Sent) -> bool {
    let named = run.struck.as_ref().and_then(|struck| struck.id.as_deref());
    let named = named.and_then(|id| serde_json::from_str::<String>(id).ok());
    let named = named.filter(|id| run.sent.iter().any(|sent| sent.id == *id));
    let again = format!("{} again", sent.step);
    let last = if run.sent.iter().any(|sent| sent.id == again) { &again } else { sent.step };
    named.map_or(sent.id == last, |id| id == sent.id)
}

/// An executed call is never executed twice; one with a result was executed once.
fn executions(run: &Run, sent: &Sent, answer: Option<&Value>) {
    let Some(token) = &sent.token else { return };
    let executed = run.executed.get(token).copied().unwrap_or(0);
    assert!(executed <= 1, "{token:?} was executed {executed} times");
    let Some(result) = answer.and_then(|answer| answer.get("result")) else { return };
    if result["resultType"] != "input_required" {
        assert_eq!(executed, 1, "{token:?} has a result: {result}");
        assert_eq!(result["content"][0]["text"], token.as_str(), "a result of another call");
    }
}

fn check(run: &Run, sent: &Sent, answer: Option<&Value>, outcome: Outcome) {
    let code = answer.and_then(|answer| answer["error"]["code"].as_i64());
    let bad = |why: &str| -> ! {
        panic!("{why}: {:?} must come to {outcome:?}, and came to {answer:?}", sent.id)
    };
    if let Some(error) = answer.and_then(|answer| answer.get("error"))
        && error["data"]["origin"] != "keyferry"
        && outcome != Outcome::Anything
    {
        bad("not an error of the bridge");
    }
    // It is open until the end, which answers it, or its remote does not hold it open.
    let open = |code| sent.stays_open && code == Some(-31003);
    match outcome {
        Outcome::Nothing if sent.stays_open => {}
        Outcome::Nothing if answer.is_some() => bad("it was answered"),
        Outcome::Nothing | Outcome::Anything => {}
        Outcome::Result if sent.cancelled || open(code) => {}
        Outcome::Result if code.is_some() => bad("it failed"),
        Outcome::Result if !has_all_progress(run, sent) => bad("its progress is not complete"),
        Outcome::Result => {}
        Outcome::Either(codes) => {
            if code.is_some_and(|code| !codes.contains(&code)) {
                bad("another error");
            }
        }
        Outcome::Error(codes) => {
            let wanted = |code| codes.contains(&code);
            if !sent.cancelled && !code.is_some_and(wanted) && !open(code) {
                bad("not this error");
            }
        }
        Outcome::Status(status, what_to_do) => {
            let data = answer.map(|answer| &answer["error"]["data"]);
            let found = data.and_then(|data| data["httpStatus"].as_u64());
            let hint = data.and_then(|data| data["hint"].as_str()).unwrap_or_default();
            if code != Some(-31004) || found != Some(status) || !hint.contains(what_to_do) {
                bad("not this status");
            }
        }
    }
}

/// Each of the two of a call that tells its progress, once and in order.
fn has_all_progress(run: &Run, sent: &Sent) -> bool {
    let told: Vec<_> = run
        .lines
        .iter()
        .map(|line| crate::support::value(line))
        .filter(|message| message["params"]["progressToken"] == sent.id.as_str())
        .map(|message| message["params"]["progress"].as_u64())
        .collect();
    sent.id != "stream" || told == [Some(1), Some(2)]
}

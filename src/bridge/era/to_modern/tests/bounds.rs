//! What must not grow, and what must not go on for ever.

use super::message;
use crate::bridge::era::Effect;
use crate::bridge::era::to_modern::ToModern;
use crate::jsonrpc::object::get;

fn text(effect: &Effect) -> String {
    match effect {
        Effect::ToClient(text) | Effect::ToRemote(text) => {
            String::from_utf8_lossy(text).into_owned()
        }
        Effect::After(..) => String::new(),
    }
}

fn is_answer(effect: &Effect) -> bool {
    matches!(effect, Effect::ToClient(text) if get(text, "id").is_some())
}

fn translation() -> ToModern {
    ToModern::new("k".to_owned(), "r".to_owned())
}

fn client(translation: &mut ToModern, text: &str) -> Vec<Effect> {
    translation.client(&message(text.as_bytes()))
}

fn remote(translation: &mut ToModern, text: &str) -> Vec<Effect> {
    translation.remote(&message(text.as_bytes()), None)
}

#[test]
fn a_call_that_is_never_answered_comes_to_an_end() {
    let mut translation = translation();
    client(&mut translation, r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#);
    for round in 1..60 {
        let asks = format!(
            r#"{{"jsonrpc":"2.0","id":"k-{round}","result":{{"resultType":"input_required","requestState":"s"}}}}"#
        );
        let effects = remote(&mut translation, &asks);
        let Effect::After(wait, token) = effects[0] else {
            assert_eq!(round, 50, "{effects:?}");
            assert!(text(&effects[0]).contains("asked 50 times"), "{effects:?}");
            return;
        };
        assert!(wait.as_secs() <= 10);
        assert_eq!(translation.tick(token).len(), 1);
    }
    panic!("it goes on for ever");
}

#[test]
fn a_call_that_asks_for_too_much_is_refused() {
    let mut translation = translation();
    client(
        &mut translation,
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"capabilities":{"roots":{}}}}"#,
    );
    remote(&mut translation, r#"{"jsonrpc":"2.0","id":"k-1","result":{}}"#);
    for (count, refused) in [(100, false), (101, true)] {
        let call =
            format!(r#"{{"jsonrpc":"2.0","id":{count},"method":"tools/call","params":{{}}}}"#);
        let sent = text(&client(&mut translation, &call)[0]);
        let id = get(sent.as_bytes(), "id").unwrap();
        let all: Vec<_> =
            (0..count).map(|n| format!(r#""{n}":{{"method":"roots/list"}}"#)).collect();
        let asks = format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"resultType":"input_required","inputRequests":{{{}}}}}}}"#,
            String::from_utf8_lossy(id),
            all.join(",")
        );
        let effects = remote(&mut translation, &asks);
        assert_eq!(effects.len() == 1 && text(&effects[0]).contains("too much"), refused);
    }
}

#[test]
fn what_is_kept_of_lists_is_bounded() {
    let mut translation = translation();
    let (mut kept, mut waits) = (0, 0);
    for n in 0..400 {
        let list = format!(
            r#"{{"jsonrpc":"2.0","id":{n},"method":"tools/list","params":{{"cursor":"{n}"}}}}"#
        );
        let sent = text(&client(&mut translation, &list)[0]);
        let id = String::from_utf8_lossy(get(sent.as_bytes(), "id").unwrap()).into_owned();
        let answer =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":[],"ttlMs":1000}}}}"#);
        let effects = remote(&mut translation, &answer);
        waits += effects.iter().filter(|effect| matches!(effect, Effect::After(..))).count();
    }
    for n in 0..400 {
        let list = format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"tools/list","params":{{"cursor":"{n}"}}}}"#,
            1000 + n
        );
        kept += client(&mut translation, &list).iter().filter(|effect| is_answer(effect)).count();
    }
    assert_eq!((kept, waits), (64, 256));
}

#[test]
fn a_large_list_is_not_kept() {
    let mut translation = translation();
    client(&mut translation, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let tools = "0,".repeat(600_000);
    let answer =
        format!(r#"{{"jsonrpc":"2.0","id":"k-1","result":{{"tools":[{tools}0],"ttlMs":1000}}}}"#);
    assert_eq!(remote(&mut translation, &answer).len(), 1);
}

#[test]
fn only_the_last_tasks_that_were_made_here_are_kept() {
    let mut translation = translation();
    client(&mut translation, r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{}}"#);
    remote(
        &mut translation,
        r#"{"jsonrpc":"2.0","id":"k-1","result":{"capabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}}"#,
    );
    let mut ids = Vec::new();
    for n in 0..70 {
        let call = format!(
            r#"{{"jsonrpc":"2.0","id":{n},"method":"tools/call","params":{{"name":"t","task":{{}}}}}}"#
        );
        let sent = text(&client(&mut translation, &call)[0]);
        let id = String::from_utf8_lossy(get(sent.as_bytes(), "id").unwrap()).into_owned();
        let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[]}}}}"#);
        let made = text(&remote(&mut translation, &answer)[0]);
        let task = get(get(made.as_bytes(), "result").unwrap(), "task").unwrap();
        ids.push(String::from_utf8_lossy(get(task, "taskId").unwrap()).into_owned());
    }
    let known = |translation: &mut ToModern, n: usize| {
        let get = format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"tasks/get","params":{{"taskId":{}}}}}"#,
            100 + n,
            ids[n]
        );
        client(translation, &get).iter().any(is_answer)
    };
    assert!(
        !known(&mut translation, 5) && known(&mut translation, 6) && known(&mut translation, 69)
    );
}

#[test]
fn only_so_much_waits_for_a_handshake() {
    let mut translation = translation();
    client(&mut translation, r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{}}"#);
    let mut taken = 0;
    while !translation.is_full() && taken < 30_000 {
        taken += 1;
        let list = format!(r#"{{"jsonrpc":"2.0","id":{taken},"method":"tools/list"}}"#);
        client(&mut translation, &list);
    }
    assert_eq!(taken, 19_999, "beside the handshake itself");
    remote(&mut translation, r#"{"jsonrpc":"2.0","id":"k-1","result":{}}"#);
    assert!(!translation.is_full(), "what is under way is counted elsewhere");
}

mod random;

use super::*;
use crate::jsonrpc::object::{Items, get, string};
use std::path::{Path, PathBuf};

/// One line of a conversation: who says what, and what comes of it.
struct Step {
    line: String,
}

impl Step {
    fn raw(&self, name: &str) -> Option<Bytes> {
        get(self.line.as_bytes(), name).map(Bytes::copy_from_slice)
    }

    fn message(&self, name: &str) -> Option<Message> {
        let raw = self.raw(name)?;
        Some(Message::read(raw).unwrap_or_else(|why| panic!("{why:?} in {}", self.line)))
    }

    /// What the translation does with it; none for a mere note.
    fn play(&self, era: &mut ToLegacy) -> Option<Vec<Effect>> {
        if let Some(message) = self.message("client") {
            let id = message.id().filter(|_| message.kind() == Kind::Request);
            assert!(!id.is_some_and(|id| era.waits_for(&id)), "the id waits: {}", self.line);
            return Some(era.client(&message));
        }
        if let Some(message) = self.message("listening") {
            return Some(era.listening(&message));
        }
        if let Some(message) = self.message("remote") {
            return Some(era.remote(&message, self.raw("on").as_deref()));
        }
        let token = self.raw("tick")?;
        Some(era.tick(std::str::from_utf8(&token).unwrap().parse().unwrap()))
    }

    fn expected(&self) -> Vec<String> {
        let effects = self.raw("effects").unwrap_or_else(|| panic!("no effects: {}", self.line));
        let items = Items::array(&effects, 0).unwrap().map(Result::unwrap);
        items.map(|item| String::from_utf8_lossy(&effects[item.value]).into_owned()).collect()
    }
}

fn shown(effect: &Effect) -> String {
    match effect {
        Effect::ToClient(text) => format!(r#"{{"client":{}}}"#, String::from_utf8_lossy(text)),
        Effect::ToRemote(text) => format!(r#"{{"remote":{}}}"#, String::from_utf8_lossy(text)),
        Effect::After(time, token) => format!(r#"{{"after":[{},{token}]}}"#, time.as_millis()),
    }
}

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/era/to_legacy");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some()).collect();
    files.sort();
    files
}

#[test]
fn conversations_go_as_they_are_written_down() {
    let files = fixtures();
    assert!(files.len() > 5, "the fixtures are missing");
    for file in files {
        let mut era = ToLegacy::new("k".into(), "example.com".into());
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.replace("$VERSION", env!("CARGO_PKG_VERSION"));
        for (nth, line) in text.lines().enumerate() {
            let step = Step { line: line.to_owned() };
            let Some(effects) = step.play(&mut era) else {
                let note = step.raw("note").as_deref().and_then(string).is_some();
                assert!(note, "{}:{}: what is this?", file.display(), nth + 1);
                continue;
            };
            let effects: Vec<_> = effects.iter().map(shown).collect();
            assert_eq!(effects, step.expected(), "{}:{}", file.display(), nth + 1);
        }
    }
}

fn message(text: impl Into<String>) -> Message {
    Message::read(text.into().into()).unwrap()
}

fn call(id: usize) -> Message {
    message(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"t","_meta":{{"io.modelcontextprotocol/clientCapabilities":{{"roots":{{}}}}}}}}}}"#
    ))
}

fn roots(id: usize) -> Message {
    message(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"roots/list"}}"#))
}

/// With an open session, in which the client lists roots.
fn opened() -> ToLegacy {
    let mut era = ToLegacy::new("k".into(), "example.com".into());
    era.client(&call(0));
    era.remote(&message(r#"{"jsonrpc":"2.0","id":"k-1","result":{"capabilities":{}}}"#), None);
    era.remote(&message(r#"{"jsonrpc":"2.0","id":"k-2","result":{}}"#), None);
    era
}

/// The raw id of the one request for the remote.
fn own(effects: &[Effect]) -> Bytes {
    let own = effects.iter().find_map(|effect| match effect {
        Effect::ToRemote(text) => Message::read(text.clone()).unwrap().id(),
        _ => None,
    });
    own.unwrap_or_else(|| panic!("nothing for the remote: {effects:?}"))
}

/// The `requestState` that the client is given.
fn state(effects: &[Effect]) -> String {
    let state = effects.iter().find_map(|effect| match effect {
        Effect::ToClient(text) => {
            let message = Message::read(text.clone()).unwrap();
            get(message.result()?, "requestState").and_then(string).map(|one| one.into_owned())
        }
        _ => None,
    });
    state.unwrap_or_else(|| panic!("no state for the client: {effects:?}"))
}

fn retry(id: usize, state: &str) -> Message {
    message(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"t","requestState":"{state}","_meta":{{"io.modelcontextprotocol/clientCapabilities":{{"roots":{{}}}}}}}}}}"#
    ))
}

#[test]
fn what_the_client_waits_for_is_known_in_every_state() {
    let waits =
        |era: &ToLegacy, id: &'static str| era.waits_for(&Bytes::from_static(id.as_bytes()));
    let open =
        |era: &ToLegacy| era.open().iter().map(|one| one.message.id().unwrap()).collect::<Vec<_>>();
    let mut era = ToLegacy::new("k".into(), "example.com".into());
    let listen = message(
        r#"{"jsonrpc":"2.0","id":"\u0061","method":"subscriptions/listen","params":{"notifications":{}}}"#,
    );
    era.client(&listen);
    era.client(&call(1));
    era.client(&call(2));
    assert!(waits(&era, "1") && waits(&era, "\"a\"") && !waits(&era, "3"));
    assert_eq!(open(&era), ["\"\\u0061\"", "1", "2"]);
    // Two handshakes: the listen declared less than the calls.
    era.remote(&message(r#"{"jsonrpc":"2.0","id":"k-1","result":{}}"#), None);
    let effects = era.remote(&message(r#"{"jsonrpc":"2.0","id":"k-2","result":{}}"#), None);
    assert!(waits(&era, "1") && waits(&era, "\"a\""));
    assert_eq!(open(&era), ["\"\\u0061\"", "1", "2"]);
    assert_eq!(era.open()[1].message.text(), call(1).text());
    // Parked: answered, as far as the client goes.
    let first = own(&effects[2..]);
    let state = state(&era.remote(&roots(9), Some(&first)));
    assert_eq!(open(&era), ["\"\\u0061\"", "2"]);
    assert!(!waits(&era, "1"));
    let again = retry(3, &state);
    era.client(&again);
    assert!(!waits(&era, "3"), "asked again, as it answered nothing");
    era.client(&message(
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a"}}"#,
    ));
    assert_eq!(open(&era), ["2"]);
}

#[test]
fn the_oldest_of_too_many_parked_calls_goes() {
    let mut era = opened();
    let mut first = None;
    for id in 1..=1000 {
        let call = own(&era.client(&call(id)));
        let effects = era.remote(&roots(id), Some(&call));
        first.get_or_insert((call, state(&effects)));
    }
    let call = own(&era.client(&call(1001)));
    let effects = era.remote(&roots(1001), Some(&call));
    let (oldest, state) = first.unwrap();
    let told: Vec<_> = effects.iter().map(shown).filter(|text| text.contains("remote")).collect();
    let oldest = String::from_utf8_lossy(&oldest).into_owned();
    assert!(told[0].contains("notifications/cancelled") && told[0].contains(&oldest), "{told:?}");
    assert_eq!(era.rounds.len(), 1000);
    let refused = era.client(&retry(1002, &state));
    assert!(shown(&refused[0]).contains("-32602"), "{refused:?}");
}

#[test]
fn questions_without_a_call_are_refused_beyond_a_hundred() {
    let mut era = opened();
    for id in 0..100 {
        assert_eq!(era.remote(&roots(id), None), []);
    }
    let refused = era.remote(&roots(100), None);
    assert!(shown(&refused[0]).contains("-32603"), "{refused:?}");
    let effects = era.client(&call(1));
    let asked = shown(effects.last().unwrap());
    assert_eq!(asked.matches("roots/list").count(), 100, "{asked}");
}

#[test]
fn notifications_for_a_client_that_is_away_are_kept_up_to_a_bound() {
    let mut era = opened();
    let call = own(&era.client(&call(1)));
    let question = era.remote(&roots(7), Some(&call));
    era.remote(
        &message(
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#,
        ),
        None,
    );
    let told = message(r#"{"jsonrpc":"2.0","method":"notifications/x"}"#);
    for _ in 0..300 {
        assert_eq!(era.remote(&told, Some(&call)), []);
    }
    let effects = era.client(&retry(2, &state(&question)));
    assert_eq!(effects.len(), 256);
    let large = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/x","params":"{}"}}"#,
        "x".repeat(400_000)
    );
    let question = era.remote(&roots(8), Some(&call));
    era.remote(
        &message(
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":8}}"#,
        ),
        None,
    );
    for _ in 0..5 {
        era.remote(&message(large.as_str()), Some(&call));
    }
    assert_eq!(era.client(&retry(3, &state(&question))).len(), 2);
}

#[test]
fn nothing_is_left_of_what_is_over() {
    let mut era = opened();
    for id in 1..50 {
        let token = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"_meta":{{"progressToken":{id},"io.modelcontextprotocol/clientCapabilities":{{"roots":{{}}}}}}}}}}"#
        );
        let call = own(&era.client(&message(token)));
        let question = era.remote(&roots(id), Some(&call));
        let id = String::from_utf8_lossy(&call).into_owned();
        era.remote(&message(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)), None);
        era.client(&retry(100, &state(&question)));
    }
    assert!(era.calls.is_empty() && era.clients.is_empty() && era.asked.is_empty());
    assert!(era.rounds.is_empty() && era.tokens.is_empty() && era.timers.is_empty());
    assert!(era.queue.is_empty() && era.effects.is_empty());
}

#[test]
fn answers_for_clients_that_are_away_are_kept_up_to_a_weight() {
    let mut era = opened();
    let mut states = Vec::new();
    for id in 1..=5 {
        let call = own(&era.client(&call(id)));
        states.push(state(&era.remote(&roots(id), Some(&call))));
        let (call, text) = (String::from_utf8_lossy(&call), "x".repeat(20 * 1024 * 1024));
        let answer = format!(r#"{{"jsonrpc":"2.0","id":{call},"result":{{"x":"{text}"}}}}"#);
        era.remote(&message(answer), None);
    }
    let comes =
        |era: &mut ToLegacy, nth: usize| shown(&era.client(&retry(10 + nth, &states[nth]))[0]);
    for nth in 0..2 {
        assert!(comes(&mut era, nth).contains("-32602"));
    }
    for nth in 2..5 {
        assert!(comes(&mut era, nth).contains("complete"));
    }
}

#[test]
fn requests_beyond_a_hundred_thousand_are_refused() {
    let mut era = opened();
    for id in 0..MANY {
        era.clients.insert(IdKey::of(&id.to_string().into()), Waiter::Queued);
    }
    let refused = era.client(&call(MANY));
    assert!(shown(&refused[0]).contains("-32603"), "{refused:?}");
}

#[test]
fn only_so_much_waits_for_a_handshake() {
    let mut era = ToLegacy::new("k".into(), "example.com".into());
    let mut taken = 0;
    while !era.is_full() && taken < 30_000 {
        taken += 1;
        era.client(&call(taken));
    }
    assert_eq!(taken, 20_000);
    era.remote(&message(r#"{"jsonrpc":"2.0","id":"k-1","result":{}}"#), None);
    assert!(!era.is_full(), "what is under way is counted elsewhere");
}

//! Conversations from `tests/fixtures/era/to_modern`, one step a line: what is said to the
//! translation (`client`, `remote` with its `origin`, `tick`, `resume` with its `settings`), and
//! in `then` what it wants done, compared byte by byte. `io.mcp/` stands for
//! `io.modelcontextprotocol/`, and `"<me>":0` for the version and the name of the client that
//! every request carries.

use super::super::Effect;
use super::ToModern;
use crate::jsonrpc::object::{Items, get};
use crate::jsonrpc::{Kind, Message};
use bytes::Bytes;
use std::fs;
use std::path::Path;

mod bounds;
mod properties;

const ME: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"}"#;

fn message(raw: &[u8]) -> Message {
    let read = Message::read(Bytes::copy_from_slice(raw));
    read.unwrap_or_else(|_| panic!("no message: {}", String::from_utf8_lossy(raw)))
}

fn written(effect: &Effect) -> String {
    match effect {
        Effect::ToClient(text) => format!("{{\"client\":{}}}", String::from_utf8_lossy(text)),
        Effect::ToRemote(text) => format!("{{\"remote\":{}}}", String::from_utf8_lossy(text)),
        Effect::After(wait, token) => {
            format!("{{\"after\":{},\"tick\":{token}}}", wait.as_millis())
        }
    }
}

fn step(translation: &mut ToModern, line: &[u8]) -> Vec<Effect> {
    let origin = get(line, "origin");
    if let Some(raw) = get(line, "client") {
        translation.client(&message(raw))
    } else if let Some(raw) = get(line, "remote") {
        translation.remote(&message(raw), origin)
    } else if let Some(raw) = get(line, "resume") {
        let settings = get(line, "settings").unwrap_or(b"[]");
        let items = Items::array(settings, 0).unwrap().map_while(Result::ok);
        let settings: Vec<_> = items.map(|item| message(&settings[item.value])).collect();
        translation.resume(&message(raw), &settings)
    } else {
        let raw = get(line, "tick").expect("a step says who speaks");
        translation.tick(std::str::from_utf8(raw).unwrap().parse().unwrap())
    }
}

/// What every step must leave true.
fn check(translation: &ToModern, effects: &[Effect], answered: &mut Vec<Bytes>) {
    for effect in effects {
        match effect {
            Effect::ToClient(text) => {
                let message = message(text);
                if message.kind() == Kind::Response {
                    let id = message.id().unwrap();
                    assert!(!translation.waits_for(&id), "answered and still waiting");
                    assert!(!answered.contains(&id), "answered twice: {id:?}");
                    answered.push(id);
                }
            }
            Effect::ToRemote(text) => {
                message(text);
            }
            Effect::After(..) => {}
        }
    }
    for open in translation.open() {
        assert!(translation.waits_for(&open.message.id().unwrap()));
    }
}

fn play(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let mut translation = ToModern::new("k".to_owned(), "https://r.example/mcp".to_owned());
    let (mut wrong, mut answered) = (Vec::new(), Vec::new());
    for (nth, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with("//")) {
        let line = line.replace("\"<me>\":0", ME).replace("io.mcp/", "io.modelcontextprotocol/");
        let line = line.as_bytes();
        let effects = step(&mut translation, line);
        check(&translation, &effects, &mut answered);
        let found: Vec<_> = effects.iter().map(written).collect();
        let found = format!("[{}]", found.join(","));
        let expected = get(line, "then").unwrap_or(b"nothing");
        if found.as_bytes() != expected {
            let found =
                found.replace(ME, "\"<me>\":0").replace("io.modelcontextprotocol/", "io.mcp/");
            let name = file.file_name().unwrap_or_default().display();
            wrong.push(format!("to_modern/{name}:{}: found\n{found}", nth + 1));
        }
    }
    wrong
}

#[test]
fn conversations_are_translated_byte_for_byte() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/era/to_modern");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "the fixtures are missing");
    let wrong: Vec<_> = files.iter().flat_map(|file| play(file)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_was_told_and_what_is_open_is_known() {
    let mut translation = ToModern::new("k".to_owned(), "r".to_owned());
    assert!(translation.told().is_none());
    let initialize = br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#;
    let list = br#"{"jsonrpc":"2.0","id":"\u0061","method":"tools/list"}"#;
    translation.client(&message(initialize));
    translation.client(&message(list));
    let open: Vec<_> = translation.open().iter().map(|open| open.message.text().clone()).collect();
    assert_eq!(open, [&initialize[..], &list[..]]);
    assert!(translation.waits_for(&Bytes::from_static(b"\"a\"")));
    let answer = br#"{"jsonrpc":"2.0","id":"k-1","result":{"capabilities":{"tools":{"x":1.0}}}}"#;
    translation.remote(&message(answer), None);
    let (told, result) = translation.told().unwrap();
    assert_eq!(told.text(), &initialize[..]);
    let expected = r#"{"protocolVersion":"2025-06-18","serverInfo":{"name":"unknown","version":"unknown"},"capabilities":{"tools":{"x":1.0}}}"#;
    assert_eq!(result, expected);
    assert!(!translation.waits_for(&Bytes::from_static(b"1")));
}

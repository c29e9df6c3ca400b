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
        let bless = std::path::Path::new("/tmp/bless").exists();
        let mut out = String::new();
        for (nth, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let step = Step { line: line.to_owned() };
            let Some(effects) = step.play(&mut era) else {
                let note = step.raw("note").as_deref().and_then(string).is_some();
                assert!(note, "{}:{}: what is this?", file.display(), nth + 1);
                out += line; out += "\n";
                continue;
            };
            let effects: Vec<_> = effects.iter().map(shown).collect();
            if bless {
                let head = line.split(", \"effects\":").next().unwrap().trim_end_matches('}').to_owned();
                let opens = head.matches('{').count() - head.matches('}').count();
                let head = head + &"}".repeat(opens - 1);
                out += &format!("{head}, \"effects\": [{}]}}\n", effects.join(", "));
                continue;
            }
            assert_eq!(effects, step.expected(), "{}:{}", file.display(), nth + 1);
        }
        if bless { std::fs::write(&file, out).unwrap(); }
    }
}

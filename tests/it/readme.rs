//! The README keeps its word: flags, kinds, error codes, examples, and what `list` shows.

use crate::support::home::{Done, Home, run_to_end};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const VERBS: [&str; 6] = ["run", "login", "logout", "list", "token", "secret"];
/// Flags that the README tells of other programs.
const OF_OTHERS: [&str; 7] =
    ["--bench", "--example", "--no-interop", "--path", "--profile", "--release", "--unattended"];
const SECRET: &str = "a secret that is long enough for every algorithm\n";

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("readable")
}

fn help(home: &Home, verb: &str) -> String {
    home.run(&[verb, "--help"], "").expect(0).stdout
}

/// Each `--flag` in a text.
fn flags(text: &str) -> BTreeSet<&str> {
    let word = |at: usize| {
        let rest = &text[at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        rest[..end.unwrap_or(rest.len())].trim_end_matches('-')
    };
    let starts = |at: usize| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '-');
    let found = text.match_indices("--").filter(|(at, _)| starts(*at)).map(|(at, _)| word(at));
    found.filter(|flag| flag.len() > 2).collect()
}

/// The kinds that the help of `login` names.
fn kinds(help: &str) -> Vec<&str> {
    let (_, after) = help.split_once("--with <KIND>").expect("--with in the help");
    let (list, _) = after.split_once("\n      --").expect("a flag after it");
    let named = list.lines().filter_map(|line| line.trim().strip_prefix("- ")?.split_once(':'));
    named.map(|(kind, _)| kind).collect()
}

/// The commands in blocks of shell.
fn examples(readme: &str) -> Vec<Vec<String>> {
    let blocks = readme.split("```sh\n").skip(1).filter_map(|block| block.split("```").next());
    let lines = blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("keyferry "));
    lines.map(words).collect()
}

/// As a shell takes a line without escapes apart.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (at, piece) in line.split('\'').enumerate() {
        let pieces: Vec<_> = if at % 2 == 1 { vec![piece] } else { piece.split(' ').collect() };
        for (at, piece) in pieces.into_iter().enumerate() {
            if at > 0 {
                words.push(String::new());
            }
            words.last_mut().expect("never empty").push_str(piece);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn kind_of(example: &[String]) -> Option<&str> {
    let at = example.iter().position(|word| word == "--with")?;
    example.get(at + 1).map(String::as_str)
}

/// In a directory with the files that the examples name.
fn run(home: &Home, args: &[String]) -> Done {
    let mut command = home.command();
    command.current_dir(home.path(".")).env("IDP_SECRET", "x").args(args);
    run_to_end(command, SECRET.as_bytes())
}

#[test]
fn every_flag_of_the_readme_exists() {
    let home = Home::new("memory");
    let mut help: String = VERBS.iter().map(|verb| help(&home, verb)).collect();
    help.push_str(&home.run(&["--help"], "").expect(0).stdout);
    let (readme, known) = (text("README.md"), flags(&help));
    // Some of mcp-remote's are taken without being in the help.
    let taken = |flag: &str| {
        let spellings = [flag.to_owned(), format!("{flag}=x")];
        spellings.iter().any(|flag| home.run(&["run", flag, "--help"], "").code == Some(0))
    };
    let unknown = flags(&readme).into_iter().filter(|flag| !known.contains(flag));
    let unknown = unknown.filter(|flag| !OF_OTHERS.contains(flag) && !taken(flag));
    let unknown: Vec<_> = unknown.collect();
    assert!(unknown.is_empty(), "no such flags: {unknown:?}");
}

#[test]
fn every_flag_of_a_login_and_every_kind_is_in_the_readme() {
    let home = Home::new("memory");
    let (readme, help) = (text("README.md"), help(&home, "login"));
    let kinds = kinds(&help);
    assert!(kinds.len() > 10, "{kinds:?}");
    for kind in kinds {
        assert!(readme.contains(&format!("| `{kind}` |")), "{kind} is not in the table");
        let shown = examples(&readme).iter().any(|example| kind_of(example) == Some(kind));
        // These two have tables of their own.
        assert!(shown || matches!(kind, "oauth" | "device"), "{kind} has no example");
    }
    let known = flags(&readme);
    // Said by the help alone.
    let minor =
        ["--body-timeout", "--connect-timeout", "--headers-timeout", "--help", "--log-level"];
    let unsaid = flags(&help).into_iter().filter(|flag| !known.contains(flag));
    let unsaid: Vec<_> = unsaid.filter(|flag| !minor.contains(flag)).collect();
    assert!(unsaid.is_empty(), "not in the README: {unsaid:?}");
}

#[test]
fn every_error_code_is_in_the_readme() {
    let (readme, source) = (text("README.md"), text("src/bridge/refusal.rs"));
    let codes = source.lines().filter_map(|line| line.strip_suffix(';')?.split_once("i32 = "));
    let codes: Vec<_> = codes.map(|(_, code)| code).collect();
    assert!(codes.len() > 7, "{codes:?}");
    for code in codes {
        assert!(readme.contains(&format!("| {code} |")), "{code}");
    }
}

#[test]
fn every_example_of_the_readme_is_one_and_list_shows_what_the_readme_says() {
    let home = Home::new("plaintext");
    home.file("client.pem", text("tests/it/fixtures/keys/ec.pem"));
    home.file("ada.pem", text("tests/it/fixtures/tls/server.pem"));
    home.file("ada.key", text("tests/it/fixtures/tls/server.key"));
    let readme = text("README.md");
    for example in examples(&readme) {
        let taught = kind_of(&example).filter(|kind| *kind != "enterprise");
        let further = match (&*example[0], taught) {
            ("login", Some(_)) => "--no-verify",
            // It would begin a sign-in.
            ("login", None) => "--help",
            _ => "",
        };
        let mut args = example.clone();
        args.extend((!further.is_empty()).then(|| further.to_owned()));
        let done = run(&home, &args);
        assert_eq!(done.code, Some(0), "{}: {}", example.join(" "), done.stderr);
        let Some(kind) = taught else { continue };
        let list = home.run(&["list", "--json"], "").expect(0).stdout;
        let row = serde_json::from_str::<Value>(&list).expect("JSON")[0].take();
        assert_eq!(row["kind"], kind, "{row}");
        let row = row.as_object().expect("an object");
        let details = row["details"].as_object().expect("an object");
        for member in row.keys() {
            assert!(readme.contains(&format!("\"{member}\"")), "{member} is not documented");
        }
        let said: String = readme
            .lines()
            .skip_while(|line| !line.contains("members of `details`"))
            .take_while(|line| line.starts_with('|'))
            .filter(|line| line.contains(&format!("`{kind}` |")) || line.starts_with("| any |"))
            .collect();
        for member in details.keys() {
            assert!(said.contains(&format!("`{member}`")), "{kind}: {member} is not documented");
        }
    }
}

//! Real commands in the place of a browser.

use super::*;
use std::fs;
use std::path::Path;
use std::time::Instant;

const URL: &str = "https://as.example/authorize?a=b&c=%24d";

/// A command that writes down how it was called and then does `then`. Read by sh, as starting
/// a file fails while another test's new child still has it open for writing.
fn command(folder: &Path, name: &str, then: &str) -> String {
    let path = folder.join(name);
    let seen = folder.join(format!("{name}.seen"));
    let script = format!(
        "{{\nfor word in \"$@\"; do echo \"word=$word\"; done\n\
         echo \"hidden=${{CARGO_PKG_NAME-none}}\"\n\
         echo \"inherited=${{CARGO_MANIFEST_DIR:+some}}\"\n\
         echo \"pid=$$\"\n\
         echo \"group=$(cut -d' ' -f5 /proc/$$/stat)\"\n\
         echo \"streams=$(readlink /proc/$$/fd/0) $(readlink /proc/$$/fd/2)\"\n\
         }} > '{seen}'\n{then}\n",
        seen = seen.display(),
    );
    fs::write(&path, script).unwrap();
    format!("/bin/sh {}", path.display())
}

async fn open_with(command: String) -> Result<(), BrowserError> {
    let hidden_variables = vec!["CARGO_PKG_NAME".to_owned()];
    let browser = Browser { command: Some(command), hidden_variables, system_root: None };
    open(&check(URL, false).unwrap(), &browser).await
}

fn seen(folder: &Path, name: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(folder.join(format!("{name}.seen"))).unwrap();
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[tokio::test]
async fn the_browser_gets_the_url_and_nothing_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let path = command(folder.path(), "browser", "exit 0");
    open_with(format!("{path} --new --app=%s")).await.unwrap();
    let seen = seen(folder.path(), "browser");
    let value = |name: &str| -> Vec<&str> {
        seen.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!(value("word"), ["--new", &format!("--app={URL}")]);
    assert_eq!(value("hidden"), ["none"]);
    assert_eq!(value("inherited"), ["some"]);
    assert_eq!(value("streams"), ["/dev/null /dev/null"]);
    assert_eq!(value("group"), value("pid"), "it is in a process group of its own");
}

#[tokio::test]
async fn the_first_command_that_starts_is_the_one() {
    let folder = tempfile::tempdir().unwrap();
    let first = command(folder.path(), "first", "exit 0");
    let second = command(folder.path(), "second", "exit 0");
    let list = format!("/no/such/browser %s::{first}:{second}");
    open_with(list).await.unwrap();
    assert_eq!(seen(folder.path(), "first")[0], ("word".into(), URL.into()));
    assert!(!folder.path().join("second.seen").exists());
}

#[tokio::test]
async fn an_opener_that_fails_at_once_is_an_error_and_no_second_one_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let first = command(folder.path(), "first", "exit 3");
    let second = command(folder.path(), "second", "exit 0");
    let error = open_with(format!("{first}:{second}")).await.unwrap_err();
    let program = "/bin/sh".to_owned();
    assert_eq!(error, BrowserError::Failed { program, status: "exit status: 3".into() });
    assert!(!folder.path().join("second.seen").exists());
}

#[tokio::test]
async fn an_opener_that_stays_is_taken_for_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let path = command(folder.path(), "browser", "exec sleep 10");
    let began = Instant::now();
    open_with(path).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

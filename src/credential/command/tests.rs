use super::*;
use rustix::process::{Pid, test_kill_process};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

const NOW: u64 = 1_800_000_000;

fn sh(script: &str, timeout_seconds: f64) -> Command {
    Command {
        program: "sh".to_owned(),
        args: vec!["-c".to_owned(), script.to_owned()],
        timeout_seconds,
        placement: Placement::new(None, None).unwrap(),
    }
}

async fn failure(script: &str, timeout_seconds: f64) -> CommandError {
    sh(script, timeout_seconds).run(&[], NOW).await.unwrap_err()
}

/// The process whose number stands in `file`, waited for.
async fn process_in(file: &Path) -> Pid {
    within(|| {
        let number = std::fs::read_to_string(file).ok()?;
        number.ends_with('\n').then(|| Pid::from_raw(number.trim().parse().unwrap()))?
    })
    .await
}

async fn gone(process: Pid) {
    within(|| {
        // A process that was killed stays as a zombie until somebody waits for it.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
        let zombie = stat.is_ok_and(|stat| stat.contains(") Z "));
        (zombie || test_kill_process(process).is_err()).then_some(())
    })
    .await;
}

async fn within<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < until, "in time");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn what_a_command_prints_is_sent() {
    let minted = sh("echo ignored >&2; echo t0ken", 10.0).run(&[], NOW).await.unwrap();
    assert_eq!(minted.key.unwrap().expose(), "t0ken");
    assert_eq!(minted.headers[0].1.to_str().unwrap(), "Bearer t0ken");
    assert_eq!(minted.expires_at, None);
}

#[tokio::test]
async fn arguments_reach_the_program_as_they_are_and_stdin_is_empty() {
    let mut command = sh(r#"cat; printf '%s|%s' "$1" "$2""#, 10.0);
    command.args.extend(["sh".to_owned(), "$(id) 'a b'".to_owned(), "${HOME}".to_owned()]);
    let minted = command.run(&[], NOW).await.unwrap();
    assert_eq!(minted.key.unwrap().expose(), "$(id) 'a b'|${HOME}");
}

#[tokio::test]
async fn the_environment_is_inherited_without_what_is_hidden() {
    let script = r#"printf '%s' "${CARGO_PKG_NAME-none} ${CARGO_PKG_VERSION-none}""#;
    let hidden = ["CARGO_PKG_NAME".to_owned(), "KEYFERRY_TEST_SURELY_UNSET".to_owned()];
    let minted = sh(script, 10.0).run(&hidden, NOW).await.unwrap();
    assert_eq!(minted.key.unwrap().expose(), concat!("none ", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_failure_shows_its_code_and_the_last_line_of_stderr() {
    let error =
        failure("echo t0ken; echo first >&2; printf 'last one\n \n' >&2; exit 3", 10.0).await;
    assert_eq!(error.to_string(), "'sh' failed (exit code 3)");
    assert_eq!(error.said(), Some("last one"));
    assert!(!format!("{error:?}").contains("t0ken"));

    let error = failure("kill -TERM $$", 10.0).await;
    assert_eq!(error.to_string(), "'sh' failed (signal 15)");
    assert_eq!(error.said(), None);

    // More than a pipe holds, in one line.
    let error = failure("head -c 300000 /dev/zero | tr '\\0' x >&2; exit 1", 10.0).await;
    assert_eq!(error.said().unwrap().len(), 300);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    for program in ["keyferry-surely-no-program", "/nowhere/tool"] {
        let command = Command { program: program.to_owned(), ..sh("", 10.0) };
        let error = command.run(&[], NOW).await.unwrap_err();
        assert!(matches!(error, CommandError::NotFound { .. }), "{error:?}");
        assert_eq!(error.to_string(), format!("there is no program '{program}'"));
    }
    let home = tempfile::tempdir().unwrap();
    let script = home.path().join("script");
    std::fs::write(&script, "#!/nowhere/interpreter\n").unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o700)).unwrap();
    for program in [script.to_str().unwrap(), "/"] {
        let command = Command { program: program.to_owned(), ..sh("", 10.0) };
        let error = command.run(&[], NOW).await.unwrap_err();
        assert!(matches!(error, CommandError::Broken { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn what_is_of_no_use_is_not_shown() {
    let error = failure("echo hunter2; echo hunter2", 10.0).await;
    assert_eq!(error.to_string(), "'sh' printed more than one line");
    let error = failure("exec cat /dev/zero", 60.0).await;
    assert_eq!(error.to_string(), "'sh' printed more than 1 MiB");
    let exactly = sh("head -c 1048576 /dev/zero | tr '\\0' x", 60.0).run(&[], NOW).await.unwrap();
    assert_eq!(exactly.key.unwrap().expose().len(), 1024 * 1024);
}

#[tokio::test]
async fn at_its_timeout_a_command_is_killed_with_its_children() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("child");
    let script = format!(
        "sleep 600 & echo $! >{0}.part; mv {0}.part {0}; echo waiting >&2; wait",
        file.display()
    );
    let error = failure(&script, 3.0).await;
    assert_eq!(error.to_string(), "'sh' has not ended within 3 s");
    assert_eq!(error.said(), Some("waiting"));
    gone(process_in(&file).await).await;
}

#[tokio::test]
async fn a_command_that_closes_its_output_has_not_ended_yet() {
    let error = failure("echo t0ken; exec >&- 2>&-; sleep 600", 0.3).await;
    assert!(matches!(error, CommandError::Late { .. }), "{error:?}");
}

#[tokio::test]
async fn a_future_that_is_dropped_takes_the_children_along() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("child");
    let script = format!("sleep 600 & echo $! >{0}.part; mv {0}.part {0}; wait", file.display());
    let command = sh(&script, 600.0);
    let child = tokio::select! {
        ended = command.run(&[], NOW) => panic!("{ended:?}"),
        child = process_in(&file) => child,
    };
    gone(child).await;
}

#[tokio::test]
async fn a_grandchild_that_keeps_the_pipe_open_holds_nothing_up() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("child");
    let script = format!("sleep 60 & echo $! >{}; echo t0ken", file.display());
    let begun = Instant::now();
    let minted = sh(&script, 60.0).run(&[], NOW).await.unwrap();
    assert_eq!(minted.key.unwrap().expose(), "t0ken");
    assert!(begun.elapsed() < Duration::from_secs(30));
    // What a tool leaves behind on purpose, an agent say, goes on.
    let child = process_in(&file).await;
    test_kill_process(child).unwrap();
    rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn arguments_are_sealed_and_not_shown() {
    let command = sh("echo hunter2", 2.5);
    let shown = format!("{command:?} {:?}", command.details());
    assert!(!shown.contains("hunter2"), "{shown}");
    let expected = json!({
        "command": "sh", "arguments": 2, "header": "authorization", "scheme": "Bearer",
    });
    assert_eq!(json!(command.details()), expected);
    let sealed = serde_json::to_string(&command).unwrap();
    assert_eq!(serde_json::from_str::<Command>(&sealed).unwrap(), command);
    for odd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(sh("", odd).limit(), Duration::from_secs(10), "{odd}");
    }
}

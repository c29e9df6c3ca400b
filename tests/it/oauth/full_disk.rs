//! A disk that takes nothing more: no refresh token is spent that could not be replaced,
//! and what came all the same is not lost. The disk is a limit on the size of files.

use super::live_as;
use crate::support::authorization_server::Shape;
use crate::support::bridge::{Bridge, Launch, initialize_params};
use crate::support::browser::{follow, wait};
use crate::support::home::{Done, run_to_end};
use crate::support::scene::Scene;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;
use std::path::Path;

const NO_SIGNAL: &str = "trap '' XFSZ; ulimit -S -f";

/// A verb that can write nothing at all.
fn on_a_full_disk(scene: &Scene, args: &[&str]) -> Done {
    let mut shell = scene.home.command_of(Path::new("sh"));
    shell.args(["-c", &format!("{NO_SIGNAL} 0; exec \"$0\" \"$@\"")]);
    shell.arg(env!("CARGO_BIN_EXE_keyferry")).args(args);
    run_to_end(shell, b"")
}

/// A bridge that can write files of at most this many blocks of 512 bytes, until
/// [`has_room`]. Beyond that its writes fail.
fn cramped(launch: Launch, blocks: u32) -> Bridge {
    launch.through(&format!("{NO_SIGNAL} {blocks}")).start()
}

/// The disk has room again.
fn has_room(bridge: &Bridge) {
    let pid = Pid::from_raw(bridge.pid().cast_signed()).expect("a pid");
    let limit = Rlimit { current: None, maximum: None };
    prlimit(Some(pid), Resource::Fsize, limit).expect("lift the limit");
}

#[test]
fn a_token_that_could_not_be_kept_is_not_asked_for() {
    let scene = Scene::scripted(|script| {
        script.lifetime = Some(1);
        script.expired_ends_the_grant = true;
    })
    .signed_in();
    scene.auth.wait_expiry();
    scene.auth.script(|script| script.lifetime = Some(3600));
    let mut bridge = cramped(scene.launch().args(&["--auth-timeout", "2"]), 0);
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    let first = bridge.answer("1");
    bridge.call("2");
    let error = bridge.own_error("2", &[-31008]);
    assert!(error["data"]["hint"].is_string(), "{error} after {first}");
    assert!(scene.auth.token_requests("refresh_token").is_empty(), "it was spent");
    assert_eq!(scene.auth.expired_shown(), 0);
    assert_eq!(scene.browser.tabs().len(), 1, "a person cannot help");
    // When there is room, in the same process and in any other.
    has_room(&bridge);
    wait("a handshake", || {
        bridge.request(r#""again""#, "initialize", &initialize_params("2025-11-25"));
        bridge.answer(r#""again""#).get("result").map(|_| ())
    });
    bridge.notify("notifications/initialized", "{}");
    live_as(&mut bridge, "ada");
    drop(bridge);
    live_as(&mut scene.bridge().ready(), "ada");
    assert_eq!(scene.auth.refreshed(), 1);
    assert_eq!(scene.browser.tabs().len(), 1);
}

/// Larger than the room that was taken for it.
#[test]
fn a_token_that_cannot_be_written_serves_from_memory_and_is_written_later() {
    let scene = Scene::new().signed_in();
    scene.auth.revoke_access_tokens();
    let long = "x".repeat(200_000);
    scene.auth.script(|script| script.shape = Shape::with("id_token", json!(long)));
    let mut bridge = cramped(scene.launch(), 256).ready();
    live_as(&mut bridge, "ada");
    bridge.wait_stderr("memory");
    live_as(&mut bridge, "ada");
    assert_eq!(scene.auth.refreshed(), 1);
    has_room(&bridge);
    // A whole one, and not the file that becomes one.
    let written = || {
        let files = scene.home.files();
        let mut records =
            files.iter().filter(|(path, _)| path.extension() == Some("record".as_ref()));
        records.any(|(_, content)| content.len() > long.len())
    };
    wait("the tokens on the disk", || written().then_some(()));
    // Dropped is SIGKILL.
    drop(bridge);
    scene.auth.script(|script| script.shape = Shape::Plain);
    live_as(&mut scene.bridge().ready(), "ada");
    assert_eq!(scene.auth.refreshed(), 1);
    assert_eq!(scene.auth.reused(), 0);
    assert_eq!(scene.browser.tabs().len(), 1);
}

/// The person has been there: that is not thrown away.
#[test]
fn a_sign_in_that_cannot_be_written_is_good_for_the_process() {
    let scene = Scene::unattended();
    // The key of the vault is there.
    scene.home.store_key("https://other.example/mcp", "sk-other");
    // A browser of this bridge would be as cramped.
    let flags = ["--no-browser", "--auth-timeout", "1"];
    let mut bridge = cramped(scene.launch().args(&flags), 0).ready();
    bridge.call("1");
    let error = bridge.own_error("1", &[-31001]);
    follow(error["data"]["url"].as_str().expect("the link"));
    live_as(&mut bridge, "ada");
    bridge.wait_stderr("memory");
    live_as(&mut bridge, "ada");
    has_room(&bridge);
    let listed = || scene.home.run(&["list", "--json"], "").expect(0).stdout.contains("oauth");
    wait("the record", || listed().then_some(()));
    drop(bridge);
    live_as(&mut scene.bridge().ready(), "ada");
    assert_eq!(scene.auth.asked("/authorize").len(), 1);
}

/// What is printed must not be the last of its kind.
#[test]
fn a_token_is_not_renewed_for_printing_where_it_could_not_be_kept() {
    let scene = Scene::scripted(|script| script.lifetime = Some(1)).signed_in();
    scene.auth.wait_expiry();
    scene.auth.script(|script| script.lifetime = Some(3600));
    let before = scene.auth.refreshed();
    let done = on_a_full_disk(&scene, &["token", &scene.url()]).expect(5);
    assert_eq!(done.stdout, "");
    assert_eq!(scene.auth.refreshed(), before);
    assert!(scene.auth.accepts(&scene.token()));
}

/// What the remote still takes needs no room.
#[test]
fn a_token_that_is_still_good_is_used_to_its_end() {
    let scene = Scene::new().signed_in();
    // Inside the margin ahead of the end.
    let clock = crate::support::preload::Clock::new();
    clock.set(3600 - 30);
    let mut bridge = cramped(clock.rules(scene.launch()), 0).ready();
    live_as(&mut bridge, "ada");
    assert!(scene.auth.token_requests("refresh_token").is_empty());
}

/// Gone with the process, it would be no login at all.
#[test]
fn a_login_that_cannot_be_kept_fails_and_says_why() {
    let scene = Scene::scripted(|script| {
        script.metadata =
            vec![("device_authorization_endpoint", json!("{as}/device_authorization"))];
    });
    // The key of the vault is there.
    scene.home.store_key("https://other.example/mcp", "sk-other");
    let done = on_a_full_disk(&scene, &["login", &scene.url(), "--with", "device"]);
    let done = done.expect_one_of(&[1, 5]);
    assert!(done.stderr.contains("cannot write"), "{}", done.stderr);
}

/// What is written late must not undo what was done meanwhile.
#[test]
fn tokens_that_are_written_late_undo_nothing() {
    for meanwhile in ["login", "logout"] {
        let scene = Scene::new().signed_in();
        scene.auth.revoke_access_tokens();
        let long = "x".repeat(200_000);
        scene.auth.script(|script| script.shape = Shape::with("id_token", json!(long)));
        let mut bridge = cramped(scene.launch(), 256).ready();
        live_as(&mut bridge, "ada");
        bridge.wait_stderr("memory");
        scene.auth.script(|script| script.shape = Shape::Plain);
        if meanwhile == "logout" {
            scene.home.run(&["logout", &scene.url()], "").expect(0);
        } else {
            scene.login(&["--force"]).expect(0);
        }
        let token = scene.home.run(&["token", &scene.url()], "");
        has_room(&bridge);
        std::thread::sleep(std::time::Duration::from_secs(5));
        let later = scene.home.run(&["token", &scene.url()], "");
        assert_eq!((later.code, later.stdout), (token.code, token.stdout), "{meanwhile}");
    }
}

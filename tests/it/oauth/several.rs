//! Several processes, one login.

use super::live_as;
use crate::support::authorization_server::{AuthorizationServer, Failure};
use crate::support::bridge::Bridge;
use crate::support::browser::{follow, wait};
use crate::support::mcp_server::park;
use crate::support::scene::Scene;
use std::time::{Duration, Instant};

/// What a call may take when the one before us has died.
const SOON: Duration = Duration::from_secs(2);

fn start(scene: &Scene, count: usize) -> Vec<Bridge> {
    (0..count).map(|_| scene.bridge()).collect()
}

/// Everything is asked before anything is awaited.
#[track_caller]
fn all_live(bridges: &mut [Bridge]) {
    for bridge in &*bridges {
        bridge.request(
            r#""init""#,
            "initialize",
            &crate::support::bridge::initialize_params("2025-11-25"),
        );
    }
    for bridge in &mut *bridges {
        bridge.result(r#""init""#);
        bridge.notify("notifications/initialized", "{}");
        bridge.tool("1", "whoami");
    }
    for bridge in bridges {
        assert_eq!(bridge.text("1"), "ada scope=-");
    }
}

#[test]
fn twenty_bridges_renew_one_expired_token_once() {
    let scene = Scene::scripted(|script| {
        script.lifetime = Some(1);
        script.expired_ends_the_grant = true;
    })
    .signed_in();
    scene.auth.wait_expiry();
    scene.auth.script(|script| script.lifetime = Some(3600));
    let before = scene.auth.refreshed();
    let mut bridges = start(&scene, 20);
    all_live(&mut bridges);
    assert_eq!(scene.auth.refreshed(), before + 1);
    assert_eq!(scene.auth.reused(), 0);
    assert_eq!(scene.auth.expired_shown(), 0);
    // Refused in the middle of their sessions, all at once.
    scene.auth.revoke_access_tokens();
    for bridge in &bridges {
        bridge.tool("2", "whoami");
    }
    for bridge in &mut bridges {
        assert_eq!(bridge.text("2"), "ada scope=-");
    }
    assert_eq!(scene.auth.refreshed(), before + 2);
    assert_eq!(scene.auth.reused(), 0);
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn ten_first_starts_open_one_tab_and_are_all_live() {
    let scene = Scene::unattended();
    let mut bridges: Vec<_> = (0..10).map(|_| scene.bridge()).collect();
    let link = std::thread::scope(|scope| {
        let link = scope.spawn(|| {
            let link = scene.browser.link();
            follow(&link);
            link
        });
        all_live(&mut bridges);
        link.join().unwrap()
    });
    assert_eq!(scene.browser.tabs(), [link]);
    assert_eq!(scene.auth.asked("/register").len(), 1);
    assert_eq!(scene.auth.asked("/token").len(), 1);
}

#[test]
fn those_who_wait_for_anothers_sign_in_open_no_tab_and_go_live_with_it() {
    let scene = Scene::unattended();
    let holder = scene.bridge().ready();
    let link = scene.browser.link();
    let mut other = scene.launch().args(&["--auth-timeout", "1"]).start().ready();
    other.call("1");
    let error = other.own_error("1", &[-31001]);
    assert_eq!(scene.browser.tabs().len(), 1, "{error}");
    assert_eq!(error["data"]["url"], link, "{error}");
    follow(&link);
    live_as(&mut other, "ada");
    drop(holder);
}

/// A link that leads nowhere any more is not left for the next to find.
#[test]
fn the_link_is_forgotten_when_the_sign_in_is_over() {
    let scene = Scene::unattended();
    let mut bridge = scene.bridge().ready();
    let link = scene.browser.link();
    let kept = || {
        let files = scene.home.files();
        let texts = files.iter().map(|(_, content)| String::from_utf8_lossy(content));
        texts.filter(|text| text.contains(r#""sign-in""#)).count()
    };
    wait("the link for the others", || (kept() == 1).then_some(()));
    follow(&link);
    live_as(&mut bridge, "ada");
    wait("the end of the link", || (kept() == 0).then_some(()));
}

#[test]
fn the_holder_of_a_sign_in_dies_and_the_next_opens_a_tab() {
    let scene = Scene::unattended();
    let holder = scene.bridge().ready();
    scene.browser.link();
    let mut others: Vec<_> = (0..3).map(|_| scene.bridge().ready()).collect();
    for other in &mut others {
        other.tool("1", "whoami");
    }
    assert_eq!(scene.browser.tabs().len(), 1);
    let start = Instant::now();
    // Dropped is SIGKILL.
    drop(holder);
    let link = scene.browser.wait_tabs(2).remove(1);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    follow(&link);
    for other in &mut others {
        assert_eq!(other.text("1"), "ada scope=-");
    }
    assert_eq!(scene.browser.tabs().len(), 2);
}

#[test]
fn the_holder_of_a_renewal_dies_and_the_others_go_on() {
    let scene = Scene::new().signed_in();
    scene.auth.revoke_access_tokens();
    scene.auth.script(|script| script.failures = [Failure::Hang].into());
    let holder = scene.bridge();
    holder.request("1", "initialize", "{}");
    scene.auth.wait_asked("/token", 2);
    let mut others: Vec<_> = (0..5).map(|_| scene.bridge()).collect();
    for other in &others {
        other.request(
            r#""init""#,
            "initialize",
            &crate::support::bridge::initialize_params("2025-11-25"),
        );
    }
    let start = Instant::now();
    drop(holder);
    for other in &mut others {
        other.result(r#""init""#);
        other.notify("notifications/initialized", "{}");
        live_as(other, "ada");
    }
    assert!(start.elapsed() < SOON + SOON, "{:?}", start.elapsed());
    assert_eq!(scene.auth.refreshed(), 1);
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn two_accounts_live_side_by_side() {
    let scene = Scene::new().signed_in();
    scene.auth.script(|script| script.user = "bob");
    scene.login(&["--account", "work"]).expect(0);
    let mut ada = scene.bridge().ready();
    let mut bob = scene.launch().args(&["--account", "work"]).start().ready();
    for _ in 0..2 {
        live_as(&mut ada, "ada");
        live_as(&mut bob, "bob");
        scene.auth.revoke_access_tokens();
    }
    assert_eq!(scene.browser.tabs().len(), 2);
    assert_eq!(scene.auth.asked("/register").len(), 1);
}

#[test]
fn a_renewal_of_one_remote_holds_up_no_other() {
    let scene = Scene::new().signed_in();
    let auth = AuthorizationServer::start();
    let other = auth.remote();
    scene.home.run(&["login", &other.url()], "").expect(0);
    scene.auth.revoke_access_tokens();
    auth.revoke_access_tokens();
    scene.auth.script(|script| script.failures = [Failure::Hang].into());
    let held = scene.bridge();
    held.request("1", "initialize", "{}");
    // The sign-in, and the renewal that hangs.
    scene.auth.wait_asked("/token", 2);
    let start = Instant::now();
    live_as(&mut Bridge::start_in(&scene.home, &other.url()).ready(), "ada");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

/// Wherever it stood: registering, or with the code in its hands.
#[test]
fn the_holder_of_a_sign_in_dies_at_any_step_and_the_next_begins_its_own() {
    for path in ["/register", "/token"] {
        let scene = Scene::new();
        let (handler, parked) = park();
        scene.auth.on(path, handler);
        let holder = scene.bridge().ready();
        let held = parked.next();
        let mut others: Vec<_> = (0..3).map(|_| scene.bridge().ready()).collect();
        for other in &others {
            other.tool("1", "whoami");
        }
        let tabs = scene.browser.tabs().len();
        scene.auth.restore(path);
        let start = Instant::now();
        drop(holder);
        scene.browser.wait_tabs(tabs + 1);
        assert!(start.elapsed() < SOON, "{path}: {:?}", start.elapsed());
        drop(held);
        for other in &mut others {
            assert_eq!(other.text("1"), "ada scope=-");
        }
        assert_eq!(scene.browser.tabs().len(), tabs + 1, "{path}");
    }
}

#[test]
fn the_holder_of_a_renewal_dies_and_the_next_asks_at_once() {
    let scene = Scene::new().signed_in();
    let mut others: Vec<_> = (0..3).map(|_| scene.bridge().ready()).collect();
    for other in &mut others {
        live_as(other, "ada");
    }
    let holder = scene.bridge().ready();
    scene.auth.revoke_access_tokens();
    let (handler, parked) = park();
    scene.auth.on("/token", handler);
    holder.call("1");
    let held = parked.next();
    for other in &others {
        other.tool("2", "whoami");
    }
    scene.auth.restore("/token");
    let asked = scene.auth.asked("/token").len();
    let start = Instant::now();
    drop(holder);
    scene.auth.wait_asked("/token", asked + 1);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    drop(held);
    for other in &mut others {
        assert_eq!(other.text("2"), "ada scope=-");
    }
    assert_eq!(scene.auth.refreshed(), 1);
    assert_eq!(scene.auth.reused(), 0);
    assert_eq!(scene.browser.tabs().len(), 1);
}

/// Scripts that ask for the token all at once, beside a bridge.
#[test]
fn many_who_print_an_expired_token_renew_it_once() {
    let scene = Scene::scripted(|script| {
        script.lifetime = Some(1);
        script.expired_ends_the_grant = true;
    })
    .signed_in();
    scene.auth.wait_expiry();
    scene.auth.script(|script| script.lifetime = Some(3600));
    let before = scene.auth.refreshed();
    let printed: Vec<_> = std::thread::scope(|scope| {
        let scripts: Vec<_> = (0..8).map(|_| scope.spawn(|| scene.token())).collect();
        live_as(&mut scene.bridge().ready(), "ada");
        scripts.into_iter().map(|script| script.join().unwrap()).collect()
    });
    assert!(printed.iter().all(|one| *one == printed[0] && scene.auth.accepts(one)), "{printed:?}");
    assert_eq!(scene.auth.refreshed(), before + 1);
    assert_eq!(scene.auth.reused(), 0);
}

/// The bridges that run go over to it without a tab of their own.
#[test]
fn a_forced_login_beside_running_bridges_is_theirs_too() {
    let scene = Scene::new().signed_in();
    let mut bridges: Vec<_> = (0..3).map(|_| scene.bridge().ready()).collect();
    for bridge in &mut bridges {
        live_as(bridge, "ada");
    }
    scene.auth.revoke_grants();
    scene.login(&["--force"]).expect(0);
    for bridge in &mut bridges {
        live_as(bridge, "ada");
    }
    assert_eq!(scene.browser.tabs().len(), 2);
    assert_eq!(scene.auth.refreshed(), 0);
}

/// Whoever was faster: what a person has ended does not come back.
#[test]
fn a_logout_in_the_middle_of_a_renewal_is_the_last_word() {
    let scene = Scene::new().signed_in();
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    scene.auth.revoke_access_tokens();
    scene.auth.script(|script| script.token_delay = Duration::from_millis(300));
    bridge.call("1");
    scene.auth.wait_asked("/token", 2);
    scene.home.run(&["logout", &scene.url()], "").expect(0);
    scene.auth.script(|script| script.token_delay = Duration::ZERO);
    bridge.answer("1");
    bridge.finish();
    let list = scene.home.run(&["list", "--json"], "").expect(0);
    // Unless the call began a sign-in of its own, which is a new one.
    let signed_in = scene.auth.asked("/authorize").len() - 1;
    assert_eq!(list.stdout.matches("\"oauth\"").count(), signed_in, "{}", list.stdout);
    for token in scene.auth.secrets().iter().filter(|one| one.starts_with("access-")).take(2) {
        assert!(!scene.auth.accepts(token), "{token} is still good");
    }
}

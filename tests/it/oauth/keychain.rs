//! Sign-ins behind a real keychain (gnome-keyring on a private bus), one that hangs, and none.

use super::{initialized, live_as};
use crate::support::authorization_server::AuthorizationServer;
use crate::support::bridge::{Bridge, Launch};
use crate::support::browser::Browser;
use crate::support::home::Home;
use crate::support::keyring::{Bus, Provider};
use crate::support::mcp_server::Server;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn signed_in(bus: &Bus, auth: &AuthorizationServer, browser: &Browser) -> (Arc<Home>, Server) {
    let home = Arc::new(bus.home().with("BROWSER", &browser.command()));
    let remote = auth.remote();
    live_as(&mut Bridge::start_in(&home, &remote.url()).ready(), "ada");
    (home, remote)
}

#[test]
fn a_sign_in_lies_behind_the_keychain_and_outlives_the_process() {
    let bus = Bus::start(Provider::GnomeKeyring);
    let (auth, browser) = (AuthorizationServer::start(), Browser::following());
    let (home, remote) = signed_in(&bus, &auth, &browser);
    auth.revoke_access_tokens();
    live_as(&mut Bridge::start_in(&home, &remote.url()).ready(), "ada");
    assert_eq!((browser.tabs().len(), auth.refreshed(), bus.items()), (1, 1, 1));
    for (path, content) in home.files() {
        let text = String::from_utf8_lossy(&content).into_owned();
        for secret in auth.secrets() {
            assert!(!text.contains(&secret), "{secret} lies open in {}", path.display());
        }
    }
}

/// No tab is opened for a token that could not be kept, and the client hears why.
#[test]
fn a_keychain_that_hangs_is_an_error_and_no_reason_to_sign_in() {
    let bus = Bus::start(Provider::GnomeKeyring);
    let (auth, browser) = (AuthorizationServer::start(), Browser::following());
    let (home, remote) = signed_in(&bus, &auth, &browser);
    bus.hang();
    let mut bridge = Bridge::start_in(&home, &remote.url());
    let asked = Instant::now();
    bridge.request("1", "initialize", "{}");
    bridge.own_error("1", &[-31008]);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    bus.wake();
    let mut bridge = bridge.ready();
    live_as(&mut bridge, "ada");
    assert_eq!(browser.tabs().len(), 1);
}

/// Each process signs in for itself, keeps the token in memory, and says so.
#[test]
fn without_a_keychain_a_sign_in_lasts_as_long_as_the_process() {
    let bus = Bus::start(Provider::Nobody);
    let (auth, browser) = (AuthorizationServer::start(), Browser::following());
    let home = Arc::new(bus.home().with("BROWSER", &browser.command()));
    let remote = auth.remote();
    for tabs in 1..=2 {
        let mut bridge = Launch::new(home.clone(), &remote.url()).start();
        initialized(&mut bridge);
        bridge.notify("notifications/initialized", "{}");
        live_as(&mut bridge, "ada");
        assert_eq!(browser.tabs().len(), tabs);
        let ended = bridge.finish();
        assert!(ended.stderr.contains("no keychain here"), "{}", ended.stderr);
    }
    let login = home.run(&["login", &remote.url()], "").expect(5);
    assert!(login.stderr.contains("KEYFERRY_VAULT=passphrase"), "{}", login.stderr);
    assert_eq!(browser.tabs().len(), 2);
    for (path, content) in home.files() {
        let text = String::from_utf8_lossy(&content).into_owned();
        assert!(!auth.secrets().iter().any(|one| text.contains(one)), "{}", path.display());
    }
}

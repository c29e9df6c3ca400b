//! Needs for a person that arise where no request waits for one, or while the remote is slow.

use crate::support::authorization_server::AuthorizationServer;
use crate::support::browser::{Browser, follow};
use crate::support::http::Request;
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::park;
use crate::support::scene::Scene;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn is_authorized(request: &Request) -> bool {
    request.header("authorization").is_some()
}

/// Some remotes want no token for `initialize` alone.
#[test]
fn the_end_of_a_handshake_that_was_refused_is_told_first_after_the_sign_in() {
    let auth = AuthorizationServer::scripted(|script| script.open = &["initialize"]);
    let ready = Arc::new(AtomicBool::new(false));
    let (told, asked) = (ready.clone(), ready.clone());
    let (get, gets) = park();
    let whoami = auth.whoami();
    let remote = Legacy::new()
        .sessions(&Sessions::default())
        .on("notifications/initialized", move |_, wire| {
            told.store(true, Ordering::SeqCst);
            wire.accepted();
        })
        .on("tools/call", move |request, wire| {
            assert!(asked.load(Ordering::SeqCst), "a call in a session that is not ready");
            whoami(request, wire);
        })
        .on("GET", get);
    let remote = auth.protect(remote);
    let scene = Scene::with(auth, remote, Browser::new());
    let mut bridge = scene.bridge().ready();
    // Nothing but `initialized` has opened it.
    let link = scene.browser.link();
    bridge.tool("1", "whoami");
    follow(&link);
    assert_eq!(bridge.text("1"), "ada scope=-");
    assert!(gets.next().request.header("mcp-session-id").is_some());
    let told = scene.remote.of("notifications/initialized");
    assert_eq!(told.iter().filter(|request| is_authorized(request)).count(), 1);
    assert_eq!(scene.remote.of("initialize").len(), 1);
    assert_eq!(scene.browser.tabs().len(), 1);
}

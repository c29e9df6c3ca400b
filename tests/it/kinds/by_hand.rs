//! OAuth with everything given by hand, for a remote that has no metadata at all and answers
//! a bare 403.

use super::{ready, whoami};
use crate::support::authorization_server::{AuthorizationServer, Resource};
use crate::support::bridge::Launch;
use crate::support::browser::Browser;
use crate::support::gate::bearers;
use crate::support::home::Home;
use crate::support::mcp_server::Server;
use crate::support::web;
use std::sync::Arc;

struct ByHand {
    auth: Arc<AuthorizationServer>,
    remote: Server,
    browser: Browser,
    home: Arc<Home>,
}

impl ByHand {
    fn new(status: u16) -> Self {
        let auth = AuthorizationServer::scripted(|script| {
            script.any_port = true;
            script.resource = Resource::Any;
        });
        auth.preregister("known", None, "none", &["http://localhost/oauth/callback"]);
        let auth = Arc::new(auth);
        let judge = Arc::downgrade(&auth);
        let remote = bearers(status, move |token| {
            judge.upgrade().filter(|auth| auth.accepts(token)).map(|_| "ada".to_owned())
        });
        let browser = Browser::following();
        let home = Arc::new(Home::new("plaintext").with("BROWSER", &browser.command()));
        Self { auth, remote, browser, home }
    }

    fn flags(&self) -> Vec<String> {
        let issuer = self.auth.issuer();
        let given = ["--issuer", &issuer, "--client-id", "known", "--scope", "a b"];
        // A port of the machine's own choice may be in use by another test.
        let port = web::free_port();
        let more = ["--resource", "https://api.example/", "--callback-port", &port];
        given.iter().chain(&more).map(|flag| (*flag).to_owned()).collect()
    }
}

fn texts(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}

#[test]
fn a_login_signs_in_and_the_url_alone_is_enough_from_then_on() {
    for status in [401, 403] {
        let scene = ByHand::new(status);
        let flags = scene.flags();
        super::login(&scene.home, &scene.remote.url(), &texts(&flags), "").expect(0);
        assert_eq!(whoami(&scene.home, &scene.remote.url(), &[]), "ada");
        let asked = scene.auth.asked("/authorize").remove(0);
        assert_eq!(asked.param("client_id"), Some("known"));
        assert_eq!(asked.param("scope"), Some("a b"));
        assert_eq!(asked.param("resource"), Some("https://api.example/"));
    }
}

#[test]
fn a_bare_403_begins_the_sign_in_where_the_flags_say_all() {
    let scene = ByHand::new(403);
    let flags = scene.flags();
    let mut bridge = ready(&scene.home, &scene.remote.url(), &texts(&flags));
    assert_eq!(bridge.whoami(), "ada");
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn a_token_that_was_revoked_is_refreshed_on_a_bare_403() {
    for status in [401, 403] {
        let scene = ByHand::new(status);
        let flags = scene.flags();
        super::login(&scene.home, &scene.remote.url(), &texts(&flags), "").expect(0);
        let mut bridge = ready(&scene.home, &scene.remote.url(), &[]);
        assert_eq!(bridge.whoami(), "ada");
        scene.auth.revoke_access_tokens();
        assert_eq!(bridge.whoami(), "ada");
        assert_eq!((scene.auth.refreshed(), scene.browser.tabs().len()), (1, 1), "{status}");
    }
}

/// What a viewer may not do is no reason for one refresh after another, nor for a tab.
#[test]
fn a_role_that_is_refused_a_tool_signs_nobody_in_again() {
    let scene = ByHand::new(403);
    let flags = scene.flags();
    super::login(&scene.home, &scene.remote.url(), &texts(&flags), "").expect(0);
    let mut bridge = ready(&scene.home, &scene.remote.url(), &[]);
    assert_eq!(bridge.whoami(), "ada");
    for id in ["1", "2", "3", "4"] {
        bridge.tool(id, "admin");
        bridge.own_error(id, &[-31001, -31004]);
    }
    assert!(scene.auth.refreshed() <= 1, "{} refreshes", scene.auth.refreshed());
    assert_eq!(scene.browser.tabs().len(), 1);
    assert_eq!(bridge.whoami(), "ada");
}

/// Without a word of the person a 403 is only a 403.
#[test]
fn a_bare_403_of_a_remote_nobody_spoke_of_opens_no_browser() {
    let scene = ByHand::new(403);
    let mut bridge = Launch::new(scene.home.clone(), &scene.remote.url()).start();
    super::first_error(&mut bridge, &[-31001, -31004]);
    assert!(scene.browser.tabs().is_empty());
}

/// Where the page to sign in at lies is found nowhere then.
#[test]
fn an_issuer_that_publishes_nothing_is_named() {
    let scene = ByHand::new(403);
    scene.auth.script(|script| script.forms = Vec::new());
    let flags = scene.flags();
    let done = super::login(&scene.home, &scene.remote.url(), &texts(&flags), "");
    let told = done.expect_one_of(&[1, 3, 4]).stderr;
    assert!(told.contains(&scene.auth.issuer()), "{told}");
    assert!(scene.browser.tabs().is_empty());
}

//! Links, callbacks and token endpoints that mean harm. None learns a code, a
//! verifier or a token, and none ends the sign-in of the right person.

use super::{at_the_door, live_as};
use crate::support::authorization_server::{
    AuthorizationServer, Failure, Iss, callback_of, redirect_to,
};
use crate::support::browser::{Browser, follow};
use crate::support::mcp_server::Server;
use crate::support::scene::Scene;
use crate::support::web::{self, with_param};
use serde_json::json;

/// Whatever a shell or a terminal could read something into is encoded.
#[test]
fn what_a_shell_could_read_something_into_is_encoded_in_the_link() {
    for tail in [
        "?x=$(touch%20x)`id`;id|id&&id",
        "?x='\"<>\\{}!*^",
        "?x=a b\tc",
        "?x=\u{202e}\u{1b}[31mé",
        "?x=%24%28id%29",
        "/$(id)/;`id`",
    ] {
        let endpoint = format!("{{as}}/authorize{tail}");
        let auth = AuthorizationServer::scripted(|script| {
            script.metadata = vec![("authorization_endpoint", json!(endpoint))];
        });
        let scene = Scene::of(auth, Browser::new());
        let mut bridge = scene.launch().args(&["--auth-timeout", "0.3"]).start().ready();
        bridge.call("1");
        let error = bridge.own_error("1", &[-31001]);
        let Some(link) = error["data"]["url"].as_str() else {
            // What no URL may hold need not be opened at all.
            assert!(scene.browser.tabs().is_empty(), "{tail}");
            continue;
        };
        assert!(scene.browser.wait_tabs(1).iter().all(|tab| tab == link), "{tail}");
        let good = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@%&=+,".contains(c);
        assert!(link.chars().all(good), "{link}");
        assert!(link.starts_with(&scene.auth.origin()), "{link}");
        assert_eq!(scene.browser.processes().lines().next(), Some(link), "one argument");
        bridge.finish();
    }
}

#[test]
fn an_endpoint_that_brings_parameters_of_the_flow_has_them_replaced() {
    let endpoint = "{as}/authorize?tenant=a%20b&state=mine&redirect_uri=https%3A%2F%2Fevil.example\
                    &client_id=evil&code_challenge=x&code_challenge_method=plain&scope=all\
                    &resource=https%3A%2F%2Fevil.example&response_type=token&response_mode=fragment";
    let scene = Scene::scripted(|script| {
        script.metadata = vec![("authorization_endpoint", json!(endpoint))];
    });
    live_as(&mut scene.bridge().ready(), "ada");
    let [asked] = scene.auth.asked("/authorize").try_into().unwrap();
    // Doubled ones fail the server's own checks.
    assert_eq!(asked.param("tenant"), Some("a b"));
    assert_eq!(asked.param("resource"), Some(scene.url().as_str()));
    assert_ne!(asked.param("scope"), Some("all"));
    assert_ne!(asked.param("response_mode"), Some("fragment"));
}

/// A web page that guesses the port can only make noise.
#[test]
fn a_hostile_page_can_neither_finish_nor_end_a_sign_in() {
    let scene = Scene::unattended();
    let (mut bridge, link) = at_the_door(&scene, &["--log-level", "trace"]);
    let right = callback_of(&link);
    for (code, state) in [("mine", None), ("mine", Some("guessed")), ("mine", Some(""))] {
        let url = with_param(&with_param(&right, "code", Some(code)), "state", state);
        assert_eq!(web::get(&url).status, 400);
    }
    let denied = with_param(&with_param(&right, "code", None), "state", Some("guessed"));
    assert_eq!(web::get(&with_param(&denied, "error", Some("access_denied"))).status, 400);
    assert!(scene.auth.asked("/token").is_empty());
    follow(&link);
    live_as(&mut bridge, "ada");
    let ended = bridge.finish();
    scene.nothing_leaked(&[&ended.stderr]);
}

/// Server text is not shown before `iss` has been checked.
#[test]
fn an_error_of_the_wrong_issuer_is_not_shown() {
    let scene = Scene::unattended();
    let (mut bridge, link) = at_the_door(&scene, &[]);
    let evil = with_param(&callback_of(&link), "iss", Some("https://evil.example"));
    let evil = with_param(&with_param(&evil, "code", None), "error", Some("call_0800_now"));
    let page = web::get(&evil);
    assert_eq!(page.status, 400);
    assert!(!page.body.contains("call_0800_now"), "{}", page.body);
    assert!(!bridge.stderr().contains("call_0800_now"), "{}", bridge.stderr());
    follow(&link);
    live_as(&mut bridge, "ada");
}

/// An evil server sends the person on to an honest one and waits for the code.
#[test]
fn a_code_of_one_server_is_never_shown_to_another() {
    let honest = AuthorizationServer::start();
    let client = "shared-id";
    let auth = AuthorizationServer::scripted(|script| {
        // Its own metadata says it promises `iss`, and it has an honest address.
        script.metadata =
            vec![("authorization_endpoint", json!(format!("{}/authorize", honest.origin())))];
    });
    let scene = Scene::of(auth, Browser::new());
    // The honest server knows the client and the resource, and will give a code.
    let _door = honest.remote();
    honest.script(|script| {
        script.any_port = true;
        script.resource = crate::support::authorization_server::Resource::Any;
    });
    honest.preregister(client, None, "none", &["http://localhost/oauth/callback"]);
    scene.auth.preregister(client, None, "none", &["http://localhost/oauth/callback"]);
    let (bridge, link) =
        at_the_door(&scene, &["--client-id", client, "--callback-port", &web::free_port()]);
    assert!(link.starts_with(&honest.origin()), "{link}");
    let page = web::get(&callback_of(&link));
    assert_eq!(page.status, 400, "{}", page.body);
    assert!(scene.auth.asked("/token").is_empty(), "the evil server got the code");
    assert!(honest.asked("/token").is_empty());
    bridge.finish();
}

/// Two sign-ins at once: an answer of one is none of the other.
#[test]
fn the_answers_of_two_sign_ins_do_not_mix() {
    let one = Scene::unattended();
    let other = Scene::unattended();
    let (mut first, link) = at_the_door(&one, &[]);
    let (mut second, other_link) = at_the_door(&other, &[]);
    let right = callback_of(&link);
    let foreign = callback_of(&other_link);
    let query = foreign.split_once('?').unwrap().1;
    let base = right.split_once('?').unwrap().0;
    assert_eq!(web::get(&format!("{base}?{query}")).status, 400);
    web::get(&right);
    web::get(&foreign);
    live_as(&mut first, "ada");
    live_as(&mut second, "ada");
}

#[test]
fn a_token_endpoint_that_redirects_takes_nothing_with_it() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Server::start(|_, _| panic!("the code was sent elsewhere"));
        let scene = Scene::scripted(|script| {
            script.failures = [Failure::Redirect(status, elsewhere.url())].into();
        });
        let mut bridge = scene.launch().args(&["--auth-timeout", "20"]).start().ready();
        scene.browser.page(0);
        // The next sign-in is another, and works.
        live_as(&mut bridge, "ada");
        let ended = bridge.finish();
        scene.nothing_leaked(&[&ended.stderr]);
    }
}

/// At the origin of the authorization server too.
#[test]
fn a_token_endpoint_that_redirects_to_itself_is_not_followed() {
    let scene = Scene::new();
    let path = "/token2";
    scene.auth.on(path, |_, _| panic!("a redirect was followed"));
    scene.auth.on("/token", redirect_to(307, path));
    let mut bridge = scene.launch().args(&["--auth-timeout", "5"]).start().ready();
    bridge.call("1");
    bridge.own_error("1", &[-31001, -31002, -31004]);
}

#[test]
fn a_remote_that_redirects_gets_no_token_elsewhere() {
    let scene = Scene::new().signed_in();
    let elsewhere = Server::start(|_, _| panic!("the token was sent elsewhere"));
    let target = elsewhere.url();
    for status in [301, 302, 303, 307, 308] {
        // The same origin would have to be the same port; this is another.
        let handler = redirect_to(status, &target);
        let port = crate::support::mcp_server::Port::reserve();
        let remote = scene.auth.guard(port, handler);
        scene.home.run(&["login", &remote.url(), "--no-verify"], "").expect(0);
        let mut bridge = crate::support::bridge::Bridge::start_in(&scene.home, &remote.url());
        bridge.request("1", "initialize", "{}");
        bridge.own_error("1", &[-31004, -31002]);
    }
}

/// A prefix of a remote's path may belong to someone else at that host.
#[test]
fn a_token_of_one_remote_is_not_shown_to_another_at_its_origin() {
    let scene = Scene::new().signed_in();
    let other = format!("{}/of-a-neighbour", scene.url());
    let mut bridge = crate::support::bridge::Launch::new(scene.home.clone(), &other)
        .args(&["--sign-in", "never"])
        .start();
    bridge.request("1", "initialize", "{}");
    bridge.answer("1");
    for request in scene.remote.requests() {
        if request.target.contains("neighbour") {
            assert_eq!(request.header("authorization"), None);
        }
    }
}

#[test]
fn a_second_tab_of_an_evil_iss_leaves_the_first_alone() {
    let scene = Scene::unattended();
    let (mut bridge, link) = at_the_door(&scene, &[]);
    scene.auth.script(|script| script.iss = Iss::Is("https://evil.example".into()));
    assert_eq!(web::get(&callback_of(&link)).status, 400);
    scene.auth.script(|script| script.iss = Iss::Right);
    assert_eq!(web::get(&callback_of(&link)).status, 200);
    live_as(&mut bridge, "ada");
}

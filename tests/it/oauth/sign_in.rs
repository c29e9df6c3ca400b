//! The URL alone leads to the browser and to the tools, and nothing secret shows.

use super::{at_the_door, initialized, live_as};
use crate::support::authorization_server::Asked;
use crate::support::bridge::Launch;
use crate::support::browser::follow;
use crate::support::scene::Scene;
use crate::support::web;
use serde_json::json;
use std::time::Duration;

fn names(asked: &Asked) -> Vec<&str> {
    let mut names: Vec<_> = asked.params.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_url_alone_leads_to_one_tab_and_to_the_tools() {
    let scene = Scene::new();
    let mut bridge = scene.bridge().ready();
    assert_eq!(bridge.tools(), ["echo", "whoami", "admin"]);
    live_as(&mut bridge, "ada");
    assert_eq!(scene.browser.tabs().len(), 1);

    let [asked] = scene.auth.asked("/authorize").try_into().unwrap();
    let expected = [
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "redirect_uri",
        "resource",
        "response_type",
        "state",
    ];
    assert_eq!(names(&asked), expected, "no scope is invented");
    assert_eq!(asked.param("resource"), Some(scene.url().as_str()));
    let redirect_uri = asked.param("redirect_uri").unwrap();
    let port = redirect_uri.strip_prefix("http://localhost:").expect(redirect_uri);
    let port = port.strip_suffix("/oauth/callback").expect(redirect_uri);
    port.parse::<u16>().expect(redirect_uri);

    let [redeemed] = scene.auth.asked("/token").try_into().unwrap();
    let expected = ["client_id", "code", "code_verifier", "grant_type", "redirect_uri", "resource"];
    assert_eq!(names(&redeemed), expected);
    let sent = redeemed.request.header("accept").unwrap_or_default();
    assert!(sent.contains("application/json"), "{sent}");
    assert_eq!(scene.auth.asked("/register").len(), 1);
}

#[test]
fn nothing_is_asked_but_what_the_sign_in_needs() {
    let scene = Scene::new();
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    let asked: Vec<_> = scene.auth.server().requests();
    let mut asked: Vec<_> =
        asked.iter().map(|request| request.target.split('?').next().unwrap()).collect();
    asked.dedup();
    let expected = ["/.well-known/oauth-authorization-server", "/register", "/authorize", "/token"];
    assert_eq!(asked, expected);
    let of_remote = scene.remote.requests();
    assert_eq!(of_remote[0].kind(), "initialize", "metadata before a challenge");
    let mut others: Vec<_> = of_remote.iter().map(|request| request.target.as_str()).collect();
    others.retain(|target| *target != "/mcp");
    others.dedup();
    assert_eq!(others, ["/.well-known/oauth-protected-resource/mcp"]);
}

#[test]
fn the_next_start_needs_nobody() {
    let scene = Scene::new();
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    bridge.finish();
    let asked = scene.auth.server().requests().len();
    let before = scene.remote.requests().len();
    let mut bridge = scene.bridge().ready();
    assert_eq!(bridge.tools(), ["echo", "whoami", "admin"]);
    live_as(&mut bridge, "ada");
    bridge.finish();
    assert_eq!(scene.auth.server().requests().len(), asked, "the server was asked again");
    assert_eq!(scene.browser.tabs().len(), 1);
    for request in &scene.remote.requests()[before..] {
        assert!(request.header("authorization").is_some(), "{} went bare", request.kind());
    }
}

#[test]
fn a_bridge_without_a_vault_signs_in_for_itself() {
    let scene = Scene::new();
    let home = scene.another_home("memory");
    for tabs in [1, 2] {
        let mut bridge = crate::support::bridge::Bridge::start_in(&home, &scene.url()).ready();
        live_as(&mut bridge, "ada");
        assert_eq!(scene.browser.tabs().len(), tabs);
    }
    scene.nothing_leaked(&[]);
    for (path, _) in home.files() {
        assert!(!path.to_string_lossy().contains("vault/"), "{}", path.display());
    }
}

#[test]
fn the_link_is_printed_as_a_line_of_its_own() {
    let scene = Scene::unattended();
    let (bridge, link) = at_the_door(&scene, &[]);
    bridge.wait_stderr(&format!("{link}\n"));
    assert!(bridge.stderr().lines().any(|line| line.trim() == link), "{}", bridge.stderr());
}

/// Every step there is, at the level that says most.
#[test]
fn no_code_verifier_token_or_secret_is_in_a_log_a_file_or_a_process() {
    use crate::support::authorization_server::Registration;
    let scene = Scene::scripted(|script| {
        script.registration = Registration::Secret { expires_in: None };
        script.registration_management = true;
        script.id_token = true;
        script.challenge_scope = Some("read");
        script.tool_scopes = vec![("admin", "admin")];
    });
    let log = scene.home.path("log");
    for to_file in [true, false] {
        let mut flags = vec!["--log-level", "trace"];
        if to_file {
            flags.extend(["--log-file", log.to_str().unwrap()]);
        }
        let mut bridge = scene.launch().args(&flags).start().ready();
        live_as(&mut bridge, "ada");
        scene.auth.revoke_access_tokens();
        live_as(&mut bridge, "ada");
        bridge.tool("1", "admin");
        bridge.result("1");
        let command_line = std::fs::read(format!("/proc/{}/cmdline", bridge.pid()));
        let command_line = String::from_utf8_lossy(&command_line.unwrap_or_default()).into_owned();
        let ended = bridge.finish();
        let logged = std::fs::read_to_string(&log).unwrap_or_default();
        assert!(logged.len() + ended.stderr.len() > 40, "nothing was logged");
        scene.nothing_leaked(&[&ended.stderr, &logged, &command_line]);
    }
    assert!(scene.auth.secrets().len() > 8, "{:?}", scene.auth.secrets());
}

/// Real providers send 1 KB and more; what was issued is shown as it came.
#[test]
fn a_failure_at_the_token_endpoint_shows_no_code() {
    use crate::support::authorization_server::Failure;
    let scene = Scene::scripted(|script| {
        let body = json!({ "error": "server_error", "access_token": "access-0-5ecret" });
        let failure = Failure::Reply(500, "application/json", body.to_string());
        script.failures = std::iter::repeat_n(failure, 5).collect();
    });
    let flags = ["--log-level", "trace", "--auth-timeout", "1"];
    let mut bridge = scene.launch().args(&flags).start().ready();
    bridge.call("1");
    let error = bridge.own_error("1", &[-31001, -31002, -31004]).to_string();
    let (_, page) = scene.browser.page(0);
    let ended = bridge.finish();
    scene.nothing_leaked(&[&ended.stderr, &error, &page]);
    for text in [&ended.stderr, &error, &page] {
        assert!(!text.contains("access-0-5ecret"), "{text}");
    }
}

#[test]
fn the_page_claims_success_only_after_the_tokens_are_there() {
    let scene = Scene::scripted(|script| {
        script.id_token = true;
        script.token_delay = Duration::from_millis(300);
    });
    let mut bridge = scene.bridge().ready();
    let (status, page) = scene.browser.page(0);
    assert!(scene.auth.secrets().iter().any(|secret| secret.starts_with("access-")), "too early");
    assert_eq!(status, 200);
    assert!(page.contains(&scene.remote.address().to_string()), "{page}");
    for outside in ["src=\"http", "href=\"http", "@import", "<script"] {
        assert!(!page.contains(outside), "{outside}: {page}");
    }
    assert!(page.contains("color-scheme"), "{page}");
    live_as(&mut bridge, "ada");
    scene.nothing_leaked(&[&page]);
}

#[test]
fn the_browser_may_be_sent_to_a_page_of_ones_own() {
    let scene = Scene::unattended();
    let own = "https://people.example/done?a=1";
    let (mut bridge, link) = at_the_door(&scene, &["--auth-success-url", own]);
    let callback = crate::support::authorization_server::callback_of(&link);
    let reply = web::get(&callback);
    assert!(matches!(reply.status, 302 | 303), "{reply:?}");
    assert_eq!(reply.header("location"), Some(own));
    live_as(&mut bridge, "ada");
}

#[test]
fn extra_parameters_go_out_and_those_of_the_flow_stay() {
    let scene = Scene::unattended();
    let flags = ["--authorize-param", "audience=a b&c", "--authorize-param", "login_hint=ada"];
    let (mut bridge, link) = at_the_door(&scene, &flags);
    assert_eq!(web::param(&link, "audience").as_deref(), Some("a b&c"));
    assert_eq!(web::param(&link, "login_hint").as_deref(), Some("ada"));
    follow(&link);
    live_as(&mut bridge, "ada");
    for parameter in ["state=mine", "redirect_uri=https://evil.example", "client_id=x"] {
        let launch = Launch::new(scene.another_home("memory"), &scene.url());
        let mut bridge = launch.args(&["--authorize-param", parameter]).start();
        let name = parameter.split('=').next().unwrap();
        bridge.request("1", "initialize", "{}");
        let error = bridge.error("1").to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn a_resource_goes_out_as_it_was_published_as_the_flag_says_or_not_at_all() {
    use crate::support::authorization_server::{AuthorizationServer, Resource};
    use crate::support::browser::Browser;
    let scene_of = |resource, published: &'static str| {
        let auth = AuthorizationServer::scripted(|script| {
            script.resource = resource;
            script.resource_metadata = vec![("resource", json!(published))];
        });
        Scene::of(auth, Browser::following())
    };
    // Without a path it has no slash and gets none.
    for published in ["{remote}", "{remote}/", "{remote}/mcp"] {
        let scene = scene_of(Resource::Required, published);
        live_as(&mut scene.bridge().ready(), "ada");
        let expected = published.replace("{remote}", scene.url().trim_end_matches("/mcp"));
        for path in ["/authorize", "/token"] {
            assert_eq!(scene.auth.asked(path)[0].param("resource"), Some(expected.as_str()));
        }
    }
    let scene = scene_of(Resource::Any, "{remote}/mcp");
    let flags = ["--resource", "https://api.example/Some%2fThing"];
    live_as(&mut scene.launch().args(&flags).start().ready(), "ada");
    for path in ["/authorize", "/token"] {
        assert_eq!(scene.auth.asked(path)[0].param("resource"), Some(flags[1]));
    }
    let scene = scene_of(Resource::Forbidden, "{remote}/mcp");
    let flags = ["--disable-resource-parameter"];
    let mut bridge = scene.launch().args(&flags).start().ready();
    live_as(&mut bridge, "ada");
    scene.auth.revoke_access_tokens();
    live_as(&mut bridge, "ada");
}

#[test]
fn an_id_token_is_the_bearer_where_the_flag_says_so() {
    let scene = Scene::scripted(|script| script.id_token = true);
    let mut bridge = scene.launch().args(&["--use-id-token"]).start().ready();
    live_as(&mut bridge, "ada");
    let call = scene.remote.wait_for("tools/call");
    let bearer = call.header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
    assert_eq!(bearer.split('.').count(), 3, "{bearer}");
}

/// `--header Authorization` wins and never starts a sign-in.
#[test]
fn a_header_of_ones_own_never_opens_a_tab() {
    let scene = Scene::new();
    let mut bridge = scene.launch().args(&["--header", "Authorization: Bearer mine"]).start();
    bridge.request("1", "initialize", "{}");
    bridge.own_error("1", &[-31001, -31004]);
    assert_eq!(scene.auth.server().requests().len(), 0);
    assert!(scene.browser.tabs().is_empty());
}

#[test]
fn a_tab_that_comes_late_or_twice_is_one_sign_in() {
    let scene = Scene::unattended();
    let mut bridge = scene.bridge();
    initialized(&mut bridge);
    bridge.notify("notifications/initialized", "{}");
    let link = scene.browser.link();
    bridge.tool(r#""late""#, "whoami");
    let callback = crate::support::authorization_server::callback_of(&link);
    assert_eq!(web::get(&callback).status, 200);
    // The page is loaded again; the listener may be gone by then.
    if let Ok(again) = web::try_get(&callback) {
        assert_ne!(again.status, 500);
    }
    assert_eq!(bridge.text(r#""late""#), "ada scope=-");
    assert_eq!(scene.auth.asked("/token").len(), 1);
    assert_eq!(scene.browser.tabs().len(), 1);
}

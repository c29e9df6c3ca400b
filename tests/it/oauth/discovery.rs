//! From a challenge to one authorization server, in the specified order.

use super::live_as;
use crate::support::authorization_server::{AuthorizationServer, Form, Iss, Published, Script};
use crate::support::browser::Browser;
use crate::support::legacy::Legacy;
use crate::support::mcp_server::Port;
use crate::support::scene::Scene;
use serde_json::json;

#[track_caller]
fn leads_to_the_tools(change: impl FnOnce(&mut Script)) -> Scene {
    let scene = Scene::scripted(change);
    live_as(&mut scene.bridge().ready(), "ada");
    scene
}

fn targets(auth: &AuthorizationServer) -> Vec<String> {
    auth.server().requests().iter().map(|request| request.target.clone()).collect()
}

/// Without what came before: a document may be asked for again.
fn unique(targets: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    targets.retain(|target| seen.insert(target.clone()));
}

/// The paths asked for before anyone was registered.
fn searched(scene: &Scene) -> Vec<String> {
    let asked = scene.auth.server().requests();
    let asked = asked.iter().map(|request| request.target.clone());
    let mut searched: Vec<_> =
        asked.take_while(|target| target.contains("/.well-known/")).collect();
    unique(&mut searched);
    searched
}

#[test]
fn the_resources_metadata_is_found_wherever_it_may_lie() {
    for published in [Published::Named, Published::Elsewhere, Published::Path, Published::Root] {
        let scene = leads_to_the_tools(|script| script.published = published);
        let asked = scene.remote.requests();
        let asked = asked.iter().filter(|request| request.target != "/mcp");
        let mut asked: Vec<_> = asked.map(|request| request.target.clone()).collect();
        unique(&mut asked);
        let root = "/.well-known/oauth-protected-resource";
        let expected: &[&str] = match published {
            Published::Elsewhere => &["/documents/of-the-resource"],
            Published::Root => &[&format!("{root}/mcp"), root],
            _ => &[&format!("{root}/mcp")],
        };
        assert_eq!(asked, expected);
    }
}

#[test]
fn an_issuer_without_a_path_is_looked_up_in_both_forms() {
    let scene = leads_to_the_tools(|script| script.forms = vec![Form::OpenIdAppended]);
    assert_eq!(
        searched(&scene),
        ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]
    );
}

#[test]
fn an_issuer_with_a_path_is_looked_up_in_all_three_forms_in_order() {
    let all = [
        (Form::Oauth, "/.well-known/oauth-authorization-server/tenant"),
        (Form::OpenIdInserted, "/.well-known/openid-configuration/tenant"),
        (Form::OpenIdAppended, "/tenant/.well-known/openid-configuration"),
    ];
    for (at, (form, _)) in all.iter().enumerate() {
        let scene = leads_to_the_tools(|script| {
            script.issuer_path = "/tenant";
            script.forms = vec![*form];
        });
        let expected: Vec<_> = all[..=at].iter().map(|(_, path)| *path).collect();
        assert_eq!(searched(&scene), expected);
    }
}

/// Compared and sent byte for byte.
#[test]
fn an_issuer_that_ends_in_a_slash_keeps_it() {
    leads_to_the_tools(|script| {
        script.resource_metadata = vec![("authorization_servers", json!(["{as}/"]))];
        script.metadata = vec![
            ("issuer", json!("{as}/")),
            ("authorization_response_iss_parameter_supported", json!(false)),
        ];
        script.iss = Iss::Missing;
    });
}

#[test]
fn of_several_challenges_the_one_that_counts_is_found() {
    for challenges in [
        &[r#"Bearer realm="a, b", resource_metadata="{document}", scope="s t""#][..],
        &[r#"bEaReR resource_metadata = "{document}" ,scope="s t""#],
        &["Negotiate", "Basic realm=\"x\"", r#"Bearer scope="s t",resource_metadata="{document}""#],
        &[
            r#"Negotiate abc=, Basic realm="Bearer resource_metadata=\"http://127.0.0.1:1/\"", DPoP algs="ES256 RS256", Bearer resource_metadata="{document}", scope="s t""#,
        ],
        &[
            r#"Custom a=b, c="d", Bearer error="invalid_token", , scope="s t", resource_metadata="{document}", Other"#,
        ],
    ] {
        let challenges: Vec<_> = challenges.iter().map(|text| (*text).to_owned()).collect();
        let shown = challenges.clone();
        let scene = leads_to_the_tools(|script| script.challenges = Some(challenges));
        assert_eq!(scene.auth.asked("/authorize")[0].param("scope"), Some("s t"), "{shown:?}");
    }
}

#[test]
fn of_several_authorization_servers_the_flag_chooses() {
    let other = AuthorizationServer::start();
    let both = vec![json!(other.issuer()), json!("{as}")];
    let scene = Scene::scripted(|script| {
        script.resource_metadata = vec![("authorization_servers", json!(both))];
    });
    let flags = ["--issuer", &scene.auth.issuer()];
    live_as(&mut scene.launch().args(&flags).start().ready(), "ada");
    for path in ["/register", "/authorize", "/token"] {
        assert!(other.asked(path).is_empty(), "{path}");
    }
}

#[test]
fn an_authorization_server_that_is_not_there_makes_room_for_the_next() {
    let dead = Port::reserve();
    let both = json!([dead.origin(), "{as}"]);
    leads_to_the_tools(|script| {
        script.resource_metadata = vec![("authorization_servers", both)];
    });
}

/// The revision 2025-03-26: everything is at the remote's origin.
#[test]
fn without_resource_metadata_the_remotes_origin_is_asked() {
    for forms in [vec![Form::Oauth], vec![]] {
        let default_endpoints = forms.is_empty();
        let legacy = Legacy::new().version("2025-03-26").tools(|request, wire| {
            wire.json(request.result(r#"{"content":[{"type":"text","text":"ada -"}]}"#));
        });
        let auth = AuthorizationServer::at_the_remote(legacy.into_handler(), |script| {
            script.published = Published::Nowhere;
            script.forms = forms;
            script.metadata = vec![("authorization_response_iss_parameter_supported", json!(null))];
            if default_endpoints {
                script.iss = Iss::Missing;
            }
        });
        let url = auth.url();
        let browser = Browser::following();
        let home = crate::support::home::Home::new("plaintext");
        let home = home.with("BROWSER", &browser.command());
        let mut bridge = home.launch(&url).start().ready_as("2025-03-26");
        live_as(&mut bridge, "ada");
        for path in ["/register", "/authorize", "/token"] {
            assert_eq!(auth.asked(path).len(), 1, "{path}: {:?}", targets(&auth));
        }
        assert_eq!(auth.asked("/token")[0].param("resource"), Some(url.as_str()));
        assert!(!auth.asked("/.well-known/oauth-authorization-server").is_empty());
        assert_eq!(auth.clients().len(), 1, "a client that nobody uses");
    }
}

/// Somebody behind a key: there is nothing to sign in to.
#[test]
fn a_bare_refusal_with_nothing_to_discover_asks_for_a_key() {
    let remote =
        Legacy::new().on("initialize", |_, wire| wire.status(401)).lenient().into_handler();
    let remote = crate::support::mcp_server::Server::start(move |request, wire| {
        match request.target.as_str() {
            "/mcp" => remote(request, wire),
            _ => wire.status(404),
        }
    });
    let browser = Browser::following();
    let home = crate::support::home::Home::new("plaintext");
    let home = home.with("BROWSER", &browser.command());
    let mut bridge = home.launch(&remote.url()).start();
    bridge.request("1", "initialize", "{}");
    let error = bridge.own_error("1", &[-31001]).to_string();
    assert!(error.contains("--with api-key") && error.contains(&remote.url()), "{error}");
    assert!(browser.tabs().is_empty());
}

/// A remote that needs no sign-in sees exactly the client's own requests.
#[test]
fn an_open_remote_is_asked_for_no_metadata() {
    let remote = Legacy::new().start();
    let mut bridge = crate::support::bridge::Bridge::to(&remote).ready();
    bridge.call("1");
    bridge.result("1");
    bridge.finish();
    assert!(remote.requests().iter().all(|request| request.target == "/mcp"));
}

/// A list has an end for us, whatever its length.
#[test]
fn a_long_list_of_authorization_servers_is_not_tried_to_its_end() {
    let all: Vec<_> = (0..50).map(|n| format!("{{as}}/tenant-{n}")).collect();
    let scene = Scene::scripted(|script| {
        script.issuer_path = "/tenant-49";
        script.resource_metadata = vec![("authorization_servers", json!(all))];
    });
    let mut bridge = scene.launch().args(&["--auth-timeout", "5"]).start().ready();
    bridge.call("1");
    bridge.own_error("1", &[-31001, -31002]);
    let asked = scene.auth.server().requests();
    let tenants: std::collections::HashSet<_> = asked
        .iter()
        .filter_map(|request| request.target.split("/tenant-").nth(1))
        .map(|rest| rest.split('/').next().unwrap_or_default().to_owned())
        .collect();
    assert!((1..=10).contains(&tenants.len()), "{} servers were asked", tenants.len());
    assert!(scene.browser.tabs().is_empty());
}

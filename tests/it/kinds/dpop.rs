//! Tokens that are bound to a key (RFC 9449), the key in the vault.

use crate::support::authorization_server::{AuthorizationServer, Script, Shape};
use crate::support::browser::Browser;
use crate::support::clock;
use crate::support::dpop::Proofs;
use crate::support::gate::{Gate, Verdict};
use crate::support::home::Home;
use crate::support::http::Request;
use crate::support::jws;
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::Port;
use crate::support::scene::Scene;
use crate::support::token_endpoint::{Given, TokenEndpoint};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

fn scene(change: impl FnOnce(&mut Script)) -> Scene {
    Scene::scripted(|script| {
        script.dpop = true;
        change(script);
    })
}

/// The guard has checked every one: scheme, ath, htu, htm, jti, the key.
#[test]
fn every_request_carries_a_proof_of_its_own() {
    let scene = scene(|_| {});
    let mut bridge = scene.bridge().ready();
    for _ in 0..5 {
        assert_eq!(bridge.whoami(), "ada scope=-");
    }
    bridge.finish();
    let with_proof: Vec<_> = scene.remote.requests();
    let signed: Vec<_> =
        with_proof.iter().filter(|r| r.header("authorization").is_some()).collect();
    for kind in ["initialize", "notifications/initialized", "tools/call", "GET", "DELETE"] {
        let found = signed.iter().any(|request| request.kind() == kind);
        assert!(found, "no {kind} with a token: {:?}", scene.remote.kinds());
    }
    for request in &signed {
        assert!(request.header("dpop").is_some(), "{}", request.kind());
    }
    assert_eq!(scene.auth.proofs().shown(), signed.len() + 1, "one at the token endpoint");
}

#[test]
fn nonces_of_both_servers_are_taken_up_without_a_second_sign_in() {
    let scene = scene(|script| script.nonces = Some(("nonce-of-the-as", "nonce-of-the-remote")));
    let mut bridge = scene.bridge().ready();
    assert_eq!(bridge.whoami(), "ada scope=-");
    assert_eq!(bridge.whoami(), "ada scope=-");
    assert_eq!(scene.browser.tabs().len(), 1);
    assert_eq!(scene.auth.asked("/token").len(), 2, "once for the nonce, once with it");
    let calls = scene.remote.of("tools/call").len();
    assert!(calls <= 3, "{calls} calls: the nonce is remembered");
    // A new one in the middle of the session.
    scene.auth.script(|script| script.nonces = Some(("another-of-as", "another-of-remote")));
    assert_eq!(bridge.whoami(), "ada scope=-");
    assert_eq!((scene.browser.tabs().len(), scene.auth.refreshed()), (1, 0));
}

#[test]
fn a_refresh_proves_the_same_key_in_another_process_too() {
    let scene = scene(|script| script.lifetime = Some(3));
    let mut bridge = scene.bridge().ready();
    assert_eq!(bridge.whoami(), "ada scope=-");
    bridge.finish();
    scene.auth.wait_expiry();
    let mut bridge = scene.bridge().ready();
    assert_eq!(bridge.whoami(), "ada scope=-");
    assert!(scene.auth.refreshed() >= 1);
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn a_login_binds_what_later_bridges_use_and_shows_no_key() {
    let scene = scene(|_| {}).signed_in();
    let mut bridge = scene.launch().args(&["--log-level", "trace"]).start().ready();
    assert_eq!(bridge.whoami(), "ada scope=-");
    let stderr = bridge.finish().stderr;
    scene.nothing_leaked(&[&stderr]);
    for proof in scene.auth.proofs().texts() {
        assert!(!stderr.contains(&proof), "a proof is in the log");
    }
    assert_eq!(scene.browser.tabs().len(), 1);
    for (path, content) in scene.home.files() {
        let text = String::from_utf8_lossy(&content);
        assert!(!text.contains("PRIVATE KEY") && !text.contains("\"d\":"), "{}", path.display());
    }
}

#[test]
fn several_bridges_share_one_key_and_one_sign_in() {
    let scene = scene(|script| script.nonces = Some(("as", "remote"))).signed_in();
    let mut bridges: Vec<_> = (0..3).map(|_| scene.bridge()).collect();
    bridges = bridges.into_iter().map(crate::support::bridge::Bridge::ready).collect();
    for bridge in &mut bridges {
        assert_eq!(bridge.whoami(), "ada scope=-");
    }
    assert_eq!(scene.browser.tabs().len(), 1);
}

/// Where nothing lists it, nothing is proven.
#[test]
fn a_server_that_does_not_list_it_gets_no_proof() {
    let scene = Scene::new();
    let mut bridge = scene.bridge().ready();
    assert_eq!(bridge.whoami(), "ada scope=-");
    for request in scene.remote.requests().iter().chain(&scene.auth.server().requests()) {
        assert!(request.header("dpop").is_none(), "{}", request.target);
    }
}

/// RFC 9449 section 5: the access token is for anyone, the refresh token for the key.
#[test]
fn a_refresh_token_that_alone_is_bound_is_proved() {
    let scene = scene(|script| {
        script.bound_refresh_alone = true;
        script.lifetime = Some(3);
        script.metadata = vec![("userinfo_endpoint", json!("{as}/userinfo"))];
    });
    let done = scene.login(&[]).expect(0);
    assert!(done.stderr.contains("ada@people.example"), "{}", done.stderr);
    let mut bridge = scene.bridge().ready();
    assert_eq!(bridge.whoami(), "ada scope=-");
    scene.auth.wait_expiry();
    assert_eq!(bridge.whoami(), "ada scope=-");
    assert!(scene.auth.refreshed() >= 1);
    assert_eq!(scene.browser.tabs().len(), 1);
    let requests = scene.remote.requests();
    assert!(requests.iter().all(|request| request.header("dpop").is_none()));
}

#[test]
fn a_refresh_that_leaves_out_the_type_leaves_the_token_bound() {
    let scene = scene(|script| script.lifetime = Some(3)).signed_in();
    scene.auth.script(|script| script.shape = Shape::with("token_type", json!("<gone>")));
    let mut bridge = scene.bridge().ready();
    scene.auth.wait_expiry();
    assert_eq!(bridge.whoami(), "ada scope=-");
    assert!(scene.auth.refreshed() >= 1);
    assert_eq!(scene.browser.tabs().len(), 1);
}

/// A server may list it and give bearer tokens all the same.
#[test]
fn a_server_that_lists_it_and_gives_bearer_tokens_is_used_so() {
    let scene = Scene::scripted(|script| {
        script.metadata = vec![("dpop_signing_alg_values_supported", json!(["ES256"]))];
    });
    let mut bridge = scene.bridge().ready();
    assert_eq!(bridge.whoami(), "ada scope=-");
}

#[test]
fn an_event_stream_is_opened_with_a_proof() {
    let auth = AuthorizationServer::scripted(|script| script.dpop = true);
    let remote = auth.protect(Legacy::new().sessions(&Sessions::default()).on("GET", |_, wire| {
        let mut events = wire.events();
        events.event(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
        events.end();
    }));
    let scene = Scene::with(auth, remote, Browser::following()).signed_in();
    let mut bridge = scene.bridge().ready();
    bridge.message("notifications/tools/list_changed");
    assert_eq!(bridge.whoami(), "ada scope=-");
}

/// As frameworks do that end their paths with a slash.
#[test]
fn each_hop_of_a_redirect_gets_a_proof_of_its_own() {
    let auth = AuthorizationServer::scripted(|script| {
        script.dpop = true;
        script.nonces = Some(("as", "remote"));
    });
    let port = Port::reserve();
    let inner = Legacy::new().sessions(&Sessions::default()).on("tools/call", auth.whoami());
    let inner = inner.into_handler();
    let remote = auth.guard(port, move |request: &Request, wire| match request.target.as_str() {
        "/mcp" => wire.reply(307, &[("Location", "/mcp/")], b""),
        _ => inner(request, wire),
    });
    let scene = Scene::with(auth, remote, Browser::following()).signed_in();
    let mut bridge = scene.bridge().ready();
    for _ in 0..3 {
        assert_eq!(bridge.whoami(), "ada scope=-");
    }
    bridge.finish();
    assert_eq!((scene.browser.tabs().len(), scene.auth.refreshed()), (1, 0));
    for kind in ["POST", "GET", "DELETE"] {
        let requests = scene.remote.requests();
        let followed = requests.iter().any(|it| it.method == kind && it.target == "/mcp/");
        assert!(followed, "{kind}: {:?}", scene.remote.kinds());
    }
}

/// A machine's tokens are bound, too, where the server lists that.
#[test]
fn a_token_of_a_machine_is_bound_to_a_key() {
    let proofs = Proofs::default();
    let key = Arc::new(Mutex::new(String::new()));
    let endpoint = TokenEndpoint::start({
        let (proofs, key) = (proofs.clone(), key.clone());
        move |asked| match proofs.check(&asked.request, None, None) {
            Ok(thumbprint) => {
                thumbprint.clone_into(&mut key.lock().unwrap());
                Given::Token("machine".to_owned())
            }
            Err(_) => Given::Error("invalid_dpop_proof", "no good proof"),
        }
    });
    endpoint.rules(|rules| {
        let listed = "dpop_signing_alg_values_supported".to_owned();
        rules.metadata.insert(listed, json!(["ES256"]));
        rules.answer.insert("token_type".to_owned(), json!("DPoP"));
    });
    let tokens = endpoint.tokens.clone();
    let remote = Gate::default().start(move |request| {
        let sent = request.header("authorization").unwrap_or_default();
        let token = sent.strip_prefix("DPoP ").unwrap_or_default();
        let Some(who) = tokens.who(token) else { return Verdict::status(401) };
        match proofs.check(request, Some(token), None) {
            Ok(thumbprint) => Verdict::or((thumbprint == *key.lock().unwrap()).then_some(who), 401),
            Err(why) => panic!("{why}: {request:?}"),
        }
    });
    let home = Arc::new(Home::new("plaintext"));
    let issuer = endpoint.issuer();
    let flags = ["--with", "client-credentials", "--client-id", "machine", "--issuer", issuer];
    super::login(&home, &remote.url(), &flags, "cl1ent-5ecret").expect(0);
    // The token is used by who comes later, and so is its key. The remote does not say that it
    // takes such tokens, so that the server was asked without a proof first.
    assert_eq!(super::whoami(&home, &remote.url(), &[]), "machine");
    assert_eq!(endpoint.asked().len(), 2);
}

/// The token is good; what was wrong is when the proof was made.
#[test]
fn a_remote_whose_clock_is_off_gets_proofs_by_its_own_clock() {
    for ahead in [600, -600] {
        let endpoint = TokenEndpoint::start(|_| Given::Token("machine".to_owned()));
        endpoint.rules(|rules| {
            let listed = "dpop_signing_alg_values_supported".to_owned();
            rules.metadata.insert(listed, json!(["ES256"]));
            rules.answer.insert("token_type".to_owned(), json!("DPoP"));
        });
        let tokens = endpoint.tokens.clone();
        let remote = Gate::default().start(move |request| {
            let sent = request.header("authorization").and_then(|sent| sent.strip_prefix("DPoP "));
            let Some(who) = sent.and_then(|token| tokens.who(token)) else {
                return Verdict::Refused(401, vec![("WWW-Authenticate", "DPoP".into())], "".into());
            };
            let now = clock::now().checked_add_signed(ahead).unwrap();
            let proof = request.header("dpop").and_then(jws::read).expect("a proof");
            if proof.claims["iat"].as_u64().unwrap().abs_diff(now) < 60 {
                return Verdict::Is(who);
            }
            let challenge = r#"DPoP error="invalid_dpop_proof", error_description="iat""#;
            let headers =
                vec![("WWW-Authenticate", challenge.to_owned()), ("Date", clock::date(now))];
            Verdict::Refused(401, headers, String::new())
        });
        let home = Arc::new(Home::new("plaintext"));
        let issuer = endpoint.issuer();
        let flags = ["--with", "client-credentials", "--client-id", "machine", "--issuer", issuer];
        super::login(&home, &remote.url(), &flags, "cl1ent-5ecret").expect(0);
        let asked = endpoint.asked().len();
        let before = remote.of("initialize").len();
        assert_eq!(super::whoami(&home, &remote.url(), &[]), "machine", "{ahead}");
        assert_eq!(endpoint.asked().len(), asked, "the token was good");
        assert_eq!(remote.of("initialize").len(), before + 2, "learned by the first refusal");
    }
}

/// Also by a process that took its first token from another one.
#[test]
fn a_remote_that_begins_to_want_proofs_gets_them() {
    let proofs = Proofs::default();
    let endpoint = TokenEndpoint::start({
        let proofs = proofs.clone();
        move |asked| match asked.request.header("dpop") {
            Some(_) => match proofs.check(&asked.request, None, None) {
                Ok(_) => Given::Answer(json!({
                    "access_token": "bound-token", "token_type": "DPoP", "expires_in": 300,
                })),
                Err(why) => panic!("{why}"),
            },
            None => Given::Answer(json!({
                "access_token": "plain-token", "token_type": "Bearer", "expires_in": 300,
            })),
        }
    });
    let strict = Arc::new(AtomicBool::new(false));
    let wants = strict.clone();
    let remote = Gate::default().start(move |request| {
        let authorization = request.header("authorization");
        let bound = authorization == Some("DPoP bound-token")
            && proofs.check(request, Some("bound-token"), None).is_ok();
        let plain = authorization == Some("Bearer plain-token") && !wants.load(Ordering::Relaxed);
        let challenge = ("WWW-Authenticate", "DPoP algs=\"ES256\"".to_owned());
        match bound || plain {
            true => Verdict::Is("machine".to_owned()),
            false if wants.load(Ordering::Relaxed) => {
                Verdict::Refused(401, vec![challenge], String::new())
            }
            false => Verdict::status(401),
        }
    });
    let home = Arc::new(Home::new("plaintext"));
    let url = endpoint.url();
    let flags = ["--with", "client-credentials", "--client-id", "m", "--token-endpoint", &url];
    super::login(&home, &remote.url(), &flags, "cl1ent-5ecret").expect(0);
    strict.store(true, Ordering::Relaxed);
    assert_eq!(super::whoami(&home, &remote.url(), &[]), "machine");
    assert_eq!(endpoint.asked().len(), 2);
}

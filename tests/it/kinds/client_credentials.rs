//! `--with client-credentials`: a machine with a secret or a key of its own (RFC 6749,
//! section 4.4; RFC 7523, section 2.2).

use super::{first_error, hint, login, ready, tells, whoami, works_both_ways};
use crate::support::authorization_server::Asked;
use crate::support::bridge::{Bridge, Launch};
use crate::support::clock;
use crate::support::gate::bearers;
use crate::support::home::Home;
use crate::support::jws::{Pair, Verifier};
use crate::support::mcp_server::{Port, Server};
use crate::support::token_endpoint::{Given, TokenEndpoint};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ID: &str = "machine:1 & more";
const SECRET: &str = "cl1ent-5ecret:with/odd+characters%";
const FLAGS: [&str; 4] = ["--with", "client-credentials", "--client-id", ID];
const SOURCE: &[(&str, &str)] = &[("--secret-env", SECRET)];

fn is_grant(asked: &Asked) {
    assert_eq!(asked.param("grant_type"), Some("client_credentials"), "{asked:?}");
}

/// By HTTP Basic, or in the body; never both.
fn by_secret(asked: &Asked) -> Given {
    is_grant(asked);
    let basic = asked.basic();
    let body = asked
        .param("client_secret")
        .map(|secret| (asked.param("client_id").unwrap_or_default().to_owned(), secret.to_owned()));
    assert!(basic.is_none() || body.is_none(), "two authentications: {asked:?}");
    match basic.or(body) {
        Some((id, secret)) if id == ID && secret == SECRET => Given::Token("machine".to_owned()),
        _ => Given::Error("invalid_client", "unknown client or wrong secret"),
    }
}

/// By an assertion, whose every claim is looked at.
fn by_key(verifier: Verifier, audience: String) -> impl Fn(&Asked) -> Given {
    let seen = std::sync::Mutex::new(std::collections::HashSet::new());
    move |asked| {
        is_grant(asked);
        assert_eq!(asked.request.header("authorization"), None);
        assert_eq!(asked.param("client_secret"), None);
        assert_eq!(
            asked.param("client_assertion_type"),
            Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        );
        if let Some(id) = asked.param("client_id") {
            assert_eq!(id, ID);
        }
        let assertion = asked.param("client_assertion").expect("an assertion");
        let Some(token) = verifier.read(assertion) else {
            return Given::Error("invalid_client", "a wrong signature");
        };
        let claims = token.claims;
        assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some(ID), Some(ID)));
        let audiences = match &claims["aud"] {
            Value::Array(all) => all.clone(),
            one => vec![one.clone()],
        };
        assert!(audiences.contains(&json!(audience)), "{claims}");
        let (now, iat, exp) = (clock::now(), &claims["iat"], &claims["exp"]);
        let (iat, exp) = (iat.as_u64().expect("iat"), exp.as_u64().expect("exp"));
        assert!(iat <= now + 1 && exp > now && exp - iat <= 600, "{claims}");
        let id = claims["jti"].as_str().expect("a jti").to_owned();
        assert!(seen.lock().unwrap().insert(id), "a jti that was shown before");
        Given::Token("machine".to_owned())
    }
}

/// A home that was taught without asking anybody.
fn taught(remote: &Server, more: &[&str]) -> Arc<Home> {
    let home = Arc::new(Home::new("plaintext"));
    let flags = [&FLAGS[..], more, &["--no-verify"]].concat();
    login(&home, &remote.url(), &flags, SECRET).expect(0);
    home
}

#[test]
fn a_secret_goes_out_as_the_server_wants_it() {
    for methods in [
        json!(["client_secret_basic"]),
        json!(["client_secret_post"]),
        json!(["client_secret_basic", "client_secret_post"]),
        json!(null),
    ] {
        let endpoint = TokenEndpoint::start(by_secret);
        let member = "token_endpoint_auth_methods_supported".to_owned();
        endpoint.rules(|rules| drop(rules.metadata.insert(member, methods.clone())));
        let remote = endpoint.remote();
        let home = Arc::new(Home::new("plaintext"));
        let both = works_both_ways(&home, &remote.url(), &FLAGS, SOURCE);
        assert_eq!(both, ["machine", "machine"], "{methods}");
        let in_body = methods == json!(["client_secret_post"]);
        for asked in endpoint.asked() {
            assert_eq!(asked.basic().is_none(), in_body, "{methods}");
        }
    }
}

#[test]
fn a_key_signs_an_assertion_for_each_request() {
    for alg in ["RS256", "PS256", "ES256", "EdDSA"] {
        let pair = Pair::of(alg);
        let endpoint = TokenEndpoint::start(|_| Given::Error("invalid_client", "not yet"));
        endpoint.decides(by_key(pair.verifier, endpoint.issuer().to_owned()));
        let remote = endpoint.remote();
        let home = Arc::new(Home::new("plaintext"));
        let key = home.file("key.pem", &pair.secret);
        let flags =
            [&FLAGS[..], &["--private-key", &key, "--alg", alg, "--key-id", "key-7"]].concat();
        let both = works_both_ways(&home, &remote.url(), &flags, &[]);
        assert_eq!(both, ["machine", "machine"], "{alg}");
        for asked in endpoint.asked() {
            let assertion = asked.param("client_assertion").unwrap();
            let header = crate::support::jws::read(assertion).unwrap().header;
            assert_eq!((&header["alg"], &header["kid"]), (&json!(alg), &json!("key-7")));
        }
    }
}

#[test]
fn scope_and_resource_go_along() {
    let endpoint = TokenEndpoint::start(by_secret);
    let remote = endpoint.remote();
    let url = remote.url();
    let cases: [(&[&str], _, _); 4] = [
        (&["--scope", "read write"], Some("read write"), Some(url.as_str())),
        (&[], None, Some(url.as_str())),
        (&["--resource", "https://api.example/X%2f"], None, Some("https://api.example/X%2f")),
        (&["--disable-resource-parameter"], None, None),
    ];
    for (flags, scope, resource) in cases {
        let home = taught(&remote, flags);
        assert_eq!(whoami(&home, &url, &[]), "machine");
        let asked = endpoint.last();
        assert_eq!((asked.param("scope"), asked.param("resource")), (scope, resource), "{flags:?}");
    }
}

#[test]
fn the_issuer_or_the_endpoint_may_be_given_by_hand() {
    let endpoint = TokenEndpoint::start(by_secret);
    let remote = endpoint.silent_remote(403);
    for given in [["--issuer", endpoint.issuer()], ["--token-endpoint", &endpoint.url()]] {
        let (before, at_the_remote) = (endpoint.server.requests().len(), remote.requests().len());
        let home = Arc::new(Home::new("plaintext"));
        let flags = [&FLAGS[..], &given].concat();
        let both = works_both_ways(&home, &remote.url(), &flags, SOURCE);
        assert_eq!(both, ["machine", "machine"], "{given:?}");
        if given[0] == "--token-endpoint" {
            let asked = endpoint.server.requests();
            assert!(asked[before..].iter().all(|request| request.target == "/token"));
            // Nobody asks the remote where, as that was said.
            let asked = remote.requests();
            for request in &asked[at_the_remote..] {
                assert_eq!(request.target, "/mcp", "all was said");
            }
        }
    }
}

#[test]
fn a_server_without_metadata_is_enough_where_the_endpoint_is_given() {
    let endpoint = TokenEndpoint::start(by_secret);
    endpoint.rules(|rules| rules.unpublished = true);
    let remote = endpoint.silent_remote(401);
    let home = taught(&remote, &["--token-endpoint", &endpoint.url()]);
    assert_eq!(whoami(&home, &remote.url(), &[]), "machine");
}

#[test]
fn a_remote_that_names_no_server_leads_to_an_error_that_says_what_to_give() {
    let remote = bearers(401, |_| None);
    let home = taught(&remote, &[]);
    let mut bridge = Bridge::start_in(&home, &remote.url());
    let error = first_error(&mut bridge, &[-31001]);
    tells(&error, &["--issuer", &remote.address().to_string()]);
}

#[test]
fn a_token_is_renewed_before_its_end_and_not_for_each_request() {
    let endpoint = TokenEndpoint::start(by_secret);
    endpoint.rules(|rules| rules.lifetime = 6);
    let remote = endpoint.remote();
    let home = taught(&remote, &[]);
    let mut bridge = ready(&home, &remote.url(), &[]);
    for _ in 0..10 {
        assert_eq!(bridge.whoami(), "machine");
    }
    assert_eq!(endpoint.asked().len(), 1);
    std::thread::sleep(Duration::from_millis(6200));
    assert_eq!(bridge.whoami(), "machine");
    assert_eq!(endpoint.asked().len(), 2);
    assert_eq!(endpoint.tokens.refused(), 0, "an expired token was shown");
    // There is no refresh token, and none is used if there is one.
    endpoint.asked().iter().for_each(is_grant);
}

#[test]
fn a_token_that_is_refused_is_replaced_once() {
    for status in [401, 403] {
        let endpoint = TokenEndpoint::start(by_secret);
        let remote = endpoint.silent_remote(status);
        let home = taught(&remote, &["--token-endpoint", &endpoint.url()]);
        let mut bridge = ready(&home, &remote.url(), &[]);
        for requests in 1..3 {
            let who = bridge.answer_to_whoami();
            assert!(who.contains("\"machine\""), "{status}: {requests}: {who}");
            assert_eq!(endpoint.asked().len(), requests, "{status}");
            endpoint.tokens.revoke();
        }
    }
}

#[test]
fn a_role_that_is_refused_a_tool_leads_to_one_token_request_and_no_more() {
    let endpoint = TokenEndpoint::start(by_secret);
    let remote = endpoint.remote();
    let home = taught(&remote, &[]);
    let mut bridge = ready(&home, &remote.url(), &[]);
    assert_eq!(bridge.whoami(), "machine");
    for id in ["1", "2", "3", "4", "5"] {
        bridge.tool(id, "admin");
        bridge.own_error(id, &[-31001, -31004]);
    }
    assert!(endpoint.asked().len() <= 2, "{} token requests", endpoint.asked().len());
    assert_eq!(bridge.whoami(), "machine");
}

#[test]
fn another_process_uses_the_token_that_is_there() {
    let endpoint = TokenEndpoint::start(by_secret);
    let remote = endpoint.remote();
    let home = taught(&remote, &[]);
    for _ in 0..3 {
        assert_eq!(whoami(&home, &remote.url(), &[]), "machine");
    }
    assert_eq!(endpoint.asked().len(), 1);
    let token = home.run(&["token", &remote.url()], "").expect(0).stdout;
    assert_eq!(token.trim_end(), endpoint.tokens.all()[0]);
    assert_eq!(endpoint.asked().len(), 1);
}

#[test]
fn a_wrong_secret_is_told_with_the_words_of_the_server() {
    let endpoint = TokenEndpoint::start(by_secret);
    let remote = endpoint.remote();
    let home = Arc::new(Home::new("plaintext"));
    let done = login(&home, &remote.url(), &FLAGS, "wrong-7777").expect_one_of(&[1, 3]);
    let named = ["unknown client or wrong secret", &endpoint.server.address().to_string()];
    tells(&json!(done.stderr), &named);
    assert!(super::rows(&home).is_empty());
    let flags = [&FLAGS[..], &["--no-verify"]].concat();
    login(&home, &remote.url(), &flags, "wrong-7777").expect(0);
    let mut bridge = Bridge::start_in(&home, &remote.url());
    let error = first_error(&mut bridge, &[-31001]);
    tells(&error, &named);
    let hint = hint(&error);
    for part in ["keyferry login", &remote.url(), "--with client-credentials", "--client-id"] {
        assert!(hint.contains(part), "{part}: {hint}");
    }
    assert!(!error.to_string().contains("wrong-7777"), "{error}");
    let asked = endpoint.asked().len();
    assert!(asked <= 4, "{asked} token requests");
}

/// Another key is not tried, and another server is not asked.
#[test]
fn what_a_server_refuses_is_not_tried_in_another_way() {
    for error in ["invalid_client", "unauthorized_client", "invalid_scope", "invalid_grant"] {
        let endpoint = TokenEndpoint::start(move |_| Given::Error(error, "as scripted"));
        let remote = endpoint.remote();
        let home = taught(&remote, &[]);
        let mut bridge = Bridge::start_in(&home, &remote.url());
        let told = first_error(&mut bridge, &[-31001]);
        tells(&told, &[error, "as scripted"]);
        bridge.finish();
        assert!(endpoint.asked().len() <= 2, "{error}: {}", endpoint.asked().len());
        endpoint.asked().iter().for_each(is_grant);
    }
}

#[test]
fn a_server_that_is_not_there_is_unreachable_and_not_a_refusal() {
    let port = Port::reserve();
    let remote = bearers(401, |_| None);
    let home = taught(&remote, &["--token-endpoint", &format!("{}/token", port.origin())]);
    let mut bridge = Bridge::start_in(&home, &remote.url());
    let error = first_error(&mut bridge, &[-31002]);
    tells(&error, &[port.origin().trim_start_matches("http://")]);
}

#[test]
fn a_redirect_of_the_endpoint_is_not_followed() {
    for status in [302, 307, 308] {
        let elsewhere = Server::start(|_, _| panic!("somebody came"));
        let to = elsewhere.url();
        let endpoint = TokenEndpoint::start(move |_| {
            Given::Reply(status, vec![("Location", to.clone())], String::new())
        });
        let remote = endpoint.remote();
        let home = taught(&remote, &[]);
        let mut bridge = Bridge::start_in(&home, &remote.url());
        first_error(&mut bridge, &[-31001, -31002]);
        assert_eq!(elsewhere.connections(), 0);
    }
}

/// A remote that turns hostile names a server of its own.
#[test]
fn a_taught_secret_is_shown_to_the_issuer_it_was_taught_for() {
    let endpoint = TokenEndpoint::start(by_secret);
    let other = TokenEndpoint::start(|_| Given::Token("thief".to_owned()));
    let port = Port::reserve();
    let (first, second) = (endpoint.guarding(&port.origin()), other.guarding(&port.origin()));
    let hostile = Arc::new(AtomicBool::new(false));
    let turned = hostile.clone();
    let remote = port.serve(move |request, wire| match turned.load(Ordering::SeqCst) {
        false => first(request, wire),
        true => second(request, wire),
    });
    let home = Arc::new(Home::new("plaintext"));
    login(&home, &remote.url(), &FLAGS, SECRET).expect(0);
    hostile.store(true, Ordering::SeqCst);
    let mut bridge = Launch::new(home, &remote.url()).args(&["--auth-timeout", "3"]).start();
    bridge.request("0", "initialize", "{}");
    bridge.answer("0");
    bridge.tool("1", "whoami");
    bridge.answer("1");
    assert!(other.asked().is_empty(), "{:?}", other.asked());
}

/// It says what time it is there when it refuses, and one more try is made by that.
#[test]
fn a_server_whose_clock_is_off_gets_assertions_by_its_own_clock() {
    for ahead in [600, -600] {
        let Pair { secret, verifier, .. } = Pair::of("ES256");
        let endpoint = TokenEndpoint::start(move |asked| {
            is_grant(asked);
            let now = clock::now().checked_add_signed(ahead).unwrap();
            let assertion = asked.param("client_assertion").expect("an assertion");
            let claims = verifier.read(assertion).expect("a good signature").claims;
            let (iat, exp) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
            if iat <= now + 5 && exp > now {
                return Given::Token("machine".to_owned());
            }
            let body = json!({ "error": "invalid_client", "error_description": "expired" });
            let kind = ("Content-Type", "application/json".to_owned());
            Given::Reply(401, vec![kind, ("Date", clock::date(now))], body.to_string())
        });
        let remote = endpoint.remote();
        let home = Arc::new(Home::new("plaintext"));
        let key = home.file("key.pem", secret);
        let flags = [&FLAGS[..], &["--private-key", &key, "--alg", "ES256"]].concat();
        login(&home, &remote.url(), &flags, "").expect(0);
        assert_eq!(whoami(&home, &remote.url(), &[]), "machine", "{ahead}");
        assert!(endpoint.asked().len() <= 4, "{ahead}: {}", endpoint.asked().len());
    }
}

/// RFC 7009, where there is such an endpoint.
#[test]
fn a_logout_revokes_the_token_that_is_there() {
    let endpoint = TokenEndpoint::start(by_secret);
    let revocation = Server::start(|_, wire| wire.status(200));
    let at = format!("http://{}/revoke", revocation.address());
    endpoint.rules(|rules| drop(rules.metadata.insert("revocation_endpoint".into(), json!(at))));
    let remote = endpoint.remote();
    let home = taught(&remote, &[]);
    assert_eq!(whoami(&home, &remote.url(), &[]), "machine");
    home.run(&["logout", &remote.url()], "").expect(0);
    let asked = revocation.requests();
    assert_eq!(asked.len(), 1);
    assert_eq!(Asked::of(&asked[0]).param("token"), Some(endpoint.tokens.all()[0].as_str()));
}

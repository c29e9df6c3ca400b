//! `--with enterprise`: an identity provider vouches for the person (ID-JAG: RFC 8693 there,
//! then RFC 7523 at the resource's authorization server).

use super::{first_error, hint, login, ready, tells, whoami};
use crate::support::authorization_server::{Asked, AuthorizationServer, Resource, Script};
use crate::support::bridge::{Bridge, Launch};
use crate::support::browser::Browser;
use crate::support::clock;
use crate::support::home::Home;
use crate::support::jws;
use crate::support::mcp_server::Server;
use crate::support::token_endpoint::{Given, TokenEndpoint};
use crate::support::web;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";
const JAG: &str = "id-jag-5ecret-assertion";
const IDP_SECRET: &str = "idp-cl1ent-5ecret";
const SECRET: &str = "resource-cl1ent-5ecret";

fn id_token() -> String {
    let now = clock::now();
    jws::unsigned(&json!({
        "iss": "the-idp", "aud": "idp-client", "sub": "ada-number", "email": "ada@people.example",
        "iat": now, "exp": now + 3600,
    }))
}

struct Enterprise {
    idp: TokenEndpoint,
    auth: TokenEndpoint,
    remote: Server,
    home: Arc<Home>,
}

impl Enterprise {
    fn new() -> Self {
        let idp = TokenEndpoint::start(|_| Given::Error("invalid_request", "not yet"));
        let auth = TokenEndpoint::start(redeem);
        let remote = auth.remote();
        let (audience, resource) = (auth.issuer().to_owned(), remote.url());
        idp.decides(move |asked| {
            assert_eq!(asked.param("audience"), Some(audience.as_str()));
            assert_eq!(asked.param("resource"), Some(resource.as_str()));
            match asked.basic() {
                Some((id, secret)) => assert_eq!((&*id, &*secret), ("idp-client", IDP_SECRET)),
                None => assert_eq!(asked.param("client_id"), Some("idp-client")),
            }
            exchange(asked)
        });
        Self { idp, auth, remote, home: Arc::new(Home::new("plaintext")) }
    }

    /// The flags but for the ID token and the secret.
    fn bare_flags(&self) -> Vec<String> {
        let flags = ["--with", "enterprise", "--client-id", "keyferry-at-resource"];
        let idp = ["--idp-issuer", self.idp.issuer(), "--idp-client-id", "idp-client"];
        flags.iter().chain(&idp).map(|flag| (*flag).to_owned()).collect()
    }

    /// The flags but for the ID token.
    fn flags(&self) -> Vec<String> {
        let secret = self.home.file("secret", SECRET);
        [self.bare_flags(), vec!["--secret-file".to_owned(), secret]].concat()
    }
}

fn exchange(asked: &Asked) -> Given {
    assert_eq!(asked.param("grant_type"), Some(EXCHANGE), "{asked:?}");
    assert_eq!(asked.param("requested_token_type"), Some(ID_JAG));
    assert_eq!(asked.param("subject_token_type"), Some(ID_TOKEN));
    let subject = jws::read(asked.param("subject_token").expect("a subject_token"));
    match subject.and_then(|token| token.claims["sub"].as_str().map(str::to_owned)) {
        Some(sub) if sub == "ada-number" => Given::Answer(json!({
            "issued_token_type": ID_JAG, "access_token": JAG, "token_type": "N_A",
            "expires_in": 300,
        })),
        _ => Given::Error("invalid_request", "the ID token is not good"),
    }
}

fn redeem(asked: &Asked) -> Given {
    assert_eq!(asked.param("grant_type"), Some(JWT_BEARER), "{asked:?}");
    assert_eq!(asked.param("assertion"), Some(JAG));
    match asked.basic() {
        Some((id, secret)) if id == "keyferry-at-resource" && secret == SECRET => {
            Given::Token("ada".to_owned())
        }
        _ => Given::Error("invalid_client", "unknown client"),
    }
}

fn texts(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}

#[test]
fn an_id_token_in_a_file_becomes_a_token_of_the_resource() {
    let scene = Enterprise::new();
    let file = scene.home.file("id-token", id_token());
    let flags = [scene.flags(), vec!["--id-token-file".to_owned(), file.clone()]].concat();
    login(&scene.home, &scene.remote.url(), &texts(&flags), "").expect(0);
    assert_eq!(whoami(&scene.home, &scene.remote.url(), &[]), "ada");
    assert_eq!(scene.auth.asked().len(), 1, "the token is used by who comes later");
    // Anew each time.
    scene.auth.tokens.revoke();
    assert_eq!(whoami(&scene.home, &scene.remote.url(), &[]), "ada");
    assert_eq!((scene.idp.asked().len(), scene.auth.asked().len()), (2, 2));
    let mut alone = Launch::new(Arc::new(Home::new("memory")), &scene.remote.url())
        .args(&texts(&flags))
        .start()
        .ready();
    assert_eq!(alone.whoami(), "ada");
}

#[test]
fn the_secret_of_the_client_comes_from_a_pipe() {
    let scene = Enterprise::new();
    let file = scene.home.file("id-token", id_token());
    let flags = [scene.bare_flags(), vec!["--id-token-file".to_owned(), file]].concat();
    login(&scene.home, &scene.remote.url(), &texts(&flags), &format!("{SECRET}\n")).expect(0);
    assert_eq!(whoami(&scene.home, &scene.remote.url(), &[]), "ada");
}

#[test]
fn an_id_token_in_a_variable_and_a_secret_at_the_provider() {
    let scene = Enterprise::new();
    let more = ["--id-token-env", "ID_TOKEN", "--idp-secret-env", "IDP_SECRET"];
    let flags = [scene.bare_flags(), more.map(str::to_owned).to_vec()].concat();
    let mut bridge = Launch::new(scene.home.clone(), &scene.remote.url())
        .args(&texts(&flags))
        .args(&["--secret-env", "THE_SECRET", "--scope", "read"])
        .env("THE_SECRET", SECRET)
        .env("ID_TOKEN", &id_token())
        .env("IDP_SECRET", IDP_SECRET)
        .start()
        .ready();
    assert_eq!(bridge.whoami(), "ada");
    let asked = scene.idp.last();
    let in_body = asked.param("client_secret").map(str::to_owned);
    let shown = asked.basic().map(|(_, secret)| secret).or(in_body);
    assert_eq!(shown.as_deref(), Some(IDP_SECRET));
    assert_eq!(asked.param("scope"), Some("read"));
    assert_eq!(scene.auth.last().param("scope"), Some("read"));
}

#[test]
fn the_providers_token_endpoint_may_be_given_by_hand() {
    let scene = Enterprise::new();
    scene.idp.rules(|rules| rules.unpublished = true);
    let file = scene.home.file("id-token", id_token());
    let endpoint = scene.idp.url();
    let more = ["--id-token-file", &file, "--idp-token-endpoint", &endpoint];
    let flags = [scene.flags(), more.map(str::to_owned).to_vec()].concat();
    login(&scene.home, &scene.remote.url(), &texts(&flags), "").expect(0);
    assert_eq!(whoami(&scene.home, &scene.remote.url(), &[]), "ada");
}

#[test]
fn a_token_of_the_resource_is_never_shown_to_the_provider_and_the_other_way_round() {
    let scene = Enterprise::new();
    let id_token = id_token();
    let file = scene.home.file("id-token", &id_token);
    let flags = [scene.flags(), vec!["--id-token-file".to_owned(), file]].concat();
    login(&scene.home, &scene.remote.url(), &texts(&flags), "").expect(0);
    whoami(&scene.home, &scene.remote.url(), &[]);
    let said = |server: &Server| -> String {
        server.requests().iter().map(|request| format!("{request:?}{}", request.text())).collect()
    };
    let at_the_resource = said(&scene.auth.server) + &said(&scene.remote);
    assert!(!at_the_resource.contains(&id_token));
    assert!(!said(&scene.idp.server).contains(SECRET));
    assert!(!said(&scene.remote).contains(JAG));
}

#[test]
fn refusals_name_the_server_that_refused() {
    for at_the_idp in [true, false] {
        let scene = Enterprise::new();
        let refuse = |_: &Asked| Given::Error("invalid_grant", "as scripted");
        let refusing = if at_the_idp { &scene.idp } else { &scene.auth };
        refusing.decides(refuse);
        let file = scene.home.file("id-token", id_token());
        let more = ["--id-token-file", &file, "--no-verify"].map(str::to_owned).to_vec();
        let flags = [scene.flags(), more].concat();
        login(&scene.home, &scene.remote.url(), &texts(&flags), "").expect(0);
        let mut bridge = Bridge::start_in(&scene.home, &scene.remote.url());
        let error = first_error(&mut bridge, &[-31001]);
        tells(&error, &["as scripted", &refusing.server.address().to_string()]);
        let hint = hint(&error);
        for part in ["keyferry login", &scene.remote.url(), "--with enterprise"] {
            assert!(hint.contains(part), "{part}: {hint}");
        }
        for secret in ["5ecret", &id_token()[..40]] {
            assert!(!error.to_string().contains(secret), "{secret}: {error}");
        }
        assert!(refusing.asked().len() <= 2);
    }
}

#[test]
fn an_answer_that_is_no_id_jag_is_not_shown_to_the_resource() {
    for answer in [
        json!({ "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "access_token": "another-5ecret", "token_type": "Bearer" }),
        json!({ "issued_token_type": ID_JAG }),
        Value::Null,
    ] {
        let scene = Enterprise::new();
        let given = answer.clone();
        scene.idp.decides(move |_| Given::Answer(given.clone()));
        let file = scene.home.file("id-token", id_token());
        let more = ["--id-token-file", &file, "--no-verify"].map(str::to_owned).to_vec();
        let flags = [scene.flags(), more].concat();
        login(&scene.home, &scene.remote.url(), &texts(&flags), "").expect(0);
        let mut bridge = Bridge::start_in(&scene.home, &scene.remote.url());
        let error = first_error(&mut bridge, &[-31001, -31002]);
        tells(&error, &[&scene.idp.server.address().to_string()]);
        assert!(scene.auth.asked().is_empty(), "{answer}");
    }
}

/// An identity provider with a sign-in, and a resource behind it.
struct SigningIn {
    idp: AuthorizationServer,
    auth: TokenEndpoint,
    remote: Server,
    browser: Browser,
    home: Arc<Home>,
    /// ID tokens that were shown, and whether those are good for nothing any more.
    shown: Arc<Mutex<(Vec<String>, bool)>>,
}

impl SigningIn {
    fn new() -> Self {
        let shown: Arc<Mutex<(Vec<String>, bool)>> = Arc::default();
        let seen = shown.clone();
        let idp = AuthorizationServer::scripted(|script: &mut Script| {
            script.id_token = true;
            script.any_port = true;
            script.resource = Resource::Any;
            script.grants = vec![(
                EXCHANGE,
                Arc::new(move |asked| {
                    let subject = asked.param("subject_token").expect("a subject_token").to_owned();
                    let mut seen = seen.lock().unwrap();
                    if seen.1 && seen.0.contains(&subject) {
                        return Err(("invalid_grant", "the ID token has expired"));
                    }
                    seen.0.push(subject);
                    match exchange(asked) {
                        Given::Answer(Value::Object(members)) => Ok(members),
                        _ => Err(("invalid_request", "the ID token is not good")),
                    }
                }),
            )];
        });
        idp.preregister("idp-client", None, "none", &["http://localhost/oauth/callback"]);
        let auth = TokenEndpoint::start(redeem);
        let remote = auth.remote();
        let browser = Browser::following();
        let home = Arc::new(Home::new("plaintext").with("BROWSER", &browser.command()));
        Self { idp, auth, remote, browser, home, shown }
    }

    fn flags(&self) -> Vec<String> {
        let (issuer, secret) = (self.idp.issuer(), self.home.file("secret", SECRET));
        let flags = ["--with", "enterprise", "--client-id", "keyferry-at-resource"];
        let idp = ["--idp-issuer", &issuer, "--idp-client-id", "idp-client"];
        // The usual port of a named client may be in use by another test.
        let port = web::free_port();
        let secret = ["--secret-file", &secret, "--callback-port", &port];
        let all = flags.iter().chain(&idp).chain(&secret);
        all.map(|flag| (*flag).to_owned()).collect()
    }
}

/// Whoever has no ID token signs in at the provider, once.
#[test]
fn a_sign_in_at_the_provider_where_no_id_token_is_given() {
    let scene = SigningIn::new();
    let url = scene.remote.url();
    login(&scene.home, &url, &texts(&scene.flags()), "").expect(0);
    assert!(scene.browser.link().starts_with(&scene.idp.issuer()), "{}", scene.browser.link());
    assert_eq!(whoami(&scene.home, &url, &[]), "ada");
    // The token of the resource has ended, and the sign-in at the provider has not.
    scene.auth.tokens.revoke();
    assert_eq!(whoami(&scene.home, &url, &[]), "ada");
    assert_eq!(scene.browser.tabs().len(), 1);
    let asked = scene.idp.asked("/authorize").remove(0);
    assert!(asked.param("scope").unwrap_or_default().split(' ').any(|scope| scope == "openid"));
}

#[test]
fn an_id_token_that_has_ended_is_renewed_at_the_provider_without_a_person() {
    let scene = SigningIn::new();
    let url = scene.remote.url();
    login(&scene.home, &url, &texts(&scene.flags()), "").expect(0);
    // The next ID token is another one from the next second on.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    scene.shown.lock().unwrap().1 = true;
    scene.auth.tokens.revoke();
    assert_eq!(whoami(&scene.home, &url, &[]), "ada");
    assert_eq!((scene.browser.tabs().len(), scene.idp.refreshed()), (1, 1));
}

#[test]
fn a_bridge_signs_in_at_the_provider_by_its_flags_alone() {
    let scene = SigningIn::new();
    let mut bridge = ready(&scene.home, &scene.remote.url(), &texts(&scene.flags()));
    assert_eq!(bridge.whoami(), "ada");
    assert_eq!(scene.browser.tabs().len(), 1);
    bridge.finish();
    let flags = [scene.flags(), vec!["--sign-in".to_owned(), "never".to_owned()]].concat();
    let elsewhere = Arc::new(Home::new("memory").with("BROWSER", &scene.browser.command()));
    let mut bridge = Launch::new(elsewhere, &scene.remote.url()).args(&texts(&flags)).start();
    let error = first_error(&mut bridge, &[-31001]);
    assert!(hint(&error).starts_with("keyferry login"), "{error}");
    assert_eq!(scene.browser.tabs().len(), 1);
}

/// The sign-in is bound to the provider, and what comes of it to the server of the resource.
#[test]
fn what_a_sign_in_at_the_provider_gives_is_for_the_first_server_of_the_resource_alone() {
    let mut scene = SigningIn::new();
    let other = TokenEndpoint::start(|_| Given::Token("thief".to_owned()));
    let (remote, turned) = super::bound::turning(&scene.auth, &other);
    scene.remote = remote;
    let url = scene.remote.url();
    for verify in [&[][..], &["--no-verify"]] {
        turned.store(false, Ordering::SeqCst);
        login(&scene.home, &url, &[&texts(&scene.flags()), verify].concat(), "").expect(0);
        let mut bridge = ready(&scene.home, &url, &[]);
        assert_eq!(bridge.whoami(), "ada");
        turned.store(true, Ordering::SeqCst);
        for flags in [&[][..], &["--auth-timeout", "3"]] {
            let mut later = Launch::new(scene.home.clone(), &url).args(flags).start();
            first_error(&mut later, &[-31001, -31004]);
        }
        bridge.tool("1", "whoami");
        bridge.own_error("1", &[-31001, -31004]);
        assert!(other.asked().is_empty(), "{:?}", other.asked());
        for asked in scene.idp.asked("/token") {
            assert_ne!(asked.param("audience"), Some(other.issuer()), "{asked:?}");
        }
    }
}

//! `--with jwt`: short-lived service JWTs that are minted here.

use super::{first_error, hint, login, ready, tells, whoami, works_both_ways};
use crate::support::clock;
use crate::support::gate::{Gate, Verdict, bearers};
use crate::support::home::Home;
use crate::support::http::Request;
use crate::support::jws::{self, ALGORITHMS, ENCRYPTED, PASSPHRASE, Pair, Token, Verifier};
use crate::support::mcp_server::Server;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Every token that a remote was shown.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<Token>>>);

impl Shown {
    fn all(&self) -> Vec<Token> {
        self.0.lock().unwrap().clone()
    }

    fn ids(&self) -> std::collections::BTreeSet<String> {
        self.all().iter().map(|token| token.claims["jti"].to_string()).collect()
    }
}

/// A remote that verifies: the signature, and by its own clock `iat` and `exp`.
fn verifying(verifier: Verifier, shown: &Shown) -> Server {
    let shown = shown.clone();
    bearers(401, move |token| {
        let token = verifier.read(token)?;
        shown.0.lock().unwrap().push(token.clone());
        let (now, claims) = (clock::now(), &token.claims);
        let timely = claims["iat"].as_u64()? <= now + 1 && claims["exp"].as_u64()? > now;
        timely.then(|| claims["sub"].as_str().unwrap_or("nobody").to_owned())
    })
}

/// A secret by stdin or a key by file, whichever the algorithm wants.
fn flags_for(home: &Home, pair: &Pair) -> (Vec<String>, String) {
    let mut flags: Vec<_> =
        ["--with", "jwt", "--alg", pair.alg].iter().map(|flag| (*flag).to_owned()).collect();
    if pair.is_shared() {
        return (flags, pair.secret.clone());
    }
    flags.extend(["--private-key".to_owned(), home.file("key.pem", &pair.secret)]);
    (flags, String::new())
}

#[test]
fn every_algorithm_signs_what_its_verifier_takes() {
    for alg in ALGORITHMS {
        let pair = Pair::of(alg);
        let home = Arc::new(Home::new("plaintext"));
        let (mut flags, secret) = flags_for(&home, &pair);
        flags.extend(["--claim", "sub=svc-ada", "--key-id", "key-1"].map(str::to_owned));
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let secrets = [("--secret-env", secret.as_str())];
        let secrets: &[(&str, &str)] = if pair.is_shared() { &secrets } else { &[] };
        let shown = Shown::default();
        let server = verifying(pair.verifier, &shown);
        let both = works_both_ways(&home, &server.url(), &flags, secrets);
        assert_eq!(both, ["svc-ada", "svc-ada"], "{alg}");
        for token in shown.all() {
            assert_eq!(token.header["alg"], alg);
            assert_eq!(token.header["kid"], "key-1", "{alg}");
            assert!(token.header.get("jwk").is_none(), "{alg}");
        }
    }
}

#[test]
fn claims_are_json_where_they_parse_and_text_elsewhere() {
    let pair = Pair::of("HS256");
    let shown = Shown::default();
    let server = verifying(pair.verifier, &shown);
    let home = Arc::new(Home::new("plaintext"));
    let mut flags = vec!["--with", "jwt", "--alg", "HS256"];
    for claim in [
        "sub=svc-ada",
        "iss=https://issuer.example/",
        "aud=[\"one\",\"two\"]",
        "admin=true",
        "level=3",
        "quoted=\"3\"",
        "nothing=null",
        "deep={\"a\":{\"b\":[1,2]}}",
        "note=hello, world=x",
        "empty=",
        "half=[1,",
    ] {
        flags.extend(["--claim", claim]);
    }
    login(&home, &server.url(), &flags, &pair.secret).expect(0);
    assert_eq!(whoami(&home, &server.url(), &[]), "svc-ada");
    let now = clock::now();
    let mut claims = shown.all().pop().unwrap().claims;
    let members = claims.as_object_mut().unwrap();
    let iat = members.remove("iat").unwrap().as_u64().expect("whole seconds");
    let exp = members.remove("exp").unwrap().as_u64().expect("whole seconds");
    assert!(iat <= now && now - iat < 30, "{iat} {now}");
    assert_eq!(exp, iat + 60, "a minute, unless --ttl says otherwise");
    assert!(members.remove("jti").unwrap().as_str().unwrap().len() >= 16);
    let expected = json!({
        "sub": "svc-ada", "iss": "https://issuer.example/", "aud": ["one", "two"], "admin": true,
        "level": 3, "quoted": "3", "nothing": null, "deep": {"a": {"b": [1, 2]}},
        "note": "hello, world=x", "empty": "", "half": "[1,",
    });
    assert_eq!(claims, expected);
}

#[test]
fn a_token_stands_where_the_flags_say() {
    let pair = Pair::of("HS256");
    let verifier = Arc::new(pair.verifier);
    for (flags, header, scheme) in [
        (&["--key-header", "X-Service-Token"][..], "x-service-token", ""),
        (&["--key-scheme", "JWT"], "authorization", "JWT "),
        (&["--key-scheme", "none"], "authorization", ""),
    ] {
        let verifier = verifier.clone();
        let server = Gate::default().start(move |request| {
            let sent = request.header(header).unwrap_or_default();
            let token = sent.strip_prefix(scheme).and_then(|token| verifier.read(token));
            Verdict::or(token.map(|_| "somebody".to_owned()), 401)
        });
        let home = Arc::new(Home::new("plaintext"));
        let flags = [&["--with", "jwt", "--alg", "HS256"], flags].concat();
        let secrets = [("--secret-env", pair.secret.as_str())];
        works_both_ways(&home, &server.url(), &flags, &secrets);
    }
}

#[test]
fn many_requests_share_one_token_and_each_has_an_id_of_its_own() {
    let pair = Pair::of("HS256");
    let shown = Shown::default();
    let server = verifying(pair.verifier, &shown);
    let home = Arc::new(Home::new("plaintext"));
    login(&home, &server.url(), &["--with", "jwt", "--alg", "HS256", "--no-verify"], &pair.secret)
        .expect(0);
    let mut bridge = ready(&home, &server.url(), &[]);
    for id in 0..20 {
        bridge.call(&id.to_string());
        bridge.result(&id.to_string());
    }
    assert!(shown.ids().len() <= 2, "{:?}", shown.ids());
    // Another process mints its own.
    let before = shown.ids();
    whoami(&home, &server.url(), &[]);
    assert!(shown.ids().len() > before.len());
}

/// With a margin that fits its life: neither a new one for each request, nor one too late.
#[test]
fn a_token_of_five_seconds_is_renewed_in_time_and_not_for_each_request() {
    let pair = Pair::of("HS256");
    let shown = Shown::default();
    let refused = Arc::new(AtomicUsize::new(0));
    let server = bearers(401, {
        let (shown, refused) = (shown.clone(), refused.clone());
        move |token| {
            let token = pair.verifier.read(token)?;
            shown.0.lock().unwrap().push(token.clone());
            let good = token.claims["exp"].as_u64()? > clock::now();
            refused.fetch_add(usize::from(!good), Ordering::SeqCst);
            good.then(|| "svc".to_owned())
        }
    });
    let home = Arc::new(Home::new("plaintext"));
    let flags = ["--with", "jwt", "--alg", "HS256", "--ttl", "5", "--no-verify"];
    login(&home, &server.url(), &flags, &pair.secret).expect(0);
    let mut bridge = ready(&home, &server.url(), &[]);
    let end = std::time::Instant::now() + Duration::from_secs(12);
    let mut calls = 0;
    while std::time::Instant::now() < end {
        assert_eq!(bridge.whoami(), "svc");
        calls += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    for token in shown.all() {
        let life = token.claims["exp"].as_u64().unwrap() - token.claims["iat"].as_u64().unwrap();
        assert_eq!(life, 5);
    }
    assert_eq!(refused.load(Ordering::SeqCst), 0, "an expired token was shown");
    let minted = shown.ids().len();
    assert!((3..=8).contains(&minted), "{minted} tokens for {calls} calls in 12 s");
}

/// A remote whose clock is `ahead` seconds ahead of everybody's; it says so in `Date`.
fn with_clock(verifier: Verifier, ahead: i64, status: u16, refused: &Arc<AtomicUsize>) -> Server {
    let refused = refused.clone();
    let judge = move |request: &Request| {
        let now = clock::now().checked_add_signed(ahead).unwrap();
        let sent = request.header("authorization").unwrap_or_default();
        let token = sent.strip_prefix("Bearer ").and_then(|token| verifier.read(token));
        let good = token.filter(|Token { claims, .. }| {
            claims["iat"].as_u64().is_some_and(|iat| iat <= now + 5)
                && claims["exp"].as_u64().is_some_and(|exp| exp > now)
        });
        if good.is_some() {
            return Verdict::Is("svc".to_owned());
        }
        refused.fetch_add(1, Ordering::SeqCst);
        Verdict::Refused(status, vec![("Date", clock::date(now))], String::new())
    };
    Gate::default().start(judge)
}

#[test]
fn a_remote_whose_clock_is_off_gets_tokens_by_its_own_clock() {
    for (ahead, status) in [(600, 401), (-600, 401), (600, 403), (-600, 403)] {
        let pair = Pair::of("HS256");
        let refused = Arc::new(AtomicUsize::new(0));
        let server = with_clock(pair.verifier, ahead, status, &refused);
        let home = Arc::new(Home::new("plaintext"));
        let flags = ["--with", "jwt", "--alg", "HS256", "--no-verify"];
        login(&home, &server.url(), &flags, &pair.secret).expect(0);
        let mut bridge = ready(&home, &server.url(), &[]);
        for _ in 0..3 {
            assert_eq!(bridge.whoami(), "svc", "{ahead} {status}");
        }
        // What it has learned once it knows.
        assert!(refused.load(Ordering::SeqCst) <= 2, "{ahead} {status}: {refused:?}");
    }
}

#[test]
fn a_login_to_a_remote_whose_clock_is_off_succeeds_too() {
    let pair = Pair::of("ES256");
    let server = with_clock(pair.verifier, -600, 401, &Arc::default());
    let home = Home::new("plaintext");
    let key = home.file("key.pem", &pair.secret);
    let flags = ["--with", "jwt", "--alg", "ES256", "--private-key", &key];
    login(&home, &server.url(), &flags, "").expect(0);
}

/// It could have tokens signed that never end.
#[test]
fn a_remote_whose_clock_is_far_off_is_not_believed() {
    for ahead in [3600, -3600, 200_000_000_000] {
        let pair = Pair::of("HS256");
        let server = with_clock(pair.verifier, ahead, 401, &Arc::default());
        let home = Arc::new(Home::new("plaintext"));
        let flags = ["--with", "jwt", "--alg", "HS256", "--no-verify"];
        login(&home, &server.url(), &flags, &pair.secret).expect(0);
        let mut bridge = crate::support::bridge::Bridge::start_in(&home, &server.url());
        for _ in 0..2 {
            first_error(&mut bridge, &[-31001, -31004]);
        }
        let stderr = bridge.finish().stderr;
        assert_eq!(stderr.matches("too far to be believed").count(), 1, "{stderr}");
        for request in server.requests() {
            let sent = request.header("authorization").unwrap();
            let claims = jws::read(sent.strip_prefix("Bearer ").unwrap()).unwrap().claims;
            let iat = claims["iat"].as_u64().unwrap();
            assert!(iat.abs_diff(clock::now()) < 60, "{ahead}: {claims}");
        }
    }
}

#[test]
fn a_key_that_is_refused_is_told_by_name_after_one_more_try() {
    for status in [401, 403] {
        let server = bearers(status, |_| None);
        let home = Arc::new(Home::new("plaintext"));
        let pair = Pair::of("HS256");
        let flags = ["--with", "jwt", "--alg", "HS256", "--no-verify"];
        login(&home, &server.url(), &flags, &pair.secret).expect(0);
        let mut bridge = crate::support::bridge::Bridge::start_in(&home, &server.url());
        let error = first_error(&mut bridge, &[-31001, -31004]);
        tells(&error, &[&server.address().to_string(), "keyferry login", "--with jwt"]);
        assert!(server.of("initialize").len() <= 2, "{:?}", server.kinds());
        let shown = server.requests();
        for request in shown {
            let sent = request.header("authorization").unwrap();
            assert!(!error.to_string().contains(sent.strip_prefix("Bearer ").unwrap()));
        }
        let done = login(&home, &server.url(), &flags[..4], &pair.secret).expect_one_of(&[1, 3]);
        tells(&json!(done.stderr), &[&server.address().to_string()]);
    }
}

#[test]
fn an_encrypted_key_wants_its_passphrase_and_is_remembered_with_it() {
    let shown = Shown::default();
    let server = verifying(Verifier::of_the_encrypted_key(), &shown);
    let home = Arc::new(Home::new("plaintext"));
    let key = home.file("key.pem", ENCRYPTED);
    let flags = ["--with", "jwt", "--alg", "ES256", "--private-key", &key, "--claim", "sub=svc"];
    let done = login(&home, &server.url(), &flags, "not-the-passphrase\n").expect_one_of(&[1, 2]);
    tells(&json!(done.stderr), &["passphrase", &key]);
    let done = login(&home, &server.url(), &flags, "").expect_one_of(&[1, 2]);
    tells(&json!(done.stderr), &["passphrase"]);
    assert!(server.requests().is_empty(), "nothing could be signed so far");
    login(&home, &server.url(), &flags, &format!("{PASSPHRASE}\n")).expect(0);
    assert_eq!(whoami(&home, &server.url(), &[]), "svc");
    // Which a bridge cannot ask for.
    let elsewhere = Arc::new(Home::new("plaintext"));
    let mut bridge =
        crate::support::bridge::Launch::new(elsewhere, &server.url()).args(&flags).start();
    let error = first_error(&mut bridge, &[-31001]);
    tells(&error, &["passphrase"]);
    assert!(hint(&error).contains("keyferry login"), "{error}");
}

#[test]
fn a_key_of_another_form_is_refused_with_what_helps() {
    let home = Home::new("plaintext");
    let server = bearers(401, |_| panic!("something was signed"));
    let pkcs12 = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/keys/ec.p12");
    let none = home.file("none.pem", "hello");
    let rsa = home.file("rsa.pem", Pair::of("RS256").secret);
    for (alg, file, told) in [
        ("ES256", pkcs12, "openssl pkcs12"),
        ("ES256", none.as_str(), "none.pem"),
        ("ES256", rsa.as_str(), "ES256"),
        ("ES256", "/no/such/key.pem", "/no/such/key.pem"),
    ] {
        let flags = ["--with", "jwt", "--alg", alg, "--private-key", file];
        let done = login(&home, &server.url(), &flags, "").expect_one_of(&[1, 2, 3]);
        tells(&json!(done.stderr), &[told]);
    }
    assert!(super::rows(&home).is_empty());
}

#[test]
fn a_key_file_that_was_replaced_is_read_anew() {
    let (old, new) = (Pair::of("ES256"), Pair::of("ES256"));
    let shown = Shown::default();
    let server = verifying(new.verifier, &shown);
    let home = Arc::new(Home::new("plaintext"));
    let key = home.file("key.pem", &old.secret);
    let flags = ["--with", "jwt", "--alg", "ES256", "--private-key", &key, "--claim", "sub=svc"];
    login(&home, &server.url(), &[&flags[..], &["--no-verify"]].concat(), "").expect(0);
    home.file("key.pem", &new.secret);
    assert_eq!(whoami(&home, &server.url(), &[]), "svc");
}

#[test]
fn a_key_that_was_imported_needs_its_file_no_more() {
    let pair = Pair::of("ES256");
    let shown = Shown::default();
    let server = verifying(pair.verifier, &shown);
    let home = Arc::new(Home::new("plaintext"));
    let key = home.file("key.pem", &pair.secret);
    let flags = ["--with", "jwt", "--alg", "ES256", "--private-key", &key, "--claim", "sub=svc"];
    login(&home, &server.url(), &[&flags[..], &["--import-key"]].concat(), "").expect(0);
    std::fs::remove_file(&key).unwrap();
    assert_eq!(whoami(&home, &server.url(), &[]), "svc");
    let line = pair.secret.lines().nth(1).unwrap();
    for (path, content) in home.files() {
        let text = String::from_utf8_lossy(&content);
        assert!(!text.contains(line), "the key is in clear in {}", path.display());
    }
    assert!(jws::read(home.run(&["token", &server.url()], "").expect(0).stdout.trim()).is_some());
}

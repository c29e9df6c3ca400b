//! Flags beside what is stored, hints, and what is left behind.

use super::{first_error, hint, login, ready, rows, tells, whoami};
use crate::support::authorization_server::AuthorizationServer;
use crate::support::bridge::{Bridge, Launch};
use crate::support::browser::Browser;
use crate::support::gate::{Gate, Verdict, bearers};
use crate::support::home::{Home, run_to_end};
use crate::support::http::Request;
use crate::support::jws::Pair;
use crate::support::legacy::{Legacy, Sessions};
use crate::support::login_endpoint::{LoginEndpoint, PASSWORD, USERNAME};
use crate::support::mcp_server::{Port, Server, park};
use crate::support::token_endpoint::{Given, TokenEndpoint};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

const JWT: [&str; 4] = ["--with", "jwt", "--alg", "HS256"];

fn password<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["--with", "password", "--login-url", url, "--username", USERNAME], more].concat()
}

/// However little of it the flags name, and however they spell it.
#[test]
fn flags_that_say_part_of_what_is_stored_find_it() {
    let pair = Pair::of("HS256");
    let verifier = pair.verifier;
    let remote = Gate::default().start(move |request| {
        let token = request.header("x-token").unwrap_or_default();
        let claims = verifier.read(token).map(|token| token.claims);
        Verdict::or(claims.and_then(|all| all["sub"].as_str().map(str::to_owned)), 401)
    });
    let home = Arc::new(Home::new("plaintext"));
    let more = ["--claim", "sub=alice", "--claim", "n=1", "--key-header", "X-Token"];
    login(&home, &remote.url(), &[&JWT[..], &more].concat(), &pair.secret).expect(0);
    for flags in [
        &["--with", "jwt"][..],
        &["--with", "jwt", "--claim", "n=1"],
        &["--with", "jwt", "--key-header", "x-token", "--key-scheme", "none"],
        &["--with", "jwt", "--alg", "HS256", "--claim", "sub=alice", "--key-scheme", "none"],
    ] {
        // Where the key has a header of its own, `none` is what it means.
        let placed = flags.contains(&"--key-scheme") && !flags.contains(&"--key-header");
        let flags =
            if placed { [flags, &["--key-header", "X-Token"]].concat() } else { flags.to_vec() };
        assert_eq!(whoami(&home, &remote.url(), &flags), "alice", "{flags:?}");
    }
}

/// Another identity, or another place, than what is stored has.
#[test]
fn flags_that_differ_from_what_is_stored_are_never_passed_over() {
    let pair = Pair::of("HS256");
    let verifier = pair.verifier;
    let remote = bearers(401, move |token| {
        let claims = verifier.read(token)?.claims;
        claims["sub"].as_str().map(str::to_owned)
    });
    let home = Arc::new(Home::new("plaintext"));
    let taught = [&JWT[..], &["--claim", "sub=alice", "--no-verify"]].concat();
    login(&home, &remote.url(), &taught, &pair.secret).expect(0);
    for more in [
        &["--claim", "sub=bob"][..],
        &["--claim", "sub=alice", "--ttl", "5"],
        &["--claim", "sub=alice", "--key-header", "X-Token"],
        &["--claim", "sub=alice", "--key-scheme", "Token"],
        &["--ttl", "5"],
        &["--key-header", "X-Token"],
    ] {
        let flags = [&JWT[..], more].concat();
        let mut bridge = Launch::new(home.clone(), &remote.url()).args(&flags).start();
        let error = first_error(&mut bridge, &[-31001]);
        assert!(hint(&error).starts_with("keyferry login"), "{more:?}: {error}");
        // The login that it names is for what was asked for.
        for word in more.iter().filter(|word| !word.starts_with("sub=")) {
            assert!(
                hint(&error).to_lowercase().contains(&word.to_lowercase()),
                "{more:?}: {error}"
            );
        }
        let shown = remote.requests();
        assert!(shown.iter().all(|request| request.header("authorization").is_none()), "{more:?}");
    }
    for same in [&["--claim", "sub=alice"][..], &["--ttl", "60"], &[]] {
        assert_eq!(whoami(&home, &remote.url(), &[&JWT[..], same].concat()), "alice", "{same:?}");
    }
}

/// Where it is to be put is not told for a kind that is already stored.
#[test]
fn a_place_for_a_key_beside_another_kind_is_not_passed_over() {
    let pair = Pair::of("HS256");
    let remote = bearers(401, move |_| Some("somebody".to_owned()));
    let home = Arc::new(Home::new("plaintext"));
    login(&home, &remote.url(), &[&JWT[..], &["--no-verify"]].concat(), &pair.secret).expect(0);
    let mut bridge = Launch::new(home, &remote.url()).args(&["--key-header", "X-Token"]).start();
    let error = first_error(&mut bridge, &[-31001]);
    tells(&error, &[&remote.address().to_string()]);
    assert!(remote.requests().iter().all(|request| request.header("authorization").is_none()));
}

/// It may be what tokens are signed with.
#[test]
fn a_secret_of_no_said_kind_beside_a_stored_one_is_sent_to_nobody() {
    let pair = Pair::of("HS256");
    let remote = bearers(401, |_| Some("somebody".to_owned()));
    let home = Arc::new(Home::new("plaintext"));
    login(&home, &remote.url(), &[&JWT[..], &["--no-verify"]].concat(), &pair.secret).expect(0);
    let file = home.file("secret", &pair.secret);
    for flags in [["--secret-env", "SECRET"], ["--secret-file", &file]] {
        let launch = Launch::new(home.clone(), &remote.url()).args(&flags);
        let mut bridge = launch.env("SECRET", &pair.secret).start();
        let error = first_error(&mut bridge, &[-31001]);
        tells(&error, &["--with jwt", "--with api-key"]);
        assert!(remote.requests().is_empty(), "{flags:?}: {:?}", remote.kinds());
    }
}

/// The sign-in is no part of what the new one is tried with.
#[test]
fn a_kind_that_is_taught_over_a_sign_in_replaces_it() {
    let auth = AuthorizationServer::start();
    let pair = Pair::of("HS256");
    let verifier = pair.verifier;
    let port = Port::reserve();
    let signed_in =
        auth.guarding(port.origin(), Legacy::new().sessions(&Sessions::default()).into_handler());
    let signed = Gate::default().into_handler(move |request| {
        let sent = request.header("authorization").unwrap_or_default();
        let token = sent.strip_prefix("Bearer ").unwrap_or_default();
        Verdict::or(verifier.read(token).map(|_| "svc".to_owned()), 401)
    });
    let changed = Arc::new(AtomicBool::new(false));
    let now = changed.clone();
    let remote = port.serve(move |request, wire| match now.load(Ordering::SeqCst) {
        false => signed_in(request, wire),
        true => signed(request, wire),
    });
    let browser = Browser::following();
    let home = Arc::new(Home::new("plaintext").with("BROWSER", &browser.command()));
    login(&home, &remote.url(), &[], "").expect(0);
    assert_eq!(rows(&home)[0]["kind"], "oauth");
    changed.store(true, Ordering::SeqCst);
    let asked = auth.asked("/token").len();
    login(&home, &remote.url(), &JWT, &pair.secret).expect(0);
    let kept = rows(&home);
    assert_eq!((kept.len(), &kept[0]["kind"]), (1, &json!("jwt")), "{kept:?}");
    assert_eq!(whoami(&home, &remote.url(), &[]), "svc");
    assert_eq!((browser.tabs().len(), auth.asked("/token").len()), (1, asked));
}

/// An outage of the endpoint in the last fifth of a token's life harms nobody.
#[test]
fn a_token_that_cannot_be_renewed_yet_is_used_to_its_end() {
    let endpoint = LoginEndpoint::lasting(6);
    let tokens = endpoint.tokens.clone();
    let remote = bearers(401, move |token| tokens.who(token));
    let home = Arc::new(Home::new("plaintext"));
    let url = endpoint.url();
    login(&home, &remote.url(), &password(&url, &["--no-verify"]), PASSWORD).expect(0);
    let mut bridge = ready(&home, &remote.url(), &[]);
    assert_eq!(bridge.whoami(), "ada");
    endpoint.answers(503, "text/plain", "busy");
    crate::support::browser::wait("a renewal to fail", || {
        assert_eq!(bridge.whoami(), "ada");
        (endpoint.logins() > 1).then_some(())
    });
    assert_eq!(bridge.whoami(), "ada");
    assert_eq!(endpoint.tokens.refused(), 0, "a token was shown after its end");
}

/// The token comes when the login is being forgotten.
#[test]
fn a_logout_while_a_bridge_renews_leaves_nothing_of_the_token() {
    let endpoint = LoginEndpoint::start();
    let tokens = endpoint.tokens.clone();
    let remote = bearers(401, move |token| tokens.who(token));
    let home = Arc::new(Home::new("plaintext"));
    let url = endpoint.url();
    login(&home, &remote.url(), &password(&url, &[]), PASSWORD).expect(0);
    let minted = |home: &Home| {
        let all = home.files();
        all.iter().any(|(_, content)| String::from_utf8_lossy(content).contains("minted"))
    };
    assert!(minted(&home), "it is known by another name now");
    let mut bridge = ready(&home, &remote.url(), &[]);
    let (handler, parked) = park();
    endpoint.script(|script| script.on = Some(Arc::new(Box::new(handler))));
    endpoint.tokens.revoke();
    bridge.tool("1", "whoami");
    let call = parked.next();
    let (done, logged_out) = channel();
    let (elsewhere, remote_url) = (home.clone(), remote.url());
    std::thread::spawn(move || done.send(elsewhere.run(&["logout", &remote_url], "")));
    // It may wait for the bridge, or not; the token comes as late as it can.
    let early = logged_out.recv_timeout(Duration::from_secs(1)).ok();
    let token = endpoint.tokens.give("ada", Duration::from_secs(3600));
    call.wire.json(json!({ "access_token": token, "expires_in": 3600 }).to_string());
    bridge.answer("1");
    early.or_else(|| logged_out.recv_timeout(crate::support::PATIENCE).ok()).unwrap().expect(0);
    bridge.finish();
    assert!(!minted(&home), "a token is left behind");
    assert!(rows(&home).is_empty());
    home.run(&["token", &remote.url()], "").expect(3);
}

/// What a shell makes of a hint, word by word.
fn words(home: &Home, hint: &str) -> Vec<String> {
    let mut shell = home.command_of(Path::new("/bin/sh"));
    shell.current_dir(home.path(""));
    shell.args(["-c", &format!("keyferry() {{ printf '%s\\n' \"$@\"; }}; {hint}")]);
    run_to_end(shell, b"").expect(0).stdout.lines().map(str::to_owned).collect()
}

/// People, and agents, run hints as they are printed.
#[test]
fn a_scope_that_a_remote_makes_up_is_one_word_for_a_shell() {
    const SCOPE: &str = "x'$(touch${IFS}touched)';touch${IFS}touched;`touch${IFS}touched`";
    let endpoint = TokenEndpoint::start(|_| Given::Token("machine".to_owned()));
    let remote = Gate::default().start(|request: &Request| {
        let challenge = format!(r#"Bearer error="insufficient_scope", scope="{SCOPE}""#);
        match request.kind() == "tools/call" {
            true => Verdict::Refused(403, vec![("WWW-Authenticate", challenge)], String::new()),
            false => Verdict::Is("somebody".to_owned()),
        }
    });
    let url = endpoint.url();
    let grant = ["--with", "client-credentials", "--client-id", "m", "--token-endpoint", &url];
    for flags in [&JWT[..], &[&grant[..], &["--scope", "read"]].concat(), &grant] {
        let home = Arc::new(Home::new("plaintext"));
        let secret = Pair::of("HS256").secret;
        login(&home, &remote.url(), &[flags, &["--no-verify"]].concat(), &secret).expect(0);
        let mut bridge = ready(&home, &remote.url(), &[]);
        bridge.call("1");
        let error = bridge.own_error("1", &[-31001, -31004]);
        let words = words(&home, &hint(&error));
        assert!(!home.path("touched").exists(), "{error}");
        if let Some(at) = words.iter().rposition(|word| word == "--scope") {
            assert_eq!(words[at + 1], SCOPE, "{error}");
        }
        assert_eq!(words[..2], ["login".to_owned(), remote.url()], "{error}");
    }
}

#[test]
fn the_hint_after_a_refused_key_says_where_the_key_stands() {
    let remote = bearers(401, |_| None);
    for (flags, told) in [
        (&["--key-header", "X-Team-Key"][..], &["--key-header x-team-key"][..]),
        (
            &["--key-header", "X-Team-Key", "--key-scheme", "Key"],
            &["--key-header x-team-key", "--key-scheme key"],
        ),
        (&["--key-scheme", "Token"], &["--key-scheme token"]),
    ] {
        let home = Arc::new(Home::new("plaintext"));
        let all = [&["--with", "api-key", "--no-verify"], flags].concat();
        login(&home, &remote.url(), &all, "the-5ecret-key").expect(0);
        let mut bridge = Bridge::start_in(&home, &remote.url());
        let error = first_error(&mut bridge, &[-31001]);
        for part in told {
            assert!(hint(&error).to_lowercase().contains(part), "{part}: {error}");
        }
    }
}

/// A token in the address of an endpoint is as secret as in that of a remote.
#[test]
fn what_stands_in_the_query_of_an_endpoint_shows_nowhere() {
    const QUERY: &str = "?key=query-5ecret-0001";
    let refusing = Server::start(|_, wire| {
        wire.reply(403, &[("Content-Type", "text/plain")], b"no: query-5ecret-0001");
    });
    let remote = bearers(401, |_| None);
    let endpoint = format!("http://{}/token{QUERY}", refusing.address());
    let grant = |kind| ["--with", kind, "--client-id", "m", "--token-endpoint", &endpoint];
    for flags in [&grant("client-credentials")[..], &grant("jwt-bearer"), &password(&endpoint, &[])]
    {
        let home = Home::new("plaintext").with("KEYFERRY_LOG", "trace");
        let done = login(&home, &remote.url(), &[flags, &["--no-verify"]].concat(), PASSWORD);
        let mut texts = vec![done.expect(0).stderr, rows(&home)[0].to_string()];
        texts.push(home.run(&["list"], "").expect(0).stdout);
        let home = Arc::new(home);
        // As it was taught; as the flags say; and where only the flags know of it.
        let elsewhere = Arc::new(Home::new("plaintext").with("KEYFERRY_LOG", "trace"));
        for (home, flags) in [(&home, &[][..]), (&home, flags), (&elsewhere, flags)] {
            let mut bridge = Launch::new(home.clone(), &remote.url()).args(flags).start();
            texts.push(first_error(&mut bridge, &[-31001]).to_string());
            texts.push(bridge.finish().stderr);
        }
        for (_, content) in home.files() {
            texts.push(String::from_utf8_lossy(&content).into_owned());
        }
        for text in texts {
            assert!(!text.contains("query-5ecret"), "{flags:?}: {text}");
        }
    }
    // It is used, though.
    assert!(refusing.requests().iter().all(|request| request.target.ends_with(QUERY)));
    assert!(refusing.requests().len() >= 3);
}

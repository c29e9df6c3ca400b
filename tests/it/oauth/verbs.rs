//! `login`, `list`, `token`, `logout` for sign-ins.

use super::live_as;
use crate::support::authorization_server::{Consent, Registration};
use crate::support::scene::Scene;
use serde_json::{Value, json};

fn rows(scene: &Scene) -> Vec<Value> {
    let list = scene.home.run(&["list", "--json"], "").expect(0);
    let rows: Value = serde_json::from_str(&list.stdout).expect("JSON");
    rows.as_array().expect("rows").clone()
}

#[test]
fn login_opens_a_tab_and_the_bridge_is_live_from_its_first_message() {
    let scene = Scene::scripted(|script| script.id_token = true);
    let done = scene.login(&[]).expect(0);
    assert_eq!(done.stdout, "");
    assert!(done.stderr.contains(&scene.browser.link()), "{}", done.stderr);
    scene.nothing_leaked(&[&done.stderr]);
    let mut bridge = scene.bridge().ready();
    assert_eq!(bridge.tools(), ["echo", "whoami", "admin"]);
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn a_second_login_changes_nothing_and_a_forced_one_signs_in_anew() {
    let scene = Scene::new();
    scene.login(&[]).expect(0);
    let token = scene.token();
    scene.login(&[]).expect(0);
    assert_eq!(scene.browser.tabs().len(), 1);
    assert_eq!(scene.token(), token);
    scene.login(&["--force"]).expect(0);
    assert_eq!(scene.browser.tabs().len(), 2);
    assert_ne!(scene.token(), token);
    assert_eq!(scene.auth.asked("/register").len(), 1);
}

/// What is stored is of no use any more.
#[test]
fn a_second_login_notices_that_the_first_is_worth_nothing() {
    let scene = Scene::new().signed_in();
    scene.auth.revoke_grants();
    scene.login(&[]).expect(0);
    assert_eq!(scene.browser.tabs().len(), 2);
    assert!(scene.auth.accepts(&scene.token()));
}

#[test]
fn a_login_that_fails_says_why_and_keeps_what_was_there() {
    let scene = Scene::new().signed_in();
    let token = scene.token();
    scene.auth.script(|script| script.consent = Consent::Error("access_denied", "not you"));
    let done = scene.login(&["--force"]).expect_one_of(&[1, 3]);
    assert!(done.stderr.contains("access_denied"), "{}", done.stderr);
    assert!(done.stderr.contains("not you"), "{}", done.stderr);
    assert_eq!(scene.token(), token);
    scene.nothing_leaked(&[&done.stderr]);
}

#[test]
fn what_would_be_gone_at_once_is_not_signed_in_to() {
    let scene = Scene::new();
    let home = scene.another_home("memory");
    let done = home.run(&["login", &scene.url()], "").expect(5);
    assert!(done.stderr.contains("KEYFERRY_VAULT=memory"), "{}", done.stderr);
    assert!(scene.browser.tabs().is_empty());
}

#[test]
fn list_shows_identity_scopes_expiry_and_issuer_and_no_secret() {
    let scene = Scene::scripted(|script| {
        script.id_token = true;
        script.challenge_scope = Some("read write");
    })
    .signed_in();
    let rows = rows(&scene);
    let row = rows.iter().find(|row| row["remote"] == scene.url()).expect("a row");
    assert_eq!(row["account"], "default", "{row}");
    assert_eq!(row["kind"], "oauth", "{row}");
    assert!(row["identity"].to_string().contains("ada"), "{row}");
    assert_eq!(row["scopes"], json!(["read", "write"]), "{row}");
    assert_eq!(row["issuer"], scene.auth.issuer(), "{row}");
    assert!(row["expiresAt"].is_string(), "{row}");
    let list = scene.home.run(&["list"], "").expect(0);
    for shown in ["oauth", "ada@people.example", "read"] {
        assert!(list.stdout.contains(shown), "{shown}: {}", list.stdout);
    }
    scene.nothing_leaked(&[&list.stdout, &list.stderr, &json!(rows).to_string()]);
}

/// An ID token, userinfo, or introspection, whichever there is.
#[test]
fn who_signed_in_is_learned_from_whatever_says_it() {
    for source in ["id_token", "userinfo_endpoint", "introspection_endpoint"] {
        let scene = Scene::scripted(|script| {
            script.id_token = source == "id_token";
            match source {
                "userinfo_endpoint" => script.metadata = vec![(source, json!("{as}/userinfo"))],
                "introspection_endpoint" => {
                    script.metadata = vec![(source, json!("{as}/introspect"))];
                }
                _ => {}
            }
        })
        .signed_in();
        let rows = rows(&scene);
        assert!(rows[0]["identity"].to_string().contains("ada"), "{source}: {rows:?}");
    }
    // None of them: it works all the same.
    let scene = Scene::new().signed_in();
    assert_eq!(rows(&scene)[0]["identity"], Value::Null);
}

/// A name is what somebody typed into a form.
#[test]
fn a_name_with_markup_and_control_characters_is_only_a_name() {
    let evil = "<img src=x onerror=alert(1)>ada\u{1b}[2J\u{202e}\u{7}";
    for source in ["id_token", "userinfo"] {
        let scene = Scene::scripted(|script| {
            script.user = evil;
            script.id_token = source == "id_token";
            if source == "userinfo" {
                script.metadata = vec![("userinfo_endpoint", json!("{as}/userinfo"))];
            }
        });
        let done = scene.login(&[]).expect(0);
        let (_, page) = scene.browser.page(0);
        assert!(!page.contains("<img"), "{page}");
        let list = scene.home.run(&["list"], "").expect(0);
        assert!(list.stdout.contains("ada"), "{}", list.stdout);
        for text in [&page, &done.stderr, &list.stdout, &list.stderr] {
            for bad in ['\u{1b}', '\u{202e}', '\u{7}'] {
                assert!(!text.contains(bad), "{bad:?} in {text:?}");
            }
        }
    }
}

#[test]
fn a_server_that_will_not_say_who_signed_in_stops_nothing() {
    for path in ["/userinfo", "/introspect"] {
        let scene = Scene::scripted(|script| {
            script.metadata = vec![
                ("userinfo_endpoint", json!("{as}/userinfo")),
                ("introspection_endpoint", json!("{as}/introspect")),
            ];
        });
        scene.auth.on(path, |_, wire| wire.status(500));
        live_as(&mut scene.bridge().ready(), "ada");
    }
}

#[test]
fn token_prints_a_good_one_renewed_where_needed() {
    let scene = Scene::scripted(|script| script.lifetime = Some(1)).signed_in();
    scene.auth.wait_expiry();
    scene.auth.script(|script| script.lifetime = Some(3600));
    let before = scene.auth.refreshed();
    let token = scene.token();
    assert!(scene.auth.accepts(&token), "{token}");
    assert_eq!(scene.auth.refreshed(), before + 1);
    let header = scene.home.run(&["token", &scene.url(), "--header"], "").expect(0);
    assert_eq!(header.stdout, format!("Authorization: Bearer {token}\n"));
    assert_eq!(scene.auth.refreshed(), before + 1);
}

#[test]
fn token_opens_no_browser_and_says_that_a_sign_in_is_needed() {
    let scene = Scene::scripted(|script| script.lifetime = Some(1));
    let never = scene.home.run(&["token", &scene.url()], "").expect(3);
    assert!(never.stderr.contains("keyferry login"), "{}", never.stderr);
    let scene = scene.signed_in();
    scene.auth.wait_expiry();
    scene.auth.revoke_grants();
    let done = scene.home.run(&["token", &scene.url()], "").expect(3);
    assert_eq!(done.stdout, "");
    assert!(done.stderr.contains("keyferry login"), "{}", done.stderr);
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn logout_revokes_unregisters_and_forgets() {
    let scene = Scene::scripted(|script| script.registration_management = true).signed_in();
    let token = scene.token();
    let done = scene.home.run(&["logout", &scene.url()], "").expect(0);
    let revoked = scene.auth.asked("/revoke");
    let revoked: Vec<_> = revoked.iter().map(|asked| asked.param("token").unwrap()).collect();
    assert!(revoked[0].starts_with("refresh-"), "{revoked:?}");
    assert_eq!(revoked[1..], [token.as_str()]);
    assert!(!scene.auth.accepts(&token));
    assert!(scene.auth.clients().is_empty(), "still registered");
    assert!(done.stderr.contains("revoke"), "{}", done.stderr);
    scene.nothing_leaked(&[&done.stderr, &done.stdout]);
    assert!(rows(&scene).is_empty());
    scene.home.run(&["token", &scene.url()], "").expect(3);
    // Known to nobody, it is a first sign-in again.
    live_as(&mut scene.bridge().ready(), "ada");
    assert_eq!(scene.auth.asked("/register").len(), 2);
}

#[test]
fn a_client_that_another_token_uses_stays_registered() {
    let scene = Scene::scripted(|script| script.registration_management = true).signed_in();
    scene.login(&["--account", "work"]).expect(0);
    scene.home.run(&["logout", &scene.url()], "").expect(0);
    assert_eq!(scene.auth.clients().len(), 1);
    live_as(&mut scene.launch().args(&["--account", "work"]).start().ready(), "ada");
    scene.home.run(&["logout", &scene.url(), "--all-accounts"], "").expect(0);
    assert!(scene.auth.clients().is_empty());
}

#[test]
fn a_logout_that_cannot_revoke_says_so_and_forgets_all_the_same() {
    for how in ["no endpoint", "down", "refused"] {
        let scene = Scene::new().signed_in();
        match how {
            "no endpoint" => {
                scene
                    .auth
                    .script(|script| script.metadata = vec![("revocation_endpoint", json!(null))]);
            }
            "down" => scene.auth.on("/revoke", |_, wire| wire.cut()),
            _ => scene.auth.on("/revoke", |_, wire| wire.status(503)),
        }
        let done = scene.home.run(&["logout", &scene.url()], "").expect(0);
        assert!(done.stderr.contains("revok"), "{}", done.stderr);
        assert!(rows(&scene).is_empty(), "{how}");
    }
}

/// A record of another kind does not stand in the way.
#[test]
fn a_key_may_be_replaced_by_a_sign_in_and_back() {
    let scene = Scene::new();
    scene.home.store_key(&scene.url(), "sk-key");
    assert_eq!(scene.token(), "sk-key");
    scene.login(&["--with", "oauth", "--force"]).expect(0);
    assert!(scene.auth.accepts(&scene.token()));
    scene.home.store_key(&scene.url(), "sk-key");
    assert_eq!(scene.token(), "sk-key");
}

#[test]
fn a_login_at_a_server_that_registers_nobody_says_what_to_do() {
    let scene = Scene::scripted(|script| script.registration = Registration::Off);
    let done = scene.login(&[]).expect_one_of(&[1, 3]);
    assert!(done.stderr.contains("--client-id"), "{}", done.stderr);
    assert!(scene.browser.tabs().is_empty());
}

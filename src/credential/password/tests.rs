use super::*;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

const NOW: u64 = 1_800_000_000;

fn login(body: BodyForm, token_pointer: Option<&str>) -> Password {
    Password {
        login_url: "https://u:hunter2@host.example/auth/token?k=hunter2".to_owned(),
        username: "alice & bob".to_owned(),
        password: Secret::new("hunter2 \"+%".to_owned()),
        body,
        token_pointer: token_pointer.map(str::to_owned),
        placement: Placement::new(None, None).unwrap(),
    }
}

fn read(login: &Password, status: u16, body: &str) -> Result<Minted, PasswordError> {
    login.read(status, &Secret::new(body.as_bytes().to_vec()), NOW)
}

/// The header, and the seconds that are left.
fn minted(pointer: Option<&str>, body: &str) -> (String, Option<u64>) {
    let minted = read(&login(BodyForm::Json, pointer), 200, body).unwrap();
    let [(name, value)] = &minted.headers[..] else { panic!("{minted:?}") };
    let key = minted.key.unwrap();
    assert_eq!(value.to_str().unwrap(), format!("Bearer {}", key.expose()));
    assert_eq!(name, "authorization");
    (key.expose().clone(), minted.expires_at.map(|at| at - NOW))
}

#[test]
fn user_name_and_password_are_posted_as_json_or_as_a_form() {
    let (kind, body) = login(BodyForm::Json, None).request();
    assert_eq!(kind, "application/json");
    let body: Value = serde_json::from_slice(body.expose()).unwrap();
    assert_eq!(body, json!({"username": "alice & bob", "password": "hunter2 \"+%"}));

    let (kind, body) = login(BodyForm::Form, None).request();
    assert_eq!(kind, "application/x-www-form-urlencoded");
    assert_eq!(body.expose(), b"username=alice+%26+bob&password=hunter2+%22%2B%25");
}

#[test]
fn the_body_never_outgrows_its_room() {
    for body in [BodyForm::Json, BodyForm::Form] {
        let mut login = login(body, None);
        login.password = Secret::new("\u{1}".repeat(1000));
        let room = login.room().capacity();
        assert!(login.request().1.expose().len() <= room);
    }
}

#[test]
fn the_token_is_found_and_its_end_read() {
    let jwt =
        format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{}}}", NOW + 9)));
    for (pointer, body, token, left) in [
        (None, r#"{"token":"t","expires_in":8}"#, "t", Some(8)),
        (None, r#"{"token":"t","access_token":"a","expires_in":"8"}"#, "a", Some(8)),
        (None, r#"{"access_token":"","token":"t"}"#, "t", None),
        (None, "\u{feff}{\"token\":\"t\",\"expires_at\":1800000060}", "t", Some(60)),
        (Some("/data/jwt"), r#"{"data":{"jwt":"t","expires_in":5},"expires_in":9}"#, "t", Some(5)),
        (Some("/data/jwt"), r#"{"data":{"jwt":"t"},"expires_in":9}"#, "t", Some(9)),
        (Some("/tokens/0"), r#"{"tokens":["t"],"expires_in":9}"#, "t", Some(9)),
        (Some(""), r#""t""#, "t", None),
    ] {
        assert_eq!(minted(pointer, body), (token.to_owned(), left), "{body}");
    }
    assert_eq!(minted(None, &format!(r#"{{"token":"{jwt}"}}"#)), (jwt.clone(), Some(9)));
    assert_eq!(minted(None, &format!(r#"{{"token":"{jwt}","expires_in":3}}"#)), (jwt, Some(3)));
}

#[test]
fn a_refusal_tells_the_servers_own_words() {
    let login = login(BodyForm::Json, None);
    for (body, said) in [
        (r#"{"message":"wrong password"}"#, Some("wrong password")),
        (r#"{"statusCode":400,"message":["a","b"],"error":"Bad Request"}"#, Some("a")),
        (r#"{"error":"x","error_description":"account locked"}"#, Some("account locked")),
        (r#"{"error":{"message":"no such user"}}"#, Some("no such user")),
        (r#"{"detail":"no"}"#, Some("no")),
        (r#"{"error":"you sent hunter2 \"+%"}"#, Some("you sent [redacted]")),
        ("Unauthorized\nmore", Some("Unauthorized")),
        ("<html>Unauthorized</html>", None),
        (r#"{"session":"secret"}"#, None),
        ("", None),
    ] {
        let error = read(&login, 401, body).unwrap_err();
        assert!(matches!(error, PasswordError::Refused { status: 401, .. }), "{error:?}");
        assert_eq!(error.said(), said, "{body}");
        assert_eq!(error.to_string(), "the login endpoint refused (HTTP 401)");
    }
    let error = read(&login, 400, &"x".repeat(9000)).unwrap_err();
    assert_eq!(error.said().unwrap().len(), 300);
}

#[test]
fn what_may_pass_is_told_from_a_refusal() {
    let login = login(BodyForm::Json, None);
    for status in [408, 429, 500, 503, 599] {
        let error = read(&login, status, "{}").unwrap_err();
        assert!(matches!(error, PasswordError::OutOfOrder { .. }), "{status}");
    }
    for status in [302, 400, 403, 404, 422] {
        let error = read(&login, status, r#"{"token":"t"}"#).unwrap_err();
        assert!(matches!(error, PasswordError::Refused { .. }), "{status}");
    }
}

#[test]
fn an_answer_without_a_token_names_where_it_was_looked_for() {
    for (pointer, body, named, said) in [
        (None, r#"{"message":"MFA needed"}"#, "/access_token or /token", Some("MFA needed")),
        (None, r#"{"token":{"value":"t0ken"}}"#, "/access_token or /token", None),
        (None, "t0ken", "/access_token or /token", None),
        (None, r#""t0ken""#, "/access_token or /token", None),
        (Some("/jwt"), r#"{"token":"t0ken"}"#, "/jwt", None),
    ] {
        let error = read(&login(BodyForm::Json, pointer), 201, body).unwrap_err();
        assert_eq!(error.said(), said, "{body}");
        let text = format!("{error} {error:?}");
        assert!(text.contains("HTTP 201") && text.contains(named), "{text}");
        assert!(!text.contains("t0ken") && !text.contains("MFA"), "{text}");
    }
    let error = read(&login(BodyForm::Json, None), 200, r#"{"token":"a\nb"}"#).unwrap_err();
    assert!(matches!(error, PasswordError::Unsendable(KeyError::Unsendable)), "{error:?}");
}

#[test]
fn the_password_is_sealed_and_not_shown() {
    let login = login(BodyForm::Form, Some("/jwt"));
    let shown = format!("{login:?} {:?}", login.details());
    assert!(!login.details()["login_url"].to_string().contains("hunter2"));
    assert!(!shown.contains("\"+%"), "{shown}");
    let details = json!(login.details());
    let expected = json!({
        "login_url": "https://host.example/auth/token", "username": "alice & bob",
        "header": "authorization", "scheme": "Bearer",
    });
    assert_eq!(details, expected);
    let sealed = serde_json::to_string(&login).unwrap();
    assert_eq!(serde_json::from_str::<Password>(&sealed).unwrap(), login);
}

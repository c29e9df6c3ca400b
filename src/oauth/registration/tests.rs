use super::{Registration, RegistrationError, method, register, unregister};
use crate::oauth::client::{AuthMethod, Client, ClientOrigin};
use crate::oauth::scripted::{Scripted, public, secret, web};
use serde_json::{Map, Value, json};

const JSON: &str = "application/json";

fn uris() -> [String; 2] {
    ["localhost", "127.0.0.1"].map(|host| format!("http://{host}:4711/oauth/callback"))
}

fn registration(redirect_uris: &[String]) -> Registration<'_> {
    Registration { redirect_uris, device: false, auth_methods_supported: None, metadata: None }
}

async fn registered(answer: &str) -> Result<Client, RegistrationError> {
    let server = Scripted::start(&[(201, JSON, answer)]).await;
    register(&web(), Some(&server.url), registration(&uris()[..1])).await
}

fn sent(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn a_native_client_without_a_scope_is_registered() {
    let server = Scripted::start(&[(201, JSON, r#"{"client_id":"c1"}"#)]).await;
    let uris = uris();
    let asked = Registration { device: true, ..registration(&uris[..1]) };
    let client = register(&web(), Some(&server.url), asked).await.unwrap();
    assert_eq!((client.id.as_str(), client.port), ("c1", Some(4711)));
    assert_eq!((client.method, client.origin), (AuthMethod::None, ClientOrigin::Dynamic));
    assert_eq!(client.redirect_uri.as_deref(), Some(uris[0].as_str()));
    let asked = server.asked().await.remove(0);
    assert_eq!(asked.header("content-type"), Some(JSON));
    let expected = json!({
        "client_name": "keyferry",
        "application_type": "native",
        "redirect_uris": ["http://localhost:4711/oauth/callback"],
        "grant_types": [
            "authorization_code",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    });
    assert_eq!(sent(&asked.body), expected);
}

#[test]
fn a_public_client_is_preferred_where_it_is_possible() {
    use AuthMethod::{ClientSecretBasic, ClientSecretPost, None as Public};
    for (listed, expected) in [
        (vec!["client_secret_basic", "client_secret_post", "none"], Public),
        (vec!["client_secret_basic", "client_secret_post"], ClientSecretPost),
        (vec!["client_secret_basic"], ClientSecretBasic),
        (vec!["private_key_jwt"], Public),
    ] {
        let listed: Vec<String> = listed.into_iter().map(Into::into).collect();
        assert_eq!(method(Some(&listed)), expected, "{listed:?}");
    }
    assert_eq!(method(None), Public);
}

#[tokio::test]
async fn pinned_metadata_wins_and_the_redirect_stays() {
    let server = Scripted::start(&[(200, JSON, r#"{"client_id":"c","client_secret":"s"}"#)]).await;
    let pinned = json!({
        "scope": "a b",
        "token_endpoint_auth_method": "client_secret_post",
        "redirect_uris": ["https://elsewhere.example"],
        "client_name": "mine",
    });
    let pinned: Map<String, Value> = serde_json::from_value(pinned).unwrap();
    let uris = uris();
    let asked = Registration { metadata: Some(&pinned), ..registration(&uris[..1]) };
    let client = register(&web(), Some(&server.url), asked).await.unwrap();
    assert_eq!(client.method, AuthMethod::ClientSecretPost);
    let sent = sent(&server.asked().await[0].body);
    assert_eq!((&sent["scope"], &sent["client_name"]), (&"a b".into(), &"mine".into()));
    let redirects = json!([uris[0], "https://elsewhere.example"]);
    assert_eq!(sent["redirect_uris"], redirects);
}

#[tokio::test]
async fn whatever_a_registration_endpoint_says_is_understood() {
    use AuthMethod::{ClientSecretBasic, ClientSecretPost, None as Public};
    for (answer, method, secret, end) in [
        (r#"{"client_id":"c","client_secret":null,"x":[1e999]}"#, Public, None, None),
        (r#"{"client_id":12,"client_secret":""}"#, Public, None, None),
        (
            r#"{"client_id":"c","client_secret":"s","client_secret_expires_at":0}"#,
            ClientSecretBasic,
            Some("s"),
            None,
        ),
        (
            r#"{"client_id":"c","client_secret":"s","client_secret_expires_at":"1900000000",
                "token_endpoint_auth_method":"client_secret_post"}"#,
            ClientSecretPost,
            Some("s"),
            Some(1_900_000_000),
        ),
        (
            r#"{"client_id":"c","client_secret":"s","client_secret_expires_at":null,
                "token_endpoint_auth_method":"none"}"#,
            Public,
            Some("s"),
            None,
        ),
        // Not what was registered: there is no key.
        (
            r#"{"client_id":"c","client_secret":"s","token_endpoint_auth_method":"private_key_jwt"}"#,
            ClientSecretBasic,
            Some("s"),
            None,
        ),
        (
            r#"{"client_id":"c","token_endpoint_auth_method":"client_secret_basic"}"#,
            Public,
            None,
            None,
        ),
    ] {
        let client = registered(answer).await.unwrap();
        assert_eq!(client.method, method, "{answer}");
        assert_eq!(client.secret.as_ref().map(|one| one.expose().as_str()), secret, "{answer}");
        assert_eq!(client.secret_expires_at, end, "{answer}");
        assert!(!format!("{client:?}").contains("\"s\""));
    }
    for answer in ["{}", "<html>", r#"{"client_id":null}"#] {
        let error = registered(answer).await.unwrap_err();
        assert!(matches!(error, RegistrationError::Invalid { .. }), "{answer}");
    }
}

#[tokio::test]
async fn a_refused_redirect_is_tried_in_its_other_spelling_and_as_a_web_application() {
    let no = (400, JSON, r#"{"error":"invalid_redirect_uri","error_description":"no"}"#);
    let server = Scripted::start(&[no, no, (201, JSON, r#"{"client_id":"c"}"#)]).await;
    let uris = uris();
    let client = register(&web(), Some(&server.url), registration(&uris)).await.unwrap();
    assert_eq!(client.redirect_uri.as_deref(), Some(uris[0].as_str()));
    let asked = server.asked().await;
    let asked = asked.iter().map(|asked| sent(&asked.body));
    let asked: Vec<_> = asked
        .map(|sent| (sent["redirect_uris"][0].clone(), sent["application_type"].clone()))
        .collect();
    let pair = |uri: &String, kind: &str| (Value::from(uri.as_str()), Value::from(kind));
    let expected = [pair(&uris[0], "native"), pair(&uris[1], "native"), pair(&uris[0], "web")];
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn of_several_refusals_the_first_is_told_and_others_are_final() {
    let no = (400, JSON, r#"{"error":"invalid_redirect_uri","error_description":"first"}"#);
    let other = (403, "text/plain", "registration is closed");
    let server = Scripted::start(&[no, other]).await;
    let uris = uris();
    let Err(RegistrationError::Refused(response)) =
        register(&web(), Some(&server.url), registration(&uris)).await
    else {
        panic!("it is refused")
    };
    assert_eq!(response.told(), "invalid_redirect_uri: first");
    server.asked().await;

    let server = Scripted::start(&[other]).await;
    let error = register(&web(), Some(&server.url), registration(&uris)).await.unwrap_err();
    let RegistrationError::Refused(response) = &error else { panic!("it is refused") };
    assert_eq!(response.told(), "registration is closed");
    assert_eq!(
        error.to_string(),
        "the authorization server refused to register keyferry: HTTP 403"
    );
}

#[tokio::test]
async fn no_endpoint_and_no_server_are_told_apart() {
    let uris = uris();
    let error = register(&web(), None, registration(&uris)).await.unwrap_err();
    assert!(matches!(error, RegistrationError::NotOffered));
    let server = Scripted::start(&[(401, "text/html", "<html>")]).await;
    let error = register(&web(), Some(&server.url), registration(&uris)).await.unwrap_err();
    let RegistrationError::Refused(response) = error else { panic!("it is refused") };
    assert_eq!(response.told(), "HTTP 401");
    let server = Scripted::start(&[(503, "text/html", "<html>")]).await;
    let error = register(&web(), Some(&server.url), registration(&uris)).await.unwrap_err();
    assert!(matches!(error, RegistrationError::Unavailable(_)));
    let error = register(&web(), Some("http://as.example"), registration(&uris)).await;
    assert!(matches!(error, Err(RegistrationError::Unavailable(_))));
}

#[tokio::test]
async fn a_client_is_forgotten_where_the_server_lets_it() {
    let server = Scripted::start(&[(204, JSON, ""), (405, JSON, "")]).await;
    let client = Client {
        registration_access_token: Some(secret("rat")),
        registration_client_uri: Some(format!("{}/c/1?x=%2f", server.url)),
        ..public()
    };
    let web = web();
    assert!(unregister(&web, &client).await.unwrap());
    assert!(!unregister(&web, &client).await.unwrap());
    assert!(!unregister(&web, &public()).await.unwrap());
    let asked = server.asked().await.remove(0);
    assert_eq!(asked.line, "DELETE /c/1?x=%2f");
    assert_eq!(asked.header("authorization"), Some("Bearer rat"));
}

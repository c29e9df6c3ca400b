use super::{Device, DeviceError, Pace, Polled, poll, poll_once, start};
use crate::oauth::scripted::{Scripted, now, pairs, public, secret, web};
use std::time::Duration;

const JSON: &str = "application/json";
const PENDING: (u16, &str, &str) = (400, JSON, r#"{"error":"authorization_pending"}"#);
const TOKENS: (u16, &str, &str) = (200, JSON, r#"{"access_token":"at"}"#);

fn device() -> Device {
    Device {
        device_code: secret("d\"c&1"),
        user_code: "AB-CD".into(),
        verification_uri: "https://as.example/device".into(),
        verification_uri_complete: None,
        expires_in: 60,
        interval: 1,
    }
}

async fn started(status: u16, answer: &str) -> Result<Device, DeviceError> {
    let server = Scripted::start(&[(status, JSON, answer)]).await;
    start(&web(), &server.url, public().at("", now), None, None).await
}

#[tokio::test]
async fn a_device_code_is_asked_for_with_scope_and_resource() {
    let answer = r#"{"device_code":"dc","user_code":"AB-CD","expires_in":"900","interval":7,
        "verification_uri":"https://as.example/d",
        "verification_uri_complete":"https://as.example/d?c=AB-CD"}"#;
    let server = Scripted::start(&[(200, JSON, answer)]).await;
    let endpoint = format!("{}/device?x=%2f", server.url);
    let device =
        start(&web(), &endpoint, public().at("", now), Some("a b"), Some("https://MCP.example"))
            .await
            .unwrap();
    assert_eq!(device.device_code.expose(), "dc");
    assert_eq!((device.user_code.as_str(), device.expires_in, device.interval), ("AB-CD", 900, 7));
    assert_eq!(device.verification_uri, "https://as.example/d");
    assert_eq!(device.verification_uri_complete.as_deref(), Some("https://as.example/d?c=AB-CD"));
    assert!(!format!("{device:?}").contains("dc"));
    let asked = server.asked().await.remove(0);
    assert_eq!(asked.line, "POST /device?x=%2f");
    let expected = [("scope", "a b"), ("client_id", "id &1"), ("resource", "https://MCP.example")];
    assert_eq!(asked.form(), pairs(&expected));
}

#[tokio::test]
async fn what_the_server_leaves_out_has_a_default_and_what_it_must_not_is_missed() {
    let device = started(
        200,
        r#"{"device_code":"dc","user_code":1234,"verification_url":"https://g.example",
            "interval":0,"expires_in":1e9}"#,
    );
    let device = device.await.unwrap();
    assert_eq!((device.user_code.as_str(), device.interval, device.expires_in), ("1234", 5, 1800));
    assert_eq!(device.verification_uri, "https://g.example");
    for answer in [
        "{}",
        r#"{"device_code":"dc","user_code":"u"}"#,
        r#"{"device_code":"dc","verification_uri":"https://as.example"}"#,
        "<html>",
    ] {
        let error = started(200, answer).await.unwrap_err();
        assert!(matches!(error, DeviceError::Malformed { .. }), "{answer}");
    }
    let error = started(400, r#"{"error":"unauthorized_client"}"#).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the authorization server gives no device code: unauthorized_client (HTTP 400)"
    );
    assert!(matches!(started(502, "<html>").await, Err(DeviceError::Unavailable(_))));
}

#[tokio::test]
async fn a_question_carries_the_code_and_the_resource() {
    let server = Scripted::start(&[TOKENS]).await;
    let resource = Some("https://mcp.example");
    let answer = poll_once(&web(), &server.url, public().at("", now), &device(), resource).await;
    assert!(matches!(answer, Ok(Polled::Granted(_))));
    let expected = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", "d\"c&1"),
        ("client_id", "id &1"),
        ("resource", "https://mcp.example"),
    ];
    assert_eq!(server.asked().await[0].form(), pairs(&expected));
}

#[tokio::test]
async fn every_answer_means_what_it_says() {
    let server = Scripted::start(&[
        PENDING,
        (200, JSON, r#"{"error":"authorization_pending"}"#),
        (400, JSON, r#"{"error":"slow_down"}"#),
        (400, JSON, r#"{"error":"access_denied"}"#),
        (400, JSON, r#"{"error":"expired_token"}"#),
        (400, JSON, r#"{"error":"invalid_grant"}"#),
        (503, JSON, ""),
        (0, "", ""),
        (200, JSON, "{}"),
    ])
    .await;
    let web = web();
    let ask = async || poll_once(&web, &server.url, public().at("", now), &device(), None).await;
    assert!(matches!(ask().await, Ok(Polled::Pending)));
    assert!(matches!(ask().await, Ok(Polled::Pending)));
    assert!(matches!(ask().await, Ok(Polled::SlowDown)));
    assert!(matches!(ask().await, Err(DeviceError::Denied)));
    assert!(matches!(ask().await, Err(DeviceError::Expired)));
    assert!(matches!(ask().await, Err(DeviceError::Token(_))));
    assert!(matches!(ask().await, Err(DeviceError::Unavailable(error)) if error.passes()));
    assert!(matches!(ask().await, Err(DeviceError::Unavailable(error)) if error.passes()));
    assert!(matches!(ask().await, Err(DeviceError::Token(_))));
}

#[tokio::test]
async fn it_is_asked_again_until_there_is_an_answer() {
    let server = Scripted::start(&[PENDING, TOKENS]).await;
    let tokens = poll(&web(), &server.url, public().at("", now), &device(), None).await.unwrap();
    assert_eq!(tokens.access_token.expose(), "at");
    assert_eq!(server.asked().await.len(), 2);
}

#[tokio::test]
async fn a_code_past_its_time_is_not_asked_about() {
    let device = Device { expires_in: 1, interval: 5, ..device() };
    let answer = poll(&web(), "http://127.0.0.1:1", public().at("", now), &device, None).await;
    assert!(matches!(answer, Err(DeviceError::Expired)));
}

#[test]
fn the_pace_slows_down_for_the_server_and_backs_off_from_failures() {
    let seconds = |pace: &Pace| pace.pause().as_secs();
    let mut pace = Pace::new(5);
    assert_eq!(seconds(&pace), 5);
    pace.slow_down();
    pace.slow_down();
    assert_eq!(seconds(&pace), 15);
    pace.failed();
    assert_eq!(seconds(&pace), 30);
    for _ in 0..40 {
        pace.failed();
    }
    assert_eq!(seconds(&pace), 60);
    pace.answered();
    assert_eq!(seconds(&pace), 15);
    assert_eq!(seconds(&Pace::new(0)), 1);
    // Never faster than the server wants, whatever it wants.
    let mut pace = Pace::new(u64::MAX);
    pace.slow_down();
    pace.failed();
    assert!(pace.pause() >= Duration::from_secs(u64::MAX));
}

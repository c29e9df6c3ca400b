use super::{RevocationError, TokenKind, revoke};
use crate::oauth::scripted::{Scripted, now, pairs, public, secret, web};

const JSON: &str = "application/json";

#[tokio::test]
async fn a_token_is_revoked_with_its_kind() {
    let server = Scripted::start(&[(200, "text/plain", ""), (204, JSON, "")]).await;
    let (web, url) = (web(), format!("{}/revoke?x=%2f", server.url));
    revoke(&web, &url, public().at("", now), &secret("r&1"), TokenKind::RefreshToken)
        .await
        .unwrap();
    revoke(&web, &url, public().at("", now), &secret("a"), TokenKind::AccessToken).await.unwrap();
    let asked = server.asked().await;
    assert_eq!(asked[0].line, "POST /revoke?x=%2f");
    let form =
        |token, kind| pairs(&[("token", token), ("token_type_hint", kind), ("client_id", "id &1")]);
    assert_eq!(asked[0].form(), form("r&1", "refresh_token"));
    assert_eq!(asked[1].form(), form("a", "access_token"));
}

#[tokio::test]
async fn a_token_that_may_still_be_good_is_told() {
    let server = Scripted::start(&[
        (400, JSON, r#"{"error":"unsupported_token_type"}"#),
        (400, JSON, r#"{"error":"invalid_client"}"#),
        (200, JSON, r#"{"error":"invalid_request"}"#),
        (503, JSON, ""),
    ])
    .await;
    let web = web();
    let ask = async || {
        let token = secret("hunter2");
        let error =
            revoke(&web, &server.url, public().at("", now), &token, TokenKind::AccessToken).await;
        let error = error.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        error
    };
    assert!(matches!(ask().await, RevocationError::UnsupportedTokenType));
    assert!(matches!(ask().await, RevocationError::Refused(_)));
    assert!(matches!(ask().await, RevocationError::Refused(_)));
    assert!(matches!(ask().await, RevocationError::Unavailable(_)));
}

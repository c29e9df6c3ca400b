use super::*;
use crate::http::scripted::{Authority, TlsSite, Wants};
use crate::http::{Tls, ready_tls};

/// A remote and another server of the same authority, which ask for a certificate if
/// there is one, and what asks them.
struct Scene {
    remote: TlsSite,
    other: TlsSite,
    web: Web,
    _ca: tempfile::NamedTempFile,
}

async fn scene() -> Scene {
    let authority = Authority::new("A");
    let server = authority.sign("server");
    let site = || TlsSite::start(&server, Wants::CertificatePerhaps(&authority));
    let (remote, other) = (site().await, site().await);
    let ca = authority.file();
    let identity = Some(Secret::new(authority.sign("alice").into_bytes()));
    let tls = Tls { identity, ca_cert: Some(ca.path().to_owned()), shown: None };
    let base = ClientSettings {
        tls: true,
        loopback: true,
        tls_source: Some(ready_tls(tls)),
        connect_timeout: Duration::from_secs(5),
        body_timeout: None,
        ipv4_only: false,
        cookies: false,
        addresses: None,
        now: || 0,
    };
    let url = Url::parse(&remote.origin).unwrap().join("/mcp").unwrap();
    let web = Web::new(&base, url, false, Vec::new());
    let mut along = HeaderMap::new();
    for (name, value) in [
        ("cf-access-client-id", "an-id"),
        ("authorization", "Bearer not-for-this"),
        ("accept", "text/html"),
    ] {
        along.insert(name, HeaderValue::from_static(value));
    }
    web.along(Arc::new(move || {
        let along = along.clone();
        Box::pin(async move { along })
    }));
    Scene { remote, other, web, _ca: ca }
}

#[tokio::test]
async fn the_remote_alone_sees_the_certificate_and_what_goes_along() {
    let Scene { remote, other, web, _ca } = scene().await;
    for site in [&remote, &other, &remote] {
        assert_eq!(web.get(&format!("{}/x", site.origin)).await.unwrap().status, 200);
    }
    let url = format!("{}/y", other.origin);
    let form = "application/x-www-form-urlencoded";
    web.post(&url, form, HeaderMap::new(), Secret::new(b"a=b".to_vec())).await.unwrap();
    for seen in remote.seen() {
        assert!(seen.is_from("alice"), "{seen:?}");
        assert!(seen.request.contains("cf-access-client-id: an-id"), "{seen:?}");
        assert!(seen.request.contains("accept: application/json"), "{seen:?}");
        assert!(!seen.request.contains("text/html"), "{seen:?}");
        assert!(!seen.request.contains("not-for-this"), "{seen:?}");
    }
    let seen = other.seen();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        assert_eq!(seen.certificate, None, "{seen:?}");
        assert!(!seen.request.contains("an-id"), "{seen:?}");
    }
}

#[tokio::test]
async fn an_issuer_that_authenticates_by_certificate_sees_it_when_told_to() {
    let Scene { other, web, _ca, .. } = scene().await;
    let url = format!("{}/token", other.origin);
    let asked = web.request_with_certificate(Method::POST, &url, HeaderMap::new(), None);
    asked.await.unwrap();
    web.request(Method::POST, &url, HeaderMap::new(), None).await.unwrap();
    let seen = other.seen();
    assert!(seen[0].is_from("alice") && !seen[0].request.contains("an-id"));
    assert_eq!(seen[1].certificate, None);
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_was_not_asked_anything() {
    let authority = Authority::new("A");
    let server = authority.sign("server");
    let site = TlsSite::start(&server, Wants::Certificate(&authority)).await;
    let Scene { web, _ca, .. } = scene().await;
    // Of another authority: nothing here trusts it.
    let error = web.get(&site.origin).await.unwrap_err();
    assert!(matches!(error, WebError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
}

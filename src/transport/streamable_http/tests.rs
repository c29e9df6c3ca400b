use super::StreamableHttp;
use crate::http::scripted::{Authority, TlsSite, Wants};
use crate::http::{ClientCell, ClientSettings, RequestHeaders, Tls, ready_tls};
use crate::secret::Secret;
use crate::transport::SendFailure;
use std::sync::Arc;
use std::time::Duration;

fn endpoint(authority: &Authority, site: &TlsSite) -> (StreamableHttp, tempfile::NamedTempFile) {
    let ca = authority.file();
    let identity = Some(Secret::new(authority.sign("alice").into_bytes()));
    let tls = Tls { identity, ca_cert: Some(ca.path().to_owned()), shown: None };
    let client = ClientCell::new(ClientSettings {
        tls: true,
        loopback: true,
        tls_source: Some(ready_tls(tls)),
        connect_timeout: Duration::from_secs(5),
        body_timeout: None,
        ipv4_only: false,
        cookies: false,
        addresses: None,
        now: || 0,
    });
    (StreamableHttp::new(Arc::new(client), site.url(), 1000, None), ca)
}

/// The alert may be about a connection that requests came through before.
#[tokio::test]
async fn what_was_refused_after_an_answer_may_have_been_executed() {
    let authority = Authority::new("A");
    let server = authority.sign("server");
    let site =
        TlsSite::start_with(&server, Wants::CertificateOnce, &[&rustls::version::TLS13], &[]).await;
    let (endpoint, _ca) = endpoint(&authority, &site);
    let post = async || endpoint.post("{}".into(), RequestHeaders::default()).await;
    assert_eq!(post().await.unwrap().status, 200);
    let Err(failure) = post().await else { panic!("an answer") };
    let SendFailure::Broken { suspicion: Some(_), .. } = &failure else { panic!("{failure:?}") };
    assert!(failure.to_string().contains("CN=alice: it has expired"), "{failure}");
    assert_eq!(site.connections(), 2, "nobody asks why");
}

#[tokio::test]
async fn what_was_refused_before_any_answer_was_not_executed() {
    let (authority, stranger) = (Authority::new("A"), Authority::new("B"));
    let site = TlsSite::start(&authority.sign("server"), Wants::Certificate(&stranger)).await;
    let (endpoint, _ca) = endpoint(&authority, &site);
    let failed = endpoint.post("{}".into(), RequestHeaders::default()).await;
    let Err(SendFailure::Tls(refusal)) = failed else { panic!("an answer") };
    assert!(refusal.to_string().contains("authority"), "{refusal}");
}

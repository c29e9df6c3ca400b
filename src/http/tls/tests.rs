use super::scripted::{Authority, TlsSite, Wants};
use super::*;
use crate::http::{ClientCell, ClientSettings};
use rustls::version::{TLS12, TLS13};
use std::time::Duration;
use url::Url;

/// Certificate and key, known to everybody.
const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBITCBxwIULMT884kKd+Xj4Mlt59EcByLq0HkwCgYIKoZIzj0EAwIwDTELMAkG
A1UEAwwCY2EwIBcNMjYxMTIxMDc1MTA3WhgPMjEyNjEwMjgwNzUxMDdaMBcxFTAT
BgNVBAMMDG9mLXZlcnNpb24tMTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLpp
89AMFAQ9wAXg837f6a99lzS3KucA1sJS9C50bLlcm60+zKXMQOEeT+zbRstpOa3b
fwddcjHviPEEsVtyf0YwCgYIKoZIzj0EAwIDSQAwRgIhAOPI3KRbDbKH6mwEZVeq
6xgEbBEqeXJX7mL2cfaSesGkAiEA8uAwMv4Qzc0W/pGLkvKEvztEbQtjDPN4IdCt
FcsuwEQ=
-----END CERTIFICATE-----
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgP/9hSmeasRADmxMB
/QJspxgLxM3mOpdMQLSvMkf98j2hRANCAAS6afPQDBQEPcAF4PN+3+mvfZc0tyrn
ANbCUvQudGy5XJutPsylzEDhHk/s20bLaTmt238HXXIx74jxBLFbcn9G
-----END PRIVATE KEY-----
";

fn settings(tls: Tls) -> ClientSettings {
    ClientSettings {
        tls: true,
        loopback: true,
        tls_source: Some(ready_tls(tls)),
        connect_timeout: Duration::from_secs(5),
        body_timeout: None,
        ipv4_only: false,
        cookies: false,
        addresses: None,
        now: || 0,
    }
}

/// A client that trusts `authority` and shows `identity`.
fn client(
    authority: &Authority,
    identity: Option<String>,
) -> (ClientCell, tempfile::NamedTempFile) {
    let file = authority.file();
    let tls = Tls {
        shown: None,
        identity: identity.map(|pem| Secret::new(pem.into_bytes())),
        ca_cert: Some(file.path().to_owned()),
    };
    (ClientCell::new(settings(tls)), file)
}

async fn failure(client: &ClientCell, site: &TlsSite) -> reqwest::Error {
    let asked = client.get(&site.url()).await.unwrap().post(&site.origin).body("{}").send().await;
    asked.expect_err("no answer")
}

#[tokio::test]
async fn the_right_certificate_is_shown_to_who_asks_for_it() {
    let authority = Authority::new("A");
    let server = authority.sign("server");
    for version in [&TLS12, &TLS13] {
        for wants in [Wants::Certificate(&authority), Wants::CertificatePerhaps(&authority)] {
            let site = TlsSite::start_with(&server, wants, &[version], &[]).await;
            let (client, _file) = client(&authority, Some(authority.sign("alice")));
            let answer =
                client.get(&site.url()).await.unwrap().get(&site.origin).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            assert!(client.has_certificate());
            assert!(site.seen().iter().all(|seen| seen.is_from("alice")));
        }
    }
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_is_known_by_its_alert() {
    let authority = Authority::new("A");
    let server = authority.sign("server");
    for (version, protocols) in
        [(&TLS12, &[][..]), (&TLS13, &[]), (&TLS12, &["h2"]), (&TLS13, &["h2"])]
    {
        let wants = Wants::Certificate(&authority);
        let site = TlsSite::start_with(&server, wants, &[version], protocols).await;
        let (client, _file) = client(&authority, None);
        let error = failure(&client, &site).await;
        let refusal = client.refusal(&error);
        assert_eq!(refusal, Some(TlsRefusal::CertificateRequired), "{version:?} {error:?}");
        assert!(site.seen().is_empty());
    }
}

/// The alert is lost with the connection as often as not.
#[tokio::test]
async fn a_server_that_resets_the_connection_is_asked_why() {
    let authority = Authority::new("A");
    let server = authority.sign("server");
    for protocols in [&[][..], &["h2", "http/1.1"]] {
        let wants = Wants::CertificateOrReset(&authority);
        let site = TlsSite::start_with(&server, wants, &[&TLS13], protocols).await;
        let url = site.url();
        for _ in 0..20 {
            let (client, _file) = client(&authority, None);
            let error = failure(&client, &site).await;
            assert!(client.suspicion(&error).is_some(), "{error:?}");
            assert_eq!(client.ask_why(&url).await, Some(TlsRefusal::CertificateRequired));
        }
    }
}

#[tokio::test]
async fn a_server_is_asked_why_once() {
    let authority = Authority::new("A");
    let wants = Wants::CertificateOrReset(&authority);
    let site = TlsSite::start(&authority.sign("server"), wants).await;
    let (client, _file) = client(&authority, None);
    failure(&client, &site).await;
    let before = site.connections();
    let url = site.url();
    let asked = tokio::join!(client.ask_why(&url), client.ask_why(&url));
    let required = Some(TlsRefusal::CertificateRequired);
    assert_eq!(asked, (required.clone(), required.clone()));
    assert_eq!(client.ask_why(&url.join("/another").unwrap()).await, required);
    assert_eq!(site.connections(), before + 1);
}

#[tokio::test]
async fn a_refused_certificate_is_named_with_the_reason() {
    let (authority, stranger) = (Authority::new("A"), Authority::new("B"));
    let server = authority.sign("server");
    for (identity, reason) in
        [(stranger.sign("alice"), "authority"), (authority.sign_expired("alice"), "expired")]
    {
        for (version, protocols) in [(&TLS12, &[][..]), (&TLS13, &[]), (&TLS13, &["h2"])] {
            let wants = Wants::Certificate(&authority);
            let site = TlsSite::start_with(&server, wants, &[version], protocols).await;
            let (client, _file) = client(&authority, Some(identity.clone()));
            let error = failure(&client, &site).await;
            let refusal = client.refusal(&error).unwrap_or_else(|| panic!("{error:?}"));
            let text = refusal.to_string();
            assert!(text.contains("CN=alice") && text.contains(reason), "{version:?} {text}");
            assert!(site.seen().is_empty());
        }
    }
}

#[tokio::test]
async fn a_server_that_asks_and_closes_is_under_suspicion_only() {
    let authority = Authority::new("A");
    let server = authority.sign("server");
    for identity in [None, Some(authority.sign("alice"))] {
        let wants = Wants::ToCloseAfterAsking(&authority);
        let site = TlsSite::start(&server, wants).await;
        let (client, _file) = client(&authority, identity);
        let error = failure(&client, &site).await;
        assert_eq!(client.refusal(&error), None);
        assert!(client.suspicion(&error).is_some(), "{error:?}");
        assert_eq!(client.ask_why(&site.url()).await, None);
    }
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("https://{}", nobody.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { nobody.accept().await.map(|_| ()) });
    let (client, _file) = client(&authority, None);
    let error = client.get(&url).await.unwrap().get(url).send().await.unwrap_err();
    assert_eq!((client.refusal(&error), client.suspicion(&error)), (None, None));
}

#[tokio::test]
async fn an_untrusted_server_is_described_in_words() {
    let (authority, stranger) = (Authority::new("A"), Authority::new("B"));
    for (identity, words, advice) in [
        (stranger.sign("server"), "of an authority that is not trusted here", "--ca-cert"),
        (authority.sign_expired("server"), "days ago", "clock"),
        (authority.sign_for_host("a.example"), "for a.example, not for 127.0.0.1", "URL"),
    ] {
        let site = TlsSite::start(&identity, Wants::Nothing).await;
        let (client, _file) = client(&authority, None);
        let refusal = client.refusal(&failure(&client, &site).await).unwrap();
        assert!(matches!(refusal, TlsRefusal::UntrustedServer { .. }), "{refusal:?}");
        assert!(refusal.to_string().contains(words), "{refusal}");
        assert!(refusal.advice().contains(advice), "{}", refusal.advice());
    }
}

#[tokio::test]
async fn an_identity_of_no_use_is_named_and_read_again() {
    let authority = Authority::new("A");
    let (whole, other) = (authority.sign("alice"), authority.sign("bob"));
    let key_at = |pem: &str| pem.find("-----BEGIN PRIVATE KEY").unwrap();
    let certificate = &whole[..key_at(&whole)];
    for (pem, why) in [
        (String::new(), "no certificate"),
        (certificate.to_owned(), "no private key"),
        (whole[key_at(&whole)..].to_owned(), "no certificate"),
        (format!("{certificate}{}", &other[key_at(&other)..]), "not the one of this certificate"),
    ] {
        let (client, _file) = client(&authority, Some(pem));
        let error = client.ready().await.unwrap_err().to_string();
        let named = error.contains("CN=alice") || why == "no certificate";
        assert!(error.contains(why) && named, "{error}");
        assert!(!error.contains("PRIVATE KEY"), "{error}");
    }
    let (both, own) = (&other[key_at(&other)..], &whole[key_at(&whole)..]);
    let (client, _file) = client(&authority, Some(format!("{certificate}{both}{own}")));
    assert!(client.ready().await.is_ok(), "the last key counts");
    let pem = Arc::new(std::sync::Mutex::new(String::new()));
    let now = pem.clone();
    let source: TlsSource = Arc::new(move || {
        let identity = Some(Secret::new(now.lock().unwrap().clone().into_bytes()));
        Box::pin(async move { Ok(Tls { identity, ..Tls::default() }) })
    });
    let client =
        ClientCell::new(ClientSettings { tls_source: Some(source), ..settings(Tls::default()) });
    assert!(client.ready().await.is_err());
    pem.lock().unwrap().push_str(&whole);
    assert!(client.ready().await.is_ok());
}

/// As `openssl x509 -req` makes them where nobody asks for more.
#[tokio::test]
async fn a_certificate_of_version_1_is_shown_too() {
    let authority = Authority::new("A");
    let server = authority.sign("server");
    for version in [&TLS12, &TLS13] {
        let site = TlsSite::start_with(&server, Wants::AnyCertificate, &[version], &[]).await;
        let (client, _file) = client(&authority, Some(VERSION_1.to_owned()));
        let answer = client.get(&site.url()).await.unwrap().get(&site.origin).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(site.seen().iter().all(|seen| seen.is_from("of-version-1")));
    }
    let (certificate, other) =
        (VERSION_1.split_inclusive("-----END CERTIFICATE-----\n").next(), authority.sign("bob"));
    let other = &other[other.find("-----BEGIN PRIVATE KEY").unwrap()..];
    let (client, _file) = client(&authority, certificate.map(|it| it.to_owned() + other));
    let error = client.ready().await.unwrap_err().to_string();
    assert!(error.contains("not the one of this certificate"), "{error}");
}

#[test]
fn the_bundled_roots_make_a_verifier() {
    let provider = Arc::new(ring::default_provider());
    assert!(bundled(Vec::new(), &provider).is_ok());
}

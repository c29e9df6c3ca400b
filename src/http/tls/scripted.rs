//! For tests: an authority, what it signs, and a server that may ask for a certificate.

mod authority;

pub(crate) use authority::Authority;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme, SupportedProtocolVersion,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use url::Url;

/// What came to a [`TlsSite`].
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) request: String,
    /// The whole client certificate.
    pub(crate) certificate: Option<Vec<u8>>,
}

impl Seen {
    /// The certificate names `subject`.
    pub(crate) fn is_from(&self, subject: &str) -> bool {
        let der = self.certificate.as_deref().unwrap_or_default();
        der.windows(subject.len()).any(|part| part == subject.as_bytes())
    }
}

/// How a [`TlsSite`] treats its clients.
pub(crate) enum Wants<'a> {
    Nothing,
    /// A certificate of this authority.
    Certificate(&'a Authority),
    /// The same, and without one the connection is reset, whatever comes on it.
    CertificateOrReset(&'a Authority),
    /// The same, but anybody may come in.
    CertificatePerhaps(&'a Authority),
    /// A certificate of whomever, and of whatever version.
    AnyCertificate,
    /// The same, but all after the first have expired.
    CertificateOnce,
    /// It asks, and then closes the connection without a word, as Node does.
    ToCloseAfterAsking(&'a Authority),
}

/// A web site on loopback that answers everything with `{}`, one request a connection.
pub(crate) struct TlsSite {
    pub(crate) origin: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
}

impl TlsSite {
    pub(crate) fn url(&self) -> Url {
        Url::parse(&self.origin).unwrap()
    }

    pub(crate) async fn start(identity: &str, wants: Wants<'_>) -> Self {
        Self::start_with(identity, wants, rustls::ALL_VERSIONS, &[]).await
    }

    pub(crate) async fn start_with(
        identity: &str,
        wants: Wants<'_>,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> Self {
        let closes = matches!(wants, Wants::ToCloseAfterAsking(_));
        let resets = matches!(wants, Wants::CertificateOrReset(_));
        let mut config = server(identity, wants, versions);
        config.alpn_protocols = protocols.iter().map(|one| one.as_bytes().to_vec()).collect();
        // Whoever comes again is looked at again.
        config.send_tls13_tickets = 0;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("https://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let connections: Arc<AtomicUsize> = Arc::default();
        let (log, count) = (seen.clone(), connections.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (acceptor, log) = (acceptor.clone(), log.clone());
                tokio::spawn(async move { serve(stream, acceptor, &log, (closes, resets)).await });
            }
        });
        Self { origin, seen, connections }
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

fn server(
    identity: &str,
    wants: Wants<'_>,
    versions: &[&'static SupportedProtocolVersion],
) -> ServerConfig {
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_protocol_versions(versions).unwrap();
    let verifier = |authority: &Authority| {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
    };
    let builder = match wants {
        Wants::Nothing => builder.with_no_client_auth(),
        Wants::AnyCertificate => builder.with_client_cert_verifier(Anyone::times(usize::MAX)),
        Wants::CertificateOnce => builder.with_client_cert_verifier(Anyone::times(1)),
        Wants::Certificate(by) | Wants::CertificateOrReset(by) => {
            builder.with_client_cert_verifier(verifier(by).build().unwrap())
        }
        Wants::CertificatePerhaps(by) | Wants::ToCloseAfterAsking(by) => {
            builder.with_client_cert_verifier(verifier(by).allow_unauthenticated().build().unwrap())
        }
    };
    let certificates = CertificateDer::pem_slice_iter(identity.as_bytes());
    let certificates = certificates.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.as_bytes()).unwrap();
    builder.with_single_cert(certificates, key).unwrap()
}

/// Believes every client, so many times.
#[derive(Debug)]
struct Anyone(AtomicUsize);

impl Anyone {
    fn times(times: usize) -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(times)))
    }
}

impl ClientCertVerifier for Anyone {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        match self.0.fetch_sub(1, Ordering::SeqCst) {
            0 => Err(CertificateError::Expired.into()),
            _ => Ok(ClientCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

async fn serve(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    log: &Mutex<Vec<Seen>>,
    (closes, resets): (bool, bool),
) -> Option<()> {
    // A refused client is told so before the connection is dropped; what it has sent already
    // is read, as the system would reset the connection otherwise.
    let accepting = acceptor.accept(stream).into_fallible().await;
    let mut stream = match accepting {
        Ok(stream) => stream,
        Err(_) if resets => return None,
        Err((_, mut stream)) => {
            stream.shutdown().await.ok()?;
            while stream.read(&mut [0; 1024]).await.ok()? > 0 {}
            return None;
        }
    };
    if closes {
        return None;
    }
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
    let certificates = stream.get_ref().1.peer_certificates();
    let certificate = certificates.and_then(|all| all.first()).map(|one| one.to_vec());
    let request = String::from_utf8_lossy(&request).into_owned();
    log.lock().unwrap().push(Seen { request, certificate });
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    stream.write_all(answer.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}

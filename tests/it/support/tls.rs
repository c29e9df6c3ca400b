//! TLS in front of a scripted server, with the certificate of the fixtures.

use super::PATIENCE;
use super::mcp_server::Server;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

#[path = "../../../src/http/tls/scripted/authority.rs"]
mod authority;

pub(crate) use authority::Authority;

pub(crate) const CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/tls/ca.pem");

/// The address of a TLS port whose connections end at `server`.
pub(crate) fn in_front_of(server: &Server) -> SocketAddr {
    let certificate = include_str!("../fixtures/tls/server.pem");
    let key = include_str!("../fixtures/tls/server.key");
    Door::new(&format!("{certificate}{key}")).open(server).address
}

/// A TLS port that may ask for a client certificate.
pub(crate) struct Door {
    identity: String,
    clients: Option<String>,
    versions: Vec<&'static SupportedProtocolVersion>,
    silent: bool,
}

impl Door {
    /// `identity`: PEM of the server's certificate and key.
    pub(crate) fn new(identity: &str) -> Self {
        let (versions, identity) = (rustls::ALL_VERSIONS.to_vec(), identity.to_owned());
        Self { identity, clients: None, versions, silent: false }
    }

    /// Nobody comes in without a certificate of this authority (PEM).
    pub(crate) fn for_clients_of(mut self, authority: &str) -> Self {
        self.clients = Some(authority.to_owned());
        self
    }

    /// Closes the connection without a word instead of an alert.
    pub(crate) fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    pub(crate) fn speaking(mut self, version: &'static SupportedProtocolVersion) -> Self {
        self.versions = vec![version];
        self
    }

    pub(crate) fn open(self, server: &Server) -> Opened {
        let config = Arc::new(Mutex::new(Arc::new(self.config())));
        let (silent, behind) = (self.silent, server.address());
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bind");
        let address = listener.local_addr().expect("an address");
        let seen: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let (log, now) = (seen.clone(), config.clone());
        let connections = Arc::new(());
        let carried = connections.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, log) = (now.lock().unwrap().clone(), log.clone());
                let one = carried.clone();
                thread::spawn(move || {
                    carry(stream, behind, config, &log, silent);
                    drop(one);
                });
            }
        });
        Opened { address, seen, config, connections }
    }

    fn config(&self) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&self.versions)
            .expect("protocol versions");
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                let root = CertificateDer::from_pem_slice(authority.as_bytes());
                roots.add(root.expect("a certificate")).expect("a root");
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier =
                    if self.silent { verifier.allow_unauthenticated() } else { verifier };
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        let certificates = CertificateDer::pem_slice_iter(self.identity.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(self.identity.as_bytes()).expect("a key");
        builder
            .with_single_cert(certificates.collect::<Result<_, _>>().expect("PEM"), key)
            .expect("a usable certificate")
    }
}

/// An open [`Door`].
pub(crate) struct Opened {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    /// Held by each of them, and twice beside.
    connections: Arc<()>,
}

impl Opened {
    /// The door of another identity, once the connections there are have ended.
    pub(crate) fn change(&self, door: &Door) {
        *self.config.lock().unwrap() = Arc::new(door.config());
        let end = Instant::now() + PATIENCE;
        while Arc::strong_count(&self.connections) > 2 {
            assert!(Instant::now() < end, "a connection does not end");
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}/mcp", self.address)
    }

    /// Whether the client certificate of every connection named `subject`, and there was one.
    pub(crate) fn always_saw(&self, subject: &str) -> bool {
        let seen = self.seen.lock().unwrap();
        let names = |der: &Vec<u8>| der.windows(subject.len()).any(|it| it == subject.as_bytes());
        !seen.is_empty() && seen.iter().all(names)
    }
}

/// Carries bytes both ways until either side ends.
fn carry(
    stream: TcpStream,
    behind: SocketAddr,
    config: Arc<ServerConfig>,
    seen: &Mutex<Vec<Vec<u8>>>,
    silent: bool,
) {
    const TURN: Option<Duration> = Some(Duration::from_millis(5));
    let mut tls = StreamOwned::new(ServerConnection::new(config).expect("a TLS session"), stream);
    while tls.conn.is_handshaking() {
        if tls.conn.complete_io(&mut tls.sock).is_err() {
            return;
        }
    }
    let certificates = tls.conn.peer_certificates().unwrap_or_default();
    let certificate = certificates.first().map(|der| der.to_vec()).unwrap_or_default();
    seen.lock().unwrap().push(certificate);
    if silent {
        return;
    }
    let Ok(mut plain) = TcpStream::connect(behind) else {
        return;
    };
    let _ = (tls.sock.set_read_timeout(TURN), plain.set_read_timeout(TURN));
    while pass(&mut tls, &mut plain) && pass(&mut plain, &mut tls) {}
}

/// One turn in one direction; false when it has ended.
fn pass(from: &mut impl Read, to: &mut impl Write) -> bool {
    let mut chunk = [0; 16_384];
    match from.read(&mut chunk) {
        Ok(0) => false,
        Ok(read) => to.write_all(&chunk[..read]).is_ok() && to.flush().is_ok(),
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

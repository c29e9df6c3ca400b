//! TLS in front of a scripted server, with the certificate of the fixtures.

use super::mcp_server::Server;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

pub(crate) const CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/tls/ca.pem");

/// The address of a TLS port whose connections end at `server`.
pub(crate) fn in_front_of(server: &Server) -> SocketAddr {
    let certificate = include_bytes!("../fixtures/tls/server.pem");
    let key = include_bytes!("../fixtures/tls/server.key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate).expect("a certificate")],
            PrivateKeyDer::from_pem_slice(key).expect("a key"),
        )
        .expect("a usable certificate");
    in_front_with(server, config)
}

/// The same with a configuration of one's own.
pub(crate) fn in_front_with(server: &Server, config: ServerConfig) -> SocketAddr {
    let config = Arc::new(config);
    let behind = server.address();
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bind");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = config.clone();
            thread::spawn(move || carry(stream, behind, config));
        }
    });
    address
}

/// Carries bytes both ways until either side ends.
fn carry(stream: TcpStream, behind: SocketAddr, config: Arc<ServerConfig>) {
    const TURN: Option<Duration> = Some(Duration::from_millis(5));
    let Ok(mut plain) = TcpStream::connect(behind) else {
        return;
    };
    let session = ServerConnection::new(config).expect("a TLS session");
    let mut tls = StreamOwned::new(session, stream);
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

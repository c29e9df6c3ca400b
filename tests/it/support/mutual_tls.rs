//! An authority that gives certificates to clients, and a port that asks for them.

use super::mcp_server::Server;
use super::tls::{Door, Opened};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::SupportedProtocolVersion;

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub(crate) pem: String,
}

/// A certificate and its key, both PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// For a client of this name.
    pub(crate) fn identity(&self, name: &str) -> Identity {
        self.identity_of(name, &KeyPair::generate().expect("a key"))
    }

    pub(crate) fn identity_of(&self, name: &str, key: &KeyPair) -> Identity {
        let certificate = named(name).signed_by(key, &self.issuer).expect("a certificate");
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A port in front of `server` for those whom this authority vouches for.
    pub(crate) fn guard(
        &self,
        server: &Server,
        version: &'static SupportedProtocolVersion,
    ) -> Opened {
        let mut params = named("server");
        params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
        let key = KeyPair::generate().expect("a key");
        let own = params.signed_by(&key, &self.issuer).expect("a certificate");
        let door = Door::new(&(own.pem() + &key.serialize_pem()));
        door.for_clients_of(&self.pem).speaking(version).open(server)
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "People");
    params
}

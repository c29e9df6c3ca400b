//! The certificate that is shown to a server which asks for one, and whether one has asked.

use super::{Tls, TlsRefusal};
use crate::http::ClientError;
use crate::pem;
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, SignatureScheme};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zeroize::Zeroize;

/// Held by one client for all its connections.
pub(in crate::http) struct ClientCertificate {
    key: Option<Arc<CertifiedKey>>,
    shown: Option<String>,
    /// Some server has asked for it: there is no other way to know why one closes a connection.
    asked: AtomicBool,
}

impl ClientCertificate {
    /// Nothing is shown where `tls` has no identity.
    ///
    /// # Errors
    /// `Identity` if certificate and key are no pair that can be used.
    pub(super) fn read(tls: &Tls) -> Result<Self, ClientError> {
        let subject = || {
            let certificate = pem::certificate(tls.identity.as_ref()?.expose()).ok()?;
            Some(certificate.subject).filter(|subject| !subject.is_empty())
        };
        let shown = tls.shown.clone().or_else(subject);
        let unusable = |why: &str| {
            let named = shown.as_ref().map(|shown| format!(" {shown}")).unwrap_or_default();
            let what = format!("the client certificate{named}");
            ClientError::Identity { what, why: why.into() }
        };
        let key = match &tls.identity {
            None => None,
            Some(pem) => Some(Arc::new(pair(pem.expose()).map_err(unusable)?)),
        };
        Ok(Self { key, shown, asked: AtomicBool::new(false) })
    }

    /// There is one.
    pub(in crate::http) fn exists(&self) -> bool {
        self.key.is_some()
    }

    /// A server has asked for it.
    pub(super) fn was_asked_for(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// What to say of a server that does not go on without one that it accepts.
    pub(super) fn refused(&self, why: &'static str) -> TlsRefusal {
        match self.key {
            None => TlsRefusal::CertificateRequired,
            Some(_) => TlsRefusal::CertificateRefused { shown: self.shown.clone(), why },
        }
    }

    /// What may be behind a connection that a server closed without a word, if it asked.
    pub(in crate::http) fn suspicion(&self) -> Option<TlsRefusal> {
        self.was_asked_for().then(|| self.refused("it closes the connection"))
    }
}

fn pair(pem: &[u8]) -> Result<CertifiedKey, &'static str> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|_| "it is no PEM")?;
    if certificates.is_empty() {
        return Err("there is no certificate in it");
    }
    let keys = PrivateKeyDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let mut keys = keys.map_err(|_| "its private key is no PEM")?;
    // The file of the certificate may hold another one before it.
    let signer = keys.last().map(any_supported_type);
    keys.zeroize();
    let signer = signer.ok_or("there is no private key for it")?;
    let signer = signer.map_err(
        |_| "the private key is of no kind that TLS uses here (RSA, P-256, P-384, Ed25519)",
    )?;
    let pair = CertifiedKey::new(certificates, signer);
    let fits = match pair.keys_match() {
        // Not known is no error: the server finds out.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => true,
        Err(Error::InconsistentKeys(_)) => false,
        // What rustls does not read, of version 1 say, it can show all the same.
        Err(_) => {
            let key = pem::public_key(&pair.cert[0]).map_err(|_| "the certificate is damaged")?;
            pair.key.public_key().is_none_or(|own| own.as_ref() == key)
        }
    };
    if fits { Ok(pair) } else { Err("the private key is not the one of this certificate") }
}

impl ResolvesClientCert for ClientCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        self.exists()
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("shown", &self.shown).finish_non_exhaustive()
    }
}

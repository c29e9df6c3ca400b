//! Which servers are believed, and the certificate that is shown to those that ask.

mod client_certificate;
mod refusal;

pub(super) use client_certificate::ClientCertificate;
pub use refusal::TlsRefusal;
pub(super) use refusal::{was_closed, what_tls_says};

use super::ClientError;
use crate::secret::Secret;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

/// What a person or a record says of TLS.
#[derive(Clone, Default)]
pub struct Tls {
    /// PEM: the certificate with what leads to its authority, then its key, unencrypted.
    pub identity: Option<Secret<Vec<u8>>>,
    /// What the certificate is called; its subject without that.
    pub shown: Option<String>,
    /// PEM file with further roots to trust.
    pub ca_cert: Option<PathBuf>,
}

/// Asked when a client is first built, for each client that needs TLS; again after an error.
pub type TlsSource =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Tls, ClientError>> + Send>> + Send + Sync>;

/// The source of what needs no waiting.
pub fn ready_tls(tls: Tls) -> TlsSource {
    Arc::new(move || {
        let tls = tls.clone();
        Box::pin(async move { Ok(tls) })
    })
}

/// How TLS is spoken; reads the CA file and the system's roots.
///
/// # Errors
/// [`ClientError`] if one of the files is of no use.
pub(super) fn configuration(
    tls: &Tls,
) -> Result<(ClientConfig, Arc<ClientCertificate>), ClientError> {
    let provider = Arc::new(ring::default_provider());
    let certificate = Arc::new(ClientCertificate::read(tls)?);
    let verifier = verifier(extra_roots(tls.ca_cert.as_deref())?, &provider)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(certificate.clone());
    config.alpn_protocols = vec!["h2".into(), "http/1.1".into()];
    Ok((config, certificate))
}

/// Believes whom the system believes, and the extra roots.
fn verifier(
    extra: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, ClientError> {
    match Verifier::new_with_extra_roots(extra.clone(), provider.clone()) {
        Ok(verifier) => Ok(Arc::new(verifier)),
        Err(reason) => {
            tracing::warn!(
                %reason,
                "the system's trust store is of no use here; the bundled roots are used instead"
            );
            bundled(extra, provider)
        }
    }
}

fn bundled(
    extra: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, ClientError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(TLS_SERVER_ROOT_CERTS.iter().cloned().chain(extra));
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
    Ok(verifier.build().map_err(|error| ClientError::Tls(error.to_string()))?)
}

fn extra_roots(path: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let unusable = |why: String| ClientError::CaCert { path: path.display().to_string(), why };
    let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let mut roots = Vec::new();
    for root in CertificateDer::pem_slice_iter(&pem) {
        let root = root.map_err(|_| unusable("a certificate in it is no PEM".into()))?;
        let usable = RootCertStore::empty().add(root.clone());
        usable.map_err(|_| unusable("a certificate in it is damaged".into()))?;
        roots.push(root);
    }
    if roots.is_empty() {
        return Err(unusable("it holds no PEM certificate".into()));
    }
    Ok(roots)
}

#[cfg(test)]
pub(crate) mod scripted;
#[cfg(test)]
mod tests;

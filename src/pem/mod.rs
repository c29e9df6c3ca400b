//! Private keys and certificates as files hold them: PEM (RFC 7468) and the ASN.1 inside.
//!
//! Knows which file a person may have by mistake, and says with which `openssl` command
//! it becomes one that can be used.

mod block;
mod certificate;
mod chain;
mod ec_key;
mod encrypted;
mod mistaken;
mod name;
mod private_key;
mod read;
#[cfg(test)]
pub(crate) mod test_keys;
#[cfg(test)]
mod tests;
mod write;

pub use certificate::{Certificate, certificate, public_key};
pub use chain::certificates;
pub use private_key::{KeyKind, PrivateKey, needs_passphrase, private_key};

/// Why a file cannot be used. The texts are complete in themselves and name no path, which
/// the caller does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    #[error("the private key is encrypted, and its passphrase is needed")]
    PassphraseNeeded,
    #[error("the passphrase does not open the private key")]
    WrongPassphrase,
    #[error(
        "it is a PKCS#12 file, not PEM; openssl pkcs12 -in FILE -nokeys -out client.pem takes the \
         certificate out, and openssl pkcs12 -in FILE -nocerts -out client.key the private key, \
         which stays encrypted"
    )]
    Pkcs12,
    #[error("it holds no private key: no line in it reads -----BEGIN PRIVATE KEY-----")]
    NoPrivateKey,
    #[error("it holds no certificate: no line in it reads -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    #[error("the {0} in it is damaged")]
    Damaged(&'static str),
    /// What it is, and how it becomes usable.
    #[error("{0}")]
    Unsupported(String),
}

//! What a person wants to know of a certificate (RFC 5280 section 4.1).

use super::PemError;

/// Of the certificate that is shown to the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// As RFC 4514 writes it: `CN=client,O=Example`.
    pub subject: String,
    /// End of its validity, in seconds since 1970.
    pub not_after: u64,
}

/// The first certificate in `file`, which is the one that belongs to the key.
///
/// # Errors
/// [`PemError`], which tells what the file is instead.
pub fn certificate(_file: &[u8]) -> Result<Certificate, PemError> {
    Err(PemError::NoCertificate)
}

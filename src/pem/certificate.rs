//! What a person wants to know of a certificate (RFC 5280 section 4.1).

use super::block::{blocks, text};
use super::read::{CONTEXT_0, Fields};
use super::{PemError, mistaken, name};
use der::asn1::{GeneralizedTime, UtcTime};
use der::{Encode, Tag, Tagged};

const DAMAGED: PemError = PemError::Damaged("certificate");

/// Of the certificate that is shown to the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// As RFC 4514 writes it: `CN=client,O=Example`; empty where names stand elsewhere in the
    /// certificate. Without control characters, and otherwise not cleaned.
    pub subject: String,
    /// The end of its validity, in seconds since 1970.
    pub not_after: u64,
}

/// The first certificate in `file`, which is the one that belongs to the key; those of the
/// authorities follow.
///
/// # Errors
/// [`PemError`], which tells what the file is instead.
pub fn certificate(file: &[u8]) -> Result<Certificate, PemError> {
    let Some(text) = text(file) else {
        return Err(mistaken::binary(file).unwrap_or(match from_der(file) {
            Ok(_) => mistaken::der_certificate(),
            Err(_) => PemError::NoCertificate,
        }));
    };
    let blocks = blocks(&text);
    match blocks.iter().find(|block| block.label == "CERTIFICATE") {
        Some(block) => from_der(&block.decode("certificate")?),
        None => Err(mistaken::no_certificate(&text, &blocks)),
    }
}

/// The `SubjectPublicKeyInfo` of a certificate of any version, both in DER.
///
/// # Errors
/// [`PemError::Damaged`].
pub fn public_key(der: &[u8]) -> Result<Vec<u8>, PemError> {
    read(der).map(|(_, key)| key).map_err(|_| DAMAGED)
}

pub(super) fn from_der(der: &[u8]) -> Result<Certificate, PemError> {
    read(der).map(|(certificate, _)| certificate).map_err(|_| DAMAGED)
}

/// `Certificate` with its `TBSCertificate`, as far as the public key.
fn read(der: &[u8]) -> der::Result<(Certificate, Vec<u8>)> {
    let mut signed = Fields::of_sequence(der)?.sequence()?;
    // Version 1 does not say so.
    signed.tagged(CONTEXT_0)?;
    for _serial_algorithm_issuer in 0..3 {
        signed.any()?;
    }
    let mut validity = signed.sequence()?;
    validity.any()?;
    let not_after = validity.any()?;
    let not_after = match not_after.tag() {
        Tag::UtcTime => not_after.decode_as::<UtcTime>()?.to_unix_duration(),
        _ => not_after.decode_as::<GeneralizedTime>()?.to_unix_duration(),
    };
    let subject = name::read(&mut signed)?;
    let key = signed.any()?.to_der()?;
    Ok((Certificate { subject, not_after: not_after.as_secs() }, key))
}

//! Private keys: PKCS#8 (RFC 5208, RFC 5958), PKCS#1 (RFC 8017 appendix A.1.2) and SEC1
//! (RFC 5915), all made into the one PKCS#8 form that the TLS stack and `ring` read.

use super::block::{Block, blocks, text};
use super::ec_key::EcKey;
use super::encrypted::Encrypted;
use super::read::{CONTEXT_0, CONTEXT_1_PRIMITIVE, Fields, whole_bytes};
use super::write::{INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, pem, tlv};
use super::{PemError, certificate, ec_key, encrypted, mistaken};
use crate::secret::Secret;
use der::asn1::{AnyRef, ObjectIdentifier};
use std::fmt;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Fewer bits than these protect nothing any more (RFC 7518 section 3.3).
const RSA_BITS: usize = 2048;
/// `ring` signs with no larger ones.
const RSA_BITS_MOST: usize = 4096;

pub(super) const WHAT: &str = "private key";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// A private key, no longer encrypted.
#[derive(Clone)]
pub struct PrivateKey {
    kind: KeyKind,
    pkcs8: Secret<Vec<u8>>,
}

/// What kind of key it is, and so which signatures it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa => "an RSA key",
            Self::P256 => "an EC key on the curve P-256",
            Self::P384 => "an EC key on the curve P-384",
            Self::Ed25519 => "an Ed25519 key",
        })
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl PrivateKey {
    /// Reads unencrypted PKCS#8 in DER.
    ///
    /// # Errors
    /// [`PemError`] if it is none, or of a kind that makes no signature here.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, PemError> {
        let info = Info::from_der(der).map_err(|_| PemError::Damaged(WHAT))?;
        match info.algorithm {
            // The TLS stack and `ring` know an RSA key for PSS only by the common name.
            RSA | RSA_PSS => rsa(info.key),
            EC => ec(info.key, info.parameters, info.public_key),
            ED25519 => ed25519(info.key),
            other => Err(mistaken::other_algorithm(other)),
        }
    }

    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// PKCS#8 in DER.
    pub fn pkcs8_der(&self) -> &Secret<Vec<u8>> {
        &self.pkcs8
    }

    /// PKCS#8 in PEM, not encrypted.
    pub fn to_pem(&self) -> Secret<Vec<u8>> {
        let mut text = pem("PRIVATE KEY", self.pkcs8.expose());
        Secret::new(std::mem::take(&mut *text))
    }
}

/// The first private key in `file`: PKCS#8, PKCS#1 or SEC1, behind whatever else is in it;
/// encrypted PKCS#8 with `passphrase`. PEM, or one key in DER.
///
/// # Errors
/// [`PemError`], which tells what the file is instead.
pub fn private_key(
    file: &Secret<Vec<u8>>,
    passphrase: Option<&Secret<String>>,
) -> Result<PrivateKey, PemError> {
    let file = file.expose();
    let Some(text) = text(file) else { return from_der(file, passphrase) };
    let blocks = blocks(&text);
    match first_key(&blocks) {
        Some(block) => from_block(block, passphrase),
        None => Err(mistaken::no_private_key(&text, &blocks)),
    }
}

/// True if the first private key in `file` is encrypted in a way that [`private_key`] opens.
pub fn needs_passphrase(file: &[u8]) -> bool {
    let Some(text) = text(file) else { return Encrypted::from_der(file).is_ok() };
    match first_key(&blocks(&text)) {
        Some(block) if block.label == ENCRYPTED => {
            block.decode(WHAT).is_ok_and(|der| Encrypted::from_der(&der).is_ok())
        }
        _ => false,
    }
}

fn first_key<'a, 'b>(blocks: &'a [Block<'b>]) -> Option<&'a Block<'b>> {
    blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY"))
}

fn from_block(
    block: &Block<'_>,
    passphrase: Option<&Secret<String>>,
) -> Result<PrivateKey, PemError> {
    if block.legacy_encryption {
        return Err(mistaken::legacy_encryption());
    }
    let der = block.decode(WHAT)?;
    match block.label {
        "PRIVATE KEY" => PrivateKey::from_pkcs8_der(&der),
        ENCRYPTED => open(&der, passphrase),
        "RSA PRIVATE KEY" => rsa(&der),
        "EC PRIVATE KEY" => ec(&der, None, None),
        other => Err(mistaken::other_private_key(other)),
    }
}

fn from_der(der: &[u8], passphrase: Option<&Secret<String>>) -> Result<PrivateKey, PemError> {
    if encrypted::is_outer_form(der) {
        return open(der, passphrase);
    }
    if Info::from_der(der).is_ok() {
        return PrivateKey::from_pkcs8_der(der);
    }
    for read in [rsa(der), ec(der, None, None)] {
        if !matches!(read, Err(PemError::Damaged(_))) {
            return read;
        }
    }
    Err(mistaken::binary(der).unwrap_or(match certificate::from_der(der) {
        Ok(_) => mistaken::only_certificate(),
        Err(_) => PemError::NoPrivateKey,
    }))
}

fn open(der: &[u8], passphrase: Option<&Secret<String>>) -> Result<PrivateKey, PemError> {
    let encrypted = Encrypted::from_der(der)?;
    let opened = encrypted.decrypt(passphrase.ok_or(PemError::PassphraseNeeded)?)?;
    // Padding that fits by chance leaves bytes that are no key.
    Info::from_der(&opened).map_err(|_| PemError::WrongPassphrase)?;
    PrivateKey::from_pkcs8_der(&opened)
}

/// `PrivateKeyInfo` (RFC 5208 section 5), `OneAsymmetricKey` (RFC 5958 section 2).
struct Info<'a> {
    algorithm: ObjectIdentifier,
    parameters: Option<AnyRef<'a>>,
    key: &'a [u8],
    public_key: Option<&'a [u8]>,
}

impl<'a> Info<'a> {
    fn from_der(der: &'a [u8]) -> der::Result<Self> {
        let mut info = Fields::of_sequence(der)?;
        info.number()?;
        let (algorithm, parameters) = info.algorithm()?;
        let key = info.octet_string()?;
        // Attributes mean nothing here.
        info.tagged(CONTEXT_0)?;
        let public_key = info.tagged(CONTEXT_1_PRIMITIVE)?.map(whole_bytes);
        Ok(Self { algorithm, parameters, key, public_key })
    }
}

fn rsa(pkcs1: &[u8]) -> Result<PrivateKey, PemError> {
    let modulus = |pkcs1| {
        let mut key = Fields::of_sequence(pkcs1)?;
        key.number()?;
        key.integer()
    };
    let modulus: der::Result<&[u8]> = modulus(pkcs1);
    let modulus = modulus.map_err(|_| PemError::Damaged(WHAT))?;
    let spare = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = modulus.len() * 8 - spare;
    if !(RSA_BITS..=RSA_BITS_MOST).contains(&bits) {
        return Err(mistaken::rsa_size(bits));
    }
    // NULL parameters, as RFC 3279 section 2.3.1 wants them.
    Ok(pkcs8(KeyKind::Rsa, RSA, &[5, 0], pkcs1))
}

fn ed25519(key: &[u8]) -> Result<PrivateKey, PemError> {
    // RFC 8410 section 7: an OCTET STRING in the OCTET STRING.
    let seed = Fields::new(key).and_then(|mut key| key.octet_string());
    if seed.map_err(|_| PemError::Damaged(WHAT))?.len() != 32 {
        return Err(PemError::Damaged(WHAT));
    }
    Ok(pkcs8(KeyKind::Ed25519, ED25519, &[], key))
}

fn ec(
    key: &[u8],
    outer_curve: Option<AnyRef<'_>>,
    outer_public: Option<&[u8]>,
) -> Result<PrivateKey, PemError> {
    let EcKey { kind, curve, key } = ec_key::read(key, outer_curve, outer_public)?;
    Ok(pkcs8(kind, EC, &tlv(OBJECT_IDENTIFIER, &[curve.as_bytes()]), &key))
}

fn pkcs8(kind: KeyKind, algorithm: ObjectIdentifier, parameters: &[u8], key: &[u8]) -> PrivateKey {
    let oid = tlv(OBJECT_IDENTIFIER, &[algorithm.as_bytes()]);
    let algorithm = tlv(SEQUENCE, &[&oid, parameters]);
    let key = tlv(OCTET_STRING, &[key]);
    let mut der = tlv(SEQUENCE, &[&[INTEGER, 1, 0], &algorithm, &key]);
    PrivateKey { kind, pkcs8: Secret::new(std::mem::take(&mut *der)) }
}

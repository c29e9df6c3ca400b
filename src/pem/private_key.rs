//! Private keys: PKCS#8 (RFC 5208, RFC 5958), PKCS#1 (RFC 8017 appendix A.1.2) and SEC1
//! (RFC 5915), all made into the one PKCS#8 form that the TLS stack and `ring` read.

use super::block::{Block, blocks, text};
use super::encrypted::Encrypted;
use super::write::{
    BIT_STRING, CONTEXT_1, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, pem, tlv,
};
use super::{PemError, certificate, encrypted, mistaken};
use crate::secret::Secret;
use der::asn1::{AnyRef, BitStringRef, ContextSpecific, ObjectIdentifier, OctetStringRef, UintRef};
use der::{Decode, Reader, SliceReader, TagMode, TagNumber};
use std::fmt;
use zeroize::Zeroizing;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Fewer bits than these protect nothing any more (RFC 7518 section 3.3).
const RSA_BITS: usize = 2048;
/// `ring` signs with no larger ones.
const RSA_BITS_MOST: usize = 4096;

const WHAT: &str = "private key";
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
    if let Ok(key) = rsa(der).or_else(|_| ec(der, None, None)) {
        return Ok(key);
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
        let mut outer = SliceReader::new(der)?;
        outer.sequence(|info| {
            u8::decode(info)?;
            let (algorithm, parameters) = info.sequence(|algorithm| {
                let oid = ObjectIdentifier::decode(algorithm)?;
                let parameters = Option::<AnyRef<'_>>::decode(algorithm)?;
                Ok::<_, der::Error>((oid, parameters))
            })?;
            let key = <&OctetStringRef>::decode(info)?.as_bytes();
            let mut public_key = None;
            while !info.is_finished() {
                // Attributes mean nothing here.
                let field = info.tlv_bytes()?;
                public_key = public_key.or_else(|| implicit_public_key(field));
            }
            Ok(Self { algorithm, parameters, key, public_key })
        })
    }
}

fn implicit_public_key(field: &[u8]) -> Option<&[u8]> {
    let mut field = SliceReader::new(field).ok()?;
    let key = ContextSpecific::<BitStringRef<'_>>::decode_implicit(&mut field, TagNumber(1));
    Some(key.ok()??.value.raw_bytes())
}

fn rsa(pkcs1: &[u8]) -> Result<PrivateKey, PemError> {
    let modulus = |key: &mut SliceReader<'_>| {
        key.sequence(|key| {
            u8::decode(key)?;
            let bytes = UintRef::decode(key)?.as_bytes();
            while !key.is_finished() {
                key.tlv_bytes()?;
            }
            let spare = bytes.first().map_or(0, |byte| byte.leading_zeros() as usize);
            Ok::<_, der::Error>(bytes.len() * 8 - spare)
        })
    };
    let bits = SliceReader::new(pkcs1).and_then(|mut key| modulus(&mut key));
    let bits = bits.map_err(|_| PemError::Damaged(WHAT))?;
    if !(RSA_BITS..=RSA_BITS_MOST).contains(&bits) {
        return Err(mistaken::rsa_size(bits));
    }
    // NULL parameters, as RFC 3279 section 2.3.1 wants them.
    Ok(pkcs8(KeyKind::Rsa, RSA, &[5, 0], pkcs1))
}

fn ed25519(key: &[u8]) -> Result<PrivateKey, PemError> {
    // RFC 8410 section 7: an OCTET STRING in the OCTET STRING.
    let seed = <&OctetStringRef>::from_der(key).map_err(|_| PemError::Damaged(WHAT))?;
    if seed.as_bytes().len() != 32 {
        return Err(PemError::Damaged(WHAT));
    }
    Ok(pkcs8(KeyKind::Ed25519, ED25519, &[], key))
}

/// `ECPrivateKey` (RFC 5915 section 3); curve and public key may also stand around it.
fn ec(
    key: &[u8],
    outer_curve: Option<AnyRef<'_>>,
    outer_public: Option<&[u8]>,
) -> Result<PrivateKey, PemError> {
    let read = |key: &mut SliceReader<'_>| {
        key.sequence(|key| {
            u8::decode(key)?;
            let scalar = Zeroizing::new(<&OctetStringRef>::decode(key)?.as_bytes().to_vec());
            let curve = ContextSpecific::<AnyRef<'_>>::decode_explicit(key, TagNumber(0))?;
            let curve = curve
                .map(|field| field.value)
                .or(outer_curve)
                .map(|curve| curve.decode_as::<ObjectIdentifier>());
            let public =
                key.context_specific::<BitStringRef<'_>>(TagNumber(1), TagMode::Explicit)?;
            let public = public.map(|bits| bits.raw_bytes().to_vec());
            Ok::<_, der::Error>((scalar, curve, public))
        })
    };
    let parts = SliceReader::new(key).and_then(|mut key| read(&mut key));
    let (scalar, curve, public) = parts.map_err(|_| PemError::Damaged(WHAT))?;
    let (kind, oid, size) = match curve {
        Some(Ok(P256)) => (KeyKind::P256, P256, 32),
        Some(Ok(P384)) => (KeyKind::P384, P384, 48),
        Some(Ok(other)) => return Err(mistaken::other_curve(other)),
        Some(Err(_)) => return Err(mistaken::incomplete_ec("its curve is spelled out, not named")),
        None => return Err(mistaken::incomplete_ec("it does not name its curve")),
    };
    let public = public.or_else(|| outer_public.map(<[u8]>::to_vec));
    let public = match public.as_deref() {
        Some(point @ [4, ..]) if point.len() == 1 + 2 * size => point,
        Some([2 | 3, ..]) => {
            return Err(mistaken::incomplete_ec("the public key in it is compressed"));
        }
        Some(_) => return Err(PemError::Damaged(WHAT)),
        None => {
            return Err(mistaken::incomplete_ec("the public key that belongs to it is missing"));
        }
    };
    // Some programs leave out leading zeros, others have one too many.
    let significant = &scalar[scalar.iter().take_while(|byte| **byte == 0).count()..];
    let missing = size.checked_sub(significant.len()).ok_or(PemError::Damaged(WHAT))?;
    let scalar = tlv(OCTET_STRING, &[&[0; 48][..missing], significant]);
    let public = tlv(CONTEXT_1, &[&tlv(BIT_STRING, &[&[0], public])]);
    let key = tlv(SEQUENCE, &[&[INTEGER, 1, 1], &scalar, &public]);
    Ok(pkcs8(kind, EC, &tlv(OBJECT_IDENTIFIER, &[oid.as_bytes()]), &key))
}

fn pkcs8(kind: KeyKind, algorithm: ObjectIdentifier, parameters: &[u8], key: &[u8]) -> PrivateKey {
    let oid = tlv(OBJECT_IDENTIFIER, &[algorithm.as_bytes()]);
    let algorithm = tlv(SEQUENCE, &[&oid, parameters]);
    let key = tlv(OCTET_STRING, &[key]);
    let mut der = tlv(SEQUENCE, &[&[INTEGER, 1, 0], &algorithm, &key]);
    PrivateKey { kind, pkcs8: Secret::new(std::mem::take(&mut *der)) }
}

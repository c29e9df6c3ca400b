//! Elliptic curve private keys: SEC1 (RFC 5915 section 3), alone or inside PKCS#8.

use super::private_key::{KeyKind, WHAT};
use super::read::{CONTEXT_0, CONTEXT_1, Fields, oid};
use super::write::{BIT_STRING, INTEGER, OCTET_STRING, SEQUENCE, tlv};
use super::{PemError, mistaken};
use der::asn1::{AnyRef, ObjectIdentifier};
use zeroize::Zeroizing;

const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

pub(super) struct EcKey {
    pub(super) kind: KeyKind,
    pub(super) curve: ObjectIdentifier,
    /// `ECPrivateKey` with the public key and without the curve.
    pub(super) key: Zeroizing<Vec<u8>>,
}

/// `ECPrivateKey` as it was found.
struct Found<'a> {
    scalar: &'a [u8],
    curve: Option<AnyRef<'a>>,
    public: Option<&'a [u8]>,
}

impl<'a> Found<'a> {
    fn from_der(der: &'a [u8]) -> der::Result<Self> {
        let mut key = Fields::of_sequence(der)?;
        key.number()?;
        let scalar = key.octet_string()?;
        let curve = match key.tagged(CONTEXT_0)? {
            Some(curve) => Some(Fields::new(curve)?.any()?),
            None => None,
        };
        let public = match key.tagged(CONTEXT_1)? {
            Some(public) => Some(Fields::new(public)?.bit_string()?),
            None => None,
        };
        Ok(Self { scalar, curve, public })
    }
}

/// Reads `ECPrivateKey`; PKCS#8 has the curve, and perhaps the public key, around it.
///
/// # Errors
/// `Unsupported` for another curve, and for a key that lacks what `ring` needs, with the
/// command that completes it.
pub(super) fn read(
    der: &[u8],
    outer_curve: Option<AnyRef<'_>>,
    outer_public: Option<&[u8]>,
) -> Result<EcKey, PemError> {
    let found = Found::from_der(der).map_err(|_| PemError::Damaged(WHAT))?;
    let incomplete = |why| Err(mistaken::incomplete_ec(why));
    let Some(curve) = found.curve.or(outer_curve) else {
        return incomplete("it does not name its curve");
    };
    let (kind, curve, size) = match oid(curve) {
        Ok(P256) => (KeyKind::P256, P256, 32),
        Ok(P384) => (KeyKind::P384, P384, 48),
        Ok(other) => return Err(mistaken::other_curve(other)),
        Err(_) => return incomplete("its curve is spelled out, not named"),
    };
    // The first byte tells the form of the point (SEC 1 section 2.3.3).
    let public = match found.public.or(outer_public) {
        Some(point @ [4, ..]) if point.len() == 1 + 2 * size => point,
        Some([2 | 3, ..]) => return incomplete("the public key in it is compressed"),
        Some(_) => return Err(PemError::Damaged(WHAT)),
        None => return incomplete("the public key that belongs to it is missing"),
    };
    // Some programs leave out leading zeros, others have one too many.
    let zeros = found.scalar.iter().take_while(|byte| **byte == 0).count();
    let scalar = &found.scalar[zeros..];
    let missing = size.checked_sub(scalar.len()).ok_or(PemError::Damaged(WHAT))?;
    let scalar = tlv(OCTET_STRING, &[&[0; 48][..missing], scalar]);
    let public = tlv(CONTEXT_1, &[&tlv(BIT_STRING, &[&[0], public])]);
    let key = tlv(SEQUENCE, &[&[INTEGER, 1, 1], &scalar, &public]);
    Ok(EcKey { kind, curve, key })
}

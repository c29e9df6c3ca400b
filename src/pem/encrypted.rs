//! Encrypted PKCS#8 (RFC 5958 section 3) under a passphrase: PBES2 (RFC 8018 section 6.2).

use super::PemError;
use crate::secret::Secret;
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Reader, SliceReader};
use zeroize::Zeroizing;

/// True for the outer form of an encrypted key, whatever it is encrypted with.
pub(super) fn is_encrypted(der: &[u8]) -> bool {
    outer(der).is_ok()
}

fn outer(der: &[u8]) -> der::Result<(ObjectIdentifier, Option<AnyRef<'_>>, &[u8])> {
    SliceReader::new(der)?.sequence(|info| {
        let (scheme, parameters) = info.sequence(|scheme| {
            let oid = ObjectIdentifier::decode(scheme)?;
            Ok::<_, der::Error>((oid, Option::<AnyRef<'_>>::decode(scheme)?))
        })?;
        let data = <&OctetStringRef>::decode(info)?.as_bytes();
        Ok((scheme, parameters, data))
    })
}

pub(super) fn decrypt(
    _der: &[u8],
    _passphrase: &Secret<String>,
) -> Result<Zeroizing<Vec<u8>>, PemError> {
    Err(PemError::Unsupported("not yet".to_owned()))
}

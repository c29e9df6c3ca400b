//! Encrypted PKCS#8 (RFC 5958 section 3) under a passphrase: PBES2 (RFC 8018 section 6.2)
//! with PBKDF2 or scrypt (RFC 7914) and AES or, as older OpenSSL writes it, triple DES.

use super::read::Fields;
use super::write::INTEGER;
use super::{PemError, mistaken};
use crate::secret::Secret;
use aes::cipher::{Array, BlockCipherDecrypt, KeyInit};
use aes::{Aes128, Aes256};
use der::asn1::{AnyRef, ObjectIdentifier};
use des::TdesEde3;
use ring::pbkdf2;
use std::num::NonZeroU32;
use zeroize::Zeroizing;

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const SCRYPT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11591.4.11");
const HMAC_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");
const HMAC_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const HMAC_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.10");
const HMAC_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.11");
const AES_128_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.2");
const AES_256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");
const DES_EDE3_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.3.7");

/// Some seconds of a slow machine, and ten times what is recommended today.
const ITERATIONS: u64 = 10_000_000;
/// What scrypt may fill, in bytes; OpenSSL's keys take 16 MiB.
const SCRYPT_MEMORY: u64 = 256 << 20;
const SCRYPT_PARALLELISM: u64 = 16;

/// An encrypted private key, and how it is opened.
pub(super) struct Encrypted<'a> {
    derivation: Derivation<'a>,
    cipher: Cipher,
    initialization_vector: &'a [u8],
    data: &'a [u8],
}

enum Derivation<'a> {
    Pbkdf2 { salt: &'a [u8], iterations: NonZeroU32, hash: pbkdf2::Algorithm },
    Scrypt { salt: &'a [u8], parameters: scrypt::Params },
}

#[derive(Clone, Copy)]
enum Cipher {
    Aes128,
    Aes256,
    TripleDes,
}

/// `AlgorithmIdentifier` (RFC 5280 section 4.1.1.2).
struct Algorithm<'a> {
    oid: ObjectIdentifier,
    parameters: Option<AnyRef<'a>>,
}

impl<'a> Algorithm<'a> {
    fn read(from: &mut Fields<'a>) -> der::Result<Self> {
        from.algorithm().map(|(oid, parameters)| Self { oid, parameters })
    }

    fn parameters(&self) -> Result<Fields<'a>, PemError> {
        let parameters = self.parameters.ok_or(DAMAGED)?;
        Fields::new(parameters.value()).map_err(damaged)
    }

    fn unknown(&self) -> PemError {
        mistaken::encryption(&format!("in a way that is not read here ({})", self.oid))
    }
}

const DAMAGED: PemError = PemError::Damaged("private key");

fn damaged(_: der::Error) -> PemError {
    DAMAGED
}

/// True for the outer form of an encrypted key, whatever it is encrypted with.
pub(super) fn is_outer_form(der: &[u8]) -> bool {
    outer(der).is_ok()
}

fn outer(der: &[u8]) -> der::Result<(Algorithm<'_>, &[u8])> {
    let mut info = Fields::of_sequence(der)?;
    Ok((Algorithm::read(&mut info)?, info.octet_string()?))
}

impl<'a> Encrypted<'a> {
    /// Looks at how the key is encrypted; opens nothing.
    ///
    /// # Errors
    /// `Unsupported` for a way that is not read, with the command that encrypts it anew.
    pub(super) fn from_der(der: &'a [u8]) -> Result<Self, PemError> {
        let (scheme, data) = outer(der).map_err(damaged)?;
        if scheme.oid != PBES2 {
            return Err(scheme.unknown());
        }
        let mut parameters = scheme.parameters()?;
        let derivation = Algorithm::read(&mut parameters).map_err(damaged)?;
        let cipher = Algorithm::read(&mut parameters).map_err(damaged)?;
        let derivation = match derivation.oid {
            PBKDF2 => pbkdf2(&derivation)?,
            SCRYPT => scrypt(&derivation)?,
            _ => return Err(derivation.unknown()),
        };
        let kind = match cipher.oid {
            AES_128_CBC => Cipher::Aes128,
            AES_256_CBC => Cipher::Aes256,
            DES_EDE3_CBC => Cipher::TripleDes,
            _ => return Err(cipher.unknown()),
        };
        let vector = cipher.parameters.ok_or(DAMAGED)?;
        Ok(Self { derivation, cipher: kind, initialization_vector: vector.value(), data })
    }

    /// The PKCS#8 inside.
    ///
    /// # Errors
    /// `WrongPassphrase`, unless the wrong one fits by chance.
    pub(super) fn decrypt(
        &self,
        passphrase: &Secret<String>,
    ) -> Result<Zeroizing<Vec<u8>>, PemError> {
        let key = self.key(passphrase.expose().as_bytes())?;
        let opened = match self.cipher {
            Cipher::Aes128 => self.open::<Aes128>(&key),
            Cipher::Aes256 => self.open::<Aes256>(&key),
            Cipher::TripleDes => self.open::<TdesEde3>(&key),
        };
        opened.ok_or(PemError::WrongPassphrase)
    }

    fn key(&self, passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, PemError> {
        let length = match self.cipher {
            Cipher::Aes128 => 16,
            Cipher::TripleDes => 24,
            Cipher::Aes256 => 32,
        };
        let mut key = Zeroizing::new(vec![0; length]);
        match &self.derivation {
            Derivation::Pbkdf2 { salt, iterations, hash } => {
                pbkdf2::derive(*hash, *iterations, salt, passphrase, &mut key);
            }
            Derivation::Scrypt { salt, parameters } => {
                scrypt::scrypt(passphrase, salt, parameters, &mut key).map_err(|_| DAMAGED)?;
            }
        }
        Ok(key)
    }

    /// Cipher block chaining (RFC 8018 appendix B.2), block by block: what crate `cbc` would do
    /// to many at once costs more of the executable than a key is worth.
    fn open<C: KeyInit + BlockCipherDecrypt>(&self, key: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let cipher = C::new_from_slice(key).ok()?;
        let size = self.initialization_vector.len();
        if size != C::block_size() || self.data.is_empty() || !self.data.len().is_multiple_of(size)
        {
            return None;
        }
        let mut data = Zeroizing::new(self.data.to_vec());
        let mut chained = self.initialization_vector;
        for (block, encrypted) in data.chunks_mut(size).zip(self.data.chunks(size)) {
            cipher.decrypt_block(<&mut Array<u8, C::BlockSize>>::try_from(&mut *block).ok()?);
            block.iter_mut().zip(chained).for_each(|(byte, other)| *byte ^= other);
            chained = encrypted;
        }
        // Each byte of the padding tells how many there are.
        let padding = usize::from(*data.last()?);
        let length = data.len().checked_sub(padding).filter(|_| (1..=size).contains(&padding))?;
        if data[length..].iter().any(|byte| usize::from(*byte) != padding) {
            return None;
        }
        data.truncate(length);
        Some(data)
    }
}

/// `PBKDF2-params` (RFC 8018 appendix A.2).
fn pbkdf2<'a>(derivation: &Algorithm<'a>) -> Result<Derivation<'a>, PemError> {
    let mut parameters = derivation.parameters()?;
    let salt = parameters.octet_string().map_err(damaged)?;
    let iterations = parameters.number().map_err(damaged)?;
    // The length of the key follows from the cipher.
    parameters.tagged(INTEGER).map_err(damaged)?;
    let hash = if parameters.is_finished() {
        pbkdf2::PBKDF2_HMAC_SHA1
    } else {
        let function = Algorithm::read(&mut parameters).map_err(damaged)?;
        match function.oid {
            HMAC_SHA1 => pbkdf2::PBKDF2_HMAC_SHA1,
            HMAC_SHA256 => pbkdf2::PBKDF2_HMAC_SHA256,
            HMAC_SHA384 => pbkdf2::PBKDF2_HMAC_SHA384,
            HMAC_SHA512 => pbkdf2::PBKDF2_HMAC_SHA512,
            _ => return Err(function.unknown()),
        }
    };
    if iterations > ITERATIONS {
        return Err(mistaken::encryption("with more iterations than keyferry waits for"));
    }
    let iterations = u32::try_from(iterations).ok().and_then(NonZeroU32::new).ok_or(DAMAGED)?;
    Ok(Derivation::Pbkdf2 { salt, iterations, hash })
}

/// `scrypt-params` (RFC 7914 section 7.1).
fn scrypt<'a>(derivation: &Algorithm<'a>) -> Result<Derivation<'a>, PemError> {
    let mut parameters = derivation.parameters()?;
    let salt = parameters.octet_string().map_err(damaged)?;
    let cost = parameters.number().map_err(damaged)?;
    let block_size = parameters.number().map_err(damaged)?;
    let parallelism = parameters.number().map_err(damaged)?;
    let memory = cost.saturating_mul(block_size).saturating_mul(128);
    if memory > SCRYPT_MEMORY || parallelism > SCRYPT_PARALLELISM {
        return Err(mistaken::encryption("with more work than keyferry does"));
    }
    if !cost.is_power_of_two() {
        return Err(DAMAGED);
    }
    let parameters = scrypt::Params::new(cost.ilog2() as u8, block_size as u32, parallelism as u32);
    Ok(Derivation::Scrypt { salt, parameters: parameters.map_err(|_| DAMAGED)? })
}

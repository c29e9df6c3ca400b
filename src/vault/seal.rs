//! Sealing: XChaCha20-Poly1305 with a random nonce for every write.
//!
//! The associated data are the record's file id and its clear header, so neither can be
//! changed, and no record can be put in another's place.

use super::error::VaultError;
use super::record::hex;
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use std::path::Path;
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// The vault key: 256 random bits.
#[derive(Clone)]
pub(super) struct Key(Secret<[u8; KEY_BYTES]>);

impl Key {
    pub(super) fn random() -> Result<Self, VaultError> {
        let mut bytes = [0; KEY_BYTES];
        fill_random(&mut bytes)?;
        Ok(Self::from_bytes(bytes))
    }

    pub(super) fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The key as text: some keychains take UTF-8 only.
    pub(super) fn to_text(&self) -> Secret<String> {
        Secret::new(STANDARD_NO_PAD.encode(self.0.expose()))
    }

    /// The key that `to_text` wrote; `None` for any other text.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; 2 * KEY_BYTES]);
        let length = STANDARD_NO_PAD.decode_slice(text.trim_end(), bytes.as_mut_slice()).ok()?;
        (length == KEY_BYTES).then(|| {
            let mut key = [0; KEY_BYTES];
            key.copy_from_slice(&bytes[..KEY_BYTES]);
            Self::from_bytes(key)
        })
    }

    /// Tells keys apart without telling anything about them.
    pub(super) fn id(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"keyferry vault key id\0");
        hash.update(self.0.expose());
        hex(&hash.finalize()[..8])
    }

    /// Seals `plain`: nonce and ciphertext, bound to `file_id` and `header`.
    pub(super) fn seal(
        &self,
        plain: &[u8],
        file_id: &str,
        header: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0; NONCE_BYTES];
        fill_random(&mut nonce)?;
        // Its full size at once: a vector that grows would leave clear copies behind.
        let mut buffer = Vec::with_capacity(plain.len() + TAG_BYTES);
        buffer.extend_from_slice(plain);
        self.cipher()
            .encrypt_in_place(&XNonce::from(nonce), &associated(file_id, header), &mut buffer)
            .map_err(|_| VaultError::corrupt(Path::new(file_id), "it is too long to be sealed"))?;
        let mut sealed = nonce.to_vec();
        sealed.append(&mut buffer);
        Ok(sealed)
    }

    /// Opens what `seal` made; `None` if a bit of it, of the id or of the header was changed,
    /// or if it was sealed with another key.
    pub(super) fn open(
        &self,
        sealed: &[u8],
        file_id: &str,
        header: &[u8],
    ) -> Option<Secret<Vec<u8>>> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let mut buffer = ciphertext.to_vec();
        self.cipher()
            .decrypt_in_place(&XNonce::from(*nonce), &associated(file_id, header), &mut buffer)
            .ok()?;
        Some(Secret::new(buffer))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.expose().into())
    }
}

fn associated(file_id: &str, header: &[u8]) -> Vec<u8> {
    [file_id.as_bytes(), b"\n", header].concat()
}

/// Fills `bytes` from the operating system's generator.
pub(super) fn fill_random(bytes: &mut [u8]) -> Result<(), VaultError> {
    getrandom::fill(bytes).map_err(|error| {
        VaultError::io(
            "read",
            Path::new("the random generator"),
            std::io::Error::other(error.to_string()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_bytes_open_again_and_say_nothing() {
        let key = Key::random().unwrap();
        for length in [0, 1, 6 * 1024, 200 * 1024] {
            let plain = vec![b'x'; length];
            let sealed = key.seal(&plain, "id", b"header\n").unwrap();
            assert_eq!(sealed.len(), length + NONCE_BYTES + TAG_BYTES);
            assert!(memchr::memmem::find(&sealed, b"xxxxxxxx").is_none());
            let opened = key.open(&sealed, "id", b"header\n").unwrap();
            assert_eq!(opened.expose(), &plain);
        }
    }

    #[test]
    fn no_bit_can_be_changed() {
        let key = Key::random().unwrap();
        let sealed = key.seal(b"secret", "id", b"header\n").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open(&changed, "id", b"header\n").is_none(), "byte {at}");
            assert!(key.open(&sealed[..at], "id", b"header\n").is_none(), "cut at {at}");
        }
        assert!(key.open(&sealed, "id", b"Header\n").is_none());
        assert!(key.open(&sealed, "di", b"header\n").is_none());
        assert!(Key::random().unwrap().open(&sealed, "id", b"header\n").is_none());
    }

    #[test]
    fn two_writes_never_share_a_nonce() {
        let key = Key::random().unwrap();
        let one = key.seal(b"secret", "id", b"").unwrap();
        let two = key.seal(b"secret", "id", b"").unwrap();
        assert_ne!(one[..NONCE_BYTES], two[..NONCE_BYTES]);
        assert_ne!(one[NONCE_BYTES..], two[NONCE_BYTES..]);
    }

    #[test]
    fn a_key_survives_its_text_and_nothing_else_passes_for_one() {
        let key = Key::random().unwrap();
        let text = key.to_text();
        assert!(text.expose().is_ascii());
        let again = Key::from_text(&format!("{}\n", text.expose())).unwrap();
        assert_eq!(again.id(), key.id());
        assert!(!text.expose().contains(&key.id()));
        for other in ["", "hello", &text.expose()[1..], "💥"] {
            assert!(Key::from_text(other).is_none());
        }
        assert!(Key::from_text(&"A".repeat(44)).is_none());
    }
}

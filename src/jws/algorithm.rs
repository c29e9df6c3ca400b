//! The `alg` of a signature (RFC 7518 section 3.1, RFC 8037 section 3.1).

use crate::pem::KeyKind;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a token is signed. `none` is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    PS256,
    ES256,
    EdDSA,
}

impl Algorithm {
    /// All of them, in the order in which help texts name them.
    pub const ALL: [Self; 7] =
        [Self::HS256, Self::HS384, Self::HS512, Self::RS256, Self::PS256, Self::ES256, Self::EdDSA];

    /// The registered name, which is the value of `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
        }
    }

    /// The one with this registered name, which is case-sensitive.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// True if both sides share a secret, false if there is a private key.
    pub fn is_symmetric(self) -> bool {
        self.key_kind().is_none()
    }

    /// The kind of private key it is made with; `None` for those with a shared secret.
    pub fn key_kind(self) -> Option<KeyKind> {
        match self {
            Self::HS256 | Self::HS384 | Self::HS512 => None,
            Self::RS256 | Self::PS256 => Some(KeyKind::Rsa),
            Self::ES256 => Some(KeyKind::P256),
            Self::EdDSA => Some(KeyKind::Ed25519),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

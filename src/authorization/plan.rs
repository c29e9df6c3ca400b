//! What the flags ask for.

use super::{Kind, OAuthPlan};
use crate::credential::api_key::Placement;
use crate::secret::Secret;
use reqwest::header::HeaderName;

/// A header given by flags, with the named secrets that it still needs.
pub struct HeaderTemplate {
    pub name: HeaderName,
    pub parts: Vec<HeaderPart>,
}

/// A piece of a header's value.
pub enum HeaderPart {
    Text(Secret<String>),
    /// The named secret of the vault.
    Vault(String),
}

/// What the flags ask for; what they leave open, the record in the vault decides.
#[derive(Default)]
pub struct Plan {
    /// `--with`.
    pub kind: Option<Kind>,
    /// `--key-header` or `--key-scheme`.
    pub placement: Option<Placement>,
    /// The key of `--secret-env` or `--secret-file`.
    pub key: Option<Secret<String>>,
    /// `--header` and `--header-file`.
    pub headers: Vec<HeaderTemplate>,
    pub oauth: OAuthPlan,
}

//! Credentials that are no OAuth tokens: how each kind becomes headers, and what a header
//! template may refer to. Knows no vault and asks no server.

pub mod api_key;
pub mod cloudflare_access;
pub mod command;
pub mod details;
pub mod header;
mod json;
pub mod jwt;
pub mod key_file;
mod lifetime;
pub mod password;
pub mod template;
pub mod words;

use crate::secret::Secret;
use reqwest::header::{HeaderName, HeaderValue};

/// Headers made from what was taught, good until some time.
#[derive(Debug, Clone)]
pub struct Minted {
    /// The values are marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The bare token in them, where there is one.
    pub key: Option<Secret<String>>,
    /// In seconds since 1970; none: until it is refused.
    pub expires_at: Option<u64>,
}

//! Credentials that are no OAuth tokens: how a key becomes a header, and what a header
//! template may refer to. Knows no vault.

pub mod api_key;
pub mod template;

//! OAuth 2.1 for MCP: from a challenge to a token set, and what becomes of it.
//!
//! Knows no vault, no stdio and no environment; what it learns it returns.

mod asking;
pub mod authorization_request;
pub mod browser;
pub mod cache;
pub mod challenge;
pub mod client;
mod client_assertion;
pub mod clock;
pub mod device;
pub mod discovery;
pub mod dpop;
mod encoding;
mod error_response;
pub mod grant;
pub mod identity;
pub mod metadata;
mod page;
pub mod redirect;
pub mod registration;
mod response;
pub mod revocation;
#[cfg(test)]
mod scripted;
pub mod token;
mod web;

pub use asking::Asking;
pub use challenge::Challenge;
pub use client::Client;
pub use client_assertion::AssertionKey;
pub use dpop::ProofKey;
pub use error_response::{ErrorResponse, Unavailable};
pub use token::{TokenError, TokenSet};
pub use web::{Answer, HeadersSource, Web, WebError, host, host_of};

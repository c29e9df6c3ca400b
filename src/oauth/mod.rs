//! OAuth 2.1 for MCP: from a challenge to a token set, and what becomes of it.
//!
//! Knows no vault, no stdio and no environment; what it learns it returns.

pub mod cache;
pub mod challenge;
pub mod discovery;
pub mod metadata;
mod web;

pub use challenge::Challenge;
pub use web::{Answer, Web, WebError};

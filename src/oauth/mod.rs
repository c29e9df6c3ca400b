//! OAuth 2.1 for MCP: from a challenge to a token set, and what becomes of it.
//!
//! Knows no vault, no stdio and no environment; what it learns it returns.

pub mod browser;
mod page;
pub mod redirect;
mod web;

pub use web::{Answer, Web, WebError};

//! keyferry
pub mod secret;

//! keyferry
pub mod secret;
pub mod vault;

//! How messages travel to a remote. Knows no token, no vault and no command line: it is
//! given headers and returns what came back as a value.

pub mod metadata;
pub mod sse;
mod streamable_http;

pub use streamable_http::{Body, Content, EventStream, Lost, Reply, SendFailure, StreamableHttp};

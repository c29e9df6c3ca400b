//! How messages travel to a remote. Knows no token, no vault and no command line: it is
//! given headers and returns what came back as a value.

mod body;
mod connections;
pub mod http_sse;
pub mod metadata;
mod send_failure;
pub mod sse;
mod streamable_http;

pub use crate::http::RequestHeaders;
pub use body::{Body, EventStream, Lost};
pub use send_failure::SendFailure;
pub use streamable_http::{Content, Reply, StreamableHttp};

/// Which of Streamable HTTP and HTTP+SSE a remote may speak, in the order to try them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transports {
    HttpFirst,
    HttpOnly,
    SseFirst,
    SseOnly,
}

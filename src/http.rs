//! The one place an HTTP client is built, and what its addresses, bodies and failures mean.

mod addresses;
mod client_cell;
mod headers;
mod proxy;
mod readable;
mod sleep;
mod times;
mod tls;

pub use addresses::{AddressPolicy, ForbiddenAddress, Reach, is_forbidden_address, reach_of};
pub use client_cell::ClientCell;
pub use headers::RequestHeaders;
pub use readable::{cause, readable, speaks_of_client_certificate};
pub use times::{date, retry_after};
#[cfg(test)]
pub(crate) use tls::scripted;
pub use tls::{Tls, TlsRefusal, TlsSource, ready_tls};

use std::time::Duration;
use url::{Host, Url};

/// What the client must do, from flags.
#[derive(Clone)]
pub struct ClientSettings {
    /// The scheme of the remote is https.
    pub tls: bool,
    /// The remote is this machine: no proxy is asked.
    pub loopback: bool,
    /// The client certificate and further roots to trust; none but the system's without it.
    pub tls_source: Option<TlsSource>,
    pub connect_timeout: Duration,
    /// Longest silence between two pieces of a body; none by default.
    pub body_timeout: Option<Duration>,
    pub ipv4_only: bool,
    /// Keep cookies in memory, for load balancers that stick to them.
    pub cookies: bool,
    /// Which addresses names may have; none is refused to the remote itself.
    pub addresses: Option<AddressPolicy>,
    /// Seconds since 1970.
    pub now: fn() -> u64,
}

/// Why no client could be built.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    #[error("cannot read the CA certificate {path}: {why}")]
    CaCert { path: String, why: String },
    /// `what` is the client certificate or its key.
    #[error("cannot use {what}: {why}")]
    Identity { what: String, why: String },
    /// It would be shown the client certificate, which is not for it; host and port.
    #[error("the proxy {0} speaks TLS, and would be shown the client certificate")]
    TlsProxy(String),
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

/// True for `localhost` and loopback addresses, which are this machine whatever the network;
/// names below `localhost` may be resolved elsewhere.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_from_other_hosts() {
        for (url, expected) in [
            ("http://localhost:3000/mcp", true),
            ("http://127.8.0.1/", true),
            ("http://[::1]/", true),
            ("http://a.localhost/", false),
            ("http://localhost.example.com/", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }
}

//! The one place an HTTP client is built: TLS, proxy, timeouts, redirects, cookies.

mod addresses;
mod readable;

pub use addresses::{AddressPolicy, ForbiddenAddress, Reach, is_forbidden_address, reach_of};
pub use readable::{cause, readable};

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OnceCell, oneshot};
use url::{Host, Url};

/// What the client must do, from flags.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// The scheme of the remote is https.
    pub tls: bool,
    /// The remote is this machine: no proxy is asked.
    pub loopback: bool,
    /// PEM file with further roots to trust.
    pub ca_cert: Option<PathBuf>,
    pub connect_timeout: Duration,
    /// Longest silence between two pieces of a body; none by default.
    pub body_timeout: Option<Duration>,
    pub ipv4_only: bool,
    /// Keep cookies in memory, for load balancers that stick to them.
    pub cookies: bool,
    /// Which addresses names may have; none is refused to the remote itself.
    pub addresses: Option<AddressPolicy>,
}

/// Why no client could be built.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    #[error("cannot read the CA certificate {path}: {why}")]
    CaCert { path: String, why: String },
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

/// A client that is built when it is first needed, for https on a thread of its own:
/// reading a system's CA files takes milliseconds that the first message need not wait for.
pub struct ClientCell {
    settings: ClientSettings,
    cell: OnceCell<Client>,
}

impl ClientCell {
    /// Nothing is read or built yet.
    pub fn new(settings: ClientSettings) -> Self {
        Self { settings, cell: OnceCell::new() }
    }

    /// Starts building where that takes time, and returns at once.
    pub fn prepare(cell: &Arc<Self>) {
        if cell.settings.tls {
            let cell = cell.clone();
            // Its error comes again, to the request that needs the client.
            tokio::spawn(async move { cell.get().await.is_ok() });
        }
    }

    /// The client; all callers share one.
    ///
    /// # Errors
    /// [`ClientError`] if the CA file is unusable or TLS cannot be set up; asked again, it
    /// tries again.
    pub async fn get(&self) -> Result<&Client, ClientError> {
        self.cell.get_or_try_init(|| self.build()).await
    }

    async fn build(&self) -> Result<Client, ClientError> {
        if !self.settings.tls {
            return build(&self.settings);
        }
        let (sender, receiver) = oneshot::channel();
        let settings = self.settings.clone();
        std::thread::spawn(move || sender.send(build(&settings)));
        receiver.await.unwrap_or_else(|_| Err(ClientError::Tls("the set-up stopped".into())))
    }
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

fn build(settings: &ClientSettings) -> Result<Client, ClientError> {
    // Fails only if a provider is installed already, which is then the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let extra = extra_roots(settings)?;
    if !settings.tls {
        // Plain http to loopback is on the fast path and needs no roots.
        return base(settings).tls_certs_only([]).build().map_err(tls_error);
    }
    let system = base(settings).tls_certs_merge(extra.clone());
    match system.build() {
        Ok(client) => Ok(client),
        Err(error) => {
            tracing::warn!(
                reason = %tls_error(error),
                "the system's trust store is of no use here; the bundled roots are used instead"
            );
            base(settings).tls_certs_only(bundled_roots().chain(extra)).build().map_err(tls_error)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place a client is built")]
fn base(settings: &ClientSettings) -> ClientBuilder {
    let mut builder = Client::builder()
        .user_agent(concat!("keyferry/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        .cookie_store(settings.cookies)
        .connect_timeout(settings.connect_timeout)
        .tcp_keepalive(Duration::from_secs(30))
        .tcp_keepalive_interval(Duration::from_secs(10))
        .tcp_keepalive_retries(3)
        .http2_adaptive_window(true)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .http2_keep_alive_timeout(Duration::from_secs(20));
    if let Some(silence) = settings.body_timeout {
        builder = builder.read_timeout(silence);
    }
    if settings.ipv4_only {
        builder = builder.local_address(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    }
    if settings.loopback {
        builder = builder.no_proxy();
    }
    if let Some(policy) = &settings.addresses {
        builder = builder.dns_resolver(policy.clone());
    }
    builder
}

fn extra_roots(settings: &ClientSettings) -> Result<Vec<Certificate>, ClientError> {
    let Some(path) = &settings.ca_cert else { return Ok(Vec::new()) };
    let unusable = |why: String| ClientError::CaCert { path: path.display().to_string(), why };
    let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let roots = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(error.to_string()))?;
    if roots.is_empty() {
        return Err(unusable("it holds no PEM certificate".into()));
    }
    Ok(roots)
}

fn bundled_roots() -> impl Iterator<Item = Certificate> {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .filter_map(|der| Certificate::from_der(der).ok())
}

fn tls_error(error: reqwest::Error) -> ClientError {
    let source = std::error::Error::source(&error).map(ToString::to_string);
    ClientError::Tls(source.unwrap_or_else(|| error.to_string()))
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

    #[test]
    fn the_bundled_roots_make_a_client() {
        let settings = ClientSettings {
            tls: true,
            loopback: false,
            ca_cert: None,
            connect_timeout: Duration::from_secs(1),
            body_timeout: None,
            ipv4_only: false,
            cookies: true,
            addresses: None,
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        assert!(base(&settings).tls_certs_only(bundled_roots()).build().is_ok());
    }

    #[tokio::test]
    async fn a_name_with_forbidden_addresses_is_not_connected_to() {
        let policy = AddressPolicy::default();
        policy.judge("localhost", Reach::Public);
        let client = ClientCell::new(ClientSettings {
            tls: false,
            loopback: true,
            ca_cert: None,
            connect_timeout: Duration::from_secs(1),
            body_timeout: None,
            ipv4_only: false,
            cookies: false,
            addresses: Some(policy),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        let request = client.get().await.unwrap().get(url);
        assert!(is_forbidden_address(&request.send().await.unwrap_err()));
    }
}

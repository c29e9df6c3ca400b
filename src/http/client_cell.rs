//! An HTTP client, built when it is first needed: TLS, proxy, timeouts, redirects, cookies.

use super::proxy::Proxies;
use super::sleep::Sleep;
use super::tls::{self, ClientCertificate};
use super::{ClientError, ClientSettings, Tls, TlsRefusal};
use reqwest::cookie::Jar;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Method};
use rustls::ClientConfig;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, OnceCell, oneshot};
use url::Url;

/// How long a server may take to say again why it closed a connection.
const ASKING_WHY: Duration = Duration::from_secs(3);
/// How long what it said then explains further failures.
const TOLD_WHY: Duration = Duration::from_secs(60);

/// A client that is built when it is first needed, for https on a thread of its own:
/// reading a system's CA files takes milliseconds that the first message need not wait for.
pub struct ClientCell {
    settings: ClientSettings,
    cell: OnceCell<Built>,
    /// What servers said that were asked why, and when, by origin.
    told: Mutex<BTreeMap<String, (Instant, Option<TlsRefusal>)>>,
    sleep: Lock<Sleep>,
}

struct Built {
    /// With its connections.
    client: Lock<Client>,
    cookies: Arc<Jar>,
    /// None without TLS.
    tls: Option<(Box<ClientConfig>, Arc<ClientCertificate>)>,
    /// Where there is a certificate to keep from them.
    proxies: Option<Box<Proxies>>,
}

impl ClientCell {
    /// Nothing is read or built yet.
    pub fn new(settings: ClientSettings) -> Self {
        Self { settings, cell: OnceCell::new(), told: Mutex::default(), sleep: Lock::default() }
    }

    /// Starts building where that takes time, and returns at once.
    pub fn prepare(cell: &Arc<Self>) {
        if cell.settings.tls {
            let cell = cell.clone();
            // Its error comes again, to the request that needs the client.
            tokio::spawn(async move { cell.ready().await.is_ok() });
        }
    }

    /// The client for requests to `url`; all callers share one, with its connections. After a
    /// sleep of the machine it has none.
    ///
    /// # Errors
    /// [`ClientError`] if a file is unusable, TLS cannot be set up, or a proxy would see what
    /// is for `url` alone; asked again, it tries again.
    pub async fn get(&self, url: &Url) -> Result<Client, ClientError> {
        let built = self.built().await?;
        if let Some(proxy) = built.proxies.as_ref().and_then(|proxies| proxies.with_tls(url)) {
            return Err(ClientError::TlsProxy(proxy));
        }
        let now = (self.settings.now)();
        let mut sleep = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
        let mut client = built.client.lock().unwrap_or_else(PoisonError::into_inner);
        if sleep.noticed(Instant::now(), now) {
            tracing::debug!(
                "the machine has slept, or its clock was set: connections are made anew"
            );
            let tls = built.tls.as_ref().map(|(config, _)| config.as_ref().clone());
            *client = connect(&self.settings, tls, &built.cookies)?;
        }
        Ok(client.clone())
    }

    /// Builds the client.
    ///
    /// # Errors
    /// [`ClientError`], as [`Self::get`].
    pub async fn ready(&self) -> Result<(), ClientError> {
        self.built().await.map(drop)
    }

    async fn built(&self) -> Result<&Built, ClientError> {
        self.cell.get_or_try_init(|| self.build()).await
    }

    /// Whether the client, which has been built, shows a certificate to servers that ask.
    pub fn has_certificate(&self) -> bool {
        self.certificate().is_some_and(ClientCertificate::exists)
    }

    /// Who refused whom in TLS, if that is why a request of the client failed: then the
    /// request was not read.
    pub fn refusal(&self, error: &reqwest::Error) -> Option<TlsRefusal> {
        tls::what_tls_says(error, self.certificate()?)
    }

    /// For a failed request to a server that has never answered: what may be behind it, as the
    /// server asked for a client certificate and then closed the connection.
    pub fn suspicion(&self, error: &reqwest::Error) -> Option<TlsRefusal> {
        let closed = !error.is_connect() || tls::was_closed(error);
        self.certificate()?.suspicion().filter(|_| closed)
    }

    /// After [`Self::suspicion`]: a server's alert is lost if it resets the connection at once,
    /// and HTTP/2 loses it anyway. A harmless request over HTTP/1.1, with nothing in it, gets
    /// the same alert where that was the reason; then the request that failed was not read.
    /// Each server is asked once, and believed for a minute.
    pub async fn ask_why(&self, url: &Url) -> Option<TlsRefusal> {
        // Held while one is asked: those who fail at the same time share what it says.
        let mut told = self.told.lock().await;
        let origin = url.origin().ascii_serialization();
        if let Some((at, refusal)) = told.get(&origin) {
            return refusal.clone().filter(|_| at.elapsed() < TOLD_WHY);
        }
        let refusal = self.ask(url).await;
        told.insert(origin, (Instant::now(), refusal.clone()));
        refusal
    }

    async fn ask(&self, url: &Url) -> Option<TlsRefusal> {
        let (config, certificate) = self.cell.get()?.tls.as_ref()?;
        let mut config = ClientConfig::clone(config);
        config.alpn_protocols = vec!["http/1.1".into()];
        let client = base(&self.settings).http1_only().tls_backend_preconfigured(config);
        let request = client.build().ok()?.request(Method::OPTIONS, url.clone());
        let error = request.timeout(ASKING_WHY).send().await.err()?;
        tls::what_tls_says(&error, certificate)
    }

    fn certificate(&self) -> Option<&ClientCertificate> {
        self.cell.get()?.tls.as_ref().map(|(_, certificate)| certificate.as_ref())
    }

    async fn build(&self) -> Result<Built, ClientError> {
        if !self.settings.tls {
            return build(&self.settings, None);
        }
        let tls = match &self.settings.tls_source {
            Some(source) => source().await?,
            None => Tls::default(),
        };
        let (sender, receiver) = oneshot::channel();
        let settings = self.settings.clone();
        std::thread::spawn(move || sender.send(build(&settings, Some(&tls))));
        receiver.await.unwrap_or_else(|_| Err(ClientError::Tls("the set-up stopped".into())))
    }
}

fn build(settings: &ClientSettings, tls: Option<&Tls>) -> Result<Built, ClientError> {
    // Fails only if a provider is installed already, which is then the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cookies = Arc::<Jar>::default();
    let Some(tls) = tls else {
        let client = Lock::new(connect(settings, None, &cookies)?);
        return Ok(Built { client, cookies, tls: None, proxies: None });
    };
    let (config, certificate) = tls::configuration(tls)?;
    let client = Lock::new(connect(settings, Some(config.clone()), &cookies)?);
    let shows = certificate.exists() && !settings.loopback;
    let proxies = shows.then(|| Box::new(Proxies::of_system()));
    Ok(Built { client, cookies, tls: Some((Box::new(config), certificate)), proxies })
}

/// A client without any connection yet.
fn connect(
    settings: &ClientSettings,
    tls: Option<ClientConfig>,
    cookies: &Arc<Jar>,
) -> Result<Client, ClientError> {
    let mut builder = base(settings);
    if settings.cookies {
        builder = builder.cookie_provider(cookies.clone());
    }
    let builder = match tls {
        Some(config) => builder.tls_backend_preconfigured(config),
        // Plain http to loopback is on the fast path and needs no roots.
        None => builder.tls_certs_only([]),
    };
    builder.build().map_err(tls_error)
}

#[expect(clippy::disallowed_methods, reason = "the one place a client is built")]
fn base(settings: &ClientSettings) -> ClientBuilder {
    // That what was sent stays unacknowledged for 30 s at most (TCP_USER_TIMEOUT, where the
    // system has it) is reqwest's own default.
    let mut builder = Client::builder()
        .user_agent(concat!("keyferry/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
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

fn tls_error(error: reqwest::Error) -> ClientError {
    let source = std::error::Error::source(&error).map(ToString::to_string);
    ClientError::Tls(source.unwrap_or_else(|| error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{AddressPolicy, Reach, is_forbidden_address};

    #[tokio::test]
    async fn a_name_with_forbidden_addresses_is_not_connected_to() {
        let policy = AddressPolicy::default();
        policy.judge("localhost", Reach::Public);
        let client = ClientCell::new(ClientSettings {
            tls: false,
            loopback: true,
            tls_source: None,
            connect_timeout: Duration::from_secs(1),
            body_timeout: None,
            ipv4_only: false,
            cookies: false,
            addresses: Some(policy),
            now: || 0,
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        let url = Url::parse(&url).unwrap();
        let request = client.get(&url).await.unwrap().get(url);
        assert!(is_forbidden_address(&request.send().await.unwrap_err()));
    }
}

//! Proxies that would see what is not for them.

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

/// The proxies of environment and system, as reqwest finds them.
pub(super) struct Proxies(Matcher);

impl Proxies {
    pub(super) fn of_system() -> Self {
        Self(Matcher::from_system())
    }

    /// The host of the proxy for `url`, if TLS is spoken with it: reqwest has one configuration
    /// for proxies and servers, and the client certificate is part of it.
    pub(super) fn with_tls(&self, url: &Url) -> Option<String> {
        let proxy = self.0.intercept(&url.as_str().parse().ok()?)?;
        let proxy = proxy.uri();
        let host = proxy.host().filter(|_| proxy.scheme_str() == Some("https"))?;
        Some(proxy.port_u16().map_or(host.to_owned(), |port| format!("{host}:{port}")))
    }
}

#[cfg(test)]
mod tests {
    use super::{Matcher, Proxies};
    use url::Url;

    #[test]
    fn a_proxy_that_speaks_tls_is_known_by_its_host() {
        let found = |https: &str, no: &str, url: &str| {
            let matcher = Matcher::builder().https(https).no(no).build();
            Proxies(matcher).with_tls(&Url::parse(url).unwrap())
        };
        let remote = "https://mcp.example/mcp?a=b";
        let proxy = "https://user:hunter2@proxy.example:3128";
        assert_eq!(found(proxy, "", remote).as_deref(), Some("proxy.example:3128"));
        assert_eq!(found("https://proxy.example", "", remote).as_deref(), Some("proxy.example"));
        for (proxy, no, url) in [
            (proxy, "mcp.example", remote),
            (proxy, "", "http://mcp.example/mcp"),
            ("http://proxy.example", "", remote),
            ("proxy.example:3128", "", remote),
            ("socks5h://proxy.example", "", remote),
            ("", "", remote),
        ] {
            assert_eq!(found(proxy, no, url), None, "{proxy} {no} {url}");
        }
    }
}

//! The HTTP clients of a [`super::Web`], by who is asked and what it may see.

use crate::http::{AddressPolicy, ClientCell, ClientError, ClientSettings, Tls, is_loopback};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Longest wait for a connection: what was not connected was never asked.
const CONNECT: Duration = Duration::from_secs(5);

/// Each is built when it is first needed.
pub(super) struct Clients {
    /// For http on this machine, with no proxy.
    plain: ClientCell,
    /// For https on this machine, and for all else; they show the client certificate.
    certified: [ClientCell; 2],
    /// The same without a certificate, as most servers are none of the remote's.
    others: [ClientCell; 2],
}

impl Clients {
    pub(super) fn new(base: &ClientSettings, policy: &AddressPolicy) -> Self {
        let cell = |tls, loopback, base: &ClientSettings| {
            ClientCell::new(ClientSettings {
                tls,
                loopback,
                connect_timeout: base.connect_timeout.min(CONNECT),
                body_timeout: None,
                cookies: false,
                addresses: Some(policy.clone()),
                ..base.clone()
            })
        };
        let anonymous = without_identity(base);
        Self {
            plain: cell(false, true, base),
            certified: [cell(true, true, base), cell(true, false, base)],
            others: [cell(true, true, &anonymous), cell(true, false, &anonymous)],
        }
    }

    /// The client for `url`; the certificate is shown to nobody without `certificate`.
    ///
    /// # Errors
    /// [`ClientError`] if it cannot be known whether there is a certificate.
    pub(super) async fn client(
        &self,
        url: &Url,
        certificate: bool,
    ) -> Result<&ClientCell, ClientError> {
        let at = match (is_loopback(url), url.scheme()) {
            (true, "http") => return Ok(&self.plain),
            (true, _) => 0,
            (false, _) => 1,
        };
        let certified = &self.certified[at];
        certified.ready().await?;
        // Where there is none, one client does for all.
        let fits = certificate || !certified.has_certificate();
        Ok(if fits { certified } else { &self.others[at] })
    }
}

fn without_identity(base: &ClientSettings) -> ClientSettings {
    let mut settings = base.clone();
    settings.tls_source = base.tls_source.clone().map(|source| -> crate::http::TlsSource {
        Arc::new(move || {
            let asked = source();
            Box::pin(async move {
                asked.await.map(|tls| Tls { ca_cert: tls.ca_cert, ..Tls::default() })
            })
        })
    });
    settings
}

//! How one remote is reached as one account: what the flags and the vault say of certificates,
//! roots and further headers.

use super::along::{Along, ClientCertificate, Unusable};
use super::plan::{HeaderPart, HeaderTemplate};
use super::{AuthorizationError, Remote, files};
use crate::credential::template::unfilled;
use crate::http::{ClientError, Tls, TlsSource};
use crate::oauth::HeadersSource;
use crate::pem;
use crate::secret::{Redactor, Secret};
use crate::vault::{RecordKey, Vault};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

/// How long the files of a client certificate may take.
const PATIENCE: Duration = Duration::from_secs(8);

/// What a [`Connection`] is made of.
pub struct ConnectionSettings {
    pub vault: Vault,
    pub remote: Remote,
    /// Certificate and root of the flags.
    pub flags: Along,
    /// The headers of the flags.
    pub headers: Vec<HeaderTemplate>,
    pub redactor: Arc<Redactor>,
    /// How long the keychain may take.
    pub deadline: Duration,
    /// Reads the environment.
    pub variable: fn(&str) -> Option<String>,
    /// Seconds since 1970.
    pub now: fn() -> u64,
}

/// How to reach one remote as one account.
pub struct Connection {
    settings: ConnectionSettings,
    tls: OnceCell<Tls>,
}

/// The part of any record that this is about.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Payload {
    along: Along,
}

impl Connection {
    /// Touches neither disk nor keychain.
    pub fn new(settings: ConnectionSettings) -> Self {
        Self { settings, tls: OnceCell::new() }
    }

    pub fn remote(&self) -> &Remote {
        &self.settings.remote
    }

    /// The flags need the vault.
    pub(super) fn needs_vault(&self) -> bool {
        let mut parts = self.settings.headers.iter().flat_map(|header| &header.parts);
        parts.any(|part| matches!(part, HeaderPart::Vault(_)))
    }

    /// The headers that the flags give.
    pub(super) fn flag_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.settings.headers.iter().map(|header| &header.name)
    }

    /// What was taught; nothing is opened if the record says that there is none of it.
    pub(super) async fn taught(&self) -> Result<Along, AuthorizationError> {
        let (vault, key) = (&self.settings.vault, self.settings.remote.record());
        let Some(header) = vault.header(&key)? else { return Ok(Along::default()) };
        let told = ["client_certificate", "ca_cert", "headers", "header_files"];
        if !told.iter().any(|name| header.details.contains_key(*name)) {
            return Ok(Along::default());
        }
        if header.sealed.is_none() {
            return Ok(Along::from_details(&header.details));
        }
        let record = vault.read(&key, self.settings.deadline).await?;
        let read = record.map(|record| serde_json::from_slice::<Payload>(record.payload.expose()));
        let damaged = |_| AuthorizationError::SignInNeeded {
            message: format!("what is stored for {} is damaged", self.settings.remote),
            hint: self.settings.remote.login_command(Some(&header.kind)),
        };
        Ok(read.transpose().map_err(damaged)?.unwrap_or_default().along)
    }

    /// Taught headers, then those of the flags, which win.
    ///
    /// # Errors
    /// `SignInNeeded` for a reference that cannot be filled in, `Vault`.
    pub async fn headers(&self) -> Result<HeaderMap, AuthorizationError> {
        let mut headers = HeaderMap::new();
        let taught = self.taught().await?;
        let mut lines: Vec<Secret<String>> = Vec::new();
        for path in &taught.header_files {
            let text = files::text("the header file", path).await;
            let text = text.map_err(unreadable)?;
            let text = text.expose();
            let line = |line: &str| !line.is_empty() && !line.starts_with('#');
            let found = text.lines().map(str::trim).filter(|text| line(text));
            lines.extend(found.map(|line| Secret::new(line.to_owned())));
        }
        lines.extend(taught.headers.into_iter().map(|line| line.0));
        for line in &lines {
            let template = HeaderTemplate::read(line.expose());
            let template = template.map_err(|why| self.unusable_header(&why))?;
            headers.insert(template.name.clone(), self.value_of(&template).await?);
        }
        for template in &self.settings.headers {
            headers.insert(template.name.clone(), self.value_of(template).await?);
        }
        Ok(headers)
    }

    async fn value_of(&self, header: &HeaderTemplate) -> Result<HeaderValue, AuthorizationError> {
        let mut text = Zeroizing::new(String::new());
        for part in &header.parts {
            match part {
                HeaderPart::Text(piece) => {
                    // What ends with a space is the scheme before a reference, "Bearer " say.
                    if !piece.expose().ends_with(' ') {
                        self.settings.redactor.learn(piece.expose());
                    }
                    text.push_str(piece.expose());
                }
                HeaderPart::Vault(name) => {
                    let secret = self.named(name, &header.name).await?;
                    self.settings.redactor.learn(secret.expose());
                    text.push_str(secret.expose());
                }
                HeaderPart::Variable(name) => {
                    let value = (self.settings.variable)(name).map(Secret::new);
                    let value = value.ok_or_else(|| self.unset(name, &header.name))?;
                    // A client may pass its own placeholder on.
                    if unfilled(value.expose()).is_some() {
                        return Err(self.unset(name, &header.name));
                    }
                    self.settings.redactor.learn(value.expose());
                    text.push_str(value.expose());
                }
                HeaderPart::File(path) => {
                    let what = format!("the file of the header {}", header.name);
                    let value = files::text(&what, path).await.map_err(unreadable)?;
                    let value = value.expose().trim_end_matches(['\r', '\n']);
                    self.settings.redactor.learn(value);
                    text.push_str(value);
                }
            }
        }
        let mut value = HeaderValue::from_str(&text).map_err(|_| self.bad_header(&header.name))?;
        value.set_sensitive(true);
        Ok(value)
    }

    async fn named(
        &self,
        name: &str,
        header: &HeaderName,
    ) -> Result<Secret<String>, AuthorizationError> {
        let key = RecordKey::Named(name.to_owned());
        let found = self.settings.vault.read(&key, self.settings.deadline).await?;
        let text = found.and_then(|record| String::from_utf8(record.payload.expose().clone()).ok());
        text.map(Secret::new).ok_or_else(|| AuthorizationError::SignInNeeded {
            message: format!(
                "the header {header} needs the secret '{name}', which the vault does not have"
            ),
            hint: format!("keyferry secret set {name}"),
        })
    }

    /// What TLS needs; read and decrypted once.
    ///
    /// # Errors
    /// `SignInNeeded` if a file of the client certificate is of no use, `Vault`.
    pub async fn tls(&self) -> Result<Tls, AuthorizationError> {
        self.tls.get_or_try_init(|| self.read_tls()).await.cloned()
    }

    async fn read_tls(&self) -> Result<Tls, AuthorizationError> {
        let along = self.settings.flags.clone().over(self.taught().await?);
        let identity = match along.certificate {
            Some(certificate) => Some(self.identity(certificate).await?),
            None => None,
        };
        let (identity, shown) = identity.unzip();
        Ok(Tls { identity, shown, ca_cert: along.ca_cert })
    }

    /// The client certificate that servers are shown, in words; none before it was read.
    pub(super) fn shown_certificate(&self) -> Option<&str> {
        self.tls.get()?.shown.as_deref()
    }

    fn described(&self, certificate: &pem::Certificate) -> String {
        let subject = match certificate.subject.as_str() {
            "" => "without a subject".to_owned(),
            subject => self.settings.redactor.clean(subject),
        };
        let ended = certificate.not_after < (self.settings.now)();
        if ended { format!("{subject}, which has expired") } else { subject }
    }

    /// Off the loop: an encrypted key takes long to open.
    async fn identity(
        &self,
        certificate: ClientCertificate,
    ) -> Result<(Secret<Vec<u8>>, String), AuthorizationError> {
        let reading = tokio::task::spawn_blocking(move || certificate.read());
        let read = tokio::time::timeout(PATIENCE, reading).await;
        let read = read.ok().and_then(Result::ok).unwrap_or_else(|| {
            let (what, why) = ("the client certificate", "reading it takes too long");
            Err(Unusable { what: what.to_owned(), why: why.to_owned() })
        });
        let (pem, leaf) = read.map_err(|unusable| self.no_identity(&unusable))?;
        Ok((pem, self.described(&leaf)))
    }

    /// Asks [`Self::tls`] when a client is built.
    pub fn tls_source(self: &Arc<Self>) -> TlsSource {
        let connection = self.clone();
        Arc::new(move || {
            let connection = connection.clone();
            Box::pin(async move {
                connection.tls().await.map_err(|error| ClientError::Identity {
                    what: "what it takes to connect".to_owned(),
                    why: error.to_string(),
                })
            })
        })
    }

    /// Asks [`Self::headers`] for requests to the remote's origin; never a credential.
    pub fn headers_source(self: &Arc<Self>) -> HeadersSource {
        let connection = self.clone();
        Arc::new(move || {
            let connection = connection.clone();
            Box::pin(async move {
                // What is wrong with them the remote's own requests say.
                let mut headers = connection.headers().await.unwrap_or_default();
                headers.remove(AUTHORIZATION);
                headers
            })
        })
    }

    fn no_identity(&self, unusable: &Unusable) -> AuthorizationError {
        let Unusable { what, why } = unusable;
        let remote = &self.settings.remote;
        let kind = self.stored_kind().unwrap_or_else(|| "none".to_owned());
        AuthorizationError::SignInNeeded {
            message: format!("{what}, for {remote}, is of no use: {why}"),
            hint: format!(
                "{} --client-cert PEM --client-key PEM",
                remote.login_command(Some(&kind))
            ),
        }
    }

    fn stored_kind(&self) -> Option<String> {
        let header = self.settings.vault.header(&self.settings.remote.record()).ok().flatten()?;
        Some(header.kind)
    }

    fn unset(&self, variable: &str, header: &HeaderName) -> AuthorizationError {
        AuthorizationError::SignInNeeded {
            message: format!(
                "the header {header} needs the environment variable {variable}, which is not set"
            ),
            hint: format!(
                "set {variable}, or keep the value in the vault: keyferry secret set {}",
                variable.to_lowercase()
            ),
        }
    }

    fn unusable_header(&self, why: &str) -> AuthorizationError {
        AuthorizationError::SignInNeeded {
            message: format!("a header taught for {}: {why}", self.settings.remote),
            hint: format!("{} --header 'Name: value'", self.settings.remote.login_command(None)),
        }
    }

    fn bad_header(&self, name: &HeaderName) -> AuthorizationError {
        AuthorizationError::SignInNeeded {
            message: format!("the header {name} holds a character that HTTP does not allow"),
            hint: "check the secret and the --header flag for line breaks".into(),
        }
    }
}

fn unreadable(message: String) -> AuthorizationError {
    let hint = "check the path, or teach the header anew with keyferry login".to_owned();
    AuthorizationError::SignInNeeded { message, hint }
}

/// A path as a person gave it, whatever directory the next process runs in.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

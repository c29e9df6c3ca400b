//! What goes along with every kind: certificates, roots, headers; and how the remote's client
//! is built with them.

use super::{headers, now, plan, positive, variable};
use crate::authorization::{
    Along, ClientCertificate, Connection, ConnectionSettings, HeaderLine, HeaderTemplate, Plan,
    Remote, absolute,
};
use crate::cli::{CredentialArgs, NetworkArgs, RemoteArgs};
use crate::credential::key_file::KeyFile;
use crate::failure::{Exit, Failure};
use crate::http::{ClientSettings, is_loopback};
use crate::secret::{Redactor, Secret};
use crate::vault::Vault;
use std::sync::Arc;
use std::time::Duration;

/// All that the flags ask for.
#[derive(Default)]
pub struct Asking {
    pub plan: Plan,
    /// As `login` teaches it.
    pub along: Along,
    /// The headers of `along`, filled in but for named secrets.
    pub headers: Vec<HeaderTemplate>,
}

/// What the flags of a command ask for; the vault decides the rest. References in headers are
/// filled in at once if they are needed now (`filled`).
///
/// # Errors
/// A usage failure that names the flag or reference at fault.
pub fn asking(
    args: &CredentialArgs,
    remote: &RemoteArgs,
    network: &NetworkArgs,
    filled: bool,
    redactor: &Redactor,
) -> Result<Asking, Failure> {
    let plan = plan(args, remote.allow_http, redactor)?;
    let headers = headers::templates(&args.header, &args.header_file, filled, redactor)?;
    let certificate = &args.certificate;
    if certificate.import_key
        && certificate.client_cert.is_none()
        && args.kinds.private_key.is_none()
    {
        let message = "--import-key needs a key: --client-cert and --client-key, or --private-key";
        return Err(Failure::new(Exit::Usage, message));
    }
    let certificate = certificate.client_cert.as_deref().map(|path| ClientCertificate {
        path: absolute(path),
        key: KeyFile {
            path: certificate.client_key.as_deref().map(absolute),
            ..KeyFile::default()
        },
        ..ClientCertificate::default()
    });
    let line = |line: &String| HeaderLine(Secret::new(line.clone()));
    let along = Along {
        headers: args.header.iter().map(line).collect(),
        header_files: args.header_file.iter().map(|path| absolute(path)).collect(),
        certificate,
        ca_cert: network.ca_cert.as_deref().map(absolute),
    };
    Ok(Asking { plan, along, headers })
}

/// How to reach `remote`: flags over what the vault was taught.
pub fn connection(
    vault: &Vault,
    remote: &Remote,
    along: Along,
    headers: Vec<HeaderTemplate>,
    redactor: &Arc<Redactor>,
    deadline: Duration,
) -> Arc<Connection> {
    Arc::new(Connection::new(ConnectionSettings {
        vault: vault.clone(),
        remote: remote.clone(),
        flags: along,
        headers,
        redactor: redactor.clone(),
        deadline,
        variable,
        now,
    }))
}

/// How the client for the remote is built.
pub fn client(args: &NetworkArgs, connection: &Arc<Connection>) -> ClientSettings {
    let url = connection.remote().url();
    ClientSettings {
        tls: url.scheme() == "https",
        loopback: is_loopback(url),
        tls_source: Some(connection.tls_source()),
        connect_timeout: Duration::from_secs_f64(args.connect_timeout),
        body_timeout: positive(args.body_timeout),
        ipv4_only: args.ipv4,
        cookies: !args.disable_cookies,
        addresses: None,
        now,
    }
}

//! Why nothing came back from a remote.

use crate::http::{ClientError, TlsRefusal};
use std::time::Duration;

/// Why nothing came back, named by whether the message may have been executed.
#[derive(Debug, thiserror::Error)]
pub enum SendFailure {
    /// It never arrived: the connection could not be made.
    #[error("{0}")]
    Unreachable(String),
    /// It never arrived: one side did not accept the other in the TLS handshake.
    #[error("it {0}")]
    Tls(TlsRefusal),
    /// It may have arrived: the connection ended before a response. `suspicion` is what may
    /// be behind it.
    #[error("{why}{}", .suspicion.as_ref().map(|one| format!("; perhaps it {one}")).unwrap_or_default())]
    Broken { why: String, suspicion: Option<TlsRefusal> },
    /// The response did not begin in time.
    #[error("no response within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The remote points elsewhere, which is not followed.
    #[error("it redirects to {to} (status {status}), which is not followed")]
    Redirected { status: u16, to: String },
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl SendFailure {
    /// What a person can do about a connection that could not be made.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Client(ClientError::CaCert { .. }) => {
                "check the path of --ca-cert; it is a PEM file"
            }
            Self::Client(ClientError::Identity { .. }) => {
                "check the files of --client-cert and --client-key"
            }
            Self::Client(ClientError::TlsProxy(_)) => {
                "name the proxy with http:// in HTTPS_PROXY, or the remote's host in NO_PROXY"
            }
            Self::Tls(refusal) => refusal.advice(),
            _ => "check the URL, the network and the proxy settings, then try again",
        }
    }

    /// What helps is a client certificate, or another one; nothing was executed.
    pub fn is_about_client_certificate(&self) -> bool {
        match self {
            Self::Tls(refusal) => !matches!(refusal, TlsRefusal::UntrustedServer { .. }),
            Self::Client(error) => matches!(error, ClientError::Identity { .. }),
            _ => false,
        }
    }
}

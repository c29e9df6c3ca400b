//! Why a TLS handshake failed, found in the error of a request, in words for a person.
//!
//! With TLS 1.3 the client has said all it has to say before the server looks at its
//! certificate (RFC 8446 section 2): the server's alert comes in place of the response.

use super::ClientCertificate;
use rustls::{AlertDescription as Alert, CertificateError, Error as TlsError};
use std::error::Error;
use std::io::{self, ErrorKind};

/// One side did not accept the other: nothing of the request was read. Displayed as what the
/// server does; not cleaned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsRefusal {
    #[error("wants a client certificate, and there is none")]
    CertificateRequired,
    #[error("does not accept the client certificate{}: {why}", .shown.as_ref().map(|shown| format!(" {shown}")).unwrap_or_default())]
    CertificateRefused { shown: Option<String>, why: &'static str },
    /// The server's own certificate was refused here.
    #[error("shows a certificate {why}")]
    UntrustedServer { why: String, advice: &'static str },
}

impl TlsRefusal {
    /// What a person can do.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::CertificateRequired | Self::CertificateRefused { .. } => {
                "name one that it accepts: --client-cert PEM --client-key PEM"
            }
            Self::UntrustedServer { advice, .. } => advice,
        }
    }
}

const UNKNOWN: &str =
    "if a company or your own authority signed it, name its root: --ca-cert FILE.pem";
const CLOCK: &str = "tell whoever runs it, unless the clock of this machine is wrong";
const NAME: &str = "check the URL; if it is right, tell whoever runs it";
const TELL: &str = "tell whoever runs it; if it is its own authority: --ca-cert FILE.pem";
const DAY: u64 = 86_400;

/// What TLS has to do with a failed request.
pub(in crate::http) fn what_tls_says(
    error: &reqwest::Error,
    certificate: &ClientCertificate,
) -> Option<TlsRefusal> {
    let alert = match find(error) {
        Some(Found::Tls(TlsError::InvalidCertificate(why))) => return Some(untrusted(why)),
        Some(Found::Tls(TlsError::AlertReceived(alert))) => *alert,
        Some(Found::Tls(_)) => return None,
        // HTTP/2 hands on no more than its text.
        Some(Found::Text(text)) => alert_in(&text)?,
        None => return None,
    };
    of_alert(alert, certificate)
}

/// The other side ended the connection, or lost it, without a word.
pub(in crate::http) fn was_closed(error: &reqwest::Error) -> bool {
    let mut next = error.source();
    while let Some(error) = next {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if let Some(
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe,
        ) = kind
        {
            return true;
        }
        next = inner(error);
    }
    false
}

/// The alerts by which a server refuses a certificate or its absence, with the reason.
/// Implementations differ: for a missing one TLS 1.2 has no alert of its own (RFC 5246
/// section 7.4.6).
const CERTIFICATE_ALERTS: [(Alert, &str); 11] = [
    (Alert::CertificateRequired, "its key fits none of the signatures that the server takes"),
    (Alert::BadCertificate, "the server calls it bad"),
    (Alert::UnsupportedCertificate, "the server does not take certificates of this kind"),
    (Alert::CertificateRevoked, "it has been revoked"),
    (Alert::CertificateExpired, "it has expired"),
    (Alert::CertificateUnknown, "the server gives no reason"),
    (Alert::UnknownCA, "the server does not know the authority that signed it"),
    (Alert::AccessDenied, "its holder may not come in"),
    (Alert::HandshakeFailure, "the server gives no reason"),
    (Alert::NoCertificate, "the server gives no reason"),
    (Alert::DecryptError, "the server could not verify its signature"),
];

fn of_alert(alert: Alert, certificate: &ClientCertificate) -> Option<TlsRefusal> {
    let (_, why) = CERTIFICATE_ALERTS.iter().find(|(one, _)| *one == alert)?;
    // From a server that never asked they are about something else.
    let about = certificate.was_asked_for() || alert == Alert::CertificateRequired;
    about.then(|| certificate.refused(why))
}

fn alert_in(text: &str) -> Option<Alert> {
    let mut alerts = CERTIFICATE_ALERTS.iter().map(|(alert, _)| *alert);
    alerts.find(|alert| text.ends_with(&TlsError::AlertReceived(*alert).to_string()))
}

enum Found<'a> {
    Tls(&'a TlsError),
    Text(String),
}

fn find(error: &reqwest::Error) -> Option<Found<'_>> {
    let mut last: &(dyn Error + 'static) = error.source()?;
    loop {
        if let Some(found) = last.downcast_ref::<TlsError>() {
            return Some(Found::Tls(found));
        }
        match inner(last) {
            Some(deeper) => last = deeper,
            None => return Some(Found::Text(last.to_string())),
        }
    }
}

/// What is inside; the source of an I/O error is only what is inside of that.
fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inside) => Some(inside),
        None => error.source(),
    }
}

fn untrusted(error: &CertificateError) -> TlsRefusal {
    let (why, advice) = match error {
        CertificateError::UnknownIssuer => {
            ("of an authority that is not trusted here".to_owned(), UNKNOWN)
        }
        // An authority of the same name is.
        CertificateError::BadSignature => {
            ("that its authority, as it is known here, did not sign".to_owned(), UNKNOWN)
        }
        CertificateError::ExpiredContext { time, not_after } => (
            format!("that expired {}", ago(time.as_secs().saturating_sub(not_after.as_secs()))),
            CLOCK,
        ),
        CertificateError::Expired => ("that has expired".to_owned(), CLOCK),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("that is not valid yet".to_owned(), CLOCK)
        }
        CertificateError::Revoked => ("that has been revoked".to_owned(), CLOCK),
        CertificateError::NotValidForName => ("for another name".to_owned(), NAME),
        CertificateError::NotValidForNameContext { expected, presented } => {
            (format!("for {}, not for {}", names(presented), expected.to_str()), NAME)
        }
        CertificateError::BadEncoding => ("that is damaged".to_owned(), TELL),
        other => (format!("that cannot be trusted: {other}"), TELL),
    };
    TlsRefusal::UntrustedServer { why, advice }
}

fn ago(seconds: u64) -> String {
    match seconds / DAY {
        0 => "today".into(),
        1 => "yesterday".into(),
        days => format!("{days} days ago"),
    }
}

/// From `DnsName("a.example")` and `IpAddress(127.0.0.1)`.
fn names(presented: &[String]) -> String {
    const SHOWN: usize = 4;
    let bare = |name: &String| {
        let name = name.split_once('(').map_or(name.as_str(), |(_, name)| name);
        name.trim_end_matches(')').trim_matches('"').to_owned()
    };
    let mut shown: Vec<_> = presented.iter().take(SHOWN).map(bare).collect();
    if presented.len() > SHOWN {
        shown.push(format!("{} more", presented.len() - SHOWN));
    }
    if shown.is_empty() { "no name".into() } else { shown.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_certificate_are_shown_as_a_person_writes_them() {
        let presented = [r#"DnsName("a.example")"#, "IpAddress(127.0.0.1)"].map(str::to_owned);
        assert_eq!(names(&presented), "a.example, 127.0.0.1");
        assert_eq!(names(&vec![r#"DnsName("a")"#.to_owned(); 6]), "a, a, a, a, 2 more");
        assert_eq!(names(&[]), "no name");
    }

    #[test]
    fn an_alert_is_known_by_its_text() {
        let text = "connection error: received fatal alert: CertificateRequired";
        assert_eq!(alert_in(text), Some(Alert::CertificateRequired));
        assert_eq!(alert_in("received fatal alert: InternalError"), None);
    }
}

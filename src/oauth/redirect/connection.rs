//! One connection to the redirect listener: one request, one reply.

use super::request::{self, Place, Refusal};
use super::response::{AuthorizationResponse, Malformed};
use super::tab::Tab;
use super::{Awaited, Verdict};
use crate::oauth::page::{self, Mark, Page};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a browser may take to ask.
const ASKING: Duration = Duration::from_secs(10);
/// How long it may take to read the reply.
const READING: Duration = Duration::from_secs(5);
/// How long what it still sends is swallowed, and how much.
const FAREWELL: Duration = Duration::from_secs(1);
const SWALLOWED: u64 = 64 * 1024;

type Verify = dyn Fn(&AuthorizationResponse) -> Verdict + Send + Sync;

/// What all connections know.
pub(super) struct Reception {
    pub(super) place: Place,
    pub(super) awaited: Arc<Awaited>,
    pub(super) verify: Box<Verify>,
    /// Empty once the answer is found.
    pub(super) found: Mutex<Option<oneshot::Sender<(AuthorizationResponse, Tab)>>>,
}

/// Why a GET of the redirect URI is not the answer.
enum Miss {
    Malformed(Malformed),
    Rejected,
    Repeated,
}

type Found = (AuthorizationResponse, oneshot::Sender<(AuthorizationResponse, Tab)>);

/// A whole reply.
pub(super) struct Reply {
    status: &'static str,
    /// Further header lines.
    headers: String,
    body: String,
}

impl Reception {
    /// Reads the request and replies, or hands the connection on to a [`Tab`].
    pub(super) async fn receive(self: Arc<Self>, mut stream: TcpStream) {
        let head = match timeout(ASKING, request::read_head(&mut stream)).await {
            Ok(Some(Ok(head))) => head,
            Ok(Some(Err(refusal))) => return Reply::refusal(refusal).send(&mut stream, None).await,
            Ok(None) | Err(_) => return,
        };
        let reply = match request::query(&head, &self.place) {
            Ok(query) => match self.judge(query) {
                Ok((response, found)) => {
                    let tab = Tab::open(stream, self.awaited.clone());
                    // Nobody there: the tab says that the sign-in was given up.
                    let _ = found.send((response, tab));
                    return;
                }
                Err(miss) => Reply::miss(&miss),
            },
            Err(refusal) => Reply::refusal(refusal),
        };
        drop(head);
        reply.send(&mut stream, None).await;
    }

    fn judge(&self, query: &str) -> Result<Found, Miss> {
        let response = AuthorizationResponse::from_query(query, &self.awaited.state)
            .map_err(Miss::Malformed)?;
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.is_none() {
            return Err(Miss::Repeated);
        }
        if (self.verify)(&response) == Verdict::Reject {
            return Err(Miss::Rejected);
        }
        found.take().map(|found| (response, found)).ok_or(Miss::Repeated)
    }
}

impl Reply {
    pub(super) fn page(status: &'static str, page: &Page<'_>) -> Self {
        let headers = "Content-Type: text/html; charset=utf-8\r\n".into();
        Self { status, headers, body: page.html() }
    }

    /// `location` is a URL in its normal form.
    pub(super) fn redirect(location: &url::Url) -> Self {
        let headers = format!("Location: {location}\r\n");
        Self { status: "303 See Other", headers, body: String::new() }
    }

    fn refusal(refusal: Refusal) -> Self {
        let (status, more, text) = match refusal {
            Refusal::TooLarge => ("431 Request Header Fields Too Large", "", ""),
            Refusal::NotHttp => ("400 Bad Request", "", ""),
            Refusal::Host => ("400 Bad Request", "", "This is not the host it says it is.\n"),
            Refusal::Path => ("404 Not Found", "", "There is nothing here.\n"),
            Refusal::Method => ("405 Method Not Allowed", "Allow: GET\r\n", ""),
            Refusal::Prefetch => ("503 Service Unavailable", "", ""),
        };
        let headers = format!("{more}Content-Type: text/plain\r\n");
        Self { status, headers, body: text.into() }
    }

    fn miss(miss: &Miss) -> Self {
        let why = match miss {
            Miss::Malformed(why) => format!("What came back cannot be used: {why}."),
            Miss::Rejected => "What came back is not from the authorization server that was \
                               asked (iss)."
                .into(),
            Miss::Repeated => {
                let text = vec![
                    "This address works once. What became of the sign-in is shown where it \
                     was answered first, and in your MCP client.",
                    "You can close this tab.",
                ];
                let heading = "Already used";
                let page = Page { mark: Mark::Note, heading, facts: vec![], text };
                return Self::page("400 Bad Request", &page);
            }
        };
        tracing::debug!(why, "a request to the redirect URI is not the answer");
        let text = vec![
            why.as_str(),
            "It changes nothing about the sign-in. Go on in the tab where you began, or open \
             the newest link that your MCP client shows.",
        ];
        let heading = "Not the answer to this sign-in";
        let page = Page { mark: Mark::Failure, heading, facts: vec![], text };
        Self::page("400 Bad Request", &page)
    }

    /// Writes the reply and ends the connection; `written` hears when the system has all of it.
    pub(super) async fn send(self, stream: &mut TcpStream, written: Option<oneshot::Sender<()>>) {
        let Self { status, headers, body } = self;
        let reply = format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nCache-Control: no-store\r\n\
             Referrer-Policy: no-referrer\r\nContent-Security-Policy: {policy}\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{body}",
            length = body.len(),
            policy = page::security_policy(),
        );
        let write = async {
            stream.write_all(reply.as_bytes()).await?;
            stream.shutdown().await
        };
        if !matches!(timeout(READING, write).await, Ok(Ok(()))) {
            return;
        }
        drop(written);
        // Closed with input unread, the system would reset the connection and lose the reply.
        let mut rest = (&mut *stream).take(SWALLOWED);
        let _ = timeout(FAREWELL, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
    }
}

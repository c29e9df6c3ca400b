//! The loopback redirect listener (RFC 8252 7.3): holds a port before the browser opens,
//! finds the one answer to this authorization request among whatever connects, and keeps
//! that browser waiting until the outcome is known.

mod connection;
mod ports;
mod request;
mod response;
mod tab;
#[cfg(test)]
mod tests;

pub use ports::{BindError, Port};
pub use response::{AuthorizationResponse, ErrorResponse, Malformed};
pub use tab::{Outcome, Tab};

use connection::Reception;
use ports::Sockets;
use request::Place;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use url::Url;

use crate::secret::Secret;

/// Connections that are open at one time; the oldest makes way.
const MOST_CONNECTIONS: usize = 64;
/// After a connection that could not be accepted (no file descriptors, say).
const PAUSE: Duration = Duration::from_millis(50);

/// What the redirect URI is made of.
#[derive(Debug, Clone)]
pub struct Settings {
    /// As the redirect URI names this machine: `localhost`, `127.0.0.1`, `[::1]`.
    pub host: String,
    /// Absolute, without a query.
    pub path: String,
    pub port: Port,
}

impl Default for Settings {
    fn default() -> Self {
        // Windows asks the name server for `localhost`, and some there do not answer.
        let host = if cfg!(windows) { "127.0.0.1" } else { "localhost" };
        Self { host: host.into(), path: "/oauth/callback".into(), port: Port::Ephemeral }
    }
}

/// A sign-in that waits for its answer.
pub struct Awaited {
    pub state: Secret<String>,
    /// Shown on the page: the MCP server that is signed in to.
    pub server: String,
    /// Shown on the page: keyferry's name for the account, if it has one.
    pub account: Option<String>,
    /// Where the browser goes in place of the page of success.
    pub success_url: Option<Url>,
}

/// What the caller makes of a well-formed answer with the right `state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The answer to this request, be it a code or an error.
    Take,
    /// Not from the authorization server that was asked (`iss`, RFC 9207): the sign-in goes on.
    Reject,
}

/// A held port. Nobody is answered before [`serve`](Self::serve).
#[derive(Debug)]
pub struct Listener {
    sockets: Sockets,
    place: Place,
    redirect_uri: String,
}

/// Answers browsers until it is dropped, which frees the port at once and ends every
/// connection but that of a [`Tab`].
#[derive(Debug)]
pub struct Serving {
    sockets: Arc<Sockets>,
    task: JoinHandle<()>,
    taken: Option<oneshot::Receiver<(AuthorizationResponse, Tab)>>,
}

impl Listener {
    /// Holds a port on 127.0.0.1 and, where the machine has it, ::1. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(settings: &Settings) -> Result<Self, BindError> {
        let bare = settings.host.trim_start_matches('[').trim_end_matches(']');
        let host = if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() };
        check(&host, &settings.path)?;
        let (sockets, port) = Sockets::bind(settings.port, bare.contains(':'))?;
        let redirect_uri = format!("http://{host}:{port}{}", settings.path);
        let place = Place { host, port, path: settings.path.clone() };
        Ok(Self { sockets, place, redirect_uri })
    }

    /// For the authorization request, the token request and the registration, byte for byte.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    pub fn port(&self) -> u16 {
        self.place.port
    }

    /// Starts to answer. `verify` sees each well-formed answer with the right `state`, must
    /// not block, and decides before anything of it is shown.
    pub fn serve(
        self,
        awaited: Awaited,
        verify: impl Fn(&AuthorizationResponse) -> Verdict + Send + Sync + 'static,
    ) -> Serving {
        let (found, taken) = oneshot::channel();
        let reception = Arc::new(Reception {
            place: self.place,
            awaited: Arc::new(awaited),
            verify: Box::new(verify),
            found: Mutex::new(Some(found)),
        });
        let sockets = Arc::new(self.sockets);
        let task = tokio::spawn(accept(sockets.clone(), reception));
        Serving { sockets, task, taken: Some(taken) }
    }
}

impl Serving {
    /// Waits for the answer, without a limit of its own; may be called again if it was
    /// dropped. None if it was returned before. Keep `self` until the outcome is shown: it
    /// answers a browser that comes a second time.
    pub async fn response(&mut self) -> Option<(AuthorizationResponse, Tab)> {
        let answer = self.taken.as_mut()?.await.ok();
        self.taken = None;
        answer
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.sockets.close();
        self.task.abort();
    }
}

/// The host and path must stand in the URI as they are, or no request would match them.
fn check(host: &str, path: &str) -> Result<(), BindError> {
    let uri = format!("http://{host}:1{path}");
    let same = Url::parse(&uri).is_ok_and(|url| {
        url.host_str().is_some_and(|parsed| parsed.eq_ignore_ascii_case(host))
            && url.path() == path
            && url.as_str().len() == uri.len()
    });
    if same { Ok(()) } else { Err(BindError::Uri(format!("http://{host}:PORT{path}"))) }
}

async fn accept(sockets: Arc<Sockets>, reception: Arc<Reception>) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    let mut oldest_first: VecDeque<AbortHandle> = VecDeque::new();
    while let Some(accepted) = sockets.accept().await {
        while connections.try_join_next().is_some() {}
        oldest_first.retain(|connection| !connection.is_finished());
        let Ok(stream) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        if oldest_first.len() >= MOST_CONNECTIONS
            && let Some(oldest) = oldest_first.pop_front()
        {
            oldest.abort();
        }
        oldest_first.push_back(connections.spawn(reception.clone().receive(stream)));
        // What has arrived with the connection is read before the next one may push it out.
        tokio::task::yield_now().await;
    }
}

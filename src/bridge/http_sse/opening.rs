//! Finding out that a remote speaks HTTP+SSE (MCP 2025-11-25, "Backwards Compatibility", and
//! 2026-07-28, "Backward Compatibility"), and connecting to it.

use super::Connection;
use crate::authorization::Credential;
use crate::bridge::Bridge;
use crate::bridge::exchange::Exchange;
use crate::bridge::refusal::{CLOSED, Failure, REFUSED, TIMED_OUT, UNREACHABLE};
use crate::bridge::session::{Opener, Snapshot};
use crate::bridge::tries::Tries;
use crate::jsonrpc::{BridgeError, Message};
use crate::transport::http_sse::{self, Endpoint, NoEndpoint};
use crate::transport::{Content, Reply, Transports};
use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long the remote may take until its endpoint is known; a little more than a connection
/// takes at most, by default.
const OPENING: Duration = Duration::from_secs(12);
/// What a GET of the remote's URL brought.
pub(super) enum Opened {
    Connection(Arc<Connection>),
    /// 401 or 403.
    Refused(Box<Reply>),
    /// Nothing that is HTTP+SSE; what there was instead.
    Nothing(Failure),
    /// HTTP+SSE that must not be used.
    Unusable(Failure),
}

/// The same, with all that a credential can do done.
pub(super) enum Found {
    Connection(Arc<Connection>),
    Nothing(Failure),
}

/// The bridge's own handshake: the answer, the headers that came with it, and the connection.
pub(in super::super) struct Shaken {
    pub(in super::super) answer: Message,
    pub(in super::super) headers: HeaderMap,
    pub(in super::super) connection: Option<Arc<Connection>>,
}

impl Shaken {
    pub(in super::super) fn opener(&self) -> Opener<'_> {
        match &self.connection {
            Some(connection) => Opener::Connection(connection),
            None => Opener::Http(&self.headers),
        }
    }
}

impl Bridge {
    /// Connects, within bounded time.
    pub(super) async fn connect(self: &Arc<Self>, credential: &Credential) -> Opened {
        let opening = tokio::time::timeout(OPENING, self.open(credential));
        opening.await.unwrap_or_else(|_| {
            let remote = self.authorization.remote();
            let message =
                format!("{remote} has not named its endpoint within {} s", OPENING.as_secs());
            let hint = "nothing was sent to it; try again";
            Opened::Nothing(BridgeError::new(UNREACHABLE, message).with_hint(hint).into())
        })
    }

    async fn open(self: &Arc<Self>, credential: &Credential) -> Opened {
        let reply = match self.remote.get(credential.for_request(&Method::GET)).await {
            Ok(reply) => reply,
            Err(failure) => return Opened::Nothing(nothing_sent(self.not_sent(&failure))),
        };
        let status = reply.status.as_u16();
        credential.learn(status, &reply.headers);
        match reply.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Opened::Refused(Box::new(reply));
            }
            StatusCode::OK if reply.content == Content::EventStream => {}
            _ => {
                let body = reply.body.refusal().await;
                let what = "offers no event stream to talk over (HTTP+SSE)";
                return Opened::Nothing(self.refused(status, what, &body).into());
            }
        }
        let mut stream = reply.body.events();
        match Endpoint::read(&mut stream).await {
            Ok(endpoint) => {
                self.authorization.hide_address(endpoint.url());
                let number = self.http_sse.connections.fetch_add(1, Ordering::Relaxed) + 1;
                let connection = Arc::new(Connection::new(number, endpoint));
                self.read_on(&connection, stream);
                tracing::debug!("the remote speaks HTTP+SSE; its endpoint is known");
                Opened::Connection(connection)
            }
            Err(why) => self.no_endpoint(&why),
        }
    }

    fn no_endpoint(&self, why: &NoEndpoint) -> Opened {
        let remote = self.authorization.remote();
        let text = self.clean(&why.to_string());
        let message = format!("{remote} cannot be used over HTTP+SSE: {text}");
        let error = match why {
            NoEndpoint::Broken(_) => BridgeError::new(UNREACHABLE, message)
                .with_hint("nothing was sent to it; try again"),
            NoEndpoint::OtherOrigin(_) => BridgeError::new(REFUSED, message)
                .with_hint("use the URL with which the server knows itself, if it is that one's"),
            NoEndpoint::OtherStream | NoEndpoint::Invalid => {
                BridgeError::new(REFUSED, message).with_hint("check the URL and --transport")
            }
        };
        match why.is_http_sse() {
            true => Opened::Unusable(error.into()),
            false => Opened::Nothing(error.into()),
        }
    }

    /// True if a handshake that a POST could not begin is to be tried over HTTP+SSE: it failed
    /// with this HTTP status, and the body does not show a modern remote.
    pub(super) fn falls_back_to_sse(&self, status: StatusCode, failure: &Failure) -> bool {
        self.http_sse.allowed == Transports::HttpFirst
            && http_sse::may_refuse_post(status)
            && !is_modern(status, failure)
    }

    /// Shakes hands by itself, in whichever way the remote does.
    ///
    /// # Errors
    /// The error to answer with whoever waits for the session.
    pub(in super::super) async fn shake_hands_anew(
        self: &Arc<Self>,
        initialize: Bytes,
        lost: &Snapshot,
    ) -> Result<Shaken, Failure> {
        let mut before = None;
        // What it was a moment ago it is again, however long it is away.
        if lost.connection.is_some() || self.http_sse.comes_first() {
            match self.find().await? {
                Found::Connection(connection) => {
                    return self.shake_hands_over(connection, initialize, lost).await;
                }
                Found::Nothing(failure) if self.http_sse.is_all() => return Err(failure),
                Found::Nothing(failure) => before = Some(failure),
            }
        }
        let epoch = lost.epoch + 1;
        let (status, failure) = match self.ask_openly(initialize.clone(), epoch, |_| ()).await? {
            Ok((answer, headers)) => return Ok(Shaken { answer, headers, connection: None }),
            Err(refused) => refused,
        };
        if before.is_none()
            && self.falls_back_to_sse(status, &failure)
            && let Found::Connection(connection) = self.find().await?
        {
            return self.shake_hands_over(connection, initialize, lost).await;
        }
        match before {
            // It was there before: why it is not now says more.
            Some(gone) if lost.connection.is_some() && !is_modern(status, &failure) => {
                Err(not_there(gone))
            }
            _ => Err(failure),
        }
    }

    async fn shake_hands_over(
        self: &Arc<Self>,
        connection: Arc<Connection>,
        initialize: Bytes,
        lost: &Snapshot,
    ) -> Result<Shaken, Failure> {
        connection.begin(lost.epoch + 1);
        let over = Snapshot::default().by(Some(connection.clone()));
        let answer = self.ask_in(initialize, &over).await?;
        Ok(Shaken { answer, headers: HeaderMap::new(), connection: Some(connection) })
    }

    /// Connects with the credential; once more with a new one if that is refused.
    async fn find(self: &Arc<Self>) -> Result<Found, Failure> {
        let mut credential = self.credential().await?;
        let mut again = false;
        loop {
            match self.connect(&credential).await {
                Opened::Refused(reply) if !again => {
                    credential = self.after_refusal(*reply, &credential).await?;
                    again = true;
                }
                Opened::Refused(reply) => return Err(self.http_error(*reply).await),
                opened => return self.found(opened),
            }
        }
    }

    fn found(&self, opened: Opened) -> Result<Found, Failure> {
        let connected = matches!(opened, Opened::Connection(_));
        self.http_sse.found.store(connected, Ordering::Relaxed);
        match opened {
            Opened::Connection(connection) => Ok(Found::Connection(connection)),
            Opened::Nothing(failure) => Ok(Found::Nothing(failure)),
            Opened::Unusable(failure) => Err(failure),
            Opened::Refused(_) => Ok(Found::Nothing(self.unanswered().into())),
        }
    }
}

impl Exchange {
    /// What a handshake goes over, if that is HTTP+SSE.
    ///
    /// # Errors
    /// If there is no other way, and no connection.
    pub(in super::super) async fn connection(
        &self,
        tries: &mut Tries,
    ) -> Result<Option<Arc<Connection>>, Failure> {
        let before = tries.connection.take();
        let again = before.is_some();
        if let Some(connection) = before.filter(|connection| !connection.is_closed()) {
            tries.connection = Some(connection.clone());
            return Ok(Some(connection));
        }
        if !again && (tries.without_sse || !self.bridge.http_sse.comes_first()) {
            return Ok(None);
        }
        match self.find(tries).await? {
            Found::Connection(connection) => Ok(Some(connection)),
            Found::Nothing(failure) if again || self.bridge.http_sse.is_all() => Err(failure),
            Found::Nothing(_) => {
                tries.without_sse = true;
                Ok(None)
            }
        }
    }

    /// A POST of the handshake to the remote's URL failed so: nothing if there is a connection
    /// now, over which it can be sent, else the failure to go on with. Whoever has to find out
    /// the era of the remote first asks this before that, as HTTP+SSE settles it.
    ///
    /// # Errors
    /// If the remote is reached over HTTP+SSE, and must not be.
    pub(in super::super) async fn fall_back_to_sse(
        &self,
        status: StatusCode,
        failure: Failure,
        tries: &mut Tries,
    ) -> Result<Option<Failure>, Failure> {
        let tried = tries.without_sse || tries.connection.is_some();
        if tried || !self.bridge.falls_back_to_sse(status, &failure) {
            return Ok(Some(failure));
        }
        match self.find(tries).await? {
            Found::Connection(_) => Ok(None),
            Found::Nothing(_) => {
                tries.without_sse = true;
                Ok(Some(failure))
            }
        }
    }

    /// True for a handshake, whose refusal by this status may mean a remote of HTTP+SSE.
    pub(in super::super) fn may_fall_back(&self, status: StatusCode) -> bool {
        self.begins_session() && http_sse::may_refuse_post(status)
    }

    pub(in super::super) fn begins_session(&self) -> bool {
        matches!(&self.tickets[..], [ticket] if ticket.method() == "initialize")
    }

    async fn find(&self, tries: &mut Tries) -> Result<Found, Failure> {
        let bridge = &self.bridge;
        loop {
            let credential = self.credential(tries).await?;
            match bridge.connect(&credential).await {
                Opened::Refused(reply) => {
                    let answer = bridge.after_refusal(*reply, &credential);
                    let fresh = tries.in_time(bridge, answer).await?;
                    tries.take(bridge, fresh)?;
                }
                opened => {
                    let found = bridge.found(opened);
                    if let Ok(Found::Connection(connection)) = &found {
                        tries.connection = Some(connection.clone());
                    }
                    return found;
                }
            }
        }
    }
}

/// True if a refusal shows a modern remote.
fn is_modern(status: StatusCode, failure: &Failure) -> bool {
    let code = match failure {
        Failure::Remote(message) => message.error_code(),
        _ => None,
    };
    http_sse::is_modern(status, code)
}

/// A GET executes nothing, however it ends.
fn nothing_sent(mut error: BridgeError) -> Failure {
    if matches!(error.code, CLOSED | TIMED_OUT) {
        error.code = UNREACHABLE;
        error.hint = Some("nothing was sent to it; try again".into());
    }
    error.into()
}

/// What was there a moment ago may be again in a moment.
fn not_there(failure: Failure) -> Failure {
    match failure {
        Failure::Bridge(mut error) => {
            error.code = UNREACHABLE;
            error.http_status = None;
            error.message =
                format!("the connection was lost and could not be made anew: {}", error.message);
            error.hint = Some("the call was not executed; try again".into());
            Failure::Bridge(error)
        }
        other => other,
    }
}

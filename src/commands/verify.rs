//! Asks a remote whether it takes a credential, by a real MCP conversation: a status alone
//! says little, as some servers answer 200 and a text saying that authentication is required.

mod http_sse;

use crate::authorization::{Authorization, AuthorizationError, Credential, Origin, Refusal};
use crate::failure::{Exit, Failure};
use crate::jsonrpc::object::{Items, find, get, string};
use crate::jsonrpc::{Kind, Line, Message, same_id};
use crate::transport::metadata::{METHOD, PROTOCOL_VERSION, SESSION_ID};
use crate::transport::{
    Content, EventStream, Lost, Reply, RequestHeaders, SendFailure, StreamableHttp,
};
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the remote may take for each answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How hints begin that are wrong once something was stored.
pub(super) const NOTHING_STORED: &str = "nothing was stored";
/// With how many credentials, one after another.
const MOST_TRIES: usize = 3;

const INITIALIZE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
    r#""capabilities":{},"clientInfo":{"name":"keyferry","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}}}"#
);
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
const LIST: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{}}"#;
const MODERN: &str = "2026-07-28";

/// What the remote said of itself.
pub(super) struct Verified {
    /// Name and version, fit to show.
    pub(super) server: String,
    /// Tools on the first page of the list; none where there is no list.
    pub(super) tools: Option<usize>,
    /// It answers without any credential, too.
    pub(super) open: bool,
}

/// Talks to the remote with the credential, then once without.
///
/// # Errors
/// A [`Failure`] that says what the remote said: sign-in needed where it refused.
pub(super) async fn verify(
    endpoint: &StreamableHttp,
    authorization: &Authorization,
) -> Result<Verified, Failure> {
    let mut credential = authorization.credential().await?;
    let along = HeaderMap::new();
    let mut tries = 0;
    let (server, tools) = loop {
        let probe = Probe::new(endpoint, authorization, Some(credential.clone()));
        let refused = match probe.converse(&along).await {
            Err(refused) if refused.exit == Exit::SignInNeeded => refused,
            conversed => break conversed?,
        };
        // A token may be refused long before its time, and a proof without a nonce: perhaps
        // there is another one.
        let renewable = matches!(credential.origin, Origin::Token | Origin::Made);
        tries += 1;
        let refusal = probe.take_refusal().filter(|_| renewable && tries < MOST_TRIES);
        let Some((status, headers)) = refusal else { return Err(refused) };
        let refusal = Refusal { status, headers: &headers, address: None };
        match authorization.after_refusal(&credential, refusal).await {
            Ok(fresh) => credential = fresh,
            // A failure on the way to another one says more.
            Err(error @ AuthorizationError::Unavailable { .. }) => return Err(error.into()),
            Err(_) => return Err(refused),
        }
    };
    // A sign-in was asked for by the remote itself.
    let open = credential.origin != Origin::Token && is_open(endpoint, authorization).await;
    Ok(Verified { server, tools, open })
}

/// Whether the remote answers without any credential.
pub(super) async fn is_open(endpoint: &StreamableHttp, authorization: &Authorization) -> bool {
    let Ok(along) = authorization.along().await else { return false };
    Probe::new(endpoint, authorization, None).converse(&along).await.is_ok()
}

struct Probe<'a> {
    endpoint: &'a StreamableHttp,
    authorization: &'a Authorization,
    credential: Option<Arc<Credential>>,
    /// The last 401 or 403.
    refusal: Mutex<Option<(u16, HeaderMap)>>,
}

impl<'a> Probe<'a> {
    fn new(
        endpoint: &'a StreamableHttp,
        authorization: &'a Authorization,
        credential: Option<Arc<Credential>>,
    ) -> Self {
        Self { endpoint, authorization, credential, refusal: Mutex::default() }
    }

    fn take_refusal(&self) -> Option<(u16, HeaderMap)> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// `headers` on top of those of the credential.
    fn with_credential(&self, method: &Method, headers: HeaderMap) -> RequestHeaders {
        let own = self.credential.as_ref().map(|credential| credential.for_request(method));
        let mut all = own.unwrap_or_default();
        all.extend(headers.into_iter().filter_map(|(name, value)| Some((name?, value))));
        all
    }

    /// Handshake and list of tools, first as a legacy client, then as a modern one.
    async fn converse(&self, headers: &HeaderMap) -> Result<(String, Option<usize>), Failure> {
        let reply = self.post(INITIALIZE.into(), headers.clone()).await?;
        if reply.status == 400 || reply.status == 404 || reply.status == 405 {
            return match self.converse_modern(headers).await {
                Err(failure) if failure.exit == Exit::Network => {
                    match self.converse_over_sse(headers).await? {
                        Some(conversed) => Ok(conversed),
                        None => {
                            let body = reply.body.refusal().await;
                            Err(self.refused(reply.status.as_u16(), &body))
                        }
                    }
                }
                other => other,
            };
        }
        let mut headers = headers.clone();
        if let Some(id) = reply.headers.get(SESSION_ID) {
            headers.insert(SESSION_ID, id.clone());
        }
        let answer = self.answer(reply, b"1").await?;
        let result = answer.result().unwrap_or_default();
        let version = get(result, "protocolVersion").and_then(string);
        let Some(version) = version.and_then(|version| HeaderValue::from_str(&version).ok()) else {
            return Err(self.no_handshake(&answer));
        };
        headers.insert(PROTOCOL_VERSION, version);
        let server = self.server(get(result, "serverInfo"));
        let tools = self.tools(result, &headers).await;
        if headers.contains_key(SESSION_ID) {
            let headers = self.with_credential(&Method::DELETE, headers);
            let _ =
                tokio::time::timeout(Duration::from_secs(2), self.endpoint.delete(headers)).await;
        }
        Ok((server, tools?))
    }

    async fn tools(&self, result: &[u8], headers: &HeaderMap) -> Result<Option<usize>, Failure> {
        let told = self.post(INITIALIZED.into(), headers.clone()).await?;
        told.body.discard().await;
        if get(result, "capabilities").and_then(|all| get(all, "tools")).is_none() {
            return Ok(None);
        }
        let reply = self.post(LIST.into(), headers.clone()).await?;
        let answer = self.answer(reply, b"2").await?;
        self.count(&answer).map(Some)
    }

    async fn converse_modern(
        &self,
        headers: &HeaderMap,
    ) -> Result<(String, Option<usize>), Failure> {
        let discovered = self.ask_modern("server/discover", headers).await?;
        let result = discovered.result().unwrap_or_default();
        if get(result, "supportedVersions").is_none() {
            return Err(self.no_handshake(&discovered));
        }
        let info =
            get(result, "_meta").and_then(|meta| get(meta, "io.modelcontextprotocol/serverInfo"));
        let server = self.server(info);
        let offers_tools = get(result, "capabilities").and_then(|all| get(all, "tools")).is_some();
        if !offers_tools {
            return Ok((server, None));
        }
        let listed = self.ask_modern("tools/list", headers).await?;
        Ok((server, Some(self.count(&listed)?)))
    }

    async fn ask_modern(
        &self,
        method: &'static str,
        headers: &HeaderMap,
    ) -> Result<Message, Failure> {
        let text = format!(
            concat!(
                r#"{{"jsonrpc":"2.0","id":3,"method":"{}","params":{{"_meta":{{"#,
                r#""io.modelcontextprotocol/protocolVersion":"{}","#,
                r#""io.modelcontextprotocol/clientInfo":{{"name":"keyferry","version":"{}"}},"#,
                r#""io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
            ),
            method,
            MODERN,
            env!("CARGO_PKG_VERSION")
        );
        let mut headers = headers.clone();
        headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(MODERN));
        headers.insert(METHOD, HeaderValue::from_static(method));
        let reply = self.post(text.into(), headers).await?;
        self.answer(reply, b"3").await
    }

    async fn post(&self, text: Bytes, headers: HeaderMap) -> Result<Reply, Failure> {
        let headers = self.with_credential(&Method::POST, headers);
        self.taken(self.endpoint.post(text, headers).await).await
    }

    /// What came back, unless the remote did not take the credential.
    async fn taken(&self, reply: Result<Reply, SendFailure>) -> Result<Reply, Failure> {
        let remote = self.authorization.remote();
        let reply = reply.map_err(|failure| {
            let why = self.authorization.clean(&failure.to_string());
            let message = format!("cannot verify the credential at {remote}: {why}");
            match failure {
                SendFailure::Redirected { .. } => self.wrong_credential(message),
                failure if failure.is_about_client_certificate() => {
                    Failure::new(Exit::SignInNeeded, message).hint(failure.advice())
                }
                _ => Failure::new(Exit::Network, message)
                    .hint(failure.advice())
                    .hint("to store it without asking the remote: --no-verify"),
            }
        })?;
        if let Some(credential) = &self.credential {
            credential.learn(reply.status.as_u16(), &reply.headers);
        }
        if reply.status == 401 || reply.status == 403 {
            let status = reply.status.as_u16();
            *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((status, reply.headers.clone()));
            return Err(self.not_taken(status, &reply.body.refusal().await));
        }
        Ok(reply)
    }

    /// The response with this id.
    async fn answer(&self, reply: Reply, id: &[u8]) -> Result<Message, Failure> {
        let status = reply.status.as_u16();
        if !reply.status.is_success() {
            return Err(self.refused(status, &reply.body.refusal().await));
        }
        if reply.content != Content::EventStream {
            let body = match tokio::time::timeout(PATIENCE, reply.body.whole()).await {
                Ok(whole) => whole.map_err(|lost| self.lost(&lost))?,
                Err(_) => return Err(self.too_slow()),
            };
            return pick(body.clone(), id).ok_or_else(|| self.not_taken(status, &body));
        }
        self.answer_on(&mut reply.body.events(), id).await
    }

    async fn answer_on(&self, stream: &mut EventStream, id: &[u8]) -> Result<Message, Failure> {
        let read = async {
            while let Some(event) = stream.next().await? {
                if let Some(answer) = pick(event.data, id) {
                    return Ok(Some(answer));
                }
            }
            Ok(None)
        };
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(Ok(Some(answer))) => Ok(answer),
            Ok(Ok(None)) => Err(self.unread("ended its stream without an answer")),
            Ok(Err(lost)) => Err(self.lost(&lost)),
            Err(_) => Err(self.too_slow()),
        }
    }

    fn count(&self, answer: &Message) -> Result<usize, Failure> {
        let list = answer.result().and_then(|result| Some((result, find(result, 0, "tools")?)));
        let items = list.and_then(|(result, range)| Items::array(result, range.start).ok());
        match items {
            Some(items) => Ok(items.count()),
            None => Err(self.no_handshake(answer)),
        }
    }

    fn server(&self, info: Option<&[u8]>) -> String {
        let member =
            |name: &str| info.and_then(|info| string(get(info, name)?)).unwrap_or_default();
        let text = self.authorization.clean(&format!("{} {}", member("name"), member("version")));
        if text.is_empty() { "a server without a name".into() } else { text }
    }

    /// 401, 403, or a 200 with something that is no MCP.
    fn not_taken(&self, status: u16, body: &[u8]) -> Failure {
        let remote = self.authorization.remote();
        let origin = self.authorization.known().map_or(Origin::Nothing, |one| one.origin);
        let what = match (status, origin) {
            (401 | 403, Origin::Nothing) => "wants a credential",
            (401 | 403, _) => "refused the credential",
            _ => "answered with something that is no MCP message",
        };
        self.wrong_credential(format!("{remote} {what} (HTTP status {status}){}", self.said(body)))
    }

    fn no_handshake(&self, answer: &Message) -> Failure {
        let remote = self.authorization.remote();
        let content = answer.error().or(answer.result()).unwrap_or_default();
        self.wrong_credential(format!(
            "{remote} did not take the conversation up{}",
            self.said(content)
        ))
    }

    fn wrong_credential(&self, message: String) -> Failure {
        let failure = Failure::new(Exit::SignInNeeded, message);
        let origin = self.authorization.known().map_or(Origin::Nothing, |one| one.origin);
        if origin == Origin::Token {
            let login = self.authorization.remote().login_command(None);
            return failure.hint(format!("{login} --force")).hint("or check the URL and --scope");
        }
        let check = match origin {
            Origin::Flags => "the key, its header (--key-header, --key-scheme) and the URL",
            _ => "the flags, the secret and the URL",
        };
        failure
            .hint(format!("{NOTHING_STORED}; check {check}"))
            .hint("to store it without asking the remote: --no-verify")
    }

    fn refused(&self, status: u16, body: &[u8]) -> Failure {
        let remote = self.authorization.remote();
        let message = format!(
            "{remote} does not answer as an MCP server (HTTP status {status}){}",
            self.said(body)
        );
        if Reply::is_about_client_certificate(status, body) {
            let shown = self.authorization.shown_certificate().unwrap_or_default();
            let message = format!("{message}{shown}");
            let hint =
                "name a client certificate that it accepts: --client-cert PEM --client-key PEM";
            return Failure::new(Exit::SignInNeeded, message).hint(hint);
        }
        Failure::new(Exit::Network, message)
            .hint("check the URL; to store it without asking: --no-verify")
    }

    fn lost(&self, lost: &Lost) -> Failure {
        self.unread(&match lost {
            Lost::Broken(why) => {
                format!("closed the connection in the middle of its answer: {why}")
            }
            Lost::TooLong => "gave an answer that is too large to verify anything".to_owned(),
        })
    }

    fn too_slow(&self) -> Failure {
        self.unread(&format!("did not answer within {} s", PATIENCE.as_secs()))
    }

    fn unread(&self, what: &str) -> Failure {
        let remote = self.authorization.remote();
        Failure::new(Exit::Network, format!("{remote} {}", self.authorization.clean(what)))
            .hint("try again, or store it without asking: --no-verify")
    }

    fn said(&self, body: &[u8]) -> String {
        let text = self.authorization.clean_body(body);
        if text.is_empty() { String::new() } else { format!(": {text}") }
    }
}

/// The response with this id in a body or event.
fn pick(text: Bytes, id: &[u8]) -> Option<Message> {
    let messages = Line::read(text).map(Line::into_messages).unwrap_or_default();
    messages.into_iter().find(|message| {
        message.kind() == Kind::Response && message.id().is_none_or(|found| same_id(&found, id))
    })
}

//! A minimal MCP server on loopback, in a thread of its own: hyper, HTTP/1.1, no SDK.
//!
//! `/plain` has no session and no GET stream, `/session` has both; the tools answer alike on
//! either and say by their arguments how.

mod reply;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::Result;
use reply::Reply;

pub(crate) struct Server {
    address: SocketAddr,
    secure: bool,
    state: Arc<State>,
}

/// The requests seen.
#[derive(Default)]
struct State {
    posts: AtomicUsize,
    gets: AtomicUsize,
    deletes: AtomicUsize,
    key: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) posts: usize,
    pub(crate) gets: usize,
    pub(crate) deletes: usize,
}

impl Server {
    /// With `key`, requests must carry it as a bearer token.
    pub(crate) fn start(tls: Option<TlsAcceptor>, key: Option<String>) -> Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let secure = tls.is_some();
        let state = Arc::new(State { key, ..State::default() });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::clone(&state);
        std::thread::Builder::new().name("server".into()).spawn(move || {
            runtime.block_on(async move {
                match TcpListener::from_std(listener) {
                    Ok(listener) => accept(listener, tls, shared).await,
                    Err(error) => eprintln!("server: {error}"),
                }
            });
        })?;
        Ok(Self { address, secure, state })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    pub(crate) fn seen(&self) -> Seen {
        Seen {
            posts: self.state.posts.load(Ordering::Relaxed),
            gets: self.state.gets.load(Ordering::Relaxed),
            deletes: self.state.deletes.load(Ordering::Relaxed),
        }
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let state = Arc::clone(&state);
        match tls.clone() {
            None => drop(tokio::spawn(serve(stream, state))),
            Some(tls) => drop(tokio::spawn(async move {
                if let Ok(stream) = tls.accept(stream).await {
                    serve(stream, state).await;
                }
            })),
        }
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, state: Arc<State>) {
    let service = service_fn(|request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(answer(request, &state).await) }
    });
    // A client that hangs up is no fault of the measurement.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: &'a str,
    #[serde(borrow)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    name: Option<&'a str>,
    #[serde(default)]
    arguments: Arguments,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Arguments {
    bytes: usize,
    count: usize,
    milliseconds: u64,
    event: bool,
}

async fn answer(request: Request<Incoming>, state: &State) -> Response<Reply> {
    let session = request.uri().path() == "/session";
    if let Some(key) = &state.key {
        let carried = request.headers().get(AUTHORIZATION);
        let wanted = format!("Bearer {key}");
        if carried.map(|value| value.as_bytes()) != Some(wanted.as_bytes()) {
            return status(StatusCode::UNAUTHORIZED);
        }
    }
    match *request.method() {
        Method::POST => {
            state.posts.fetch_add(1, Ordering::Relaxed);
            match request.into_body().collect().await {
                Ok(body) => post(&body.to_bytes(), session).await,
                Err(_) => status(StatusCode::BAD_REQUEST),
            }
        }
        Method::GET => {
            state.gets.fetch_add(1, Ordering::Relaxed);
            if session { events(Reply::Open) } else { status(StatusCode::METHOD_NOT_ALLOWED) }
        }
        Method::DELETE => {
            state.deletes.fetch_add(1, Ordering::Relaxed);
            status(StatusCode::OK)
        }
        _ => status(StatusCode::METHOD_NOT_ALLOWED),
    }
}

async fn post(body: &Bytes, session: bool) -> Response<Reply> {
    let Ok(message) = serde_json::from_slice::<Message>(body) else {
        return status(StatusCode::BAD_REQUEST);
    };
    let Some(id) = message.id.map(RawValue::get) else {
        return status(StatusCode::ACCEPTED);
    };
    let params = message.params.unwrap_or(Params { name: None, arguments: Arguments::default() });
    let Arguments { bytes, count, milliseconds, event } = params.arguments;
    match (message.method, params.name) {
        ("initialize", _) => {
            let mut response = json(Reply::result(id, INITIALIZE_RESULT));
            if session {
                let headers = response.headers_mut();
                headers.insert("mcp-session-id", "bench".parse().expect("a valid value"));
            }
            response
        }
        (_, Some("text")) if event => events(Reply::large_event(id, bytes)),
        (_, Some("text")) => json(Reply::large(id, bytes)),
        (_, Some("wait")) => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            json(Reply::result(id, ECHO_RESULT))
        }
        (_, Some("progress")) => events(Reply::progress(id, count, milliseconds)),
        (_, Some("burst")) => events(Reply::burst(id, count)),
        _ => json(Reply::result(id, ECHO_RESULT)),
    }
}

const INITIALIZE_RESULT: &str = concat!(
    r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"logging":{}},"#,
    r#""serverInfo":{"name":"bench","version":"1"}}"#
);
const ECHO_RESULT: &str =
    r#"{"content":[{"type":"text","text":"a short answer"}],"resultType":"complete"}"#;

fn status(status: StatusCode) -> Response<Reply> {
    let mut response = Response::new(Reply::empty());
    *response.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let methods = "POST, DELETE".parse().expect("a valid value");
        response.headers_mut().insert(ALLOW, methods);
    }
    response
}

fn json(reply: Reply) -> Response<Reply> {
    with_type(reply, "application/json")
}

fn events(reply: Reply) -> Response<Reply> {
    with_type(reply, "text/event-stream")
}

fn with_type(reply: Reply, content_type: &'static str) -> Response<Reply> {
    let mut response = Response::new(reply);
    let content_type = hyper::header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

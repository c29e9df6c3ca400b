//! A protected MCP server (2025-11-25, with sessions) on loopback. Whoever knows the key is Ada.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Result;

pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    key: String,
    requests: Mutex<Vec<String>>,
    /// As it was sent.
    last_answer: Mutex<String>,
}

type Reply = Response<BoxBody<Bytes, Infallible>>;

const SESSION: &str = "demo-session";
const SESSION_HEADER: &str = "mcp-session-id";

impl Server {
    pub(crate) fn start(key: &str) -> Result<Self> {
        let text = |error: std::io::Error| error.to_string();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(text)?;
        listener.set_nonblocking(true).map_err(text)?;
        let address = listener.local_addr().map_err(text)?;
        let shared = Arc::new(Shared {
            key: key.to_owned(),
            requests: Mutex::default(),
            last_answer: Mutex::default(),
        });
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(text)?;
        let served = Arc::clone(&shared);
        std::thread::spawn(move || runtime.block_on(accept(listener, served)));
        Ok(Self { address, shared })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// What came since `forget_requests`, as lines.
    pub(crate) fn requests(&self) -> Vec<String> {
        locked(&self.shared.requests).clone()
    }

    pub(crate) fn forget_requests(&self) {
        locked(&self.shared.requests).clear();
    }

    /// The bytes of the last answer that was one JSON body.
    pub(crate) fn last_answer(&self) -> String {
        locked(&self.shared.last_answer).clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(answer(request, &shared).await) }
            });
            let server = hyper::server::conn::http1::Builder::new();
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Reply {
    let (head, body) = request.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return plain(StatusCode::BAD_REQUEST),
    };
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let method = message.get("method").and_then(Value::as_str).unwrap_or("");

    let wanted = format!("Bearer {}", shared.key);
    let carried = head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let known = carried == Some(wanted.as_bytes());
    let line = format!("{} {method}", head.method);
    let with = if known { "with the key" } else { "without the key" };
    locked(&shared.requests).push(format!("{} {with}", line.trim_end()));
    if !known {
        let mut reply = plain(StatusCode::UNAUTHORIZED);
        let challenge = HeaderValue::from_static("Bearer");
        reply.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        return reply;
    }

    let session = head.headers.get(SESSION_HEADER);
    if method != "initialize" && session.is_none_or(|session| session != SESSION) {
        return plain(StatusCode::NOT_FOUND);
    }
    match head.method {
        Method::POST => post(method, &message, shared),
        Method::DELETE => plain(StatusCode::OK),
        // No stream of its own accord: allowed, and the client must not mind.
        _ => plain(StatusCode::METHOD_NOT_ALLOWED),
    }
}

fn post(method: &str, message: &Value, shared: &Shared) -> Reply {
    let json_reply = |id: &Value, result: Value| {
        // With white space that only a copy of the bytes keeps.
        let text = format!(r#"{{ "jsonrpc": "2.0", "id": {id}, "result": {result} }}"#);
        locked(&shared.last_answer).clone_from(&text);
        in_json(text)
    };
    let Some(id) = message.get("id") else {
        return plain(StatusCode::ACCEPTED);
    };
    let tool = message.pointer("/params/name").and_then(Value::as_str);
    match (method, tool) {
        ("initialize", _) => {
            let mut reply = json_reply(
                id,
                json!({
                    "protocolVersion": "2025-11-25",
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "demo server", "version": "1"}
                }),
            );
            let session = HeaderValue::from_static(SESSION);
            reply.headers_mut().insert(SESSION_HEADER, session);
            reply
        }
        ("tools/list", _) => {
            let schema = json!({"type": "object"});
            json_reply(
                id,
                json!({"tools": [
                    {"name": "whoami", "description": "Says who is calling", "inputSchema": schema},
                    {"name": "count", "description": "Counts to three, as it goes", "inputSchema": schema}
                ]}),
            )
        }
        ("tools/call", Some("whoami")) => {
            json_reply(id, text("You are Ada, and your key is right."))
        }
        ("tools/call", Some("count")) => {
            let token = message.pointer("/params/_meta/progressToken");
            count(id.clone(), token.cloned().unwrap_or_default())
        }
        _ => {
            let error = json!({"code": -32601, "message": "no such method or tool"});
            in_json(json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string())
        }
    }
}

fn text(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}

fn count(id: Value, token: Value) -> Reply {
    let (sender, body) = Channel::new(1);
    tokio::spawn(async move {
        // An error is a client that hung up.
        let _ = send_counts(sender, id, token).await;
    });
    let mut reply = Response::new(BodyExt::boxed(body));
    let events = HeaderValue::from_static("text/event-stream");
    reply.headers_mut().insert(CONTENT_TYPE, events);
    reply
}

async fn send_counts(
    mut sender: Sender<Bytes, Infallible>,
    id: Value,
    token: Value,
) -> std::result::Result<(), http_body_util::channel::SendError> {
    let event = |message: Value| Bytes::from(format!("event: message\ndata: {message}\n\n"));
    for number in 1..=3 {
        let params = json!({"progressToken": token, "progress": number, "total": 3});
        let message =
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params});
        sender.send_data(event(message)).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let result = text("one, two, three");
    let message = json!({"jsonrpc": "2.0", "id": id, "result": result});
    sender.send_data(event(message)).await
}

fn in_json(message: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(message)).boxed());
    let json = HeaderValue::from_static("application/json");
    reply.headers_mut().insert(CONTENT_TYPE, json);
    reply
}

fn plain(status: StatusCode) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::new()).boxed());
    *reply.status_mut() = status;
    reply
}

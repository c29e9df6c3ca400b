//! HTTP on loopback: what was asked, and replies.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use url::form_urlencoded;

pub(super) type Reply = Response<Full<Bytes>>;
pub(super) type Parameters = HashMap<String, String>;

/// A request, read to its end.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Parameters,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Asked {
    pub(super) fn form(&self) -> Parameters {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn bearer(&self) -> Option<&str> {
        self.header(AUTHORIZATION.as_str())?.strip_prefix("Bearer ")
    }
}

pub(super) async fn serve(
    listener: std::net::TcpListener,
    answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    let answer = Arc::new(answer);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let answer = Arc::clone(&answer);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let answer = Arc::clone(&answer);
                async move {
                    Ok::<_, Infallible>(match read(request).await {
                        Some(asked) => answer(&asked),
                        None => plain(StatusCode::BAD_REQUEST),
                    })
                }
            });
            let server = hyper::server::conn::http1::Builder::new();
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn read(request: Request<Incoming>) -> Option<Asked> {
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or_default();
    Some(Asked {
        query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        path: head.uri.path().to_owned(),
        method: head.method,
        headers: head.headers,
        body: body.collect().await.ok()?.to_bytes(),
    })
}

pub(super) fn plain(status: StatusCode) -> Reply {
    with_body(status, "text/plain", String::new())
}

pub(super) fn json(status: StatusCode, value: &Value) -> Reply {
    with_body(status, "application/json", value.to_string())
}

pub(super) fn with_body(status: StatusCode, kind: &'static str, body: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    reply.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    reply.headers_mut().insert("cache-control", HeaderValue::from_static("no-store"));
    reply
}

/// Adds a header; one that cannot be sent is left out.
pub(super) fn with_header(mut reply: Reply, name: &'static str, value: &str) -> Reply {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(HeaderName::from_static(name), value);
    }
    reply
}

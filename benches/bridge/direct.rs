//! Direct HTTP to the server: hyper's client on one thread, no bridge, nothing parsed.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio_rustls::TlsConnector;

use crate::Result;
use crate::payload::{INITIALIZE, call, id_of};

pub(crate) struct Direct {
    runtime: tokio::runtime::Runtime,
}

pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

impl Direct {
    pub(crate) fn new() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime })
    }

    pub(crate) fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.runtime.block_on(async {
            match tokio::time::timeout(Duration::from_secs(60), LocalSet::new().run_until(work))
                .await
            {
                Ok(outcome) => outcome,
                Err(_) => Err("direct HTTP took more than 60 s".into()),
            }
        })
    }

    /// A new connection and one `initialize`, as a process has to do it that was just started.
    pub(crate) fn start(
        &self,
        address: SocketAddr,
        tls: Option<(&TlsConnector, &str)>,
    ) -> Result<Duration> {
        self.run(async {
            let begin = Instant::now();
            let mut connection = match tls {
                None => Connection::open(address).await?,
                Some((connector, _)) => Connection::open_secure(address, connector).await?,
            };
            let key = tls.map(|(_, key)| key);
            let response = connection.send(Method::POST, INITIALIZE, key).await?;
            drain(response).await?;
            Ok(begin.elapsed())
        })
    }

    /// Calls of `echo`, `width` of them in flight, each on a connection of its own.
    pub(crate) fn in_flight(
        &self,
        address: SocketAddr,
        calls: usize,
        width: usize,
    ) -> Result<Duration> {
        self.run(async {
            let mut connections = Vec::with_capacity(width);
            for _ in 0..width {
                let mut connection = Connection::open(address).await?;
                connection.post(&call(0, "echo", "")).await?;
                connections.push(connection);
            }
            let left = Rc::new(Cell::new(calls));
            let begin = Instant::now();
            let mut workers = Vec::with_capacity(width);
            for mut connection in connections {
                let left = Rc::clone(&left);
                workers.push(tokio::task::spawn_local(async move {
                    while left.get() > 0 {
                        left.set(left.get() - 1);
                        let answer = connection.post(&call(left.get(), "echo", "")).await;
                        answer.map_err(|error| error.to_string())?;
                    }
                    Ok::<(), String>(())
                }));
            }
            for worker in workers {
                worker.await??;
            }
            Ok(begin.elapsed())
        })
    }
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        drop(tokio::task::spawn_local(connection));
        Ok(Self { sender })
    }

    async fn open_secure(address: SocketAddr, connector: &TlsConnector) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream = connector.connect(address.ip().into(), stream).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        drop(tokio::task::spawn_local(connection));
        Ok(Self { sender })
    }

    async fn send(
        &mut self,
        method: Method,
        body: &str,
        key: Option<&str>,
    ) -> Result<Response<Incoming>> {
        let mut request = Request::builder()
            .method(method)
            .uri("/plain")
            .header(HOST, "127.0.0.1")
            .header(ACCEPT, "application/json, text/event-stream")
            .header(CONTENT_TYPE, "application/json");
        if let Some(key) = key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        let body = Full::new(Bytes::copy_from_slice(body.trim_end().as_bytes()));
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(body)?).await?;
        if !response.status().is_success() {
            return Err(format!("the bench's server said {}", response.status()).into());
        }
        Ok(response)
    }

    /// One POST; the answer in whole.
    pub(crate) async fn post(&mut self, line: &str) -> Result<()> {
        let response = self.send(Method::POST, line, None).await?;
        let body = response.into_body().collect().await?.to_bytes();
        if id_of(&body) != id_of(line.as_bytes()) {
            return Err("direct HTTP got the answer to another call".into());
        }
        Ok(())
    }

    /// One POST; the answer is counted and dropped as it comes. Its length.
    pub(crate) async fn post_large(&mut self, line: &str) -> Result<usize> {
        let response = self.send(Method::POST, line, None).await?;
        drain(response).await
    }

    /// One POST; what comes is shown piece by piece, as it comes.
    pub(crate) async fn post_stream(
        &mut self,
        line: &str,
        mut see: impl FnMut(&[u8]),
    ) -> Result<()> {
        let mut body = self.send(Method::POST, line, None).await?.into_body();
        while let Some(frame) = body.frame().await {
            if let Ok(bytes) = frame?.into_data() {
                see(&bytes);
            }
        }
        Ok(())
    }

    pub(crate) async fn delete(&mut self) -> Result<()> {
        let response = self.send(Method::DELETE, "", None).await?;
        drain(response).await.map(drop)
    }
}

async fn drain(response: Response<Incoming>) -> Result<usize> {
    let mut body = response.into_body();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(length)
}

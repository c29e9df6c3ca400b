//! A conforming server of 2024-11-05 (HTTP+SSE) at `/mcp`, any part of it replaceable.

use super::PATIENCE;
use super::http::{Events, Request, Wire};
use super::mcp_server::{Port, Server};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

type Endpoint = Box<dyn Fn(&str, &Request) -> String + Send + Sync>;
type First = Box<dyn Fn(&Request, Wire) -> Option<Wire> + Send + Sync>;
type Handler = Box<dyn Fn(&Request, Wire, &Stream) + Send + Sync>;

pub(crate) struct HttpSse {
    version: String,
    /// What the endpoint event says, given the path with the session.
    endpoint: Endpoint,
    /// How a POST to the URL of the stream is refused.
    refusal: (u16, String),
    gzip: bool,
    /// Where the stream and the endpoint really are.
    paths: (&'static str, &'static str),
    first: First,
    on: HashMap<String, Handler>,
}

/// The stream of one connection.
#[derive(Clone)]
pub(crate) struct Stream(Arc<Mutex<Option<Open>>>);

struct Open {
    events: Events,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl Open {
    fn raw(&mut self, bytes: impl AsRef<[u8]>) {
        let Some(gzip) = &mut self.gzip else { return self.events.raw(bytes) };
        gzip.write_all(bytes.as_ref()).unwrap();
        gzip.flush().unwrap();
        self.events.raw(std::mem::take(gzip.get_mut()));
    }

    fn event(&mut self, data: impl AsRef<str>) {
        self.raw(format!("event: message\ndata: {}\n\n", data.as_ref()));
    }
}

/// The streams of all connections.
#[derive(Clone, Default)]
pub(crate) struct Streams(Arc<(Mutex<Vec<Stream>>, Condvar)>);

/// The running server.
pub(crate) struct SseServer {
    server: Server,
    streams: Streams,
}

impl Stream {
    fn with(&self, work: impl FnOnce(&mut Open)) {
        work(self.0.lock().unwrap().as_mut().expect("an open stream"));
    }

    pub(crate) fn event(&self, data: impl AsRef<str>) {
        self.with(|events| events.event(data));
    }

    pub(crate) fn raw(&self, bytes: impl AsRef<[u8]>) {
        self.with(|events| events.raw(bytes));
    }

    /// The answer to a request, unless the stream has ended.
    pub(crate) fn answer(&self, request: &Request, result: &str) {
        if let Some(events) = self.0.lock().unwrap().as_mut() {
            events.event(request.result(result));
        }
    }

    fn take(&self) -> Events {
        self.0.lock().unwrap().take().expect("an open stream").events
    }

    pub(crate) fn end(&self) {
        self.take().end();
    }

    pub(crate) fn cut(&self) {
        self.take().cut();
    }

    pub(crate) fn reset(&self) {
        self.take().reset();
    }

    pub(crate) fn client_closes_within(&self, deadline: Duration) -> bool {
        self.take().client_closes_within(deadline)
    }
}

impl HttpSse {
    pub(crate) fn new() -> Self {
        Self {
            version: "2024-11-05".to_owned(),
            endpoint: Box::new(|path, _| path.to_owned()),
            refusal: (405, String::new()),
            gzip: false,
            paths: ("/mcp", "/messages"),
            first: Box::new(|_, wire| Some(wire)),
            on: HashMap::new(),
        }
    }

    pub(crate) fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// Names its endpoint in another way than as a path.
    pub(crate) fn endpoint(
        mut self,
        endpoint: impl Fn(&str, &Request) -> String + Send + Sync + 'static,
    ) -> Self {
        self.endpoint = Box::new(endpoint);
        self
    }

    /// Answers a POST to the URL of the stream so.
    pub(crate) fn refuses(mut self, status: u16, body: &str) -> Self {
        self.refusal = (status, body.to_owned());
        self
    }

    /// The stream and the endpoint are elsewhere than said.
    pub(crate) fn moved(mut self, stream: &'static str, endpoint: &'static str) -> Self {
        self.paths = (stream, endpoint);
        self
    }

    /// Compresses its streams.
    pub(crate) fn gzip(mut self) -> Self {
        self.gzip = true;
        self
    }

    /// Looks at each request first; it goes on where the wire is given back.
    pub(crate) fn first(
        mut self,
        first: impl Fn(&Request, Wire) -> Option<Wire> + Send + Sync + 'static,
    ) -> Self {
        self.first = Box::new(first);
        self
    }

    /// Replaces what it does for one kind of request (see [`Request::kind`]).
    pub(crate) fn on(
        mut self,
        kind: &str,
        handler: impl Fn(&Request, Wire, &Stream) + Send + Sync + 'static,
    ) -> Self {
        self.on.insert(kind.to_owned(), Box::new(handler));
        self
    }

    pub(crate) fn start(self) -> SseServer {
        self.serve(Port::reserve())
    }

    pub(crate) fn serve(self, port: Port) -> SseServer {
        let (handler, streams) = self.into_handler();
        SseServer { server: port.serve(handler), streams }
    }

    /// For a server that stands behind something else.
    pub(crate) fn into_handler(self) -> (impl Fn(&Request, Wire) + Send + Sync + 'static, Streams) {
        let streams = Streams::default();
        let known = streams.clone();
        (move |request: &Request, wire| self.serve_one(request, wire, &known), streams)
    }

    fn serve_one(&self, request: &Request, wire: Wire, streams: &Streams) {
        let Some(wire) = (self.first)(request, wire) else { return };
        assert_eq!(request.header("mcp-session-id"), None, "no such session");
        match (&*request.method, request.target.split('?').next().unwrap_or_default()) {
            ("GET", path) if path == self.paths.0 => self.open_stream(request, wire, streams),
            ("POST", path) if path == self.paths.0 => {
                let (status, body) = &self.refusal;
                wire.reply(*status, &[("Content-Type", "application/json")], body.as_bytes());
            }
            ("POST", path) if path == self.paths.1 => self.take(request, wire, streams),
            other => panic!("nobody asks for {other:?}"),
        }
    }

    fn open_stream(&self, request: &Request, wire: Wire, streams: &Streams) {
        let accept = request.header("accept").unwrap_or_default();
        assert!(accept.contains("text/event-stream"), "{accept:?}");
        let encodings = request.header("accept-encoding").unwrap_or_default();
        assert!(!self.gzip || encodings.contains("gzip"), "{encodings:?}");
        let mut all = streams.all();
        let path = format!("/messages?sessionId=secret-{}", all.len());
        let encoding = [("Content-Encoding", "gzip")];
        let events = wire.events_with(if self.gzip { &encoding } else { &[] });
        let gzip = self.gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        let mut open = Open { events, gzip };
        // Known before the client can name it.
        let stream = Stream(Arc::default());
        let mut slot = stream.0.lock().unwrap();
        all.push(stream.clone());
        drop(all);
        open.raw(format!("event: endpoint\ndata: {}\n\n", (self.endpoint)(&path, request)));
        *slot = Some(open);
        drop(slot);
        streams.0.1.notify_all();
    }

    fn take(&self, request: &Request, wire: Wire, streams: &Streams) {
        let (_, number) = request.target.split_once("?sessionId=secret-").expect("a session");
        let number: usize = number.parse().expect("a number");
        let stream = streams.all()[number].clone();
        let kind = request.kind();
        match self.on.get(&kind) {
            Some(handler) => handler(request, wire, &stream),
            None => self.answer_by_default(request, &kind, wire, &stream),
        }
    }

    fn answer_by_default(&self, request: &Request, kind: &str, wire: Wire, stream: &Stream) {
        wire.reply(202, &[("Content-Type", "text/plain")], b"Accepted");
        match kind {
            "initialize" => stream.answer(
                request,
                &format!(
                    r#"{{"protocolVersion":"{}","capabilities":{{"tools":{{"listChanged":true}},"resources":{{"subscribe":true}},"logging":{{}}}},"serverInfo":{{"name":"sse","version":"0"}}}}"#,
                    self.version
                ),
            ),
            "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => {
                stream.answer(request, "{}");
            }
            "tools/list" => stream
                .answer(request, r#"{"tools":[{"name":"echo","inputSchema":{"type":"object"}}]}"#),
            "tools/call" => {
                stream.answer(request, r#"{"content":[{"type":"text","text":"ok"}]}"#);
            }
            "response" => {}
            _ => assert!(request.is_notification(), "nobody asks for {kind}"),
        }
    }
}

impl Streams {
    fn all(&self) -> MutexGuard<'_, Vec<Stream>> {
        self.0.0.lock().unwrap()
    }

    /// The stream of the connection of this number, from 0 on; waits for it.
    pub(crate) fn wait(&self, number: usize) -> Stream {
        let few = |all: &mut Vec<Stream>| all.len() <= number;
        let (all, waited) = self.0.1.wait_timeout_while(self.all(), PATIENCE, few).unwrap();
        assert!(!waited.timed_out(), "there is no connection {number}");
        all[number].clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.all().len()
    }
}

impl SseServer {
    /// The stream of the connection of this number, from 0 on; waits for it.
    pub(crate) fn stream(&self, number: usize) -> Stream {
        self.streams.wait(number)
    }

    /// How many connections there were.
    pub(crate) fn streams(&self) -> usize {
        self.streams.count()
    }

    /// Stops listening and ends every connection; the port is told.
    pub(crate) fn kill(self) -> SocketAddr {
        for stream in &*self.streams.all() {
            drop(stream.0.lock().unwrap().take());
        }
        self.server.kill()
    }
}

impl Deref for SseServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

//! One connection of a scripted HTTP/1.1 server: the request parsed, the reply
//! whatever bytes a test chooses, at the moment it chooses.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    rpc: String,
    id: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(default)]
    method: Option<String>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let value = found.next()?;
        assert!(found.next().is_none(), "{name} was sent twice: {self:?}");
        Some(&value.1)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a UTF-8 body")
    }

    /// The JSON-RPC method of the body, or empty.
    pub(crate) fn rpc(&self) -> &str {
        &self.rpc
    }

    /// The id as it was spelled, or empty.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The params as they were spelled, or empty.
    pub(crate) fn params(&self) -> String {
        let envelope: Option<Envelope<'_>> = serde_json::from_slice(&self.body).ok();
        let params = envelope.and_then(|envelope| envelope.params);
        params.map_or(String::new(), |params| params.get().to_owned())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        super::value(self.text())
    }

    /// The body, or null where it is no JSON.
    pub(crate) fn json_or_null(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// What a script is keyed by: `GET`, `DELETE`, the JSON-RPC method, or
    /// `response` for an answer of the client.
    pub(crate) fn kind(&self) -> String {
        match self.method.as_str() {
            "POST" => match self.rpc() {
                "" => "response".to_owned(),
                method => method.to_owned(),
            },
            other => other.to_owned(),
        }
    }

    pub(crate) fn is_notification(&self) -> bool {
        !self.rpc().is_empty() && self.id().is_empty()
    }

    /// A JSON-RPC result for this request.
    pub(crate) fn result(&self, result: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, self.id())
    }

    /// Reads the next request of a connection; `None` when it has ended.
    pub(crate) fn read(reader: &mut BufReader<impl Read>) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let mut request = Self {
            method: words.next().unwrap_or_default().to_owned(),
            target: words.next().unwrap_or_default().to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            rpc: String::new(),
            id: String::new(),
        };
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let line = line.trim_end_matches(['\r', '\n']);
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            let value = value.trim_matches([' ', '\t']).to_owned();
            request.headers.push((name.to_owned(), value));
        }
        request.read_body(reader)?;
        if let Ok(envelope) = serde_json::from_slice::<Envelope<'_>>(&request.body) {
            let id = envelope.id.map(|id| id.get().to_owned());
            let rpc = envelope.method;
            (request.rpc, request.id) = (rpc.unwrap_or_default(), id.unwrap_or_default());
        }
        Ok(Some(request))
    }

    fn read_body(&mut self, reader: &mut impl BufRead) -> io::Result<()> {
        if let Some(length) = self.header("content-length") {
            self.body = vec![0; length.parse().expect("a length")];
            return reader.read_exact(&mut self.body);
        }
        if self.header("transfer-encoding").is_none() {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim(), 16).expect("a chunk size");
            let start = self.body.len();
            self.body.resize(start + size, 0);
            reader.read_exact(&mut self.body[start..])?;
            reader.read_line(&mut line)?;
            if size == 0 {
                return Ok(());
            }
        }
    }
}

/// The writing half of a connection while one request is being answered.
/// Dropped without a whole reply, it ends the connection.
pub(crate) struct Wire {
    stream: Arc<TcpStream>,
    done: Sender<bool>,
    keep: bool,
}

impl Wire {
    pub(crate) fn new(stream: Arc<TcpStream>, done: Sender<bool>) -> Self {
        Self { stream, done, keep: false }
    }

    /// Raw bytes. That the other side has gone is for the other side's checks.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let _ = (&*self.stream).write_all(bytes);
    }

    fn head(&mut self, status: u16, headers: &[(&str, &str)]) {
        let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.raw(head.as_bytes());
    }

    /// A whole reply; the connection stays.
    pub(crate) fn reply(mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        let length = body.len().to_string();
        let mut all = headers.to_vec();
        all.push(("Content-Length", &length));
        self.head(status, &all);
        self.raw(body);
        self.keep = true;
    }

    pub(crate) fn json(self, body: impl AsRef<[u8]>) {
        self.reply(200, &[("Content-Type", "application/json")], body.as_ref());
    }

    pub(crate) fn status(self, status: u16) {
        self.reply(status, &[], b"");
    }

    pub(crate) fn accepted(self) {
        self.status(202);
    }

    /// Opens an event stream.
    pub(crate) fn events(self) -> Events {
        self.events_with(&[])
    }

    pub(crate) fn events_with(self, headers: &[(&str, &str)]) -> Events {
        let mut all = vec![("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")];
        all.extend(headers);
        self.chunked(&all)
    }

    /// Any body in chunks.
    pub(crate) fn chunked(mut self, headers: &[(&str, &str)]) -> Events {
        let mut all = headers.to_vec();
        all.push(("Transfer-Encoding", "chunked"));
        self.head(200, &all);
        Events(self)
    }

    /// A head that promises `length` bytes of JSON.
    pub(crate) fn promise(&mut self, length: usize) {
        self.head(
            200,
            &[("Content-Type", "application/json"), ("Content-Length", &length.to_string())],
        );
    }

    /// Ends the connection with FIN, wherever it is.
    pub(crate) fn cut(self) {}

    /// Ends the connection with RST.
    pub(crate) fn reset(self) {
        let socket = socket2::SockRef::from(&*self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("set the linger time");
    }

    /// Waits until the client closes this connection; false at the deadline.
    pub(crate) fn client_closes_within(&self, deadline: Duration) -> bool {
        self.stream.set_read_timeout(Some(deadline)).expect("set a read timeout");
        let mut byte = [0];
        match (&*self.stream).read(&mut byte) {
            Ok(0) => true,
            Ok(_) => panic!("the client sent more on a connection that waits for a reply"),
            Err(error) => {
                !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
            }
        }
    }

    /// The socket itself, for writes that may stall.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = self.done.send(self.keep);
    }
}

/// An open event stream, chunked.
pub(crate) struct Events(Wire);

impl Events {
    /// These bytes as one chunk.
    pub(crate) fn raw(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.0.raw(&chunk);
    }

    pub(crate) fn event(&mut self, data: impl AsRef<str>) {
        self.raw(format!("event: message\ndata: {}\n\n", data.as_ref()));
    }

    pub(crate) fn event_with_id(&mut self, id: &str, data: &str) {
        self.raw(format!("id: {id}\ndata: {data}\n\n"));
    }

    /// Terminates the stream; the connection stays.
    pub(crate) fn end(mut self) {
        self.0.raw(b"0\r\n\r\n");
        self.0.keep = true;
    }

    pub(crate) fn cut(self) {}

    pub(crate) fn reset(self) {
        self.0.reset();
    }

    pub(crate) fn client_closes_within(&self, deadline: Duration) -> bool {
        self.0.client_closes_within(deadline)
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.0.stream()
    }
}

/// Ends a connection for good, so that its peer and its thread see it.
pub(crate) fn hang_up(stream: &TcpStream) {
    let _ = stream.shutdown(Shutdown::Both);
}

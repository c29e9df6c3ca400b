//! What the proxy does with one reply.

use super::fault::Fault;
use super::proxy::{After, Shared, Strike};
use super::upstream::{Framing, Next, Upstream, hangs_up};
use crate::support::http::Request;
use flate2::{Compression, write::GzEncoder};
use serde_json::Value;
use std::io::Write;
use std::net::TcpStream;

/// Answers one request, and says what becomes of the connection.
pub(super) fn reply(
    shared: &Shared,
    at: usize,
    request: &Request,
    client: &TcpStream,
    strike: Option<Strike>,
) -> After {
    let fault = strike.map(|strike| strike.fault);
    if let Some(text) = fault.and_then(|fault| without_remote(fault, request)) {
        shared.struck(at);
        return write(client, &text);
    }
    if fault == Some(Fault::ResetUnsent) {
        shared.struck(at);
        return After::Reset;
    }
    let Some(mut upstream) = Upstream::ask(shared.remote, request, client) else {
        return After::Close;
    };
    if strike.is_some() {
        shared.struck(at);
    }
    if let Some((text, after)) = fault.and_then(instead) {
        write(client, &text);
        return after;
    }
    let is_stream = upstream.is_event_stream();
    shared.note(at, |exchange| exchange.is_stream = is_stream);
    let relay = Relay { shared, at, client, strike };
    if fault == Some(Fault::Duplicate) && !is_stream {
        return relay.twice(&mut upstream);
    }
    let mut out = Out::new(client, fault, upstream.framing());
    out.head(fault, &upstream);
    shared.begun(at);
    relay.body(&mut upstream, &mut out)
}

fn write(client: &TcpStream, text: &str) -> After {
    let mut client = client;
    let _ = client.write_all(text.as_bytes());
    After::Keep
}

/// A reply that the remote has no part in.
fn without_remote(fault: Fault, request: &Request) -> Option<String> {
    // What may be asked for again is, and that has to be soon.
    let soon = request.method == "GET";
    let later = if soon { "Retry-After: 0\r\n" } else { "Retry-After: 30\r\n" };
    let (status, headers, body) = match fault {
        Fault::TooManyRequests => ("429 Too Many Requests", later, "slow down"),
        Fault::Unavailable => ("503 Service Unavailable", later, ""),
        Fault::RedirectElsewhere => {
            ("307 Temporary Redirect", "Location: http://elsewhere.invalid/mcp\r\n", "")
        }
        Fault::RedirectHere => {
            let location =
                format!("Location: {}-moved\r\nContent-Length: 0\r\n\r\n", request.target);
            return Some(format!("HTTP/1.1 307 Temporary Redirect\r\n{location}"));
        }
        _ => return None,
    };
    let length = body.len();
    Some(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"))
}

/// A reply in place of the remote's.
fn instead(fault: Fault) -> Option<(String, After)> {
    const PAGE: &str = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
    let reply = match fault {
        Fault::ResetBeforeHead => (String::new(), After::Reset),
        Fault::CloseBeforeHead => (String::new(), After::Close),
        Fault::ContinueThenClose => ("HTTP/1.1 100 Continue\r\n\r\n".to_owned(), After::Close),
        Fault::BadGateway => {
            let head = "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length:";
            (format!("{head} {}\r\n\r\n{PAGE}", PAGE.len()), After::Keep)
        }
        Fault::Empty200 => ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(), After::Keep),
        Fault::Accepted202 => {
            ("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_owned(), After::Keep)
        }
        Fault::NoContent204 => ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), After::Keep),
        Fault::SwitchingProtocols => {
            let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n";
            (format!("{head}\r\n"), After::Close)
        }
        Fault::HugeHeaders => {
            let long = "x".repeat(1024 * 1024);
            (format!("HTTP/1.1 200 OK\r\nX-Long: {long}\r\n\r\n"), After::Close)
        }
        Fault::TooManyHeaders => {
            let many: String = (0..200).map(|n| format!("X-{n}: x\r\n")).collect();
            (format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 0\r\n\r\n"), After::Close)
        }
        _ => return None,
    };
    Some(reply)
}

/// The way of one reply that is handed on, more or less.
struct Relay<'a> {
    shared: &'a Shared,
    at: usize,
    client: &'a TcpStream,
    strike: Option<Strike>,
}

impl Relay<'_> {
    fn body(&self, upstream: &mut Upstream, out: &mut Out<'_>) -> After {
        let mut index = 0;
        loop {
            let next = upstream.next(self.client);
            let here = self.strike.filter(|strike| strike.piece == index).map(|one| one.fault);
            let piece = match next {
                Next::Gone => return After::Close,
                Next::End => None,
                Next::Piece(piece) => Some(piece),
            };
            if let Some(piece) = &piece {
                self.note(index, piece);
            }
            if let Some(after) = here.and_then(|fault| self.ends_here(fault, piece.as_deref(), out))
            {
                return after;
            }
            let Some(piece) = piece else { break };
            out.piece(&here.map_or_else(|| piece.clone(), |fault| self.spoilt(fault, &piece)));
            index += 1;
            match self.strike.filter(|strike| strike.piece == index).map(|strike| strike.fault) {
                Some(Fault::Buffered) => self.shared.stalled(self.at),
                // Nobody is to wait for more of it.
                Some(Fault::WrongContentType) => break,
                _ => {}
            }
        }
        out.end();
        self.shared.note(self.at, |exchange| exchange.whole = true);
        After::Keep
    }

    fn note(&self, index: usize, piece: &[u8]) {
        let message = message(piece);
        self.shared.note(self.at, |exchange| {
            exchange.pieces = index + 1;
            exchange.has_ids |= piece.starts_with(b"id:");
            if message["id"].is_string() && message["method"].is_string() {
                exchange.asks = Some(index);
            } else if is_response(&message) {
                exchange.answer = Some(index);
            }
        });
    }

    /// Faults that end the reply before this piece, or before its end.
    fn ends_here(&self, fault: Fault, piece: Option<&[u8]>, out: &mut Out<'_>) -> Option<After> {
        let half = piece.map_or(&b"data: {\"jsonrpc\""[..], |piece| &piece[..piece.len() / 2]);
        // What is whole so far counts; JSON is never whole here.
        let so_far = if out.is_json { half } else { b"" };
        match fault {
            Fault::ResetInBody => out.piece(so_far),
            Fault::CloseInBody | Fault::StallThenCut | Fault::RestartInBody => out.piece(so_far),
            Fault::StallThenCancel | Fault::AfterCancel => {}
            Fault::EndInBody => out.piece(so_far),
            Fault::HalfEvent | Fault::TruncatedGzip => out.piece(half),
            _ => return None,
        }
        match fault {
            Fault::ResetInBody => return Some(After::Reset),
            Fault::StallThenCut => self.shared.stall(self.at),
            Fault::StallThenCancel => {
                self.shared.stalled(self.at);
                hangs_up(self.client);
            }
            Fault::AfterCancel => {
                self.shared.stalled(self.at);
                hangs_up(self.client);
                out.piece(piece.unwrap_or_default());
                self.unasked(piece.unwrap_or_default());
            }
            Fault::RestartInBody => (self.shared.restart)(),
            Fault::EndInBody | Fault::HalfEvent => return Some(out.cut_short()),
            Fault::TruncatedGzip => return Some(out.cut_short()),
            _ => {}
        }
        Some(After::Close)
    }

    /// The same message on the stream for what nobody asked for.
    fn unasked(&self, piece: &[u8]) {
        let Some(stream) = self.shared.unasked.lock().unwrap().upgrade() else { return };
        let event = format!("data: {}\n\n", message(piece));
        let _ = (&*stream).write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
    }

    /// What goes out in the place of a piece.
    fn spoilt(&self, fault: Fault, piece: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(piece).into_owned();
        let own = message(piece)["id"].to_string();
        let other = |id: &str, result: &str| {
            format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n\n")
        };
        match fault {
            Fault::NotUtf8 => {
                let at = piece.iter().rposition(|&byte| byte == b'"').unwrap_or_default();
                [&piece[..at], b"\xff", &piece[at..]].concat()
            }
            Fault::UnknownIdAhead => (other("\"nobody's\"", "{\"forged\":true}") + &text).into(),
            Fault::NotUtf8Ahead => {
                let note = b"data: {\"jsonrpc\":\"2.0\",\"method\":\"x/\xff\"}\n\n";
                [note, piece].concat()
            }
            Fault::UnknownIdInstead => {
                text.replacen(&format!("\"id\":{own}"), "\"id\":\"nobody's\"", 1).into()
            }
            Fault::Duplicate => text.repeat(2).into(),
            Fault::TwoResponses if text.starts_with('{') => {
                format!("[{text},{{\"jsonrpc\":\"2.0\",\"id\":{own},\"result\":{{}}}}]").into()
            }
            Fault::TwoResponses => (text + &other(&own, "{\"forged\":true}")).into(),
            Fault::ForeignStream => (other("\"bystander\"", "{\"forged\":true}") + &text).into(),
            _ => piece.to_vec(),
        }
    }

    /// The whole HTTP response a second time, at the same moment.
    fn twice(&self, upstream: &mut Upstream) -> After {
        let mut body = Vec::new();
        while let Next::Piece(piece) = upstream.next(self.client) {
            self.note(0, &piece);
            body.extend_from_slice(&piece);
        }
        let mut text = head(upstream);
        text.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let once = [text.as_bytes(), &body].concat();
        let mut client = self.client;
        let _ = client.write_all(&once.repeat(2));
        After::Keep
    }
}

/// The message in a piece, or null.
fn message(piece: &[u8]) -> Value {
    let text = String::from_utf8_lossy(piece);
    let json = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&text);
    serde_json::from_str(json).unwrap_or_default()
}

fn is_response(message: &Value) -> bool {
    message.get("result").is_some() || message.get("error").is_some()
}

fn head(upstream: &Upstream) -> String {
    let mut text = format!("HTTP/1.1 {} Relayed\r\n", upstream.status);
    for (name, value) in &upstream.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text
}

/// The way back to the bridge.
struct Out<'a> {
    client: &'a TcpStream,
    /// None where the length is announced.
    chunked: bool,
    length: usize,
    is_json: bool,
    trickle: bool,
    buffer: Option<Vec<u8>>,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl<'a> Out<'a> {
    fn new(client: &'a TcpStream, fault: Option<Fault>, framing: Framing) -> Self {
        let trickle = fault == Some(Fault::Trickle);
        let gzip = fault == Some(Fault::TruncatedGzip);
        let length = if let Framing::Length(length) = framing { length } else { 0 };
        // In these the length is no more what was announced.
        let reshaped = matches!(
            fault,
            Some(
                Fault::NotUtf8
                    | Fault::UnknownIdInstead
                    | Fault::TwoResponses
                    | Fault::EndInBody
                    | Fault::HalfEvent
            )
        );
        let json = framing != Framing::Chunked;
        Self {
            client,
            chunked: !json || (length > 0 && (trickle || gzip || reshaped)),
            length,
            is_json: json,
            trickle,
            buffer: (fault == Some(Fault::Buffered)).then(Vec::new),
            gzip: gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast())),
        }
    }

    fn head(&self, fault: Option<Fault>, upstream: &Upstream) {
        let mut text = head(upstream);
        match fault {
            Some(Fault::WrongContentType) => {
                text = text.to_lowercase().replace("content-type: ", "content-type: text/x-");
                text = text.replacen("http/1.1", "HTTP/1.1", 1);
            }
            Some(Fault::LongHeaders) => {
                text.push_str(&format!("X-Long: {}\r\n", "x".repeat(60_000)));
            }
            Some(Fault::Informational) => {
                let hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
                let go_on = "HTTP/1.1 100 Continue\r\n\r\n".repeat(2);
                text = format!("{go_on}{hints}HTTP/1.1 100 \r\nX: y\r\n\r\n{text}");
            }
            Some(Fault::TruncatedGzip) if self.chunked => {
                text.push_str("Content-Encoding: gzip\r\n");
            }
            _ => {}
        }
        if self.chunked {
            text.push_str("Transfer-Encoding: chunked\r\n\r\n");
        } else {
            text.push_str(&format!("Content-Length: {}\r\n\r\n", self.length));
        }
        write(self.client, &text);
    }

    fn piece(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        if let Some(gzip) = &mut self.gzip {
            let _ = gzip.write_all(&bytes).and_then(|()| gzip.flush());
            bytes = std::mem::take(gzip.get_mut());
        }
        match &mut self.buffer {
            Some(buffer) => buffer.extend_from_slice(&bytes),
            None => self.write(&bytes),
        }
    }

    fn write(&self, bytes: &[u8]) {
        let mut client = self.client;
        if !self.chunked {
            let _ = client.write_all(bytes);
            return;
        }
        let size = if self.trickle { 1 } else { bytes.len().max(1) };
        for piece in bytes.chunks(size) {
            let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            let _ = client.write_all(&chunk);
        }
    }

    fn end(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.write(&buffer);
        }
        if self.chunked {
            write(self.client, "0\r\n\r\n");
        }
    }

    /// A proper end, too early.
    fn cut_short(&mut self) -> After {
        self.end();
        if self.chunked { After::Keep } else { After::Close }
    }
}

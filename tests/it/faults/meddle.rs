//! What the proxy does with one reply.

use super::fault::Fault;
use super::instead::{instead, without_remote};
use super::out::{Out, head, write};
use super::proxy::{After, Shared};
use super::record::Strike;
use super::upstream::{Next, Upstream, hangs_up};
use crate::support::http::Request;
use serde_json::Value;
use std::cell::Cell;
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
    match fault {
        Some(Fault::StallBeforeHead) => {
            shared.stall(at);
            return After::Close;
        }
        Some(Fault::CancelBeforeHead) => {
            shared.stalled(at);
            hangs_up(client);
            return After::Close;
        }
        _ => {}
    }
    if let Some((text, after)) = fault.and_then(instead) {
        write(client, &text);
        return after;
    }
    let is_stream = upstream.is_event_stream();
    shared.note(at, |exchange, _| {
        exchange.is_stream = is_stream;
        exchange.is_refusal = upstream.status >= 400;
    });
    let relay = Relay { shared, at, client, strike, is_one_stream: Cell::new(false) };
    if fault == Some(Fault::Duplicate) && !is_stream {
        return relay.twice(&mut upstream);
    }
    let mut out = Out::new(client, fault, upstream.framing());
    out.head(fault, &upstream);
    shared.begun(at);
    relay.body(&mut upstream, &mut out)
}

/// The way of one reply that is handed on, more or less.
struct Relay<'a> {
    shared: &'a Shared,
    at: usize,
    client: &'a TcpStream,
    strike: Option<Strike>,
    /// All that the remote says comes here (HTTP+SSE).
    is_one_stream: Cell<bool>,
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
            if self.is_one_stream.get() && here.is_some_and(Fault::swallows) {
                self.shared.stalled(self.at);
            }
            index += 1;
            match self.strike.filter(|strike| strike.piece == index).map(|strike| strike.fault) {
                Some(Fault::Buffered) => self.shared.stalled(self.at),
                // Nobody is to wait for more of it.
                Some(Fault::WrongContentType) => break,
                _ => {}
            }
        }
        self.shared.note(self.at, |exchange, _| exchange.whole = true);
        out.end()
    }

    fn note(&self, index: usize, piece: &[u8]) {
        let message = message(piece);
        if piece.starts_with(b"event: endpoint") {
            self.is_one_stream.set(true);
        }
        self.shared.note(self.at, |exchange, step| {
            exchange.pieces = index + 1;
            exchange.came.push((step.to_owned(), is_response(&message)));
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
            Fault::BadChunk => {
                out.piece(so_far);
                write(self.client, "no size\r\n");
            }
            _ => return None,
        }
        match fault {
            Fault::ResetInBody => return Some(After::Reset),
            Fault::StallThenCut => self.shared.stall(self.at),
            Fault::StallThenCancel => {
                self.shared.stalled(self.at);
                hangs_up(self.client);
            }
            Fault::AfterCancel if self.is_one_stream.get() => {
                self.shared.stall(self.at);
                return None;
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

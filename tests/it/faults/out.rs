//! The way of a reply back to the bridge, in the shape that a fault gives it.

use super::fault::Fault;
use super::proxy::After;
use super::upstream::{Framing, Upstream};
use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use std::net::TcpStream;

pub(super) fn write(client: &TcpStream, text: &str) -> After {
    let mut client = client;
    let _ = client.write_all(text.as_bytes());
    After::Keep
}

pub(super) fn head(upstream: &Upstream) -> String {
    let mut text = format!("HTTP/1.1 {} Relayed\r\n", upstream.status);
    for (name, value) in &upstream.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text
}

/// The way back to the bridge.
pub(super) struct Out<'a> {
    client: &'a TcpStream,
    /// None where the length is announced.
    chunked: bool,
    length: usize,
    /// The end of the connection is the end of it.
    closes: bool,
    pub(super) is_json: bool,
    trickle: bool,
    buffer: Option<Vec<u8>>,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl<'a> Out<'a> {
    pub(super) fn new(client: &'a TcpStream, fault: Option<Fault>, framing: Framing) -> Self {
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
                    | Fault::BadChunk
            )
        );
        let json = framing != Framing::Chunked;
        let closes = fault == Some(Fault::EndsByClosing);
        Self {
            client,
            chunked: !closes && (!json || (length > 0 && (trickle || gzip || reshaped))),
            closes,
            length,
            is_json: json,
            trickle,
            buffer: (fault == Some(Fault::Buffered)).then(Vec::new),
            gzip: gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast())),
        }
    }

    pub(super) fn head(&self, fault: Option<Fault>, upstream: &Upstream) {
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
        } else if self.closes {
            text = text.replacen("HTTP/1.1", "HTTP/1.0", 1) + "\r\n";
        } else {
            text.push_str(&format!("Content-Length: {}\r\n\r\n", self.length));
        }
        write(self.client, &text);
    }

    pub(super) fn piece(&mut self, bytes: &[u8]) {
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

    /// The end, and what it leaves of the connection.
    pub(super) fn end(&mut self) -> After {
        if let Some(buffer) = self.buffer.take() {
            self.write(&buffer);
        }
        if self.chunked {
            write(self.client, "0\r\n\r\n");
        }
        if self.closes { After::Close } else { After::Keep }
    }

    /// A proper end, too early.
    pub(super) fn cut_short(&mut self) -> After {
        let after = self.end();
        if self.chunked { after } else { After::Close }
    }
}

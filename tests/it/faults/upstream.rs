//! One reply of the remote, read piece by piece for as long as the bridge waits for it.

use crate::support::http::Request;
use rustix::event::{PollFd, PollFlags, poll};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

pub(super) struct Upstream {
    reader: BufReader<TcpStream>,
    framing: Framing,
    pub(super) status: u16,
    /// All but those of the framing.
    pub(super) headers: Vec<(String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(usize),
    Chunked,
    /// Read to its end.
    Over,
}

pub(super) enum Next {
    Piece(Vec<u8>),
    End,
    /// The bridge does not wait any more, or the remote has died.
    Gone,
}

impl Upstream {
    /// Hands the request on. None if the reply does not begin.
    pub(super) fn ask(remote: SocketAddr, request: &Request, client: &TcpStream) -> Option<Self> {
        let stream = TcpStream::connect(remote).ok()?;
        let _ = stream.set_nodelay(true);
        let mut text = format!("{} {} HTTP/1.1\r\n", request.method, request.target).into_bytes();
        for (name, value) in &request.headers {
            if !is_framing(name) {
                text.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            }
        }
        text.extend_from_slice(
            format!("Content-Length: {}\r\n\r\n", request.body.len()).as_bytes(),
        );
        text.extend_from_slice(&request.body);
        (&stream).write_all(&text).ok()?;
        let mut reader = BufReader::new(stream);
        let mut reply =
            if waits(&reader, client) { Reply::read(&mut reader)? } else { return None };
        let length = reply.take("content-length").and_then(|length| length.parse().ok());
        let chunked = reply.take("transfer-encoding").is_some();
        let framing = if chunked { Framing::Chunked } else { Framing::Length(length.unwrap_or(0)) };
        Some(Self { reader, framing, status: reply.status, headers: reply.headers })
    }

    pub(super) fn framing(&self) -> Framing {
        self.framing
    }

    pub(super) fn is_event_stream(&self) -> bool {
        self.headers.iter().any(|(_, value)| value.starts_with("text/event-stream"))
    }

    /// What comes next, as the remote cut it.
    pub(super) fn next(&mut self, client: &TcpStream) -> Next {
        match self.framing {
            Framing::Over | Framing::Length(0) => Next::End,
            _ if !waits(&self.reader, client) => Next::Gone,
            Framing::Length(length) => self.read(length, Framing::Over),
            Framing::Chunked => {
                let mut line = String::new();
                let _ = self.reader.read_line(&mut line);
                match usize::from_str_radix(line.trim(), 16) {
                    Err(_) => Next::Gone,
                    Ok(0) => Next::End,
                    Ok(length) => {
                        let piece = self.read(length, Framing::Chunked);
                        let _ = self.reader.read_line(&mut line);
                        piece
                    }
                }
            }
        }
    }

    fn read(&mut self, length: usize, then: Framing) -> Next {
        let mut piece = vec![0; length];
        self.framing = then;
        match self.reader.read_exact(&mut piece) {
            Ok(()) => Next::Piece(piece),
            Err(_) => Next::Gone,
        }
    }
}

struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
}

impl Reply {
    fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let status = line.split_whitespace().nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((name.to_owned(), value.to_owned()));
        }
        Some(Self { status, headers })
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.headers.iter().position(|(found, _)| found.eq_ignore_ascii_case(name))?;
        Some(self.headers.remove(at).1)
    }
}

fn is_framing(name: &str) -> bool {
    ["content-length", "transfer-encoding"].iter().any(|one| name.eq_ignore_ascii_case(one))
}

/// Waits for the remote; false if the bridge hangs up first.
fn waits(remote: &BufReader<TcpStream>, client: &TcpStream) -> bool {
    if !remote.buffer().is_empty() {
        return true;
    }
    loop {
        let mut both =
            [PollFd::new(remote.get_ref(), PollFlags::IN), PollFd::new(client, PollFlags::IN)];
        if poll(&mut both, None).is_err() {
            continue;
        }
        if !both[0].revents().is_empty() {
            return true;
        }
        if !both[1].revents().is_empty() {
            let more = client.peek(&mut [0]).unwrap_or(0);
            assert_eq!(more, 0, "a second request on a connection that waits for a reply");
            return false;
        }
    }
}

/// Waits until the bridge hangs up.
pub(super) fn hangs_up(client: &TcpStream) {
    let mut one = [PollFd::new(client, PollFlags::IN)];
    while poll(&mut one, None).is_err() {}
}

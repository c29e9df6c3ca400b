//! Lines from the client. On Unix the descriptor is polled and read as it is, without
//! changing its flags, which a parent may share; where it cannot be polled (a file, and
//! Windows) a thread reads it.

use crate::jsonrpc::OversizeLine;
use bytes::Bytes;
use std::io::{self, Read};
use tokio::sync::mpsc;

/// Bytes taken in one read.
const READ: usize = 64 * 1024;

/// One line of the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// Without its line end.
    Line(Bytes),
    /// A line larger than the limit was thrown away; with the raw id of the request in it.
    Oversize(Option<Bytes>),
}

/// Splits what is read into lines; every byte is looked at once.
struct Splitter {
    partial: Vec<u8>,
    oversize: Option<OversizeLine>,
    limit: usize,
}

impl Splitter {
    /// Takes bytes up to and including the first line end; returns how many and the line.
    fn take(&mut self, bytes: &[u8]) -> (usize, Option<Incoming>) {
        match memchr::memchr(b'\n', bytes) {
            Some(end) => {
                let line = self.finish(&bytes[..end]);
                (end + 1, line)
            }
            None => {
                self.keep(bytes);
                (bytes.len(), None)
            }
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        if let Some(reader) = &mut self.oversize {
            reader.feed(piece);
        } else if self.partial.len() + piece.len() > self.limit.saturating_add(1) {
            let mut reader = OversizeLine::default();
            reader.feed(&std::mem::take(&mut self.partial));
            reader.feed(piece);
            self.oversize = Some(reader);
        } else {
            self.partial.extend_from_slice(piece);
        }
    }

    /// The line that `tail` completes; none for an empty one.
    fn finish(&mut self, tail: &[u8]) -> Option<Incoming> {
        if self.partial.is_empty() && self.oversize.is_none() && tail.len() <= self.limit {
            let line = without_cr(tail);
            let blank = line.trim_ascii().is_empty();
            return (!blank).then(|| Incoming::Line(Bytes::copy_from_slice(line)));
        }
        self.keep(tail);
        let mut line = std::mem::take(&mut self.partial);
        line.truncate(without_cr(&line).len());
        if self.oversize.is_none() && line.len() > self.limit {
            self.oversize.insert(OversizeLine::default()).feed(&line);
        }
        if let Some(reader) = self.oversize.take() {
            return Some(Incoming::Oversize(reader.request_id().map(Bytes::from)));
        }
        let blank = line.trim_ascii().is_empty();
        (!blank).then(|| Incoming::Line(line.into()))
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The client's lines, one at a time.
pub(super) struct Stdin {
    source: Source,
    chunk: Vec<u8>,
    /// How much of `chunk` was read, and how much of that is used.
    filled: usize,
    at: usize,
    splitter: Splitter,
    ended: bool,
}

enum Source {
    #[cfg(unix)]
    Polled(super::unix::Readable),
    Thread(mpsc::Receiver<Vec<u8>>),
}

impl Stdin {
    /// Standard input, with lines of at most `limit` bytes.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(super) fn open(limit: usize) -> io::Result<Self> {
        #[cfg(unix)]
        if let Some(readable) = super::unix::Readable::stdin() {
            return Ok(Self::new(Source::Polled(readable), limit));
        }
        Ok(Self::new(Source::Thread(reader_thread()?), limit))
    }

    fn new(source: Source, limit: usize) -> Self {
        let splitter = Splitter { partial: Vec::new(), oversize: None, limit };
        Self { source, chunk: Vec::new(), filled: 0, at: 0, splitter, ended: false }
    }

    /// The next line; `None` once the client has closed its end. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Option<Incoming> {
        loop {
            while self.at < self.filled {
                let (used, line) = self.splitter.take(&self.chunk[self.at..self.filled]);
                self.at += used;
                if line.is_some() {
                    return line;
                }
            }
            if self.ended {
                return None;
            }
            self.at = 0;
            if !self.fill().await {
                self.ended = true;
                // A last line without a line end counts all the same.
                if let Some(line) = self.splitter.finish(b"") {
                    return Some(line);
                }
            }
        }
    }

    async fn fill(&mut self) -> bool {
        match &mut self.source {
            #[cfg(unix)]
            Source::Polled(readable) => {
                // Zeroed once, not before every read.
                self.chunk.resize(READ, 0);
                self.filled = 0;
                self.filled = readable.read(&mut self.chunk).await.unwrap_or(0);
                self.filled > 0
            }
            Source::Thread(chunks) => {
                self.filled = 0;
                match chunks.recv().await {
                    Some(chunk) => self.chunk = chunk,
                    None => return false,
                }
                self.filled = self.chunk.len();
                true
            }
        }
    }

    /// Resolves once the client has closed its end, even with lines still unread; where
    /// that cannot be seen, never.
    pub(super) async fn hung_up(&mut self) {
        match &mut self.source {
            #[cfg(unix)]
            Source::Polled(readable) => readable.hung_up().await,
            Source::Thread(_) => std::future::pending().await,
        }
    }
}

fn reader_thread() -> io::Result<mpsc::Receiver<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::Builder::new().name("stdin".into()).spawn(move || {
        let mut stdin = io::stdin().lock();
        loop {
            let mut chunk = vec![0; READ];
            let read = match stdin.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(read) if read > 0 => read,
                _ => return,
            };
            chunk.truncate(read);
            if sender.blocking_send(chunk).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(limit: usize, chunks: &[&str]) -> Vec<Incoming> {
        let mut splitter = Splitter { partial: Vec::new(), oversize: None, limit };
        let mut lines = Vec::new();
        for chunk in chunks {
            let mut rest = chunk.as_bytes();
            while !rest.is_empty() {
                let (used, line) = splitter.take(rest);
                rest = &rest[used..];
                lines.extend(line);
            }
        }
        lines.extend(splitter.finish(b""));
        lines
    }

    fn line(text: &'static str) -> Incoming {
        Incoming::Line(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn lines_do_not_depend_on_how_they_arrive() {
        let expected = [line("ab"), line("c"), line("d")];
        assert_eq!(split(9, &["ab\r\n\n \nc\nd"]), expected);
        assert_eq!(split(9, &["a", "b\r", "\n", "\n", " \nc", "\n", "d"]), expected);
    }

    #[test]
    fn a_line_over_the_limit_is_thrown_away_and_the_next_one_read() {
        let long = r#"{"method":"m","params":{"x":"xxxxxxxxxxxxxxxxxx"},"id":5}"#;
        let text = format!("{long}\nok\n");
        let expected = [Incoming::Oversize(Some(Bytes::from_static(b"5"))), line("ok")];
        assert_eq!(split(20, &[&text]), expected);
        assert_eq!(split(20, &[&text[..7], &text[7..30], &text[30..]]), expected);
        assert_eq!(split(2, &["abc\n"]), [Incoming::Oversize(None)]);
        assert_eq!(split(3, &["abc\r\n"]), [line("abc")]);
    }
}

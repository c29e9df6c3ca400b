//! Server-sent events (WHATWG HTML, section 9.2.6), pure: chunks in, events out. Each byte
//! is looked at once; an event that lies within one chunk is a slice of it, not a copy.

use bytes::{Bytes, BytesMut};

/// One dispatched event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The `data` lines joined by newlines; may be empty.
    pub data: Bytes,
    /// The `event` field, empty for the default type.
    pub name: Bytes,
}

impl Event {
    /// True for the type that carries JSON-RPC messages.
    pub fn is_message(&self) -> bool {
        self.name.is_empty() || &self.name[..] == b"message"
    }
}

/// A line or an event grew beyond the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// An incremental parser: [`Parser::push`] a chunk, then take events until there is none.
#[derive(Debug)]
pub struct Parser {
    chunk: Bytes,
    /// The start of a line whose end has not come yet.
    partial: BytesMut,
    /// The last chunk ended with CR: an LF that follows belongs to it.
    after_cr: bool,
    at_start: bool,
    data: Option<Data>,
    name: Bytes,
    id: Option<Bytes>,
    last_id: Option<Bytes>,
    retry: Option<u64>,
    limit: usize,
}

#[derive(Debug)]
enum Data {
    One(Bytes),
    Joined(BytesMut),
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::One(line) => line.len(),
            Self::Joined(lines) => lines.len(),
        }
    }

    fn join(self, line: &[u8]) -> Self {
        let mut lines = match self {
            Self::One(first) => BytesMut::from(&first[..]),
            Self::Joined(lines) => lines,
        };
        lines.extend_from_slice(b"\n");
        lines.extend_from_slice(line);
        Self::Joined(lines)
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::One(line) => line,
            Self::Joined(lines) => lines.freeze(),
        }
    }
}

impl Parser {
    /// A parser that refuses lines and events of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            chunk: Bytes::new(),
            partial: BytesMut::new(),
            after_cr: false,
            at_start: true,
            data: None,
            name: Bytes::new(),
            id: None,
            last_id: None,
            retry: None,
            limit,
        }
    }

    /// Takes the next chunk; the one before must have been used up by [`Parser::next_event`].
    pub fn push(&mut self, chunk: Bytes) {
        self.chunk = chunk;
    }

    /// Refuses lines and events of more than `limit` bytes from here on; returns what the limit
    /// was.
    pub fn limit(&mut self, limit: usize) -> usize {
        std::mem::replace(&mut self.limit, limit)
    }

    /// The id of the last event that was complete, for `Last-Event-ID`.
    pub fn last_id(&self) -> Option<&Bytes> {
        self.last_id.as_ref()
    }

    /// The reconnection time the server asked for last, in milliseconds.
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// The next complete event; `None` when the chunk is used up.
    ///
    /// # Errors
    /// [`TooLong`] when a line or an event exceeds the limit; the stream is of no use then.
    pub fn next_event(&mut self) -> Result<Option<Event>, TooLong> {
        while let Some(line) = self.next_line()? {
            if line.is_empty() {
                if let Some(event) = self.dispatch() {
                    return Ok(Some(event));
                }
            } else {
                self.field(&line)?;
            }
        }
        Ok(None)
    }

    fn next_line(&mut self) -> Result<Option<Bytes>, TooLong> {
        if self.after_cr && !self.chunk.is_empty() {
            self.after_cr = false;
            if self.chunk[0] == b'\n' {
                self.chunk = self.chunk.slice(1..);
            }
        }
        let Some(end) = memchr::memchr2(b'\r', b'\n', &self.chunk) else {
            if self.partial.len() + self.chunk.len() > self.limit.saturating_add(16) {
                return Err(TooLong);
            }
            self.partial.extend_from_slice(&self.chunk);
            self.chunk = Bytes::new();
            return Ok(None);
        };
        self.after_cr = self.chunk[end] == b'\r';
        let head = self.chunk.split_to(end);
        self.chunk = self.chunk.slice(1..);
        let mut line = if self.partial.is_empty() {
            head
        } else {
            self.partial.extend_from_slice(&head);
            std::mem::take(&mut self.partial).freeze()
        };
        if std::mem::take(&mut self.at_start) && line.starts_with(b"\xef\xbb\xbf") {
            line = line.slice(3..);
        }
        Ok(Some(line))
    }

    fn field(&mut self, line: &Bytes) -> Result<(), TooLong> {
        let colon = memchr::memchr(b':', &line[..line.len().min(16)]);
        let (name, value) = match colon {
            Some(0) => return Ok(()),
            Some(at) if line.get(at + 1) == Some(&b' ') => (&line[..at], line.slice(at + 2..)),
            Some(at) => (&line[..at], line.slice(at + 1..)),
            None => (&line[..], Bytes::new()),
        };
        match name {
            b"data" => {
                let before = self.data.as_ref().map_or(0, Data::len);
                if before + value.len() > self.limit {
                    return Err(TooLong);
                }
                self.data = Some(match self.data.take() {
                    None => Data::One(value),
                    Some(data) => data.join(&value),
                });
            }
            b"event" => self.name = value,
            b"id" if !value.contains(&0) => self.id = Some(value),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                // Digits alone fail to parse only where the number is absurdly large.
                let text = std::str::from_utf8(&value).unwrap_or_default();
                self.retry = Some(text.parse().unwrap_or(u64::MAX));
            }
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self) -> Option<Event> {
        if let Some(id) = self.id.take() {
            // An empty id resets it: nothing can be resumed from there.
            self.last_id = Some(id).filter(|id| !id.is_empty());
        }
        let name = std::mem::take(&mut self.name);
        let data = self.data.take()?;
        Some(Event { data: data.into_bytes(), name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Seen = (Vec<Event>, Option<Bytes>, Option<u64>);

    fn parse(chunks: &[&[u8]]) -> Result<Seen, TooLong> {
        let mut parser = Parser::new(1000);
        let mut events = Vec::new();
        for chunk in chunks {
            parser.push(Bytes::copy_from_slice(chunk));
            while let Some(event) = parser.next_event()? {
                events.push(event);
            }
        }
        Ok((events, parser.last_id().cloned(), parser.retry()))
    }

    fn event(data: &'static str, name: &'static str) -> Event {
        Event {
            data: Bytes::from_static(data.as_bytes()),
            name: Bytes::from_static(name.as_bytes()),
        }
    }

    #[test]
    fn fields_comments_and_line_ends_are_read_as_specified() {
        let text = b"\xef\xbb\xbf: hello\r\nid: 1\rdata: {\"a\":\ndata:1}\nretry: 25\n\nevent: ping\ndata\n\nid: 2\n\ndata: half";
        let (events, id, retry) = parse(&[text]).unwrap();
        assert_eq!(events, [event("{\"a\":\n1}", ""), event("", "ping")]);
        assert_eq!((id.as_deref(), retry), (Some(&b"2"[..]), Some(25)));
        assert!(events[0].is_message() && !events[1].is_message());
    }

    #[test]
    fn an_id_counts_only_once_its_event_is_complete() {
        let (events, id, _) = parse(&[b"id: 1\ndata: a\n\nid: 2\ndata: b\n"]).unwrap();
        assert_eq!((events.len(), id.as_deref()), (1, Some(&b"1"[..])));
    }

    #[test]
    fn an_event_within_one_chunk_is_not_copied() {
        let chunk = Bytes::from_static(b"data: abc\n\n");
        let mut parser = Parser::new(1000);
        parser.push(chunk.clone());
        let data = parser.next_event().unwrap().unwrap().data;
        assert_eq!(data.as_ptr(), chunk[6..].as_ptr());
    }

    #[test]
    fn lines_and_events_are_bounded() {
        let long = vec![b'x'; 2000];
        assert_eq!(parse(&[b"data: ", &long]), Err(TooLong));
        let line = [b"data: ", &long[..600], b"\n"].concat();
        assert_eq!(parse(&[&line, &line]), Err(TooLong));
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let token = prop::sample::select(vec![
            "data: x", "data:", "data", "id: 1", "id:", "event: a", "retry: 5", "retry: x", ":",
            "\n", "\n\n", "\r", "\r\n", "\u{feff}", "y", " ", "\u{e9}",
        ]);
        prop::collection::vec(token, 0..30).prop_map(|tokens| tokens.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn events_do_not_depend_on_how_the_bytes_are_chunked(
            text in stream(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(parse(&chunks), parse(&[&text]));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&[&text]);
        }
    }
}

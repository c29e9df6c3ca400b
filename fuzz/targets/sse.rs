//! The SSE parser against the specification read aloud (WHATWG HTML 9.2.6), whatever the
//! chunks: the first bytes of the input say how the rest is cut.
#![no_main]

use bytes::Bytes;
use keyferry::transport::sse::Parser;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, PartialEq, Default)]
struct Seen {
    /// Name and data.
    events: Vec<(Vec<u8>, Vec<u8>)>,
    last_id: Option<Vec<u8>>,
    retry: Option<u64>,
}

fuzz_target!(|input: &[u8]| {
    let Some((cuts, text)) = input.split_first_chunk::<4>() else {
        return;
    };
    let whole = parse(&[text], usize::MAX).expect("no limit");
    assert_eq!(whole, as_specified(text));

    let chunks = cut(text, cuts);
    assert_eq!(parse(&chunks, usize::MAX).expect("no limit"), whole);

    // Under a limit the parser may give up; what it said before is still right.
    for chunks in [&[text][..], &chunks] {
        match parse(chunks, 24) {
            Ok(seen) => assert_eq!(seen, whole),
            Err(events) => assert_eq!(events, whole.events[..events.len()]),
        }
    }
});

fn cut<'a>(mut text: &'a [u8], lengths: &[u8; 4]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    for length in lengths.iter().cycle() {
        let (chunk, rest) = text.split_at(text.len().min(1 + usize::from(length % 16)));
        chunks.push(chunk);
        text = rest;
        if text.is_empty() {
            break;
        }
    }
    chunks
}

/// What the parser makes of the chunks, or the events up to the limit it hit.
fn parse(chunks: &[&[u8]], limit: usize) -> Result<Seen, Vec<(Vec<u8>, Vec<u8>)>> {
    let mut parser = Parser::new(limit);
    let mut events = Vec::new();
    for chunk in chunks {
        parser.push(Bytes::copy_from_slice(chunk));
        loop {
            match parser.next_event() {
                Ok(Some(event)) => events.push((event.name.to_vec(), event.data.to_vec())),
                Ok(None) => break,
                Err(_) => return Err(events),
            }
        }
    }
    let last_id = parser.last_id().map(|id| id.to_vec());
    Ok(Seen { events, last_id, retry: parser.retry() })
}

/// The whole text at once, without a thought for speed. An event with no `data` line is none.
fn as_specified(text: &[u8]) -> Seen {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let (mut seen, mut name, mut data) = (Seen::default(), Vec::new(), None::<Vec<u8>>);
    let mut id = None;
    for line in lines(text) {
        if line.is_empty() {
            if let Some(id) = id.take() {
                seen.last_id = Some(id).filter(|id: &Vec<u8>| !id.is_empty());
            }
            let name = std::mem::take(&mut name);
            seen.events.extend(data.take().map(|data| (name, data)));
            continue;
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => name = value.to_vec(),
            b"id" if !value.contains(&0) => id = Some(value.to_vec()),
            b"data" => match &mut data {
                Some(data) => data.extend([b"\n", value].concat()),
                None => data = Some(value.to_vec()),
            },
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                let digits = String::from_utf8_lossy(value);
                seen.retry = Some(digits.parse().unwrap_or(u64::MAX));
            }
            _ => {}
        }
    }
    seen
}

/// The lines that have an end: LF, CR, or CR LF.
fn lines(mut text: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(end) = text.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        lines.push(&text[..end]);
        let crlf = text[end..].starts_with(b"\r\n");
        text = &text[end + 1 + usize::from(crlf)..];
    }
    lines
}

//! Bodies of replies. Large ones are built once and shared, so that the server only writes.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::payload::{now, text};

pub(crate) enum Reply {
    /// Known in whole; with a length or, as event streams are, in chunks.
    Whole { parts: VecDeque<Bytes>, length: Option<u64> },
    /// One event at a time, each stamped when it is handed to the connection.
    Progress { id: String, sent: usize, count: usize, pause: Duration, next: Pin<Box<Sleep>> },
    /// As many events as the connection takes, then the result.
    Burst { id: String, sent: usize, count: usize },
    /// A GET stream on which nothing happens.
    Open,
}

const HEAD: &str = r#"{"content":[{"type":"text","text":""#;
const TAIL: &str = r#""}]}"#;
const DONE: &str = r#"{"content":[]}"#;

impl Reply {
    fn whole(parts: impl IntoIterator<Item = Bytes>) -> Self {
        let parts: VecDeque<Bytes> = parts.into_iter().collect();
        let length = parts.iter().map(|part| part.len() as u64).sum();
        Self::Whole { parts, length: Some(length) }
    }

    pub(crate) fn empty() -> Self {
        Self::whole([])
    }

    pub(crate) fn result(id: &str, result: &str) -> Self {
        Self::whole([Bytes::from(message(id, result))])
    }

    pub(crate) fn large(id: &str, bytes: usize) -> Self {
        let head = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{HEAD}"#);
        let tail = Bytes::from_static(concat!(r#""}]}"#, "}").as_bytes());
        Self::whole([head.into(), large_text(bytes), tail])
    }

    pub(crate) fn large_event(id: &str, bytes: usize) -> Self {
        let head =
            format!("event: message\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{HEAD}");
        let tail = format!("{TAIL}}}\n\n");
        let parts = [head.into(), large_text(bytes), tail.into()];
        Self::Whole { parts: parts.into(), length: None }
    }

    pub(crate) fn progress(id: &str, count: usize, milliseconds: u64) -> Self {
        Self::Progress {
            id: id.to_owned(),
            sent: 0,
            count,
            pause: Duration::from_millis(milliseconds),
            next: Box::pin(sleep_until(Instant::now())),
        }
    }

    pub(crate) fn burst(id: &str, count: usize) -> Self {
        Self::Burst { id: id.to_owned(), sent: 0, count }
    }
}

fn message(id: &str, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

fn event(message: &str) -> Bytes {
    format!("event: message\ndata: {message}\n\n").into()
}

fn large_text(bytes: usize) -> Bytes {
    static TEXTS: OnceLock<Mutex<HashMap<usize, Bytes>>> = OnceLock::new();
    let texts = TEXTS.get_or_init(Mutex::default);
    let mut texts = texts.lock().unwrap_or_else(PoisonError::into_inner);
    let built = texts.entry(bytes).or_insert_with(|| text(bytes).into());
    built.clone()
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match self.get_mut() {
            Self::Whole { parts, .. } => parts.pop_front(),
            Self::Progress { id, sent, count, pause, next } => {
                if *sent > *count {
                    return Poll::Ready(None);
                }
                std::task::ready!(next.as_mut().poll(context));
                next.as_mut().reset(Instant::now() + *pause);
                *sent += 1;
                Some(event(&if *sent > *count {
                    message(id, DONE)
                } else {
                    format!(
                        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{id},"progress":{sent},"message":"at {}"}}}}"#,
                        now()
                    )
                }))
            }
            Self::Burst { id, sent, count } => {
                if *sent > *count {
                    return Poll::Ready(None);
                }
                *sent += 1;
                Some(event(&if *sent > *count {
                    message(id, DONE)
                } else {
                    format!(
                        r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","data":"line {sent} of a burst"}}}}"#
                    )
                }))
            }
            Self::Open => return Poll::Pending,
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole { parts, length: Some(_) } if parts.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole { length: Some(length), .. } => SizeHint::with_exact(*length),
            _ => SizeHint::default(),
        }
    }
}

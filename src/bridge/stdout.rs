//! The only writer of standard output: whole messages, one line each, in the order they
//! were given. What waits together goes out in one system call; nothing waits for more.

use bytes::Bytes;
#[cfg(unix)]
use std::io::IoSlice;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Bytes that may wait to be written; a larger message waits for all of it.
const ROOM: usize = 4 * 1024 * 1024;
/// Messages taken together.
const BATCH: usize = 256;

/// The way to the writer. Sending waits while the client does not read.
#[derive(Clone)]
pub(super) struct Outbox {
    queue: mpsc::UnboundedSender<Line>,
    room: Arc<Semaphore>,
}

struct Line {
    text: Bytes,
    /// Held until the line is written; lines queued together share one.
    _room: Option<OwnedSemaphorePermit>,
}

/// Room that is certain: what is given to it is written, without any further wait.
pub(super) struct Room<'a> {
    outbox: &'a Outbox,
    permit: Option<OwnedSemaphorePermit>,
}

impl Room<'_> {
    /// Queues these messages, one line each; raw line ends in them, which JSON allows as
    /// white space only, become spaces.
    pub(super) fn send(self, texts: impl IntoIterator<Item = Bytes>) {
        let mut permit = self.permit;
        let mut texts = texts.into_iter().peekable();
        while let Some(text) = texts.next() {
            let room = if texts.peek().is_none() { permit.take() } else { None };
            let _ = self.outbox.queue.send(Line { text: one_line(text), _room: room });
        }
    }
}

impl Outbox {
    /// An outbox and the queue for [`write_all`].
    pub(super) fn new() -> (Self, Queue) {
        let (queue, lines) = mpsc::unbounded_channel();
        (Self { queue, room: Arc::new(Semaphore::new(ROOM)) }, Queue(lines))
    }

    /// Queues one message if there is room now.
    ///
    /// # Errors
    /// The message, if there is none.
    pub(super) fn try_send(&self, text: Bytes) -> Result<(), Bytes> {
        let room = text.len().clamp(1, ROOM) as u32;
        match self.room.clone().try_acquire_many_owned(room) {
            Ok(permit) => {
                Room { outbox: self, permit: Some(permit) }.send([text]);
                Ok(())
            }
            Err(_) => Err(text),
        }
    }

    /// True while little more can be queued.
    pub(super) fn is_crowded(&self) -> bool {
        self.room.available_permits() == 0
    }

    /// Resolves when there is room again.
    pub(super) async fn room(&self) {
        drop(self.room.acquire().await);
    }

    /// Resolves when all that was queued is written, at the latest after `limit`.
    pub(super) async fn flushed(&self, limit: Duration) {
        // All the room there is free: nothing waits any more.
        let _ = tokio::time::timeout(limit, self.room.acquire_many(ROOM as u32)).await;
    }

    /// Room at once, beyond the limit: for the little that the bridge says by itself.
    pub(super) fn at_once(&self) -> Room<'_> {
        Room { outbox: self, permit: None }
    }

    /// Waits for room for so many bytes. An answer is claimed only after this, so that
    /// nothing can take it away between its claim and the queue.
    pub(super) async fn reserve(&self, bytes: usize) -> Room<'_> {
        // At least one permit, at most all: the numbers fit into 32 bits.
        let room = bytes.clamp(1, ROOM) as u32;
        Room { outbox: self, permit: self.room.clone().acquire_many_owned(room).await.ok() }
    }

    /// Queues one message when there is room.
    pub(super) async fn send(&self, text: Bytes) {
        self.reserve(text.len()).await.send([text]);
    }
}

/// What waits to be written.
pub(super) struct Queue(mpsc::UnboundedReceiver<Line>);

fn one_line(text: Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &text).is_none() {
        return text;
    }
    let mut text = text.try_into_mut().unwrap_or_else(|shared| shared[..].into());
    for byte in &mut text[..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    text.freeze()
}

/// Writes until every [`Outbox`] is gone.
///
/// # Errors
/// When the client has closed its end.
pub(super) async fn write_all(queue: Queue) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(writable) = super::unix::Writable::stdout() {
        return write_ready(queue.0, &writable).await;
    }
    write_in_thread(queue.0).await
}

#[cfg(unix)]
async fn write_ready(
    mut queue: mpsc::UnboundedReceiver<Line>,
    writable: &super::unix::Writable,
) -> io::Result<()> {
    let mut lines = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut lines, BATCH).await > 0 {
        let mut slices = slices(&lines);
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            let written = writable.write(rest).await?;
            IoSlice::advance_slices(&mut rest, written);
        }
        drop(slices);
        lines.clear();
        // The first of a burst goes at once. What other tasks have ready by the time the
        // writer looks again goes together: without this it is one system call a message.
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[cfg(unix)]
fn slices(lines: &[Line]) -> Vec<IoSlice<'_>> {
    lines.iter().flat_map(|line| [IoSlice::new(&line.text), IoSlice::new(b"\n")]).collect()
}

async fn write_in_thread(mut queue: mpsc::UnboundedReceiver<Line>) -> io::Result<()> {
    let (done, finished) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("stdout".into()).spawn(move || {
        let mut lines = Vec::with_capacity(BATCH);
        let mut outcome = Ok(());
        while outcome.is_ok() && queue.blocking_recv_many(&mut lines, BATCH) > 0 {
            outcome = write_blocking(&lines);
            lines.clear();
        }
        let _ = done.send(outcome);
    })?;
    finished.await.unwrap_or(Ok(()))
}

fn write_blocking(lines: &[Line]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    for line in lines {
        stdout.write_all(&line.text)?;
        stdout.write_all(b"\n")?;
    }
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_in_a_message_become_spaces() {
        assert_eq!(one_line(Bytes::from_static(b"{\r\n\"a\": 1\n}")), &b"{  \"a\": 1 }"[..]);
        let same = Bytes::from_static(b"{}");
        assert_eq!(one_line(same.clone()).as_ptr(), same.as_ptr());
    }

    #[tokio::test]
    async fn senders_wait_while_nothing_is_written() {
        let (outbox, mut queue) = Outbox::new();
        outbox.send(Bytes::from(vec![b'x'; ROOM])).await;
        let mut blocked = std::pin::pin!(outbox.send(Bytes::from_static(b"{}")));
        tokio::select! {
            biased;
            () = &mut blocked => panic!("there was room"),
            () = std::future::ready(()) => {}
        }
        drop(queue.0.recv().await);
        blocked.await;
        assert_eq!(queue.0.recv().await.unwrap().text, &b"{}"[..]);
    }
}

//! Event streams that outlive their connections.

use crate::support::http::Events;
use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard};

#[derive(Default)]
pub(super) struct Streams {
    all: Mutex<All>,
    changed: Condvar,
}

#[derive(Default)]
struct All {
    streams: HashMap<String, Stream>,
    /// Their names in the order they came.
    names: VecDeque<String>,
    closed: bool,
}

/// The oldest are forgotten beyond that.
const MANY: usize = 5000;

impl All {
    fn stream(&mut self, name: &str) -> &mut Stream {
        if !self.streams.contains_key(name) {
            self.names.push_back(name.to_owned());
            if self.names.len() > MANY
                && let Some(oldest) = self.names.pop_front()
            {
                self.streams.remove(&oldest);
            }
        }
        self.streams.entry(name.to_owned()).or_default()
    }
}

#[derive(Default)]
struct Stream {
    events: Vec<String>,
    done: bool,
    /// The remote has asked the client on it; this comes after the client's answer.
    asked: Option<String>,
}

impl Stream {
    fn end_asking(&mut self) {
        if let Some(last) = self.asked.take()
            && !std::mem::replace(&mut self.done, true)
        {
            self.events.push(last);
        }
    }
}

impl Streams {
    pub(super) fn push(&self, name: &str, event: String) {
        self.change(name, |stream| stream.events.push(event));
    }

    /// Pushes a request to the client, and what follows on its answer.
    pub(super) fn ask(&self, name: &str, request: String, last: String) {
        self.change(name, |stream| {
            stream.events.push(request);
            stream.asked = Some(last);
        });
    }

    /// Pushes the last event.
    pub(super) fn end(&self, name: &str, event: Option<String>) {
        self.change(name, |stream| {
            if !std::mem::replace(&mut stream.done, true) {
                stream.events.extend(event);
            }
        });
    }

    /// The client has answered what it was asked on this stream, which ends it.
    pub(super) fn answered(&self, name: &str) {
        self.change(name, Stream::end_asking);
    }

    /// Ends every stream on which the client was asked.
    pub(super) fn give_up_asking(&self) {
        self.lock().streams.values_mut().for_each(Stream::end_asking);
        self.changed.notify_all();
    }

    /// Lets every thread go.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Stream)) {
        change(self.lock().stream(name));
        self.changed.notify_all();
    }

    /// Waits until a stream has ended.
    pub(super) fn wait(&self, name: &str) {
        let mut all = self.lock();
        while !all.closed && !all.stream(name).done {
            all = self.changed.wait(all).unwrap();
        }
    }

    /// Sends what comes after the first `seen` events until the stream ends.
    pub(super) fn play(&self, name: &str, mut seen: usize, ids: bool, mut wire: Events) {
        let mut all = self.lock();
        while !all.closed {
            let stream = all.stream(name);
            let (fresh, done) =
                (stream.events.get(seen..).unwrap_or_default().to_vec(), stream.done);
            if fresh.is_empty() && !done {
                all = self.changed.wait(all).unwrap();
                continue;
            }
            drop(all);
            for event in fresh {
                seen += 1;
                match ids {
                    true => wire.event_with_id(&format!("{name}/{seen}"), &event),
                    false => wire.event(&event),
                }
            }
            if done {
                return wire.end();
            }
            all = self.lock();
        }
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap()
    }
}

/// The stream and the number of an event id.
pub(super) fn position(id: &str) -> (String, usize) {
    let (name, number) = id.rsplit_once('/').expect("an id of ours");
    (name.to_owned(), number.parse().expect("a number"))
}

//! Tasks made here: the client asked for one, and the remote gave the result at once. The last
//! [`TASKS`] are kept, as far as they are not larger than [`SIZE`] together.

use bytes::Bytes;
use std::collections::VecDeque;

const TASKS: usize = 64;
const SIZE: usize = 16 * 1024 * 1024;
/// There is no clock here. A task without an end may be of any age.
const THEN: &str = "1970-01-01T00:00:00Z";

#[derive(Debug, Default)]
pub(super) struct Made {
    tasks: VecDeque<Task>,
    size: usize,
}

#[derive(Debug)]
struct Task {
    id: String,
    /// Raw, in the client's words.
    result: Bytes,
    failed: bool,
}

impl Made {
    pub(super) fn add(&mut self, id: String, result: Bytes, failed: bool) {
        self.size += result.len();
        self.tasks.push_back(Task { id, result, failed });
        // The newest one stays, however large: somebody is about to ask for it.
        while self.tasks.len() > 1 && (self.tasks.len() > TASKS || self.size > SIZE) {
            let gone = self.tasks.pop_front();
            self.size -= gone.map_or(0, |task| task.result.len());
        }
    }

    pub(super) fn result(&self, id: &str) -> Option<Bytes> {
        self.find(id).map(|task| task.result.clone())
    }

    /// The raw task as it is.
    pub(super) fn status(&self, id: &str) -> Option<Vec<u8>> {
        self.find(id).map(|task| described(id, if task.failed { "failed" } else { "completed" }))
    }

    fn find(&self, id: &str) -> Option<&Task> {
        self.tasks.iter().find(|task| task.id == id)
    }
}

/// A raw task in the words of 2025-11-25.
pub(super) fn described(id: &str, status: &str) -> Vec<u8> {
    let task = serde_json::json!({
        "taskId": id, "status": status, "createdAt": THEN, "lastUpdatedAt": THEN, "ttl": null,
    });
    task.to_string().into_bytes()
}

//! Logs: keyferry's own events only, to stderr or a file that is its owner's alone. Other
//! crates are silenced, as their traces may show headers and bodies.
//!
//! Whoever started keyferry may never read its stderr. So a thread writes, and nothing else
//! ever waits for it, except for a moment at the end.

use crate::failure::{Exit, Failure};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Lines that may wait to be written; what comes on top is dropped.
const WAITING: usize = 1024;

static LOG_FILE: OnceLock<File> = OnceLock::new();
// Errors of writing are for nobody: there is no other place to tell them.
static STDERR: Outlet = Outlet::new(|line| drop(io::stderr().write_all(line)));
static FILE: Outlet = Outlet::new(|line| {
    drop(LOG_FILE.get().map(|mut file| file.write_all(line)));
});

/// Starts logging at `level`.
///
/// # Errors
/// A usage failure if the log file cannot be opened safely.
pub fn start(level: Level, file: Option<PathBuf>) -> Result<(), Failure> {
    let filter = Targets::new()
        .with_target("keyferry", LevelFilter::from_level(level))
        .with_default(LevelFilter::OFF);
    let registry = tracing_subscriber::registry().with(filter);
    // A second start in one process changes nothing.
    let _ = match file {
        None => registry
            .with(layer().with_writer(|| Line(&STDERR)).with_target(false).without_time())
            .try_init(),
        Some(path) => {
            let file = open(&path).map_err(|error| {
                let message = format!("cannot open the log file {}: {error}", path.display());
                Failure::new(Exit::Usage, message)
                    .hint("name a file of your own in a directory that exists")
            })?;
            let _ = LOG_FILE.set(file);
            registry.with(layer().with_writer(|| Line(&FILE)).with_target(false)).try_init()
        }
    };
    Ok(())
}

/// Puts `text` on stderr, behind what was logged before; see [`flush`].
pub fn tell(text: String) {
    STDERR.push(text.into_bytes());
}

/// Waits until everything is written, but no longer than `patience` for stderr and as long
/// for the file.
pub fn flush(patience: Duration) {
    STDERR.flush(patience);
    FILE.flush(patience);
}

/// One line on its way out.
struct Line(&'static Outlet);

impl Write for Line {
    /// Called once for each event, with all of its line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What one thread writes to, in order. The thread starts with the first line.
struct Outlet {
    write: fn(&[u8]),
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    lines: VecDeque<Vec<u8>>,
    writing: bool,
    started: bool,
}

impl Outlet {
    const fn new(write: fn(&[u8])) -> Self {
        let queue = Queue { lines: VecDeque::new(), writing: false, started: false };
        Self { write, queue: Mutex::new(queue), changed: Condvar::new() }
    }

    fn push(&'static self, line: Vec<u8>) {
        let mut queue = self.lock();
        if queue.lines.len() >= WAITING {
            return;
        }
        queue.lines.push_back(line);
        if !queue.started {
            let thread = std::thread::Builder::new().name("log".to_owned());
            queue.started = thread.spawn(|| self.write_on()).is_ok();
        }
        self.changed.notify_all();
    }

    fn write_on(&self) {
        let mut queue = self.lock();
        loop {
            let Some(line) = queue.lines.pop_front() else {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            queue.writing = true;
            drop(queue);
            (self.write)(&line);
            queue = self.lock();
            queue.writing = false;
            self.changed.notify_all();
        }
    }

    fn flush(&self, patience: Duration) {
        let busy = |queue: &mut Queue| queue.writing || !queue.lines.is_empty();
        // After the wait there is nothing more to be done about the rest.
        drop(self.changed.wait_timeout_while(self.lock(), patience, busy));
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Appends; a link is not followed, and the file is readable by its owner only.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        // The flags are small positive numbers on every Unix.
        options.mode(0o600).custom_flags(flags.bits() as i32);
        let file = options.open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        }
        Ok(file)
    }
    #[cfg(not(unix))]
    options.open(path)
}

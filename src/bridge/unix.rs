//! Readiness of the standard descriptors, without the thread pool: a round trip through it
//! costs more than the round trip through a loopback server.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Lets the process open as many files as it may, and says how many that are: HTTP/1.1 takes
/// one connection for each request in flight, and the usual limit of macOS is 256.
pub(super) fn raise_file_limit() -> usize {
    const ENOUGH: u64 = 10_240;
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX).min(ENOUGH);
    if limit.current.is_some_and(|current| current < most) {
        // Where that is not allowed, the limit stays as it was.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..limit });
    }
    let now = getrlimit(Resource::Nofile).current.unwrap_or(ENOUGH);
    usize::try_from(now).unwrap_or(usize::MAX).min(ENOUGH as usize)
}

/// Standard input, polled. Its flags are left alone; a read follows only where poll says
/// that there is something, so that it does not block.
pub(super) struct Readable {
    fd: AsyncFd<OwnedFd>,
    /// The last read took all there was: the next one has to wait for news.
    drained: bool,
}

impl Readable {
    /// None where it cannot be polled: a regular file, say.
    pub(super) fn stdin() -> Option<Self> {
        let fd = io::stdin().as_fd().try_clone_to_owned().ok()?;
        let fd = watch(fd, Interest::READABLE)?;
        Some(Self { fd, drained: false })
    }

    /// Reads into `buffer`; 0 at the end of the input.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.drained && is_ready(self.fd.get_ref(), PollFlags::IN)? {
                match rustix::io::read(self.fd.get_ref(), &mut *buffer) {
                    Ok(read) => {
                        self.drained = read < buffer.len();
                        return Ok(read);
                    }
                    Err(rustix::io::Errno::INTR) => continue,
                    Err(rustix::io::Errno::AGAIN) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            let mut guard = self.fd.readable().await?;
            guard.clear_ready();
            self.drained = false;
        }
    }

    /// Resolves when the writing end is closed, whatever is still to be read.
    pub(super) async fn hung_up(&mut self) {
        loop {
            let Ok(mut guard) = self.fd.readable().await else { return };
            if guard.ready().is_read_closed() {
                return;
            }
            guard.clear_ready();
            // The edge is used up; `read` has to ask poll again.
            self.drained = false;
        }
    }
}

/// None for what cannot be watched: a regular file, say.
#[expect(deprecated, reason = "sound here: the owned descriptor stays open while it is watched")]
fn watch(fd: OwnedFd, interest: Interest) -> Option<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, interest).ok()
}

fn is_ready(fd: &OwnedFd, flags: PollFlags) -> io::Result<bool> {
    let mut fds = [PollFd::new(fd, flags)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    match poll(&mut fds, Some(&now)) {
        Ok(_) => Ok(!fds[0].revents().is_empty()),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What a pipe to the client may hold: with the usual 64 KB, a large message is a change of
/// process for every 64 KB.
#[cfg(target_os = "linux")]
const PIPE: usize = 1024 * 1024;

/// Standard output as a pipe or socket, made non-blocking while this lives.
pub(super) struct Writable {
    fd: AsyncFd<OwnedFd>,
    flags: OFlags,
}

impl Writable {
    /// None for files and terminals, which are better written to by a thread: a terminal's
    /// flags are shared with the shell.
    pub(super) fn stdout() -> Option<Self> {
        let fd = io::stdout().as_fd().try_clone_to_owned().ok()?;
        let kind = FileType::from_raw_mode(fstat(&fd).ok()?.st_mode);
        if !matches!(kind, FileType::Fifo | FileType::Socket) {
            return None;
        }
        let flags = fcntl_getfl(&fd).ok()?;
        #[cfg(target_os = "linux")]
        if kind == FileType::Fifo {
            // Where the limit of the user is used up, it stays as it is.
            let _ = rustix::pipe::fcntl_setpipe_size(&fd, PIPE);
        }
        let fd = watch(fd, Interest::WRITABLE)?;
        fcntl_setfl(fd.get_ref(), flags | OFlags::NONBLOCK).ok()?;
        Some(Self { fd, flags })
    }

    /// Writes as much as fits of `slices`, waiting until anything does.
    pub(super) async fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        loop {
            match rustix::io::writev(self.fd.get_ref(), slices) {
                Ok(written) => return Ok(written),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => self.fd.writable().await?.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Writable {
    fn drop(&mut self) {
        let _ = fcntl_setfl(self.fd.get_ref(), self.flags);
    }
}

/// Resolves when nobody reads standard output any more; never where that cannot be seen.
pub(super) async fn stdout_closed() {
    let watched = io::stdout().as_fd().try_clone_to_owned().ok();
    let watched = watched.and_then(|fd| watch(fd, Interest::READABLE | Interest::ERROR));
    let Some(fd) = watched else { return std::future::pending().await };
    loop {
        let Ok(mut guard) = fd.ready(Interest::READABLE | Interest::ERROR).await else { return };
        let ready = guard.ready();
        if (ready.is_error() || ready.is_read_closed())
            && is_ready(fd.get_ref(), PollFlags::empty()).unwrap_or(true)
        {
            return;
        }
        guard.clear_ready();
    }
}

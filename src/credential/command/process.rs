//! One run of a child process: bounded in time and output, and nothing of it left behind.

use crate::credential::words::Words;
use crate::secret::Secret;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Most that is read of stdout, in bytes.
const MOST: usize = 1024 * 1024;
/// What is kept of stderr, in bytes: more than one line that is shown.
const TAIL: usize = 4096;
/// How long what a child printed may take to arrive once it has ended, while a child of its
/// own keeps the pipe open.
const GRACE: Duration = Duration::from_millis(200);

/// A child that ended by itself.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: Secret<Vec<u8>>,
    /// The last line of stderr.
    pub(super) said: Words,
}

pub(super) enum Trouble {
    NotFound,
    Io(io::Error),
    /// On stdout.
    TooMuch,
    /// It was killed. `said` as in [`Ended`].
    Late {
        said: Words,
    },
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Killed when it is dropped, unless it has ended.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It leads its group, and as long as it was not waited for, the number is not another's.
        #[cfg(unix)]
        if let Some(id) = self.0.id().and_then(|id| i32::try_from(id).ok())
            && let Some(group) = rustix::process::Pid::from_raw(id)
        {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        // Elsewhere `kill_on_drop` ends it.
    }
}

/// Runs `program` for at most `limit`, without `hidden` variables.
pub(super) async fn run(
    program: &str,
    args: &[String],
    hidden: &[String],
    limit: Duration,
) -> Result<Ended, Trouble> {
    let mut child = Running(start(program, args, hidden)?);
    // Its full size at once: a vector that grows would leave clear copies behind.
    let mut output = Zeroizing::new(Vec::with_capacity(MOST + 1));
    let mut tail = Zeroizing::new(Vec::with_capacity(2 * TAIL));
    let (stdout, stderr) = (child.0.stdout.take(), child.0.stderr.take());
    let ended = async {
        let mut reading = pin!(async {
            tokio::try_join!(read_all(stdout, &mut output), read_tail(stderr, &mut tail))
        });
        tokio::select! {
            read = &mut reading => {
                read?;
                Ok(child.0.wait().await?)
            }
            status = child.0.wait() => {
                // Without an end of the pipe, what has arrived is all there is.
                if let Ok(read) = timeout(GRACE, &mut reading).await {
                    read?;
                }
                Ok(status?)
            }
        }
    };
    let ended: Result<Result<_, Trouble>, _> = timeout(limit, ended).await;
    let said = last_line(&tail);
    match ended {
        Ok(status) => {
            Ok(Ended { status: status?, stdout: Secret::new(std::mem::take(&mut *output)), said })
        }
        Err(_) => Err(Trouble::Late { said }),
    }
}

fn start(program: &str, args: &[String], hidden: &[String]) -> Result<Child, Trouble> {
    let mut command = Command::new(program);
    command.args(args).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for variable in hidden {
        command.env_remove(variable);
    }
    // A group of its own, to be ended with its children.
    #[cfg(unix)]
    command.process_group(0);
    // Clients without a console would see one appear: CREATE_NO_WINDOW.
    #[cfg(windows)]
    command.creation_flags(0x0800_0000);
    // Of a script that is there, the interpreter may be missing.
    let is_there = Path::new(program).components().nth(1).is_some() && Path::new(program).exists();
    command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound if !is_there => Trouble::NotFound,
        _ => Trouble::Io(error),
    })
}

async fn read_all(
    from: Option<impl AsyncRead + Unpin>,
    to: &mut Zeroizing<Vec<u8>>,
) -> Result<(), Trouble> {
    let Some(from) = from else { return Ok(()) };
    let mut from = from.take(MOST as u64 + 1);
    while to.len() <= MOST {
        if from.read_buf(&mut **to).await? == 0 {
            return Ok(());
        }
    }
    Err(Trouble::TooMuch)
}

/// Reads everything, so that the child never waits for room, and keeps the end.
async fn read_tail(
    from: Option<impl AsyncRead + Unpin>,
    to: &mut Zeroizing<Vec<u8>>,
) -> Result<(), Trouble> {
    let Some(mut from) = from else { return Ok(()) };
    let mut piece = Zeroizing::new([0; TAIL]);
    loop {
        let length = from.read(&mut *piece).await?;
        if length == 0 {
            return Ok(());
        }
        let kept = to.len().min(TAIL);
        let cut = to.len() - kept;
        to.drain(..cut);
        to.extend_from_slice(&piece[..length]);
    }
}

/// The last line that says something.
fn last_line(text: &[u8]) -> Words {
    let text = Zeroizing::new(String::from_utf8_lossy(text).into_owned());
    Words::new(text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default())
}

/// For people: an exit code, or a signal.
pub(super) fn ending(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("signal {signal}");
    }
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => status.to_string(),
    }
}

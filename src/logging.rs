//! Logs: keyferry's own events only, to stderr or a file that is its owner's alone. Other
//! crates are silenced, as their traces may show headers and bodies.

use crate::failure::{Exit, Failure};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

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
            .with(layer().with_writer(io::stderr).with_target(false).without_time())
            .try_init(),
        Some(path) => {
            let file = open(&path).map_err(|error| {
                let message = format!("cannot open the log file {}: {error}", path.display());
                Failure::new(Exit::Usage, message)
                    .hint("name a file of your own in a directory that exists")
            })?;
            registry.with(layer().with_writer(Arc::new(file)).with_target(false)).try_init()
        }
    };
    Ok(())
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

//! Small files of the person, read anew each time.

use crate::secret::Secret;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// Longest that is read, in bytes.
const LONGEST: u64 = 1024 * 1024;
/// How long that may take: it may be a pipe that nobody writes to.
const PATIENCE: Duration = Duration::from_secs(5);

/// The text of a file, read off the loop.
///
/// # Errors
/// What failed, in words that begin with `what` and the path.
pub(super) async fn text(what: &str, path: &Path) -> Result<Secret<String>, String> {
    let file = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        std::fs::File::open(file)?.take(LONGEST).read_to_string(&mut text)?;
        Ok::<_, std::io::Error>(Secret::new(text))
    });
    let failed = |why: String| format!("cannot read {what} {}: {why}", path.display());
    match tokio::time::timeout(PATIENCE, reading).await {
        Ok(Ok(read)) => read.map_err(|error| failed(error.to_string())),
        _ => Err(failed("it takes too long".to_owned())),
    }
}

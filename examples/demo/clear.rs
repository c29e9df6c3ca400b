//! Looks for secrets where none may be.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::{Result, ensure};

/// How many files there are, none of which holds a secret.
pub(crate) fn search(directory: &Path, secrets: &[String]) -> Result<usize> {
    let mut files = 0;
    for entry in std::fs::read_dir(directory).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.is_dir() {
            files += search(&path, secrets)?;
            continue;
        }
        files += 1;
        let bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
        for secret in secrets {
            let encoded = STANDARD_NO_PAD.encode(secret);
            for text in [secret, &encoded] {
                let found = memchr::memmem::find(&bytes, text.as_bytes());
                ensure(found.is_none(), format!("{} holds a secret in clear", path.display()))?;
            }
        }
    }
    Ok(files)
}

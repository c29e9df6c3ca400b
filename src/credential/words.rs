//! What a server or a tool said for people.

use std::fmt;

/// Longest text that is kept, in characters.
const LONGEST: usize = 300;

/// One line from elsewhere. Not cleaned, so it has no `Display`, and its `Debug` is redacted.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Words(String);

impl Words {
    /// The text, cut to 300 characters.
    pub(super) fn new(text: &str) -> Self {
        Self(text.trim().chars().take(LONGEST).collect())
    }

    /// Not cleaned; empty if nothing was said.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

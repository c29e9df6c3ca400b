//! What a person sees when something fails: what failed, at which host, why, and the exact
//! next command; and with which code the process ends.

use std::process::ExitCode;

/// Exit codes; documented in the README and stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Failed = 1,
    Usage = 2,
    SignInNeeded = 3,
    Network = 4,
    Vault = 5,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure in words for a person; holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub exit: Exit,
    /// What failed: lower case, no full stop.
    pub message: String,
    /// Whole commands or variables to try.
    pub hints: Vec<String>,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hints: Vec::new() }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The lines for stderr.
    pub fn render(&self) -> String {
        let mut text = format!("error: {}\n", self.message);
        for hint in &self.hints {
            text.push_str(&format!("\nhint: {hint}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_next_command() {
        let failure = Failure::new(Exit::Vault, "the keychain is locked").hint("unlock it");
        assert_eq!(failure.render(), "error: the keychain is locked\n\nhint: unlock it\n");
    }
}

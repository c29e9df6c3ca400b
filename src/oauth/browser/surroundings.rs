//! Whether a browser opened here would be before the person's eyes.

use std::fmt;

/// What the environment tells.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings {
    pub os: Os,
    /// Inside an SSH session.
    pub ssh: bool,
    /// An X display (`DISPLAY`).
    pub display: bool,
    /// A Wayland display (`WAYLAND_DISPLAY`).
    pub wayland: bool,
    /// `BROWSER` is set: the person has said how.
    pub browser_command: bool,
    /// Linux inside Windows, which opens the browser.
    pub wsl: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Os {
    Windows,
    MacOs,
    /// Linux and the others whose desktops are X or Wayland.
    Desktop,
}

impl Os {
    /// The one this was built for.
    pub const HERE: Self = if cfg!(windows) {
        Self::Windows
    } else if cfg!(target_os = "macos") {
        Self::MacOs
    } else {
        Self::Desktop
    };
}

/// Where the person's browser is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    Here,
    /// One opened here would not be seen, or none can be.
    Elsewhere(Away),
}

/// Why the browser is elsewhere; shown as a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    Ssh,
    NoDisplay,
}

impl fmt::Display for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ssh => "this is an SSH session",
            Self::NoDisplay => "there is no display here",
        })
    }
}

impl Surroundings {
    /// Where to look for the person.
    pub fn browser(&self) -> Where {
        if self.browser_command {
            return Where::Here;
        }
        if self.ssh {
            return Where::Elsewhere(Away::Ssh);
        }
        let shown = self.os != Os::Desktop || self.display || self.wayland || self.wsl;
        if shown { Where::Here } else { Where::Elsewhere(Away::NoDisplay) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_here_unless_the_person_is_away() {
        let bare = Surroundings {
            os: Os::Desktop,
            ssh: false,
            display: false,
            wayland: false,
            browser_command: false,
            wsl: false,
        };
        let away = Where::Elsewhere(Away::NoDisplay);
        let ssh = Where::Elsewhere(Away::Ssh);
        for (surroundings, expected) in [
            (bare, away),
            (Surroundings { display: true, ..bare }, Where::Here),
            (Surroundings { wayland: true, ..bare }, Where::Here),
            (Surroundings { wsl: true, ..bare }, Where::Here),
            (Surroundings { browser_command: true, ..bare }, Where::Here),
            (Surroundings { ssh: true, ..bare }, ssh),
            // X over SSH has a display, but rarely a browser that anyone wants.
            (Surroundings { ssh: true, display: true, ..bare }, ssh),
            (Surroundings { ssh: true, browser_command: true, ..bare }, Where::Here),
            (Surroundings { os: Os::MacOs, ..bare }, Where::Here),
            (Surroundings { os: Os::MacOs, ssh: true, ..bare }, ssh),
            (Surroundings { os: Os::Windows, ..bare }, Where::Here),
        ] {
            assert_eq!(surroundings.browser(), expected, "{surroundings:?}");
        }
    }
}

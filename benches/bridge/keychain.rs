//! A Secret Service of our own for the keychain figure: gnome-keyring on a private bus, in a
//! throw-away home, so that no one's keyring is touched.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Result;

pub(crate) struct Keychain {
    session: Child,
    pub(crate) address: String,
}

const PROGRAMS: &[(&str, &str)] =
    &[("dbus-run-session", "--help"), ("gnome-keyring-daemon", "--version")];

/// Tells the address of the bus, then lives until its stdin ends.
const SCRIPT: &str = r#"
printf 'bench' | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
printf '%s\n' "$DBUS_SESSION_BUS_ADDRESS"
cat >/dev/null
"#;

impl Keychain {
    pub(crate) fn start(home: &Path) -> Result<Self> {
        for (program, question) in PROGRAMS {
            let mut command = Command::new(program);
            command.arg(question).stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(Stdio::null());
            if command.status().is_err() {
                return Err(format!("needs {program}").into());
            }
        }
        let run = home.join("run");
        std::fs::create_dir_all(&run)?;
        let mut session = Command::new("dbus-run-session")
            .args(["--", "sh", "-c", SCRIPT])
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", &run)
            .env("XDG_DATA_HOME", home.join("share"))
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut address = String::new();
        if let Some(output) = session.stdout.take() {
            BufReader::new(output).read_line(&mut address)?;
        }
        let address = address.trim_end().to_owned();
        if address.is_empty() {
            return Err("needs a session bus, which did not start".into());
        }
        Ok(Self { session, address })
    }
}

impl Drop for Keychain {
    fn drop(&mut self) {
        drop(self.session.stdin.take());
        let _ = self.session.wait();
    }
}

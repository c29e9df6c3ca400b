//! A private session bus with a real gnome-keyring on it, to be locked, hung and killed.

use super::PATIENCE;
use super::home::{Home, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Who answers for `org.freedesktop.secrets`.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Provider {
    /// gnome-keyring with its login collection unlocked, started anew by the bus.
    GnomeKeyring,
    Nobody,
}

pub(crate) struct Bus {
    root: TempDir,
    session: Child,
    address: String,
    /// The daemon that was started; stopped ones must be woken to be ended.
    daemon: Option<Pid>,
}

const UNLOCK: &str =
    "printf %s it-pass | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1";

impl Bus {
    pub(crate) fn start(provider: Provider) -> Self {
        for program in ["dbus-run-session", "dbus-send", "gnome-keyring-daemon", "secret-tool"] {
            let found = Command::new("sh")
                .args(["-c", &format!("command -v {program}")])
                .stdout(Stdio::null())
                .status();
            assert!(
                found.is_ok_and(|status| status.success()),
                "{program} is missing: install the packages gnome-keyring, libsecret-tools and dbus"
            );
        }
        let root = TempDir::new().expect("a temporary directory");
        let config = write_config(root.path(), provider);
        let mut command = in_session_home(root.path(), "dbus-run-session");
        let unlock = match provider {
            Provider::GnomeKeyring => UNLOCK.to_owned(),
            Provider::Nobody => ":".to_owned(),
        };
        command.arg(format!("--config-file={config}")).args(["--", "sh", "-c"]).arg(format!(
            r#"{unlock}; printf '%s\n' "$DBUS_SESSION_BUS_ADDRESS"; exec cat >/dev/null"#
        ));
        let mut session = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start the session bus");
        let mut stdout = BufReader::new(session.stdout.take().expect("stdout"));
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = stdout.read_line(&mut line);
            let _ = sender.send(line);
        });
        let address = receiver.recv_timeout(PATIENCE).expect("a session bus");
        let mut bus = Self { root, session, address: address.trim().to_owned(), daemon: None };
        if provider == Provider::GnomeKeyring {
            bus.daemon = Some(bus.owner());
        }
        bus
    }

    /// A home whose keychain is this one.
    pub(crate) fn home(&self) -> Home {
        self.joined(Home::new("keychain"))
    }

    /// The same for a home that may name another vault.
    pub(crate) fn joined(&self, home: Home) -> Home {
        let run = self.root.path().join("run");
        home.with("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .with("XDG_RUNTIME_DIR", run.to_str().expect("UTF-8"))
    }

    /// Runs a program on this bus; its stdout.
    fn run(&self, program: &str, args: &[&str]) -> String {
        let output = in_session_home(self.root.path(), program)
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("run a program on the bus");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The daemon that owns the name, which it takes soon after its start.
    fn owner(&self) -> Pid {
        let end = Instant::now() + PATIENCE;
        loop {
            let reply = self.run(
                "dbus-send",
                &[
                    "--session",
                    "--print-reply=literal",
                    "--dest=org.freedesktop.DBus",
                    "/",
                    "org.freedesktop.DBus.GetConnectionUnixProcessID",
                    "string:org.freedesktop.secrets",
                ],
            );
            let pid = reply.split_whitespace().last().unwrap_or_default();
            if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) {
                return pid;
            }
            assert!(Instant::now() < end, "gnome-keyring did not start");
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.daemon.expect("a daemon"), signal).expect("signal the daemon");
    }

    pub(crate) fn hang(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn wake(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills the daemon; the bus starts a new one, locked, when it is asked for.
    pub(crate) fn kill_daemon(&mut self) {
        self.signal(Signal::KILL);
        self.daemon = None;
    }

    pub(crate) fn lock(&self) {
        self.run(
            "dbus-send",
            &[
                "--session",
                "--print-reply",
                "--dest=org.freedesktop.secrets",
                "/org/freedesktop/secrets",
                "org.freedesktop.Secret.Service.Lock",
                "array:objpath:/org/freedesktop/secrets/collection/login",
            ],
        );
    }

    /// How many items of ours the keychain holds, canaries included.
    pub(crate) fn items(&self) -> usize {
        let found = self.run("secret-tool", &["search", "--all", "service", "keyferry"]);
        found.lines().filter(|line| line.starts_with("[/")).count()
    }

    /// Removes our items behind our back.
    pub(crate) fn forget_items(&self) {
        self.run("secret-tool", &["clear", "service", "keyferry"]);
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        if let Some(daemon) = self.daemon {
            let _ = kill_process(daemon, Signal::CONT);
        }
        drop(self.session.stdin.take());
        if wait_until(&mut self.session, Duration::from_secs(5)).is_none() {
            let _ = self.session.kill();
            let _ = self.session.wait();
        }
        if let Some(daemon) = self.daemon {
            let _ = kill_process(daemon, Signal::KILL);
        }
    }
}

/// A program with nothing of the person's own session.
fn in_session_home(root: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
        .env("HOME", root)
        .env("XDG_RUNTIME_DIR", root.join("run"))
        .env("XDG_DATA_HOME", root.join("data"))
        .env("XDG_CONFIG_HOME", root.join("config"))
        .env("XDG_CACHE_HOME", root.join("cache"));
    command
}

fn write_config(root: &Path, provider: Provider) -> String {
    use std::os::unix::fs::DirBuilderExt;
    for dir in ["run", "data", "config", "cache", "bus"] {
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.mode(0o700).create(root.join(dir));
        made.expect("make a directory");
    }
    let services = match provider {
        Provider::GnomeKeyring => "<standard_session_servicedirs/>",
        Provider::Nobody => "",
    };
    let config = format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><keep_umask/><listen>unix:dir={}</listen><auth>EXTERNAL</auth>{services}
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>"#,
        root.join("bus").display()
    );
    let path = root.join("session.conf");
    std::fs::write(&path, config).expect("write the bus configuration");
    path.to_str().expect("UTF-8").to_owned()
}

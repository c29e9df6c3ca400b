//! From spawn to the first answer.

use std::cell::OnceCell;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio_rustls::TlsConnector;

use crate::keychain::Keychain;
use crate::latency::milliseconds;
use crate::payload::MODERN_CALL;
use crate::report::{Budget, Figure, Reading, Row, median};
use crate::server::{Seen, Server};
use crate::stdio::{Child, Launch};
use crate::{Bench, Result, tls};

pub(crate) const PLAIN: Figure = Figure {
    rows: &[Row {
        name: "spawn to answered initialize: http, no vault",
        unit: "ms",
        budget: Budget::Plus(6.0),
    }],
    measure: plain,
};

pub(crate) const SECURED: Figure = Figure {
    rows: &[Row {
        name: "spawn to answered initialize: https, keychain, stored token",
        unit: "ms",
        budget: Budget::Plus(13.0),
    }],
    measure: secured,
};

pub(crate) const REQUESTS: Figure = Figure {
    rows: &[
        Row {
            name: "requests to the first tool result, legacy: POST",
            unit: "",
            budget: Budget::Most(3.0),
        },
        Row {
            name: "requests to the first tool result, legacy: GET",
            unit: "",
            budget: Budget::Most(1.0),
        },
        Row {
            name: "requests to the first tool result, modern: all",
            unit: "",
            budget: Budget::Most(1.0),
        },
    ],
    measure: requests,
};

fn started(spawn: impl Fn() -> Result<Child>) -> Result<f64> {
    let begin = Instant::now();
    let mut child = spawn()?;
    child.initialize()?;
    let elapsed = begin.elapsed();
    child.finish()?;
    Ok(milliseconds(elapsed))
}

fn echoed(bench: &Bench) -> Result<f64> {
    let begin = Instant::now();
    let mut child = bench.hop(&[])?;
    child.round_trip(0)?;
    let elapsed = begin.elapsed();
    child.finish()?;
    Ok(milliseconds(elapsed))
}

fn plain(bench: &Bench) -> Result<Vec<Reading>> {
    let (mut direct, mut hop, mut keyferry) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.count(20) {
        direct.push(milliseconds(bench.direct.start(bench.server.address(), None)?));
        hop.push(echoed(bench)?);
        keyferry.push(started(|| bench.keyferry("/plain").spawn())?);
    }
    Ok(vec![Reading::times(median(&mut direct), median(&mut hop), median(&mut keyferry))])
}

/// A server with TLS that wants a key, and a vault that knows it; made when first asked for.
#[derive(Default)]
pub(crate) struct Secured(OnceCell<std::result::Result<Remote, String>>);

struct Remote {
    server: Server,
    connector: TlsConnector,
    authority: PathBuf,
    keychain: Keychain,
}

const KEY: &str = "bench-key-5f0c7d4e19";

impl Remote {
    fn start(bench: &Bench) -> Result<Self> {
        let keychain = Keychain::start(bench.home.path())?;
        let authority = bench.home.path().join("authority.pem");
        let (acceptor, connector) = tls::pair(&authority)?;
        let remote = Self {
            server: Server::start(Some(acceptor), Some(KEY.to_owned()))?,
            connector,
            authority,
            keychain,
        };
        remote.learn_key(bench)?;
        Ok(remote)
    }

    fn launch(&self, bench: &Bench) -> Launch {
        let mut launch = Launch::new(&bench.executable, bench.options.socketpair);
        launch.home(bench.home.path()).variable("DBUS_SESSION_BUS_ADDRESS", &self.keychain.address);
        launch
    }

    fn learn_key(&self, bench: &Bench) -> Result<()> {
        let mut launch = self.launch(bench);
        launch
            .argument("login")
            .argument(self.server.url("/plain"))
            .argument("--with")
            .argument("api-key")
            .argument("--no-verify")
            .argument("--ca-cert")
            .argument(&self.authority);
        let mut login = launch
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = login.stdin.take() {
            writeln!(stdin, "{KEY}")?;
        }
        let output = login.wait_with_output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said: Vec<&str> = said.lines().take(4).map(str::trim).collect();
            return Err(format!("login failed: {}", said.join(" / ")).into());
        }
        Ok(())
    }

    fn spawn(&self, bench: &Bench) -> Result<Child> {
        let mut launch = self.launch(bench);
        launch.argument(self.server.url("/plain")).argument("--ca-cert").argument(&self.authority);
        launch.spawn()
    }
}

fn secured(bench: &Bench) -> Result<Vec<Reading>> {
    let made = bench.secured.0.get_or_init(|| {
        let remote = Remote::start(bench);
        remote.map_err(|error| error.to_string())
    });
    let remote = made.as_ref().map_err(Clone::clone)?;
    let (mut direct, mut hop, mut keyferry) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.count(20) {
        let tls = Some((&remote.connector, KEY));
        direct.push(milliseconds(bench.direct.start(remote.server.address(), tls)?));
        hop.push(echoed(bench)?);
        keyferry.push(started(|| remote.spawn(bench))?);
    }
    Ok(vec![Reading::times(median(&mut direct), median(&mut hop), median(&mut keyferry))])
}

/// At a remote that was met before: the first run is not counted.
fn requests(bench: &Bench) -> Result<Vec<Reading>> {
    let counted = |talk: fn(&mut Child) -> Result<()>, path| -> Result<Seen> {
        let mut seen = bench.server.seen();
        for _ in 0..2 {
            let before = bench.server.seen();
            let mut child = bench.keyferry(path).spawn()?;
            talk(&mut child)?;
            // The GET stream is nobody's answer: it may come a little later.
            std::thread::sleep(Duration::from_millis(100));
            let after = bench.server.seen();
            seen = Seen {
                posts: after.posts - before.posts,
                gets: after.gets - before.gets,
                deletes: after.deletes - before.deletes,
            };
            child.finish()?;
        }
        Ok(seen)
    };
    let legacy = counted(Child::handshake, "/session")?;
    let modern = counted(
        |child| {
            child.write(MODERN_CALL.as_bytes())?;
            child.line().map(drop)
        },
        "/plain",
    )?;
    let modern = modern.posts + modern.gets + modern.deletes;
    Ok(vec![
        Reading::against(3.0, legacy.posts as f64),
        Reading::against(1.0, legacy.gets as f64),
        Reading::against(1.0, modern as f64),
    ])
}

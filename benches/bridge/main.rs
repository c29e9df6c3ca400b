//! The budgets, measured: `cargo bench --bench bridge`.
//!
//! One interleaved run of three things on the same loopback server: direct HTTP, an empty stdio
//! hop, and keyferry. "limit" is direct HTTP plus the hop. It is a report for people, never a
//! timed test: on a busy machine the ratios count, not the figures.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a report for people")]

mod direct;
mod hop;
mod keychain;
mod latency;
mod options;
mod payload;
mod process;
mod report;
mod server;
mod start;
mod stdio;
mod tls;
mod volume;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use direct::Direct;
use options::Options;
use report::{Figure, Table};
use server::Server;
use stdio::{Child, Launch};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What every measurement needs.
struct Bench {
    options: Options,
    server: Server,
    direct: Direct,
    executable: PathBuf,
    home: tempfile::TempDir,
    secured: start::Secured,
}

impl Bench {
    fn new(options: Options) -> Result<Self> {
        let executable = match &options.executable {
            Some(path) => path.clone(),
            None => PathBuf::from(env!("CARGO_BIN_EXE_keyferry")),
        };
        Ok(Self {
            options,
            server: Server::start(None, None)?,
            direct: Direct::new()?,
            executable,
            home: tempfile::tempdir()?,
            secured: start::Secured::default(),
        })
    }

    /// `full` repetitions of something, a tenth of them with `--quick`.
    fn count(&self, full: usize) -> usize {
        if self.options.quick { (full / 10).max(1) } else { full }
    }

    fn keyferry(&self, path: &str) -> Launch {
        let mut launch = Launch::new(&self.executable, self.options.socketpair);
        launch.home(self.home.path()).argument(self.server.url(path));
        launch
    }

    /// A keyferry that has done its handshake.
    fn bridge(&self, path: &str) -> Result<Child> {
        let mut child = self.keyferry(path).spawn()?;
        child.handshake()?;
        Ok(child)
    }

    fn hop(&self, arguments: &[&str]) -> Result<Child> {
        let mut launch = Launch::new(&std::env::current_exe()?, self.options.socketpair);
        launch.argument(hop::ARGUMENT);
        for argument in arguments {
            launch.argument(*argument);
        }
        launch.spawn()
    }
}

const FIGURES: &[Figure] = &[
    start::PLAIN,
    start::SECURED,
    start::REQUESTS,
    latency::ROUND_TRIP,
    volume::JSON,
    volume::EVENTS,
    volume::CALLS,
    latency::OVERLAP,
    latency::PROGRESS,
    volume::BURST,
    process::RESIDENT,
    process::CPU,
    process::EXIT,
    process::SIZE,
];

fn run(options: Options) -> Result<Table> {
    let repetitions = options.repetitions();
    let bench = Bench::new(options)?;
    let mut table = Table::new(FIGURES, &bench.options.filters);
    println!("keyferry: {}", bench.executable.display());
    println!("{repetitions} interleaved repetitions of direct HTTP, empty hop and keyferry");
    for repetition in 1..=repetitions {
        eprintln!("repetition {repetition} of {repetitions}");
        for figure in table.chosen() {
            if bench.options.detail {
                eprintln!("  {}", figure.rows[0].name);
            }
            table.add(figure, (figure.measure)(&bench));
        }
    }
    Ok(table)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().map(String::as_str) == Some(hop::ARGUMENT) {
        return match hop::run(&arguments[1..]) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let outcome = Options::parse(arguments).and_then(|options| match options {
        Some(options) => {
            let detail = options.detail;
            run(options).map(|table| print!("{}", table.print(detail)))
        }
        None => {
            println!("{}", options::HELP);
            Ok(())
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

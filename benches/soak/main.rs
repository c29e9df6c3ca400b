//! The soak: mixed traffic through the executable for minutes, with random faults underneath.
//! `cargo bench --bench soak -- --seconds 600 [--seed N]`
//!
//! Storms, in which anything may fail but nothing may be lost, take turns with calms, in which
//! everything has to succeed. It prints what it saw, and fails where a request was not answered
//! once, a call was executed twice, or memory grew.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a check that may stop, for people")]

#[cfg(unix)]
#[allow(dead_code, reason = "the other conversations are the tests'")]
#[path = "../../tests/it/faults/mod.rs"]
mod faults;
#[allow(dead_code, unused_imports, reason = "most of it is the tests'")]
#[path = "../../tests/it/support/mod.rs"]
mod support;

#[cfg(unix)]
mod dice;
#[cfg(unix)]
mod memory;
#[cfg(unix)]
mod traffic;
#[cfg(unix)]
mod weather;

use std::process::ExitCode;
use std::time::Duration;

struct Options {
    time: Duration,
    seed: u64,
}

impl Options {
    /// None where something is not understood.
    fn parse(arguments: impl Iterator<Item = String>) -> Option<Self> {
        let seed = u64::from(std::process::id()) ^ support::clock::now();
        let mut options = Self { time: Duration::from_secs(600), seed };
        let mut arguments = arguments.filter(|one| one != "--bench");
        while let Some(argument) = arguments.next() {
            let number = arguments.next()?.parse().ok()?;
            match argument.as_str() {
                "--seconds" => options.time = Duration::from_secs(number),
                "--seed" => options.seed = number,
                _ => return None,
            }
        }
        Some(options)
    }
}

fn main() -> ExitCode {
    let Some(options) = Options::parse(std::env::args().skip(1)) else {
        println!("usage: cargo bench --bench soak -- [--seconds N] [--seed N]");
        return ExitCode::from(2);
    };
    run(&options)
}

#[cfg(not(unix))]
fn run(options: &Options) -> ExitCode {
    println!("no {:?} with --seed {} here: the soak runs on Unix", options.time, options.seed);
    ExitCode::SUCCESS
}

#[cfg(unix)]
fn run(options: &Options) -> ExitCode {
    use faults::conversation::{BOTH_MODERN, PLAIN, SESSIONS};
    println!("{} s, --seed {}", options.time.as_secs(), options.seed);
    let all = [("sessions", SESSIONS), ("no sessions", PLAIN), ("modern", BOTH_MODERN)];
    let soaks = all.into_iter().zip(0..).map(|((name, conversation), n)| {
        let (time, seed) = (options.time, options.seed.wrapping_add(n));
        std::thread::spawn(move || traffic::soak(name, conversation, time, seed))
    });
    let soaks: Vec<_> = soaks.collect();
    let mut code = ExitCode::SUCCESS;
    for soak in soaks {
        let Ok(report) = soak.join() else {
            code = ExitCode::FAILURE;
            continue;
        };
        println!("{report}");
        if !report.is_good() {
            code = ExitCode::FAILURE;
        }
    }
    code
}

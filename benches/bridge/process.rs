//! The process itself: memory, processor time, its end, its size.

use std::time::Duration;

use crate::direct::Connection;
use crate::latency::milliseconds;
use crate::payload::{MB, call};
use crate::report::{Budget, Figure, Reading, Row};
use crate::{Bench, Result};

pub(crate) const RESIDENT: Figure = Figure {
    rows: &[
        Row { name: "resident, idle", unit: "MB", budget: Budget::Most(8.0) },
        Row { name: "resident, peak after 10 MB results", unit: "MB", budget: Budget::Most(40.0) },
    ],
    measure: resident,
};

pub(crate) const CPU: Figure = Figure {
    rows: &[Row {
        name: "CPU per 10,000 calls, 16 in flight",
        unit: "s",
        budget: Budget::Most(0.3),
    }],
    measure: cpu,
};

pub(crate) const EXIT: Figure = Figure {
    rows: &[
        Row { name: "exit after stdin EOF, idle", unit: "ms", budget: Budget::Most(5.0) },
        Row {
            name: "exit after stdin EOF, with a session DELETE",
            unit: "ms",
            budget: Budget::Most(100.0),
        },
    ],
    measure: exit,
};

pub(crate) const SIZE: Figure = Figure {
    rows: &[Row { name: "executable, stripped", unit: "MB", budget: Budget::Most(9.0) }],
    measure: |bench| {
        let bytes = std::fs::metadata(&bench.executable)?.len();
        Ok(vec![Reading::alone(bytes as f64 / MB as f64)])
    },
};

fn resident(bench: &Bench) -> Result<Vec<Reading>> {
    let settle = Duration::from_millis(300);
    let mut hop = bench.hop(&[])?;
    hop.round_trip(1)?;
    std::thread::sleep(settle);
    let limit = memory(hop.id(), "VmRSS:")?;
    hop.finish()?;

    let mut child = bench.bridge("/session")?;
    std::thread::sleep(settle);
    let idle = memory(child.id(), "VmRSS:")?;
    for id in 0..6 {
        let event = id % 2 == 1;
        let line = call(id, "text", &format!(r#""bytes":{},"event":{event}"#, 10 * MB));
        child.write(line.as_bytes())?;
        child.skip_line()?;
    }
    let peak = memory(child.id(), "VmHWM:")?;
    child.finish()?;
    Ok(vec![Reading::against(limit, idle), Reading::alone(peak)])
}

/// A line of /proc/PID/status, in MB.
fn memory(process: u32, key: &str) -> Result<f64> {
    let status = proc_file(process, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes: f64 = kilobytes.ok_or("no such line in its status")?.parse()?;
    Ok(kilobytes * 1024.0 / MB as f64)
}

fn proc_file(process: u32, name: &str) -> Result<String> {
    std::fs::read_to_string(format!("/proc/{process}/{name}"))
        .map_err(|_| "needs Linux's /proc".into())
}

fn cpu(bench: &Bench) -> Result<Vec<Reading>> {
    let calls = bench.count(40_000);
    let mut used = Vec::new();
    for mut child in [bench.hop(&[])?, bench.bridge("/session")?] {
        child.in_flight(256, 16)?;
        let before = processor_time(child.id())?;
        child.in_flight(calls, 16)?;
        let after = processor_time(child.id())?;
        child.finish()?;
        used.push((after - before) * 10_000.0 / calls as f64);
    }
    Ok(vec![Reading::against(used[0], used[1])])
}

/// User and system time of all its threads, dead ones too, in seconds. The kernel counts in
/// hundredths here, hence many calls.
fn processor_time(process: u32) -> Result<f64> {
    let stat = proc_file(process, "stat")?;
    // The name in parentheses may hold anything; the fields after it are numbers.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.map(|ticks| ticks.parse().unwrap_or(f64::NAN)).sum();
    Ok(ticks / 100.0)
}

fn exit(bench: &Bench) -> Result<Vec<Reading>> {
    let mut readings = Vec::new();
    for path in ["/plain", "/session"] {
        let deletes = path == "/session";
        let mut hop = bench.hop(&[])?;
        hop.round_trip(1)?;
        let hop = milliseconds(hop.finish()?);
        let mut direct = 0.0;
        if deletes {
            direct = bench.direct.run(async {
                let mut connection = Connection::open(bench.server.address()).await?;
                connection.post(&call(1, "echo", "")).await?;
                let begin = std::time::Instant::now();
                connection.delete().await?;
                Ok(milliseconds(begin.elapsed()))
            })?;
        }
        let child = bench.bridge(path)?;
        std::thread::sleep(Duration::from_millis(50));
        let before = bench.server.seen().deletes;
        let keyferry = milliseconds(child.finish()?);
        let seen = bench.server.seen().deletes - before;
        if seen != usize::from(deletes) {
            return Err(format!("{seen} DELETE requests at {path}").into());
        }
        readings.push(Reading::times(direct, hop, keyferry));
    }
    Ok(readings)
}

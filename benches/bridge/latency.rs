//! Small messages: how long one takes.

use std::time::{Duration, Instant};

use crate::direct::Connection;
use crate::payload::{call, now, number_after};
use crate::report::{Budget, Figure, Reading, Row, median, percentile};
use crate::stdio::Child;
use crate::{Bench, Result};

pub(crate) const ROUND_TRIP: Figure = Figure {
    rows: &[Row { name: "100 B round trip, p50", unit: "us", budget: Budget::Times(1.5) }],
    measure: round_trip,
};

pub(crate) const OVERLAP: Figure = Figure {
    rows: &[Row {
        name: "16 overlapping calls of 200 ms",
        unit: "ms",
        budget: Budget::Most(215.0),
    }],
    measure: overlap,
};

pub(crate) const PROGRESS: Figure = Figure {
    rows: &[
        Row {
            name: "progress event, remote to stdout, p50",
            unit: "us",
            budget: Budget::Times(1.5),
        },
        Row {
            name: "progress event, remote to stdout, p99",
            unit: "us",
            budget: Budget::Times(2.5),
        },
    ],
    measure: progress,
};

pub(crate) fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn round_trip(bench: &Bench) -> Result<Vec<Reading>> {
    let count = bench.count(5_000);
    let warm = count / 10;
    let direct = bench.direct.run(async {
        let mut connection = Connection::open(bench.server.address()).await?;
        let mut times = Vec::with_capacity(count);
        for id in 0..warm + count {
            let line = call(id, "echo", "");
            let begin = Instant::now();
            connection.post(&line).await?;
            times.push(microseconds(begin.elapsed()));
        }
        Ok(median(&mut times[warm..]))
    })?;
    let through = |mut child: Child| -> Result<f64> {
        let mut times = Vec::with_capacity(count);
        for id in 0..warm + count {
            let begin = Instant::now();
            child.round_trip(id)?;
            times.push(microseconds(begin.elapsed()));
        }
        child.finish()?;
        Ok(median(&mut times[warm..]))
    };
    let hop = through(bench.hop(&[])?)?;
    let keyferry = through(bench.bridge("/session")?)?;
    Ok(vec![Reading::times(direct, hop, keyferry)])
}

fn overlap(bench: &Bench) -> Result<Vec<Reading>> {
    const WIDTH: usize = 16;
    let lines: Vec<String> =
        (0..WIDTH).map(|id| call(id, "wait", r#""milliseconds":200"#)).collect();
    let direct = bench.direct.run(async {
        let mut connections = Vec::new();
        for _ in 0..WIDTH {
            connections.push(Connection::open(bench.server.address()).await?);
        }
        let begin = Instant::now();
        let mut calls = Vec::new();
        for (mut connection, line) in connections.into_iter().zip(lines.clone()) {
            calls.push(tokio::task::spawn_local(async move {
                let answer = connection.post(&line).await;
                answer.map_err(|error| error.to_string())
            }));
        }
        for call in calls {
            call.await??;
        }
        Ok(milliseconds(begin.elapsed()))
    })?;
    let through = |mut child: Child| -> Result<f64> {
        let begin = Instant::now();
        child.write(lines.concat().as_bytes())?;
        for _ in 0..WIDTH {
            child.line()?;
        }
        let elapsed = begin.elapsed();
        child.finish()?;
        Ok(milliseconds(elapsed))
    };
    let hop = through(bench.hop(&[])?)?;
    let keyferry = through(bench.bridge("/session")?)?;
    Ok(vec![Reading::times(direct, hop, keyferry)])
}

/// One event in 2 ms, so that everyone is asleep when it comes. The server stamps it. The hop's
/// share is half an echo at the same pace: one pipe of two.
fn progress(bench: &Bench) -> Result<Vec<Reading>> {
    const PAUSE: Duration = Duration::from_millis(2);
    let count = bench.count(1_000);
    let line = call(1, "progress", &format!(r#""count":{count},"milliseconds":2"#));
    let latency = |line: &[u8]| {
        let sent = number_after(line, "\"at ")?;
        Some(now().saturating_sub(sent) as f64 / 1e3)
    };
    let direct = bench.direct.run(async {
        let mut connection = Connection::open(bench.server.address()).await?;
        let mut times = Vec::with_capacity(count);
        let see = |bytes: &[u8]| times.extend(latency(bytes));
        connection.post_stream(&line, see).await?;
        Ok(times)
    })?;
    let hop = {
        let mut child = bench.hop(&[])?;
        let mut times = Vec::with_capacity(count);
        for id in 0..count {
            std::thread::sleep(PAUSE);
            let begin = Instant::now();
            child.round_trip(id)?;
            times.push(microseconds(begin.elapsed()) / 2.0);
        }
        child.finish()?;
        times
    };
    let keyferry = {
        let mut child = bench.bridge("/session")?;
        child.write(line.as_bytes())?;
        let mut times = Vec::with_capacity(count);
        while let Some(time) = latency(child.line()?) {
            times.push(time);
        }
        child.finish()?;
        times
    };
    for times in [&direct, &keyferry] {
        if times.len() != count {
            return Err(format!("{} of {count} progress events came", times.len()).into());
        }
    }
    let (mut direct, mut hop, mut keyferry) = (direct, hop, keyferry);
    let mut at = |share| {
        Reading::times(
            percentile(&mut direct, share),
            percentile(&mut hop, share),
            percentile(&mut keyferry, share),
        )
    };
    Ok(vec![at(0.5), at(0.99)])
}

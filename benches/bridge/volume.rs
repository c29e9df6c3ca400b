//! Many messages, and large ones.

use std::time::Instant;

use crate::direct::Connection;
use crate::latency::milliseconds;
use crate::payload::{KB, MB, call, id_of, number_after, text};
use crate::report::{Budget, Figure, Reading, Row, median};
use crate::stdio::Child;
use crate::{Bench, Result};

const fn row(name: &'static str, unit: &'static str, budget: Budget) -> Row {
    Row { name, unit, budget }
}

pub(crate) const JSON: Figure = Figure {
    rows: &[
        row("100 KB result, JSON", "ms", Budget::Times(1.5)),
        row("10 MB result, JSON", "ms", Budget::Times(1.5)),
        row("40 MB result, JSON", "ms", Budget::Times(1.5)),
        row("40 MB over 10 MB, JSON (linear: 4)", "x", Budget::Most(5.0)),
    ],
    measure: |bench| large(bench, false),
};

pub(crate) const EVENTS: Figure = Figure {
    rows: &[
        row("100 KB result, one SSE event", "ms", Budget::Times(1.5)),
        row("10 MB result, one SSE event", "ms", Budget::Times(1.5)),
        row("40 MB result, one SSE event", "ms", Budget::Times(1.5)),
        row("40 MB over 10 MB, SSE (linear: 4)", "x", Budget::Most(5.0)),
    ],
    measure: |bench| large(bench, true),
};

pub(crate) const CALLS: Figure = Figure {
    rows: &[
        row("calls per second, 16 in flight", "1/s", Budget::AtLeast(0.5)),
        row("calls per second, 64 in flight", "1/s", Budget::AtLeast(0.5)),
        row("calls per second, 256 in flight", "1/s", Budget::AtLeast(0.5)),
    ],
    measure: calls,
};

pub(crate) const BURST: Figure = Figure {
    rows: &[
        row("burst of 10,000 notifications", "1/s", Budget::AtLeast(0.5)),
        row("burst: lost or out of order", "", Budget::Most(0.0)),
    ],
    measure: burst,
};

fn large(bench: &Bench, event: bool) -> Result<Vec<Reading>> {
    let mut readings = Vec::new();
    for (bytes, count) in [(100 * KB, 200), (10 * MB, 10), (40 * MB, 3)] {
        readings.push(large_of(bench, bytes, bench.count(count), event)?);
    }
    let (ten, forty) = (readings[1], readings[2]);
    let growth = |of: fn(&Reading) -> f64| of(&forty) / of(&ten);
    readings.push(Reading::against(
        growth(|reading| reading.limit.unwrap_or(f64::NAN)),
        growth(|reading| reading.keyferry),
    ));
    Ok(readings)
}

/// What stands around the text in the server's answer.
const ENVELOPE: usize = 64;

fn large_of(bench: &Bench, bytes: usize, count: usize, event: bool) -> Result<Reading> {
    let line = |id| call(id, "text", &format!(r#""bytes":{bytes},"event":{event}"#));
    let direct = bench.direct.run(async {
        let mut connection = Connection::open(bench.server.address()).await?;
        connection.post_large(&line(0)).await?;
        let mut times = Vec::with_capacity(count);
        for id in 0..count {
            let line = line(id);
            let begin = Instant::now();
            let length = connection.post_large(&line).await?;
            times.push(milliseconds(begin.elapsed()));
            if length < bytes {
                return Err("direct HTTP got too little".into());
            }
        }
        Ok(median(&mut times))
    })?;
    let through = |child: &mut Child| -> Result<f64> {
        let mut times = Vec::with_capacity(count);
        for id in 0..count {
            let line = line(id);
            let begin = Instant::now();
            child.write(line.as_bytes())?;
            let length = child.skip_line()?;
            times.push(milliseconds(begin.elapsed()));
            if length < bytes {
                return Err(format!("a line of {length} bytes, not of {bytes}").into());
            }
        }
        Ok(median(&mut times))
    };
    let mut child = bench.hop(&[&(bytes + ENVELOPE).to_string()])?;
    child.write(line(0).as_bytes())?;
    child.skip_line()?;
    let hop = through(&mut child)?;
    child.finish()?;

    let mut child = bench.bridge("/session")?;
    child.write(line(7).as_bytes())?;
    intact(child.line()?, 7, bytes)?;
    let keyferry = through(&mut child)?;
    child.finish()?;
    Ok(Reading::times(direct, hop, keyferry))
}

/// The first large answer is compared; the timed ones are only counted.
fn intact(answer: &[u8], id: usize, bytes: usize) -> Result<()> {
    let found = memchr::memmem::find(answer, text(bytes).as_bytes());
    if id_of(answer) != Some(id) || found.is_none() {
        return Err(format!("the answer of {bytes} bytes came changed").into());
    }
    Ok(())
}

fn calls(bench: &Bench) -> Result<Vec<Reading>> {
    let mut readings = Vec::new();
    for width in [16, 64, 256] {
        let count = bench.count(20_000);
        let rate = |elapsed: std::time::Duration| count as f64 / elapsed.as_secs_f64();
        let direct = bench.direct.in_flight(bench.server.address(), count, width)?;
        let through = |mut child: Child| -> Result<f64> {
            child.in_flight(width * 4, width)?;
            let elapsed = child.in_flight(count, width)?;
            child.finish()?;
            Ok(rate(elapsed))
        };
        let hop = through(bench.hop(&[])?)?;
        let keyferry = through(bench.bridge("/session")?)?;
        readings.push(Reading::rates(rate(direct), hop, keyferry));
    }
    Ok(readings)
}

fn burst(bench: &Bench) -> Result<Vec<Reading>> {
    const COUNT: usize = 10_000;
    let line = call(1, "burst", &format!(r#""count":{COUNT}"#));
    let rate = |begin: Instant| COUNT as f64 / begin.elapsed().as_secs_f64();
    let mut event = 0;
    let direct = bench.direct.run(async {
        let mut connection = Connection::open(bench.server.address()).await?;
        let begin = Instant::now();
        let length = connection.post_large(&line).await?;
        let rate = rate(begin);
        event = length / COUNT - "event: message\ndata: \n".len();
        Ok(rate)
    })?;
    let hop = {
        let mut child = bench.hop(&[&event.to_string(), &COUNT.to_string()])?;
        child.write(line.as_bytes())?;
        for _ in 0..COUNT {
            child.line()?;
        }
        let begin = Instant::now();
        child.write(line.as_bytes())?;
        for _ in 0..COUNT {
            child.line()?;
        }
        let rate = rate(begin);
        child.finish()?;
        rate
    };
    let (keyferry, wrong) = {
        let mut child = bench.bridge("/session")?;
        let begin = Instant::now();
        child.write(line.as_bytes())?;
        let mut came = Vec::with_capacity(COUNT);
        let mut done = false;
        while !done {
            child.lines(|line| match number_after(line, "\"line ") {
                Some(number) => came.push(number),
                None => done = true,
            })?;
        }
        let rate = rate(begin);
        child.finish()?;
        let right = came.iter().zip(1..).filter(|(came, place)| *came == place);
        (rate, COUNT.max(came.len()) - right.count())
    };
    Ok(vec![Reading::rates(direct, hop, keyferry), Reading::alone(wrong as f64)])
}

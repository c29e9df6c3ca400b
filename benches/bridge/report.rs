//! The printed table.

mod reading;

use std::fmt::Write;

use crate::{Bench, Result};
pub(crate) use reading::{Budget, Reading, median, percentile};
use reading::{Spread, figure};

/// One measurement, which fills one or several rows.
pub(crate) struct Figure {
    pub(crate) rows: &'static [Row],
    /// One reading per row, in their order.
    pub(crate) measure: fn(&Bench) -> Result<Vec<Reading>>,
}

pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) budget: Budget,
}

struct Results {
    figure: &'static Figure,
    /// Per row.
    readings: Vec<Vec<Reading>>,
    problem: Option<String>,
}

pub(crate) struct Table {
    results: Vec<Results>,
}

impl Table {
    pub(crate) fn new(figures: &'static [Figure], filters: &[String]) -> Self {
        let chosen = figures.iter().filter(|figure| {
            let named = |filter: &String| {
                let mut rows = figure.rows.iter();
                rows.any(|row| row.name.to_lowercase().contains(filter))
            };
            filters.is_empty() || filters.iter().any(named)
        });
        let results = chosen.map(|figure| Results {
            figure,
            readings: vec![Vec::new(); figure.rows.len()],
            problem: None,
        });
        Self { results: results.collect() }
    }

    pub(crate) fn chosen(&self) -> Vec<&'static Figure> {
        self.results.iter().map(|results| results.figure).collect()
    }

    pub(crate) fn add(&mut self, figure: &Figure, outcome: Result<Vec<Reading>>) {
        let results = self.results.iter_mut().find(|results| std::ptr::eq(results.figure, figure));
        let Some(results) = results else { return };
        match outcome {
            Ok(readings) => {
                for (row, reading) in results.readings.iter_mut().zip(readings) {
                    row.push(reading);
                }
            }
            Err(error) => results.problem = Some(error.to_string()),
        }
    }

    /// The table.
    pub(crate) fn print(&self, detail: bool) -> String {
        let mut lines = vec![
            [
                "figure",
                "unit",
                "limit best/median",
                "keyferry best/median",
                "ratio best/median",
                "budget",
                "verdict",
            ]
            .map(str::to_owned),
        ];
        let (mut notes, mut parts) = (String::new(), String::new());
        for (index, results) in self.results.iter().enumerate() {
            let note = results.problem.as_deref().map(|problem| {
                let _ = writeln!(notes, "[{index}] {problem}");
                format!("[{index}]")
            });
            for (row, readings) in results.figure.rows.iter().zip(&results.readings) {
                lines.push(cells(row, readings, note.as_deref()));
                if detail {
                    detail_of(row, readings, &mut parts);
                }
            }
        }
        let mut widths = [0; 7];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = String::from("\n");
        for (index, line) in lines.iter().enumerate() {
            write_row(&mut text, line, &widths);
            if index == 0 {
                write_row(&mut text, &widths.map(|width| "-".repeat(width)), &widths);
            }
        }
        text.push_str(
            "\nlimit: direct HTTP plus an empty stdio hop, in the same run. Median of ratios: each\n\
             repetition against its own limit. Over by: the best against the best.\n\
             Large results: rows of JSON, code and prose in one text; one escape in 13 bytes, some letters not ASCII.\n",
        );
        text + &notes + &parts
    }
}

fn write_row(text: &mut String, cells: &[String; 7], widths: &[usize; 7]) {
    let mut line = String::from("|");
    for (cell, width) in cells.iter().zip(widths) {
        let _ = write!(line, " {cell:<width$} |");
    }
    text.push_str(&line);
    text.push('\n');
}

/// `note` is the number of what went wrong, in at least one repetition.
fn cells(row: &Row, readings: &[Reading], note: Option<&str>) -> [String; 7] {
    let budget = row.budget.text(row.unit);
    let (name, unit) = (row.name.to_owned(), row.unit.to_owned());
    if readings.is_empty() {
        let verdict = format!("not measured {}", note.unwrap_or_default());
        return [name, unit, "-".into(), "-".into(), "-".into(), budget, verdict];
    }
    let more_is_better = matches!(row.budget, Budget::AtLeast(_));
    let ours = Spread::of(readings.iter().map(|reading| reading.keyferry), more_is_better);
    let limits: Vec<f64> = readings.iter().filter_map(|reading| reading.limit).collect();
    let limit = (!limits.is_empty()).then(|| Spread::of(limits.into_iter(), more_is_better));
    // Two opinions. The best of all repetitions is what was least disturbed by whatever else the
    // machine does; the median is of each repetition against its own limit, measured within
    // seconds of it.
    let best = Reading {
        limit: limit.as_ref().map(|limit| limit.best),
        keyferry: ours.best,
        ..Reading::default()
    };
    let both = |of: &dyn Fn(&Reading) -> Option<f64>| of(&best).zip(typical(readings, of));
    let ratios = both(&|reading: &Reading| {
        reading.limit.filter(|limit| *limit > 0.0).map(|limit| reading.keyferry / limit)
    });
    let ratio = ratios.map_or("-".into(), |(best, median)| format!("{best:.2} / {median:.2}"));
    let short = if more_is_better { "short" } else { "over" };
    let mut verdict = match both(&|reading: &Reading| row.budget.used(reading)) {
        None => "no limit".into(),
        Some((best, median)) if best <= 1.0 && median <= 1.0 => "ok".into(),
        Some((best, median)) if best > 1.0 && median > 1.0 => format!("{short} by {best:.2}x"),
        Some((best, median)) => {
            format!("unclear, too noisy: used {best:.2} / {median:.2} of it")
        }
    };
    if let Some(note) = note {
        let _ = write!(verdict, ", failed at least once {note}");
    }
    let limit = limit.map_or("-".into(), |limit| limit.text());
    [name, unit, limit, ours.text(), ratio, budget, verdict]
}

/// The median over the repetitions.
fn typical(readings: &[Reading], of: impl Fn(&Reading) -> Option<f64>) -> Option<f64> {
    let mut values: Vec<f64> = readings.iter().filter_map(of).collect();
    (!values.is_empty()).then(|| median(&mut values))
}

fn detail_of(row: &Row, readings: &[Reading], out: &mut String) {
    let _ = write!(out, "\n{} ({})", row.name, row.unit);
    for reading in readings {
        let part = |value: Option<f64>| value.map_or("-".into(), figure);
        let _ = write!(
            out,
            "\n    direct {:>9}   hop {:>9}   keyferry {:>9}",
            part(reading.direct),
            part(reading.hop),
            figure(reading.keyferry)
        );
    }
    out.push('\n');
}

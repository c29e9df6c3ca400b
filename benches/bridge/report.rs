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
                "ratio",
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
            "\nlimit: direct HTTP plus an empty stdio hop, in the same run. Ratio and verdict: the median of\n\
             the repetitions, each against its own limit.\n\
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
    // Of each repetition by itself: direct, hop and keyferry were measured within seconds, and
    // what else the machine does changes more slowly than that.
    let ratio = typical(readings, |reading| {
        reading.limit.filter(|limit| *limit > 0.0).map(|limit| reading.keyferry / limit)
    });
    let ratio = ratio.map_or("-".into(), |ratio| format!("{ratio:.2}"));
    let mut verdict = match typical(readings, |reading| row.budget.used(reading)) {
        None => "no limit".into(),
        Some(used) if used <= 1.0 => "ok".into(),
        Some(used) if more_is_better => format!("short by {used:.2}x"),
        Some(used) => format!("over by {used:.2}x"),
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

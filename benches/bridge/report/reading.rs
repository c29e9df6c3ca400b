//! Budgets, readings, and how several of them are summed up.

#[derive(Clone, Copy)]
pub(crate) enum Budget {
    /// At most so much more than the limit.
    Plus(f64),
    /// At most so many times the limit.
    Times(f64),
    /// At least so many times the limit.
    AtLeast(f64),
    /// At most this, whatever the limit.
    Most(f64),
}

impl Budget {
    /// What one repetition took of what it was allowed: 1.0 is all of it. `None` without the
    /// limit that the budget speaks of.
    pub(super) fn used(self, reading: &Reading) -> Option<f64> {
        let ours = reading.keyferry;
        match self {
            Self::Plus(more) => reading.limit.map(|limit| ours / (limit + more)),
            Self::Times(factor) => reading.limit.map(|limit| ours / (limit * factor)),
            Self::AtLeast(factor) => reading.limit.map(|limit| limit * factor / ours),
            Self::Most(most) if ours > most => Some(ours / most),
            Self::Most(most) => Some(if most > 0.0 { ours / most } else { 0.0 }),
        }
    }

    pub(super) fn text(self, unit: &str) -> String {
        match self {
            Self::Plus(more) => format!("limit + {more} {unit}"),
            Self::Times(factor) => format!("{factor} x limit"),
            Self::AtLeast(factor) => format!("at least {factor} x limit"),
            Self::Most(most) => format!("{most} {unit}").trim_end().to_owned(),
        }
    }
}

/// What one repetition found, in the unit of its row.
#[derive(Clone, Copy, Default)]
pub(crate) struct Reading {
    pub(crate) direct: Option<f64>,
    pub(crate) hop: Option<f64>,
    pub(crate) limit: Option<f64>,
    pub(crate) keyferry: f64,
}

impl Reading {
    /// Times: the limit is one after the other.
    pub(crate) fn times(direct: f64, hop: f64, keyferry: f64) -> Self {
        Self { direct: Some(direct), hop: Some(hop), limit: Some(direct + hop), keyferry }
    }

    /// Rates: so many per second, if each takes the time of both.
    pub(crate) fn rates(direct: f64, hop: f64, keyferry: f64) -> Self {
        Self {
            direct: Some(direct),
            hop: Some(hop),
            limit: Some(1.0 / (1.0 / direct + 1.0 / hop)),
            keyferry,
        }
    }

    pub(crate) fn against(limit: f64, keyferry: f64) -> Self {
        Self { limit: Some(limit), keyferry, ..Self::default() }
    }

    pub(crate) fn alone(keyferry: f64) -> Self {
        Self { keyferry, ..Self::default() }
    }
}

/// Of several repetitions.
pub(super) struct Spread {
    pub(super) best: f64,
    pub(super) median: f64,
}

impl Spread {
    pub(super) fn of(values: impl Iterator<Item = f64>, more_is_better: bool) -> Self {
        let mut values: Vec<f64> = values.collect();
        let median = median(&mut values);
        let best = if more_is_better { values.last() } else { values.first() };
        Self { best: best.copied().unwrap_or(median), median }
    }

    pub(super) fn text(&self) -> String {
        format!("{} / {}", figure(self.best), figure(self.median))
    }
}

/// Three significant digits, thousands as they are.
pub(super) fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Sorts, and takes the middle: of an even number, the mean of the two.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values {
        [] => f64::NAN,
        _ if values.len() % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

pub(crate) fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len().saturating_sub(1)) as f64 * share;
    values.get(index.round() as usize).copied().unwrap_or(f64::NAN)
}

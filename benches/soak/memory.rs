//! The resident memory of the bridge, and whether it grows.

use std::fs;

/// What the samples before this part of the time are worth nothing for.
const WARM_UP: f64 = 0.25;
/// KiB that the line through the samples may rise beside a twentieth of the memory: allocators
/// keep a little more after each new peak.
const SLACK: f64 = 1024.0;

/// Seconds and KiB.
#[derive(Default)]
pub(crate) struct Memory(Vec<(f64, f64)>);

impl Memory {
    /// Takes a sample, where the system tells.
    pub(crate) fn sample(&mut self, pid: u32, seconds: f64) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        self.0.extend(kib.map(|kib| (seconds, kib)));
    }

    fn warm(&self) -> &[(f64, f64)] {
        let end = self.0.last().map_or(0.0, |sample| sample.0);
        let start = self.0.partition_point(|sample| sample.0 < end * WARM_UP);
        &self.0[start..]
    }

    /// KiB that the line of least squares rises over the warm samples, and their mean.
    pub(crate) fn growth(&self) -> (f64, f64) {
        let warm = self.warm();
        let count = warm.len().max(1) as f64;
        let mean = |pick: fn(&(f64, f64)) -> f64| warm.iter().map(pick).sum::<f64>() / count;
        let (at, kib) = (mean(|sample| sample.0), mean(|sample| sample.1));
        let spread: f64 = warm.iter().map(|sample| (sample.0 - at).powi(2)).sum();
        let along: f64 = warm.iter().map(|sample| (sample.0 - at) * (sample.1 - kib)).sum();
        let span = warm.last().zip(warm.first()).map_or(0.0, |(last, first)| last.0 - first.0);
        (if spread > 0.0 { along / spread * span } else { 0.0 }, kib)
    }

    pub(crate) fn is_flat(&self) -> bool {
        let (growth, mean) = self.growth();
        growth <= SLACK + mean / 20.0
    }

    /// From the least to the most, in KiB.
    pub(crate) fn range(&self) -> (f64, f64) {
        let warm = self.warm().iter().map(|sample| sample.1);
        (warm.clone().fold(f64::INFINITY, f64::min), warm.fold(0.0, f64::max))
    }
}

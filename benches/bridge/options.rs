//! The bench's own few options.

use std::path::PathBuf;

use crate::Result;

pub(crate) const HELP: &str = "\
cargo bench --bench bridge -- [OPTIONS] [NAME ...]

NAME               only the figures whose name contains one of these
--quick            two repetitions and a tenth of the samples
--repetitions N    default 5
--detail           also print the parts of the limit and the spread
--socketpair       stdio over a socket pair, as Node gives its children (Unix)
--executable PATH  measure this bridge instead (started as: PATH URL)";

#[derive(Default)]
pub(crate) struct Options {
    pub(crate) quick: bool,
    repetitions: Option<usize>,
    pub(crate) detail: bool,
    pub(crate) socketpair: bool,
    pub(crate) executable: Option<PathBuf>,
    pub(crate) filters: Vec<String>,
}

impl Options {
    /// `None` when help was asked for.
    pub(crate) fn parse(arguments: Vec<String>) -> Result<Option<Self>> {
        let mut options = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                // `cargo bench` says this to every bench.
                "--bench" => {}
                "--help" | "-h" => return Ok(None),
                "--quick" => options.quick = true,
                "--detail" => options.detail = true,
                "--socketpair" => options.socketpair = true,
                "--repetitions" => options.repetitions = Some(value()?.parse()?),
                "--executable" => options.executable = Some(value()?.into()),
                name if name.starts_with('-') => {
                    return Err(format!("unknown option {name}\n{HELP}").into());
                }
                name => options.filters.push(name.to_lowercase()),
            }
        }
        Ok(Some(options))
    }

    pub(crate) fn repetitions(&self) -> usize {
        self.repetitions.unwrap_or(if self.quick { 2 } else { 5 }).max(1)
    }
}

//! A wall clock that a test sets, for the executable alone.

use super::bridge::Launch;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

pub(crate) struct Clock(TempDir);

impl Clock {
    /// Right at first.
    pub(crate) fn new() -> Self {
        let clock = Self(TempDir::new().expect("a temporary directory"));
        let source = clock.0.path().join("clock.c");
        fs::write(&source, include_str!("clock.c")).expect("write the source");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(clock.library()).arg(&source).arg("-ldl");
        let done = compiler.output().expect("a C compiler");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        clock.set(0);
        clock
    }

    fn library(&self) -> PathBuf {
        self.0.path().join("clock.so")
    }

    fn offset(&self) -> PathBuf {
        self.0.path().join("offset")
    }

    /// This many seconds ahead of the right time; behind it, if negative.
    pub(crate) fn set(&self, seconds: i64) {
        let fresh = self.0.path().join("fresh");
        fs::write(&fresh, seconds.to_string()).expect("write the offset");
        fs::rename(fresh, self.offset()).expect("put the offset in place");
    }

    /// The bridge that goes by this clock.
    pub(crate) fn rules(&self, launch: Launch) -> Launch {
        let text = |path: PathBuf| path.to_str().expect("a UTF-8 path").to_owned();
        let launch = launch.env("LD_PRELOAD", &text(self.library()));
        launch.env("CLOCK_OFFSET", &text(self.offset()))
    }
}

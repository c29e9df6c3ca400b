//! What the executable finds in place of the system: its clock, its name server, its disk.

use super::bridge::Launch;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A library that is loaded before all others.
struct Library(TempDir);

impl Library {
    fn new(source: &str) -> Self {
        let library = Self(TempDir::new().expect("a temporary directory"));
        let file = library.file("library.c");
        fs::write(&file, source).expect("write the source");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(library.file("library.so"));
        let done = compiler.arg(&file).arg("-ldl").output().expect("a C compiler");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        library
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn path(&self, name: &str) -> String {
        self.file(name).to_str().expect("a UTF-8 path").to_owned()
    }

    /// A file that is there while something is the case.
    fn flag(&self, name: &str, is: bool) {
        let _ = fs::remove_file(self.file(name));
        if is {
            fs::write(self.file(name), "").expect("write a file");
        }
    }

    fn before(&self, launch: Launch) -> Launch {
        launch.env("LD_PRELOAD", &self.path("library.so"))
    }
}

/// A wall clock that a test sets, for the executable alone.
pub(crate) struct Clock(Library);

impl Clock {
    /// Right at first.
    pub(crate) fn new() -> Self {
        let clock = Self(Library::new(include_str!("clock.c")));
        clock.set(0);
        clock
    }

    /// This many seconds ahead of the right time; behind it, if negative.
    pub(crate) fn set(&self, seconds: i64) {
        let fresh = self.0.file("fresh");
        fs::write(&fresh, seconds.to_string()).expect("write the offset");
        fs::rename(fresh, self.0.file("offset")).expect("put the offset in place");
    }

    /// The bridge that goes by this clock.
    pub(crate) fn rules(&self, launch: Launch) -> Launch {
        self.0.before(launch).env("CLOCK_OFFSET", &self.0.path("offset"))
    }
}

/// A name server that knows this machine under every name below `.inside.example`, while it
/// can be asked.
pub(crate) struct Names(Library);

impl Names {
    pub(crate) fn new() -> Self {
        Self(Library::new(include_str!("names.c")))
    }

    /// It knows nothing from here on, or everything again.
    pub(crate) fn lose(&self, lost: bool) {
        self.0.flag("lost", lost);
    }

    /// The bridge that asks it.
    pub(crate) fn serve(&self, launch: Launch) -> Launch {
        self.0.before(launch).env("NAMES_LOST", &self.0.path("lost"))
    }
}

/// A disk that can be mounted read-only.
pub(crate) struct Disk(Library);

impl Disk {
    pub(crate) fn new() -> Self {
        Self(Library::new(include_str!("read_only.c")))
    }

    pub(crate) fn read_only(&self, yes: bool) {
        self.0.flag("read-only", yes);
    }

    /// The bridge whose home is on it.
    pub(crate) fn hold(&self, launch: Launch) -> Launch {
        self.0.before(launch).env("READ_ONLY", &self.0.path("read-only"))
    }
}

//! A browser: a program that only notes the link it is given, and a person
//! who follows links, or does not, or does something else with them.

use super::PATIENCE;
use super::web::{self, Reply};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) struct Browser {
    dir: TempDir,
    pages: Arc<Mutex<Vec<Result<Reply, String>>>>,
    stop: Arc<AtomicBool>,
    person: Option<JoinHandle<()>>,
}

impl Browser {
    /// One that nobody sits at.
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let (pages, stop) = Default::default();
        let browser = Self { dir, pages, stop, person: None };
        // Its own variables are noted too, then the link.
        let script = format!(
            "#!/bin/sh\nexport -p >> '{0}/environment'\nfor last; do :; done\n\
             printf '%s\\n' \"$*\" >> '{0}/arguments'\nprintf '%s\\n' \"$last\" >> '{0}/links'\n",
            browser.dir.path().display()
        );
        let program = browser.program();
        fs::write(&program, script).expect("write the browser");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&program, executable).expect("make it executable");
        browser
    }

    /// One whose person follows every link at once.
    pub(crate) fn following() -> Self {
        let mut browser = Self::new();
        browser.follow_all();
        browser
    }

    /// For `BROWSER`.
    pub(crate) fn command(&self) -> String {
        self.program().to_str().expect("a UTF-8 path").to_owned()
    }

    fn program(&self) -> PathBuf {
        self.dir.path().join("browser")
    }

    /// From here on every link is followed, also those that are open already.
    pub(crate) fn follow_all(&mut self) {
        let links = self.dir.path().join("links");
        let (pages, stop) = (self.pages.clone(), self.stop.clone());
        self.person = Some(thread::spawn(move || {
            let mut seen = 0;
            while !stop.load(Ordering::SeqCst) {
                for link in read_lines(&links).into_iter().skip(seen) {
                    seen += 1;
                    let page = try_follow(&link).map_err(|error| format!("{link}: {error}"));
                    pages.lock().unwrap().push(page);
                }
                thread::sleep(Duration::from_millis(5));
            }
        }));
    }

    /// Every link that was opened, one for each tab.
    pub(crate) fn tabs(&self) -> Vec<String> {
        read_lines(&self.dir.path().join("links"))
    }

    /// What its processes were started with: arguments, then variables.
    pub(crate) fn processes(&self) -> String {
        let read = |name| fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        read("arguments") + &read("environment")
    }

    /// Waits for `count` tabs; the links.
    #[track_caller]
    pub(crate) fn wait_tabs(&self, count: usize) -> Vec<String> {
        wait(&format!("{count} tabs"), || {
            let tabs = self.tabs();
            (tabs.len() >= count).then_some(tabs)
        })
    }

    /// Waits for the first tab; its link.
    #[track_caller]
    pub(crate) fn link(&self) -> String {
        self.wait_tabs(1).remove(0)
    }

    /// Waits for the page at which the person ended up the `n`th time, from 0.
    #[track_caller]
    pub(crate) fn page(&self, n: usize) -> (u16, String) {
        wait(&format!("page {n}"), || match self.pages.lock().unwrap().get(n) {
            Some(Ok(page)) => Some((page.status, page.body.clone())),
            Some(Err(error)) => panic!("{error}"),
            None => None,
        })
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(person) = self.person.take() {
            let _ = person.join();
        }
    }
}

fn read_lines(path: &PathBuf) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    // The last line may be half there.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(str::to_owned).collect()
}

/// Follows redirects to the page at their end.
fn try_follow(link: &str) -> std::io::Result<Reply> {
    let mut url = url::Url::parse(link).map_err(std::io::Error::other)?;
    for _ in 0..10 {
        let page = web::try_get(url.as_str())?;
        if !(300..400).contains(&page.status) {
            return Ok(page);
        }
        let location = page.header("location").unwrap_or_default();
        url = url.join(location).map_err(std::io::Error::other)?;
    }
    Err(std::io::Error::other("redirected for ever"))
}

/// Goes where a person who clicks ends up.
#[track_caller]
pub(crate) fn follow(link: &str) -> Reply {
    try_follow(link).unwrap_or_else(|error| panic!("{link}: {error}"))
}

/// Polls until there is something.
#[track_caller]
pub(crate) fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "never saw {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

//! No browser can be opened here: the link is printed, and that is enough.

use super::live_as;
use crate::support::bridge::Launch;
use crate::support::browser::{follow, wait};
use crate::support::scene::Scene;
use crate::support::web::free_port;

fn printed(stderr: &str, origin: &str) -> Option<String> {
    let mut lines = stderr.lines().map(str::trim);
    lines.find(|line| line.starts_with(origin)).map(str::to_owned)
}

#[test]
fn no_browser_prints_the_link_and_opens_nothing() {
    let scene = Scene::unattended();
    let mut bridge = scene.launch().args(&["--no-browser"]).start().ready();
    let link = wait("the link on stderr", || printed(&bridge.stderr(), &scene.auth.origin()));
    follow(&link);
    live_as(&mut bridge, "ada");
    assert!(scene.browser.tabs().is_empty());
}

#[test]
fn a_browser_that_does_not_start_is_no_obstacle() {
    let scene = Scene::unattended();
    for browser in ["/no/such/browser", "/bin/false", "/no/such/one:/bin/false %s"] {
        let home = scene.another_home("memory");
        let mut bridge = Launch::new(home, &scene.url()).env("BROWSER", browser).start().ready();
        let link = wait("the link on stderr", || printed(&bridge.stderr(), &scene.auth.origin()));
        follow(&link);
        live_as(&mut bridge, "ada");
    }
}

/// `BROWSER` may name several, with the place of the link.
#[test]
fn the_first_browser_that_starts_is_used_with_its_arguments() {
    let scene = Scene::unattended();
    let several = format!("/no/such/browser:{} --new-tab %s --quiet", scene.browser.command());
    let home = scene.another_home("memory");
    let _bridge = Launch::new(home, &scene.url()).env("BROWSER", &several).start().ready();
    // Noted last of all.
    assert_eq!(scene.browser.link(), "--quiet");
    let processes = scene.browser.processes();
    let arguments = processes.lines().next().unwrap();
    assert!(arguments.starts_with("--new-tab http://"), "{arguments}");
    assert!(arguments.ends_with(" --quiet"), "{arguments}");
}

/// It may write or read what it likes: none of it is ours.
#[test]
fn the_browser_has_none_of_our_pipes_and_none_of_our_secrets() {
    let scene = Scene::unattended();
    let home = scene.another_home("passphrase");
    let note = home.path("note");
    let program = home.file(
        "loud",
        format!(
            "#!/bin/sh\necho garbage\necho noise >&2\nread line; echo \"got $line\" >> {0}\n\
             export -p >> {0}\nprintf '%s\\n' \"$1\" >> {0}.link\n",
            note.display()
        ),
    );
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let bridge = Launch::new(home.clone(), &scene.url())
        .env("BROWSER", &program)
        .env("KEYFERRY_PASSPHRASE", "pass-5ecret")
        .env("CLIENT_SECRET", "client-5ecret")
        .args(&[
            "--client-id",
            "x",
            "--secret-env",
            "CLIENT_SECRET",
            "--callback-port",
            &free_port(),
        ])
        .start()
        .ready();
    let noted = wait("the browser", || {
        std::fs::metadata(format!("{}.link", note.display())).ok()?;
        std::fs::read_to_string(&note).ok()
    });
    assert!(!noted.contains("5ecret"), "{noted}");
    assert!(noted.lines().any(|line| line == "got "), "it read our stdin: {noted}");
    let ended = bridge.finish();
    assert!(!ended.stderr.contains("noise"), "{}", ended.stderr);
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
}

/// The child of a bridge that is gone may live on; it holds nothing of ours.
#[test]
fn a_browser_that_never_ends_holds_nothing_up() {
    let scene = Scene::unattended();
    let home = scene.another_home("memory");
    let program = home.file("slow", "#!/bin/sh\nsleep 5\n");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut bridge = Launch::new(home, &scene.url()).env("BROWSER", &program).start().ready();
    let link = wait("the link on stderr", || printed(&bridge.stderr(), &scene.auth.origin()));
    follow(&link);
    live_as(&mut bridge, "ada");
    bridge.close_stdin();
    bridge.wait_exit(std::time::Duration::from_secs(1));
}

/// A login at a terminal, with the browser on another machine.
#[cfg(target_os = "linux")]
mod terminal {
    use super::*;
    use crate::support::PATIENCE;
    use crate::support::authorization_server::callback_of;
    use crate::support::home::wait_until;
    use crate::support::web::with_param;
    use std::io::{Read, Write};
    use std::path::Path;
    use std::process::{Child, Stdio};
    use std::sync::{Arc, Mutex};

    struct Terminal {
        child: Child,
        shown: Arc<Mutex<String>>,
    }

    impl Terminal {
        fn login(scene: &Scene) -> Self {
            let mut command = scene.home.command_of(Path::new("script"));
            let line =
                format!("{} login {} --no-browser", env!("CARGO_BIN_EXE_keyferry"), scene.url());
            command.args(["-qec", &line, "/dev/null"]).env("SHELL", "/bin/sh");
            let mut child =
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script runs");
            let mut output = child.stdout.take().unwrap();
            let shown: Arc<Mutex<String>> = Arc::default();
            let into = shown.clone();
            std::thread::spawn(move || {
                let mut chunk = [0; 4096];
                while let Ok(read @ 1..) = output.read(&mut chunk) {
                    into.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..read]));
                }
            });
            Self { child, shown }
        }

        fn shown(&self) -> String {
            self.shown.lock().unwrap().clone()
        }

        fn paste(&mut self, line: &str) {
            let stdin = self.child.stdin.as_mut().unwrap();
            stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
        }

        #[track_caller]
        fn ends_well(mut self) {
            let ended = wait_until(&mut self.child, PATIENCE);
            let ended = ended.unwrap_or_else(|| panic!("still there: {}", self.shown()));
            assert!(ended.success(), "{}", self.shown());
        }
    }

    impl Drop for Terminal {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn link(terminal: &Terminal, scene: &Scene) -> String {
        wait("the link", || {
            let shown = terminal.shown();
            let whole = &shown[..shown.rfind('\n')?];
            printed(whole, &scene.auth.origin())
        })
    }

    #[test]
    fn the_pasted_callback_url_finishes_the_login() {
        let scene = Scene::unattended();
        let mut terminal = Terminal::login(&scene);
        let link = link(&terminal, &scene);
        terminal.paste(&callback_of(&link));
        terminal.ends_well();
        assert!(scene.auth.accepts(&scene.token()));
    }

    #[test]
    fn a_url_of_another_sign_in_does_not_end_it() {
        let scene = Scene::unattended();
        let mut terminal = Terminal::login(&scene);
        let link = link(&terminal, &scene);
        let right = callback_of(&link);
        for wrong in
            ["nonsense", "", "https://evil.example/", &with_param(&right, "state", Some("x"))]
        {
            terminal.paste(wrong);
        }
        terminal.paste(&right);
        terminal.ends_well();
        assert_eq!(scene.auth.asked("/token").len(), 1);
    }

    #[test]
    fn the_listener_serves_beside_the_prompt() {
        let scene = Scene::unattended();
        let terminal = Terminal::login(&scene);
        follow(&link(&terminal, &scene));
        terminal.ends_well();
    }
}

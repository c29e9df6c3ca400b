//! A remote behind an authorization server, a browser, and a home: all that a
//! sign-in needs.

use super::authorization_server::{AuthorizationServer, Script};
use super::bridge::{Bridge, Launch};
use super::browser::Browser;
use super::home::{Done, Home};
use super::mcp_server::Server;
use super::modern::{self, Modern};
use std::sync::Arc;

pub(crate) struct Scene {
    pub(crate) remote: Server,
    pub(crate) auth: AuthorizationServer,
    pub(crate) browser: Browser,
    pub(crate) home: Arc<Home>,
}

impl Scene {
    /// A legacy remote; the person follows every link; what is learned is kept.
    pub(crate) fn new() -> Self {
        Self::scripted(|_| {})
    }

    pub(crate) fn scripted(change: impl FnOnce(&mut Script)) -> Self {
        Self::of(AuthorizationServer::scripted(change), Browser::following())
    }

    /// Nobody follows a link unasked.
    pub(crate) fn unattended() -> Self {
        Self::of(AuthorizationServer::start(), Browser::new())
    }

    pub(crate) fn of(auth: AuthorizationServer, browser: Browser) -> Self {
        let remote = auth.remote();
        Self::with(auth, remote, browser)
    }

    pub(crate) fn with(auth: AuthorizationServer, remote: Server, browser: Browser) -> Self {
        let home = Home::new("plaintext").with("BROWSER", &browser.command());
        Self { remote, auth, browser, home: Arc::new(home) }
    }

    /// A modern remote whose tools are `echo`, `whoami` and `admin`.
    pub(crate) fn modern(auth: AuthorizationServer, browser: Browser) -> Self {
        let tools = modern::Tools::default();
        tools.set(&["echo", "whoami", "admin"].map(modern_tool).each_ref().map(String::as_str));
        let inner = Modern::new().tools(&tools).on("tools/call", auth.whoami());
        let remote = auth.guard(super::mcp_server::Port::reserve(), inner.into_handler());
        Self::with(auth, remote, browser)
    }

    /// A home like the first one, of another person or another machine.
    pub(crate) fn another_home(&self, vault: &str) -> Arc<Home> {
        Arc::new(Home::new(vault).with("BROWSER", &self.browser.command()))
    }

    pub(crate) fn url(&self) -> String {
        self.remote.url()
    }

    pub(crate) fn launch(&self) -> Launch {
        Launch::new(self.home.clone(), &self.remote.url())
    }

    /// Started, nothing said yet.
    pub(crate) fn bridge(&self) -> Bridge {
        self.launch().start()
    }

    /// `keyferry login URL` with these flags.
    pub(crate) fn login(&self, flags: &[&str]) -> Done {
        self.home.run(&[&["login", &self.remote.url()], flags].concat(), "")
    }

    /// Signed in once, long ago.
    #[track_caller]
    pub(crate) fn signed_in(self) -> Self {
        self.login(&[]).expect(0);
        self
    }

    /// `keyferry token URL`.
    #[track_caller]
    pub(crate) fn token(&self) -> String {
        let done = self.home.run(&["token", &self.remote.url()], "").expect(0);
        done.stdout.trim_end().to_owned()
    }

    /// No code, verifier, token or secret is in any of these texts, nor in
    /// clear in the home, nor in what a browser was started with.
    #[track_caller]
    pub(crate) fn nothing_leaked(&self, texts: &[&str]) {
        let mut texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        texts.push(self.browser.processes());
        for (path, content) in self.home.files() {
            texts.push(format!("{}: {}", path.display(), String::from_utf8_lossy(&content)));
        }
        for secret in self.auth.secrets() {
            for text in &texts {
                assert!(!text.contains(&secret), "{secret} is in {text}");
            }
        }
    }
}

pub(crate) fn modern_tool(name: &str) -> String {
    format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#)
}

impl Bridge {
    /// Calls a tool.
    pub(crate) fn tool(&self, id: &str, name: &str) {
        self.request(id, "tools/call", &format!(r#"{{"name":"{name}","arguments":{{}}}}"#));
    }

    /// The text of the tool result that answers `id`.
    #[track_caller]
    pub(crate) fn text(&mut self, id: &str) -> String {
        let result = self.result(id);
        result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}")).to_owned()
    }

    /// Who the remote takes this client for.
    #[track_caller]
    pub(crate) fn whoami(&mut self) -> String {
        self.tool(r#""whoami""#, "whoami");
        self.text(r#""whoami""#)
    }

    /// The same, whatever the answer is.
    #[track_caller]
    pub(crate) fn answer_to_whoami(&mut self) -> String {
        self.tool(r#""whoami""#, "whoami");
        self.answer_line(r#""whoami""#)
    }

    /// The names in the answer to `id`.
    #[track_caller]
    pub(crate) fn tool_names(&mut self, id: &str) -> Vec<String> {
        let result = self.result(id);
        let tools = result["tools"].as_array().unwrap_or_else(|| panic!("{result}"));
        tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
    }

    /// Lists the tools.
    #[track_caller]
    pub(crate) fn tools(&mut self) -> Vec<String> {
        self.request(r#""tools""#, "tools/list", "{}");
        self.tool_names(r#""tools""#)
    }
}

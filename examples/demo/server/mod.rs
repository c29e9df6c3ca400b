//! A protected MCP server on loopback that is its own authorization server. Whoever signs in
//! is who they say they are; everything else is as strict as OAuth 2.1 wants it.

mod authorization;
mod http;
mod mcp;
mod page;
mod seen;
mod sign_in;
mod tokens;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::{Method, StatusCode};

use crate::{Result, say};
use http::{Asked, Reply, plain};
pub(crate) use seen::Seen;
use sign_in::Visit;
pub(crate) use tokens::LIFE;
use tokens::{Code, Grant};

pub(crate) struct Server {
    state: Arc<Mutex<State>>,
}

struct State {
    /// `http://127.0.0.1:PORT`
    issuer: String,
    clients: HashMap<String, Client>,
    /// People at the sign-in page.
    visits: HashMap<String, Visit>,
    codes: HashMap<String, Code>,
    grants: Vec<Grant>,
    /// Every secret that was ever given out.
    secrets: Vec<String>,
    seen: Vec<Seen>,
    /// The last answer to an MCP request, as it was sent.
    last_answer: String,
}

/// A client that registered itself (RFC 7591).
struct Client {
    redirect_uris: Vec<String>,
    registration_access_token: String,
}

impl Server {
    pub(crate) fn start() -> Result<Self> {
        let text = |error: std::io::Error| error.to_string();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(text)?;
        listener.set_nonblocking(true).map_err(text)?;
        let issuer = format!("http://{}", listener.local_addr().map_err(text)?);
        let state = Arc::new(Mutex::new(State {
            issuer,
            clients: HashMap::new(),
            visits: HashMap::new(),
            codes: HashMap::new(),
            grants: Vec::new(),
            secrets: Vec::new(),
            seen: Vec::new(),
            last_answer: String::new(),
        }));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(text)?;
        let served = Arc::clone(&state);
        let answer = move |asked: &Asked| locked(&served).answer(asked);
        std::thread::spawn(move || runtime.block_on(http::serve(listener, answer)));
        Ok(Self { state })
    }

    pub(crate) fn url(&self) -> String {
        locked(&self.state).url()
    }

    /// How often it saw this.
    pub(crate) fn saw(&self, what: impl Fn(&Seen) -> bool) -> usize {
        locked(&self.state).seen.iter().filter(|seen| what(seen)).count()
    }

    /// Who signed in last.
    pub(crate) fn person(&self) -> Option<String> {
        locked(&self.state).grants.last().map(|grant| grant.person.clone())
    }

    pub(crate) fn secrets(&self) -> Vec<String> {
        locked(&self.state).secrets.clone()
    }

    /// The bytes of the last answer to an MCP request.
    pub(crate) fn last_answer(&self) -> String {
        locked(&self.state).last_answer.clone()
    }

    /// Whether any token that it gave out is still good.
    pub(crate) fn trusts_anyone(&self) -> bool {
        locked(&self.state).grants.iter().any(Grant::is_alive)
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn url(&self) -> String {
        format!("{}/mcp", self.issuer)
    }

    fn answer(&mut self, asked: &Asked) -> Reply {
        match (&asked.method, asked.path.as_str()) {
            (_, "/mcp") => self.mcp(asked),
            (&Method::GET, "/.well-known/oauth-protected-resource/mcp") => self.resource_metadata(),
            (&Method::GET, "/.well-known/oauth-authorization-server") => self.server_metadata(),
            (&Method::POST, "/register") => self.register(asked),
            (&Method::DELETE, path) if path.starts_with("/register/") => self.unregister(asked),
            (&Method::GET, "/authorize") => self.sign_in_page(asked),
            (&Method::POST, "/sign-in") => self.signed_in(asked),
            (&Method::POST, "/consent") => self.decided(asked),
            (&Method::POST, "/token") => self.token(asked),
            (&Method::POST, "/revoke") => self.revoke(asked),
            (&Method::GET, "/userinfo") => self.userinfo(asked),
            (&Method::POST, "/browser-saw") => {
                let shown = String::from_utf8_lossy(&asked.body).into_owned();
                self.note(Seen::BrowserShows(shown));
                plain(StatusCode::NO_CONTENT)
            }
            _ => plain(StatusCode::NOT_FOUND),
        }
    }

    /// Remembers what happened, and shows it.
    fn note(&mut self, seen: Seen) {
        say(&format!("server   | {seen}"));
        self.seen.push(seen);
    }

    /// A secret that nobody can guess.
    fn secret(&mut self, kind: &str) -> String {
        let secret = random(kind);
        self.secrets.push(secret.clone());
        secret
    }
}

fn random(kind: &str) -> String {
    let mut bytes = [0; 20];
    // Without randomness there is no demo, and no security either.
    if getrandom::fill(&mut bytes).is_err() {
        std::process::abort();
    }
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{kind}-{hex}")
}

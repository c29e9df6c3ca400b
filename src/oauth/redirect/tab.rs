//! The browser tab that brought the answer, and what it gets to see.

use super::Awaited;
use super::connection::Reply;
use crate::oauth::page::{Mark, Page};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long the browser waits for the outcome.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long [`Tab::show`] may take.
const SHOWING: Duration = Duration::from_secs(1);

/// What became of the sign-in after the answer. The texts are shown as they are, escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The token exchange has succeeded.
    SignedIn {
        /// Who, if the server told.
        identity: Option<String>,
    },
    Failed {
        /// A sentence, cleaned.
        cause: String,
        /// What to do next: a sentence.
        advice: String,
    },
}

/// A browser that waits for the outcome, for a minute at most. Dropped without one, it is
/// told that the sign-in was given up.
#[derive(Debug)]
#[must_use = "the browser waits for the outcome"]
pub struct Tab {
    outcome: oneshot::Sender<Outcome>,
    written: oneshot::Receiver<()>,
}

impl Tab {
    pub(super) fn open(stream: TcpStream, awaited: Arc<Awaited>) -> Self {
        let (outcome, told) = oneshot::channel();
        let (write, written) = oneshot::channel();
        tokio::spawn(wait(stream, awaited, told, write));
        Self { outcome, written }
    }

    /// Shows the outcome; returns when the page is on its way, a second later at most.
    pub async fn show(self, outcome: Outcome) {
        if self.outcome.send(outcome).is_ok() {
            // An error is news too: the other half goes when the page is written or cannot be.
            let _ = timeout(SHOWING, self.written).await;
        }
    }
}

async fn wait(
    mut stream: TcpStream,
    awaited: Arc<Awaited>,
    told: oneshot::Receiver<Outcome>,
    written: oneshot::Sender<()>,
) {
    let reply = match timeout(PATIENCE, told).await {
        Ok(Ok(outcome)) => reply(&awaited, &outcome),
        Ok(Err(_)) => unknown(
            &awaited,
            "The sign-in was given up",
            "keyferry ended it before it was complete, perhaps because your MCP client closed.",
        ),
        Err(_) => unknown(
            &awaited,
            "No outcome yet",
            "The authorization server has not confirmed the sign-in within a minute.",
        ),
    };
    reply.send(&mut stream, Some(written)).await;
}

fn reply(awaited: &Awaited, outcome: &Outcome) -> Reply {
    let mut facts = facts(awaited);
    match outcome {
        Outcome::SignedIn { identity } => {
            if let Some(url) = &awaited.success_url {
                return Reply::redirect(url);
            }
            if let Some(identity) = identity {
                facts.insert(1, ("Signed in as", identity));
            }
            let heading = "You are signed in";
            let text = vec!["You can close this tab."];
            Reply::page("200 OK", &Page { mark: Mark::Success, heading, facts, text })
        }
        Outcome::Failed { cause, advice } => {
            let heading = "The sign-in failed";
            let text = vec![cause.as_str(), advice.as_str()];
            Reply::page("200 OK", &Page { mark: Mark::Failure, heading, facts, text })
        }
    }
}

fn unknown(awaited: &Awaited, heading: &str, why: &str) -> Reply {
    let text = vec![why, "Look at your MCP client, and sign in once more if it asks for it."];
    let page = Page { mark: Mark::Failure, heading, facts: facts(awaited), text };
    Reply::page("200 OK", &page)
}

fn facts(awaited: &Awaited) -> Vec<(&str, &str)> {
    let account = awaited.account.as_deref().map(|account| ("Account", account));
    [("Server", awaited.server.as_str())].into_iter().chain(account).collect()
}

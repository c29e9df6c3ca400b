//! Taking up a broken event stream where it ended (MCP 2025-11-25, "Resumability and
//! Redelivery").

use super::Bridge;
use super::refusal::{Failure, REFUSED, SIGN_IN_NEEDED};
use super::session::Snapshot;
use crate::authorization::Need;
use crate::jsonrpc::BridgeError;
use crate::transport::metadata::LAST_EVENT_ID;
use crate::transport::{Content, EventStream, Reply};
use bytes::Bytes;
use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use std::time::Duration;

/// Attempts in a row that bring nothing new.
const ATTEMPTS: u32 = 5;
/// Wait before the first attempt where the server names none; doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The state of taking up one stream, perhaps several times.
#[derive(Default)]
pub(super) struct Resumption {
    last_id: Option<Bytes>,
    retry: Option<Duration>,
    fruitless: u32,
}

impl Resumption {
    /// Takes note of how far the stream came.
    pub(super) fn progressed(&mut self, stream: &EventStream) {
        if let Some(id) = stream.last_id() {
            if self.last_id.as_ref() != Some(id) {
                self.fruitless = 0;
            }
            self.last_id = Some(id.clone());
        }
        self.retry = stream.retry().or(self.retry);
    }

    /// The stream's continuation; none where it had no event ids, the server will not, or
    /// the attempts are used up. Each attempt goes with the credential of its time: a call may
    /// take longer than the token lives that it began with.
    ///
    /// # Errors
    /// The need, where a person has to sign in first.
    pub(super) async fn resume(
        &mut self,
        bridge: &Bridge,
        session: &Snapshot,
    ) -> Result<Option<EventStream>, Box<Need>> {
        let Some(last_id) = self.last_id.as_ref().and_then(|id| HeaderValue::from_bytes(id).ok())
        else {
            return Ok(None);
        };
        let mut asked = Duration::ZERO;
        while self.fruitless < ATTEMPTS {
            let doubled = FIRST_WAIT * 2u32.pow(self.fruitless);
            let wait =
                self.retry.unwrap_or_else(|| doubled + jitter(doubled / 4)).min(LONGEST_WAIT);
            self.fruitless += 1;
            tokio::time::sleep(wait.max(asked)).await;
            match attempt(bridge, session, &last_id).await {
                Ok(reply)
                    if reply.status == StatusCode::OK && reply.content == Content::EventStream =>
                {
                    tracing::debug!("the event stream goes on");
                    return Ok(Some(reply.body.events()));
                }
                // The server does not resume; asking again will not change that.
                Ok(reply) if reply.status.is_client_error() && !reply.is_for_now() => {
                    return Ok(None);
                }
                Ok(reply) => asked = reply.retry_after().unwrap_or_default().min(LONGEST_WAIT),
                Err(Failure::Person(need)) => return Err(need),
                Err(Failure::Bridge(error)) if is_final(&error) => return Ok(None),
                Err(Failure::Remote(_) | Failure::Crossed) => return Ok(None),
                Err(Failure::Bridge(_)) => {}
            }
        }
        Ok(None)
    }

    /// A person has signed in: that is reason enough to try again.
    pub(super) fn begin_again(&mut self) {
        self.fruitless = 0;
    }
}

/// One attempt, with another credential if the first one is refused.
async fn attempt(
    bridge: &Bridge,
    session: &Snapshot,
    last_id: &HeaderValue,
) -> Result<Reply, Failure> {
    let mut credential = bridge.credential().await?;
    let mut again = false;
    loop {
        let mut headers = credential.for_request(&Method::GET);
        session.put_headers(&mut headers);
        headers.insert(LAST_EVENT_ID, last_id.clone());
        let reply = bridge.remote.resume(headers).await;
        let reply = reply.map_err(|failure| bridge.not_sent(&failure))?;
        credential.learn(reply.status.as_u16(), &reply.headers);
        match reply.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if !again => {
                credential = bridge.after_refusal(reply, &credential).await?;
                again = true;
            }
            _ => return Ok(reply),
        }
    }
}

/// True if no time will change it.
fn is_final(error: &BridgeError) -> bool {
    matches!(error.code, SIGN_IN_NEEDED | REFUSED)
}

/// Up to `most`, so that several bridges do not come back at the same moment.
pub(super) fn jitter(most: Duration) -> Duration {
    let part = getrandom::u32().unwrap_or(0);
    most.mul_f64(f64::from(part) / f64::from(u32::MAX))
}

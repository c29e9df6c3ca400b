//! Taking up a broken event stream where it ended (MCP 2025-11-25, "Resumability and
//! Redelivery").

use super::Bridge;
use super::session::Snapshot;
use crate::authorization::Credential;
use crate::transport::metadata::LAST_EVENT_ID;
use crate::transport::{Content, EventStream};
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
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
    /// the attempts are used up.
    pub(super) async fn resume(
        &mut self,
        bridge: &Bridge,
        credential: &Credential,
        session: &Snapshot,
    ) -> Option<EventStream> {
        let last_id = HeaderValue::from_bytes(self.last_id.as_ref()?).ok()?;
        while self.fruitless < ATTEMPTS {
            let doubled = FIRST_WAIT * 2u32.pow(self.fruitless);
            let wait =
                self.retry.unwrap_or_else(|| doubled + jitter(doubled / 4)).min(LONGEST_WAIT);
            self.fruitless += 1;
            tokio::time::sleep(wait).await;
            let mut headers = credential.headers.clone();
            session.put_headers(&mut headers);
            headers.insert(LAST_EVENT_ID, last_id.clone());
            match bridge.remote.get(headers).await {
                Ok(reply)
                    if reply.status == StatusCode::OK && reply.content == Content::EventStream =>
                {
                    tracing::debug!("the event stream goes on");
                    return Some(reply.body.events());
                }
                // The server does not resume; asking again will not change that.
                Ok(reply) if reply.status.is_client_error() || reply.status.is_success() => {
                    return None;
                }
                Ok(_) | Err(_) => {}
            }
        }
        None
    }
}

/// Up to `most`, so that several bridges do not come back at the same moment.
pub(super) fn jitter(most: Duration) -> Duration {
    let part = getrandom::u32().unwrap_or(0);
    most.mul_f64(f64::from(part) / f64::from(u32::MAX))
}

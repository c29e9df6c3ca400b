//! Requests of the bridge itself: a lost session begun anew, a list of tools asked again.

use super::Bridge;
use super::call::Call;
use super::refusal::Failure;
use super::session::Snapshot;
use crate::authorization::Credential;
use crate::jsonrpc::object::{find, get, string};
use crate::jsonrpc::{BridgeError, Kind, Line, Message, same_id, with_id};
use crate::transport::Content;
use bytes::Bytes;
use reqwest::header::HeaderMap;
use std::sync::Arc;
use std::time::Duration;

/// How long the remote may take for a request of the bridge itself.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pages of a list of tools that are read.
const PAGES: usize = 20;

impl Bridge {
    /// Begins the session anew after the one of `epoch` was lost, once for all that wait.
    ///
    /// # Errors
    /// The error to answer the waiting request with.
    pub(super) async fn recover(self: &Arc<Self>, epoch: u64) -> Result<(), Failure> {
        let bridge = self.clone();
        // A task of its own: a waiting call that is cancelled must not leave it half done.
        let recovery = tokio::spawn(async move { bridge.begin_anew(epoch).await });
        recovery.await.unwrap_or_else(|_| Err(self.unanswered().into()))
    }

    async fn begin_anew(self: &Arc<Self>, lost: u64) -> Result<(), Failure> {
        let _one_at_a_time = self.session.recovery.lock().await;
        if self.session.snapshot().epoch != lost {
            return Ok(());
        }
        let initialize = self.session.initialize().ok_or_else(|| self.unanswered())?;
        tracing::info!("the remote has forgotten the session; it is begun anew");
        let credential = self.credential().await?;
        let own = with_id(&initialize, &self.session.own_id());
        let (answer, headers) = self.ask(own, credential.headers.clone(), 0).await?;
        if answer.result().is_none() {
            return Err(Failure::Remote(Box::new(answer)));
        }
        self.session.establish(&initialize, &answer, &headers);
        let session = self.session.snapshot();
        let initialized =
            Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        self.tell(initialized, &session).await?;
        self.listen();
        for request in self.session.remembered() {
            let mut headers = credential.headers.clone();
            session.put_headers(&mut headers);
            let own = with_id(&request, &self.session.own_id());
            if self.ask(own, headers, session.epoch).await.is_err() {
                tracing::warn!(
                    method = request.method(),
                    "the new session did not take over a setting"
                );
            }
        }
        self.announce_changes(&answer).await;
        Ok(())
    }

    /// Tells the client to look again at what the server promised to tell of.
    async fn announce_changes(&self, answer: &Message) {
        let capabilities = answer.result().and_then(|result| get(result, "capabilities"));
        for (capability, method) in [
            ("tools", "notifications/tools/list_changed"),
            ("prompts", "notifications/prompts/list_changed"),
            ("resources", "notifications/resources/list_changed"),
        ] {
            let declared = capabilities.and_then(|all| get(all, capability));
            if declared.is_some_and(|one| get(one, "listChanged") == Some(b"true")) {
                let text = format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#);
                self.outbox.send(text.into()).await;
            }
        }
    }

    /// Reads the list of tools again, as the client of `call` would. False if that fails.
    pub(super) async fn list_tools_anew(&self, call: &Call, credential: &Credential) -> bool {
        let meta = call.meta().unwrap_or(b"{}");
        let mut cursor = None::<Vec<u8>>;
        for _ in 0..PAGES {
            let Some(list) = list_request(&self.session.own_id(), meta, cursor.as_deref()) else {
                return false;
            };
            let mut headers = credential.headers.clone();
            list.put_metadata(&mut headers);
            let asked = self.ask(list.message.text().clone(), headers, 0).await;
            let Ok((answer, _)) = asked else { return false };
            let Some(result) = answer.result() else { return false };
            self.tools.learn(&list, &answer);
            match find(result, 0, "nextCursor")
                .filter(|range| string(&result[range.clone()]).is_some())
            {
                Some(next) => cursor = Some(result[next].to_vec()),
                None => return true,
            }
        }
        true
    }

    /// Asks the remote something and waits for the answer; what comes before goes to the client.
    pub(super) async fn ask(
        &self,
        request: Bytes,
        headers: HeaderMap,
        epoch: u64,
    ) -> Result<(Message, HeaderMap), Failure> {
        let asked = tokio::time::timeout(PATIENCE, self.ask_patiently(request, headers, epoch));
        asked.await.unwrap_or_else(|_| Err(self.unanswered().into()))
    }

    async fn ask_patiently(
        &self,
        request: Bytes,
        headers: HeaderMap,
        epoch: u64,
    ) -> Result<(Message, HeaderMap), Failure> {
        let id = Message::read(request.clone()).ok().and_then(|message| message.id());
        let id = id.unwrap_or_default();
        let reply =
            self.remote.post(request, headers).await.map_err(|failure| self.not_sent(&failure))?;
        if !reply.status.is_success() {
            return Err(self.http_error(reply).await);
        }
        let headers = reply.headers;
        if reply.content != Content::EventStream {
            let body = reply.body.whole().await.map_err(|lost| self.lost(&lost))?;
            let answer = self.own_answer(body, &id, epoch).await;
            return answer.map(|answer| (answer, headers)).ok_or_else(|| self.unanswered().into());
        }
        let mut stream = reply.body.events();
        while let Some(event) = stream.next().await.map_err(|lost| self.lost(&lost))? {
            if event.is_message()
                && let Some(answer) = self.own_answer(event.data, &id, epoch).await
            {
                return Ok((answer, headers));
            }
        }
        Err(self.unanswered().into())
    }

    async fn own_answer(&self, text: Bytes, id: &[u8], epoch: u64) -> Option<Message> {
        let mut answer = None;
        for message in Line::read(text).ok()?.into_messages() {
            if message.kind() != Kind::Response {
                self.outbox.send(self.unsolicited(&message, epoch)).await;
            } else if message.id().is_some_and(|found| same_id(&found, id)) {
                answer = Some(message);
            }
        }
        answer
    }

    pub(super) async fn credential(&self) -> Result<Arc<Credential>, BridgeError> {
        let credential = self.authorization.credential().await;
        credential.map_err(|error| self.unauthorized(&error))
    }

    /// Sends a notification or response; the remote's refusal is an error here.
    pub(super) async fn tell(&self, text: Bytes, session: &Snapshot) -> Result<(), Failure> {
        let credential = self.credential().await?;
        let mut headers = credential.headers.clone();
        session.put_headers(&mut headers);
        let reply =
            self.remote.post(text, headers).await.map_err(|failure| self.not_sent(&failure))?;
        if !reply.status.is_success() {
            return Err(self.http_error(reply).await);
        }
        reply.body.discard().await;
        Ok(())
    }
}

fn list_request(id: &[u8], meta: &[u8], cursor: Option<&[u8]>) -> Option<Call> {
    let mut text = br#"{"jsonrpc":"2.0","id":"#.to_vec();
    text.extend_from_slice(id);
    text.extend_from_slice(br#","method":"tools/list","params":{"_meta":"#);
    text.extend_from_slice(meta);
    if let Some(cursor) = cursor {
        text.extend_from_slice(br#","cursor":"#);
        text.extend_from_slice(cursor);
    }
    text.extend_from_slice(b"}}");
    Call::read(Message::read(text.into()).ok()?).ok()
}

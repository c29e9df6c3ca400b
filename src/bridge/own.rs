//! What the bridge itself says to the remote: requests of its own, and the client's
//! notifications and answers, which the remote only acknowledges.

use super::Bridge;
use super::call::Call;
use super::refusal::Failure;
use super::session::Snapshot;
use crate::authorization::Credential;
use crate::jsonrpc::object::{find, string};
use crate::jsonrpc::{Kind, Line, Message, same_id};
use crate::transport::{Content, Reply};
use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use std::sync::Arc;
use std::time::Duration;

/// How long the remote may take for one of these.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pages of a list of tools that are read.
const PAGES: usize = 20;

impl Bridge {
    pub(super) async fn credential(&self) -> Result<Arc<Credential>, Failure> {
        let credential = self.authorization.credential().await;
        credential.map_err(|error| self.no_credential(error))
    }

    /// Sends a notification or an answer in a session.
    ///
    /// # Errors
    /// If the remote refuses it, or does not acknowledge it in time.
    pub(super) async fn tell(&self, text: Bytes, session: &Snapshot) -> Result<(), Failure> {
        self.tell_with(text, |headers| session.put_headers(headers)).await
    }

    /// Sends a notification or an answer with these headers beside the credential's.
    pub(super) async fn tell_with(
        &self,
        text: Bytes,
        put: impl Fn(&mut HeaderMap),
    ) -> Result<(), Failure> {
        let posting = tokio::time::timeout(PATIENCE, self.post_own(text, put));
        let reply = posting.await.unwrap_or_else(|_| Err(self.unanswered().into()))?;
        if !reply.status.is_success() {
            return Err(self.http_error(reply).await);
        }
        // It is acknowledged; whatever else comes must not hold up what waits for that.
        tokio::spawn(reply.body.discard());
        Ok(())
    }

    /// Asks the remote something and waits for the answer; what comes before goes to the
    /// client, as part of the session of `epoch`.
    ///
    /// # Errors
    /// If no answer comes in time.
    pub(super) async fn ask(
        &self,
        request: Bytes,
        epoch: u64,
        put: impl Fn(&mut HeaderMap),
    ) -> Result<(Message, HeaderMap), Failure> {
        let asking = tokio::time::timeout(PATIENCE, self.ask_patiently(request, epoch, put));
        asking.await.unwrap_or_else(|_| Err(self.unanswered().into()))
    }

    async fn ask_patiently(
        &self,
        request: Bytes,
        epoch: u64,
        put: impl Fn(&mut HeaderMap),
    ) -> Result<(Message, HeaderMap), Failure> {
        let id = Message::read(request.clone()).ok().and_then(|message| message.id());
        let id = id.unwrap_or_default();
        let reply = self.post_own(request, put).await?;
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
            } else if answer.is_none() && message.id().is_some_and(|found| same_id(&found, id)) {
                answer = Some(message);
            }
        }
        answer
    }

    /// POSTs with the credential; once more with a new one if that is refused.
    async fn post_own(&self, text: Bytes, put: impl Fn(&mut HeaderMap)) -> Result<Reply, Failure> {
        let mut credential = self.credential().await?;
        let mut again = false;
        loop {
            let mut headers = credential.for_request(&Method::POST);
            put(&mut headers);
            let reply = self.remote.tell(text.clone(), headers).await;
            let reply = reply.map_err(|failure| self.not_sent(&failure))?;
            credential.learn(reply.status.as_u16(), &reply.headers);
            match reply.status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if !again => {
                    credential = self.after_refusal(reply, &credential).await?;
                    again = true;
                }
                _ => return Ok(reply),
            }
        }
    }

    /// Reads the list of tools again, as the client of `call` would. False if that fails.
    pub(super) async fn list_tools_anew(&self, call: &Call) -> bool {
        let meta = call.meta().unwrap_or(b"{}");
        let mut cursor = None::<Vec<u8>>;
        for _ in 0..PAGES {
            let id = self.session.own_id();
            let Some(list) = list_request(&id, meta, cursor.as_deref()) else { return false };
            let text = list.message.text().clone();
            let asked = self.ask(text, 0, |headers| list.put_metadata(headers)).await;
            let Ok((answer, _)) = asked else { return false };
            let Some(result) = answer.result() else { return false };
            self.tools.learn(&list, &answer);
            let next = find(result, 0, "nextCursor");
            match next.filter(|range| string(&result[range.clone()]).is_some()) {
                Some(next) => cursor = Some(result[next].to_vec()),
                None => return true,
            }
        }
        true
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

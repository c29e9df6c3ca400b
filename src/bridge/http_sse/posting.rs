//! The way to the endpoint of a connection.

use super::{Closed, Connection};
use crate::bridge::Bridge;
use crate::bridge::exchange::Exchange;
use crate::bridge::refusal::{CLOSED, Failure, LOOK, TOO_LARGE, UNREACHABLE};
use crate::bridge::session::Snapshot;
use crate::bridge::tries::Tries;
use crate::jsonrpc::{BridgeError, Message};
use crate::transport::{Content, Lost, Reply, RequestHeaders};
use bytes::Bytes;
use reqwest::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long the endpoint may take to say that it does not know a connection whose stream has
/// ended, which is the proof that nothing was executed.
const LAST_WORD: Duration = Duration::from_secs(1);

impl Bridge {
    /// POSTs to the endpoint. The answer may come on the stream before the reply does; the POST
    /// goes on all the same when nobody waits for it any more.
    pub(in super::super) async fn post_over(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        text: Bytes,
        headers: RequestHeaders,
    ) -> Result<Reply, Failure> {
        let (sender, receiver) = oneshot::channel();
        let (bridge, over) = (self.clone(), connection.clone());
        tokio::spawn(async move {
            let posting = bridge.remote.post_to(&over.endpoint, text, headers);
            let mut posting = std::pin::pin!(posting);
            let replied = tokio::select! {
                biased;
                replied = &mut posting => Ok(replied),
                why = over.closed() => match tokio::time::timeout(LAST_WORD, posting).await {
                    Ok(Ok(reply)) if !may_forget(reply.status) => Err(why),
                    Ok(replied) => Ok(replied),
                    Err(_) => Err(why),
                },
            };
            let replied = match replied {
                Ok(replied) => replied.map_err(|failure| bridge.not_sent(&failure).into()),
                Err(why) => Err(bridge.closed(&why)),
            };
            if let Err(Ok(reply)) = sender.send(replied) {
                let reply: Reply = reply;
                bridge.read_reply(reply, &over);
            }
        });
        receiver.await.unwrap_or_else(|_| Err(self.unanswered().into()))
    }

    /// The endpoint has taken a message. Some servers answer here, and not on the stream.
    pub(super) fn read_reply(self: &Arc<Self>, reply: Reply, connection: &Arc<Connection>) {
        let (bridge, connection) = (self.clone(), connection.clone());
        tokio::spawn(async move {
            let reading = async {
                match reply.content {
                    Content::Json if reply.status.is_success() => {
                        let Ok(body) = reply.body.whole().await else { return };
                        if !body.is_empty() {
                            // What is no message is none of the stream's either.
                            let _ = bridge.take_from_stream(body, &connection).await;
                        }
                    }
                    Content::EventStream if reply.status.is_success() => {
                        let mut events = reply.body.events();
                        while let Ok(Some(event)) = events.next().await {
                            if event.is_message() && !event.data.is_empty() {
                                let _ = bridge.take_from_stream(event.data, &connection).await;
                            }
                        }
                    }
                    _ => reply.body.discard().await,
                }
            };
            tokio::select! {
                () = reading => {}
                _ = connection.closed() => {}
            }
        });
    }

    /// Why what was sent over a connection has no answer.
    fn closed(&self, why: &Closed) -> Failure {
        let remote = self.authorization.remote();
        let (code, message, hint) = match why {
            Closed::Broken(why) => return self.lost(&Lost::Broken(why.clone())).into(),
            Closed::Ended => {
                (CLOSED, format!("{remote} ended its stream before it answered"), LOOK.to_owned())
            }
            Closed::Forgotten => (
                CLOSED,
                format!("{remote} forgot the connection before it answered"),
                LOOK.to_owned(),
            ),
            Closed::TooLong => (
                TOO_LARGE,
                format!("a message of {remote} is larger than --max-message"),
                format!("raise --max-message; {LOOK}"),
            ),
        };
        BridgeError::new(code, message).with_hint(hint).into()
    }

    /// Waits for the answer to an own request that was POSTed, once that was acknowledged.
    pub(in super::super) async fn answer_over(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        reply: Reply,
        answer: oneshot::Receiver<Message>,
    ) -> Result<Message, Failure> {
        self.read_reply(reply, connection);
        tokio::select! {
            biased;
            Ok(answer) = answer => Ok(answer),
            why = connection.closed() => Err(self.closed(&why)),
        }
    }
}

impl Exchange {
    /// The endpoint has taken the request: the stream brings the answer, which ends this task,
    /// or ends itself.
    pub(in super::super) async fn wait_for_stream(
        &self,
        reply: Reply,
        connection: &Arc<Connection>,
    ) -> Result<(), Failure> {
        self.bridge.read_reply(reply, connection);
        let why = connection.closed().await;
        match self.tickets.iter().any(|ticket| self.bridge.pending.holds(ticket)) {
            true => Err(self.bridge.closed(&why)),
            false => Ok(()),
        }
    }

    /// The endpoint refused a call in such a way that the remote has forgotten the connection:
    /// nothing if there is another one by now.
    ///
    /// # Errors
    /// The error to answer with.
    pub(in super::super) async fn reconnect(
        &self,
        session: &Snapshot,
        failure: Failure,
        tries: &mut Tries,
    ) -> Result<Option<Failure>, Failure> {
        if self.begins_session() || tries.began_anew || !session.forgot(&failure) {
            return Ok(Some(failure));
        }
        for ticket in &self.tickets {
            ticket.mark_unsent();
        }
        self.connect_again(session, tries).await?;
        Ok(None)
    }

    /// The connection was lost before the call was sent: there is another one after this.
    ///
    /// # Errors
    /// The error to answer with.
    pub(in super::super) async fn connect_again(
        &self,
        session: &Snapshot,
        tries: &mut Tries,
    ) -> Result<(), Failure> {
        if std::mem::replace(&mut tries.began_anew, true) {
            let remote = self.bridge.authorization.remote();
            let message = format!("the connection to {remote} is lost again and again");
            let hint = "the call was not executed; try again";
            return Err(BridgeError::new(UNREACHABLE, message).with_hint(hint).into());
        }
        self.bridge.recover(session.epoch).await
    }
}

impl Snapshot {
    /// True if a refusal means that the remote has forgotten the session. A connection that was
    /// forgotten is over.
    pub(in super::super) fn forgot(&self, failure: &Failure) -> bool {
        let status = match failure {
            Failure::Bridge(error) => error.http_status,
            _ => None,
        };
        let Some(connection) = &self.connection else {
            return self.id.is_some() && status == Some(StatusCode::NOT_FOUND.as_u16());
        };
        let forgotten = match (status, failure) {
            (Some(404 | 410), _) => true,
            (Some(400), Failure::Bridge(error)) => speaks_of_session(&error.message),
            (_, Failure::Remote(message)) => {
                speaks_of_session(&String::from_utf8_lossy(message.error().unwrap_or_default()))
            }
            _ => false,
        };
        if forgotten {
            connection.close(Closed::Forgotten);
        }
        forgotten
    }
}

/// True for a status with which an endpoint may say that it does not know the connection.
fn may_forget(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::GONE)
}

fn speaks_of_session(text: &str) -> bool {
    text.to_ascii_lowercase().contains("session")
}

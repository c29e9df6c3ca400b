//! The bridge between a client on stdio and a remote over HTTP: the loop over the client's
//! lines, and what all its parts share.

mod attempts;
mod backoff;
mod call;
mod crossing;
mod delivery;
mod doubt;
mod era;
mod eras;
mod exchange;
mod http_sse;
mod incoming;
mod intake;
mod limit;
mod listen;
mod notifications;
mod own;
mod pending;
mod recovery;
mod refusal;
mod resumption;
mod session;
mod shutdown;
mod stand_in;
mod stdin;
mod stdout;
mod subscription;
mod tools;
mod tries;
#[cfg(unix)]
mod unix;

pub use era::Era;
pub use shutdown::Ended;
pub use tools::ToolFilter;

use crate::authorization::Authorization;
use crate::jsonrpc::{BridgeError, Kind, Line, Message, error_response};
use crate::transport::{StreamableHttp, Transports};
use eras::Eras;
use http_sse::HttpSse;
use intake::Intake;
use pending::Pending;
use refusal::TOO_LARGE;
use session::Session;
use stand_in::StandIn;
use std::sync::Arc;
use std::time::Duration;
use stdin::{Incoming, Stdin};
use stdout::Outbox;
use tokio::sync::{RwLock, Semaphore, mpsc};
use tools::Tools;

/// Bytes of requests in flight, and of notifications and answers, beyond which no more lines
/// are read: the first is generous, as a large request must not stop its own cancellation.
const REQUESTS: usize = 1024 * 1024 * 1024;
const NOTES: usize = 16 * 1024 * 1024;
/// Answers to the remote on their way to it, beyond which those made here are left out.
const ANSWERS: usize = 1000;

/// A notification with its share of what may wait.
type Note = (call::Call, intake::Held);

/// What a bridge is made of.
pub struct Settings {
    pub remote: StreamableHttp,
    pub authorization: Arc<Authorization>,
    pub tools: ToolFilter,
    /// How long a request may take; none by default, as the client has its own limit.
    pub timeout: Option<Duration>,
    /// How long a request waits for a person to sign in.
    pub auth_timeout: Duration,
    /// Largest message in bytes.
    pub max_message: usize,
    /// The transports that it may speak.
    pub transports: Transports,
    /// The era that the remote speaks; found out by default.
    pub protocol: Option<Era>,
}

/// What the parts of a running bridge share.
struct Bridge {
    remote: StreamableHttp,
    authorization: Arc<Authorization>,
    outbox: Outbox,
    pending: Pending,
    session: Session,
    http_sse: HttpSse,
    eras: Eras,
    tools: Tools,
    timeout: Option<Duration>,
    auth_timeout: Duration,
    stand_in: StandIn,
    /// Held alone by the handshake, so that nothing overtakes it.
    gate: Arc<RwLock<()>>,
    /// Notifications in the client's order.
    notifications: mpsc::UnboundedSender<Note>,
    /// Requests, and all else, that wait for the remote.
    requests: Arc<Intake>,
    notes: Arc<Intake>,
    /// Room for answers to the remote.
    answers: Arc<Semaphore>,
}

/// Runs until the client or a signal ends it.
///
/// # Errors
/// If standard input cannot be read at all.
pub async fn run(settings: Settings) -> std::io::Result<Ended> {
    let remote = settings.remote;
    #[cfg(unix)]
    let remote = remote.among_files(unix::raise_file_limit());
    let mut stdin = Stdin::open(settings.max_message)?;
    let (outbox, queue) = Outbox::new();
    let writer = tokio::spawn(stdout::write_all(queue));
    let (notifications, ordered) = mpsc::unbounded_channel();
    let bridge = Arc::new(Bridge {
        remote,
        authorization: settings.authorization,
        outbox,
        pending: Pending::default(),
        session: Session::default(),
        http_sse: HttpSse::new(settings.transports),
        eras: Eras::new(settings.protocol),
        tools: Tools::new(settings.tools),
        timeout: settings.timeout,
        auth_timeout: settings.auth_timeout,
        stand_in: StandIn::default(),
        gate: Arc::default(),
        notifications,
        requests: Intake::new(REQUESTS),
        notes: Intake::new(NOTES),
        answers: Arc::new(Semaphore::new(ANSWERS)),
    });
    bridge.authorization.prepare();
    tokio::spawn(notifications::forward_notifications(bridge.clone(), ordered));
    let mut ending = std::pin::pin!(shutdown::asked_to_end(writer));
    let ended = loop {
        tokio::select! {
            biased;
            ended = &mut ending => break ended,
            incoming = bridge.next(&mut stdin) => match incoming {
                Some(Incoming::Line(line)) => bridge.take_line(line),
                Some(Incoming::Oversize(id)) => {
                    let error = BridgeError::new(TOO_LARGE, "the message is larger than --max-message");
                    bridge.answer(error_response(id.as_deref(), &error.with_hint("raise --max-message")));
                }
                None => break Ended::InputClosed,
            },
        }
    };
    bridge.finish(ended, ending).await;
    Ok(ended)
}

/// Answers every request with the same error until the client leaves: a start that failed
/// must reach the client as a cause, not as a closed connection. Gives up if the client
/// says nothing for a while.
///
/// # Errors
/// If standard input cannot be read at all.
pub async fn refuse(error: &BridgeError, max_message: usize) -> std::io::Result<()> {
    const FIRST_WORD: Duration = Duration::from_secs(5);
    let mut stdin = Stdin::open(max_message)?;
    let (outbox, queue) = Outbox::new();
    let writer = tokio::spawn(stdout::write_all(queue));
    let mut ending = std::pin::pin!(shutdown::asked_to_end(writer));
    let mut patience = FIRST_WORD;
    loop {
        let incoming = tokio::select! {
            _ = &mut ending => return Ok(()),
            incoming = tokio::time::timeout(patience, stdin.next()) => incoming,
        };
        let Ok(Some(incoming)) = incoming else { break };
        patience = Duration::MAX;
        let ids: Vec<_> = match incoming {
            Incoming::Oversize(id) => id.into_iter().collect(),
            Incoming::Line(line) => match Line::read(line).map(Line::into_messages) {
                Ok(messages) => {
                    let requests = messages.iter().filter(|one| one.kind() == Kind::Request);
                    requests.filter_map(Message::id).collect()
                }
                Err(invalid) => {
                    outbox.send(incoming::invalid_response(&invalid)).await;
                    continue;
                }
            },
        };
        for id in ids {
            outbox.send(error_response(Some(&id), error)).await;
        }
    }
    outbox.flushed(Duration::from_millis(200)).await;
    Ok(())
}

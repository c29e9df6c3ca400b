//! The faults, where each can strike, and what must come of it.

use super::conversation::Conversation;
use super::record::Exchange;
use super::strikes::{NEVER, stalls_after};

/// What happens underneath.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    // Between two things the client says.
    /// Nobody listens; all connections end.
    ListenerGone,
    /// The remote starts anew: connections end, sessions are forgotten.
    Restart,

    // Before the reply.
    /// RST before the remote has seen the request.
    ResetUnsent,
    /// RST after the remote has dealt with it.
    ResetBeforeHead,
    CloseBeforeHead,
    /// `100 Continue` and nothing more.
    ContinueThenClose,
    StallBeforeHead,
    CancelBeforeHead,
    NotHttp,

    // Another reply, without the remote.
    TooManyRequests,
    Unavailable,
    /// A gateway's own, which may mean a lost session or another era.
    NotFound,
    RedirectElsewhere,
    RedirectHere,

    // Another reply, after the remote has dealt with it.
    BadGateway,
    Empty200,
    Accepted202,
    NoContent204,
    SwitchingProtocols,
    HugeHeaders,
    TooManyHeaders,

    // The reply, in another shape.
    LongHeaders,
    Informational,
    Buffered,
    Trickle,
    /// Nothing but the end of the connection ends it.
    EndsByClosing,
    WrongContentType,

    // In the body.
    ResetInBody,
    CloseInBody,
    /// A proper end, as of a proxy that ends idle streams.
    EndInBody,
    HalfEvent,
    /// What should be the size of a chunk is none.
    BadChunk,
    StallThenCut,
    StallThenCancel,
    RestartInBody,
    TruncatedGzip,

    // Around the answer.
    NotUtf8,
    NotUtf8Ahead,
    UnknownIdAhead,
    UnknownIdInstead,
    Duplicate,
    TwoResponses,
    ForeignStream,
    AfterCancel,
}

/// Where a fault can strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    /// Before each thing that the client says.
    Step,
    /// At each request.
    Request,
    /// In the middle of each JSON reply; before each piece of each event stream, and after the
    /// last one.
    Piece,
    /// At each answer to a request.
    Answer,
    /// At each answer that is an event.
    Event,
}

/// What must come of the request that was struck. Every other one must succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its result, with all that belongs to it, once.
    Result,
    /// An error of the bridge with one of these codes.
    Error(&'static [i64]),
    /// An error of the bridge that names the HTTP status and says what to do.
    Status(u64, &'static str),
    /// Its result or an error with one of these codes.
    Either(&'static [i64]),
    /// Its result or any error, be it one of the remote.
    Anything,
    /// Nothing: the client has cancelled it.
    Nothing,
}

const UNREACHABLE: Outcome = Outcome::Error(&[-31002, -31003]);
const CLOSED: Outcome = Outcome::Error(&[-31003]);
const NO_MESSAGE: Outcome = Outcome::Error(&[-31003, -31004]);
const REFUSED: Outcome = Outcome::Error(&[-31004]);
const LENIENT: Outcome = Outcome::Either(&[-31003, -31004]);
/// The answer may come on the stream before the POST fails.
const MAY_CLOSE: Outcome = Outcome::Either(&[-31003]);
const MAY_REFUSE: Outcome = Outcome::Either(&[-31004]);
const ANYTHING: Outcome = Outcome::Anything;
/// It does not strike there.
const NOWHERE: Outcome = Nothing;
const BUSY: Outcome = Outcome::Status(429, "try again in 30 s");
const DOWN: Outcome = Outcome::Status(503, "try again in 30 s");
const MOVED: Outcome = Outcome::Status(307, "check the URL");
const BROKEN: Outcome = Outcome::Status(502, "look before you repeat it");

/// One line of the table: what must happen
/// - where the reply is JSON,
/// - where it is an event stream that cannot be resumed,
/// - where at least one event with an id has come,
/// - where it is itself the attempt to resume one,
/// - over HTTP+SSE: where it is the stream until it has named the endpoint, for the handshake,
/// - where the endpoint only acknowledges what is POSTed, as the answer comes on the stream,
/// - where it is the stream, for what waits at that moment.
///
/// While the handshake finds out what the remote is, its replies are like any JSON, but of a
/// refusal only the head matters.
struct Row(Fault, Where, [Outcome; 7]);

use Fault::*;
use Outcome::{Nothing, Result};

/// What must happen.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    //                                       JSON         events       with ids     resumed      HTTP+SSE:GET POST         stream
    Row(ListenerGone,       Where::Step,    [UNREACHABLE, UNREACHABLE, UNREACHABLE, UNREACHABLE, UNREACHABLE, UNREACHABLE, UNREACHABLE]),
    Row(Restart,            Where::Step,    [Result,      Result,      Result,      Result,      Result,      Result,      Result]),

    Row(ResetUnsent,        Where::Request, [CLOSED,      CLOSED,      CLOSED,      Result,      REFUSED,     CLOSED,      NOWHERE]),
    Row(ResetBeforeHead,    Where::Request, [CLOSED,      CLOSED,      CLOSED,      Result,      REFUSED,     MAY_CLOSE,   NOWHERE]),
    Row(CloseBeforeHead,    Where::Request, [CLOSED,      CLOSED,      CLOSED,      Result,      REFUSED,     MAY_CLOSE,   NOWHERE]),
    Row(ContinueThenClose,  Where::Request, [CLOSED,      CLOSED,      CLOSED,      Result,      REFUSED,     MAY_CLOSE,   NOWHERE]),
    Row(StallBeforeHead,    Where::Request, [CLOSED,      CLOSED,      CLOSED,      Result,      REFUSED,     MAY_CLOSE,   NOWHERE]),
    Row(CancelBeforeHead,   Where::Request, [Nothing,     Nothing,     Nothing,     Nothing,     NOWHERE,     NOWHERE,     NOWHERE]),
    Row(NotHttp,            Where::Request, [CLOSED,      CLOSED,      CLOSED,      Result,      REFUSED,     MAY_CLOSE,   NOWHERE]),

    // Never sent again: that nothing was executed is no more than likely.
    Row(TooManyRequests,    Where::Request, [BUSY,        BUSY,        BUSY,        Result,      REFUSED,     BUSY,        NOWHERE]),
    Row(Unavailable,        Where::Request, [DOWN,        DOWN,        DOWN,        Result,      REFUSED,     DOWN,        NOWHERE]),
    // Once nothing is known any more, everything is found out anew.
    Row(NotFound,           Where::Request, [ANYTHING,    ANYTHING,    ANYTHING,    CLOSED,      ANYTHING,    ANYTHING,    NOWHERE]),
    Row(RedirectElsewhere,  Where::Request, [MOVED,       MOVED,       MOVED,       CLOSED,      REFUSED,     MOVED,       NOWHERE]),
    Row(RedirectHere,       Where::Request, [Result,      Result,      Result,      Result,      Result,      Result,      NOWHERE]),

    Row(BadGateway,         Where::Request, [BROKEN,      BROKEN,      BROKEN,      Result,      REFUSED,     MAY_REFUSE,  NOWHERE]),
    Row(Empty200,           Where::Request, [CLOSED,      CLOSED,      CLOSED,      Result,      REFUSED,     Result,      NOWHERE]),
    Row(Accepted202,        Where::Request, [CLOSED,      CLOSED,      CLOSED,      Result,      REFUSED,     Result,      NOWHERE]),
    Row(NoContent204,       Where::Request, [CLOSED,      CLOSED,      CLOSED,      Result,      REFUSED,     Result,      NOWHERE]),
    Row(SwitchingProtocols, Where::Request, [NO_MESSAGE,  NO_MESSAGE,  NO_MESSAGE,  Result,      REFUSED,     MAY_REFUSE,  NOWHERE]),
    Row(HugeHeaders,        Where::Request, [CLOSED,      CLOSED,      CLOSED,      Result,      REFUSED,     MAY_CLOSE,   NOWHERE]),
    Row(TooManyHeaders,     Where::Request, [CLOSED,      CLOSED,      CLOSED,      Result,      REFUSED,     MAY_CLOSE,   NOWHERE]),

    Row(LongHeaders,        Where::Request, [Result,      Result,      Result,      Result,      Result,      Result,      NOWHERE]),
    Row(Informational,      Where::Request, [Result,      Result,      Result,      Result,      Result,      Result,      NOWHERE]),
    Row(Trickle,            Where::Request, [Result,      Result,      Result,      Result,      Result,      Result,      NOWHERE]),
    Row(EndsByClosing,      Where::Request, [Result,      Result,      Result,      Result,      Result,      Result,      NOWHERE]),
    // What never ends by itself, or waits for the client, is given up.
    Row(Buffered,           Where::Request, [Result,      Result,      Result,      Result,      NOWHERE,     Result,      NOWHERE]),
    Row(WrongContentType,   Where::Request, [REFUSED,     REFUSED,     REFUSED,     Result,      REFUSED,     Result,      NOWHERE]),

    Row(ResetInBody,        Where::Piece,   [CLOSED,      CLOSED,      Result,      Result,      REFUSED,     Result,      CLOSED]),
    Row(CloseInBody,        Where::Piece,   [CLOSED,      CLOSED,      Result,      Result,      REFUSED,     Result,      CLOSED]),
    Row(EndInBody,          Where::Piece,   [NO_MESSAGE,  CLOSED,      Result,      Result,      REFUSED,     Result,      CLOSED]),
    Row(HalfEvent,          Where::Piece,   [NO_MESSAGE,  CLOSED,      Result,      Result,      REFUSED,     Result,      CLOSED]),
    Row(BadChunk,           Where::Piece,   [CLOSED,      CLOSED,      Result,      Result,      REFUSED,     Result,      CLOSED]),
    Row(StallThenCut,       Where::Piece,   [CLOSED,      CLOSED,      Result,      Result,      REFUSED,     Result,      CLOSED]),
    Row(StallThenCancel,    Where::Piece,   [Nothing,     Nothing,     Nothing,     Nothing,     NOWHERE,     NOWHERE,     NOWHERE]),
    Row(RestartInBody,      Where::Piece,   [CLOSED,      CLOSED,      CLOSED,      CLOSED,      REFUSED,     MAY_CLOSE,   CLOSED]),
    Row(TruncatedGzip,      Where::Piece,   [CLOSED,      CLOSED,      Result,      Result,      REFUSED,     Result,      CLOSED]),

    // With ids, what is spoilt counts as delivered: it is not sent again.
    Row(NotUtf8,            Where::Answer,  [REFUSED,     CLOSED,      CLOSED,      CLOSED,      NOWHERE,     NOWHERE,     Nothing]),
    Row(UnknownIdInstead,   Where::Answer,  [NO_MESSAGE,  CLOSED,      CLOSED,      CLOSED,      NOWHERE,     NOWHERE,     Nothing]),
    Row(Duplicate,          Where::Answer,  [Result,      Result,      Result,      Result,      NOWHERE,     NOWHERE,     Result]),
    // An array is no answer outside 2025-03-26.
    Row(TwoResponses,       Where::Answer,  [LENIENT,     Result,      Result,      Result,      NOWHERE,     NOWHERE,     Result]),
    Row(AfterCancel,        Where::Answer,  [Nothing,     Nothing,     Nothing,     Nothing,     NOWHERE,     NOWHERE,     Nothing]),
    Row(NotUtf8Ahead,       Where::Event,   [Result,      Result,      Result,      Result,      NOWHERE,     NOWHERE,     Result]),
    Row(UnknownIdAhead,     Where::Event,   [Result,      Result,      Result,      Result,      NOWHERE,     NOWHERE,     Result]),
    Row(ForeignStream,      Where::Event,   [Result,      Result,      Result,      Result,      NOWHERE,     NOWHERE,     NOWHERE]),
];

/// Every fault of the table.
pub(crate) fn all() -> impl Iterator<Item = Fault> {
    TABLE.iter().map(|row| row.0)
}

impl Fault {
    fn row(self) -> &'static Row {
        let row = TABLE.iter().find(|row| row.0 == self);
        row.unwrap_or_else(|| panic!("{self:?} is not in the table"))
    }

    pub(crate) fn at(self) -> Where {
        self.row().1
    }

    /// The client gives up what stalls.
    pub(crate) fn is_cancelled(self) -> bool {
        self == Self::Buffered || self.row().2[0] == Nothing
    }

    /// What must come of a request that it strikes before.
    pub(crate) fn before(self) -> Outcome {
        self.row().2[0]
    }

    /// What must come of a recorded request that is struck here; none if it has no answer.
    pub(super) fn outcome(
        self,
        kind: Conversation,
        recorded: &Exchange,
        piece: usize,
    ) -> Option<Outcome> {
        let Row(_, at, [json, events, resumable, resumes, get, posted, stream]) = *self.row();
        let answered = recorded.answer.is_some_and(|answer| piece > answer);
        if kind.has_one_stream() && recorded.label == "GET" {
            return Some(if at == Where::Request || piece == 0 { get } else { stream });
        }
        if recorded.resumes() {
            return Some(if at == Where::Piece && answered { Result } else { resumes });
        }
        recorded.id.as_ref()?;
        let hidden = kind.is_hidden(recorded);
        Some(match at {
            // The subscription comes to be without it, or has come to be.
            _ if hidden && recorded.label == "resources/subscribe" => Result,
            Where::Piece if hidden && recorded.label == "subscriptions/listen" && piece > 0 => {
                Result
            }
            _ if recorded.is_endpoint => posted,
            _ if recorded.is_refusal && self.leaves_head() => Result,
            _ if self == Self::Buffered && stalls_after(recorded) != NEVER => Nothing,
            _ if !recorded.is_stream => json,
            Where::Piece if answered => Result,
            Where::Piece if recorded.has_ids && piece > 0 => resumable,
            Where::Piece => events,
            _ if recorded.has_ids => resumable,
            _ => events,
        })
    }

    /// The status is what it was.
    fn leaves_head(self) -> bool {
        matches!(self.at(), Where::Piece | Where::Answer) || self == Self::WrongContentType
    }
}

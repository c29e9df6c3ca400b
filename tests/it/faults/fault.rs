//! The faults, where each can strike, and what must come of it.

use super::record::{Exchange, Strike};

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
    /// Nothing: the client has cancelled it.
    Nothing,
}

const UNREACHABLE: Outcome = Outcome::Error(&[-31002, -31003]);
const CLOSED: Outcome = Outcome::Error(&[-31003]);
const NO_MESSAGE: Outcome = Outcome::Error(&[-31003, -31004]);
const REFUSED: Outcome = Outcome::Error(&[-31004]);
const LENIENT: Outcome = Outcome::Either(&[-31003, -31004]);
const BUSY: Outcome = Outcome::Status(429, "try again in 30 s");
const DOWN: Outcome = Outcome::Status(503, "try again in 30 s");
const MOVED: Outcome = Outcome::Status(307, "check the URL");
const BROKEN: Outcome = Outcome::Status(502, "look before you repeat it");

/// One line of the table: what must happen
/// - where the reply is JSON,
/// - where it is an event stream that cannot be resumed,
/// - where at least one event with an id has come,
/// - where it is itself the attempt to resume one.
struct Row(Fault, Where, [Outcome; 4]);

use Fault::*;
use Outcome::{Nothing, Result};

/// What must happen.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    //                                           JSON         events       events with ids  resumed
    Row(ListenerGone,       Where::Step,     [UNREACHABLE, UNREACHABLE, UNREACHABLE,     UNREACHABLE]),
    Row(Restart,            Where::Step,     [Result,      Result,      Result,          Result]),

    Row(ResetUnsent,        Where::Request,  [CLOSED,      CLOSED,      CLOSED,          Result]),
    Row(ResetBeforeHead,    Where::Request,  [CLOSED,      CLOSED,      CLOSED,          Result]),
    Row(CloseBeforeHead,    Where::Request,  [CLOSED,      CLOSED,      CLOSED,          Result]),
    Row(ContinueThenClose,  Where::Request,  [CLOSED,      CLOSED,      CLOSED,          Result]),
    Row(StallBeforeHead,    Where::Request,  [CLOSED,      CLOSED,      CLOSED,          Result]),
    Row(CancelBeforeHead,   Where::Request,  [Nothing,     Nothing,     Nothing,         Nothing]),
    Row(NotHttp,            Where::Request,  [CLOSED,      CLOSED,      CLOSED,          Result]),

    // Never sent again: that nothing was executed is no more than likely.
    Row(TooManyRequests,    Where::Request,  [BUSY,        BUSY,        BUSY,            Result]),
    Row(Unavailable,        Where::Request,  [DOWN,        DOWN,        DOWN,            Result]),
    Row(RedirectElsewhere,  Where::Request,  [MOVED,       MOVED,       MOVED,           CLOSED]),
    Row(RedirectHere,       Where::Request,  [Result,      Result,      Result,          Result]),

    Row(BadGateway,         Where::Request,  [BROKEN,      BROKEN,      BROKEN,          Result]),
    Row(Empty200,           Where::Request,  [CLOSED,      CLOSED,      CLOSED,          Result]),
    Row(Accepted202,        Where::Request,  [CLOSED,      CLOSED,      CLOSED,          Result]),
    Row(NoContent204,       Where::Request,  [CLOSED,      CLOSED,      CLOSED,          Result]),
    Row(SwitchingProtocols, Where::Request,  [NO_MESSAGE,  NO_MESSAGE,  NO_MESSAGE,      Result]),
    Row(HugeHeaders,        Where::Request,  [CLOSED,      CLOSED,      CLOSED,          Result]),
    Row(TooManyHeaders,     Where::Request,  [CLOSED,      CLOSED,      CLOSED,          Result]),

    Row(LongHeaders,        Where::Request,  [Result,      Result,      Result,          Result]),
    Row(Informational,      Where::Request,  [Result,      Result,      Result,          Result]),
    Row(Trickle,            Where::Request,  [Result,      Result,      Result,          Result]),
    Row(EndsByClosing,      Where::Request,  [Result,      Result,      Result,          Result]),
    // What never ends by itself, or waits for the client, is given up.
    Row(Buffered,           Where::Request,  [Result,      Result,      Result,          Result]),
    Row(WrongContentType,   Where::Request,  [REFUSED,     REFUSED,     REFUSED,         Result]),

    Row(ResetInBody,        Where::Piece,    [CLOSED,      CLOSED,      Result,          Result]),
    Row(CloseInBody,        Where::Piece,    [CLOSED,      CLOSED,      Result,          Result]),
    Row(EndInBody,          Where::Piece,    [NO_MESSAGE,  CLOSED,      Result,          Result]),
    Row(HalfEvent,          Where::Piece,    [NO_MESSAGE,  CLOSED,      Result,          Result]),
    Row(BadChunk,           Where::Piece,    [CLOSED,      CLOSED,      Result,          Result]),
    Row(StallThenCut,       Where::Piece,    [CLOSED,      CLOSED,      Result,          Result]),
    Row(StallThenCancel,    Where::Piece,    [Nothing,     Nothing,     Nothing,         Nothing]),
    Row(RestartInBody,      Where::Piece,    [CLOSED,      CLOSED,      CLOSED,          CLOSED]),
    Row(TruncatedGzip,      Where::Piece,    [CLOSED,      CLOSED,      Result,          Result]),

    // With ids, what is spoilt counts as delivered: it is not sent again.
    Row(NotUtf8,            Where::Answer,   [REFUSED,     CLOSED,      CLOSED,          CLOSED]),
    Row(UnknownIdInstead,   Where::Answer,   [NO_MESSAGE,  CLOSED,      CLOSED,          CLOSED]),
    Row(Duplicate,          Where::Answer,   [Result,      Result,      Result,          Result]),
    // An array is no answer outside 2025-03-26.
    Row(TwoResponses,       Where::Answer,   [LENIENT,     Result,      Result,          Result]),
    Row(AfterCancel,        Where::Answer,   [Nothing,     Nothing,     Nothing,         Nothing]),
    Row(NotUtf8Ahead,       Where::Event,    [Result,      Result,      Result,          Result]),
    Row(UnknownIdAhead,     Where::Event,    [Result,      Result,      Result,          Result]),
    Row(ForeignStream,      Where::Event,    [Result,      Result,      Result,          Result]),
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
        self == Self::Buffered || self.row().2 == [Nothing; 4]
    }

    /// The pieces of a recorded reply at which it can strike.
    pub(crate) fn strikes(self, recorded: &Exchange) -> Vec<Strike> {
        // MCP: the handshake cannot be cancelled.
        let may_be = recorded.is_awaited() && recorded.label != "initialize";
        let ends = may_be || self == Self::Buffered || !self.is_cancelled();
        let pieces = match self.at() {
            _ if !ends => 0..0,
            Where::Step => 0..0,
            Where::Request if matches!(self, Self::Buffered | Self::WrongContentType) => {
                let stalls = stalls_after(recorded);
                stalls..stalls + 1
            }
            Where::Request => 0..1,
            Where::Piece if recorded.pieces == 0 => 0..0,
            Where::Piece if !recorded.is_stream => 0..1,
            Where::Piece => 0..recorded.pieces + usize::from(recorded.whole),
            Where::Event if !recorded.is_stream => 0..0,
            Where::Answer | Where::Event => match recorded.answer.filter(|_| recorded.is_awaited())
            {
                Some(piece) => piece..piece + 1,
                None => 0..0,
            },
        };
        pieces.map(|piece| Strike { fault: self, piece }).collect()
    }

    /// What must come of a request that it strikes before.
    pub(crate) fn before(self) -> Outcome {
        self.row().2[0]
    }

    /// What must come of a recorded request that is struck here; none if it has no answer.
    pub(crate) fn outcome(self, recorded: &Exchange, piece: usize) -> Option<Outcome> {
        let Row(_, at, [json, events, resumable, resumes]) = *self.row();
        let answered = recorded.answer.is_some_and(|answer| piece > answer);
        if recorded.resumes() {
            return Some(if at == Where::Piece && answered { Result } else { resumes });
        }
        recorded.id.as_ref()?;
        Some(match at {
            _ if self == Self::Buffered && stalls_after(recorded) != NEVER => Nothing,
            _ if !recorded.is_stream => json,
            Where::Piece if answered => Result,
            Where::Piece if recorded.has_ids && piece > 0 => resumable,
            Where::Piece => events,
            _ if recorded.has_ids => resumable,
            _ => events,
        })
    }
}

const NEVER: usize = usize::MAX - 1;

/// The pieces after which a reply that is held back has no more to come.
fn stalls_after(recorded: &Exchange) -> usize {
    match recorded.asks {
        Some(piece) => piece + 1,
        None if recorded.whole => NEVER,
        None => recorded.pieces,
    }
}

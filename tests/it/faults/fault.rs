//! The faults, where each can strike, and what must come of it.

use super::proxy::{Exchange, Strike};

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
    WrongContentType,

    // In the body.
    ResetInBody,
    CloseInBody,
    /// A proper end, as of a proxy that ends idle streams.
    EndInBody,
    HalfEvent,
    StallThenCut,
    StallThenCancel,
    RestartInBody,
    TruncatedGzip,

    // Around the answer.
    NotUtf8,
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
    /// Before each piece of each reply, and after the last one.
    Piece,
    /// At each answer; on streams without one, at the first piece.
    Answer,
}

/// What must come of the request that was struck. Every other one must succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its result, with all that belongs to it, once.
    Result,
    /// Its result, but something before it may be missing.
    Lossy,
    /// An error of the bridge with one of these codes.
    Error(&'static [i64]),
    /// The same with the HTTP status in it.
    Status(i64, u16),
    /// Its result or an error with one of these codes.
    Either(&'static [i64]),
    /// Nothing: the client has cancelled it.
    Nothing,
}

const UNREACHABLE: Outcome = Outcome::Error(&[-31002, -31003]);
const CLOSED: Outcome = Outcome::Error(&[-31003]);
const NO_MESSAGE: Outcome = Outcome::Error(&[-31003, -31004]);
const REFUSED: Outcome = Outcome::Error(&[-31004]);

/// One line of the table.
struct Row {
    fault: Fault,
    at: Where,
    /// Where the reply is JSON.
    json: Outcome,
    /// Where it is an event stream that cannot be resumed.
    events: Outcome,
    /// Where at least one event with an id has come.
    resumable: Outcome,
}

const fn row(fault: Fault, at: Where, [json, events, resumable]: [Outcome; 3]) -> Row {
    Row { fault, at, json, events, resumable }
}

use Fault::*;
use Outcome::{Either, Nothing, Result, Status};

/// What must happen.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    //                                        JSON         events       events with ids
    row(ListenerGone,       Where::Step,    [UNREACHABLE, UNREACHABLE, UNREACHABLE]),
    row(Restart,            Where::Step,    [Result,      Result,      Result]),

    row(ResetUnsent,        Where::Request, [CLOSED,      CLOSED,      CLOSED]),
    row(ResetBeforeHead,    Where::Request, [CLOSED,      CLOSED,      CLOSED]),
    row(CloseBeforeHead,    Where::Request, [CLOSED,      CLOSED,      CLOSED]),
    row(ContinueThenClose,  Where::Request, [CLOSED,      CLOSED,      CLOSED]),

    // Never sent again, though nothing was executed: that nothing was is no more than likely.
    row(TooManyRequests,    Where::Request, [Status(-31004, 429); 3]),
    row(Unavailable,        Where::Request, [Status(-31004, 503); 3]),
    row(RedirectElsewhere,  Where::Request, [Status(-31004, 307); 3]),
    row(RedirectHere,       Where::Request, [Result,      Result,      Result]),

    row(BadGateway,         Where::Request, [Status(-31004, 502); 3]),
    row(Empty200,           Where::Request, [CLOSED,      CLOSED,      CLOSED]),
    row(Accepted202,        Where::Request, [CLOSED,      CLOSED,      CLOSED]),
    row(NoContent204,       Where::Request, [CLOSED,      CLOSED,      CLOSED]),
    row(SwitchingProtocols, Where::Request, [NO_MESSAGE,  NO_MESSAGE,  NO_MESSAGE]),
    row(HugeHeaders,        Where::Request, [CLOSED,      CLOSED,      CLOSED]),
    row(TooManyHeaders,     Where::Request, [CLOSED,      CLOSED,      CLOSED]),

    row(LongHeaders,        Where::Request, [Result,      Result,      Result]),
    row(Informational,      Where::Request, [Result,      Result,      Result]),
    row(Buffered,           Where::Request, [Result,      Result,      Result]),
    row(Trickle,            Where::Request, [Result,      Result,      Result]),
    row(WrongContentType,   Where::Request, [REFUSED,     REFUSED,     REFUSED]),

    row(ResetInBody,        Where::Piece,   [CLOSED,      CLOSED,      Result]),
    row(CloseInBody,        Where::Piece,   [CLOSED,      CLOSED,      Result]),
    row(EndInBody,          Where::Piece,   [NO_MESSAGE,  CLOSED,      Result]),
    row(HalfEvent,          Where::Piece,   [NO_MESSAGE,  CLOSED,      Result]),
    row(StallThenCut,       Where::Piece,   [CLOSED,      CLOSED,      Result]),
    row(StallThenCancel,    Where::Piece,   [Nothing,     Nothing,     Nothing]),
    row(RestartInBody,      Where::Piece,   [CLOSED,      CLOSED,      CLOSED]),
    row(TruncatedGzip,      Where::Piece,   [CLOSED,      CLOSED,      Result]),

    // With ids, what is spoilt counts as delivered: it is not sent again.
    row(NotUtf8,            Where::Answer,  [REFUSED,     CLOSED,      CLOSED]),
    row(UnknownIdAhead,     Where::Answer,  [Result,      Result,      Result]),
    row(UnknownIdInstead,   Where::Answer,  [NO_MESSAGE,  CLOSED,      CLOSED]),
    row(Duplicate,          Where::Answer,  [Result,      Result,      Result]),
    row(TwoResponses,       Where::Answer,  [Either(&[-31004]), Result, Result]),
    row(ForeignStream,      Where::Answer,  [Result,      Result,      Result]),
    row(AfterCancel,        Where::Answer,  [Nothing,     Nothing,     Nothing]),
];

/// Every fault of the table.
pub(crate) fn all() -> impl Iterator<Item = Fault> {
    TABLE.iter().map(|row| row.fault)
}

impl Fault {
    fn row(self) -> &'static Row {
        let row = TABLE.iter().find(|row| row.fault == self);
        row.unwrap_or_else(|| panic!("{self:?} is not in the table"))
    }

    pub(crate) fn at(self) -> Where {
        self.row().at
    }

    /// The client gives up what stalls, rather than the network.
    pub(crate) fn is_cancelled(self) -> bool {
        self.row().json == Outcome::Nothing
    }

    /// The pieces of a recorded reply at which it can strike.
    pub(crate) fn strikes(self, recorded: &Exchange) -> Vec<Strike> {
        let pieces = match self.row().at {
            Where::Step => 0..0,
            Where::Request => 0..1,
            Where::Piece if recorded.pieces == 0 => 0..0,
            // In the middle of it.
            Where::Piece if !recorded.is_stream => 0..1,
            Where::Piece => 0..recorded.pieces + usize::from(recorded.whole),
            Where::Answer => match recorded.answer {
                Some(piece) => piece..piece + 1,
                None => 0..usize::from(recorded.pieces > 0),
            },
        };
        pieces.map(|piece| Strike { fault: self, piece }).collect()
    }

    /// What must come of a request that it strikes before.
    pub(crate) fn before(self) -> Outcome {
        self.row().json
    }

    /// What must come of a recorded request that is struck here.
    pub(crate) fn outcome(self, recorded: &Exchange, piece: usize) -> Outcome {
        let row = self.row();
        let answered = recorded.answer.is_some_and(|answer| piece > answer);
        match row.at {
            _ if !recorded.is_stream => row.json,
            Where::Piece if answered => Outcome::Result,
            Where::Piece if recorded.has_ids && piece > 0 => row.resumable,
            Where::Piece => row.events,
            _ if recorded.has_ids => row.resumable,
            _ => row.events,
        }
    }
}

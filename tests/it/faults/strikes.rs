//! Where in a conversation each fault can strike.

use super::conversation::Conversation;
use super::fault::{Fault, Where};
use super::record::{Exchange, Strike};

impl Fault {
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

    /// The same in a conversation of this kind.
    pub(super) fn strikes_in(self, kind: Conversation, recorded: &Exchange) -> Vec<Strike> {
        if kind.has_one_stream() && recorded.label == "GET" {
            return self.strikes_stream(recorded);
        }
        // There it ends the connection, for a call that is already under way, too.
        if self == Self::NotFound
            && kind.has_one_stream()
            && (recorded.id.is_none() || kind.is_hidden(recorded))
            && recorded.is_endpoint
        {
            return Vec::new();
        }
        // Only what the client asked for can be cancelled by it, and over HTTP+SSE only on the
        // stream.
        let own = !kind.is_hidden(recorded) && !kind.has_one_stream();
        let held = self == Self::Buffered && stalls_after(recorded) == NEVER;
        if self.is_cancelled() && !own && !held {
            return Vec::new();
        }
        self.strikes(recorded)
    }

    /// On the stream of HTTP+SSE. What is held up there altogether is no stream; what is spoilt
    /// there never comes, until the client gives it up.
    fn strikes_stream(self, recorded: &Exchange) -> Vec<Strike> {
        let during = |piece: &usize| recorded.came[*piece].0 != "afterwards";
        let answers = |piece: &usize| recorded.came[*piece].1;
        // What the bridge asks by itself cannot be given up, nor can the handshake.
        let own = |piece: &usize| !["hello", "changes"].contains(&&*recorded.came[*piece].0);
        let pieces = (0..recorded.pieces).filter(during);
        let pieces: Vec<_> = match self {
            Self::Buffered => Vec::new(),
            _ if self.needs_streams() => Vec::new(),
            Self::WrongContentType => vec![1],
            Self::AfterCancel => pieces.filter(answers).filter(own).collect(),
            _ if self.swallows() => pieces.filter(answers).filter(own).collect(),
            _ => match self.at() {
                Where::Step => Vec::new(),
                Where::Request => vec![0],
                Where::Piece => pieces.collect(),
                Where::Answer | Where::Event => pieces.filter(answers).collect(),
            },
        };
        pieces.into_iter().map(|piece| Strike { fault: self, piece }).collect()
    }

    /// It makes sense only where each request has a stream of its own.
    pub(super) fn needs_streams(self) -> bool {
        matches!(self, Self::StallThenCancel | Self::CancelBeforeHead | Self::ForeignStream)
    }

    /// For HTTP alone is it another than this: what is above it sees the same, or nothing. Where
    /// the other strikes everywhere, it need strike only once for each sort of reply.
    pub(super) fn is_variant(self) -> bool {
        match self {
            // Of a reply that came as it should.
            Self::LongHeaders | Self::Informational | Self::Trickle | Self::EndsByClosing => true,
            // Of `CloseBeforeHead`.
            Self::ContinueThenClose | Self::NotHttp => true,
            Self::HugeHeaders | Self::TooManyHeaders => true,
            // Of `TooManyRequests`.
            Self::Unavailable => true,
            // Of `Accepted202`.
            Self::Empty200 | Self::NoContent204 => true,
            // Of `ResetInBody` and `EndInBody`.
            Self::CloseInBody | Self::BadChunk | Self::TruncatedGzip | Self::HalfEvent => true,
            _ => false,
        }
    }

    /// It takes the answer away, which on one stream for all nobody can tell.
    pub(super) fn swallows(self) -> bool {
        matches!(self, Self::NotUtf8 | Self::UnknownIdInstead)
    }
}

pub(super) const NEVER: usize = usize::MAX - 1;

/// The pieces after which a reply that is held back has no more to come.
pub(super) fn stalls_after(recorded: &Exchange) -> usize {
    match recorded.asks {
        Some(piece) => piece + 1,
        None if recorded.whole => NEVER,
        None => recorded.pieces,
    }
}

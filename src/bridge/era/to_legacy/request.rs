//! A message of a modern client, and the same in legacy words: without what the modern era
//! carries in `_meta` (MCP 2026-07-28, "General fields").

use super::edits::{Edits, moved};
use super::logging::Level;
use crate::jsonrpc::object::{Items, get, string};
use crate::jsonrpc::{Invalid, Message};
use bytes::Bytes;
use std::borrow::Cow;
use std::ops::Range;

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const INFO: &str = "io.modelcontextprotocol/clientInfo";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// A message of the client, read as far as its translation requires. Ranges are offsets into
/// its text.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) message: Message,
    meta: Option<Meta>,
    state: Option<Range<usize>>,
    responses: Option<Range<usize>>,
}

#[derive(Debug, Clone, Default)]
struct Meta {
    whole: Range<usize>,
    version: Option<Range<usize>>,
    info: Option<Range<usize>>,
    capabilities: Option<Range<usize>>,
    level: Option<Range<usize>>,
    token: Option<Range<usize>>,
    /// There is more in it than the protocol's own members.
    more: bool,
}

impl Meta {
    fn read(text: &[u8], whole: Range<usize>) -> Self {
        let mut meta = Self { whole: whole.clone(), ..Self::default() };
        for member in Items::object(text, whole.start).into_iter().flatten().map_while(Result::ok) {
            let slot = match member.name(text).as_deref() {
                Some(VERSION) => &mut meta.version,
                Some(INFO) => &mut meta.info,
                Some(CAPABILITIES) => &mut meta.capabilities,
                Some(LOG_LEVEL) => &mut meta.level,
                Some("progressToken") => {
                    meta.more = true;
                    &mut meta.token
                }
                _ => {
                    meta.more = true;
                    continue;
                }
            };
            slot.get_or_insert(member.value);
        }
        meta
    }
}

impl Request {
    /// Reads the members that decide something.
    ///
    /// # Errors
    /// [`Invalid`] with -32600 if one of `params` stands twice.
    pub(super) fn read(message: Message) -> Result<Self, Invalid> {
        let at = message.params_range().map_or(0, |params| params.start);
        let found = message.params_members(["_meta", "requestState", "inputResponses"])?;
        let [meta, state, responses] = found.map(|range| range.map(|range| moved(range, at)));
        let meta = meta.map(|whole| Meta::read(message.text(), whole));
        Ok(Self { message, meta, state, responses })
    }

    /// The raw id; empty for a notification.
    pub(super) fn id(&self) -> Bytes {
        self.message.id().unwrap_or_default()
    }

    pub(super) fn method(&self) -> &str {
        self.message.method()
    }

    /// The modern version that it is written in.
    pub(super) fn version(&self) -> Option<Cow<'_, str>> {
        string(self.of_meta(|meta| &meta.version)?)
    }

    pub(super) fn client_info(&self) -> Option<&[u8]> {
        self.of_meta(|meta| &meta.info).filter(|info| info.starts_with(b"{"))
    }

    /// Raw; an empty object where there are none.
    pub(super) fn capabilities(&self) -> &[u8] {
        let declared = self.of_meta(|meta| &meta.capabilities);
        declared.filter(|declared| declared.starts_with(b"{")).unwrap_or(b"{}")
    }

    /// The level of the messages that this request is to be told.
    ///
    /// # Errors
    /// If there is no such level.
    pub(super) fn level(&self) -> Result<Option<Level>, ()> {
        let Some(raw) = self.of_meta(|meta| &meta.level) else { return Ok(None) };
        Level::read(raw).map(Some).ok_or(())
    }

    pub(super) fn token(&self) -> Option<Bytes> {
        let range = self.meta.as_ref()?.token.clone()?;
        Some(self.message.text().slice(range))
    }

    pub(super) fn state(&self) -> Option<Cow<'_, str>> {
        string(&self.message.text()[self.state.clone()?])
    }

    /// What the client answers to the question of that key.
    pub(super) fn response(&self, key: &str) -> Option<Bytes> {
        let text = self.message.text();
        let response = get(&text[self.responses.clone()?], key)?;
        Some(text.slice_ref(response))
    }

    /// A member of `params`, raw.
    pub(super) fn param(&self, name: &str) -> Option<&[u8]> {
        get(self.message.params()?, name)
    }

    fn of_meta(&self, member: impl Fn(&Meta) -> &Option<Range<usize>>) -> Option<&[u8]> {
        let range = member(self.meta.as_ref()?).clone()?;
        Some(&self.message.text()[range])
    }

    /// Its text for the remote, under this id.
    pub(super) fn to_legacy(&self, change: &Change) -> Bytes {
        let text = self.message.text();
        let mut edits = Edits::default();
        if let (Some(range), Some(id)) = (self.message.id_range(), &change.id) {
            edits.put(range, id.clone());
        }
        if let Some((range, with)) = &change.also {
            edits.put(range.clone(), with.clone());
        }
        let Some(params) = self.message.params_range() else { return edits.apply(text) };
        let gone = self.meta.as_ref().filter(|meta| !meta.more).map(|meta| &meta.whole);
        let retry =
            [self.state.as_ref(), self.responses.as_ref()].map(|one| one.filter(|_| change.fresh));
        let hidden = [gone, retry[0], retry[1]];
        let left = edits.take_out(text, params.start, |member| {
            hidden.iter().flatten().any(|range| range.start == member.value.start)
        });
        if let Some(meta) = self.meta.as_ref().filter(|meta| meta.more) {
            let names = [VERSION, INFO, CAPABILITIES, LOG_LEVEL];
            edits.take_out(text, meta.whole.start, |member| {
                names.iter().any(|name| member.is(text, name))
            });
        }
        if change.as_task {
            edits.put_first(params.start, r#""task":{}"#, left);
        }
        edits.apply(text)
    }
}

/// What differs in the text for the remote, apart from `_meta`.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) id: Option<Bytes>,
    /// A retry that goes out as the call it was before.
    pub(super) fresh: bool,
    pub(super) as_task: bool,
    /// One more range of the text.
    pub(super) also: Option<(Range<usize>, Bytes)>,
}

#[cfg(test)]
mod tests;

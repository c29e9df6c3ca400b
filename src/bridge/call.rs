//! A message of the client with what its HTTP headers need.

use super::era::{Era, version_in};
use crate::jsonrpc::{Invalid, Kind, Message, object};
use crate::transport::metadata::{self, encode, name_source};
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};
use std::ops::Range;

/// A client's message, read as far as sending it requires.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) message: Message,
    pub(super) era: Era,
    /// `_meta["io.modelcontextprotocol/protocolVersion"]`.
    version: Option<String>,
    /// What `Mcp-Name` mirrors.
    name: Option<String>,
    /// `params._meta`, as offsets into `params`.
    meta: Option<Range<usize>>,
    /// Who gets the answer.
    pub(super) source: Source,
    /// What the client answered when it was asked to sign in for this call.
    sign_in: Option<Answered>,
}

/// Who says something to the remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The client, in its own words.
    Client,
    /// A translation between eras, for the client.
    Translation,
}

/// The answer to a URL-mode elicitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    Accepted,
    /// Declined or cancelled.
    Declined,
}

impl Call {
    /// Reads the members of `params` that decide something.
    ///
    /// # Errors
    /// [`Invalid`] with -32600 if one stands twice.
    pub(super) fn read(message: Message) -> Result<Self, Invalid> {
        let [name, uri, task, meta] = message.params_members(["name", "uri", "taskId", "_meta"])?;
        let params = message.params().unwrap_or_default();
        let version = meta.clone().and_then(|meta| version_in(&params[meta]));
        let version = version.map(|version| version.into_owned());
        let source = match name_source(message.method()) {
            Some("name") => name,
            Some("uri") => uri,
            Some(_) => task,
            None => None,
        };
        let name =
            source.and_then(|range| object::string(&params[range])).map(|name| name.into_owned());
        let modern = version.is_some() || message.method() == "server/discover";
        let era = if modern { Era::Modern } else { Era::Legacy };
        let source = Source::Client;
        Ok(Self { message, era, version, name, meta, source, sign_in: None })
    }

    /// The same, said by someone else.
    pub(super) fn by(self, source: Source) -> Self {
        Self { source, ..self }
    }

    /// The same for which the client was asked to sign in.
    pub(super) fn after_sign_in(self, answered: Answered) -> Self {
        Self { sign_in: Some(answered), ..self }
    }

    pub(super) fn sign_in(&self) -> Option<Answered> {
        self.sign_in
    }

    pub(super) fn is_request(&self) -> bool {
        self.message.kind() == Kind::Request
    }

    /// The name of the tool, prompt or task, or the URI of the resource.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The modern protocol version that it is written in.
    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The raw `params._meta`.
    pub(super) fn meta(&self) -> Option<&[u8]> {
        self.meta.clone().and_then(|range| self.message.params()?.get(range))
    }

    /// The raw `params.arguments`.
    pub(super) fn arguments(&self) -> Option<&[u8]> {
        object::get(self.message.params()?, "arguments")
    }

    /// The id that a `notifications/cancelled` names.
    pub(super) fn cancelled_id(&self) -> Option<Bytes> {
        let params = self.message.params_range()?;
        let id = object::find(&self.message.text()[params.clone()], 0, "requestId")?;
        Some(self.message.text().slice(params.start + id.start..params.start + id.end))
    }

    /// The headers that mirror a modern message (MCP 2026-07-28, "Request Metadata").
    pub(super) fn put_metadata(&self, headers: &mut HeaderMap) {
        if let Some(version) =
            self.version.as_deref().and_then(|text| HeaderValue::from_str(text).ok())
        {
            headers.insert(metadata::PROTOCOL_VERSION, version);
        }
        if let Ok(method) = HeaderValue::from_str(self.message.method()) {
            headers.insert(metadata::METHOD, method);
        }
        if let Some(name) = self.name() {
            headers.insert(metadata::NAME, encode(name));
        }
    }
}

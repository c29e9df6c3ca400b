//! One line <-> one raw JSON-RPC 2.0 message. The bytes are kept; only what decides where
//! a message goes is looked at. Knows no MCP method.

mod id;
pub mod object;
mod oversize;
mod reply;
mod scan;

pub use id::{IdKey, same_id};
pub use oversize::OversizeLine;
pub use reply::{BridgeError, error_response, with_id};
pub use scan::{MAX_DEPTH, Malformed, skip_value};

use bytes::Bytes;
use object::Items;
use scan::skip_space;
use std::ops::Range;

/// What a message is, by its members (JSON-RPC 2.0 sections 4 and 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Request,
    Notification,
    /// A result or an error; its id may be absent or null.
    Response,
}

/// One JSON-RPC message: its own bytes and where the deciding members stand in them.
#[derive(Debug, Clone)]
pub struct Message {
    text: Bytes,
    kind: Kind,
    id: Option<Range<usize>>,
    method: String,
    params: Option<Range<usize>>,
    outcome: Option<Range<usize>>,
    is_error: bool,
}

/// Why a line is no message, with what an answer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// -32700 (not JSON) or -32600 (no valid request).
    pub code: i32,
    /// The raw id where it could be read beyond doubt.
    pub id: Option<Bytes>,
    /// In one clause.
    pub why: &'static str,
}

/// A line's content: one message, or a batch (MCP 2025-03-26 only).
#[derive(Debug)]
pub enum Line {
    One(Message),
    Batch(Vec<Result<Message, Invalid>>),
}

impl Line {
    /// Reads one line or HTTP body.
    ///
    /// # Errors
    /// [`Invalid`] with the code to answer; the elements of a batch are each judged by
    /// themselves.
    pub fn read(text: Bytes) -> Result<Self, Invalid> {
        check_utf8(&text)?;
        let start = skip_space(&text, 0);
        if text.get(start) != Some(&b'[') {
            return Message::read_checked(text).map(Self::One);
        }
        let mut items = Items::array(&text, start).map_err(|_| not_json())?;
        let mut elements = Vec::new();
        for element in items.by_ref() {
            elements.push(element.map_err(|_| not_json())?.value);
        }
        if skip_space(&text, items.end()) != text.len() {
            return Err(not_json());
        }
        if elements.is_empty() {
            return Err(Invalid { code: -32600, id: None, why: "the batch is empty" });
        }
        let read = |element: Range<usize>| Message::read_checked(text.slice(element));
        Ok(Self::Batch(elements.into_iter().map(read).collect()))
    }

    /// The valid messages in order.
    pub fn into_messages(self) -> Vec<Message> {
        match self {
            Self::One(message) => vec![message],
            Self::Batch(elements) => elements.into_iter().flatten().collect(),
        }
    }
}

fn check_utf8(text: &[u8]) -> Result<(), Invalid> {
    match std::str::from_utf8(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(Invalid { code: -32700, id: None, why: "the text is not UTF-8" }),
    }
}

fn not_json() -> Invalid {
    Invalid { code: -32700, id: None, why: "the text is not JSON, or nests too deep" }
}

impl Message {
    /// Reads the one message that `text` holds.
    ///
    /// # Errors
    /// [`Invalid`] with -32700 for what is no JSON and -32600 for what is no message:
    /// a deciding member that stands twice, a null id of a request, a wrong type.
    pub fn read(text: Bytes) -> Result<Self, Invalid> {
        check_utf8(&text)?;
        Self::read_checked(text)
    }

    fn read_checked(text: Bytes) -> Result<Self, Invalid> {
        let start = skip_space(&text, 0);
        if text.get(start) != Some(&b'{') {
            let whole = skip_value(&text, 0).is_ok_and(|end| skip_space(&text, end) == text.len());
            let why = "a message is a JSON object";
            return Err(if whole { Invalid { code: -32600, id: None, why } } else { not_json() });
        }
        let envelope = Envelope::read(&text, start)?;
        envelope.into_message(text)
    }

    /// The message's bytes as they were read: valid JSON, possibly with raw newlines
    /// where JSON allows white space.
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The raw bytes of the id; none for a notification and for a response without one.
    pub fn id(&self) -> Option<Bytes> {
        self.id.clone().map(|range| self.text.slice(range))
    }

    /// Empty for a response.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The raw value of `params`.
    pub fn params(&self) -> Option<&[u8]> {
        self.params.clone().map(|range| &self.text[range])
    }

    /// Where `params` stands in the text.
    pub fn params_range(&self) -> Option<Range<usize>> {
        self.params.clone()
    }

    /// Where the id stands in the text.
    pub fn id_range(&self) -> Option<Range<usize>> {
        self.id.clone()
    }

    /// The raw `result` of a response; none for an error.
    pub fn result(&self) -> Option<&[u8]> {
        self.outcome.clone().filter(|_| !self.is_error).map(|range| &self.text[range])
    }

    /// Where `result` stands in the text.
    pub fn result_range(&self) -> Option<Range<usize>> {
        self.outcome.clone().filter(|_| !self.is_error)
    }

    /// The raw `error` of a response; none for a result.
    pub fn error(&self) -> Option<&[u8]> {
        self.outcome.clone().filter(|_| self.is_error).map(|range| &self.text[range])
    }

    /// The code of an error response, if it is an integer.
    pub fn error_code(&self) -> Option<i64> {
        std::str::from_utf8(object::get(self.error()?, "code")?).ok()?.parse().ok()
    }

    /// Where the named members stand in `params`, as offsets into it, in one walk.
    ///
    /// # Errors
    /// [`Invalid`] with -32600 if one of them stands twice.
    pub fn params_members<const N: usize>(
        &self,
        names: [&str; N],
    ) -> Result<[Option<Range<usize>>; N], Invalid> {
        let mut found = [const { None }; N];
        let Some(params) = self.params() else { return Ok(found) };
        for member in Items::object(params, 0).into_iter().flatten().flatten() {
            let Some(nth) = names.iter().position(|name| member.is(params, name)) else { continue };
            if found[nth].replace(member.value).is_some() {
                let why = "a deciding member of params stands twice";
                return Err(Invalid { code: -32600, id: self.id(), why });
            }
        }
        Ok(found)
    }
}

/// The members of the outermost object that decide something.
#[derive(Default)]
struct Envelope {
    jsonrpc: Option<Range<usize>>,
    id: Option<Range<usize>>,
    method: Option<Range<usize>>,
    params: Option<Range<usize>>,
    result: Option<Range<usize>>,
    error: Option<Range<usize>>,
    twice: Option<&'static str>,
    id_twice: bool,
}

impl Envelope {
    fn read(text: &[u8], start: usize) -> Result<Self, Invalid> {
        let mut items = Items::object(text, start).map_err(|_| not_json())?;
        let mut envelope = Self::default();
        for member in items.by_ref() {
            let member = member.map_err(|_| not_json())?;
            let (slot, twice) = match &*member.name(text).unwrap_or_default() {
                "jsonrpc" => (&mut envelope.jsonrpc, "jsonrpc stands twice"),
                "id" => (&mut envelope.id, "id stands twice"),
                "method" => (&mut envelope.method, "method stands twice"),
                "params" => (&mut envelope.params, "params stands twice"),
                "result" => (&mut envelope.result, "result stands twice"),
                "error" => (&mut envelope.error, "error stands twice"),
                _ => continue,
            };
            if slot.replace(member.value).is_some() {
                envelope.id_twice |= twice.starts_with("id");
                envelope.twice = Some(twice);
            }
        }
        if skip_space(text, items.end()) != text.len() {
            return Err(not_json());
        }
        Ok(envelope)
    }

    fn into_message(self, text: Bytes) -> Result<Message, Invalid> {
        let id = self.id.clone().filter(|range| id::is_valid(&text[range.clone()]));
        // Only a request has an id to answer: a response uses one that is somebody else's.
        let echo = self.method.is_some() && !self.id_twice;
        let readable = id.clone().filter(|_| echo).map(|range| text.slice(range));
        let invalid = |why| Err(Invalid { code: -32600, id: readable.clone(), why });
        if let Some(why) = self.twice {
            return invalid(why);
        }
        let version = self.jsonrpc.and_then(|range| object::string(&text[range]));
        if version.as_deref() != Some("2.0") {
            return invalid("jsonrpc is not \"2.0\"");
        }
        let null_id = self.id.as_ref().is_some_and(|range| &text[range.clone()] == b"null");
        let (kind, method) = match self.method {
            Some(range) => match object::string(&text[range]) {
                None => return invalid("method is no string"),
                Some(_) if self.id.is_some() && id.is_none() => {
                    return invalid("the id of a request is a string or a number");
                }
                Some(method) if id.is_some() => (Kind::Request, method.into_owned()),
                Some(method) => (Kind::Notification, method.into_owned()),
            },
            None if self.result.is_some() == self.error.is_some() => {
                return invalid("neither a request, a notification nor a response");
            }
            None if self.id.is_some() && id.is_none() && !null_id => {
                return invalid("the id of a response is a string or a number");
            }
            None => (Kind::Response, String::new()),
        };
        let is_error = self.error.is_some();
        let outcome = self.result.or(self.error);
        Ok(Message { kind, id, method, params: self.params, outcome, is_error, text })
    }
}

#[cfg(test)]
mod tests;

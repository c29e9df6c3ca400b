//! What a remote asks for, as requests to a legacy client (MCP 2025-11-25, "Elicitation",
//! "Sampling", "Roots").

use super::identity::{Identity, LATEST};
use super::members::{Edits, Object, member};
use crate::jsonrpc::object::string;
use bytes::Bytes;

const RELATED: &str = "io.modelcontextprotocol/related-task";

/// A request to the client that it has not answered.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) whose: Whose,
    pub(super) kind: Kind,
}

/// What waits for the answer.
#[derive(Debug, Clone)]
pub(super) enum Whose {
    /// The `nth` input of a call.
    Call { call: u64, nth: usize },
    /// A task, under this raw key.
    Task { task: String, key: Bytes },
}

impl Whose {
    pub(super) fn is_of_call(&self, wanted: u64) -> bool {
        matches!(self, Self::Call { call, .. } if *call == wanted)
    }

    pub(super) fn is_of_task(&self, wanted: &str) -> bool {
        matches!(self, Self::Task { task, .. } if task == wanted)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Elicitation,
    Sampling,
    Roots,
}

/// The raw member of `_meta` that names a task by its raw id.
pub(super) fn related(task: &[u8]) -> Vec<u8> {
    member(RELATED, &[b"{", &member("taskId", task)[..], b"}"].concat())
}

/// The request to the client under a raw id. `meta` are raw members for its `_meta`.
///
/// # Errors
/// What the remote did wrong, if the client cannot be asked this.
pub(super) fn compose(
    identity: &Identity,
    request: &[u8],
    id: &[u8],
    meta: Option<&[u8]>,
) -> Result<(Bytes, Kind), String> {
    let read = Object::read(request, 0);
    let method = read.as_ref().and_then(|read| string(read.get(request, "method")?));
    let (Some(whole), Some(method)) = (&read, method) else {
        return Err("asked the client for something that is no request".to_owned());
    };
    let range = whole.value(request, "params");
    let params = range.as_ref().and_then(|range| Object::read(request, range.start));
    let mode = params.as_ref().and_then(|params| string(params.get(request, "mode")?));
    let url = mode.as_deref() == Some("url");
    let kind = permitted(identity, &method, mode.as_deref())?;
    let mut edits = Edits::default();
    let mut front = [&br#""jsonrpc":"2.0","id":"#[..], id].concat();
    let (out, added): (&[&str], _) = match kind {
        Kind::Elicitation if url => (&["elicitationId"], member("elicitationId", id)),
        Kind::Elicitation if identity.version < LATEST => (&["mode"], Vec::new()),
        _ => (&[], Vec::new()),
    };
    match (&params, meta) {
        (Some(params), _) => with_meta(request, params, out, added, meta, &mut edits),
        (None, _) if kind != Kind::Roots => {
            return Err(format!("asked for {method} without saying what"));
        }
        (None, Some(meta)) if range.is_none() => {
            front.extend([&b",\"params\":{\"_meta\":{"[..], meta, b"}}"].concat());
        }
        (None, _) => {}
    }
    whole.rewrite(request, &["jsonrpc", "id"], &front, &mut edits);
    Ok((edits.apply(request), kind))
}

/// What the client has declared that it can be asked.
fn permitted(identity: &Identity, method: &str, mode: Option<&str>) -> Result<Kind, String> {
    let (kind, declared) = match method {
        "elicitation/create" => {
            let known = matches!(mode, None | Some("form" | "url"));
            (Kind::Elicitation, known && identity.can_elicit(mode == Some("url")))
        }
        "sampling/createMessage" => (Kind::Sampling, identity.can("sampling")),
        "roots/list" => (Kind::Roots, identity.can("roots")),
        _ => return Err("asked the client for something that no client knows".to_owned()),
    };
    if declared {
        return Ok(kind);
    }
    Err(format!("asked for {method}, which the client has not declared"))
}

fn with_meta(
    text: &[u8],
    params: &Object,
    out: &[&str],
    mut added: Vec<u8>,
    meta: Option<&[u8]>,
    edits: &mut Edits,
) {
    let inner = params.value(text, "_meta").and_then(|at| Object::read(text, at.start));
    match (inner, meta) {
        (Some(inner), Some(meta)) => inner.rewrite(text, &[RELATED], meta, edits),
        (None, Some(meta)) => {
            let meta = member("_meta", &[b"{", meta, b"}"].concat());
            added = super::members::joined(&[&added, &meta]);
        }
        (_, None) => {}
    }
    params.rewrite(text, out, &added, edits);
}

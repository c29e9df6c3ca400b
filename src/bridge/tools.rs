//! What lists of tools said: which parameters go into headers (`x-mcp-header`), which tools
//! are read-only, and which ones flags hide.

mod param_headers;

use super::call::Call;
use super::era::Era;
use crate::jsonrpc::object::{Items, find, get, splice, string};
use crate::jsonrpc::{Message, object};
use bytes::Bytes;
use param_headers::{ParamHeader, declared};
use reqwest::header::HeaderMap;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// How much of a tool's name is shown, in characters.
const NAME_SHOWN: usize = 100;

/// Which tools the client may see and call.
#[derive(Debug, Default)]
pub struct ToolFilter {
    /// Globs with `*`; empty allows all.
    pub allow: Vec<String>,
    /// Globs with `*`.
    pub ignore: Vec<String>,
    /// Only tools annotated `readOnlyHint`.
    pub read_only: bool,
}

impl ToolFilter {
    fn is_open(&self) -> bool {
        self.allow.is_empty() && self.ignore.is_empty() && !self.read_only
    }

    fn names_allow(&self, name: &str) -> bool {
        let matches = |glob: &String| glob_matches(glob.as_bytes(), name.as_bytes());
        (self.allow.is_empty() || self.allow.iter().any(matches))
            && !self.ignore.iter().any(matches)
    }
}

/// `*` stands for any run of characters, everything else for itself. Only the last `*` is
/// ever tried again: what an earlier one took can stay as it was.
fn glob_matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut at, mut taken) = (0, 0);
    let mut star = None;
    while taken < text.len() {
        match (glob.get(at), star) {
            (Some(b'*'), _) => {
                star = Some((at, taken));
                at += 1;
            }
            (Some(one), _) if *one == text[taken] => {
                at += 1;
                taken += 1;
            }
            (_, Some((position, from))) => {
                star = Some((position, from + 1));
                (at, taken) = (position + 1, from + 1);
            }
            (_, None) => return false,
        }
    }
    glob[at..].iter().all(|one| *one == b'*')
}

/// The tools of the remote as far as lists have shown them.
pub(super) struct Tools {
    filter: ToolFilter,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    param_headers: HashMap<String, Vec<ParamHeader>>,
    read_only: HashSet<String>,
}

/// What a list says of one tool.
struct Listed {
    range: Range<usize>,
    name: String,
    read_only: bool,
}

impl Tools {
    pub(super) fn new(filter: ToolFilter) -> Self {
        Self { filter, seen: Mutex::default() }
    }

    /// False if the flags keep the client from this tool.
    pub(super) fn may_call(&self, name: &str) -> bool {
        self.filter.names_allow(name)
            && (!self.filter.read_only || self.lock().read_only.contains(name))
    }

    /// Learns from the result of `tools/list` and returns its text without the tools that
    /// the client must not see; every other byte stays.
    pub(super) fn learn(&self, call: &Call, answer: &Message) -> Option<Bytes> {
        let modern = call.era == Era::Modern;
        if !modern && self.filter.is_open() {
            return None;
        }
        let first_page = call.message.params().is_none_or(|params| get(params, "cursor").is_none());
        let mut seen = self.lock();
        if first_page {
            *seen = Seen::default();
        }
        let text = answer.text();
        let array = find(text, answer.result_range()?.start, "tools")?;
        let tools: Vec<_> = Items::array(text, array.start).ok()?.map_while(Result::ok).collect();
        let ranges: Vec<_> = tools.into_iter().map(|tool| tool.value).collect();
        let mut hidden = Vec::with_capacity(ranges.len());
        for range in &ranges {
            let listed = listed(text, range.clone());
            hidden.push(listed.is_some_and(|tool| !self.keep(&mut seen, &tool, text, modern)));
        }
        hidden.contains(&true).then(|| without(text, &ranges, &hidden).into())
    }

    fn keep(&self, seen: &mut Seen, tool: &Listed, text: &[u8], modern: bool) -> bool {
        if tool.read_only {
            seen.read_only.insert(tool.name.clone());
        }
        if modern {
            match declared(&text[tool.range.clone()]) {
                Ok(headers) if headers.is_empty() => {}
                Ok(headers) => {
                    seen.param_headers.insert(tool.name.clone(), headers);
                }
                Err(why) => {
                    let name: String = tool.name.chars().take(NAME_SHOWN).collect();
                    tracing::warn!(tool = %name.escape_debug(), %why, "the tool is left out: its x-mcp-header is invalid");
                    return false;
                }
            }
        }
        self.filter.names_allow(&tool.name) && (!self.filter.read_only || tool.read_only)
    }

    /// Adds the `Mcp-Param-*` headers of a modern `tools/call`.
    pub(super) fn put_param_headers(&self, call: &Call, headers: &mut HeaderMap) {
        if call.message.method() != "tools/call" {
            return;
        }
        let seen = self.lock();
        let declared = call.name().and_then(|name| seen.param_headers.get(name));
        let (Some(declared), Some(arguments)) = (declared, call.arguments()) else { return };
        for header in declared {
            if let Some(value) = header.value(arguments) {
                headers.insert(header.name.clone(), value);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listed(text: &[u8], range: Range<usize>) -> Option<Listed> {
    let tool = &text[range.clone()];
    let name = string(get(tool, "name")?)?.into_owned();
    let annotations = object::get(tool, "annotations").unwrap_or_default();
    let read_only = get(annotations, "readOnlyHint") == Some(b"true");
    Some(Listed { range, name, read_only })
}

/// `text` without what is `hidden` of `all` elements of an array or members of an object.
pub(super) fn without(text: &[u8], all: &[Range<usize>], hidden: &[bool]) -> Vec<u8> {
    let first_kept = hidden.iter().position(|hidden| !hidden).unwrap_or(all.len());
    let mut edits: Vec<(Range<usize>, &[u8])> = Vec::new();
    for nth in (0..all.len()).filter(|&nth| hidden[nth]) {
        // With the comma on the side where a kept element remains.
        let range = if nth > first_kept {
            all[nth - 1].end..all[nth].end
        } else if nth + 1 < all.len() {
            all[nth].start..all[nth + 1].start
        } else {
            all[nth].clone()
        };
        edits.push((range, b""));
    }
    splice(text, &edits)
}

#[cfg(test)]
mod tests;

//! What the stand-in says. Pure: no I/O, no clock.

use super::List;
use crate::authorization::Link;
use crate::bridge::call::Call;
use crate::bridge::era::Era;
use crate::jsonrpc::Message;
use crate::jsonrpc::object::{Items, find, get, splice, string};
use bytes::Bytes;
use serde_json::json;

/// The legacy revisions, oldest first.
const VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
const LATEST: &str = VERSIONS[VERSIONS.len() - 1];
/// The modern revision where the client names none.
const MODERN: &str = "2026-07-28";
/// Names the subscription that a notification belongs to (MCP 2026-07-28, "Subscriptions").
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
/// The one tool of a stand-in.
pub(super) const SIGN_IN: &str = "sign_in";

/// Names the bridge's own elicitation in a modern result.
pub(super) const KEY: &str = "keyferry_sign_in";
/// Says of a retried call that the bridge was asked, not the server. Nothing is decided by it
/// but what is taken out of the call.
pub(super) const STATE: &str = "keyferry:sign-in";

/// The response to the raw `id`.
pub(super) fn response(id: &[u8], result: &[u8]) -> Bytes {
    [&br#"{"jsonrpc":"2.0","id":"#[..], id, br#","result":"#, result, b"}"].concat().into()
}

fn own_name() -> serde_json::Value {
    json!({"name": "keyferry", "version": env!("CARGO_PKG_VERSION")})
}

/// Everything that a client may want to ask later: what is not declared, it never asks for.
fn capabilities() -> serde_json::Value {
    let list = json!({"listChanged": true});
    json!({"tools": list, "prompts": list, "resources": list, "completions": {}, "logging": {}})
}

/// The result of `initialize`: what was last seen if there is that, else a stand-in.
pub(super) fn initialize(request: &Message, seen: Option<&[u8]>) -> Vec<u8> {
    let asked = request.params().and_then(|params| string(get(params, "protocolVersion")?));
    let known = VERSIONS.iter().find(|version| asked.as_deref() == Some(version));
    let version = known.copied().unwrap_or(LATEST);
    let Some(seen) = seen.filter(|seen| get(seen, "capabilities").is_some()) else {
        let made = json!({
            "protocolVersion": version, "capabilities": capabilities(), "serverInfo": own_name(),
        });
        return made.to_string().into_bytes();
    };
    let mut result = seen.to_vec();
    // A server answers with a version that the client did not ask for only if it is older.
    let older = get(seen, "protocolVersion").and_then(string).is_some_and(|seen| *seen < *version);
    if !older {
        result = with_member(&result, "protocolVersion", json!(version).to_string().as_bytes());
    }
    with_changes(result)
}

/// The lists may have changed since: the client has to look again after the sign-in.
fn with_changes(mut result: Vec<u8>) -> Vec<u8> {
    for name in ["tools", "prompts", "resources"] {
        let Some(capabilities) = get(&result, "capabilities") else { return result };
        let Some(one) = get(capabilities, name) else { continue };
        let one = with_member(one, "listChanged", b"true");
        result = with_member(&result, "capabilities", &with_member(capabilities, name, &one));
    }
    result
}

/// The result of `server/discover`: what was last seen if there is that, else a stand-in.
pub(super) fn discover(version: Option<&str>, seen: Option<&[u8]>) -> Vec<u8> {
    if let Some(seen) = seen.filter(|seen| get(seen, "supportedVersions").is_some()) {
        return with_changes(not_to_be_kept(seen));
    }
    let made = json!({
        "resultType": "complete",
        "supportedVersions": [version.unwrap_or(MODERN)],
        "capabilities": capabilities(),
        "_meta": {"io.modelcontextprotocol/serverInfo": own_name()},
    });
    not_to_be_kept(made.to_string().as_bytes())
}

/// A modern result as it may be shown once, for now (MCP 2026-07-28, "Caching").
pub(super) fn not_to_be_kept(result: &[u8]) -> Vec<u8> {
    let mut result = result.to_vec();
    if get(&result, "resultType").is_none() {
        result = with_member(&result, "resultType", br#""complete""#);
    }
    result = with_member(&result, "ttlMs", b"0");
    with_member(&result, "cacheScope", br#""private""#)
}

/// `object` with this value of the member `name`, all else untouched.
pub(super) fn with_member(object: &[u8], name: &str, value: &[u8]) -> Vec<u8> {
    if let Some(range) = find(object, 0, name) {
        return splice(object, &[(range, value)]);
    }
    let Some(brace) = memchr::memchr(b'{', object) else { return object.to_vec() };
    let empty = Items::object(object, 0).is_ok_and(|mut items| items.next().is_none());
    let comma = if empty { "" } else { "," };
    let member = [format!("\"{name}\":").as_bytes(), value, comma.as_bytes()].concat();
    splice(object, &[(brace + 1..brace + 1, &member)])
}

/// A list with nothing in it.
pub(super) fn empty_list(list: List, era: Era) -> Vec<u8> {
    let name = match list {
        List::Tools => "tools",
        List::Prompts => "prompts",
        List::Resources => "resources",
        List::Templates => "resourceTemplates",
    };
    of_era(json!({ (name): [] }).to_string().as_bytes(), era)
}

/// A list with the one tool that helps.
pub(super) fn sign_in_list(remote: &str, era: Era) -> Vec<u8> {
    let tool = json!({
        "name": SIGN_IN,
        "title": "Sign in",
        "description": format!(
            "Signs the user in to {remote}. Nobody is signed in there yet, so that its own tools \
             cannot be listed. Returns a link: show it to the user, who opens it in a browser. \
             The tools appear when the user has signed in."
        ),
        "inputSchema": {"type": "object"},
        "annotations": {
            "title": "Sign in",
            "readOnlyHint": false,
            "destructiveHint": false,
            "idempotentHint": true,
            "openWorldHint": true,
        },
    });
    of_era(json!({ "tools": [tool] }).to_string().as_bytes(), era)
}

/// The result of a list made here, with what its era wants in it.
pub(super) fn of_era(result: &[u8], era: Era) -> Vec<u8> {
    match era {
        Era::Legacy => result.to_vec(),
        Era::Modern => not_to_be_kept(result),
    }
}

/// The result of a tool that says `text`.
pub(super) fn said(text: &str, era: Era) -> Vec<u8> {
    let mut result = json!({"content": [{"type": "text", "text": text}]});
    if era == Era::Modern {
        result["resultType"] = json!("complete");
    }
    result.to_string().into_bytes()
}

fn to_sign_in(remote: &str, link: &Link) -> serde_json::Value {
    let code = link.user_code.as_deref().map(|code| format!(" and enter the code {code}"));
    let message =
        format!("Sign in to {remote}: open the link{}.", code.as_deref().unwrap_or_default());
    json!({"mode": "url", "url": link.url, "message": message})
}

/// The modern result that asks the person to sign in first.
pub(super) fn input_required(remote: &str, link: &Link) -> Vec<u8> {
    let request = json!({"method": "elicitation/create", "params": to_sign_in(remote, link)});
    let result = json!({
        "resultType": "input_required",
        "inputRequests": { (KEY): request },
        "requestState": STATE,
    });
    result.to_string().into_bytes()
}

/// The same as a request to a legacy client, under a raw id that is a string.
pub(super) fn elicitation(id: &[u8], remote: &str, link: &Link) -> Bytes {
    let mut params = to_sign_in(remote, link);
    params["elicitationId"] = json!(string(id).unwrap_or_default());
    let head = br#"{"jsonrpc":"2.0","id":"#;
    let method = br#","method":"elicitation/create","params":"#;
    [&head[..], id, method, params.to_string().as_bytes(), b"}"].concat().into()
}

/// The person has been there.
pub(super) fn elicitation_complete(id: &[u8]) -> Bytes {
    told("notifications/elicitation/complete", "elicitationId", id)
}

/// The bridge does not wait for an answer any more.
pub(super) fn cancelled(id: &[u8]) -> Bytes {
    told("notifications/cancelled", "requestId", id)
}

fn told(method: &str, name: &str, id: &[u8]) -> Bytes {
    let head = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"{name}":"#);
    [head.as_bytes(), id, b"}}"].concat().into()
}

/// The acknowledgement of `subscriptions/listen`: all is agreed to that a server may know.
pub(super) fn acknowledgement(listen: &Call) -> Option<Bytes> {
    let id = listen.message.id()?;
    let asked = listen.message.params().and_then(|params| get(params, "notifications"));
    let mut agreed = Vec::new();
    for name in ["toolsListChanged", "promptsListChanged", "resourcesListChanged"] {
        if asked.and_then(|asked| get(asked, name)) == Some(b"true") {
            agreed.push(format!("\"{name}\":true"));
        }
    }
    if let Some(uris) = asked.and_then(|asked| get(asked, "resourceSubscriptions"))
        && uris.starts_with(b"[")
    {
        agreed.push(format!("\"resourceSubscriptions\":{}", String::from_utf8_lossy(uris)));
    }
    let params = format!("\"notifications\":{{{}}},", agreed.join(","));
    Some(on_subscription("notifications/subscriptions/acknowledged", &params, &id))
}

/// The changes to announce on a `subscriptions/listen`, of those that it asks for.
pub(super) fn changes(listen: &Call) -> Vec<Bytes> {
    let (Some(id), Some(params)) = (listen.message.id(), listen.message.params()) else {
        return Vec::new();
    };
    let asked = get(params, "notifications").unwrap_or_default();
    let all = [
        ("toolsListChanged", List::Tools),
        ("promptsListChanged", List::Prompts),
        ("resourcesListChanged", List::Resources),
    ];
    all.into_iter()
        .filter(|(name, _)| get(asked, name) == Some(b"true"))
        .map(|(_, list)| on_subscription(list.changed(), "", &id))
        .collect()
}

/// The same, and that each subscribed resource may have been updated.
pub(super) fn missed(listen: &Call) -> Vec<Bytes> {
    let mut all = changes(listen);
    let params = listen.message.params();
    let uris = params
        .and_then(|params| get(params, "notifications"))
        .and_then(|asked| get(asked, "resourceSubscriptions"));
    let (Some(id), Some(uris)) = (listen.message.id(), uris) else { return all };
    for uri in Items::array(uris, 0).into_iter().flatten().flatten() {
        let params = format!("\"uri\":{},", String::from_utf8_lossy(&uris[uri.value]));
        all.push(on_subscription("notifications/resources/updated", &params, &id));
    }
    all
}

fn on_subscription(method: &str, params: &str, id: &[u8]) -> Bytes {
    let head = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{{params}"_meta":{{"#);
    let name = format!("\"{SUBSCRIPTION}\":");
    [head.as_bytes(), name.as_bytes(), id, b"}}}"].concat().into()
}

#[cfg(test)]
mod tests;

//! What a client reads off a line.

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    pub(super) jsonrpc: String,
    #[serde(borrow, default)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) method: Option<String>,
}

pub(super) fn envelope(line: &str) -> Envelope<'_> {
    let envelope: Envelope<'_> = serde_json::from_str(line)
        .unwrap_or_else(|error| panic!("no MCP message on stdout ({error}): {line:.400}"));
    assert_eq!(envelope.jsonrpc, "2.0", "{line:.400}");
    envelope
}

/// The spelled id of a response; `None` for anything else.
pub(crate) fn response_id(line: &str) -> Option<String> {
    let envelope = envelope(line);
    match (envelope.method, envelope.id) {
        (None, Some(id)) => Some(id.get().to_owned()),
        _ => None,
    }
}

pub(crate) fn initialize_params(version: &str) -> String {
    format!(
        r#"{{"protocolVersion":"{version}","capabilities":{{"roots":{{"listChanged":true}},"sampling":{{}}}},"clientInfo":{{"name":"it","version":"1.10"}}}}"#
    )
}

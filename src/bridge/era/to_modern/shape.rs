//! Shapes that legacy clients do not know: tools that may become tasks are marked for those who
//! do, and structured content is an object or not there (MCP 2025-11-25, "Tools").

use super::members::{Edits, Object, quoted};
use crate::jsonrpc::object::{Items, string};

/// Edits each tool of a list. `tasks`: the client may call them as tasks.
pub(super) fn tools(text: &[u8], result: &Object, tasks: bool, edits: &mut Edits) {
    let Some(array) = result.value(text, "tools") else { return };
    for tool in Items::array(text, array.start).into_iter().flatten().map_while(Result::ok) {
        let Some(tool) = Object::read(text, tool.value.start) else { continue };
        // A strict client would throw the whole list away for one such schema.
        let odd = tool.value(text, "outputSchema").is_some_and(|schema| {
            let kind = Object::read(text, schema.start);
            let kind = kind.and_then(|schema| string(schema.get(text, "type")?));
            kind.as_deref() != Some("object")
        });
        let out: &[&str] = if odd { &["outputSchema"] } else { &[] };
        let execution = tool.value(text, "execution").and_then(|at| Object::read(text, at.start));
        let front: &[u8] = match execution {
            _ if !tasks => b"",
            Some(execution) => {
                if execution.get(text, "taskSupport").is_none() {
                    execution.rewrite(text, &[], br#""taskSupport":"optional""#, edits);
                }
                b""
            }
            None => br#""execution":{"taskSupport":"optional"}"#,
        };
        tool.rewrite(text, out, front, edits);
    }
}

/// Edits the result of a tool. Returns what does not go along.
pub(super) fn call_result(
    text: &[u8],
    result: &Object,
    edits: &mut Edits,
) -> &'static [&'static str] {
    let structured = result.get(text, "structuredContent").filter(|raw| !raw.starts_with(b"{"));
    let Some(structured) = structured else { return &["resultType"] };
    // Servers should say the same in a text. Where this one does not, it would be lost.
    if let Some(content) = result.value(text, "content")
        && Items::array(text, content.start).is_ok_and(|mut items| items.next().is_none())
    {
        let said = quoted(&String::from_utf8_lossy(structured));
        let block = [&br#"[{"type":"text","text":"#[..], &said, b"}]"].concat();
        edits.replace(content, block);
    }
    &["resultType", "structuredContent"]
}

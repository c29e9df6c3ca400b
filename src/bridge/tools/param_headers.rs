//! `x-mcp-header` in a tool's input schema (MCP 2026-07-28, "Custom Headers from Tool
//! Parameters").

use crate::jsonrpc::object::{get, string};
use crate::transport::metadata::encode;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

const ANNOTATION: &str = "x-mcp-header";
/// Largest integer that a header may carry: 2^53 - 1.
const SAFE_INTEGER: i64 = (1 << 53) - 1;

/// One parameter that is mirrored into a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ParamHeader {
    /// `mcp-param-...`.
    pub(super) name: HeaderName,
    /// The keys that lead to the value in the arguments.
    path: Vec<String>,
}

impl ParamHeader {
    /// The header's value for these arguments; none where the argument is absent or null.
    pub(super) fn value(&self, arguments: &[u8]) -> Option<HeaderValue> {
        let raw = self.path.iter().try_fold(arguments, |object, key| get(object, key))?;
        match raw.first()? {
            b'"' => string(raw).map(|text| encode(&text)),
            b't' | b'f' => HeaderValue::from_bytes(raw).ok(),
            b'-' | b'0'..=b'9' => HeaderValue::from_str(&integer(raw)?).ok(),
            _ => None,
        }
    }
}

/// The decimal form of a JSON number that is a safe integer, however it is spelled.
fn integer(raw: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(raw).ok()?;
    let whole = text.parse::<i64>().ok().or_else(|| {
        let number = text.parse::<f64>().ok()?;
        (number.fract() == 0.0 && number.abs() <= SAFE_INTEGER as f64).then_some(number as i64)
    })?;
    (whole.unsigned_abs() <= SAFE_INTEGER.unsigned_abs()).then(|| whole.to_string())
}

/// The headers that a tool declares.
///
/// # Errors
/// What is wrong with an annotation; such a tool must be left out of the list.
pub(super) fn declared(tool: &[u8]) -> Result<Vec<ParamHeader>, String> {
    let Some(schema) = get(tool, "inputSchema") else { return Ok(Vec::new()) };
    if memchr::memmem::find(schema, ANNOTATION.as_bytes()).is_none() {
        return Ok(Vec::new());
    }
    let schema: Value = serde_json::from_slice(schema).map_err(|_| "its schema cannot be read")?;
    let mut found = Vec::new();
    walk(&schema, &mut Vec::new(), true, &mut found)?;
    let mut names: Vec<_> = found.iter().map(|header| header.name.as_str()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("two parameters share one header".into());
    }
    Ok(found)
}

/// `reachable`: the way from the root leads through `properties` alone.
fn walk(
    schema: &Value,
    path: &mut Vec<String>,
    reachable: bool,
    found: &mut Vec<ParamHeader>,
) -> Result<(), String> {
    match schema {
        Value::Array(elements) => elements.iter().try_for_each(|one| walk(one, path, false, found)),
        Value::Object(members) => {
            if let Some(annotation) = members.get(ANNOTATION) {
                if !reachable || path.is_empty() {
                    return Err("it stands where no argument is found by property names".into());
                }
                found.push(ParamHeader { name: name(annotation, members)?, path: path.clone() });
            }
            members.iter().try_for_each(|(key, member)| match (key.as_str(), member) {
                ("properties", Value::Object(properties)) => {
                    walk_properties(properties, path, reachable, found)
                }
                // Plain data, where the word has no meaning of its own.
                (ANNOTATION | "const" | "enum" | "default" | "examples" | "required", _) => Ok(()),
                _ => walk(member, path, false, found),
            })
        }
        _ => Ok(()),
    }
}

fn walk_properties(
    properties: &Map<String, Value>,
    path: &mut Vec<String>,
    reachable: bool,
    found: &mut Vec<ParamHeader>,
) -> Result<(), String> {
    for (key, schema) in properties {
        path.push(key.clone());
        walk(schema, path, reachable, found)?;
        path.pop();
    }
    Ok(())
}

fn name(annotation: &Value, schema: &Map<String, Value>) -> Result<HeaderName, String> {
    let name = annotation.as_str().ok_or("it is no string")?;
    if name.is_empty() {
        return Err("it is empty".into());
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string" | "integer" | "boolean") => {}
        _ => return Err("its parameter is neither string, integer nor boolean".into()),
    }
    HeaderName::try_from(format!("mcp-param-{name}")).map_err(|_| "it is no header name".into())
}

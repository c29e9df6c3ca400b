//! What a refusal says of the era of the remote that made it (MCP 2026-07-28, "Backward
//! Compatibility" of Streamable HTTP and of stdio).

use super::Era;
use crate::jsonrpc::Message;
use crate::jsonrpc::object::{Items, get, string};

const HEADER_MISMATCH: i64 = -32020;
const MISSING_CAPABILITY: i64 = -32021;
const UNSUPPORTED_VERSION: i64 = -32022;
const METHOD_NOT_FOUND: i64 = -32601;
/// The first modern revision.
const MODERN: &str = "2026-07-28";

/// Whether the remote speaks the other era than the one it was spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Sign {
    /// Nothing points to that.
    Nothing,
    /// It may; the other one is worth a try.
    Perhaps,
    /// It says so.
    Certain,
}

/// A message was refused with this HTTP status (200 for a JSON-RPC error that came as a proper
/// answer), perhaps with a JSON-RPC error.
pub(in super::super) fn of_refusal(
    era: Era,
    method: &str,
    status: u16,
    error: Option<&Message>,
) -> Sign {
    match era {
        Era::Legacy => of_legacy(method, status, error),
        Era::Modern => of_modern(method, status, error),
    }
}

/// A modern server names the versions that it speaks in its error to `initialize`, or misses
/// what modern messages carry, or does not know the method.
fn of_legacy(method: &str, status: u16, error: Option<&Message>) -> Sign {
    let code = error.and_then(Message::error_code);
    let named = error.map(Versions::named).unwrap_or_default();
    let handshake = method == "initialize";
    match code {
        // One that speaks an older version than the client wants says so, too.
        _ if handshake && named.legacy && !named.modern => Sign::Nothing,
        Some(UNSUPPORTED_VERSION) if named.modern || handshake => Sign::Certain,
        Some(HEADER_MISMATCH | MISSING_CAPABILITY) => Sign::Certain,
        _ if !handshake => Sign::Nothing,
        _ if named.modern => Sign::Certain,
        Some(METHOD_NOT_FOUND) if status == 404 => Sign::Certain,
        Some(-32700..=-32600 | -32019..=-32000) if refuses(status) => Sign::Perhaps,
        None if refuses(status) && status != 200 => Sign::Perhaps,
        _ => Sign::Nothing,
    }
}

fn of_modern(method: &str, status: u16, error: Option<&Message>) -> Sign {
    let code = error.and_then(Message::error_code);
    let discover = method == "server/discover";
    match code {
        Some(UNSUPPORTED_VERSION) => {
            let named = error.map(Versions::named).unwrap_or_default();
            if named.legacy && !named.modern { Sign::Certain } else { Sign::Nothing }
        }
        Some(HEADER_MISMATCH | MISSING_CAPABILITY) => Sign::Nothing,
        // Every modern server has it.
        Some(METHOD_NOT_FOUND) if discover => Sign::Certain,
        Some(METHOD_NOT_FOUND) if status == 404 => Sign::Nothing,
        // Anything else may have been executed, and answered so.
        Some(_) if status == 200 && !discover => Sign::Nothing,
        // A result that names no version.
        None if status == 200 && discover => Sign::Certain,
        Some(-32603..=-32602) if !discover => Sign::Nothing,
        Some(-32700..=-32600 | -32019..=-32000) if refuses(status) => Sign::Perhaps,
        None if refuses(status) && status != 200 => Sign::Perhaps,
        _ => Sign::Nothing,
    }
}

/// Statuses with which a server refuses what it does not understand.
fn refuses(status: u16) -> bool {
    matches!(status, 200 | 400 | 404 | 405 | 406 | 415)
}

/// The versions that an error names as `data.supported`.
#[derive(Default)]
struct Versions {
    legacy: bool,
    modern: bool,
}

impl Versions {
    fn named(error: &Message) -> Self {
        let mut named = Self::default();
        let data = error.error().and_then(|error| get(error, "data"));
        let Some(list) = data.and_then(|data| get(data, "supported")) else { return named };
        for item in Items::array(list, 0).into_iter().flatten().flatten() {
            match string(&list[item.value]) {
                Some(version) if *version >= *MODERN => named.modern = true,
                Some(_) => named.legacy = true,
                None => {}
            }
        }
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(era: Era, method: &str, status: u16, error: &str) -> Sign {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#);
        let message = Message::read(text.into()).unwrap();
        of_refusal(era, method, status, Some(&message))
    }

    #[test]
    fn a_modern_server_is_told_from_a_legacy_one_by_how_it_refuses_a_handshake() {
        for (status, error, expected) in [
            (
                400,
                r#"{"code":-32022,"message":"","data":{"supported":["2026-07-28"]}}"#,
                Sign::Certain,
            ),
            (
                400,
                r#"{"code":-32022,"message":"","data":{"supported":["2025-06-18"]}}"#,
                Sign::Nothing,
            ),
            (
                200,
                r#"{"code":-32602,"message":"","data":{"supported":["2025-06-18"]}}"#,
                Sign::Nothing,
            ),
            (400, r#"{"code":-32020,"message":""}"#, Sign::Certain),
            (404, r#"{"code":-32601,"message":""}"#, Sign::Certain),
            (200, r#"{"code":-32601,"message":""}"#, Sign::Perhaps),
            (400, r#"{"code":-32000,"message":""}"#, Sign::Perhaps),
            (200, r#"{"code":-31999,"message":""}"#, Sign::Nothing),
            (503, r#"{"code":-32600,"message":""}"#, Sign::Nothing),
        ] {
            assert_eq!(
                sign(Era::Legacy, "initialize", status, error),
                expected,
                "{status} {error}"
            );
        }
        assert_eq!(
            sign(Era::Legacy, "tools/call", 400, r#"{"code":-32600,"message":""}"#),
            Sign::Nothing
        );
        assert_eq!(
            sign(Era::Legacy, "tools/call", 400, r#"{"code":-32020,"message":""}"#),
            Sign::Certain
        );
        for (status, expected) in [(400, Sign::Perhaps), (405, Sign::Perhaps), (500, Sign::Nothing)]
        {
            assert_eq!(of_refusal(Era::Legacy, "initialize", status, None), expected);
        }
    }

    #[test]
    fn a_legacy_server_is_told_from_a_modern_one_by_how_it_refuses_a_modern_message() {
        for (method, status, error, expected) in [
            ("server/discover", 200, r#"{"code":-32601,"message":""}"#, Sign::Certain),
            ("server/discover", 400, r#"{"code":-32000,"message":"no session"}"#, Sign::Perhaps),
            ("tools/list", 404, r#"{"code":-32601,"message":""}"#, Sign::Nothing),
            ("tools/list", 200, r#"{"code":-32602,"message":""}"#, Sign::Nothing),
            ("prompts/get", 400, r#"{"code":-32602,"message":""}"#, Sign::Nothing),
            ("tools/call", 400, r#"{"code":-32021,"message":""}"#, Sign::Nothing),
            (
                "tools/call",
                400,
                r#"{"code":-32022,"message":"","data":{"supported":["2025-11-25"]}}"#,
                Sign::Certain,
            ),
            (
                "tools/call",
                400,
                r#"{"code":-32022,"message":"","data":{"supported":["2026-07-28","2025-11-25"]}}"#,
                Sign::Nothing,
            ),
        ] {
            assert_eq!(
                sign(Era::Modern, method, status, error),
                expected,
                "{method} {status} {error}"
            );
        }
        for (status, expected) in [(400, Sign::Perhaps), (404, Sign::Perhaps), (502, Sign::Nothing)]
        {
            assert_eq!(of_refusal(Era::Modern, "tools/call", status, None), expected);
        }
    }
}

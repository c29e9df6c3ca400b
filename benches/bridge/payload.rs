//! What goes over the wire: request lines, and results of a given size.

use std::fmt::Write;
use std::sync::OnceLock;
use std::time::Instant;

pub(crate) const KB: usize = 1_000;
pub(crate) const MB: usize = 1_000_000;

pub(crate) const INITIALIZE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"#,
    r#""protocolVersion":"2025-11-25","capabilities":{},"#,
    r#""clientInfo":{"name":"bench","version":"1"}}}"#,
    "\n"
);
pub(crate) const INITIALIZED: &str =
    concat!(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, "\n");
/// A call as a client of the modern era sends it.
pub(crate) const MODERN_CALL: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{},"#,
    r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
    r#""io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"#,
    r#""io.modelcontextprotocol/clientCapabilities":{}}}}"#,
    "\n"
);

/// One line: a call of the server's tool `name`.
pub(crate) fn call(id: usize, name: &str, arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{name}","arguments":{{{arguments}}}}}}}"#
    ) + "\n"
}

/// The id of a message written as this bench's client and server write them.
pub(crate) fn id_of(line: &[u8]) -> Option<usize> {
    let digits = line.strip_prefix(br#"{"jsonrpc":"2.0","id":"#)?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// The number that follows `key` in a line.
pub(crate) fn number_after(line: &[u8], key: &str) -> Option<u64> {
    let start = memchr::memmem::find(line, key.as_bytes())? + key.len();
    let digits = &line[start..];
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// The inside of a JSON string of exactly `bytes` bytes, as tools return it: in turn a row of JSON
/// (JSON within JSON, an escape every few bytes), a few lines of code and a paragraph of prose.
/// On the whole one escape in 13 bytes (quotes, newlines, tabs, backslashes, a `\u`), and some
/// letters that are not ASCII: finding the end of it costs what it costs in earnest.
pub(crate) fn text(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 1_000);
    let mut row = 0_usize;
    loop {
        let before = text.len();
        let _ = write!(
            text,
            concat!(
                r#"{{\"row\":{row},\"name\":\"Zo\u00eb Łukasz, 東京 №{short}\",\"file\":\"src\\\\page{row}.md\","#,
                r#"\"state\":\"open\",\"score\":-{short}.50e3,\"tags\":[\"ferry\",\"night\"]}}\n"#,
                r#"fn leave(at: u32) -> Result<(), Late> {{\n\tif at > {row} {{\n\t\treturn Err(Late {{ at }});\n\t}}\n"#,
                r#"\tprintln!(\"leaves at {{at}}, pier {short}\");\n\tOk(())\n}}\n"#,
                r#"The ferry leaves at {short} past. Whoever is not on board by then waits for the next one; "#,
                r#"the café on the pier is open until the last crossing, and what is said there about the "#,
                r#"weather is “as good as any forecast”, according to the crew.\n\n"#
            ),
            row = row,
            short = row % 60
        );
        if text.len() > bytes {
            text.truncate(before);
            break;
        }
        row += 1;
    }
    text.extend(std::iter::repeat_n('x', bytes - text.len()));
    text
}

/// Nanoseconds since the bench began; server and driver share the clock.
pub(crate) fn now() -> u64 {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    BEGIN.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

//! Finds the id of a message too large to keep, while its bytes are thrown away.

/// Longest key or id that is of interest, in bytes.
const LONGEST: usize = 1024;

/// Reads a line piece by piece and remembers the outermost `id`, and whether there is a
/// `method`. Knows just enough grammar for that; the line is never kept.
#[derive(Debug, Default)]
pub struct OversizeLine {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The token under way at the outermost level, raw.
    token: Vec<u8>,
    /// The key whose value comes next.
    key: Option<Vec<u8>>,
    id: Option<Vec<u8>>,
    has_method: bool,
    ids: usize,
}

impl OversizeLine {
    /// Takes the next piece of the line.
    pub fn feed(&mut self, piece: &[u8]) {
        for &byte in piece {
            self.step(byte);
        }
    }

    /// The raw id if the line was a request whose id stands once and is no null.
    pub fn request_id(self) -> Option<Vec<u8>> {
        // What was put together here is echoed: it must be the one JSON value it claims to be.
        let whole = |id: &Vec<u8>| {
            std::str::from_utf8(id).is_ok() && super::skip_value(id, 0) == Ok(id.len())
        };
        let id = self.id.filter(|id| self.has_method && self.ids == 1 && super::id::is_valid(id));
        id.filter(whole)
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            self.keep(byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.keep(byte);
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.end_member();
                self.depth = self.depth.saturating_sub(1);
            }
            b':' if self.depth == 1 => self.key = Some(std::mem::take(&mut self.token)),
            b',' => self.end_member(),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => self.keep(byte),
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.depth == 1 && self.token.len() < LONGEST {
            self.token.push(byte);
        }
    }

    fn end_member(&mut self) {
        if self.depth != 1 {
            return;
        }
        let value = std::mem::take(&mut self.token);
        let Some(key) = self.key.take() else { return };
        match super::object::string(&key).as_deref() {
            Some("id") => {
                self.ids += 1;
                self.id = Some(value).filter(|value| value.len() < LONGEST);
            }
            Some("method") => self.has_method = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OversizeLine;

    fn id_of(line: &str) -> Option<String> {
        let mut reader = OversizeLine::default();
        for piece in line.as_bytes().chunks(3) {
            reader.feed(piece);
        }
        reader.request_id().map(|id| String::from_utf8(id).unwrap())
    }

    #[test]
    fn the_id_is_found_wherever_it_stands() {
        let params = r#""params":{"id":7,"a":["}\"",{"id":8}]}"#;
        let first = format!(r#"{{"id":"a\"b","method":"m",{params}}}"#);
        assert_eq!(id_of(&first).as_deref(), Some(r#""a\"b""#));
        let last = format!(r#"{{"method":"m",{params},"jsonrpc":"2.0", "id" : 42 }}"#);
        assert_eq!(id_of(&last).as_deref(), Some("42"));
    }

    #[test]
    fn what_is_no_request_has_no_id_to_answer() {
        assert_eq!(id_of(r#"{"id":1,"result":{}}"#), None);
        assert_eq!(id_of(r#"{"method":"m","params":{"id":1}}"#), None);
        assert_eq!(id_of(r#"{"method":"m","id":null}"#), None);
        assert_eq!(id_of(r#"{"method":"m","id":1,"id":2}"#), None);
        assert_eq!(id_of(r#"{"method":"m","id":1x}"#), None);
        assert_eq!(id_of(r#"{"method":"m","id":-}"#), None);
    }
}

//! Walks over JSON text (RFC 8259) without building anything: the cost is one
//! look at each byte, long strings at the speed of `memchr`.

/// How deep arrays and objects may nest; deeper text is refused as malformed.
pub const MAX_DEPTH: usize = 512;

/// The text is no JSON value, or nests deeper than [`MAX_DEPTH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Byte offset at which the text stops making sense.
    pub at: usize,
}

/// One bit for each open bracket: set for an object, clear for an array.
struct Nesting {
    bits: [u64; MAX_DEPTH / 64],
    depth: usize,
}

impl Nesting {
    fn push(&mut self, object: bool, at: usize) -> Result<(), Malformed> {
        if self.depth == MAX_DEPTH {
            return Err(Malformed { at });
        }
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        if object {
            self.bits[word] |= bit;
        } else {
            self.bits[word] &= !bit;
        }
        self.depth += 1;
        Ok(())
    }

    fn in_object(&self) -> bool {
        let top = self.depth - 1;
        self.bits[top / 64] & (1 << (top % 64)) != 0
    }
}

/// The offset right behind the value that starts at `at` (white space before it is allowed).
///
/// # Errors
/// [`Malformed`] where the text leaves the grammar of RFC 8259.
pub fn skip_value(text: &[u8], at: usize) -> Result<usize, Malformed> {
    let mut open = Nesting { bits: [0; MAX_DEPTH / 64], depth: 0 };
    let mut at = skip_space(text, at);
    loop {
        match text.get(at) {
            Some(b'{') => {
                open.push(true, at)?;
                at = skip_space(text, at + 1);
                if text.get(at) != Some(&b'}') {
                    at = skip_key(text, at)?;
                    continue;
                }
            }
            Some(b'[') => {
                open.push(false, at)?;
                at = skip_space(text, at + 1);
                if text.get(at) != Some(&b']') {
                    continue;
                }
            }
            _ => at = skip_scalar(text, at)?,
        }
        match close_brackets(text, at, &mut open)? {
            (end, true) => return Ok(end),
            (next, false) => at = next,
        }
    }
}

/// Behind a value: closes what ends here. True when the outermost value is complete,
/// else the offset of the next value.
fn close_brackets(
    text: &[u8],
    mut at: usize,
    open: &mut Nesting,
) -> Result<(usize, bool), Malformed> {
    while open.depth > 0 {
        at = skip_space(text, at);
        match text.get(at) {
            Some(b',') => {
                at = skip_space(text, at + 1);
                if open.in_object() {
                    at = skip_key(text, at)?;
                }
                return Ok((at, false));
            }
            Some(b'}') if open.in_object() => open.depth -= 1,
            Some(b']') if !open.in_object() => open.depth -= 1,
            _ => return Err(Malformed { at }),
        }
        at += 1;
    }
    Ok((at, true))
}

/// A member's key, the colon and the white space around it.
fn skip_key(text: &[u8], at: usize) -> Result<usize, Malformed> {
    let at = skip_space(text, skip_string(text, at)?);
    match text.get(at) {
        Some(b':') => Ok(skip_space(text, at + 1)),
        _ => Err(Malformed { at }),
    }
}

fn skip_scalar(text: &[u8], at: usize) -> Result<usize, Malformed> {
    match text.get(at) {
        Some(b'"') => skip_string(text, at),
        Some(b'-' | b'0'..=b'9') => skip_number(text, at),
        Some(b't') => skip_literal(text, at, b"true"),
        Some(b'f') => skip_literal(text, at, b"false"),
        Some(b'n') => skip_literal(text, at, b"null"),
        _ => Err(Malformed { at }),
    }
}

fn skip_literal(text: &[u8], at: usize, literal: &[u8]) -> Result<usize, Malformed> {
    if text[at..].starts_with(literal) { Ok(at + literal.len()) } else { Err(Malformed { at }) }
}

/// The offset of the first byte at or behind `at` that is no JSON white space.
pub(super) fn skip_space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// The offset behind the closing quote of the string that starts at `at`.
///
/// In a text full of escapes, as JSON within JSON is, `memchr` would have to begin anew every
/// few bytes. Here a block of a long string costs a few vector instructions and one branch,
/// escapes in it or not.
pub(super) fn skip_string(text: &[u8], at: usize) -> Result<usize, Malformed> {
    if text.get(at) != Some(&b'"') {
        return Err(Malformed { at });
    }
    let mut at = at + 1;
    loop {
        // Most strings are short; and what a block does not settle is settled here.
        let settled = at + BLOCK / 2;
        while at < settled || text[at - 1] == b'\\' {
            if let Some(word) = text[at..].first_chunk() {
                let found = ends_run(u64::from_le_bytes(*word));
                if found == 0 {
                    at += 8;
                    continue;
                }
                at += (found.trailing_zeros() / 8) as usize;
            }
            match text.get(at) {
                Some(b'"') => return Ok(at + 1),
                Some(b'\\') => at = skip_escape(text, at + 1)?,
                Some(0x20..) => at += 1,
                _ => return Err(Malformed { at }),
            }
        }
        let from = at;
        while let Some(block) = text[at - 1..].first_chunk()
            && goes_on(block)
        {
            at += BLOCK;
        }
        // A backslash at the end of the last block has not met what it escapes.
        if at > from && text[at - 1] == b'\\' {
            at -= 1;
        }
    }
}

/// A high bit in the lowest byte of `word` that is a quote, a backslash or a control character;
/// bits above it mean nothing. Zero if there is none.
fn ends_run(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (is(b'"') | is(b'\\') | below(word, 0x20)) & (ONES << 7)
}

const BLOCK: usize = 32;

/// True if a string that has reached the second byte of `block` goes on behind its last one:
/// no bare quote, no control character, and after each backslash one of the letters that need
/// no second look. The first byte, if it is a backslash, escapes the second.
fn goes_on(block: &[u8; BLOCK + 1]) -> bool {
    let mut ends = false;
    // No early exit: the compiler turns this into vector code.
    for at in 0..BLOCK {
        let (before, byte) = (block[at], block[at + 1]);
        let escaped = before == b'\\';
        let bare = (byte >= 0x20) & (byte != b'"');
        let named = (byte == b'"') | (byte == b'n') | (byte == b't') | (byte == b'r');
        let named = named | (byte == b'/') | (byte == b'b') | (byte == b'f');
        ends |= (escaped & !named) | (!escaped & !bare);
    }
    !ends
}

fn skip_escape(text: &[u8], at: usize) -> Result<usize, Malformed> {
    match text.get(at) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 1),
        Some(b'u') => match text.get(at + 1..at + 5) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(at + 5),
            _ => Err(Malformed { at }),
        },
        _ => Err(Malformed { at }),
    }
}

fn skip_number(text: &[u8], at: usize) -> Result<usize, Malformed> {
    let mut at = if text[at] == b'-' { at + 1 } else { at };
    at = match text.get(at) {
        Some(b'0') => at + 1,
        _ => skip_digits(text, at)?,
    };
    if text.get(at) == Some(&b'.') {
        at = skip_digits(text, at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = text.get(at) {
            at += 1;
        }
        at = skip_digits(text, at)?;
    }
    Ok(at)
}

fn skip_digits(text: &[u8], at: usize) -> Result<usize, Malformed> {
    let digits = text[at.min(text.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 { Err(Malformed { at }) } else { Ok(at + digits) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(text: &[u8]) -> bool {
        skip_value(text, 0).is_ok_and(|end| skip_space(text, end) == text.len())
    }

    #[test]
    fn the_grammar_is_that_of_rfc_8259() {
        for good in [
            "1e400",
            "-0",
            "12345678901234567890123",
            "1.10",
            "\"\\ud83d\"",
            "[]",
            "{}",
            " { \"a\" : [ 1 , { } , null ] } ",
            "\"\u{e9}\\n\"",
            "[[[]],[]]",
            "1E+2",
        ] {
            assert!(whole(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "tru",
            "[1,]",
            "{,}",
            "{\"a\"}",
            "{\"a\":1,}",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "[1}",
            "{\"a\":1]",
            "[",
            "\"",
            "nul",
            "- 1",
            "[1 2]",
        ] {
            assert!(!whole(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn nesting_is_bounded_without_recursion() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(whole(&nested(MAX_DEPTH)));
        assert!(!whole(&nested(MAX_DEPTH + 1)));
        assert!(!whole(&vec![b'['; 10_000_000]));
    }

    /// Long runs between what matters, so that whole blocks are taken.
    fn long_string() -> impl Strategy<Value = String> {
        let run = "abcdefghijklmnopqrstuvwxyz\u{e9}0123456789";
        let token = prop::sample::select(vec![
            "\\\"", "\\\\", "\\n", "\\/", "\\u00e9", "\\u12g4", "\\x", "\\", "\"", "\n", "\t", "a",
            run, run, run,
        ]);
        prop::collection::vec(token, 0..32).prop_map(|tokens| format!("\"{}\"", tokens.concat()))
    }

    fn jsonish() -> impl Strategy<Value = String> {
        let token = prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\\", "a", "0", "1", "-", ".", "e", "+", "true",
            "null", " ", "\n", "\\u00e9", "\"a\"", "\"a\":", "\u{e9}", "\u{1}",
        ]);
        prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
    }

    proptest! {
        #[test]
        fn exactly_what_serde_json_accepts_is_accepted(text in jsonish()) {
            let reference = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(whole(text.as_bytes()), reference, "{}", text);
        }

        #[test]
        fn long_strings_end_where_serde_json_says(text in long_string(), tail in "[ -~]{0,70}") {
            let mut stream = serde_json::Deserializer::from_str(&text)
                .into_iter::<serde::de::IgnoredAny>();
            let reference = matches!(stream.next(), Some(Ok(_))).then(|| stream.byte_offset());
            prop_assert_eq!(skip_string(text.as_bytes(), 0).ok(), reference, "{}", text);
            let longer = text.clone() + &tail;
            if let Some(end) = reference {
                prop_assert_eq!(skip_string(longer.as_bytes(), 0), Ok(end), "{}", longer);
            }
        }

        #[test]
        fn any_bytes_are_walked_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = skip_value(&bytes, 0);
        }
    }
}

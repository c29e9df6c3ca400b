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
pub(super) fn skip_string(text: &[u8], at: usize) -> Result<usize, Malformed> {
    if text.get(at) != Some(&b'"') {
        return Err(Malformed { at });
    }
    let mut at = at + 1;
    loop {
        let found =
            memchr::memchr2(b'"', b'\\', &text[at..]).ok_or(Malformed { at: text.len() })?;
        let plain = &text[at..at + found];
        // No early exit: the compiler turns this into vector code.
        if plain.iter().fold(false, |control, &byte| control | (byte < 0x20)) {
            return Err(Malformed { at });
        }
        at += found + 1;
        if text[at - 1] == b'"' {
            return Ok(at);
        }
        at = skip_escape(text, at)?;
    }
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
        fn any_bytes_are_walked_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = skip_value(&bytes, 0);
        }
    }
}

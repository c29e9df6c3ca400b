//! Values inside JSON that holds secrets, without a copy of the rest.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;
use zeroize::Zeroizing;

/// Whether this is a JSON pointer (RFC 6901 section 3).
pub(super) fn is_pointer(text: &str) -> bool {
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    escapes && (text.is_empty() || text.starts_with('/'))
}

/// The value that `pointer` names (RFC 6901 section 4).
pub(super) fn at<'a>(json: &'a str, pointer: &str) -> Option<&'a str> {
    let mut value = borrowed::<&RawValue>(json)?.get();
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        value = match value.as_bytes().first()? {
            b'{' => borrowed::<HashMap<String, &RawValue>>(value)?.get(token.as_str())?.get(),
            b'[' => borrowed::<Vec<&RawValue>>(value)?.get(token.parse::<usize>().ok()?)?.get(),
            _ => return None,
        };
    }
    Some(value)
}

/// The same for a string that is not empty.
pub(super) fn text(json: &str, pointer: &str) -> Option<Zeroizing<String>> {
    let text: String = borrowed(at(json, pointer)?)?;
    let text = Zeroizing::new(text);
    (!text.trim().is_empty()).then_some(text)
}

fn borrowed<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    serde_json::from_str(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_names_a_value() {
        let json = r#" {"a":{"b/c":[1,{"~":"x"}]},"":"y","n":7,"e":" ","u":"\u0041"} "#;
        let at = |pointer| at(json, pointer);
        assert_eq!(at("/a/b~1c/1/~0"), Some(r#""x""#));
        assert_eq!(at("/a/b~1c/0"), Some("1"));
        assert_eq!(at("/"), Some(r#""y""#));
        assert_eq!(at("").map(str::len), Some(json.trim().len()));
        for nowhere in ["/a/x", "/a/b~1c/2", "/a/b~1c/x", "/n/x", "/a/b~1c/-"] {
            assert_eq!(at(nowhere), None, "{nowhere}");
        }
        let text = |pointer| text(json, pointer).map(|text| text.as_str().to_owned());
        assert_eq!(text("/u").as_deref(), Some("A"));
        assert_eq!([text("/n"), text("/e"), text("/a")], [None, None, None]);
        assert_eq!(super::at("no JSON", "/a"), None);
    }

    #[test]
    fn a_pointer_is_told_from_another_text() {
        assert!(["", "/", "/token", "/a~0b/~1"].into_iter().all(is_pointer));
        assert!(!["token", "$.token", "/a~2", "/a~"].into_iter().any(is_pointer));
    }
}

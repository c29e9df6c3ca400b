//! What a person can read of an HTTP body, and of a request that failed.

use std::error::Error;

/// The text of a body: of HTML only what a browser would show.
pub fn readable(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(16 * 1024)]);
    if !text.trim_start().starts_with('<') {
        return text.into_owned();
    }
    let mut shown = String::new();
    let mut hidden_until = None;
    for piece in text.split('<') {
        let (tag, after) = piece.split_once('>').unwrap_or(("", piece));
        let name: String = tag.chars().take_while(|c| c.is_alphanumeric() || *c == '/').collect();
        match (hidden_until, name.to_ascii_lowercase().as_str()) {
            (Some(end), found) if found == end => hidden_until = None,
            (Some(_), _) => continue,
            (None, "script") => hidden_until = Some("/script"),
            (None, "style") => hidden_until = Some("/style"),
            (None, _) => {}
        }
        if hidden_until.is_none() {
            shown.push(' ');
            shown.push_str(after);
        }
    }
    shown
}

/// The innermost reason of a failed request, without its URL, which may hold secrets.
pub fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    let mut text = None;
    while let Some(source) = innermost.source() {
        innermost = source;
        text = Some(innermost.to_string());
    }
    text.unwrap_or_else(|| "the request could not be sent".into())
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn of_a_page_only_its_text_is_read() {
        let page = b"<!doctype html><style>b{}</style><title>Sign in</title><p>to <b>Acme</b></p><script>x<y</script>";
        let text = readable(page);
        assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["Sign", "in", "to", "Acme"]);
        assert_eq!(readable(b"a < b"), "a < b");
    }
}

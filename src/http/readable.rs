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

/// A refusal by a proxy in front of the server because of the client's certificate: nginx says
/// so in a page, with the status 400 for its own 495 and 496.
pub fn speaks_of_client_certificate(status: u16, body: &[u8]) -> bool {
    let speaks = || {
        let text = readable(body).to_lowercase();
        text.contains("ssl certificate") || text.contains("client certificate")
    };
    matches!(status, 400 | 403 | 495 | 496) && speaks()
}

/// The innermost reason of a failed request, without its URL, which may hold secrets.
pub fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    let mut text = None;
    while let Some(source) = innermost.source() {
        innermost = source;
        text = Some(innermost.to_string());
    }
    let text = text.unwrap_or_else(|| "the request could not be sent".into());
    // What rustls says of it is for programmers.
    if text.starts_with("peer closed connection without sending TLS close_notify") {
        return "connection closed in the middle of TLS".into();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{readable, speaks_of_client_certificate};

    #[test]
    fn the_page_of_a_server_that_wants_a_certificate_is_known() {
        let page =
            b"<html><head><title>400 No required SSL certificate was sent</title></head></html>";
        assert!(speaks_of_client_certificate(400, page));
        assert!(speaks_of_client_certificate(495, b"<h1>The SSL certificate error</h1>"));
        assert!(!speaks_of_client_certificate(500, page));
        assert!(!speaks_of_client_certificate(400, b"bad request"));
    }

    #[test]
    fn of_a_page_only_its_text_is_read() {
        let page = b"<!doctype html><style>b{}</style><title>Sign in</title><p>to <b>Acme</b></p><script>x<y</script>";
        let text = readable(page);
        assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["Sign", "in", "to", "Acme"]);
        assert_eq!(readable(b"a < b"), "a < b");
    }
}

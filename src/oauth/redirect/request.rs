//! What a connection to the redirect listener asks: one HTTP/1.1 request without a body.

use httparse::{Header, Request, Status};
use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::Zeroizing;

/// Largest request head, in bytes.
const LARGEST: usize = 16 * 1024;
const MOST_HEADERS: usize = 100;
/// Names by which a browser on this machine may know the listener.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Where the listener is, as its redirect URI says.
#[derive(Debug)]
pub(super) struct Place {
    /// As in a URI: an IPv6 address in brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) path: String,
}

/// Why a request is not looked at any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    TooLarge,
    NotHttp,
    Host,
    Path,
    Method,
    /// A browser that asks ahead of the person: it asks again when the person goes there.
    Prefetch,
}

/// Reads up to the end of the head; none if the peer goes before that.
pub(super) async fn read_head(
    stream: &mut (impl AsyncRead + Unpin),
) -> Option<Result<Zeroizing<Vec<u8>>, Refusal>> {
    // Allocated once, so that no copy of the code is left behind.
    let mut head = Zeroizing::new(Vec::with_capacity(LARGEST));
    loop {
        let seen = head.len().saturating_sub(3);
        let room = LARGEST - head.len();
        let read = (&mut *stream).take(room as u64).read_buf(&mut *head).await.ok()?;
        if head[seen..].windows(4).any(|four| four == b"\r\n\r\n") {
            return Some(Ok(head));
        }
        if head.len() == LARGEST {
            return Some(Err(Refusal::TooLarge));
        }
        if read == 0 {
            return None;
        }
    }
}

/// The query of a GET of the redirect URI; anything else is refused.
pub(super) fn query<'a>(head: &'a [u8], place: &Place) -> Result<&'a str, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = Request::new(&mut headers);
    match request.parse(head) {
        Ok(Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooLarge),
        Ok(Status::Partial) | Err(_) => return Err(Refusal::NotHttp),
    }
    // First of all, as its reply may have no body.
    if request.method == Some("HEAD") {
        return Err(Refusal::Method);
    }
    if !is_here(request.headers, place) {
        return Err(Refusal::Host);
    }
    let target = request.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path != place.path {
        return Err(Refusal::Path);
    }
    if request.method != Some("GET") {
        return Err(Refusal::Method);
    }
    if is_prefetch(request.headers) {
        return Err(Refusal::Prefetch);
    }
    Ok(query)
}

/// Against a name that someone lets point here (DNS rebinding): one `Host`, and a known one.
fn is_here(headers: &[Header<'_>], place: &Place) -> bool {
    let mut hosts = headers.iter().filter(|header| header.name.eq_ignore_ascii_case("host"));
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    LOOPBACK.into_iter().chain([place.host.as_str()]).any(|name| {
        let full = format!("{name}:{}", place.port);
        host.value.eq_ignore_ascii_case(full.as_bytes())
            || place.port == 80 && host.value.eq_ignore_ascii_case(name.as_bytes())
    })
}

fn is_prefetch(headers: &[Header<'_>]) -> bool {
    headers.iter().any(|header| {
        ["sec-purpose", "purpose"].iter().any(|name| header.name.eq_ignore_ascii_case(name))
            && header.value.to_ascii_lowercase().starts_with(b"prefetch")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(head: &str) -> Result<&str, Refusal> {
        let place = Place { host: "dev.test".into(), port: 4711, path: "/oauth/callback".into() };
        query(head.as_bytes(), &place)
    }

    #[test]
    fn a_get_of_the_redirect_uri_gives_its_query() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "[::1]", "dev.test"] {
            let head = format!("GET /oauth/callback?a=b&c HTTP/1.1\r\nHost: {host}:4711\r\n\r\n");
            assert_eq!(asked(&head), Ok("a=b&c"), "{host}");
        }
        let head = "GET /oauth/callback HTTP/1.1\r\nhost:localhost:4711\r\n\r\n";
        assert_eq!(asked(head), Ok(""));
    }

    #[test]
    fn anything_else_is_refused_for_what_it_is() {
        let here = "Host: localhost:4711";
        for (line, headers, expected) in [
            ("GET /oauth/callback?a", "Host: evil.example:4711", Refusal::Host),
            ("GET /oauth/callback?a", "Host: localhost", Refusal::Host),
            ("GET /oauth/callback?a", "Host: localhost:80", Refusal::Host),
            ("GET /oauth/callback?a", "Host: localhost.evil.example:4711", Refusal::Host),
            ("GET /oauth/callback?a", "X: y", Refusal::Host),
            (
                "GET /oauth/callback?a",
                "Host: localhost:4711\r\nHost: localhost:4711",
                Refusal::Host,
            ),
            ("GET /", here, Refusal::Path),
            ("GET /oauth/callback/?a", here, Refusal::Path),
            ("GET /OAUTH/callback?a", here, Refusal::Path),
            ("GET /oauth/./callback?a", here, Refusal::Path),
            ("GET http://localhost:4711/oauth/callback?a", here, Refusal::Path),
            ("POST /oauth/callback?a", here, Refusal::Method),
            ("HEAD /oauth/callback?a", here, Refusal::Method),
            ("HEAD /favicon.ico", "Host: evil.example", Refusal::Method),
            (
                "GET /oauth/callback?a",
                "Host: localhost:4711\r\nSec-Purpose: prefetch;prerender",
                Refusal::Prefetch,
            ),
        ] {
            let head = format!("{line} HTTP/1.1\r\n{headers}\r\n\r\n");
            assert_eq!(asked(&head), Err(expected), "{head}");
        }
        assert_eq!(asked("\u{16}\u{3}\u{1}\r\n\r\n"), Err(Refusal::NotHttp));
        let many = "a: b\r\n".repeat(101);
        let head = format!("GET / HTTP/1.1\r\n{many}\r\n");
        assert_eq!(asked(&head), Err(Refusal::TooLarge));
    }

    #[test]
    fn without_a_port_in_the_host_it_is_port_80() {
        let place = Place { host: "localhost".into(), port: 80, path: "/".into() };
        assert_eq!(query(b"GET /?a HTTP/1.1\r\nHost: localhost\r\n\r\n", &place), Ok("a"));
    }
}

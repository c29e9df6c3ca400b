//! Replies in place of the remote's.

use super::fault::Fault;
use super::proxy::After;
use crate::support::http::Request;

/// A reply that the remote has no part in.
pub(super) fn without_remote(fault: Fault, request: &Request) -> Option<String> {
    // What may be asked for again is, and that has to be soon.
    let soon = request.method == "GET";
    let later = if soon { "Retry-After: 0\r\n" } else { "Retry-After: 30\r\n" };
    let (status, headers, body) = match fault {
        Fault::TooManyRequests => ("429 Too Many Requests", later, "slow down"),
        Fault::NotFound => ("404 Not Found", "Content-Type: text/html\r\n", "<p>nginx</p>"),
        Fault::Unavailable => ("503 Service Unavailable", later, ""),
        Fault::RedirectElsewhere => {
            ("307 Temporary Redirect", "Location: http://elsewhere.invalid/mcp\r\n", "")
        }
        Fault::RedirectHere => {
            let location =
                format!("Location: {}-moved\r\nContent-Length: 0\r\n\r\n", request.target);
            return Some(format!("HTTP/1.1 307 Temporary Redirect\r\n{location}"));
        }
        _ => return None,
    };
    let length = body.len();
    Some(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"))
}

/// A reply in place of the remote's.
pub(super) fn instead(fault: Fault) -> Option<(String, After)> {
    const PAGE: &str = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
    let reply = match fault {
        Fault::ResetBeforeHead => (String::new(), After::Reset),
        Fault::CloseBeforeHead => (String::new(), After::Close),
        Fault::ContinueThenClose => ("HTTP/1.1 100 Continue\r\n\r\n".to_owned(), After::Close),
        Fault::NotHttp => ("SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(), After::Close),
        Fault::BadGateway => {
            let head = "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length:";
            (format!("{head} {}\r\n\r\n{PAGE}", PAGE.len()), After::Keep)
        }
        Fault::Empty200 => ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(), After::Keep),
        Fault::Accepted202 => {
            ("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_owned(), After::Keep)
        }
        Fault::NoContent204 => ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), After::Keep),
        Fault::SwitchingProtocols => {
            let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n";
            (format!("{head}\r\n"), After::Close)
        }
        Fault::HugeHeaders => {
            let long = "x".repeat(1024 * 1024);
            (format!("HTTP/1.1 200 OK\r\nX-Long: {long}\r\n\r\n"), After::Close)
        }
        Fault::TooManyHeaders => {
            let many: String = (0..200).map(|n| format!("X-{n}: x\r\n")).collect();
            (format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 0\r\n\r\n"), After::Close)
        }
        _ => return None,
    };
    Some(reply)
}

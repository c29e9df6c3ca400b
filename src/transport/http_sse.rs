//! HTTP+SSE (MCP 2024-11-05, "HTTP with SSE"): one stream for all that the server says, and an
//! endpoint, which it names first, for all that the client says.

use super::{EventStream, Lost, Reply, RequestHeaders, SendFailure, StreamableHttp};
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use url::Url;

/// Largest event that may name an endpoint, in bytes.
const LONGEST: usize = 8 * 1024;

/// Errors that only a modern remote has.
const MODERN: [i64; 3] = [-32020, -32021, -32022];
const METHOD_NOT_FOUND: i64 = -32601;

/// True for a status with which a server of HTTP+SSE refuses a POST to the URL of its stream
/// (MCP 2025-11-25, "Backwards Compatibility").
pub fn may_refuse_post(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
    )
}

/// True if a refusal, with the code of the JSON-RPC error in it, shows a modern remote, which is
/// none of these (MCP 2026-07-28, "Backward Compatibility").
pub fn is_modern(status: StatusCode, code: Option<i64>) -> bool {
    code.is_some_and(|code| {
        MODERN.contains(&code) || (code == METHOD_NOT_FOUND && status == StatusCode::NOT_FOUND)
    })
}

/// Where the messages of one connection are POSTed, on the remote's own origin. What follows
/// its path may be as good as a session id.
#[derive(Clone)]
pub struct Endpoint(Url);

/// Why a stream is none to talk over.
#[derive(Debug, thiserror::Error)]
pub enum NoEndpoint {
    /// The stream is of another kind: it begins with something else.
    #[error("its stream does not begin with an endpoint event")]
    OtherStream,
    #[error("its stream ended before it named an endpoint: {0}")]
    Broken(String),
    /// What the event names is no URL for messages.
    #[error("the endpoint that it names is no URL for messages")]
    Invalid,
    /// It may not be given what is meant for the remote.
    #[error("it names an endpoint on another origin, {0}, which is not used")]
    OtherOrigin(String),
}

impl NoEndpoint {
    /// The remote does speak HTTP+SSE, though not as it has to.
    pub fn is_http_sse(&self) -> bool {
        matches!(self, Self::Invalid | Self::OtherOrigin(_))
    }
}

impl Endpoint {
    /// Reads the event with which a stream begins.
    ///
    /// # Errors
    /// [`NoEndpoint`].
    pub async fn read(stream: &mut EventStream) -> Result<Self, NoEndpoint> {
        let usual = stream.limit(LONGEST);
        let first = stream.next().await;
        stream.limit(usual);
        match first {
            Ok(Some(event)) if &event.name[..] == b"endpoint" => {
                Self::resolve(stream.url(), &event.data)
            }
            Ok(Some(_)) | Err(Lost::TooLong) => Err(NoEndpoint::OtherStream),
            Ok(None) => Err(NoEndpoint::Broken("it is complete".into())),
            Err(Lost::Broken(why)) => Err(NoEndpoint::Broken(why)),
        }
    }

    fn resolve(stream: &Url, data: &[u8]) -> Result<Self, NoEndpoint> {
        let text = std::str::from_utf8(data).map_err(|_| NoEndpoint::Invalid)?.trim();
        if text.is_empty() {
            return Err(NoEndpoint::Invalid);
        }
        let mut url = stream.join(text).map_err(|_| NoEndpoint::Invalid)?;
        if url.origin() != stream.origin() {
            return Err(NoEndpoint::OtherOrigin(shown_origin(&url)));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NoEndpoint::Invalid);
        }
        url.set_fragment(None);
        Ok(Self(url))
    }

    pub fn url(&self) -> &Url {
        &self.0
    }
}

/// Scheme, host and port, and nothing that may be secret.
fn shown_origin(url: &Url) -> String {
    match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{}://{host}:{port}", url.scheme()),
        (Some(host), None) => format!("{}://{host}", url.scheme()),
        (None, _) => format!("a {} address", url.scheme()),
    }
}

impl StreamableHttp {
    /// POSTs one message to an endpoint that the remote has named.
    ///
    /// # Errors
    /// [`SendFailure`].
    pub async fn post_to(
        &self,
        endpoint: &Endpoint,
        message: Bytes,
        mut headers: RequestHeaders,
    ) -> Result<Reply, SendFailure> {
        // They were made for the remote's own URL.
        headers.redirected(&endpoint.0, &HeaderMap::new());
        self.post_at(endpoint.0.clone(), message, headers).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(data: &str) -> Result<String, String> {
        let stream = Url::parse("https://mcp.example/a/sse?key=1").unwrap();
        let endpoint = Endpoint::resolve(&stream, data.as_bytes());
        endpoint.map(|one| one.0.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn an_endpoint_is_resolved_against_the_stream() {
        for (data, url) in [
            ("/messages?sessionId=1&b=%2F", "https://mcp.example/messages?sessionId=1&b=%2F"),
            ("messages", "https://mcp.example/a/messages"),
            ("?sessionId=1", "https://mcp.example/a/sse?sessionId=1"),
            (" https://MCP.example:443/m#part ", "https://mcp.example/m"),
            ("//mcp.example/m", "https://mcp.example/m"),
        ] {
            assert_eq!(resolve(data), Ok(url.to_owned()), "{data}");
        }
    }

    #[test]
    fn an_endpoint_elsewhere_is_refused_and_its_origin_named() {
        for (data, origin) in [
            ("https://other.example/m?sessionId=1", "https://other.example:443"),
            ("http://mcp.example/m", "http://mcp.example:80"),
            ("https://mcp.example:8443/m", "https://mcp.example:8443"),
            ("//other.example", "https://other.example:443"),
            ("https://mcp.example@other.example/", "https://other.example:443"),
            (r"\\other.example\m", "https://other.example:443"),
            ("file:///etc/passwd", "a file address"),
            ("data:,x", "a data address"),
        ] {
            let error = resolve(data).unwrap_err();
            assert!(error.contains(origin) && !error.contains("sessionId"), "{data}: {error}");
        }
    }

    #[test]
    fn what_is_no_url_is_no_endpoint() {
        for data in ["", "  ", "https://", "https://ada:pw@mcp.example/m", "https://mcp.example:x/"]
        {
            assert!(resolve(data).is_err_and(|why| why.contains("no URL")), "{data}");
        }
    }
}

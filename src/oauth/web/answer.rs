//! What comes back, of bounded size.

use super::{WebError, host};
use crate::http::cause;
use crate::secret::Secret;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use url::Url;
use zeroize::Zeroizing;

/// Largest body that is read, in decoded bytes.
pub(super) const LARGEST: usize = 1024 * 1024;

/// A response, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// May hold tokens.
    pub body: Secret<Vec<u8>>,
}

/// Reads the whole of it.
pub(super) async fn answer(mut response: Response, url: &Url) -> Result<Answer, WebError> {
    let host = host(url);
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let mut body = Zeroizing::new(Vec::new());
    let stream = headers.get(CONTENT_TYPE).is_some_and(|kind| {
        kind.as_bytes()
            .get(..17)
            .is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream"))
    });
    // Some servers answer every GET with a stream that never ends.
    if stream {
        let status = if status < 400 { 404 } else { status };
        return Ok(Answer { status, headers, body: Secret::new(Vec::new()) });
    }
    let lost = |error| WebError::Lost { host: host.clone(), why: cause(&error) };
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > LARGEST {
            return Err(WebError::TooLarge { host });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body: Secret::new(std::mem::take(&mut *body)) })
}

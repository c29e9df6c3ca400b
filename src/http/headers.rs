//! The headers of one request, wherever its redirects lead.

use reqwest::header::HeaderMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use url::Url;

/// Makes anew what holds for one URL only; it is also told the answer that points there.
type Anew = Arc<dyn Fn(&mut HeaderMap, &Url, &HeaderMap) + Send + Sync>;

/// Headers, with those among them that are good for one request to one URL.
#[derive(Clone, Default)]
pub struct RequestHeaders {
    map: HeaderMap,
    /// None where all of them stay the same.
    anew: Option<Anew>,
}

impl RequestHeaders {
    /// `anew` is asked before each redirect that is followed, with the URL it leads to and the
    /// headers of the answer that said so.
    pub fn with_anew(
        map: HeaderMap,
        anew: impl Fn(&mut HeaderMap, &Url, &HeaderMap) + Send + Sync + 'static,
    ) -> Self {
        Self { map, anew: Some(Arc::new(anew)) }
    }

    /// The same request goes to `url` now, as `answer` said.
    pub fn redirected(&mut self, url: &Url, answer: &HeaderMap) {
        if let Some(anew) = &self.anew {
            anew(&mut self.map, url, answer);
        }
    }
}

impl From<HeaderMap> for RequestHeaders {
    fn from(map: HeaderMap) -> Self {
        Self { map, anew: None }
    }
}

impl Deref for RequestHeaders {
    type Target = HeaderMap;

    fn deref(&self) -> &HeaderMap {
        &self.map
    }
}

impl DerefMut for RequestHeaders {
    fn deref_mut(&mut self) -> &mut HeaderMap {
        &mut self.map
    }
}

//! What `list` shows of a credential, in the clear header of its record; never a secret.

use super::api_key::Placement;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use url::Url;

/// Members of the clear header by name.
pub(super) fn details<const N: usize>(members: [(&str, Value); N]) -> BTreeMap<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The same with where the key is put.
pub(super) fn placed<const N: usize>(
    placement: &Placement,
    members: [(&str, Value); N],
) -> BTreeMap<String, Value> {
    let mut all = details(members);
    all.extend(details([("header", json!(placement.header)), ("scheme", json!(placement.scheme))]));
    all
}

/// A URL without what may be a secret: user name, password, query and fragment.
pub fn shown_url(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else {
        return url.split(['?', '#']).next().unwrap_or_default().to_owned();
    };
    // A URL that can have neither has none.
    let _ = (url.set_username(""), url.set_password(None));
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_url_only_its_place_is_shown() {
        let shown = shown_url("https://u:hunter2@host.example/auth/token?key=hunter2#x");
        assert_eq!(shown, "https://host.example/auth/token");
        assert_eq!(shown_url("no url?hunter2"), "no url");
    }
}

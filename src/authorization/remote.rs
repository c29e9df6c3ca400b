//! Which remote and which identity at it.

use crate::http::is_loopback;
use crate::vault::RecordKey;
use std::fmt;
use url::Url;

/// A remote and an account there. Displayed without query values, which may be secrets.
#[derive(Clone)]
pub struct Remote {
    url: Url,
    account: String,
}

/// A URL that is no remote's, in words without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    #[error("'{0}' is no URL of an MCP server; it starts with https://")]
    NoUrl(String),
    #[error("the URL holds a user name or password, which every process can read")]
    Credentials,
    #[error("{0} is reached without TLS, so that anyone on the way can read the credentials")]
    Clear(String),
}

impl Remote {
    /// Reads the URL as given; a fragment is dropped.
    ///
    /// # Errors
    /// [`RemoteError`]; plain http is for loopback, or with `allow_http`.
    pub fn new(url: &str, account: &str, allow_http: bool) -> Result<Self, RemoteError> {
        let shown = || without_secrets(url);
        let mut parsed = Url::parse(url).map_err(|_| RemoteError::NoUrl(shown()))?;
        parsed.set_fragment(None);
        if !matches!(parsed.scheme(), "http" | "https") || parsed.host().is_none() {
            return Err(RemoteError::NoUrl(shown()));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(RemoteError::Credentials);
        }
        if parsed.scheme() == "http" && !allow_http && !is_loopback(&parsed) {
            parsed.set_query(None);
            return Err(RemoteError::Clear(parsed.into()));
        }
        Ok(Self { url: parsed, account: account.to_owned() })
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    pub fn account(&self) -> &str {
        &self.account
    }

    /// The remote, and the account where it is not the only one.
    pub fn whom(&self) -> String {
        match self.account() {
            "default" => self.to_string(),
            account => format!("{self} (account {account})"),
        }
    }

    /// Where its record is kept.
    pub fn record(&self) -> RecordKey {
        RecordKey::Remote { url: self.url.to_string(), account: self.account.clone() }
    }

    /// The values in the URL's query, and what stands there without a name: they may be keys.
    pub fn query_values(&self) -> Vec<String> {
        query_values(self.url.as_str())
    }

    /// As they were written.
    fn query_pairs(&self) -> impl Iterator<Item = &str> {
        pairs(self.url.query())
    }

    /// `keyferry login URL ...` as this remote needs it, for a shell; without a query that
    /// may be secret.
    pub fn login_command(&self, with: Option<&str>) -> String {
        let open = self.query_pairs().all(|pair| pair.ends_with('='));
        let url = if open { quoted(self.url.as_str()) } else { "<URL>".to_owned() };
        let mut command = format!("keyferry login {url}");
        if let Some(kind) = with {
            command.push_str(&format!(" --with {kind}"));
        }
        if self.account != "default" {
            command.push_str(&format!(" --account {}", quoted(&self.account)));
        }
        if self.url.scheme() == "http" && !is_loopback(&self.url) {
            command.push_str(" --allow-http");
        }
        command
    }
}

/// What may be secret in the query of a URL: every value, and what stands there without a name.
pub(super) fn query_values(url: &str) -> Vec<String> {
    let Ok(url) = Url::parse(url) else { return Vec::new() };
    let mut values = Vec::new();
    for pair in pairs(url.query()) {
        let raw = pair.split_once('=').map_or(pair, |(_, value)| value);
        // Decoded as a form: a bare value reads like a name.
        let decoded = url::form_urlencoded::parse(raw.as_bytes()).next();
        values.extend(decoded.map(|(name, value)| {
            if value.is_empty() { name.into_owned() } else { format!("{name}={value}") }
        }));
        values.push(raw.to_owned());
    }
    values
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = &str> {
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    pairs.filter(|pair| !pair.is_empty())
}

/// `word` as a shell takes it for one word and nothing else.
pub(super) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/@%+,=".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Text that may be no URL at all, without what may be a password or a key in it.
fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_at(url.find("://").map_or(0, |at| at + 3));
    let (head, tail) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    match head.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}{host}"),
        // A password may hold any character.
        None if tail.contains('@') => format!("{scheme}..."),
        None => format!("{scheme}{head}"),
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.url.clone();
        url.set_query(None);
        f.write_str(url.as_str())?;
        for (nth, pair) in self.query_pairs().enumerate() {
            let start = if nth == 0 { '?' } else { '&' };
            match pair.split_once('=') {
                Some((name, _)) => write!(f, "{start}{name}=...")?,
                None => write!(f, "{start}...")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_safe_url_makes_a_remote() {
        assert!(Remote::new("https://h/mcp", "default", false).is_ok());
        assert!(Remote::new("http://127.0.0.1:1/mcp", "default", false).is_ok());
        assert!(Remote::new("http://h/mcp", "default", true).is_ok());
        for bad in ["http://h/mcp", "https://a:b@h/", "ftp://h/", "h/mcp", "", "https://"] {
            assert!(Remote::new(bad, "default", false).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_login_command_can_be_given_to_a_shell() {
        for (url, account, command) in [
            ("https://h/mcp", "default", "keyferry login https://h/mcp"),
            ("http://h/mcp", "a b", "keyferry login http://h/mcp --account 'a b' --allow-http"),
            ("http://[::1]:1/mcp", "default", "keyferry login 'http://[::1]:1/mcp'"),
            ("https://h/mcp?", "default", "keyferry login 'https://h/mcp?'"),
            (
                "https://h/mcp?a=&b=",
                "it's",
                r"keyferry login 'https://h/mcp?a=&b=' --account 'it'\''s'",
            ),
            ("https://h/$(x)", "default", "keyferry login 'https://h/$(x)'"),
            ("https://h/mcp?a", "default", "keyferry login <URL>"),
        ] {
            let remote = Remote::new(url, account, true).unwrap();
            assert_eq!(remote.login_command(None), command);
        }
    }

    #[test]
    fn query_values_are_never_shown() {
        let remote = Remote::new("https://h/mcp?key=s%2Fcret&b=2#f", "work", false).unwrap();
        assert_eq!(remote.to_string(), "https://h/mcp?key=...&b=...");
        assert_eq!(remote.query_values(), ["s/cret", "s%2Fcret", "2", "2"]);
        let command = "keyferry login <URL> --with api-key --account work";
        assert_eq!(remote.login_command(Some("api-key")), command);
        let remote = Remote::new("https://h/mcp?sk%2Dlive&&a%62=c", "default", false).unwrap();
        assert_eq!(remote.to_string(), "https://h/mcp?...&a%62=...");
        assert_eq!(remote.query_values(), ["sk-live", "sk%2Dlive", "c", "c"]);
    }
}

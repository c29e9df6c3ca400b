//! Which URLs may be opened, and their spelling that no shell or terminal can misread.

use super::BrowserError;
use crate::http::is_loopback;
use url::{Host, Position, Url};

/// A URL that may be opened and printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserUrl(String);

impl BrowserUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The URL in a spelling for the browser: a fragment is dropped, what could mean something
/// to a shell or terminal is percent-encoded, and what is percent-encoded already stays.
/// `allow_http`: `--allow-http`.
///
/// # Errors
/// `Refused`: no https (nor http to loopback), no plain host, or with a user name.
pub fn check(url: &str, allow_http: bool) -> Result<BrowserUrl, BrowserError> {
    // The parser would drop these, and the meaning with them.
    let url = url.replace('\t', "%09").replace('\n', "%0A").replace('\r', "%0D");
    let mut url = Url::parse(&url).map_err(|_| BrowserError::Refused("it is not valid"))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) || allow_http => {}
        "http" => return Err(BrowserError::Refused("it has no https (--allow-http allows that)")),
        _ => return Err(BrowserError::Refused("it is not https")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BrowserError::Refused("it holds a user name"));
    }
    if !has_plain_host(&url) {
        return Err(BrowserError::Refused("its host is no host name"));
    }
    url.set_fragment(None);
    let mut spelled = url[..Position::BeforePath].to_owned();
    encode(&url[Position::BeforePath..], &mut spelled);
    Ok(BrowserUrl(spelled))
}

/// The parser allows `$`, `;` and more in a name.
fn has_plain_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        }
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    }
}

/// Appends a path and query. What stays is unreserved, or needed as a delimiter (RFC 3986 2.2).
fn encode(from: &str, to: &mut String) {
    let bytes = from.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let stays = match byte {
            b'%' => {
                bytes.get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
            }
            _ => byte.is_ascii_alphanumeric() || b"-._~/?:@&=+,".contains(&byte),
        };
        if stays {
            to.push(byte.into());
        } else {
            to.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(url: &str) -> Result<String, BrowserError> {
        check(url, false).map(|url| url.as_str().to_owned())
    }

    #[test]
    fn only_https_and_http_to_loopback_are_opened() {
        for url in [
            "https://as.example/authorize?a=b",
            "https://as.example:8443/",
            "https://[2001:db8::1]/a",
            "http://localhost:9/authorize",
            "http://127.0.0.1:9/",
            "http://[::1]:9/",
        ] {
            assert_eq!(checked(url).unwrap(), url);
        }
        for url in [
            "http://as.example/",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "data:text/html,x",
            "ftp://as.example/",
            "ms-settings:",
            "-version",
            "",
            "https://user@as.example/",
            "https://:word@as.example/",
            "https://a$(id).example/",
            "https://a;id.example/",
            "https://a&b.example/",
            "https://as.example\n.evil.example/",
        ] {
            assert!(checked(url).is_err(), "{url}");
        }
        assert!(check("http://as.example/", true).is_ok());
        assert!(check("javascript:alert(1)", true).is_err());
    }

    #[test]
    fn what_a_shell_or_terminal_would_read_is_encoded() {
        let hostile = "https://as.example/a;b`c$(d)?e='f'&g=\"h\"|i<j>k\\l^m{n}o[p]q!r*s t\u{1b}\u{7}u\tv\nw\u{e9}%zz%";
        let url = checked(hostile).unwrap();
        assert_eq!(
            url,
            "https://as.example/a%3Bb%60c%24%28d%29?e=%27f%27&g=%22h%22%7Ci%3Cj%3Ek%5Cl%5Em%7Bn%7Do%5Bp%5Dq%21r%2As%20t%1B%07u%09v%0Aw%C3%A9%25zz%25"
        );
        assert_eq!(checked(&url).unwrap(), url, "it is not encoded twice");
    }

    #[test]
    fn the_meaning_of_the_query_stays() {
        let query = "scope=a+b%20c&redirect_uri=http%3a%2F%2Flocalhost%3A9%2fcb&x=%2B&y&&z==1,2";
        let url = format!("https://as.example/authorize?{query}");
        assert_eq!(checked(&format!("{url}#fragment")).unwrap(), url);
        let hostile = Url::parse("https://as.example/?a=b;c'd(e)*%25!").unwrap();
        let opened = Url::parse(&checked(hostile.as_str()).unwrap()).unwrap();
        assert!(hostile.query_pairs().eq(opened.query_pairs()));
    }
}

//! What a command printed: a bare token, or JSON with a token or headers.

use crate::credential::api_key::Placement;
use crate::credential::header::{is_reserved, sensitive};
use crate::credential::lifetime::{Lifetime, end_of_jwt};
use crate::credential::{Minted, json};
use crate::secret::Secret;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// What `stdout` says is to be sent. It ends as it says itself, else with the `exp` of a JWT.
///
/// # Errors
/// What was printed instead, as the object of a sentence; of it only the names of headers.
pub(super) fn minted(stdout: &[u8], placement: &Placement, now: u64) -> Result<Minted, String> {
    let stdout = stdout.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stdout);
    let text = std::str::from_utf8(stdout).map_err(|_| "something that is not UTF-8")?.trim();
    let (token, mut headers, ends_at) = if text.starts_with('{') {
        if json::at(text, "").is_none() {
            return Err("something that begins as JSON and is none".to_owned());
        }
        (token_in(text)?, headers_in(text)?, Lifetime::of(text).ends_at(now))
    } else {
        (Some(bare(text)?), Vec::new(), None)
    };
    let mut expires_at = ends_at;
    if let Some(token) = &token {
        let header = placement.header(token).map_err(|why| format!("no usable token: {why}"))?;
        if headers.iter().any(|(name, _)| *name == header.0) {
            return Err(format!("a token that belongs in the header {} and that header", header.0));
        }
        headers.push(header);
        expires_at = ends_at.or_else(|| end_of_jwt(token.expose(), now));
    }
    if headers.is_empty() {
        return Err("JSON with neither a \"token\" nor \"headers\"".to_owned());
    }
    Ok(Minted { headers, key: token, expires_at })
}

fn bare(text: &str) -> Result<Secret<String>, String> {
    let fault = match text {
        "" => "nothing",
        // `jq -r` of what is not there.
        "null" => "null in place of a token",
        _ if text.contains(['\n', '\r']) => "more than one line",
        // `jq` without `-r`.
        _ if text.starts_with(['"', '[']) => "JSON that is no object",
        _ => return Ok(Secret::new(text.to_owned())),
    };
    Err(fault.to_owned())
}

fn token_in(text: &str) -> Result<Option<Secret<String>>, String> {
    match json::at(text, "/token") {
        None | Some("null") => Ok(None),
        Some(_) => {
            let token = json::text(text, "/token");
            let token = token.ok_or("a \"token\" that is no string, or an empty one")?;
            Ok(Some(Secret::new(token.trim().to_owned())))
        }
    }
}

fn headers_in(text: &str) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let Some(headers) = json::at(text, "/headers").filter(|headers| *headers != "null") else {
        return Ok(Vec::new());
    };
    let headers: BTreeMap<String, &RawValue> =
        serde_json::from_str(headers).map_err(|_| "\"headers\" that are no object")?;
    let mut read: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (name, value) in headers {
        // What is no name may be a secret in the wrong place.
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| "a header whose name is no HTTP header name")?;
        if is_reserved(&name) {
            return Err(format!("the header {name}, which belongs to the protocol"));
        }
        if read.iter().any(|(other, _)| *other == name) {
            return Err(format!("the header {name} twice"));
        }
        let text: Zeroizing<String> = serde_json::from_str(value.get())
            .map(Zeroizing::new)
            .map_err(|_| format!("the header {name} with a value that is no string"))?;
        let value = sensitive(&text)
            .map_err(|_| format!("the header {name} with a value that no HTTP header may hold"))?;
        read.push((name, value));
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    const NOW: u64 = 1_800_000_000;

    fn read(stdout: &str) -> Result<(Vec<String>, Option<u64>), String> {
        let placement = Placement::new(None, None).unwrap();
        let minted = minted(stdout.as_bytes(), &placement, NOW)?;
        assert!(minted.headers.iter().all(|(_, value)| value.is_sensitive()));
        let line = |(name, value): &(HeaderName, HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap())
        };
        let left = minted.expires_at.map(|at| at - NOW);
        Ok((minted.headers.iter().map(line).collect(), left))
    }

    #[test]
    fn a_token_or_headers_are_read_with_their_end() {
        let jwt = format!(
            "e30.{}.c2ln",
            BASE64_URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{}}}", NOW + 9))
        );
        for (stdout, headers, left) in [
            ("t0ken\n", &["authorization: Bearer t0ken"][..], None),
            ("\u{feff} t0ken \r\n\n", &["authorization: Bearer t0ken"], None),
            (r#"{"token":"t","expires_in":5}"#, &["authorization: Bearer t"], Some(5)),
            (
                "{\n\"token\":\"t\",\n\"expires_at\":\"1800000060\"\n}",
                &["authorization: Bearer t"],
                Some(60),
            ),
            (
                r#"{"headers":{"X-Key":"k","Authorization":"Basic x"},"token":null,"expires_in":"7"}"#,
                &["authorization: Basic x", "x-key: k"],
                Some(7),
            ),
            (
                r#"{"token":"t","headers":{"X-Key":"k"}}"#,
                &["x-key: k", "authorization: Bearer t"],
                None,
            ),
            (&jwt, &[&format!("authorization: Bearer {jwt}")], Some(9)),
            (
                &format!(r#"{{"token":"{jwt}","expires_in":2}}"#),
                &[&format!("authorization: Bearer {jwt}")],
                Some(2),
            ),
        ] {
            let headers: Vec<_> = headers.iter().map(|&line| line.to_owned()).collect();
            assert_eq!(read(stdout), Ok((headers, left)), "{stdout}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_named_without_a_value() {
        for (stdout, why) in [
            (" \n", "nothing"),
            ("hunter2\nhunter2", "more than one line"),
            ("null\n", "null in place of a token"),
            ("\"hunter2\"", "JSON that is no object"),
            ("{\"token\":\"hunter2\"", "something that begins as JSON and is none"),
            ("{hunter2}", "something that begins as JSON and is none"),
            ("{}", "JSON with neither a \"token\" nor \"headers\""),
            (r#"{"key":"hunter2"}"#, "JSON with neither a \"token\" nor \"headers\""),
            (r#"{"token":["hunter2"]}"#, "a \"token\" that is no string, or an empty one"),
            (r#"{"token":" "}"#, "a \"token\" that is no string, or an empty one"),
            (
                "{\"token\":\"hunter2\\u0000\"}",
                "no usable token: the key holds a character that no HTTP header may hold",
            ),
            (r#"{"headers":["hunter2"]}"#, "\"headers\" that are no object"),
            (r#"{"headers":{"A: hunter2":"x"}}"#, "a header whose name is no HTTP header name"),
            (r#"{"headers":{"X-Key":7}}"#, "the header x-key with a value that is no string"),
            (
                "{\"headers\":{\"X-Key\":\"hunter2\\n\"}}",
                "the header x-key with a value that no HTTP header may hold",
            ),
            (
                r#"{"headers":{"Mcp-Session-Id":"hunter2"}}"#,
                "the header mcp-session-id, which belongs to the protocol",
            ),
            (r#"{"headers":{"X-A":"hunter2","x-a":"b"}}"#, "the header x-a twice"),
            (
                r#"{"token":"hunter2","headers":{"Authorization":"x"}}"#,
                "a token that belongs in the header authorization and that header",
            ),
        ] {
            assert_eq!(read(stdout), Err(why.to_owned()), "{stdout}");
        }
        let placement = Placement::new(None, None).unwrap();
        let error = minted(b"hunter2\xff", &placement, NOW).unwrap_err();
        assert_eq!(error, "something that is not UTF-8");
    }
}

//! An authorization server for tests: it gives the answers it was handed, one per request,
//! and tells what it was asked.

use super::client::Client;
use super::client_assertion::AssertionKey;
use super::web::Web;
use crate::http::ClientSettings;
use crate::jws::SigningKey;
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::{Url, form_urlencoded};

/// What the server was asked.
#[derive(Debug)]
pub(super) struct Asked {
    /// Method and target.
    pub(super) line: String,
    pub(super) head: String,
    pub(super) body: String,
}

/// A server on loopback.
pub(super) struct Scripted {
    pub(super) url: String,
    served: JoinHandle<Vec<Asked>>,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &'_ str| {
            let (one, _) = line.split_once(':')?;
            one.eq_ignore_ascii_case(name).then_some(())
        };
        let line = self.head.lines().find(|line| named(line).is_some())?;
        line.split_once(':').map(|(_, value)| value.trim())
    }

    /// One value of the form.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        self.form().into_iter().find_map(|(one, value)| (one == name).then_some(value))
    }

    pub(super) fn form(&self) -> Vec<(String, String)> {
        assert_eq!(self.header("content-type"), Some("application/x-www-form-urlencoded"));
        form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }
}

impl Scripted {
    /// `answers` are status, content type and body; status 0 hangs up instead.
    pub(super) async fn start(answers: &[(u16, &str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers: Vec<(u16, String, String)> = answers
            .iter()
            .map(|(status, kind, body)| (*status, (*kind).into(), (*body).into()))
            .collect();
        let served = tokio::spawn(async move {
            let mut asked = Vec::new();
            for (status, kind, body) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                asked.push(read(&mut stream).await);
                if status != 0 {
                    let response = format!(
                        "HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\
                         connection: close\r\n\r\n{body}",
                        body.len()
                    );
                    stream.write_all(response.as_bytes()).await.unwrap();
                }
            }
            asked
        });
        Self { url, served }
    }

    /// What it was asked, after as many requests as there were answers.
    pub(super) async fn asked(self) -> Vec<Asked> {
        tokio::time::timeout(Duration::from_secs(10), self.served).await.unwrap().unwrap()
    }
}

async fn read(stream: &mut TcpStream) -> Asked {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let line = head.lines().next().unwrap_or_default();
            let line = line.trim_end_matches(" HTTP/1.1").to_owned();
            let asked = Asked { line, head: head.to_owned(), body: body.to_owned() };
            let length = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return asked;
            }
        }
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the request breaks off");
    }
}

/// One that asks servers on loopback.
pub(super) fn web() -> Web {
    let settings = ClientSettings {
        tls: false,
        loopback: true,
        tls_source: None,
        connect_timeout: Duration::from_secs(5),
        body_timeout: None,
        ipv4_only: false,
        cookies: false,
        addresses: None,
        now: || 0,
    };
    Web::new(&settings, Url::parse("http://127.0.0.1/mcp").unwrap(), false, Vec::new())
}

pub(super) fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    1_900_000_000
}

/// Header and claims of a signed token; the signature is not looked at.
pub(super) fn read_token(token: &str) -> (Value, Value) {
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "{token}");
    let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    (json(parts[0]), json(parts[1]))
}

/// One that signs who it is.
pub(super) fn signing() -> Client {
    let (key, _) = SigningKey::generate().unwrap();
    Client::private_key_jwt("c1".into(), AssertionKey::new(key, Some("k1".into())))
}

/// A public client with an id that needs encoding.
pub(super) fn public() -> Client {
    Client::preregistered("id &1".into(), None, None)
}

/// The pairs, as strings.
pub(super) fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

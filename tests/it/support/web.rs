//! A small HTTP client: one request, one connection, nothing followed unasked.

use super::PATIENCE;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use url::Url;
use url::form_urlencoded::{Serializer, parse};

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        super::value(&self.body)
    }

    fn read(stream: &TcpStream) -> io::Result<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.trim().parse().ok());
        let Some(status) = status else {
            return Err(io::Error::other(format!("no status line: {line:?}")));
        };
        let mut reply = Self { status, headers: Vec::new(), body: String::new() };
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            reply.headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut body = Vec::new();
        match reply.header("content-length") {
            Some(length) => {
                body = vec![0; length.parse().map_err(io::Error::other)?];
                reader.read_exact(&mut body)?;
            }
            None if reply.header("transfer-encoding").is_some() => {
                read_chunks(&mut reader, &mut body)?;
            }
            None => drop(reader.read_to_end(&mut body)?),
        }
        reply.body = String::from_utf8_lossy(&body).into_owned();
        Ok(reply)
    }
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..])?;
        reader.read_line(&mut line)?;
        if size == 0 {
            return Ok(());
        }
    }
}

/// A connection to where `url` points, every address of the host tried.
pub(crate) fn connect(url: &str) -> io::Result<TcpStream> {
    let url = Url::parse(url).map_err(io::Error::other)?;
    let addresses = url.socket_addrs(|| None)?;
    let stream = TcpStream::connect(&*addresses)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One exchange on a connection that is there; `host` goes into the `Host` header.
pub(crate) fn exchange(
    mut stream: &TcpStream,
    host: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Reply> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("Connection: close\r\n\r\n");
    head.push_str(body);
    stream.write_all(head.as_bytes())?;
    Reply::read(stream)
}

pub(crate) fn request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Reply> {
    exchange(&connect(url)?, &authority(url), method, &target(url), headers, body)
}

pub(crate) fn try_get(url: &str) -> io::Result<Reply> {
    request("GET", url, &[("Accept", "text/html")], "")
}

#[track_caller]
pub(crate) fn get(url: &str) -> Reply {
    try_get(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

#[track_caller]
pub(crate) fn post_form(url: &str, params: &[(&str, &str)]) -> Reply {
    let body = Serializer::new(String::new()).extend_pairs(params).finish();
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    request("POST", url, &form, &body).unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Host and port as a browser puts them into `Host`.
pub(crate) fn authority(url: &str) -> String {
    let url = Url::parse(url).expect("a URL");
    let host = url.host_str().expect("a host");
    url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"))
}

/// Path and query, as they are spelled.
pub(crate) fn target(url: &str) -> String {
    let url = Url::parse(url).expect("a URL");
    url[url::Position::BeforePath..url::Position::AfterQuery].to_owned()
}

/// The decoded parameters of a query or form.
pub(crate) fn params(encoded: &str) -> Vec<(String, String)> {
    parse(encoded.as_bytes()).into_owned().collect()
}

/// One parameter of a URL's query; it must not stand there twice.
pub(crate) fn param(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
    let mut found = params(url.query().unwrap_or_default()).into_iter().filter(|(n, _)| n == name);
    let value = found.next()?.1;
    assert!(found.next().is_none(), "{name} stands twice in {url}");
    Some(value)
}

/// `url` with one parameter of its query replaced, or removed.
pub(crate) fn with_param(url: &str, name: &str, value: Option<&str>) -> String {
    let mut url = Url::parse(url).expect("a URL");
    let mut params = params(url.query().unwrap_or_default());
    params.retain(|(n, _)| n != name);
    params.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    url.query_pairs_mut().clear().extend_pairs(params);
    url.into()
}

/// A port that is free on both loopback addresses and that no outgoing connection
/// will take: below the range that systems choose from.
pub(crate) fn free_port() -> String {
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Other processes of this test look for ports too.
        let start = std::process::id().wrapping_mul(37);
        let n = start.wrapping_add(NEXT.fetch_add(1, Ordering::SeqCst)) % 12_000;
        let port = 20_000 + u16::try_from(n).expect("below 12000");
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err()
            || TcpListener::bind((Ipv6Addr::LOCALHOST, port))
                .is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse);
        if !taken {
            return port.to_string();
        }
    }
}

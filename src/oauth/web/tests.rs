mod tls;

use super::answer::LARGEST;
use super::*;
use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A web site on loopback with an answer for each path; all others are 404.
pub(in crate::oauth) struct Site {
    pub(in crate::oauth) origin: String,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    asked: Arc<Mutex<Vec<String>>>,
    sent: Arc<Mutex<usize>>,
}

#[derive(Clone)]
enum Reply {
    Whole(Vec<u8>),
    /// The second part again and again, as fast as it is read.
    Endless(Vec<u8>, Vec<u8>),
    /// The same with a pause after each.
    Trickle(Vec<u8>, Vec<u8>),
}

impl Site {
    pub(in crate::oauth) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site = Self {
            origin: format!("http://{}", listener.local_addr().unwrap()),
            replies: Arc::default(),
            asked: Arc::default(),
            sent: Arc::default(),
        };
        let state = (site.replies.clone(), site.asked.clone(), site.sent.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (replies, asked, sent) = state.clone();
                tokio::spawn(async move { serve(stream, &replies, &asked, &sent).await });
            }
        });
        site
    }

    pub(in crate::oauth) fn answer(&self, path: &str, status: u16, headers: &str, body: &str) {
        let head = head(status, headers, body.len());
        self.reply(path, Reply::Whole([head.as_bytes(), body.as_bytes()].concat()));
    }

    /// `ORIGIN` in the body stands for the site's own.
    pub(in crate::oauth) fn json(&self, path: &str, body: &str) {
        let body = body.replace("ORIGIN", &self.origin);
        self.answer(path, 200, "content-type: application/json\r\n", &body);
    }

    pub(in crate::oauth) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// The paths asked for since the last time.
    pub(in crate::oauth) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn reply(&self, path: &str, reply: Reply) {
        self.replies.lock().unwrap().insert(path.to_owned(), reply);
    }
}

fn head(status: u16, headers: &str, length: usize) -> String {
    format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n")
}

async fn serve(
    mut stream: TcpStream,
    replies: &Mutex<HashMap<String, Reply>>,
    asked: &Mutex<Vec<String>>,
    sent: &Mutex<usize>,
) -> Option<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
    let path = String::from_utf8_lossy(&request).split(' ').nth(1)?.to_owned();
    let reply = replies.lock().unwrap().get(&path).cloned();
    asked.lock().unwrap().push(path);
    let (first, again, pause) = match reply {
        Some(Reply::Whole(bytes)) => (bytes, None, Duration::ZERO),
        Some(Reply::Endless(first, again)) => (first, Some(again), Duration::ZERO),
        Some(Reply::Trickle(first, again)) => (first, Some(again), Duration::from_millis(20)),
        None => (head(404, "", 0).into_bytes(), None, Duration::ZERO),
    };
    stream.write_all(&first).await.ok()?;
    while let Some(again) = &again {
        stream.write_all(again).await.ok()?;
        *sent.lock().unwrap() += again.len();
        tokio::time::sleep(pause).await;
    }
    stream.shutdown().await.ok()
}

pub(in crate::oauth) fn web(remote: &str, named: &[&str]) -> Web {
    let base = ClientSettings {
        tls: false,
        loopback: true,
        tls_source: None,
        connect_timeout: Duration::from_secs(5),
        body_timeout: None,
        ipv4_only: false,
        cookies: true,
        addresses: None,
        now: || 0,
    };
    let named = named.iter().map(|name| (*name).to_owned()).collect();
    Web::new(&base, Url::parse(remote).unwrap(), false, named)
}

fn chunked(headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{headers}transfer-encoding: chunked\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn a_remote_may_name_its_own_kind_of_address_and_public_ones() {
    let inside = ["https://10.1.2.3/", "https://[fd00::1]:8443/", "https://192.168.0.1/"];
    let here = [
        "https://127.0.0.1/",
        "http://localhost:1/",
        "https://a.localhost/",
        "https://[::ffff:127.0.0.1]/",
        "https://0x7f.1/",
        "https://0.0.0.0/",
        "https://localhost./",
    ];
    let cloud = ["https://169.254.169.254/latest", "https://[fe80::1]/"];
    for (remote, reach) in [
        ("https://8.8.8.8/mcp", Reach::Public),
        ("https://10.0.0.9/mcp", Reach::Private),
        ("http://localhost:3000/mcp", Reach::Loopback),
    ] {
        let web = web(remote, &[]);
        assert!(web.checked("https://1.1.1.1/x").await.is_ok());
        assert!(web.checked("https://as.example/x").await.is_ok());
        assert!(web.checked(remote).await.is_ok());
        for (urls, of) in
            [(&inside[..], Reach::Private), (&here, Reach::Loopback), (&cloud, Reach::LinkLocal)]
        {
            for url in urls {
                assert_eq!(web.checked(url).await.is_ok(), reach == of, "{remote} {url}");
            }
        }
    }
}

#[tokio::test]
async fn hosts_that_the_person_named_may_be_anywhere() {
    let web = web("https://8.8.8.8/mcp", &["10.1.2.3", "[::1]"]);
    assert!(web.checked("https://10.1.2.3:8443/x").await.is_ok());
    assert!(web.checked("http://[::1]:9/x").await.is_ok());
    assert!(web.checked("http://10.1.2.3/x").await.is_err());
    assert!(web.checked("https://10.1.2.4/x").await.is_err());
}

#[tokio::test]
async fn a_url_that_is_not_https_is_not_asked() {
    let web = web("https://8.8.8.8/mcp", &[]);
    for url in [
        "http://as.example/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:text/html,x",
        "ftp://as.example/",
        "https://user:secret@as.example/",
        "as.example",
        "",
    ] {
        let refused = web.checked(url).await.unwrap_err();
        assert!(matches!(refused, WebError::Refused { .. }), "{url}");
        assert!(!refused.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn redirects_stay_on_their_origin_and_end() {
    let (site, other) = (Site::start().await, Site::start().await);
    let web = web(&site.origin, &[]);
    let to = |path: &str, to: &str| site.answer(path, 302, &format!("location: {to}\r\n"), "no");
    to("/1", "2");
    to("/2", &site.url("/3"));
    to("/3", "/4");
    site.answer("/4", 200, "", "there");
    assert_eq!(web.get(&site.url("/1")).await.unwrap().body.expose(), b"there");
    to("/loop", "/loop");
    let looped = web.get(&site.url("/loop")).await.unwrap_err();
    assert!(matches!(looped, WebError::Redirected { .. }), "{looped}");
    assert_eq!(site.asked().len(), 4 + 1 + MAX_REDIRECTS);
    for elsewhere in [other.url("/x"), "file:///etc/passwd".into(), "https://h/?token=s".into()] {
        to("/away", &elsewhere);
        let away = web.get(&site.url("/away")).await.unwrap_err();
        assert!(matches!(away, WebError::Redirected { .. }), "{away}");
        assert!(!away.to_string().contains("token"));
    }
    let secret = Secret::new(b"code=x".to_vec());
    let form = "application/x-www-form-urlencoded";
    let posted = web.post(&site.url("/3"), form, HeaderMap::new(), secret).await.unwrap_err();
    assert!(matches!(posted, WebError::Redirected { .. }), "{posted}");
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn a_large_body_is_cut_early() {
    let site = Site::start().await;
    let web = web(&site.origin, &[]);
    let megabyte = vec![b' '; 1 << 20];
    let length = b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n".to_vec();
    site.reply("/length", Reply::Endless(length, megabyte.clone()));
    let chunk = [b"100000\r\n", &megabyte[..], b"\r\n"].concat();
    site.reply("/chunks", Reply::Endless(chunked(""), chunk));
    for path in ["/length", "/chunks"] {
        let error = web.get(&site.url(path)).await.unwrap_err();
        assert!(matches!(error, WebError::TooLarge { .. }), "{error}");
    }
    assert!(*site.sent.lock().unwrap() < 50 << 20);
    let whole = " ".repeat(LARGEST);
    site.answer("/whole", 200, "", &whole);
    assert_eq!(web.get(&site.url("/whole")).await.unwrap().body.expose().len(), LARGEST);
}

#[tokio::test]
async fn a_compressed_body_is_measured_as_it_unfolds() {
    let site = Site::start().await;
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![0; 100 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < LARGEST);
    let head = head(200, "content-encoding: gzip\r\n", bomb.len());
    site.reply("/", Reply::Whole([head.as_bytes(), &bomb].concat()));
    let error = web(&site.origin, &[]).get(&site.url("/")).await.unwrap_err();
    assert!(matches!(error, WebError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_body_without_end_is_given_up() {
    let site = Site::start().await;
    let mut web = web(&site.origin, &[]);
    web.patience = Duration::from_millis(300);
    let trickle = Reply::Trickle(chunked(""), b"1\r\n \r\n".to_vec());
    site.reply("/body", trickle);
    site.reply("/head", Reply::Trickle(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x: y\r\n".to_vec()));
    for path in ["/body", "/head"] {
        let error = web.get(&site.url(path)).await.unwrap_err();
        assert!(matches!(error, WebError::Lost { .. }), "{error}");
    }
    let events = chunked("content-type: Text/Event-Stream; charset=utf-8\r\n");
    site.reply("/events", Reply::Trickle(events, b"1\r\n:\r\n".to_vec()));
    assert_eq!(web.get(&site.url("/events")).await.unwrap().status, 404);
}

#[tokio::test]
async fn documents_are_kept_until_they_are_forgotten_or_a_request_fails() {
    let site = Site::start().await;
    let web = web(&site.origin, &[]);
    site.answer("/a", 200, "cache-control: max-age=60\r\n", "a");
    site.answer("/once", 200, "cache-control: no-store\r\n", "b");
    for _ in 0..2 {
        assert_eq!(web.document(&site.url("/a")).await.unwrap().body.expose(), b"a");
        assert_eq!(web.document(&site.url("/once")).await.unwrap().body.expose(), b"b");
        assert_eq!(web.document(&site.url("/none")).await.unwrap().status, 404);
    }
    assert_eq!(site.asked(), ["/a", "/once", "/none", "/once", "/none"]);
    web.forget();
    assert!(web.document(&site.url("/a")).await.is_ok());
    assert!(web.document("http://127.0.0.1:1/").await.is_err());
    assert!(web.document(&site.url("/a")).await.is_ok());
    assert_eq!(site.asked(), ["/a", "/a"]);
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_told_from_a_lost_answer() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let web = web("http://127.0.0.1:1", &[]);
    let error = web.get(&format!("http://{free}/?secret")).await.unwrap_err();
    assert!(matches!(error, WebError::Unreachable { .. }), "{error}");
    assert!(!error.to_string().contains("secret"));
    let site = Site::start().await;
    site.reply("/", Reply::Whole(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec()));
    let error = web.get(&site.url("/")).await.unwrap_err();
    assert!(matches!(error, WebError::Lost { .. }), "{error}");
}

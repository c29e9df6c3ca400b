//! The listener against browsers, and against what else can reach a loopback port.

use super::*;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const STATE: &str = "state-of-this-sign-in";
const RIGHT: &str = "code=the-code&state=state-of-this-sign-in&iss=https%3A%2F%2Fas.example";
/// Far above what anything here takes.
const DEADLINE: Duration = Duration::from_secs(8);

fn awaited() -> Awaited {
    Awaited {
        state: Secret::new(STATE.into()),
        server: "mcp.example.com".into(),
        account: Some("work <b>".into()),
        success_url: None,
    }
}

fn listener() -> Listener {
    Listener::bind(&Settings::default()).unwrap()
}

/// Takes what names the right issuer.
fn serve(listener: Listener) -> Serving {
    listener.serve(awaited(), |response| match response.iss.as_deref() {
        Some("https://as.example") => Verdict::Take,
        _ => Verdict::Reject,
    })
}

fn get(port: u16, query: &str) -> String {
    format!("GET /oauth/callback?{query} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n")
}

async fn send(port: u16, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

async fn reply(mut stream: TcpStream) -> String {
    let mut text = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut text)).await.expect("a reply in time").unwrap();
    text
}

async fn ask(port: u16, request: &str) -> String {
    reply(send(port, request.as_bytes()).await).await
}

async fn answer(serving: &mut Serving) -> (AuthorizationResponse, Tab) {
    timeout(DEADLINE, serving.response()).await.expect("an answer in time").unwrap()
}

fn has_v6() -> bool {
    std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

fn is_free(address: std::net::IpAddr, port: u16) -> bool {
    std::net::TcpListener::bind((address, port)).is_ok()
}

#[tokio::test]
async fn the_port_is_held_on_both_addresses_and_free_the_moment_it_is_dropped() {
    let listener = listener();
    let port = listener.port();
    assert!(listener.redirect_uri().ends_with(&format!(":{port}/oauth/callback")));
    assert!(!is_free(Ipv4Addr::LOCALHOST.into(), port));
    assert!(!has_v6() || !is_free(Ipv6Addr::LOCALHOST.into(), port));
    let serving = serve(listener);
    let mut half = send(port, b"GET /oauth").await;
    let reused = ask(port, &get(port, "x")).await;
    assert!(reused.starts_with("HTTP/1.1 400 "), "{reused}");
    drop(serving);
    // No await in between.
    let settings = Settings { port: Port::Fixed(port), ..Settings::default() };
    assert_eq!(Listener::bind(&settings).unwrap().port(), port);
    let end = timeout(DEADLINE, half.read(&mut [0])).await.expect("the connection ends");
    assert!(!matches!(end, Ok(1..)));
}

#[tokio::test]
async fn a_port_taken_on_either_address_is_not_used() {
    let mut addresses = vec![Ipv4Addr::LOCALHOST.into()];
    addresses.extend(has_v6().then_some(std::net::IpAddr::from(Ipv6Addr::LOCALHOST)));
    for address in addresses {
        let other = std::net::TcpListener::bind((address, 0)).unwrap();
        let taken = other.local_addr().unwrap().port();
        let fixed = Settings { port: Port::Fixed(taken), ..Settings::default() };
        let error = Listener::bind(&fixed).unwrap_err();
        assert!(matches!(error, BindError::Taken(port) if port == taken), "{error}");
        let preferred = Settings { port: Port::Preferred(taken), ..Settings::default() };
        assert_ne!(Listener::bind(&preferred).unwrap().port(), taken);
    }
    let free = listener().port();
    let preferred = Settings { port: Port::Preferred(free), ..Settings::default() };
    assert_eq!(Listener::bind(&preferred).unwrap().port(), free);
}

#[tokio::test]
async fn the_redirect_uri_is_as_asked_for_or_refused() {
    let uri = |host: &str, path: &str| {
        let settings = Settings { host: host.into(), path: path.into(), port: Port::Ephemeral };
        Listener::bind(&settings).map(|listener| listener.redirect_uri().to_owned())
    };
    assert!(uri("localhost", "/").unwrap().starts_with("http://localhost:"));
    assert!(uri("127.0.0.1", "/cb").unwrap().starts_with("http://127.0.0.1:"));
    if has_v6() {
        assert!(uri("::1", "/cb").unwrap().starts_with("http://[::1]:"));
    }
    for (host, path) in [
        ("localhost", "callback"),
        ("localhost", "/a b"),
        ("localhost", "/a?b"),
        ("localhost", "/a#b"),
        ("localhost", "/a/../b"),
        ("local host", "/"),
        ("localhost/", "/"),
        ("u@localhost", "/"),
        ("", "/"),
    ] {
        assert!(matches!(uri(host, path), Err(BindError::Uri(_))), "{host} {path}");
    }
}

#[tokio::test]
async fn success_is_claimed_only_when_it_is_told() {
    let listener = listener();
    let port = listener.port();
    let mut serving = serve(listener);
    let browser = send(port, get(port, RIGHT).as_bytes()).await;
    let (response, tab) = answer(&mut serving).await;
    assert_eq!(response.result.unwrap().expose(), "the-code");
    // A reload meanwhile; by then the first page would be there, were there one.
    let again = ask(port, &get(port, RIGHT)).await;
    assert!(again.starts_with("HTTP/1.1 400 ") && again.contains("Already used"), "{again}");
    assert!(browser.try_read(&mut [0]).is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock));
    assert!(serving.response().await.is_none());

    let began = Instant::now();
    tab.show(Outcome::SignedIn { identity: Some("jane@example.com".into()) }).await;
    assert!(began.elapsed() < Duration::from_millis(900), "the browser need not close first");
    drop(serving);
    let page = reply(browser).await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    for part in [
        "Cache-Control: no-store\r\n",
        "Referrer-Policy: no-referrer\r\n",
        "Content-Security-Policy: default-src 'none'; style-src 'sha256-",
        "X-Content-Type-Options: nosniff\r\n",
        "Connection: close\r\n",
        "Content-Type: text/html; charset=utf-8\r\n",
        "You are signed in",
        "mcp.example.com",
        "jane@example.com",
        "work &lt;b&gt;",
        "You can close this tab.",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("the-code") && !page.contains(STATE), "{page}");
}

#[tokio::test]
async fn the_page_tells_the_truth_on_failure() {
    let listener = listener();
    let port = listener.port();
    let mut serving = serve(listener);
    let query = "error=access_denied&state=state-of-this-sign-in&iss=https://as.example";
    let browser = send(port, get(port, query).as_bytes()).await;
    let (response, tab) = answer(&mut serving).await;
    assert_eq!(response.result.unwrap_err().error, "access_denied");
    let cause = "The server said <script>no</script>.".into();
    tab.show(Outcome::Failed { cause, advice: "Sign in once more.".into() }).await;
    let page = reply(browser).await;
    assert!(page.contains("The sign-in failed") && page.contains("Sign in once more."), "{page}");
    assert!(page.contains("said &lt;script&gt;no") && !page.contains("<script"), "{page}");
    assert!(!page.contains("signed in"), "{page}");
}

#[tokio::test]
async fn a_page_of_ones_own_is_for_success_only() {
    for (outcome, expected) in [
        (Outcome::SignedIn { identity: None }, "HTTP/1.1 303 See Other\r\n"),
        (Outcome::Failed { cause: "c".into(), advice: "a".into() }, "HTTP/1.1 200 OK\r\n"),
    ] {
        let listener = listener();
        let port = listener.port();
        let success_url = Some(Url::parse("https://done.example/a?b=c\u{e9}").unwrap());
        let mut serving = listener.serve(Awaited { success_url, ..awaited() }, |_| Verdict::Take);
        let browser = send(port, get(port, RIGHT).as_bytes()).await;
        answer(&mut serving).await.1.show(outcome).await;
        let page = reply(browser).await;
        assert!(page.starts_with(expected), "{page}");
        let location = page.contains("\r\nLocation: https://done.example/a?b=c%C3%A9\r\n");
        assert_eq!(location, page.contains(" 303 "), "{page}");
    }
}

#[tokio::test]
async fn a_tab_without_an_outcome_is_told_so() {
    let listener = listener();
    let port = listener.port();
    let mut serving = serve(listener);
    let browser = send(port, get(port, RIGHT).as_bytes()).await;
    drop(answer(&mut serving).await);
    drop(serving);
    let page = reply(browser).await;
    assert!(page.contains("The sign-in was given up"), "{page}");
}

#[tokio::test]
async fn what_is_not_the_answer_is_refused_and_the_sign_in_goes_on() {
    let listener = listener();
    let port = listener.port();
    let mut serving = serve(listener);
    let here = format!("HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    let requests = [
        (400, get(port, "code=evil&state=wrong&iss=https://as.example")),
        (400, get(port, "code=evil&iss=https://as.example")),
        (400, get(port, &format!("{RIGHT}&state={STATE}"))),
        (400, get(port, &format!("{RIGHT}&state=other"))),
        (400, get(port, &format!("{RIGHT}&iss=https://as.example"))),
        (400, get(port, &format!("{RIGHT}&code=b"))),
        (400, get(port, &format!("{RIGHT}&error=b"))),
        (400, get(port, &format!("state={STATE}&iss=https://as.example"))),
        (400, get(port, &format!("code=evil&state={STATE}"))),
        (400, get(port, &format!("code=evil&state={STATE}&iss=https://evil.example"))),
        (
            400,
            get(port, &format!("error=<script>&error_description=<script>&state={STATE}&iss=evil")),
        ),
        (400, format!("GET /oauth/callback?{RIGHT} HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n")),
        (400, format!("GET /oauth/callback?{RIGHT} HTTP/1.0\r\n\r\n")),
        (400, "\0\r\n\r\n".into()),
        (404, format!("GET /?{RIGHT} {here}")),
        (404, format!("GET /favicon.ico {here}")),
        (405, format!("HEAD /oauth/callback?{RIGHT} {here}")),
        (405, format!("POST /oauth/callback?{RIGHT} {here}{RIGHT}")),
        (405, format!("OPTIONS /oauth/callback?{RIGHT} {here}")),
        (
            503,
            format!(
                "GET /oauth/callback?{RIGHT} HTTP/1.1\r\nHost: localhost:{port}\r\n\
                 Sec-Purpose: prefetch\r\n\r\n"
            ),
        ),
    ];
    for (status, request) in requests {
        let page = ask(port, &request).await;
        assert!(page.starts_with(&format!("HTTP/1.1 {status} ")), "{request}\n{page}");
        assert!(!page.contains("<script") && !page.contains("evil"), "{request}\n{page}");
    }
    let browser = send(port, get(port, RIGHT).as_bytes()).await;
    let (response, tab) = answer(&mut serving).await;
    assert_eq!(response.result.unwrap().expose(), "the-code");
    tab.show(Outcome::SignedIn { identity: None }).await;
    assert!(reply(browser).await.contains("You are signed in"));
}

#[tokio::test]
async fn a_request_in_many_pieces_is_one_request() {
    let listener = listener();
    let port = listener.port();
    let mut serving = serve(listener);
    let mut browser = send(port, b"").await;
    browser.set_nodelay(true).unwrap();
    for byte in get(port, RIGHT).bytes() {
        browser.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    answer(&mut serving).await.1.show(Outcome::SignedIn { identity: None }).await;
    assert!(reply(browser).await.contains("You are signed in"));
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let listener = listener();
    let port = listener.port();
    let _serving = serve(listener);
    let mut request = format!("GET /oauth/callback?{RIGHT} HTTP/1.1\r\nX: ").into_bytes();
    request.resize(40 * 1024, b'x');
    let page = reply(send(port, &request).await).await;
    assert!(page.starts_with("HTTP/1.1 431 "), "{page}");
}

#[tokio::test]
async fn other_connections_do_not_delay_the_right_one() {
    let listener = listener();
    let port = listener.port();
    let mut serving = serve(listener);
    let began = Instant::now();
    let mut others = Vec::new();
    for pieces in [&b""[..], b"GET /oa", b"GET / HTTP/1.1\r\nX: ", &[b'x'; 20_000]].repeat(60) {
        others.push(send(port, pieces).await);
    }
    // On the other address, where there is one.
    let address = if has_v6() { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
    let mut browser = TcpStream::connect((address, port) as (std::net::IpAddr, u16)).await.unwrap();
    browser.write_all(get(port, RIGHT).as_bytes()).await.unwrap();
    let (_, tab) = answer(&mut serving).await;
    for _ in 0..100 {
        others.push(send(port, b"GET /oauth/callback").await);
    }
    tab.show(Outcome::SignedIn { identity: None }).await;
    drop(serving);
    assert!(reply(browser).await.contains("You are signed in"));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

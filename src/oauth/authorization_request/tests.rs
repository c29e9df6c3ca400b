use super::{
    AuthorizationParameters, AuthorizationRequest, ExpectedIssuer, IssError, RequestError,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use url::form_urlencoded;

const ISSUER: &str = "https://as.example/a";

fn plain() -> AuthorizationParameters<'static> {
    AuthorizationParameters {
        authorization_endpoint: "https://as.example/authorize",
        client_id: "id",
        redirect_uri: "http://localhost:1/oauth/callback",
        scope: None,
        resource: None,
        extra: &[],
        prompt_consent: false,
        issuer: ExpectedIssuer::Published(ISSUER),
        iss_supported: false,
        allow_http: false,
    }
}

fn parameters(url: &str) -> Vec<(String, String)> {
    let (_, query) = url.split_once('?').unwrap();
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

#[test]
fn the_request_holds_exactly_what_belongs_to_it() {
    let extra = [("audience".to_owned(), "a&b".to_owned())];
    let request = AuthorizationRequest::new(&AuthorizationParameters {
        client_id: "https://app.example/client.json",
        scope: Some("files:read files:write"),
        resource: Some("https://MCP.example"),
        extra: &extra,
        prompt_consent: true,
        ..plain()
    })
    .unwrap();
    let digest = Sha256::digest(request.verifier.expose().as_bytes());
    let expected = [
        ("response_type", "code"),
        ("client_id", "https://app.example/client.json"),
        ("state", request.state.expose()),
        ("code_challenge", &URL_SAFE_NO_PAD.encode(digest)),
        ("code_challenge_method", "S256"),
        ("redirect_uri", "http://localhost:1/oauth/callback"),
        ("scope", "files:read files:write"),
        ("resource", "https://MCP.example"),
        ("prompt", "consent"),
        ("audience", "a&b"),
    ];
    let expected: Vec<_> = expected.map(|(name, value)| (name.into(), value.into())).into();
    assert_eq!(parameters(&request.url), expected);
    assert!(request.verifier.expose().len() >= 43 && request.state.expose().len() >= 43);
}

#[test]
fn every_request_has_a_state_and_a_verifier_of_its_own() {
    let [one, two] = [(); 2].map(|()| AuthorizationRequest::new(&plain()).unwrap());
    assert_ne!(one.state.expose(), two.state.expose());
    assert_ne!(one.verifier.expose(), two.verifier.expose());
    let shown = format!("{one:?}");
    assert!(!shown.contains(one.state.expose()) && !shown.contains(one.verifier.expose()));
    assert!(!one.url.contains(one.verifier.expose()));
}

#[test]
fn an_endpoint_keeps_its_spelling_and_loses_what_the_flow_says_itself() {
    for (endpoint, kept) in [
        ("https://AS.example", "https://AS.example?"),
        ("https://as.example:443/a/../b%6f", "https://as.example:443/a/../b%6f?"),
        ("https://as.example/a?", "https://as.example/a?"),
        (
            "https://as.example/a?p=b_1%2fc&flag&x=%41+1#top",
            "https://as.example/a?p=b_1%2fc&flag&x=%41+1&",
        ),
        (
            "https://as.example/a?state=evil&tenant=1&redirect_uri=https://evil.example&\
             client%5Fid=evil&request_uri=urn:x&resource=evil&scope=all&nonce=1&response_mode=form_post\
             &code_challenge=x&code_challenge_method=plain&response_type=token&&prompt=login",
            "https://as.example/a?tenant=1&prompt=login&",
        ),
        ("https://as.example/ü \"<a", "https://as.example/%C3%BC%20%22%3Ca?"),
    ] {
        let request = AuthorizationRequest::new(&AuthorizationParameters {
            authorization_endpoint: endpoint,
            ..plain()
        })
        .unwrap();
        let own =
            format!("{kept}response_type=code&client_id=id&state={}&", request.state.expose());
        assert!(request.url.starts_with(&own), "{endpoint}: {}", request.url);
        assert!(!request.url.contains("evil"), "{endpoint}: {}", request.url);
    }
}

#[test]
fn what_the_person_sets_replaces_the_endpoints_own_and_the_prompt() {
    let extra = [("prompt".to_owned(), "login".to_owned()), ("aud".to_owned(), "b".to_owned())];
    let request = AuthorizationRequest::new(&AuthorizationParameters {
        authorization_endpoint: "https://as.example/a?aud=a&prompt=none&b=1",
        extra: &extra,
        prompt_consent: true,
        ..plain()
    })
    .unwrap();
    let parameters = parameters(&request.url);
    let named = |name: &str| -> Vec<&str> {
        parameters.iter().filter(|(one, _)| one == name).map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!((named("prompt"), named("aud"), named("b")), (vec!["login"], vec!["b"], vec!["1"]));
}

#[test]
fn the_persons_parameters_cannot_replace_the_flows() {
    for name in ["state", "redirect_uri", "client_id", "code_challenge", "resource", "request"] {
        let extra = [(name.to_owned(), "x".to_owned())];
        let error =
            AuthorizationRequest::new(&AuthorizationParameters { extra: &extra, ..plain() });
        assert_eq!(error.unwrap_err(), RequestError::Reserved(name.into()));
    }
}

#[test]
fn an_endpoint_that_no_browser_should_open_is_refused() {
    for endpoint in [
        "javascript:alert(1)//https://as.example",
        "file:///etc/passwd",
        "data:text/html,x",
        "/authorize",
        "",
        "http://as.example/authorize",
        "http://127.0.0.1.example/authorize",
        "https://me:secret@as.example/",
        "https:\\\\evil.example/",
        "https://as.example/\nx",
        " https://as.example/",
    ] {
        let asked = AuthorizationParameters { authorization_endpoint: endpoint, ..plain() };
        let error = AuthorizationRequest::new(&asked).unwrap_err();
        assert!(matches!(error, RequestError::Endpoint(_)), "{endpoint}");
    }
    for (endpoint, allow_http) in
        [("http://localhost:1/a", false), ("http://[::1]/a", false), ("http://as.example/a", true)]
    {
        let asked =
            AuthorizationParameters { authorization_endpoint: endpoint, allow_http, ..plain() };
        assert!(AuthorizationRequest::new(&asked).is_ok(), "{endpoint}");
    }
    let asked = AuthorizationParameters { redirect_uri: "callback", ..plain() };
    assert_eq!(AuthorizationRequest::new(&asked).unwrap_err(), RequestError::RedirectUri);
}

#[test]
fn a_response_is_taken_from_the_server_that_was_asked_only() {
    for (iss_supported, iss, expected) in [
        (true, Some(ISSUER), Ok(())),
        (true, Some("https://evil.example"), Err(IssError::Other)),
        (true, None, Err(IssError::Missing)),
        (false, Some(ISSUER), Ok(())),
        (false, Some("https://evil.example"), Err(IssError::Other)),
        (false, None, Ok(())),
        (false, Some(""), Err(IssError::Other)),
        (false, Some("https://as.example/a/"), Err(IssError::Other)),
        (false, Some("https://AS.example/a"), Err(IssError::Other)),
        (false, Some("https://as.example:443/a"), Err(IssError::Other)),
        (false, Some("https://as.example/%61"), Err(IssError::Other)),
    ] {
        let request =
            AuthorizationRequest::new(&AuthorizationParameters { iss_supported, ..plain() });
        assert_eq!(request.unwrap().check(iss), expected, "{iss:?}");
    }
}

#[test]
fn an_issuer_that_nobody_published_may_have_a_slash() {
    let issuer = ExpectedIssuer::Derived("https://mcp.example");
    let request =
        AuthorizationRequest::new(&AuthorizationParameters { issuer, ..plain() }).unwrap();
    assert_eq!(request.check(Some("https://mcp.example/")), Ok(()));
    assert_eq!(request.check(Some("https://mcp.example")), Ok(()));
    assert_eq!(request.check(Some("https://mcp.example//")), Err(IssError::Other));
    assert_eq!(request.check(Some("https://evil.example/")), Err(IssError::Other));
}

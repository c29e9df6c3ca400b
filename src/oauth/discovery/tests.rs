use super::*;
use crate::oauth::web::tests::{Site, web};

const PRM: &str = r#"{"resource":"ORIGIN/mcp","authorization_servers":["ORIGIN"],"scopes_supported":["a","b"],"resource_name":"X"}"#;
const SERVER: &str =
    r#"{"issuer":"ORIGIN","authorization_endpoint":"ORIGIN/a?x=1","token_endpoint":"ORIGIN/t"}"#;

fn remote(site: &Site) -> Url {
    Url::parse(&site.url("/mcp?key=1")).unwrap()
}

fn challenge(url: String) -> Challenge {
    Challenge { resource_metadata: Some(url), ..Challenge::default() }
}

async fn found(site: &Site, challenge: Option<&Challenge>) -> Result<Discovered, DiscoveryError> {
    asking(site, challenge, &Options::default()).await
}

async fn asking(
    site: &Site,
    challenge: Option<&Challenge>,
    options: &Options,
) -> Result<Discovered, DiscoveryError> {
    let (web, remote) = (web(remote(site).as_str(), &[]), remote(site));
    let (challenge, options) = (challenge.cloned(), options.clone());
    // As a task of its own, as a bridge does it.
    let task = async move { discover(&web, &remote, challenge.as_ref(), &options).await };
    tokio::spawn(task).await.unwrap()
}

fn why(result: Result<Discovered, DiscoveryError>) -> String {
    match result.unwrap_err() {
        DiscoveryError::Refused { why } => why,
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn the_challenge_names_the_metadata() {
    let site = Site::start().await;
    site.json("/meta", PRM);
    site.json("/.well-known/oauth-authorization-server", SERVER);
    let found = found(&site, Some(&challenge(site.url("/meta")))).await.unwrap();
    assert_eq!(found.resource, site.url("/mcp"));
    assert_eq!(found.scopes_supported.unwrap(), ["a", "b"]);
    assert_eq!(found.resource_name.unwrap(), "X");
    assert_eq!(found.server.authorization_endpoint.unwrap(), site.url("/a?x=1"));
    assert_eq!(found.from, Source::Metadata);
    assert_eq!(site.asked(), ["/meta", "/.well-known/oauth-authorization-server"]);
}

#[tokio::test]
async fn without_a_usable_challenge_the_path_comes_before_the_root() {
    for challenged in [None, Some("/gone"), Some("/page")] {
        let site = Site::start().await;
        site.answer("/page", 200, "content-type: text/html\r\n", "<html>");
        site.answer(
            "/.well-known/oauth-protected-resource/mcp",
            302,
            "location: https://h/\r\n",
            "",
        );
        site.json("/.well-known/oauth-protected-resource", PRM);
        site.json("/.well-known/oauth-authorization-server", SERVER);
        let challenged = challenged.map(|path| challenge(site.url(path)));
        assert!(found(&site, challenged.as_ref()).await.is_ok());
        let mut asked = site.asked();
        if challenged.is_some() {
            asked.remove(0);
        }
        assert_eq!(
            asked,
            [
                "/.well-known/oauth-protected-resource/mcp",
                "/.well-known/oauth-protected-resource",
                "/.well-known/oauth-authorization-server"
            ]
        );
    }
}

#[tokio::test]
async fn a_server_in_trouble_is_not_taken_for_one_without_metadata() {
    for status in [500, 503, 429] {
        let site = Site::start().await;
        site.answer("/.well-known/oauth-protected-resource/mcp", status, "", "");
        let error = found(&site, None).await.unwrap_err();
        assert!(matches!(error, DiscoveryError::Unavailable { .. }), "{error}");
        let site = Site::start().await;
        site.answer("/.well-known/oauth-authorization-server", status, "", "");
        let error = found(&site, None).await.unwrap_err();
        assert!(matches!(error, DiscoveryError::Unavailable { .. }), "{error}");
    }
    let site = Site::start().await;
    let nobody = Url::parse("http://127.0.0.1:1/mcp").unwrap();
    let web = web(&site.origin, &[]);
    let error = discover(&web, &nobody, None, &Options::default()).await.unwrap_err();
    assert!(matches!(error, DiscoveryError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn the_metadata_of_another_resource_is_refused_without_looking_further() {
    let site = Site::start().await;
    site.json("/meta", &PRM.replace("ORIGIN/mcp", "https://honest.example/mcp"));
    site.json("/.well-known/oauth-protected-resource", PRM);
    site.json("/.well-known/oauth-authorization-server", SERVER);
    let why = why(found(&site, Some(&challenge(site.url("/meta")))).await);
    assert!(why.contains("https://honest.example/mcp") && why.contains(&site.origin), "{why}");
    assert!(!why.contains("key=1"));
    assert_eq!(site.asked(), ["/meta"]);
}

#[test]
fn a_resource_covers_the_remote_or_not() {
    let remote = Url::parse("https://h.example/a/mcp?t=1").unwrap();
    for (resource, covers) in [
        ("https://h.example", true),
        ("https://h.example/", true),
        ("HTTPS://H.example:443/a", true),
        ("https://h.example/a/", true),
        ("https://h.example/a/mcp", true),
        ("https://h.example/a/mcp/", true),
        ("https://h.example/a/mcp?t=1", true),
        ("https://h.example/a/mcp?t=2", false),
        ("https://h.example/a/mcp/x", false),
        ("https://h.example/a/mc", false),
        ("https://h.example/A/mcp", false),
        ("https://h.example/b/../a", true),
        ("https://h.example/a/mcp#f", false),
        ("https://h.example:8443/a/mcp", false),
        ("http://h.example/a/mcp", false),
        ("https://h.example.evil.test/a/mcp", false),
        ("https://u@h.example/a/mcp", false),
        ("urn:mcp", false),
        ("", false),
    ] {
        assert_eq!(check_resource(resource, &remote).is_ok(), covers, "{resource}");
    }
}

#[tokio::test]
async fn identifiers_go_out_as_they_were_published() {
    let site = Site::start().await;
    site.json("/.well-known/oauth-protected-resource", &PRM.replace("ORIGIN/mcp", "ORIGIN"));
    site.json("/.well-known/oauth-authorization-server", SERVER);
    assert_eq!(found(&site, None).await.unwrap().resource, site.origin);
    for (remote, resource) in [
        ("https://h.example", "https://h.example"),
        ("https://h.example/?k=v#f", "https://h.example"),
        ("https://h.example/mcp?k=v", "https://h.example/mcp"),
        ("https://h.example/mcp/", "https://h.example/mcp/"),
    ] {
        assert_eq!(resource_of(&Url::parse(remote).unwrap()), resource);
    }
}

#[test]
fn the_places_of_metadata_are_in_the_specified_order() {
    let url = |url: &str| Url::parse(url).unwrap();
    let of = protected_resource_places;
    let root = "https://h.example/.well-known/oauth-protected-resource";
    assert_eq!(of(&url("https://h.example?k=v")), [root]);
    assert_eq!(of(&url("https://h.example/a%20b?k=v")), [&format!("{root}/a%20b"), root]);
    let slashed = of(&url("https://h.example/a/"));
    assert_eq!(slashed, [&format!("{root}/a/"), &format!("{root}/a"), root]);
    let of = authorization_server_places;
    assert_eq!(
        of(&url("https://h.example:8443/")),
        [
            "https://h.example:8443/.well-known/oauth-authorization-server",
            "https://h.example:8443/.well-known/openid-configuration",
        ]
    );
    assert_eq!(
        of(&url("https://h.example/t/1/")),
        [
            "https://h.example/.well-known/oauth-authorization-server/t/1",
            "https://h.example/.well-known/openid-configuration/t/1",
            "https://h.example/t/1/.well-known/openid-configuration",
        ]
    );
}

#[tokio::test]
async fn every_form_of_authorization_server_metadata_is_found() {
    let site = Site::start().await;
    let issuer = site.url("/t1");
    let web = web(&site.origin, &[]);
    let places = [
        "/t1/.well-known/openid-configuration",
        "/.well-known/openid-configuration/t1",
        "/.well-known/oauth-authorization-server/t1",
    ];
    for (at, place) in places.iter().enumerate() {
        site.json(place, r#"{"issuer":"ORIGIN/t1"}"#);
        web.forget();
        assert!(authorization_server(&web, &issuer, true).await.is_ok());
        assert_eq!(site.asked().len(), 3 - at);
    }
}

#[tokio::test]
async fn the_metadata_of_another_issuer_is_never_used() {
    let site = Site::start().await;
    let web = web(&site.origin, &[]);
    let first = "/.well-known/oauth-authorization-server";
    for other in ["https://honest.example", "ORIGIN/", "ORIGIN/x"] {
        site.json(first, &format!(r#"{{"issuer":"{other}"}}"#));
        web.forget();
        let error = authorization_server(&web, &site.origin, true).await.unwrap_err().to_string();
        let other = other.replace("ORIGIN", &site.origin);
        assert!(error.contains(&other) && error.contains(&site.origin), "{error}");
    }
    site.json("/.well-known/openid-configuration", SERVER);
    assert!(authorization_server(&web, &site.origin, true).await.is_ok());
    let odd = authorization_server(&web, &site.url("?q=1"), true).await;
    assert!(matches!(odd, Err(DiscoveryError::Refused { .. })));
    let odd = authorization_server(&web, &site.url("/none"), true).await;
    assert!(matches!(odd, Err(DiscoveryError::Refused { .. })));
}

#[tokio::test]
async fn of_several_servers_the_first_that_answers_or_the_one_asked_for_is_used() {
    let site = Site::start().await;
    let listed = r#""ORIGIN/one","http://10.0.0.1","ORIGIN/two","ORIGIN/three""#;
    let prm = PRM.replace(r#""ORIGIN"]"#, &format!("{listed}]"));
    site.json("/.well-known/oauth-protected-resource/mcp", &prm);
    for name in ["two", "three"] {
        let server = SERVER.replace("\"ORIGIN\"", &format!("\"ORIGIN/{name}\""));
        site.json(&format!("/.well-known/oauth-authorization-server/{name}"), &server);
    }
    assert_eq!(found(&site, None).await.unwrap().server.issuer, site.url("/two"));
    let with = |issuer: String| Options { issuer: Some(issuer), ..Options::default() };
    let three = asking(&site, None, &with(site.url("/three"))).await.unwrap();
    assert_eq!(three.server.issuer, site.url("/three"));
    let unlisted = why(asking(&site, None, &with(site.origin.clone())).await);
    assert!(unlisted.contains(&site.url("/two")), "{unlisted}");
    let prm = PRM.replace(r#""ORIGIN"]"#, r#""ORIGIN/one","ORIGIN/zero"]"#);
    site.json("/.well-known/oauth-protected-resource/mcp", &prm);
    let none = why(found(&site, None).await);
    assert!(none.contains(&site.url("/one")), "{none}");
}

#[tokio::test]
async fn an_older_server_has_its_metadata_at_its_origin() {
    for slash in ["", "/"] {
        let site = Site::start().await;
        let server = SERVER.replace("\"ORIGIN\"", &format!("\"ORIGIN{slash}\""));
        site.json("/.well-known/oauth-authorization-server", &server);
        let found = found(&site, None).await.unwrap();
        assert_eq!(found.server.issuer, site.url(slash));
        assert_eq!((found.resource, found.from), (site.url("/mcp"), Source::Metadata));
        assert!(!found.server.offers_s256());
    }
    let site = Site::start().await;
    let server = SERVER.replace("\"ORIGIN\"", "\"https://honest.example\"");
    site.json("/.well-known/oauth-authorization-server", &server);
    assert!(why(found(&site, None).await).contains("https://honest.example"));
}

#[tokio::test]
async fn a_server_without_any_metadata_has_the_default_endpoints() {
    let site = Site::start().await;
    let found = found(&site, None).await.unwrap();
    assert_eq!((found.resource, found.from), (site.url("/mcp"), Source::Defaults));
    assert_eq!(found.server, default_endpoints(&remote(&site)));
    assert_eq!(found.server.issuer, site.origin);
    assert_eq!(found.server.registration_endpoint.as_ref().unwrap(), &site.url("/register"));
    assert!(found.server.offers_s256());
}

#[tokio::test]
async fn metadata_that_names_no_authorization_server_leads_to_the_origin_or_nowhere() {
    let site = Site::start().await;
    site.json("/.well-known/oauth-protected-resource", r#"{"resource":"ORIGIN"}"#);
    let nothing = found(&site, None).await.unwrap_err();
    assert!(matches!(nothing, DiscoveryError::Nothing { .. }), "{nothing}");
    site.json("/.well-known/oauth-authorization-server", SERVER);
    assert_eq!(found(&site, None).await.unwrap().resource, site.origin);
}

#[tokio::test]
async fn a_given_token_endpoint_is_used_with_metadata_and_without() {
    let site = Site::start().await;
    let token = "https://as.example/t".to_owned();
    let mut options = Options { token_endpoint: Some(token.clone()), issuer: None };
    let defaults = asking(&site, None, &options).await.unwrap();
    assert_eq!(
        (defaults.server.token_endpoint, defaults.from),
        (Some(token.clone()), Source::Defaults)
    );
    options.issuer = Some(site.url("/as"));
    let given = asking(&site, None, &options).await.unwrap();
    assert_eq!((given.server.token_endpoint, given.from), (Some(token.clone()), Source::Given));
    let page = given.server.authorization_endpoint;
    assert_eq!((given.server.issuer, page), (site.url("/as"), Some(site.url("/as/authorize"))));
    let server = SERVER.replace("\"ORIGIN\"", "\"ORIGIN/as\"");
    site.json("/.well-known/oauth-authorization-server/as", &server);
    let published = asking(&site, None, &options).await.unwrap();
    assert_eq!((published.server.token_endpoint, published.from), (Some(token), Source::Metadata));
    assert_eq!(published.server.authorization_endpoint, Some(site.url("/a?x=1")));
}

#[tokio::test]
async fn unsafe_urls_are_refused_wherever_they_stand() {
    for bad in [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://as.example/",
        "https://10.0.0.1/",
        "https://169.254.169.254/",
    ] {
        let site = Site::start().await;
        why(found(&site, Some(&challenge(bad.into()))).await);
        assert!(site.asked().is_empty());
        site.json(
            "/.well-known/oauth-protected-resource",
            &PRM.replace("[\"ORIGIN\"]", &format!("[\"{bad}\"]")),
        );
        why(found(&site, None).await);
        site.json("/.well-known/oauth-protected-resource", PRM);
        let server = SERVER.replace("ORIGIN/a?x=1", bad);
        site.json("/.well-known/oauth-authorization-server", &server);
        why(found(&site, None).await);
    }
}

#[tokio::test]
async fn published_metadata_that_redirects_away_or_in_circles_is_refused() {
    for to in ["https://elsewhere.example/", "/meta"] {
        let site = Site::start().await;
        site.answer("/meta", 302, &format!("location: {to}\r\n"), "");
        assert!(why(found(&site, Some(&challenge(site.url("/meta")))).await).contains("redirects"));
        site.json("/.well-known/oauth-protected-resource", PRM);
        site.answer(
            "/.well-known/openid-configuration",
            302,
            "location: https://h.example/\r\n",
            "",
        );
        assert!(why(found(&site, None).await).contains("h.example"));
    }
}

#[tokio::test]
async fn what_was_learned_is_kept_but_never_past_a_failure() {
    let site = Site::start().await;
    let prm = PRM.replace("ORIGIN", &site.origin);
    site.answer(
        "/.well-known/oauth-protected-resource/mcp",
        200,
        "cache-control: max-age=60\r\n",
        &prm,
    );
    site.json("/.well-known/oauth-authorization-server", SERVER);
    let web = web(&site.origin, &[]);
    let options = Options::default();
    let run = async |asked: usize, good: bool| {
        let remote = remote(&site);
        assert_eq!(discover(&web, &remote, None, &options).await.is_ok(), good);
        assert_eq!(site.asked().len(), asked);
    };
    run(2, true).await;
    // The second document came without a word about its age.
    run(1, true).await;
    site.json("/.well-known/oauth-authorization-server", r#"{"issuer":"https://honest.example"}"#);
    run(2, false).await;
    site.json("/.well-known/oauth-authorization-server", SERVER);
    run(2, true).await;
}

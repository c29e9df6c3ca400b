use super::*;

#[test]
fn strings_are_kept_as_published() {
    let body = br#"{"resource":"HTTPS://Example.com:443/a/../%7e","authorization_servers":["https://AS.example"],"extra":{"a":[1e400]}}"#;
    let found = ProtectedResource::parse(body).unwrap();
    assert_eq!(found.resource, "HTTPS://Example.com:443/a/../%7e");
    assert_eq!(found.authorization_servers, ["https://AS.example"]);
    assert_eq!(found.scopes_supported, None);
}

#[test]
fn null_and_strange_members_count_as_absent() {
    let body = br#"{"issuer":"https://h","token_endpoint":null,"registration_endpoint":7,"scopes_supported":"a b","code_challenge_methods_supported":["S256",null],"authorization_response_iss_parameter_supported":null}"#;
    let found = AuthorizationServer::parse(body).unwrap();
    assert_eq!(found, AuthorizationServer { issuer: "https://h".into(), ..Default::default() });
    let body = br#"{"resource":"https://h","authorization_servers":["https://a",null,5]}"#;
    let found = ProtectedResource::parse(body).unwrap();
    assert_eq!(found.authorization_servers, ["https://a"]);
}

#[test]
fn what_identifies_the_server_must_stand_there_once_and_as_a_string() {
    for body in [
        "{}",
        "[]",
        "null",
        "<html>",
        r#"{"issuer":null}"#,
        r#"{"issuer":5}"#,
        r#"{"issuer":"https://a","issuer":"https://b"}"#,
        "{\"issuer\":\"https://a\"",
    ] {
        assert_eq!(AuthorizationServer::parse(body.as_bytes()), None, "{body}");
    }
    assert_eq!(ProtectedResource::parse(br#"{"resource":["https://h"]}"#), None);
    let deep = format!("{{\"issuer\":\"a\",\"x\":{}", "[".repeat(100_000));
    assert_eq!(AuthorizationServer::parse(deep.as_bytes()), None);
}

#[test]
fn a_document_survives_being_kept() {
    let server = AuthorizationServer {
        issuer: "https://h/".into(),
        token_endpoint: Some("https://h/t".into()),
        code_challenge_methods_supported: Some(vec!["S256".into()]),
        authorization_response_iss_parameter_supported: true,
        ..Default::default()
    };
    let kept = serde_json::to_vec(&server).unwrap();
    assert_eq!(AuthorizationServer::parse(&kept), Some(server.clone()));
    assert!(server.offers_s256());
}

#[test]
fn a_certificate_is_shown_at_the_alias_where_there_is_one() {
    let body = br#"{"issuer":"i","token_endpoint":"t","mtls_endpoint_aliases":{"token_endpoint":"m"},"dpop_signing_alg_values_supported":["RS256","ES256"]}"#;
    let server = AuthorizationServer::parse(body).unwrap();
    assert_eq!(server.token_endpoint_for(AuthMethod::TlsClientAuth), Some("m"));
    assert_eq!(server.token_endpoint_for(AuthMethod::PrivateKeyJwt), Some("t"));
    assert!(server.offers_dpop());
    for body in [
        r#"{"issuer":"i","token_endpoint":"t","mtls_endpoint_aliases":{"x":1},"dpop_signing_alg_values_supported":["RS256"]}"#,
        r#"{"issuer":"i","token_endpoint":"t","mtls_endpoint_aliases":[],"dpop_signing_alg_values_supported":"ES256"}"#,
    ] {
        let server = AuthorizationServer::parse(body.as_bytes()).unwrap();
        assert_eq!(server.token_endpoint_for(AuthMethod::TlsClientAuth), Some("t"));
        assert!(!server.offers_dpop());
    }
}

#[test]
fn pkce_counts_only_where_s256_is_listed() {
    for (methods, offered) in [
        (Some(vec!["plain", "S256"]), true),
        (Some(vec!["plain"]), false),
        (Some(vec![]), false),
        (None, false),
    ] {
        let listed = methods.map(|all| all.into_iter().map(str::to_owned).collect());
        let server =
            AuthorizationServer { code_challenge_methods_supported: listed, ..Default::default() };
        assert_eq!(server.offers_s256(), offered);
    }
}

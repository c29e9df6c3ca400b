use super::*;
use proptest::prelude::*;

fn read(values: &[&str]) -> Option<Challenge> {
    let values: Vec<_> =
        values.iter().map(|v| HeaderValue::from_bytes(v.as_bytes()).unwrap()).collect();
    Challenge::read(&values)
}

fn scope(value: &str) -> Option<String> {
    read(&[value]).and_then(|challenge| challenge.scope)
}

#[test]
fn every_parameter_is_read() {
    let challenge = read(&[r#"Bearer realm="a, \"b\"", error="insufficient_scope", error_description="needs \\ more", error_uri="https://h/e", scope="a b", resource_metadata="https://h/.well-known/x?y=1,2""#]).unwrap();
    let some = |text: &str| Some(text.to_owned());
    assert!(challenge.is_insufficient_scope());
    assert_eq!(
        challenge,
        Challenge {
            realm: some(r#"a, "b""#),
            error: some("insufficient_scope"),
            error_description: some(r"needs \ more"),
            error_uri: some("https://h/e"),
            scope: some("a b"),
            resource_metadata: some("https://h/.well-known/x?y=1,2"),
            dpop: false,
        }
    );
}

#[test]
fn the_bearer_challenge_is_found_among_others() {
    for value in [
        r#"Basic realm="x, Bearer scope=no", Bearer scope="yes""#,
        r#"Negotiate YWJj==, Bearer scope="yes", Digest nonce="n""#,
        r#"Negotiate, bearer  SCOPE = yes"#,
        r#", ,Bearer ,, realm="r",, scope="yes","#,
        r#"Unknown a="1", b=2,BEARER scope=yes"#,
        "Bearer\tscope\t=\t\"yes\"",
        r#"Bearer scope="yes", scope="no", Scope="no""#,
        r#"Bearer realm="r" scope="yes" error=x"#,
        r#"@@@ "a,b" , Bearer scope="yes""#,
        r#"scope="no", Bearer scope="yes""#,
        r#"Bearer abc, scope="yes""#,
    ] {
        assert_eq!(scope(value).as_deref(), Some("yes"), "{value}");
    }
}

#[test]
fn the_first_bearer_challenge_that_says_something_wins() {
    let found = |values: &[&str]| read(values).and_then(|challenge| challenge.scope);
    assert_eq!(found(&["Bearer", r#"Basic realm="b""#, "Bearer scope=a"]).unwrap(), "a");
    assert_eq!(found(&[r#"Bearer realm="r", Bearer scope=a, Bearer scope=b"#]).unwrap(), "a");
    assert_eq!(read(&["Bearer"]), Some(Challenge::default()));
    assert_eq!(read(&["Basic", "Bearerish scope=a", "", r#"x="Bearer""#]), None);
}

#[test]
fn of_bearer_and_dpop_the_one_that_says_most_wins() {
    for (values, error, metadata) in [
        (vec![r#"DPoP resource_metadata="m""#], "-", "m"),
        (vec![r#"Bearer realm="r", dpop algs="ES256", resource_metadata="m""#], "-", "m"),
        (
            vec![r#"Bearer resource_metadata="m""#, r#"DPoP error="invalid_token""#],
            "invalid_token",
            "m",
        ),
        (vec![r#"DPoP algs="ES256", Bearer error="invalid_token""#], "invalid_token", "-"),
        (
            vec![r#"Bearer error="invalid_token", DPoP error="use_dpop_nonce""#],
            "use_dpop_nonce",
            "-",
        ),
    ] {
        let found = read(&values).unwrap();
        assert!(found.dpop, "{values:?}");
        assert_eq!(found.error.as_deref().unwrap_or("-"), error, "{values:?}");
        assert_eq!(found.resource_metadata.as_deref().unwrap_or("-"), metadata, "{values:?}");
        assert_eq!(found.wants_dpop_nonce(), error == "use_dpop_nonce");
    }
    assert!(!read(&["Bearer"]).unwrap().dpop);
}

#[test]
fn what_is_broken_is_left_out() {
    assert_eq!(scope(r#"Bearer scope="never closed, error=x"#), None);
    assert_eq!(scope(r#"Bearer scope="escaped end\"#), None);
    assert_eq!(scope(r#"Bearer scope=" ""#), None);
    assert_eq!(scope("Bearer scope="), None);
    assert_eq!(scope("Bearer scope=\"caf\u{e9}\"").unwrap(), "caf\u{e9}");
    let latin1 = HeaderValue::from_bytes(b"Bearer \xff, Bearer scope=\"\xe9\"").unwrap();
    assert_eq!(Challenge::read([&latin1]).unwrap().scope.unwrap(), "\u{fffd}");
    let unquoted = "Bearer resource_metadata=https://h/.well-known/x?a=b, scope=y";
    let challenge = read(&[unquoted]).unwrap();
    assert_eq!(challenge.resource_metadata.unwrap(), "https://h/.well-known/x?a=b");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        parse(&bytes);
    }

    #[test]
    fn no_text_of_its_own_alphabet_makes_it_panic(text in "[Bear,=\"\\\\ \t/a-c~]{0,80}") {
        parse(text.as_bytes());
    }

    #[test]
    fn quoted_values_come_back(value in "[ -~]{0,40}[!-~]") {
        let quoted = value.replace('\\', r"\\").replace('"', "\\\"");
        let header = format!("Basic a=b, Bearer realm=\"x\", scope=\"{quoted}\", error=e");
        prop_assert_eq!(scope(&header), Some(value));
    }
}

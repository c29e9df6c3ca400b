use super::{
    AuthMethod, Client, ClientOrigin, ClientUnreadable, ProofKey, is_metadata_document_url,
};
use crate::secret::Secret;

#[test]
fn the_method_is_one_that_the_server_lists() {
    use AuthMethod::{ClientSecretBasic, ClientSecretPost, None as Public};
    for (secret, listed, expected) in [
        (false, None, Public),
        (false, Some(vec!["client_secret_basic"]), Public),
        (true, None, ClientSecretBasic),
        (true, Some(vec!["none", "client_secret_post", "client_secret_basic"]), ClientSecretBasic),
        (true, Some(vec!["none", "client_secret_post"]), ClientSecretPost),
        (true, Some(vec!["none", "private_key_jwt"]), Public),
        (true, Some(vec!["private_key_jwt"]), ClientSecretBasic),
    ] {
        let listed: Option<Vec<String>> =
            listed.map(|names| names.into_iter().map(Into::into).collect());
        assert_eq!(AuthMethod::choose(secret, listed.as_deref()), expected, "{listed:?}");
    }
}

#[test]
fn a_client_survives_its_record_and_shows_no_secret() {
    let client = Client {
        secret_expires_at: Some(1_900_000_000),
        redirect_uri: Some("http://localhost:1/oauth/callback".into()),
        port: Some(1),
        registration_access_token: Some(Secret::new("r\"at".into())),
        registration_client_uri: Some("https://as.example/c/1".into()),
        origin: ClientOrigin::Dynamic,
        proof_key: Some(ProofKey::generate().unwrap()),
        ..Client::preregistered("id\u{e9}".into(), Some(Secret::new("hunter2".into())), None)
    };
    let read = Client::from_json(client.to_json().expose()).unwrap();
    assert_eq!(read.secret.as_ref().unwrap().expose(), "hunter2");
    assert_eq!(read.registration_access_token.as_ref().unwrap().expose(), "r\"at");
    let pkcs8 = |client: &Client| client.proof_key.as_ref().unwrap().pkcs8().clone();
    assert!(pkcs8(&read) == pkcs8(&client));
    let (read, client) = (format!("{read:?}"), format!("{client:?}"));
    assert_eq!(read, client);
    assert!(!read.contains("hunter2") && !read.contains("at\""), "{read}");
}

#[test]
fn every_method_is_known_by_its_name() {
    use AuthMethod::{ClientSecretBasic, ClientSecretPost, None, PrivateKeyJwt, TlsClientAuth};
    for method in [None, ClientSecretBasic, ClientSecretPost, PrivateKeyJwt, TlsClientAuth] {
        assert_eq!(AuthMethod::from_name(method.name()), Some(method));
        assert_eq!(serde_json::to_value(method).unwrap(), method.name());
    }
    assert_eq!(AuthMethod::from_name("client_secret_jwt"), Option::None);
}

#[test]
fn a_record_of_another_version_is_read_as_far_as_it_goes() {
    let json = br#"{"id":"a","method":"none","origin":"preregistered","later":[1]}"#;
    assert_eq!(Client::from_json(json).unwrap().id, "a");
    assert!(Client::from_json(br#"{"id":"a","method":"hunter2"}"#).is_err());
    let json = br#"{"id":"a","method":"none","origin":"dynamic","proof_key":"aHVudGVyMg=="}"#;
    assert_eq!(Client::from_json(json).unwrap_err(), ClientUnreadable);
}

#[test]
fn the_url_of_a_metadata_document_is_https_and_has_a_path() {
    assert!(is_metadata_document_url("https://app.example/client.json"));
    for url in [
        "http://app.example/client.json",
        "https://app.example",
        "https://app.example/",
        "https://app.example/?a",
        "https://app.example/a/../b",
        "https://app.example/a#b",
        "https://me@app.example/a",
        "client",
    ] {
        assert!(!is_metadata_document_url(url), "{url}");
    }
}

//! The flags of the kinds that a recipe makes.

use super::{named_secret, read};
use crate::authorization::{
    Asked, Assertion, Flow, Grant, IdentityProvider, Kind, OAuthPlan, Recipe, absolute,
};
use crate::cli::{BodyArg, CredentialArgs, KindArgs};
use crate::credential::api_key::Placement;
use crate::credential::cloudflare_access::CloudflareAccess;
use crate::credential::command::{Command, DEFAULT_TIMEOUT};
use crate::credential::details::shown_url;
use crate::credential::jwt::{DEFAULT_TTL, Jwt};
use crate::credential::key_file::KeyFile;
use crate::credential::password::{BodyForm, Password};
use crate::failure::{Exit, Failure};
use crate::http::is_loopback;
use crate::jws::Algorithm;
use crate::secret::{Redactor, Secret};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use url::Url;

/// Everything that a recipe is made of.
pub(super) struct Given<'a> {
    pub(super) args: &'a CredentialArgs,
    pub(super) oauth: OAuthPlan,
    pub(super) placement: Placement,
    /// Of `--secret-env` or `--secret-file`.
    pub(super) secret: Option<Secret<String>>,
    pub(super) redactor: &'a Redactor,
}

/// Each flag that only some kinds know, whether it was given, and those kinds.
fn flags(args: &KindArgs) -> [(&'static str, bool, &'static [Kind]); 18] {
    const SIGNING: &[Kind] = &[Kind::ClientCredentials, Kind::Jwt];
    [
        ("--private-key", args.private_key.is_some(), SIGNING),
        ("--alg", args.alg.is_some(), SIGNING),
        ("--key-id", args.key_id.is_some(), SIGNING),
        ("--claim", !args.claim.is_empty(), &[Kind::Jwt]),
        ("--ttl", args.ttl.is_some(), &[Kind::Jwt]),
        ("--assertion-file", args.assertion_file.is_some(), &[Kind::JwtBearer]),
        ("--idp-issuer", args.idp_issuer.is_some(), &[Kind::Enterprise]),
        ("--idp-client-id", args.idp_client_id.is_some(), &[Kind::Enterprise]),
        ("--idp-secret-env", args.idp_secret_env.is_some(), &[Kind::Enterprise]),
        ("--idp-secret-file", args.idp_secret_file.is_some(), &[Kind::Enterprise]),
        ("--idp-token-endpoint", args.idp_token_endpoint.is_some(), &[Kind::Enterprise]),
        ("--id-token-env", args.id_token_env.is_some(), &[Kind::Enterprise]),
        ("--id-token-file", args.id_token_file.is_some(), &[Kind::Enterprise]),
        ("--login-url", args.login_url.is_some(), &[Kind::Password]),
        ("--username", args.username.is_some(), &[Kind::Password]),
        ("--body", args.body.is_some(), &[Kind::Password]),
        ("--token-pointer", args.token_pointer.is_some(), &[Kind::Password]),
        ("--command", args.command.is_some(), &[Kind::Command]),
    ]
}

/// A flag of another kind is a mistake that would otherwise go unnoticed.
///
/// # Errors
/// A usage failure that names the flag and its kinds.
pub(super) fn check(args: &KindArgs, kind: Option<Kind>, allow_http: bool) -> Result<(), Failure> {
    let command = !args.command_arg.is_empty() || args.command_timeout.is_some();
    let more = ("--command-arg", command, &[Kind::Command][..]);
    for (flag, given, kinds) in flags(args).into_iter().chain([more]) {
        if given && !kind.is_some_and(|kind| kinds.contains(&kind)) {
            let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
            return Err(usage(format!("{flag} is for --with {}", names.join(" and --with "))));
        }
    }
    for (flag, url) in [
        ("--login-url", &args.login_url),
        ("--idp-issuer", &args.idp_issuer),
        ("--idp-token-endpoint", &args.idp_token_endpoint),
    ] {
        let Some(url) = url.as_deref() else { continue };
        match Url::parse(url) {
            Ok(url) if url.scheme() == "https" => {}
            Ok(url) if url.scheme() == "http" && (allow_http || is_loopback(&url)) => {}
            Ok(url) if url.scheme() == "http" => {
                let why = "is http, so that anyone on the way could read the secret";
                return Err(usage(format!("{flag} {why}")).hint("use https, or --allow-http"));
            }
            _ => return Err(usage(format!("{flag} takes a URL, with https:// in front"))),
        }
    }
    Ok(())
}

/// What the flags say of a kind that a recipe makes, and how far they get.
///
/// # Errors
/// A usage failure that names the flag at fault.
pub(super) fn asked(
    kind: Kind,
    given: Given<'_>,
) -> Result<(Asked, BTreeMap<String, Value>), Failure> {
    let wanted = wanted(given.args, &given.oauth, &given.placement);
    if let Some(secret) = &given.secret {
        given.redactor.learn(secret.expose());
    }
    let asked = match kind {
        Kind::Jwt => jwt(given)?,
        Kind::Password => password(given)?,
        Kind::CloudflareAccess => access(given),
        Kind::Command => command(given)?,
        Kind::ClientCredentials => client_credentials(given)?,
        Kind::JwtBearer => jwt_bearer(given)?,
        Kind::Enterprise => enterprise(given)?,
        Kind::OAuth | Kind::Device | Kind::ApiKey | Kind::None => Asked::Nothing,
    };
    Ok((asked, wanted))
}

/// As [`Recipe::details`] would have it.
fn wanted(
    args: &CredentialArgs,
    oauth: &OAuthPlan,
    placement: &Placement,
) -> BTreeMap<String, Value> {
    let kinds = &args.kinds;
    let text = |text: &Option<String>| text.clone().map(Value::from);
    let open = |url: &Option<String>| url.as_deref().map(|url| json!(shown_url(url)));
    let path = |path: &Option<std::path::PathBuf>| {
        path.as_ref().map(|path| json!(absolute(path).to_string_lossy()))
    };
    let scopes = oauth.scope.as_ref().map(|scope| {
        let scopes: Vec<_> = scope.split_ascii_whitespace().collect();
        json!(scopes)
    });
    [
        ("client_id", text(&oauth.client_id)),
        ("issuer", text(&oauth.issuer)),
        ("token_endpoint", open(&oauth.token_endpoint)),
        ("resource", text(&oauth.resource)),
        ("scopes", scopes),
        ("algorithm", text(&kinds.alg)),
        ("key_id", text(&kinds.key_id)),
        ("assertion_file", path(&kinds.assertion_file)),
        ("idp_issuer", text(&kinds.idp_issuer)),
        ("idp_client_id", text(&kinds.idp_client_id)),
        ("idp_token_endpoint", open(&kinds.idp_token_endpoint)),
        ("id_token_file", path(&kinds.id_token_file)),
        ("login_url", open(&kinds.login_url)),
        ("ttl", kinds.ttl.map(Value::from)),
        ("token_pointer", text(&kinds.token_pointer)),
        ("body", kinds.body.map(|body| json!(if body == BodyArg::Form { "form" } else { "json" }))),
        ("claims", (!kinds.claim.is_empty()).then(|| json!(kinds.claim))),
        ("header", args.key_header.as_ref().map(|_| json!(placement.header))),
        ("scheme", args.key_scheme.as_ref().map(|_| json!(placement.scheme))),
        ("username", text(&kinds.username)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect()
}

fn jwt(given: Given<'_>) -> Result<Asked, Failure> {
    let args = &given.args.kinds;
    let Some(alg) = &args.alg else { return Ok(Asked::LacksFlag("--alg")) };
    let algorithm = algorithm(alg)?;
    if algorithm.is_symmetric() && args.private_key.is_some() {
        return Err(usage(format!(
            "{algorithm} signs with a shared secret, not with --private-key"
        )));
    }
    if !algorithm.is_symmetric() && given.secret.is_some() {
        return Err(usage(format!("{algorithm} signs with --private-key, not with a secret")));
    }
    let jwt = Jwt {
        alg: algorithm,
        secret: given.secret,
        key: args.private_key.as_deref().map(key_file),
        key_id: args.key_id.clone(),
        claims: claims(&args.claim)?,
        ttl: args.ttl.unwrap_or(DEFAULT_TTL),
        placement: given.placement,
    };
    Ok(match (algorithm.is_symmetric(), jwt.secret.is_some(), jwt.key.is_some()) {
        (true, false, _) => {
            lacks_secret("the shared secret that signs the tokens", move |secret| {
                Recipe::Jwt(Jwt { secret: Some(secret), ..jwt.clone() })
            })
        }
        (false, _, false) => Asked::LacksFlag("--private-key"),
        _ => whole(Recipe::Jwt(jwt)),
    })
}

fn claims(given: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut claims = Map::new();
    for claim in given {
        let Some((name, value)) = claim.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(usage("--claim takes name=value"));
        };
        if matches!(name, "iat" | "exp" | "jti") {
            return Err(usage(format!("--claim cannot set {name}: it is new in every token")));
        }
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        claims.insert(name.to_owned(), value);
    }
    Ok(claims)
}

fn password(given: Given<'_>) -> Result<Asked, Failure> {
    let args = &given.args.kinds;
    let Some(login_url) = args.login_url.clone() else {
        return Ok(Asked::LacksFlag("--login-url"));
    };
    let Some(username) = args.username.clone() else { return Ok(Asked::LacksFlag("--username")) };
    let pointer = args.token_pointer.as_ref();
    if pointer.is_some_and(|pointer| !pointer.starts_with('/')) {
        return Err(usage("--token-pointer begins with a slash"));
    }
    let what = format!("the password of {username}");
    let body = match args.body {
        Some(BodyArg::Form) => BodyForm::Form,
        Some(BodyArg::Json) | None => BodyForm::Json,
    };
    let (token_pointer, placement) = (args.token_pointer.clone(), given.placement);
    let password = Secret::new(String::new());
    let open = Password { login_url, username, password, body, token_pointer, placement };
    Ok(with_secret(given.secret, what, move |password| {
        Recipe::Password(Password { password, ..open.clone() })
    }))
}

fn access(given: Given<'_>) -> Asked {
    let Some(client_id) = given.oauth.client_id else { return Asked::LacksFlag("--client-id") };
    with_secret(given.secret, "the client secret of the service token".into(), move |secret| {
        let client_id = client_id.clone();
        Recipe::CloudflareAccess(CloudflareAccess { client_id, client_secret: secret })
    })
}

fn command(given: Given<'_>) -> Result<Asked, Failure> {
    let args = &given.args.kinds;
    let Some(program) = args.command.clone() else { return Ok(Asked::LacksFlag("--command")) };
    if given.secret.is_some() {
        return Err(usage("--with command takes no secret: the program has it"));
    }
    // A path is where the person is now, and a bare name wherever it is found.
    let is_path = Path::new(&program).components().count() > 1 || program.starts_with('.');
    let program = match is_path {
        true => absolute(Path::new(&program)).to_string_lossy().into_owned(),
        false => program,
    };
    Ok(whole(Recipe::Command(Command {
        program,
        args: args.command_arg.clone(),
        timeout_seconds: args.command_timeout.unwrap_or(DEFAULT_TIMEOUT),
        placement: given.placement,
    })))
}

fn client_credentials(given: Given<'_>) -> Result<Asked, Failure> {
    let args = &given.args.kinds;
    if given.oauth.client_id.is_none() {
        return Ok(Asked::LacksFlag("--client-id"));
    }
    let algorithm = args.alg.as_deref().map(algorithm).transpose()?;
    let grant = Grant {
        flow: Flow::ClientCredentials,
        target: given.oauth,
        client_secret: None,
        key: args.private_key.as_deref().map(key_file),
        algorithm: algorithm.or(args.private_key.as_ref().map(|_| Algorithm::ES256)),
        key_id: args.key_id.clone(),
    };
    if algorithm.is_some_and(Algorithm::is_symmetric) {
        return Err(usage("--alg of a client is one of RS256, PS256, ES256, EdDSA"));
    }
    if grant.key.is_some() {
        if given.secret.is_some() {
            return Err(usage("a client has --private-key or a secret, not both"));
        }
        return Ok(whole(Recipe::grant(grant)));
    }
    // The certificate may be what it shows (RFC 8705 section 2).
    let by_certificate = given.args.certificate.client_cert.is_some();
    let without = by_certificate.then(|| Box::new(Recipe::grant(grant.clone())));
    let what = match by_certificate {
        true => "the client secret, or nothing if the certificate is what the client shows",
        false => "the client secret",
    };
    let asked = with_secret(given.secret, what.into(), move |secret| {
        Recipe::grant(Grant { client_secret: Some(secret), ..grant.clone() })
    });
    Ok(match asked {
        Asked::LacksSecret { finish, what, .. } => {
            Asked::LacksSecret { finish, what, otherwise: without }
        }
        asked => asked,
    })
}

fn jwt_bearer(given: Given<'_>) -> Result<Asked, Failure> {
    let file = given.args.kinds.assertion_file.as_deref().map(absolute);
    if file.is_some() && given.secret.is_some() {
        return Err(usage("the assertion is in --assertion-file or the secret, not in both"));
    }
    let grant = move |assertion| {
        Recipe::grant(Grant {
            flow: Flow::JwtBearer(assertion),
            target: given.oauth.clone(),
            client_secret: None,
            key: None,
            algorithm: None,
            key_id: None,
        })
    };
    if file.is_some() {
        return Ok(whole(grant(Assertion { given: None, file })));
    }
    Ok(with_secret(given.secret, "the assertion".into(), move |assertion| {
        grant(Assertion { given: Some(assertion), file: None })
    }))
}

fn enterprise(given: Given<'_>) -> Result<Asked, Failure> {
    let args = &given.args.kinds;
    if given.oauth.client_id.is_none() {
        return Ok(Asked::LacksFlag("--client-id"));
    }
    if args.idp_issuer.is_none() && args.idp_token_endpoint.is_none() {
        return Ok(Asked::LacksFlag("--idp-issuer"));
    }
    if given.oauth.token_endpoint.is_some() && given.oauth.issuer.is_none() {
        // The identity provider has to be told whom its assertion is for.
        return Err(usage("with --token-endpoint the enterprise kind needs --issuer, too"));
    }
    let secret = |name: Option<&str>, file: Option<&Path>, flag| {
        let secret = named_secret(name, file, flag)?;
        secret.iter().for_each(|secret| given.redactor.learn(secret.expose()));
        Ok::<_, Failure>(secret)
    };
    let file = args.idp_secret_file.as_deref();
    let client_secret = secret(args.idp_secret_env.as_deref(), file, "--idp-secret-env")?;
    let id_token = Assertion {
        given: secret(args.id_token_env.as_deref(), None, "--id-token-env")?,
        file: args.id_token_file.as_deref().map(absolute),
    };
    if let Some(path) = &id_token.file {
        read(path, "--id-token-file")?;
    }
    if args.idp_client_id.is_none() && !id_token.is_some() {
        return Ok(Asked::LacksFlag("--idp-client-id"));
    }
    if args.idp_issuer.is_none() && !id_token.is_some() {
        return Ok(Asked::LacksFlag("--idp-issuer"));
    }
    let by_sign_in = !id_token.is_some();
    let provider = IdentityProvider {
        issuer: args.idp_issuer.clone(),
        token_endpoint: args.idp_token_endpoint.clone(),
        client_id: args.idp_client_id.clone(),
        client_secret,
        id_token,
    };
    let grant = Grant {
        flow: Flow::Enterprise(provider),
        target: given.oauth,
        client_secret: None,
        key: None,
        algorithm: None,
        key_id: None,
    };
    if by_sign_in {
        let client_secret = given.secret;
        return Ok(whole(Recipe::grant(Grant { client_secret, ..grant })));
    }
    Ok(with_secret(given.secret, "the client secret".into(), move |secret| {
        Recipe::grant(Grant { client_secret: Some(secret), ..grant.clone() })
    }))
}

/// Without an ID token a person signs in at the identity provider, for one.
pub(super) fn by_sign_in(asked: Asked) -> (Asked, OAuthPlan) {
    let Asked::Whole(recipe) = asked else { return (asked, OAuthPlan::default()) };
    let Recipe::Grant(grant) = &*recipe else {
        return (Asked::Whole(recipe), OAuthPlan::default());
    };
    let Flow::Enterprise(provider) = &grant.flow else {
        return (Asked::Whole(recipe), OAuthPlan::default());
    };
    if provider.id_token.is_some() {
        return (Asked::Whole(recipe), OAuthPlan::default());
    }
    let mut plan = OAuthPlan {
        client_id: provider.client_id.clone(),
        client_secret: provider.client_secret.clone(),
        issuer: provider.issuer.clone(),
        token_endpoint: provider.token_endpoint.clone(),
        scope: Some("openid".to_owned()),
        no_resource: true,
        use_id_token: true,
        client_metadata_url: None,
        resource: None,
        enterprise: None,
        ..grant.target.clone()
    };
    plan.enterprise = Some(grant.clone());
    (Asked::Nothing, plan)
}

fn algorithm(name: &str) -> Result<Algorithm, Failure> {
    const ALL: &str = "HS256, HS384, HS512, RS256, PS256, ES256, EdDSA";
    let found = Algorithm::from_name(name);
    found.ok_or_else(|| usage(format!("'{name}' is nothing that --alg takes; it takes {ALL}")))
}

fn key_file(path: &Path) -> KeyFile {
    KeyFile { path: Some(absolute(path)), ..KeyFile::default() }
}

fn whole(recipe: Recipe) -> Asked {
    Asked::Whole(Box::new(recipe))
}

fn with_secret(
    secret: Option<Secret<String>>,
    what: String,
    finish: impl Fn(Secret<String>) -> Recipe + Send + Sync + 'static,
) -> Asked {
    match secret {
        Some(secret) => whole(finish(secret)),
        None => lacks_secret(what, finish),
    }
}

fn lacks_secret(
    what: impl Into<String>,
    finish: impl Fn(Secret<String>) -> Recipe + Send + Sync + 'static,
) -> Asked {
    Asked::LacksSecret { finish: Box::new(finish), what: what.into(), otherwise: None }
}

fn usage(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, message)
}

//! How to come by a credential without a person: what was taught, or what the flags give.

use super::{Kind, OAuthPlan};
use crate::credential::cloudflare_access::CloudflareAccess;
use crate::credential::command::Command;
use crate::credential::details::shown_url;
use crate::credential::jwt::Jwt;
use crate::credential::key_file::KeyFile;
use crate::credential::password::{BodyForm, Password};
use crate::jws::{Algorithm, SigningKey};
use crate::pem::PrivateKey;
use crate::secret::{Secret, sealed_option};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// All that it takes, sealed in the vault or from flags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipe {
    Jwt(Jwt),
    Password(Password),
    CloudflareAccess(CloudflareAccess),
    Command(Command),
    Grant(Box<Grant>),
}

/// A token from an authorization server, without a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    pub flow: Flow,
    /// Which client, for what, and where it asks.
    pub target: OAuthPlan,
    /// The client's.
    #[serde(default, with = "sealed_option")]
    pub client_secret: Option<Secret<String>>,
    /// The client signs assertions with it instead (RFC 7523 section 2.2).
    #[serde(default)]
    pub key: Option<KeyFile>,
    #[serde(default)]
    pub algorithm: Option<Algorithm>,
    #[serde(default)]
    pub key_id: Option<String>,
}

/// What is shown to the authorization server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// RFC 6749 section 4.4.
    ClientCredentials,
    /// RFC 7523 section 2.1.
    JwtBearer(Assertion),
    /// An ID-JAG that the identity provider gives for an ID token (RFC 8693).
    Enterprise(IdentityProvider),
}

/// A token of another issuer: given, or in a file that is read anew each time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Assertion {
    #[serde(with = "sealed_option")]
    pub given: Option<Secret<String>>,
    pub file: Option<PathBuf>,
}

/// Who knows the company's people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IdentityProvider {
    pub issuer: Option<String>,
    pub token_endpoint: Option<String>,
    pub client_id: Option<String>,
    #[serde(default, with = "sealed_option")]
    pub client_secret: Option<Secret<String>>,
    /// None of it: a person signs in there.
    pub id_token: Assertion,
}

/// The claims of a JWT among its details, each as the flag has it.
pub(super) const CLAIMS: &str = "claims";

impl Assertion {
    pub fn is_some(&self) -> bool {
        self.given.is_some() || self.file.is_some()
    }
}

impl Recipe {
    pub fn grant(grant: Grant) -> Self {
        Self::Grant(Box::new(grant))
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::Jwt(_) => Kind::Jwt,
            Self::Password(_) => Kind::Password,
            Self::CloudflareAccess(_) => Kind::CloudflareAccess,
            Self::Command(_) => Kind::Command,
            Self::Grant(grant) => match &grant.flow {
                Flow::ClientCredentials => Kind::ClientCredentials,
                Flow::JwtBearer(_) => Kind::JwtBearer,
                Flow::Enterprise(_) => Kind::Enterprise,
            },
        }
    }

    /// What `list` shows; never a secret.
    pub fn details(&self) -> BTreeMap<String, Value> {
        match self {
            Self::Jwt(jwt) => jwt.details(),
            Self::Password(password) => password.details(),
            Self::CloudflareAccess(access) => access.details(),
            Self::Command(command) => command.details(),
            Self::Grant(grant) => grant.details(),
        }
    }

    /// It is for this authorization server alone, whichever the remote names later. False if
    /// nothing changed.
    pub fn bind(&mut self, issuer: &str) -> bool {
        let Self::Grant(grant) = self else { return false };
        let open = grant.target.token_endpoint.is_none() && grant.target.issuer.is_none();
        if open {
            grant.target.issuer = Some(issuer.to_owned());
        }
        open
    }

    /// The same but for the ID token, which changes with every renewal of a sign-in.
    pub(super) fn without_id_token(&self) -> Self {
        let mut recipe = self.clone();
        if let Self::Grant(grant) = &mut recipe
            && let Flow::Enterprise(provider) = &mut grant.flow
        {
            provider.id_token.given = None;
        }
        recipe
    }

    /// What is shown may change without the recipe: it is in a file, or a program has it.
    pub(super) fn may_change(&self) -> bool {
        match self {
            Self::Grant(grant) => match &grant.flow {
                Flow::ClientCredentials => false,
                Flow::JwtBearer(assertion) => assertion.file.is_some(),
                Flow::Enterprise(_) => true,
            },
            Self::Command(_) => true,
            _ => false,
        }
    }

    /// As [`Self::details`], with what `list` does not show.
    pub(super) fn all_details(&self) -> BTreeMap<String, Value> {
        let mut details = self.details();
        let mut add = |name: &str, value: Value| details.insert(name.to_owned(), value);
        match self {
            Self::Jwt(jwt) => {
                add("ttl", json!(jwt.ttl));
                let claim = |(name, value): (&String, &Value)| match value.as_str() {
                    Some(text) => json!(format!("{name}={text}")),
                    None => json!(format!("{name}={value}")),
                };
                add(CLAIMS, jwt.claims.iter().map(claim).collect());
            }
            Self::Password(password) => {
                add("token_pointer", json!(password.token_pointer));
                add("body", json!(if password.body == BodyForm::Form { "form" } else { "json" }));
            }
            _ => {}
        }
        details
    }

    /// Whether it makes the same as `taught`, which may be bound to what was found.
    pub(super) fn is_same(&self, taught: &Self) -> bool {
        let mut own = self.clone();
        if let Self::Grant(grant) = taught
            && let Some(issuer) = &grant.target.issuer
        {
            own.bind(issuer);
        }
        own == *taught
    }

    /// The file with a private key that it signs with.
    pub fn key_file(&mut self) -> Option<&mut KeyFile> {
        match self {
            Self::Jwt(jwt) => jwt.key.as_mut(),
            Self::Grant(grant) => grant.key.as_mut(),
            _ => None,
        }
    }

    /// Whether it can sign with this key as it is to.
    ///
    /// # Errors
    /// Why not, in words without the key.
    pub fn signs_with(&self, key: &PrivateKey) -> Result<(), String> {
        let algorithm = match self {
            Self::Jwt(jwt) => jwt.alg,
            Self::Grant(grant) => grant.algorithm.unwrap_or(Algorithm::ES256),
            _ => return Ok(()),
        };
        SigningKey::private(algorithm, key).map(|_| ()).map_err(|error| error.to_string())
    }

    /// What it signs with, if it signs anything. Reads and opens a key file, which takes a while
    /// where that is encrypted.
    ///
    /// # Errors
    /// Why it cannot sign as it is to, in words without the key.
    pub fn signing_key(&self) -> Result<Option<SigningKey>, String> {
        match self {
            Self::Jwt(jwt) => jwt.signing_key().map(Some).map_err(|error| error.to_string()),
            Self::Grant(grant) if grant.key.is_some() => grant.signing_key().map(Some),
            _ => Ok(None),
        }
    }

    /// Its tokens come from a server: processes share them through the vault.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Password(_) | Self::Grant(_))
    }

    /// It is the same at any time, so that asking again is of no use.
    pub(super) fn is_static(&self) -> bool {
        matches!(self, Self::CloudflareAccess(_))
    }

    /// It takes neither a server nor a program.
    pub(super) fn asks_nobody(&self) -> bool {
        matches!(self, Self::Jwt(_) | Self::CloudflareAccess(_))
    }

    /// URLs that the person named.
    pub(super) fn named(&self) -> Vec<&str> {
        match self {
            Self::Password(password) => vec![&password.login_url],
            Self::Grant(grant) => grant.named(),
            _ => Vec::new(),
        }
    }

    /// Every secret in it.
    pub(super) fn secrets(&self) -> Vec<&Secret<String>> {
        match self {
            Self::Jwt(jwt) => {
                let passphrase = jwt.key.as_ref().and_then(|key| key.passphrase.as_ref());
                jwt.secret.iter().chain(passphrase).collect()
            }
            Self::Password(password) => vec![&password.password],
            Self::CloudflareAccess(access) => vec![&access.client_secret],
            Self::Command(_) => Vec::new(),
            Self::Grant(grant) => grant.secrets(),
        }
    }
}

impl Grant {
    /// What signs the client's assertions.
    ///
    /// # Errors
    /// Why there is nothing, in words.
    fn signing_key(&self) -> Result<SigningKey, String> {
        let file = self.key.as_ref().ok_or("there is no private key")?;
        let key = file.private_key().map_err(|error| error.to_string())?;
        let algorithm = self.algorithm.unwrap_or(Algorithm::ES256);
        SigningKey::private(algorithm, &key).map_err(|error| error.to_string())
    }

    /// How the client authenticates, in the words of RFC 7591 as far as they fit.
    fn auth_method(&self) -> &'static str {
        if self.key.is_some() {
            "private_key_jwt"
        } else if self.client_secret.is_some() {
            "client_secret"
        } else if matches!(self.flow, Flow::ClientCredentials) {
            "tls_client_auth"
        } else {
            "none"
        }
    }

    fn details(&self) -> BTreeMap<String, Value> {
        let target = &self.target;
        let scopes = target.scope.as_deref().unwrap_or_default();
        let scopes: Vec<_> = scopes.split_ascii_whitespace().collect();
        let mut details = BTreeMap::from([
            ("auth_method".to_owned(), json!(self.auth_method())),
            ("scopes".to_owned(), json!(scopes)),
        ]);
        let mut add = |name: &str, value: Option<Value>| {
            details.extend(value.map(|value| (name.to_owned(), value)));
        };
        let text = |text: &Option<String>| text.clone().map(Value::from);
        let open = |url: &Option<String>| url.as_deref().map(|url| json!(shown_url(url)));
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| json!(path.to_string_lossy()));
        add("client_id", text(&target.client_id));
        add("issuer", text(&target.issuer));
        add("token_endpoint", open(&target.token_endpoint));
        add("resource", text(&target.resource));
        add("algorithm", self.algorithm.map(|algorithm| json!(algorithm.name())));
        add("key_id", text(&self.key_id));
        add("private_key", self.key.as_ref().and_then(|key| path(&key.path)));
        match &self.flow {
            Flow::ClientCredentials => {}
            Flow::JwtBearer(assertion) => add("assertion_file", path(&assertion.file)),
            Flow::Enterprise(provider) => {
                add("idp_issuer", text(&provider.issuer));
                add("idp_client_id", text(&provider.client_id));
                add("idp_token_endpoint", open(&provider.token_endpoint));
                add("id_token_file", path(&provider.id_token.file));
            }
        }
        details
    }

    fn named(&self) -> Vec<&str> {
        let own = [&self.target.issuer, &self.target.token_endpoint];
        let mut named: Vec<_> = own.into_iter().flatten().map(String::as_str).collect();
        if let Flow::Enterprise(provider) = &self.flow {
            let theirs = [&provider.issuer, &provider.token_endpoint];
            named.extend(theirs.into_iter().flatten().map(String::as_str));
        }
        named
    }

    fn secrets(&self) -> Vec<&Secret<String>> {
        let passphrase = self.key.as_ref().and_then(|key| key.passphrase.as_ref());
        let mut secrets: Vec<_> = self.client_secret.iter().chain(passphrase).collect();
        match &self.flow {
            Flow::ClientCredentials => {}
            Flow::JwtBearer(assertion) => secrets.extend(&assertion.given),
            Flow::Enterprise(provider) => {
                secrets.extend(&provider.client_secret);
                secrets.extend(&provider.id_token.given);
            }
        }
        secrets
    }
}

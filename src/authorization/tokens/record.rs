//! What the vault keeps of a sign-in.

use super::expiry::Expiry;
use crate::authorization::record::KindError;
use crate::authorization::{Along, Flow, Kind, OAuthPlan, Recipe, Remote, record_header};
use crate::oauth::Client;
use crate::oauth::client::AuthMethod;
use crate::secret::Secret;
use crate::vault::{Header, Record};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The detail of a clear header that tells a sign-in of a kind that needs none otherwise.
const SIGN_IN: &str = "sign_in";

/// Whether a record with this clear header is of a sign-in.
pub(in crate::authorization) fn is_sign_in(header: &Header) -> bool {
    matches!(header.kind.as_str(), "oauth" | "device") || header.details.contains_key(SIGN_IN)
}

/// The tokens of one account at one remote, with all that renewing them takes.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::authorization) struct TokenRecord {
    pub(in crate::authorization) issuer: String,
    /// The client they were issued to: they are never refreshed with another.
    #[serde(with = "client")]
    pub(in crate::authorization) client: Client,
    /// The metadata document that was offered as the client's; a server that knows no such
    /// documents has registered a client instead.
    #[serde(default)]
    pub(in crate::authorization) document: Option<String>,
    pub(in crate::authorization) endpoints: Endpoints,
    /// The resource indicator they were asked for with, verbatim.
    pub(in crate::authorization) resource: Option<String>,
    #[serde(with = "crate::secret::sealed_option")]
    pub(in crate::authorization) access_token: Option<Secret<String>>,
    #[serde(with = "crate::secret::sealed_option")]
    pub(in crate::authorization) refresh_token: Option<Secret<String>>,
    #[serde(with = "crate::secret::sealed_option")]
    pub(in crate::authorization) id_token: Option<Secret<String>>,
    /// Scopes that were asked for, and those that were granted where the server said so.
    pub(in crate::authorization) requested: Option<String>,
    pub(in crate::authorization) granted: Option<String>,
    /// Seconds since 1970.
    pub(in crate::authorization) obtained_at: u64,
    pub(in crate::authorization) expires_at: Option<u64>,
    pub(in crate::authorization) signed_in_at: u64,
    pub(in crate::authorization) identity: Option<String>,
    /// The refresh token was refused: a person has to sign in.
    #[serde(default)]
    pub(in crate::authorization) refused: bool,
    /// What the person wants, for the next sign-in.
    pub(in crate::authorization) plan: OAuthPlan,
    #[serde(with = "crate::secret::sealed_option")]
    pub(in crate::authorization) plan_secret: Option<Secret<String>>,
    /// The access token is bound to the client's proof key (RFC 9449).
    #[serde(default)]
    pub(in crate::authorization) bound: bool,
    /// What goes along with every request to the remote.
    #[serde(default)]
    pub(in crate::authorization) along: Along,
}

/// Where a token set is renewed, ended and asked about.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(in crate::authorization) struct Endpoints {
    pub(in crate::authorization) token: String,
    pub(in crate::authorization) revocation: Option<String>,
    pub(in crate::authorization) introspection: Option<String>,
    pub(in crate::authorization) userinfo: Option<String>,
}

impl TokenRecord {
    /// Reads the record of a remote.
    ///
    /// # Errors
    /// `Damaged` if its content is not what this version writes.
    pub(in crate::authorization) fn read(record: &Record) -> Result<Self, KindError> {
        let mut found: Self =
            serde_json::from_slice(record.payload.expose()).map_err(|_| KindError::Damaged)?;
        found.plan.client_secret = found.plan_secret.clone();
        Ok(found)
    }

    pub(super) fn payload(&self) -> Secret<Vec<u8>> {
        let mut sealed = self.clone();
        sealed.plan_secret = self.plan.client_secret.clone();
        // Strings, numbers and maps with string keys: nothing in it can fail.
        Secret::new(serde_json::to_vec(&sealed).unwrap_or_default())
    }

    /// What `list` shows.
    pub(super) fn header(&self, remote: &Remote, now: u64) -> Header {
        let kind = match &self.plan {
            OAuthPlan { enterprise: Some(_), .. } => Kind::Enterprise,
            OAuthPlan { device: Some(true), .. } => Kind::Device,
            _ => Kind::OAuth,
        };
        let mut details = BTreeMap::from([
            ("issuer".to_owned(), json!(self.issuer)),
            ("client_id".to_owned(), json!(self.client.id)),
            ("scopes".to_owned(), json!(self.scopes())),
            ("renewable".to_owned(), json!(self.refresh_token.is_some() && !self.refused)),
        ]);
        let mut add = |name: &str, value: Option<Value>| {
            details.extend(value.map(|value| (name.to_owned(), value)));
        };
        add("expires_at", self.expires_at.map(Value::from));
        add("identity", self.identity.clone().map(Value::from));
        add("sign_in_needed", self.refused.then_some(Value::from(true)));
        add("dpop", self.bound.then_some(Value::from(true)));
        if let Some(grant) = &self.plan.enterprise {
            let own = Recipe::Grant(grant.clone()).details();
            details.extend(own.into_iter().filter(|(name, _)| name != "issuer"));
            details.insert(SIGN_IN.to_owned(), json!(true));
        }
        details.extend(self.along.details());
        record_header(kind, remote, details, now)
    }

    /// Scopes as far as they are known: granted, else requested.
    fn scopes(&self) -> Vec<&str> {
        let scopes = self.granted.as_deref().or(self.requested.as_deref());
        scopes.unwrap_or_default().split_ascii_whitespace().collect()
    }

    /// What an identity of the company is exchanged with.
    pub(in crate::authorization) fn exchange(&self) -> Option<Recipe> {
        let mut grant = self.plan.enterprise.clone()?;
        if let Flow::Enterprise(provider) = &mut grant.flow {
            provider.id_token.given = self.id_token.clone();
        }
        Some(Recipe::Grant(grant))
    }

    /// What goes into the `Authorization` header.
    pub(in crate::authorization) fn bearer(&self) -> Option<&Secret<String>> {
        if self.plan.use_id_token { self.id_token.as_ref() } else { self.access_token.as_ref() }
    }

    pub(in crate::authorization) fn expiry(&self, now: u64) -> Option<Expiry> {
        Some(Expiry::new(self.obtained_at, self.expires_at?, now))
    }

    /// Every secret in it.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &Secret<String>> {
        let tokens = [&self.access_token, &self.refresh_token, &self.id_token];
        let clients = [&self.client.secret, &self.plan.client_secret];
        tokens.into_iter().chain(clients).flatten()
    }

    /// Whether it is this token that would be sent.
    pub(in crate::authorization) fn carries(&self, token: Option<&Secret<String>>) -> bool {
        let own = self.bearer().map(|own| own.expose());
        token.is_some_and(|token| Some(token.expose()) == own)
    }

    /// Whether it can be sent, or renewed without anybody.
    pub(in crate::authorization) fn is_usable(&self, now: u64) -> bool {
        let renewable = self.refresh_token.is_some() && !self.refused;
        renewable || self.expiry(now).is_none_or(|expiry| expiry.is_valid(now)) && !self.refused
    }

    /// Whether all these scopes were asked for already.
    pub(in crate::authorization) fn asked_for(&self, scope: &str) -> bool {
        let requested = self.requested.as_deref().unwrap_or_default();
        let mut asked = scope.split_ascii_whitespace();
        asked.all(|asked| requested.split_ascii_whitespace().any(|one| one == asked))
    }

    /// With what the flags of this process say of it.
    pub(super) fn under(mut self, flags: &OAuthPlan) -> Self {
        self.plan.use_id_token |= flags.use_id_token;
        if let Some(asked) = &flags.enterprise {
            let mut asked = asked.clone();
            if let Some(known) = &self.plan.enterprise
                && known.target.client_id == asked.target.client_id
            {
                let endpoint = asked.target.token_endpoint.is_some();
                asked.target.issuer =
                    asked.target.issuer.or(known.target.issuer.clone().filter(|_| !endpoint));
                asked.client_secret = asked.client_secret.or(known.client_secret.clone());
            }
            self.plan.enterprise = Some(asked);
        }
        if flags.client_id.as_deref() == Some(&self.client.id)
            && let Some(secret) = &flags.client_secret
        {
            self.client.secret = Some(secret.clone());
            if self.client.method == AuthMethod::None {
                self.client.method = AuthMethod::ClientSecretBasic;
            }
        }
        self
    }

    /// Whether flags that ask for something else leave this alone.
    pub(in crate::authorization) fn fits(&self, flags: &OAuthPlan) -> bool {
        let same = |asked: &Option<String>, has: Option<&str>| {
            asked.as_deref().is_none_or(|asked| Some(asked) == has)
        };
        same(&flags.issuer, Some(&self.issuer))
            && same(&flags.client_id, Some(&self.client.id))
            && same(&flags.client_metadata_url, self.document.as_deref())
            && same(&flags.token_endpoint, Some(&self.endpoints.token))
            && same(&flags.resource, self.resource.as_deref())
            && !(flags.no_resource && self.resource.is_some())
            && self.asked_for(flags.scope.as_deref().unwrap_or_default())
    }
}

/// A client as its own module writes it.
mod client {
    use crate::oauth::Client;
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::value::RawValue;

    pub(super) fn serialize<S: Serializer>(
        client: &Client,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let json = client.to_json();
        let raw: &RawValue = serde_json::from_slice(json.expose()).map_err(S::Error::custom)?;
        raw.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Client, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Client::from_json(raw.get().as_bytes()).map_err(D::Error::custom)
    }
}

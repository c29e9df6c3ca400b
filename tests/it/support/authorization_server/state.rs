//! What an authorization server remembers: clients, codes, grants, tokens.

use std::collections::HashMap;
use std::time::{Duration, Instant};

#[derive(Default)]
pub(super) struct State {
    pub(super) clients: HashMap<String, Client>,
    pub(super) codes: HashMap<String, Code>,
    pub(super) grants: Vec<Grant>,
    pub(super) access: HashMap<String, Access>,
    pub(super) refresh: HashMap<String, Refresh>,
    pub(super) devices: HashMap<String, Device>,
    /// Resources whose tokens are asked for here.
    pub(super) resources: Vec<String>,
    /// Everything that must be seen nowhere else.
    pub(super) secrets: Vec<String>,
    pub(super) expired_shown: usize,
    pub(super) reused: usize,
    pub(super) refreshed: usize,
    count: usize,
}

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: Option<String>,
    /// Of RFC 7591: `none`, `client_secret_basic`, `client_secret_post`.
    pub(crate) auth_method: String,
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) scope: Option<String>,
    pub(crate) secret_dies: Option<Instant>,
    /// Of RFC 7592.
    pub(crate) management_token: Option<String>,
}

pub(super) struct Code {
    pub(super) client: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) grant: usize,
    pub(super) spent: bool,
}

pub(super) struct Grant {
    pub(super) client: String,
    pub(super) user: &'static str,
    pub(super) scope: Option<String>,
    pub(super) resource: Option<String>,
    pub(super) revoked: bool,
}

pub(super) struct Access {
    pub(super) grant: usize,
    pub(super) dies: Option<Instant>,
    pub(super) revoked: bool,
    /// The thumbprint of the key it is bound to.
    pub(super) key: Option<String>,
}

pub(super) struct Refresh {
    pub(super) grant: usize,
    pub(super) spent: bool,
    pub(super) key: Option<String>,
}

pub(super) struct Device {
    pub(super) client: String,
    pub(super) grant: usize,
    pub(super) polled: Option<Instant>,
    pub(super) interval: Duration,
}

impl State {
    /// A string that never was before.
    pub(super) fn name(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what}-{}", self.count)
    }

    /// One that is easy to find in a log, too.
    pub(super) fn secret(&mut self, what: &str) -> String {
        let secret = format!("{}-5ecret", self.name(what));
        self.secrets.push(secret.clone());
        secret
    }

    pub(super) fn grant(
        &mut self,
        client: &str,
        user: &'static str,
        scope: Option<&str>,
        resource: Option<&str>,
    ) -> usize {
        let (client, scope) = (client.to_owned(), scope.map(str::to_owned));
        let resource = resource.map(str::to_owned);
        self.grants.push(Grant { client, user, scope, resource, revoked: false });
        self.grants.len() - 1
    }

    pub(super) fn revoke(&mut self, grant: usize) {
        self.grants[grant].revoked = true;
    }

    /// The grant of an access token that is good now.
    pub(super) fn good(&self, token: &str) -> Option<&Grant> {
        let access = self.access.get(token)?;
        let grant = &self.grants[access.grant];
        let alive = access.dies.is_none_or(|dies| Instant::now() < dies);
        (alive && !access.revoked && !grant.revoked).then_some(grant)
    }
}

impl Client {
    /// True if this client may be sent back to `uri`.
    pub(super) fn redirects_to(&self, uri: &str, any_port: bool) -> bool {
        let bare = |uri: &str| {
            let mut url = url::Url::parse(uri).expect("a redirect URI");
            let _ = url.set_port(None);
            url
        };
        self.redirect_uris.iter().any(|known| known == uri || any_port && bare(known) == bare(uri))
    }
}

/// True if every scope of `few` is in `many`.
pub(super) fn covers(many: Option<&str>, few: &str) -> bool {
    let many: Vec<_> = many.unwrap_or_default().split(' ').collect();
    few.split(' ').all(|scope| many.contains(&scope))
}

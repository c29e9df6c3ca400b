//! A sign-in without a browser here (RFC 8628).

use super::desk::Desk;
use super::errand::Errand;
use super::flow::Granted;
use super::trouble::Trouble;
use super::{Link, Progress};
use crate::oauth::browser::{Where, check};
use crate::oauth::device::{DeviceError, poll, start};
use tokio::sync::watch;

impl Desk {
    /// Whether a code is the way: asked for, or offered where no browser can be opened.
    pub(super) fn by_device(&self, errand: &Errand) -> bool {
        let offered = errand.found.server.device_authorization_endpoint.is_some();
        errand.plan.device.unwrap_or(false)
            || (errand.plan.device.is_none()
                && offered
                && !self.has_browser()
                && !self.settings.no_browser)
    }

    pub(super) async fn with_device(
        &self,
        errand: &Errand,
        progress: &watch::Sender<Progress>,
    ) -> Result<Granted, Trouble> {
        let server = &errand.found.server;
        let Some(endpoint) = server.device_authorization_endpoint.as_deref() else {
            let hint = format!("in the browser: {}", self.tokens.remote.login_command(None));
            return Err(self.failed_with("the authorization server offers no device codes", &hint));
        };
        let client = self.client_for_device(errand).await?;
        let client = self.proving(client, errand.found.dpop)?;
        let (scope, resource) = (errand.scope.as_deref(), errand.resource.as_deref());
        let web = &self.settings.web;
        let asking = client.at(&server.issuer, self.settings.now);
        let device = start(web, endpoint, asking, scope, resource).await;
        let device = device.map_err(|error| self.no_device(&server.issuer, &client, &error))?;
        self.tokens.redactor.learn_passing(device.device_code.expose());
        let page = device.verification_uri_complete.as_ref().unwrap_or(&device.verification_uri);
        let page = check(page, self.settings.allow_http)
            .or_else(|_| check(&device.verification_uri, self.settings.allow_http))
            .map_err(|error| self.failed(&format!("the page for the code: {error}")))?;
        let code = self.tokens.redactor.clean(&device.user_code);
        let why = match &self.settings.place {
            Where::Elsewhere(away) if errand.plan.device.is_none() => format!(" ({away})"),
            _ => String::new(),
        };
        (self.settings.tell)(&format!(
            "to sign in to {}{why}, open this page on any device:\n\n    {}\n\nand enter the code:\n\n    {}\n",
            self.tokens.whom(),
            page.as_str(),
            large(&code)
        ));
        self.announce(
            progress,
            Link { url: page.as_str().to_owned(), user_code: Some(code), note: None },
        )
        .await;
        let token_endpoint = server.token_endpoint.as_deref().unwrap_or_default();
        let mut set = poll(web, token_endpoint, asking, &device, resource).await;
        // A server that binds its tokens whatever the remote takes says so now.
        let bound = matches!(&set, Err(DeviceError::Token(error)) if error.wants_dpop());
        let client = self.proving(client.clone(), bound)?;
        if bound {
            let asking = client.at(&server.issuer, self.settings.now);
            set = poll(web, token_endpoint, asking, &device, resource).await;
        }
        let set = set.map_err(|error| self.no_device(&server.issuer, &client, &error))?;
        Ok(Granted { set, client, tab: None })
    }
}

/// Letter by letter, to be read across a room.
fn large(code: &str) -> String {
    code.chars().map(String::from).collect::<Vec<_>>().join(" ")
}

//! A sign-in in the browser: authorization code with PKCE, back to this machine (RFC 8252).

use super::desk::{Desk, PATIENCE};
use super::errand::Errand;
use super::flow::Granted;
use super::trouble::Trouble;
use super::{Link, Progress};
use crate::http::readable;
use crate::oauth::authorization_request::{
    AuthorizationParameters, AuthorizationRequest, ExpectedIssuer,
};
use crate::oauth::browser::{BrowserUrl, Where, check, open};
use crate::oauth::client::ClientOrigin;
use crate::oauth::discovery::Source;
use crate::oauth::redirect::{AuthorizationResponse, Awaited, Listener, Serving, Tab, Verdict};
use crate::oauth::token::exchange_code;
use crate::oauth::{Client, TokenError, TokenSet};
use crate::secret::Secret;
use reqwest::Method;
use reqwest::header::HeaderMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use url::Url;

/// How long the browser may be silent before the authorization server is asked why.
const SILENCE: Duration = Duration::from_secs(10);

/// An answer with the tab that brought it; none for a pasted one.
type Answered = (AuthorizationResponse, Option<Tab>);

impl Desk {
    pub(super) async fn with_browser(
        &self,
        errand: &Errand,
        progress: &watch::Sender<Progress>,
        pasted: &mut mpsc::UnboundedReceiver<Secret<String>>,
    ) -> Result<Granted, Trouble> {
        let server = &errand.found.server;
        let assumed = errand.plan.assume_pkce || errand.found.from != Source::Metadata;
        if !assumed && !server.offers_s256() {
            return Err(self.without_pkce(&server.issuer).into());
        }
        let (listener, client) = self.client(errand).await?;
        let client = self.proving(client, errand.found.dpop)?;
        let redirect_uri = listener.redirect_uri().to_owned();
        let request = Arc::new(self.request(errand, &client, &redirect_uri)?);
        self.tokens.redactor.learn_passing(request.state.expose());
        self.tokens.redactor.learn_passing(request.verifier.expose());
        let page = check(&request.url, self.settings.allow_http)
            .map_err(|error| self.failed(&format!("the sign-in page: {error}")))?;
        let mut serving = self.serve(listener, errand, &request, progress.clone());
        self.announce(
            progress,
            Link { url: page.as_str().to_owned(), user_code: None, note: None },
        )
        .await;
        self.show(&page);
        let (response, tab) =
            self.answered(&mut serving, &request, &page, &client, progress, pasted).await?;
        tracing::debug!("the browser came back");
        let mut client = client;
        let outcome = self.exchange(errand, &mut client, &request, &redirect_uri, response).await;
        match (outcome, tab) {
            (Ok(set), tab) => Ok(Granted { set, client, tab: tab.map(|tab| (serving, tab)) }),
            (Err(trouble), tab) => {
                if let Some(tab) = tab {
                    tab.show(self.page_of(&trouble.error)).await;
                }
                Err(trouble)
            }
        }
    }

    fn request(
        &self,
        errand: &Errand,
        client: &Client,
        redirect_uri: &str,
    ) -> Result<AuthorizationRequest, Trouble> {
        let server = &errand.found.server;
        let Some(endpoint) = server.authorization_endpoint.as_deref() else {
            return Err(self.failed("the authorization server has no page to sign in at"));
        };
        AuthorizationRequest::new(&AuthorizationParameters {
            authorization_endpoint: endpoint,
            client_id: &client.id,
            redirect_uri,
            scope: errand.scope.as_deref(),
            resource: errand.resource.as_deref(),
            extra: &errand.plan.authorize_params,
            prompt_consent: errand.consent,
            issuer: match errand.found.from {
                Source::Metadata => ExpectedIssuer::Published(&server.issuer),
                Source::Defaults | Source::Given => ExpectedIssuer::Derived(&server.issuer),
            },
            iss_supported: server.authorization_response_iss_parameter_supported,
            allow_http: self.settings.allow_http,
        })
        .map_err(|error| self.unrequested(&error))
    }

    fn serve(
        &self,
        listener: Listener,
        errand: &Errand,
        request: &Arc<AuthorizationRequest>,
        progress: watch::Sender<Progress>,
    ) -> Serving {
        let account = self.tokens.remote.account();
        let awaited = Awaited {
            state: request.state.clone(),
            server: self.tokens.remote.to_string(),
            account: (account != "default").then(|| account.to_owned()),
            success_url: errand.plan.success_url.as_deref().and_then(|url| Url::parse(url).ok()),
        };
        let request = request.clone();
        listener.serve(awaited, move |response| match request.check(response.iss.as_deref()) {
            Ok(()) => Verdict::Take,
            Err(error) => {
                tracing::warn!("an answer in the browser is turned away: {error}");
                note(&progress, format!("an answer was turned away: {error}"));
                Verdict::Reject
            }
        })
    }

    /// Prints the link and, where there is a browser, opens it.
    fn show(&self, page: &BrowserUrl) {
        let whom = self.tokens.whom();
        let advice = match &self.settings.place {
            _ if self.settings.no_browser => String::new(),
            Where::Here => String::new(),
            Where::Elsewhere(away) => format!(
                " ({away}; with a browser on another machine: {} --no-browser)",
                self.tokens.remote.login_command(None)
            ),
        };
        (self.settings.tell)(&format!(
            "to sign in to {whom}, open{advice}:\n\n{}\n",
            page.as_str()
        ));
        if self.settings.no_browser || !self.has_browser() {
            return;
        }
        let (page, browser) = (page.clone(), self.settings.browser.clone());
        let tell = self.settings.tell;
        tokio::spawn(async move {
            if let Err(error) = open(&page, &browser).await {
                tell(&format!("the browser cannot be opened ({error}): open the link yourself"));
            }
        });
    }

    async fn answered(
        &self,
        serving: &mut Serving,
        request: &AuthorizationRequest,
        page: &BrowserUrl,
        client: &Client,
        progress: &watch::Sender<Progress>,
        pasted: &mut mpsc::UnboundedReceiver<Secret<String>>,
    ) -> Result<Answered, Trouble> {
        let mut deadline = std::pin::pin!(tokio::time::sleep(PATIENCE));
        let mut inspection = std::pin::pin!(self.inspect(page, client, progress));
        let mut inspected = false;
        loop {
            tokio::select! {
                answer = serving.response() => {
                    let Some((response, tab)) = answer else {
                        return Err(self.failed("the browser's answer was lost"));
                    };
                    return Ok((response, Some(tab)));
                }
                Some(address) = pasted.recv() => {
                    let response = AuthorizationResponse::from_pasted(address.expose(), &request.state);
                    let checked = response.map_err(|error| error.to_string()).and_then(|response| {
                        let checked = request.check(response.iss.as_deref());
                        checked.map(|()| response).map_err(|error| error.to_string())
                    });
                    match checked {
                        Ok(response) => return Ok((response, None)),
                        Err(why) => (self.settings.tell)(&format!(
                            "that is not the address the browser ended at: {why}"
                        )),
                    }
                }
                trouble = &mut inspection, if !inspected => {
                    inspected = true;
                    if let Some(trouble) = trouble {
                        return Err(trouble);
                    }
                }
                () = &mut deadline => {
                    return Err(self.failed("nobody finished it within 10 minutes"));
                }
            }
        }
    }

    /// A server that does not know the client, or not its redirect URI, tells that to the
    /// browser only, and no answer ever comes: after a while its page is looked at from here.
    /// Only a page that says so in so many words ends the sign-in: others may be meant for a
    /// browser, which this is not.
    async fn inspect(
        &self,
        page: &BrowserUrl,
        client: &Client,
        progress: &watch::Sender<Progress>,
    ) -> Option<Trouble> {
        tokio::time::sleep(SILENCE).await;
        let answer = self.settings.web.request(Method::GET, page.as_str(), HeaderMap::new(), None);
        let answer = answer.await.ok().filter(|answer| matches!(answer.status, 400 | 404 | 422))?;
        let said = self.tokens.redactor.clean(&readable(answer.body.expose()));
        let why = format!("the sign-in page says (HTTP {}): {said}", answer.status);
        let said = said.to_ascii_lowercase();
        let of_client = said.contains("client");
        if of_client || said.contains("redirect") {
            let mut trouble = self.failed_with(&why, &self.client_hint(client));
            trouble.client_forgotten = of_client && client.origin == ClientOrigin::Dynamic;
            return Some(trouble);
        }
        note(progress, why);
        None
    }

    async fn exchange(
        &self,
        errand: &Errand,
        client: &mut Client,
        request: &AuthorizationRequest,
        redirect_uri: &str,
        response: AuthorizationResponse,
    ) -> Result<TokenSet, Trouble> {
        let code = response.result.map_err(|error| self.denied(&error))?;
        self.tokens.redactor.learn_passing(code.expose());
        let endpoint = errand.found.server.token_endpoint.as_deref().unwrap_or_default();
        let resource = errand.resource.as_deref();
        let web = &self.settings.web;
        let issuer = &errand.found.server.issuer;
        let ask = async |client: &Client| {
            let asking = client.at(issuer, self.settings.now);
            let verifier = &request.verifier;
            exchange_code(web, endpoint, asking, &code, verifier, redirect_uri, resource).await
        };
        let mut set = ask(client).await;
        // A server that binds its tokens whatever the remote takes says so now.
        if client.proof_key.is_none() && set.as_ref().is_err_and(TokenError::wants_dpop) {
            *client = self.proving(client.clone(), true)?;
            set = ask(client).await;
        }
        set.map_err(|error| self.not_granted(issuer, client, &error))
    }
}

/// For those who wait: something is odd, and the sign-in goes on.
fn note(progress: &watch::Sender<Progress>, text: String) {
    progress.send_modify(|now| {
        if let Some(link) = &mut now.link {
            link.note = Some(text);
        }
    });
}

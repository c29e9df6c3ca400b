//! What failed in a sign-in, in words that name the server, the cause and the next step.

use super::desk::Desk;
use super::flow::FAILED;
use crate::authorization::AuthorizationError;
use crate::oauth::authorization_request::RequestError;
use crate::oauth::client::ClientOrigin;
use crate::oauth::device::DeviceError;
use crate::oauth::discovery::DiscoveryError;
use crate::oauth::redirect::{BindError, ErrorResponse};
use crate::oauth::registration::RegistrationError;
use crate::oauth::{Client, TokenError};

/// Why a sign-in came to nothing.
pub(super) struct Trouble {
    pub(super) error: AuthorizationError,
    /// The server does not know the client that was registered with it any more.
    pub(super) client_forgotten: bool,
}

impl From<AuthorizationError> for Trouble {
    fn from(error: AuthorizationError) -> Self {
        Self { error, client_forgotten: false }
    }
}

impl Desk {
    pub(super) fn undiscovered(&self, error: &DiscoveryError) -> AuthorizationError {
        let remote = &self.tokens.remote;
        match error {
            DiscoveryError::Unavailable { .. } | DiscoveryError::Client(_) => {
                self.unavailable(&error.to_string())
            }
            DiscoveryError::Nothing { .. } => {
                let hint = format!(
                    "if it takes a key: {}; if you know its authorization server, add --issuer",
                    remote.login_command(Some("api-key"))
                );
                self.failed_with(&error.to_string(), &hint).error
            }
            DiscoveryError::Refused { .. } => {
                let hint = "what the server publishes about itself is wrong; tell whoever runs it";
                self.failed_with(&error.to_string(), hint).error
            }
        }
    }

    fn unavailable(&self, why: &str) -> AuthorizationError {
        let why = self.tokens.redactor.clean(why);
        let message = format!("signing in to {}{FAILED}{why}", self.tokens.whom());
        AuthorizationError::Unavailable { message }
    }

    pub(super) fn without_pkce(&self, issuer: &str) -> AuthorizationError {
        let why = format!("the authorization server {issuer} does not offer PKCE with S256");
        let hint = format!(
            "if you trust it all the same: {} --assume-pkce",
            self.tokens.remote.login_command(None)
        );
        self.failed_with(&why, &hint).error
    }

    pub(super) fn another_issuer(&self, taught: &str, found: &str) -> AuthorizationError {
        let why = format!(
            "the client ID is one of {taught}, and the MCP server now names {found} as its authorization server"
        );
        let hint = format!(
            "if that is right: {} --issuer {} --client-id ID",
            self.tokens.remote.login_command(None),
            self.tokens.redactor.clean(found)
        );
        self.failed_with(&why, &hint).error
    }

    pub(super) fn unregistered(&self, issuer: &str, error: &RegistrationError) -> Trouble {
        let why = match error {
            RegistrationError::Refused(response) => {
                format!(
                    "the authorization server refused to register keyferry: {}",
                    response.told()
                )
            }
            RegistrationError::NotOffered | RegistrationError::Invalid { .. } => error.to_string(),
            RegistrationError::Unavailable(error) => {
                return self.unavailable(&format!("registering at {issuer}: {error}")).into();
            }
        };
        let hint = format!(
            "register a client at {} by hand and teach it: {} --client-id ID",
            self.tokens.redactor.clean(issuer),
            self.tokens.remote.login_command(None)
        );
        self.failed_with(&why, &hint)
    }

    pub(super) fn unbound(&self, error: &BindError) -> Trouble {
        let hint = match error {
            BindError::Taken(_) => format!(
                "end what uses the port, or choose another one: {} --callback-port N",
                self.tokens.remote.login_command(None)
            ),
            _ => "check --host and --callback-path".to_owned(),
        };
        self.failed_with(&format!("nothing can wait for the browser: {error}"), &hint)
    }

    pub(super) fn unrequested(&self, error: &RequestError) -> Trouble {
        self.failed(&error.to_string())
    }

    /// The error response of the authorization endpoint (RFC 6749 section 4.1.2.1).
    pub(super) fn denied(&self, response: &ErrorResponse) -> Trouble {
        let said = response.description.as_deref().map(|said| format!(": {said}"));
        let said = said.unwrap_or_default();
        self.failed(&match response.error.as_str() {
            "access_denied" => format!("it was denied (access_denied){said}"),
            code => format!("the authorization server answered {code}{said}"),
        })
    }

    pub(super) fn not_granted(&self, issuer: &str, client: &Client, error: &TokenError) -> Trouble {
        let said = match error.response() {
            Some(response) => format!("{issuer} gave no token: {}", response.told()),
            None => format!("{issuer} gave no token: {error}"),
        };
        match error {
            TokenError::Unavailable(_) | TokenError::Lost(_) => self.unavailable(&said).into(),
            _ if error.client_refused() => self.client_refused(client, &said),
            _ => self.failed(&said),
        }
    }

    pub(super) fn no_device(&self, issuer: &str, client: &Client, error: &DeviceError) -> Trouble {
        match error {
            DeviceError::Unavailable(_) => self.unavailable(&format!("{issuer}: {error}")).into(),
            DeviceError::Denied => self.failed("it was denied (access_denied)"),
            DeviceError::Token(error) => self.not_granted(issuer, client, error),
            DeviceError::NoCode(response)
                if response.error.as_deref() == Some("invalid_client") =>
            {
                self.client_refused(client, &error.to_string())
            }
            _ => self.failed(&error.to_string()),
        }
    }

    /// A client registered here is registered anew; one that the person named is theirs.
    fn client_refused(&self, client: &Client, why: &str) -> Trouble {
        let shown = self.tokens.redactor.clean(&client.id);
        let why = format!("the authorization server does not take the client {shown}: {why}");
        let hint = self.client_hint(client);
        let client_forgotten = client.origin == ClientOrigin::Dynamic;
        Trouble { client_forgotten, ..self.failed_with(&why, &hint) }
    }

    /// What helps where the server does not take the client.
    pub(super) fn client_hint(&self, client: &Client) -> String {
        let login = self.tokens.remote.login_command(None);
        match client.origin {
            ClientOrigin::Dynamic => login,
            ClientOrigin::Preregistered => {
                format!("check the client ID, its secret and redirect URI: {login} --client-id ID")
            }
            ClientOrigin::MetadataDocument => {
                format!("check the document: {login} --client-metadata-url URL")
            }
        }
    }
}

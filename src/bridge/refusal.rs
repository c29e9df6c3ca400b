//! What goes wrong between here and the remote, as JSON-RPC errors a person can act on.

use super::Bridge;
use crate::authorization::{AuthorizationError, Credential, Kind as With, Need, Refusal};
use crate::jsonrpc::{BridgeError, Kind, Message, error_response, with_id};
use crate::transport::{Lost, Reply, SendFailure};
use bytes::Bytes;
use reqwest::StatusCode;
use std::sync::Arc;

pub(super) const SIGN_IN_NEEDED: i32 = -31001;
pub(super) const UNREACHABLE: i32 = -31002;
pub(super) const CLOSED: i32 = -31003;
pub(super) const REFUSED: i32 = -31004;
pub(super) const TIMED_OUT: i32 = -31005;
pub(super) const TOO_LARGE: i32 = -31006;
pub(super) const NOT_ALLOWED: i32 = -31007;
pub(super) const VAULT: i32 = -31008;

pub(super) const LOOK: &str = "the call may have been executed; look before you repeat it";

/// An error for the client, or the remote's own error to pass on.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    Bridge(Box<BridgeError>),
    /// A JSON-RPC error that came with an HTTP error.
    Remote(Box<Message>),
    /// A person has to sign in; the request was not executed.
    Person(Box<Need>),
    /// The remote speaks the other era; the request was not executed.
    Crossed,
}

impl From<BridgeError> for Failure {
    fn from(error: BridgeError) -> Self {
        Self::Bridge(Box::new(error))
    }
}

impl Failure {
    /// The response to the raw `id`; none where a person is needed, or it is not answered at all.
    pub(super) fn answer(&self, id: &[u8]) -> Option<Bytes> {
        match self {
            Self::Bridge(error) => Some(error_response(Some(id), error)),
            Self::Remote(message) => Some(with_id(message, id)),
            Self::Person(_) | Self::Crossed => None,
        }
    }

    /// With the command to run in the message: clients show their person nothing else.
    pub(super) fn with_command(mut self) -> Self {
        if let Self::Bridge(error) = &mut self
            && let Some(command) =
                error.hint.as_deref().filter(|hint| hint.starts_with("keyferry "))
        {
            let command = format!("; run: {command}");
            error.message.push_str(&command);
        }
        self
    }
}

impl Bridge {
    /// A vault or sign-in problem.
    pub(super) fn unauthorized(&self, error: &AuthorizationError) -> BridgeError {
        match error {
            AuthorizationError::SignInNeeded { message, hint }
            | AuthorizationError::Refused { message, hint } => {
                BridgeError::new(SIGN_IN_NEEDED, self.clean(message)).with_hint(hint.clone())
            }
            AuthorizationError::Person(need) => {
                BridgeError::new(SIGN_IN_NEEDED, self.clean(&need.message))
                    .with_hint(need.hint.clone())
            }
            AuthorizationError::Unavailable { message } => {
                BridgeError::new(UNREACHABLE, self.clean(message))
            }
            AuthorizationError::Vault(error) => {
                BridgeError::new(VAULT, self.clean(&error.to_string())).with_hint(error.hint())
            }
        }
    }

    /// There is no credential to send.
    pub(super) fn no_credential(&self, error: AuthorizationError) -> Failure {
        match error {
            AuthorizationError::Person(need) => Failure::Person(Box::new(need)),
            other => self.unauthorized(&other).into(),
        }
    }

    /// Nothing came back.
    pub(super) fn not_sent(&self, failure: &SendFailure) -> BridgeError {
        if matches!(failure, SendFailure::Redirected { .. }) {
            // Perhaps to a login page: what was taught since then may be let in.
            self.authorization.look_again();
        }
        let remote = self.authorization.remote();
        let why = self.clean(&failure.to_string());
        match failure {
            failure if failure.is_about_client_certificate() => {
                BridgeError::new(SIGN_IN_NEEDED, format!("cannot connect to {remote}: {why}"))
                    .with_hint(self.login_with_certificate())
            }
            SendFailure::Unreachable(_) | SendFailure::Client(_) | SendFailure::Tls(_) => {
                BridgeError::new(UNREACHABLE, format!("cannot reach {remote}: {why}"))
                    .with_hint(failure.advice())
            }
            SendFailure::Broken { suspicion, .. } => {
                let mut hint = LOOK.to_owned();
                if suspicion.is_some() {
                    let login = self.login_with_certificate();
                    hint.push_str(&format!("; if it is the certificate: {login}"));
                }
                let message = format!("{remote} closed the connection before it answered: {why}");
                BridgeError::new(CLOSED, message).with_hint(hint)
            }
            SendFailure::TimedOut(_) => BridgeError::new(TIMED_OUT, format!("{remote} gave {why}")),
            SendFailure::Redirected { status, .. } => {
                let mut error = BridgeError::new(REFUSED, format!("{remote} did not answer: {why}"))
                    .with_hint(format!(
                        "a login page stands in front of it, or the URL has moved; check the URL, or teach the credential: {}",
                        self.authorization.login_anew(With::ApiKey)
                    ));
                error.http_status = Some(*status);
                error
            }
        }
    }

    /// The body ended too early.
    pub(super) fn lost(&self, lost: &Lost) -> BridgeError {
        let remote = self.authorization.remote();
        match lost {
            Lost::Broken(why) => BridgeError::new(
                CLOSED,
                format!(
                    "{remote} closed the connection in the middle of its answer: {}",
                    self.clean(why)
                ),
            )
            .with_hint(LOOK),
            Lost::TooLong => BridgeError::new(
                TOO_LARGE,
                format!("the answer of {remote} is larger than --max-message"),
            )
            .with_hint("raise --max-message"),
        }
    }

    /// The stream ended properly, but without the answer.
    pub(super) fn unanswered(&self) -> BridgeError {
        let remote = self.authorization.remote();
        BridgeError::new(CLOSED, format!("{remote} ended its reply without an answer"))
            .with_hint(LOOK)
    }

    /// A response of some status that is no answer.
    pub(super) fn refused(&self, status: u16, what: &str, body: &[u8]) -> BridgeError {
        let remote = self.authorization.remote();
        let text = self.authorization.clean_body(body);
        let said = if text.is_empty() { String::new() } else { format!(": {text}") };
        let mut error =
            BridgeError::new(REFUSED, format!("{remote} {what} (HTTP status {status}){said}"));
        error.http_status = Some(status);
        if Reply::is_about_client_certificate(status, body) {
            error.message.push_str(&self.authorization.shown_certificate().unwrap_or_default());
            error.hint = Some(self.login_with_certificate());
        }
        error
    }

    /// The command that teaches a client certificate, beside what is known already.
    fn login_with_certificate(&self) -> String {
        let login = self.authorization.login_anew(With::None);
        format!("{login} --client-cert PEM --client-key PEM")
    }

    /// The remote answered 401 or 403: a new credential to try, or what to tell the client.
    pub(super) async fn after_refusal(
        &self,
        reply: Reply,
        sent: &Credential,
    ) -> Result<Arc<Credential>, Failure> {
        let status = reply.status.as_u16();
        let (headers, address) = (reply.headers, reply.address);
        let body = reply.body.refusal().await;
        let refusal = Refusal { status, headers: &headers, address };
        let error = match self.authorization.after_refusal(sent, refusal).await {
            Ok(fresh) => return Ok(fresh),
            Err(AuthorizationError::Person(need)) => return Err(Failure::Person(Box::new(need))),
            Err(error) => error,
        };
        // Behind a 403 may stand a role, an origin check, a tool: its own error says more.
        if status == 403
            && let Some(message) = error_in(&body)
        {
            return Err(Failure::Remote(Box::new(message)));
        }
        let mut answer = self.unauthorized(&error);
        if matches!(error, AuthorizationError::Refused { .. }) {
            let said = self.authorization.clean_body(&body);
            answer.message.push_str(&format!(" (HTTP status {status})"));
            if !said.is_empty() {
                answer.message.push_str(&format!(": {said}"));
            }
            answer.code = if status == 403 { REFUSED } else { SIGN_IN_NEEDED };
            answer.http_status = Some(status);
        }
        Err(answer.into())
    }

    /// An HTTP error: the JSON-RPC error in it, or one that says what it was.
    pub(super) async fn http_error(&self, reply: Reply) -> Failure {
        let status = reply.status.as_u16();
        let hint = reply.retry_after().map(|wait| format!("try again in {} s", wait.as_secs()));
        let hint = hint.or_else(|| what_to_do(reply.status).map(str::to_owned));
        let body = reply.body.refusal().await;
        if let Some(message) = error_in(&body) {
            return Failure::Remote(Box::new(message));
        }
        let mut error = self.refused(status, "refused the request", &body);
        error.hint = error.hint.or(hint);
        error.into()
    }

    pub(super) fn clean(&self, text: &str) -> String {
        self.authorization.clean(text)
    }
}

/// After an HTTP error that says no more.
fn what_to_do(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some("try again later"),
        status if status.is_server_error() => Some(LOOK),
        _ => None,
    }
}

/// The JSON-RPC error that a body holds, whatever its id.
fn error_in(body: &Bytes) -> Option<Message> {
    let message = Message::read(body.clone()).ok()?;
    (message.kind() == Kind::Response && message.error().is_some()).then_some(message)
}

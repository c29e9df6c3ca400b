//! What the server saw, in words.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Registered,
    SignInPage,
    SignedIn { person: String },
    Denied,
    CodeExchanged { person: String },
    Refreshed { person: String, token: u32 },
    ReusedRefreshToken,
    Refused(String),
    RevokedRefreshToken,
    RevokedAccessToken,
    Unregistered,
    Call { method: String, person: String, token: u32 },
    Unauthorized { method: String, why: &'static str },
    BrowserShows(String),
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered => f.write_str("a client registered itself"),
            Self::SignInPage => f.write_str("a browser opened the sign-in page"),
            Self::SignedIn { person } => write!(f, "{person} signed in and is asked for consent"),
            Self::Denied => f.write_str("the person said no"),
            Self::CodeExchanged { person } => {
                write!(f, "code and PKCE verifier are right: token 1 for {person}")
            }
            Self::Refreshed { person, token } => write!(
                f,
                "refresh token {} of {person} is spent: token {token} and a new refresh token",
                token - 1
            ),
            Self::ReusedRefreshToken => {
                f.write_str("a refresh token was used TWICE: the whole sign-in is ended")
            }
            Self::Refused(why) => write!(f, "REFUSED: {why}"),
            Self::RevokedRefreshToken => f.write_str("the refresh token is revoked"),
            Self::RevokedAccessToken => f.write_str("the access token is revoked"),
            Self::Unregistered => f.write_str("the client had itself forgotten"),
            Self::Call { method, person, token } => {
                write!(f, "{method} with token {token} of {person}")
            }
            Self::Unauthorized { method, why } => write!(f, "{method} {why}: 401"),
            Self::BrowserShows(what) => write!(f, "(the browser ends at the page: {what})"),
        }
    }
}

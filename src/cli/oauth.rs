//! Flags of the sign-in with OAuth.

use clap::Args;

/// How to sign in with OAuth; by default all of it is discovered.
#[derive(Debug, Args)]
#[command(next_help_heading = "OAuth")]
pub struct OAuthArgs {
    /// Client ID of a client registered beforehand; its secret, if it has one, by
    /// --secret-env or --secret-file
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    /// HTTPS URL of a Client ID Metadata Document that stands for this client
    #[arg(long, value_name = "URL")]
    pub client_metadata_url: Option<String>,
    /// Scopes to ask for, instead of those that the server names
    #[arg(long, value_name = "SCOPES")]
    pub scope: Option<String>,
    /// Resource indicator to send, instead of the one that the server publishes
    #[arg(long, value_name = "URL", conflicts_with = "disable_resource_parameter")]
    pub resource: Option<String>,
    /// Send no resource indicator (RFC 8707), for servers that refuse it
    #[arg(long)]
    pub disable_resource_parameter: bool,
    /// Further parameter of the authorization request, as name=value (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    pub authorize_param: Vec<String>,
    /// Issuer of the authorization server, instead of what the server names
    #[arg(long, value_name = "URL")]
    pub issuer: Option<String>,
    /// Token endpoint, instead of what the authorization server publishes
    #[arg(long, value_name = "URL")]
    pub token_endpoint: Option<String>,
    /// Port of the loopback redirect [default: any]
    #[arg(long, value_name = "PORT")]
    pub callback_port: Option<u16>,
    /// Host in the loopback redirect [default: localhost; on Windows 127.0.0.1]
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Path of the loopback redirect [default: /oauth/callback]
    #[arg(long, value_name = "PATH")]
    pub callback_path: Option<String>,
    /// Send the ID token instead of the access token
    #[arg(long)]
    pub use_id_token: bool,
    /// Sign in though the server's metadata does not offer PKCE with S256
    #[arg(long)]
    pub assume_pkce: bool,
    /// Open no browser: print the link only
    #[arg(long)]
    pub no_browser: bool,
    /// Same as --with device
    #[arg(long, hide = true)]
    pub device_code: bool,
    /// Page to show after the sign-in instead of keyferry's own
    #[arg(long, value_name = "URL", hide = true)]
    pub auth_success_url: Option<String>,
    /// Client registered beforehand, as JSON or @FILE; --client-id says the same
    #[arg(long, value_name = "JSON", hide = true, conflicts_with = "client_id")]
    pub static_oauth_client_info: Option<String>,
    /// Members of the registration request, as JSON or @FILE
    #[arg(long, value_name = "JSON", hide = true)]
    pub static_oauth_client_metadata: Option<String>,
}

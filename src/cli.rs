//! The command line as typed: types and help text. Touches nothing.

mod kinds;
mod misuse;
mod oauth;

pub use kinds::{BodyArg, CertificateArgs, KindArgs};
pub use misuse::{Misuse, Stop, parse};
pub use oauth::OAuthArgs;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// Bridges an MCP client on stdio to a remote MCP server over HTTP, with the credentials
/// from a vault whose key lives in the OS keychain.
#[derive(Debug, Parser)]
#[command(name = "keyferry", version, about, max_term_width = 100)]
#[command(override_usage = "keyferry <URL> [FLAGS]\n       keyferry <COMMAND>")]
#[command(
    after_help = "`keyferry <URL>` is short for `keyferry run <URL>`, which is what an MCP client \
launches.\nTeach the vault once with `keyferry login`, then put nothing but the URL into the \
client's configuration."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bridge stdio to a remote MCP server; what an MCP client launches
    Run(Box<RunArgs>),
    /// Teach the vault how to authenticate at a remote, and verify it there
    Login(Box<LoginArgs>),
    /// Forget the credential for a remote
    Logout(LogoutArgs),
    /// List what the vault holds, without any secret and without unlocking it
    List(ListArgs),
    /// Print the credential for a remote, for curl and scripts
    Token(Box<TokenArgs>),
    /// Named secrets for ${vault:NAME} in headers
    Secret(SecretArgs),
}

/// Which remote, and as whom.
#[derive(Debug, Args)]
pub struct RemoteArgs {
    /// URL of the MCP server
    #[arg(value_name = "URL")]
    pub url: String,
    /// Name for one of several identities at the same remote
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub account: String,
    /// Allow plain http to hosts other than this machine
    #[arg(long)]
    pub allow_http: bool,
}

/// How to authenticate.
#[derive(Debug, Args)]
pub struct CredentialArgs {
    /// Kind of credential
    #[arg(long, value_enum, value_name = "KIND")]
    pub with: Option<WithArg>,
    /// Read the secret from this environment variable
    #[arg(long, value_name = "VAR", conflicts_with = "secret_file")]
    pub secret_env: Option<String>,
    /// Read the secret from this file
    #[arg(long, value_name = "PATH")]
    pub secret_file: Option<PathBuf>,
    /// Header that carries the key [default: Authorization]
    #[arg(long, value_name = "NAME")]
    pub key_header: Option<String>,
    /// Word before the key, or `none` [default: Bearer; for another header none]
    #[arg(long, value_name = "SCHEME")]
    pub key_scheme: Option<String>,
    /// Extra header, 'Name: value' or Name:value; ${VAR}, ${vault:NAME} and ${file:PATH} are
    /// filled in (repeatable)
    #[arg(long, value_name = "HEADER")]
    pub header: Vec<String>,
    /// File with one extra header per line
    #[arg(long, value_name = "PATH")]
    pub header_file: Vec<PathBuf>,
    #[command(flatten)]
    pub oauth: OAuthArgs,
    #[command(flatten)]
    pub kinds: KindArgs,
    #[command(flatten)]
    pub certificate: CertificateArgs,
}

/// Kinds of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WithArg {
    /// Sign-in in the browser
    Oauth,
    /// Sign-in with a code, in a browser anywhere
    Device,
    /// A static key in a header
    ApiKey,
    /// A token for a client that is no person (RFC 6749 section 4.4)
    ClientCredentials,
    /// A token for an assertion from elsewhere (RFC 7523)
    JwtBearer,
    /// Enterprise-managed authorization: a token for an identity of the company (ID-JAG)
    Enterprise,
    /// A JWT signed here
    Jwt,
    /// A token from a login endpoint
    Password,
    /// A service token of Cloudflare Access
    CloudflareAccess,
    /// Another program holds the secret
    Command,
    /// No credential
    None,
}

/// How to reach the remote.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// PEM file with a further root certificate to trust
    #[arg(long, value_name = "PEM")]
    pub ca_cert: Option<PathBuf>,
    /// Seconds to wait for a connection
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub connect_timeout: f64,
    /// Seconds to wait for the start of a response [default: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub headers_timeout: Option<f64>,
    /// Seconds a response may stay silent [default: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub body_timeout: Option<f64>,
    /// Use IPv4 only
    #[arg(long)]
    pub ipv4: bool,
    /// Do not keep cookies
    #[arg(long)]
    pub disable_cookies: bool,
    /// Accepted for compatibility: the system's proxy is always honoured
    #[arg(long, hide = true)]
    pub enable_proxy: bool,
}

/// What is logged, and where.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Logging")]
pub struct LogArgs {
    /// Least severe level that is logged: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", value_parser = level, global = true)]
    pub log_level: Option<tracing::Level>,
    /// Log to this file instead of stderr
    #[arg(long, value_name = "PATH", global = true)]
    pub log_file: Option<PathBuf>,
    /// Short for --log-level debug
    #[arg(long, conflicts_with_all = ["log_level", "silent"], global = true)]
    pub debug: bool,
    /// Short for --log-level error
    #[arg(long, conflicts_with = "log_level", global = true)]
    pub silent: bool,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub remote: RemoteArgs,
    /// Same as --callback-port
    #[arg(value_name = "PORT", conflicts_with = "callback_port")]
    pub port: Option<u16>,
    /// Transport: Streamable HTTP, or HTTP+SSE, which servers of 2024-11-05 speak
    #[arg(long, value_enum, default_value = "http-first")]
    pub transport: TransportArg,
    /// Generation of MCP that the server speaks: `legacy` is 2025-11-25 and earlier, `modern`
    /// is 2026-07-28 and later
    #[arg(long, value_enum, default_value = "auto", value_name = "ERA")]
    pub protocol: ProtocolArg,
    /// Seconds a request may take before it is cancelled [default: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<f64>,
    /// Seconds a call waits for a sign-in
    #[arg(long, value_name = "SECONDS", default_value = "45", value_parser = seconds)]
    pub auth_timeout: f64,
    /// Whether to open the browser when a sign-in is needed
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub sign_in: SignInArg,
    /// Largest message in bytes, in either direction
    #[arg(long, value_name = "BYTES", default_value_t = 256 * 1024 * 1024)]
    pub max_message: usize,
    /// Show and allow only tools that match this pattern with * (repeatable)
    #[arg(long, value_name = "PATTERN")]
    pub allow_tool: Vec<String>,
    /// Hide and refuse tools that match this pattern with * (repeatable)
    #[arg(long, value_name = "PATTERN")]
    pub ignore_tool: Vec<String>,
    /// Show and allow only tools annotated readOnlyHint
    #[arg(long)]
    pub read_only: bool,
    #[command(flatten)]
    pub credential: CredentialArgs,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

/// When the bridge begins a sign-in by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SignInArg {
    /// When a credential is needed
    Auto,
    /// Only `keyferry login` does
    Never,
}

/// What the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProtocolArg {
    /// Found out
    Auto,
    Legacy,
    Modern,
}

/// Transports, in mcp-remote's spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TransportArg {
    /// HTTP+SSE where the server does not speak Streamable HTTP
    HttpFirst,
    /// Streamable HTTP
    HttpOnly,
    /// Streamable HTTP where the server does not speak HTTP+SSE
    SseFirst,
    /// HTTP+SSE
    SseOnly,
}

#[derive(Debug, Args)]
pub struct LoginArgs {
    #[command(flatten)]
    pub remote: RemoteArgs,
    /// Store it without asking the remote
    #[arg(long)]
    pub no_verify: bool,
    /// Sign in anew though there is a valid sign-in
    #[arg(long)]
    pub force: bool,
    /// Ask for the secret of the client that --client-id names
    #[arg(long, requires = "client_id")]
    pub client_secret: bool,
    #[command(flatten)]
    pub credential: CredentialArgs,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Debug, Args)]
pub struct LogoutArgs {
    #[command(flatten)]
    pub remote: RemoteArgs,
    /// Forget every account at this remote
    #[arg(long, conflicts_with = "account")]
    pub all_accounts: bool,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(flatten)]
    pub remote: RemoteArgs,
    /// Print whole header lines, as for `curl -H`
    #[arg(long)]
    pub header: bool,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Debug, Args)]
pub struct SecretArgs {
    #[command(subcommand)]
    pub action: SecretAction,
}

#[derive(Debug, Subcommand)]
pub enum SecretAction {
    /// Store a secret, read from a hidden prompt, or from stdin when stdin is no terminal
    Set {
        name: String,
        /// Read it from this environment variable
        #[arg(long, value_name = "VAR", conflicts_with = "secret_file")]
        secret_env: Option<String>,
        /// Read it from this file
        #[arg(long, value_name = "PATH")]
        secret_file: Option<PathBuf>,
    },
    /// List the names
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove one
    Rm { name: String },
}

/// The arguments with `run` put in where it was left out.
pub fn with_default_command(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<_> = arguments.into_iter().collect();
    let first = arguments.get(1).map(|first| first.to_string_lossy().into_owned());
    let explicit = match first.as_deref() {
        None => true,
        Some(first) => {
            // Only a URL, or a flag before one, can have left `run` out.
            let url_or_flag = first.contains(':') || first.starts_with('-');
            !url_or_flag || matches!(first, "-h" | "--help" | "-V" | "--version")
        }
    };
    if !explicit {
        arguments.insert(1, "run".into());
    }
    arguments
}

/// True if the command line asks for the bridge, whose stdout is the protocol.
pub fn is_run(arguments: &[OsString]) -> bool {
    arguments.get(1).is_some_and(|first| first == "run")
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && (0.0..=1e9).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds, 0 or more".into()),
    }
}

fn level(text: &str) -> Result<tracing::Level, String> {
    text.parse().map_err(|_| "one of error, warn, info, debug, trace".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_url_alone_means_run() {
        let arguments = |line: &str| with_default_command(line.split(' ').map(Into::into));
        assert_eq!(arguments("keyferry https://h/mcp --debug")[1], "run");
        assert_eq!(arguments("keyferry list --json")[1], "list");
        assert_eq!(arguments("keyferry frobnicate")[1], "frobnicate");
        assert_eq!(arguments("keyferry --version")[1], "--version");
        assert!(is_run(&arguments("keyferry --bogus https://h/")));
    }
}

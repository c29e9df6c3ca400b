//! Flags of the kinds of credential that are neither a sign-in nor a key.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What the kinds need, each flag for those that its help names.
#[derive(Debug, Args)]
#[command(next_help_heading = "Other kinds")]
pub struct KindArgs {
    /// client-credentials, jwt: PEM file with the private key that signs
    #[arg(long, value_name = "PEM")]
    pub private_key: Option<PathBuf>,
    /// client-credentials, jwt: how to sign: HS256, HS384, HS512, RS256, PS256, ES256, EdDSA
    #[arg(long, value_name = "ALG")]
    pub alg: Option<String>,
    /// client-credentials, jwt: `kid` in the header of what is signed
    #[arg(long, value_name = "ID")]
    pub key_id: Option<String>,
    /// jwt: claim as name=value; JSON if the value is that, else a string (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    pub claim: Vec<String>,
    /// jwt: seconds that a token lasts [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub ttl: Option<u64>,
    /// jwt-bearer: file with the assertion, read anew each time
    #[arg(long, value_name = "PATH")]
    pub assertion_file: Option<PathBuf>,
    /// enterprise: issuer of the identity provider
    #[arg(long, value_name = "URL")]
    pub idp_issuer: Option<String>,
    /// enterprise: client ID at the identity provider
    #[arg(long, value_name = "ID")]
    pub idp_client_id: Option<String>,
    /// enterprise: variable with the client secret at the identity provider
    #[arg(long, value_name = "VAR", conflicts_with = "idp_secret_file")]
    pub idp_secret_env: Option<String>,
    /// enterprise: file with the client secret at the identity provider
    #[arg(long, value_name = "PATH")]
    pub idp_secret_file: Option<PathBuf>,
    /// enterprise: token endpoint of the identity provider, instead of the published one
    #[arg(long, value_name = "URL")]
    pub idp_token_endpoint: Option<String>,
    /// enterprise: variable with an ID token, instead of a sign-in at the identity provider
    #[arg(long, value_name = "VAR", conflicts_with = "id_token_file")]
    pub id_token_env: Option<String>,
    /// enterprise: file with an ID token, read anew each time
    #[arg(long, value_name = "PATH")]
    pub id_token_file: Option<PathBuf>,
    /// password: URL of the login endpoint
    #[arg(long, value_name = "URL")]
    pub login_url: Option<String>,
    /// password: the user
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,
    /// password: how user and password are sent [default: json]
    #[arg(long, value_enum, value_name = "FORM")]
    pub body: Option<BodyArg>,
    /// password: JSON pointer of the token in the answer [default: /access_token, then /token]
    #[arg(long, value_name = "POINTER")]
    pub token_pointer: Option<String>,
    /// command: program that prints a token, run without a shell
    #[arg(long, value_name = "PROGRAM")]
    pub command: Option<String>,
    /// command: argument of the program (repeatable)
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub command_arg: Vec<String>,
    /// command: seconds that it may take [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = super::seconds)]
    pub command_timeout: Option<f64>,
}

/// How a login endpoint wants to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BodyArg {
    /// {"username":...,"password":...}
    Json,
    /// username=...&password=...
    Form,
}

/// Mutual TLS.
#[derive(Debug, Args)]
#[command(next_help_heading = "Mutual TLS")]
pub struct CertificateArgs {
    /// PEM file with the client certificate, and perhaps its chain and key
    #[arg(long, value_name = "PEM")]
    pub client_cert: Option<PathBuf>,
    /// PEM file with the private key of the client certificate
    #[arg(long, value_name = "PEM", requires = "client_cert")]
    pub client_key: Option<PathBuf>,
    /// login: keep the private key in the vault, so that its file is not needed any more
    #[arg(long)]
    pub import_key: bool,
}

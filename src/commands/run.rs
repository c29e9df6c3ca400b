//! `keyferry run`: the bridge.

use super::open::Opening;
use crate::bridge::{self, Ended, Era, Settings, ToolFilter};
use crate::cli::{ProtocolArg, RunArgs, SignInArg, TransportArg};
use crate::config::{self, Reaching};
use crate::failure::{Exit, Failure};
use crate::http::ClientCell;
use crate::jsonrpc::BridgeError;
use crate::logging;
use crate::secret::Redactor;
use crate::transport::{StreamableHttp, Transports};
use crate::vault::Vault;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

/// How long the keychain may take before a request is answered with -31008.
const KEYCHAIN: Duration = Duration::from_secs(3);
const DEFAULT_MAX_MESSAGE: usize = 256 * 1024 * 1024;
/// Codes for a start that fails.
const SIGN_IN_NEEDED: i32 = -31001;
const UNREACHABLE: i32 = -31002;
const VAULT: i32 = -31008;

pub(super) async fn run(args: &RunArgs) -> Result<(), Failure> {
    let settings = match settings(args) {
        Ok(settings) => settings,
        Err((code, failure)) => return refuse(code, failure).await,
    };
    match bridge::run(settings).await {
        Ok(Ended::Interrupted) => Err(Failure::new(Exit::Interrupted, "interrupted")),
        Ok(_) => Ok(()),
        Err(error) => {
            Err(Failure::new(Exit::Failed, format!("cannot read standard input: {error}")))
        }
    }
}

fn settings(args: &RunArgs) -> Result<Settings, (i32, Failure)> {
    if args.credential.certificate.import_key {
        let message = "--import-key is for keyferry login: run keeps nothing";
        return Err((SIGN_IN_NEEDED, Failure::new(Exit::Usage, message)));
    }
    let redactor = Arc::new(Redactor::default());
    let remote = config::remote(&args.remote).map_err(|failure| (UNREACHABLE, failure))?;
    let asking = config::asking(&args.credential, &args.remote, &args.network, true, &redactor)
        .map_err(|failure| (SIGN_IN_NEEDED, failure))?;
    let vault = config::vault(false, &config::secret_variables(&args.credential))
        .map_err(|failure| (VAULT, failure))?;
    let mut asking = asking;
    let port = &mut asking.plan.oauth.callback_port;
    *port = port.or(args.port);
    // Flags of `run` are for this process only.
    let (authorization, connection) = Opening {
        vault: Vault::new(vault),
        remote,
        args: &args.remote,
        network: &args.network,
        credential: Some(&args.credential),
        asking,
        redactor,
        deadline: KEYCHAIN,
        reaching: Reaching {
            allowed: args.sign_in == SignInArg::Auto,
            tell: |text| logging::tell(format!("keyferry: {text}\n")),
        },
        teaches: false,
    }
    .open();
    let client = Arc::new(ClientCell::new(config::client(&args.network, &connection)));
    ClientCell::prepare(&client);
    Ok(Settings {
        remote: StreamableHttp::new(
            client,
            connection.remote().url().clone(),
            args.max_message,
            config::positive(args.network.headers_timeout),
        ),
        authorization: Arc::new(authorization),
        tools: ToolFilter {
            allow: args.allow_tool.clone(),
            ignore: args.ignore_tool.clone(),
            read_only: args.read_only,
        },
        timeout: config::positive(args.timeout),
        auth_timeout: Duration::from_secs_f64(args.auth_timeout),
        max_message: args.max_message,
        transports: match args.transport {
            TransportArg::HttpFirst => Transports::HttpFirst,
            TransportArg::HttpOnly => Transports::HttpOnly,
            TransportArg::SseFirst => Transports::SseFirst,
            TransportArg::SseOnly => Transports::SseOnly,
        },
        protocol: match args.protocol {
            // HTTP+SSE is older than that revision.
            ProtocolArg::Auto if args.transport == TransportArg::SseOnly => Some(Era::Legacy),
            ProtocolArg::Auto => None,
            ProtocolArg::Legacy => Some(Era::Legacy),
            ProtocolArg::Modern => Some(Era::Modern),
        },
    })
}

/// A start that fails is told to the client, which shows its person nothing else, and then
/// to whoever reads stderr.
async fn refuse(code: i32, failure: Failure) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        let mut error = BridgeError::new(code, failure.message.clone());
        error.hint = failure.hints.first().cloned();
        // Without standard input there is no client to tell.
        let _ = bridge::refuse(&error, DEFAULT_MAX_MESSAGE).await;
    }
    Err(failure)
}

/// Answers the client of a `run` whose command line makes no sense.
pub async fn refuse_command_line(mut failure: Failure) {
    failure.message =
        format!("keyferry was started with a wrong command line: {}", failure.message);
    // The caller has told stderr already.
    let _ = refuse_start(failure).await;
}

/// Answers the client of a `run` that fails before it knows its remote.
///
/// # Errors
/// The failure itself, for stderr and the exit code.
pub async fn refuse_start(failure: Failure) -> Result<(), Failure> {
    refuse(UNREACHABLE, failure).await
}

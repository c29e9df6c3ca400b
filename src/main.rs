//! Parse, start logging, dispatch, print the failure, end with its code.

use clap::Parser;
use keyferry::cli::{Cli, Command, is_run, with_default_command};
use keyferry::failure::{Exit, Failure};
use keyferry::{commands, config, logging};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = with_default_command(std::env::args_os());
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return fail(&Failure::new(Exit::Failed, "cannot start: the system gives no event queue"));
    };
    let code = match Cli::try_parse_from(&arguments) {
        Ok(cli) => match runtime.block_on(start(cli.command)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => fail(&failure),
        },
        Err(error) => {
            // Nothing can be done about a closed terminal.
            let _ = error.print();
            if error.use_stderr() && is_run(&arguments) && !std::io::stdin().is_terminal() {
                let text = error.to_string();
                let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
                runtime.block_on(commands::refuse_command_line(what));
            }
            if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS }
        }
    };
    // A thread that hangs in the keychain or the resolver must not hold up the exit.
    runtime.shutdown_background();
    code
}

async fn start(command: Command) -> Result<(), Failure> {
    let default = match command {
        Command::Run(_) => tracing::Level::WARN,
        _ => tracing::Level::ERROR,
    };
    let (level, file) = match commands::log_args(&command) {
        Some(args) => config::logging(args, default),
        None => (default, None),
    };
    match logging::start(level, file) {
        Err(failure) if matches!(command, Command::Run(_)) => commands::refuse_start(failure).await,
        Err(failure) => Err(failure),
        Ok(()) => commands::dispatch(command).await,
    }
}

fn fail(failure: &Failure) -> ExitCode {
    // Where stderr is closed, the code has to say it.
    let _ = std::io::stderr().lock().write_all(failure.render().as_bytes());
    failure.exit.into()
}

//! Parse, start logging, dispatch, print the failure, end with its code.

use keyferry::cli::{Command, Stop, is_run, parse, with_default_command};
use keyferry::failure::{Exit, Failure};
use keyferry::{commands, config, logging};
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let arguments = with_default_command(std::env::args_os());
    let code = execute(&arguments);
    logging::flush(Duration::from_millis(if is_run(&arguments) { 300 } else { 5000 }));
    code
}

fn execute(arguments: &[OsString]) -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return fail(&Failure::new(Exit::Failed, "cannot start: the system gives no event queue"));
    };
    let code = match parse(arguments) {
        Ok(command) => match runtime.block_on(start(command)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => fail(&failure),
        },
        Err(Stop::Shown { asked: true }) => ExitCode::SUCCESS,
        Err(Stop::Shown { asked: false }) => Exit::Usage.into(),
        Err(Stop::Misused(misuse)) => {
            let failure = misuse.into();
            let code = fail(&failure);
            if is_run(arguments) {
                runtime.block_on(commands::refuse_command_line(failure));
            }
            code
        }
    };
    // A thread that hangs in the keychain or the resolver must not hold up the exit.
    runtime.shutdown_background();
    code
}

async fn start(command: Command) -> Result<(), Failure> {
    let is_run = matches!(command, Command::Run(_));
    let default = if is_run { tracing::Level::WARN } else { tracing::Level::ERROR };
    let (level, file) = match commands::log_args(&command) {
        Some(args) => config::logging(args, default),
        None => (default, None),
    };
    match logging::start(level, file) {
        Err(failure) if is_run => commands::refuse_start(failure).await,
        Err(failure) => Err(failure),
        Ok(()) => commands::dispatch(command).await,
    }
}

fn fail(failure: &Failure) -> ExitCode {
    logging::tell(failure.render());
    failure.exit.into()
}

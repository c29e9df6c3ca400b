//! What to say of a command line that makes no sense: never a value of it, because a client
//! that splits arguments at spaces may have put a secret anywhere.

use super::{Cli, Command};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};
use std::ffi::OsString;

/// Flags whose values are no secrets.
const SHOWN: [&str; 8] = [
    "--with",
    "--transport",
    "--log-level",
    "--max-message",
    "--timeout",
    "--connect-timeout",
    "--headers-timeout",
    "--body-timeout",
];
/// Longest word that may be a mistyped flag, in bytes.
const LONGEST_FLAG: usize = 30;

/// Why there is no command to execute.
pub enum Stop {
    /// Help or the version was shown.
    Shown {
        /// As it was asked for.
        asked: bool,
    },
    Misused(Misuse),
}

/// What is wrong with a command line, in words without its values.
pub struct Misuse {
    pub message: String,
    pub hints: Vec<String>,
}

/// Reads a command line that [`super::with_default_command`] has completed.
///
/// # Errors
/// [`Stop`] where there is nothing to execute.
pub fn parse(arguments: &[OsString]) -> Result<Command, Stop> {
    let error = match Cli::try_parse_from(arguments) {
        Ok(cli) => return Ok(cli.command),
        Err(error) => error,
    };
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        // Nothing can be done about a closed terminal.
        let _ = error.print();
        return Err(Stop::Shown { asked: !error.use_stderr() });
    }
    let mut hints = Vec::new();
    if concerns_positional(&error) {
        hints.push("a client that splits arguments at spaces? write --header Name:value".into());
    }
    if let Some(ContextValue::String(flag)) = error.get(ContextKind::SuggestedArg) {
        hints.push(format!("there is {flag}"));
    }
    let first = arguments.get(1).map(|first| first.to_string_lossy()).unwrap_or_default();
    hints.push(match Cli::command().find_subcommand(&*first) {
        Some(verb) => format!("keyferry {} --help", verb.get_name()),
        None => "keyferry --help".to_owned(),
    });
    Err(Stop::Misused(Misuse { message: message(&error), hints }))
}

fn message(error: &clap::Error) -> String {
    let argument = argument(error);
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) if SHOWN.contains(&name(&argument)) => {
            format!("'{value}'")
        }
        _ => "the value".to_owned(),
    };
    match error.kind() {
        ErrorKind::UnknownArgument if argument.is_empty() => {
            "there is one argument too many".into()
        }
        ErrorKind::UnknownArgument => format!("there is no flag {argument}"),
        ErrorKind::InvalidSubcommand => "there is no such command".into(),
        ErrorKind::MissingSubcommand => "a command is missing".into(),
        ErrorKind::MissingRequiredArgument => format!("{argument} is missing"),
        ErrorKind::ArgumentConflict => {
            let other = texts(error.get(ContextKind::PriorArg));
            if other.is_empty() || other == argument {
                format!("{argument} may be given only once")
            } else {
                format!("{argument} and {other} exclude each other")
            }
        }
        ErrorKind::InvalidValue if matches!(error.get(ContextKind::InvalidValue), Some(ContextValue::String(value)) if value.is_empty()) =>
        {
            format!("{argument} needs a value")
        }
        ErrorKind::InvalidValue => {
            let known = texts(error.get(ContextKind::ValidValue));
            format!("{value} is nothing that {argument} takes; it takes {known}")
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(ToString::to_string);
            match why.filter(|_| SHOWN.contains(&name(&argument))) {
                Some(why) => format!("{value} is nothing that {argument} takes: {why}"),
                None => format!("{value} is nothing that {argument} takes"),
            }
        }
        ErrorKind::InvalidUtf8 => "an argument is no UTF-8".into(),
        _ if argument.is_empty() => "the arguments do not fit together".into(),
        _ => format!("{argument} was given too many values or too few"),
    }
}

/// The argument at fault as the help names it, or as it was typed where it can only be a
/// mistyped flag.
fn argument(error: &clap::Error) -> String {
    let text = texts(error.get(ContextKind::InvalidArg));
    if error.kind() != ErrorKind::UnknownArgument {
        return text;
    }
    let flag = name(&text);
    let shaped = flag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let fits = flag.starts_with('-') && flag.len() <= LONGEST_FLAG && shaped;
    if fits { flag.to_owned() } else { String::new() }
}

/// `--flag` of `--flag=VALUE` or `--flag <VALUE>`.
fn name(argument: &str) -> &str {
    argument.split(['=', ' ']).next().unwrap_or_default()
}

fn texts(value: Option<&ContextValue>) -> String {
    match value {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    }
}

fn concerns_positional(error: &clap::Error) -> bool {
    let argument = texts(error.get(ContextKind::InvalidArg));
    match error.kind() {
        ErrorKind::UnknownArgument => !argument.starts_with('-'),
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => argument.starts_with(['<', '[']),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misuse(line: &str) -> String {
        let arguments = super::super::with_default_command(line.split(' ').map(Into::into));
        match parse(&arguments) {
            Err(Stop::Misused(Misuse { message, hints })) => {
                format!("{message}; {}", hints.join("; "))
            }
            _ => panic!("{line}"),
        }
    }

    #[test]
    fn no_value_of_a_command_line_is_shown() {
        for line in [
            "keyferry https://h/ --header X-Api-Key: hunter2",
            "keyferry https://h/ --header Authorization: Bearer hunter2",
            "keyferry https://h/ 1 hunter2",
            "keyferry https://h/ --hedaer=hunter2",
            "keyferry https://h/ --hunter2/x",
            "keyferry https://h/ --read-only=hunter2",
            "keyferry login https://h/ --with api-key hunter2",
            "keyferry login https://h/ --secret-env a --secret-file hunter2",
            "keyferry secret hunter2 x",
            "keyferry secret set a hunter2",
            "keyferry token https://h/ hunter2",
            "keyferry list hunter2",
            "keyferry help hunter2",
        ] {
            let text = misuse(line);
            assert!(!text.contains("hunter2"), "{line}: {text}");
        }
        let text = misuse("keyferry https://h/ --header X-Api-Key: hunter2");
        assert!(text.contains("[PORT]") && text.contains("--header Name:value"), "{text}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, named) in [
            ("keyferry https://h/ --bogus", "--bogus"),
            ("keyferry https://h/ --hedaer=a", "there is --header"),
            ("keyferry https://h/ --with magic", "api-key"),
            ("keyferry https://h/ --timeout soon", "a number of seconds"),
            ("keyferry https://h/ --header", "--header <HEADER> needs a value"),
            ("keyferry https://h/ --debug --silent", "--silent"),
            ("keyferry login", "<URL>"),
            ("keyferry secret set", "keyferry secret --help"),
        ] {
            let text = misuse(line);
            assert!(text.contains(named), "{line}: {text}");
        }
    }
}

//! `--header` and `--header-file`.

use super::{read, variable};
use crate::authorization::{HeaderPart, HeaderTemplate};
use crate::credential::template::{Part, parse, unfilled};
use crate::failure::{Exit, Failure};
use crate::secret::{Redactor, Secret};
use reqwest::header::HeaderName;
use std::path::PathBuf;

/// The headers of the flags, with variables and files filled in; named secrets stay named.
pub(super) fn templates(
    lines: &[String],
    files: &[PathBuf],
    fill: bool,
    redactor: &Redactor,
) -> Result<Vec<HeaderTemplate>, Failure> {
    let mut templates = Vec::new();
    for path in files {
        for line in read(path, "--header-file")?.lines().map(str::trim) {
            if !line.is_empty() && !line.starts_with('#') {
                templates.push(template(line, fill, redactor)?);
            }
        }
    }
    for line in lines {
        let template = template(line, fill, redactor)?;
        warn_of_literal(line, &template.name);
        templates.push(template);
    }
    Ok(templates)
}

fn template(line: &str, fill: bool, redactor: &Redactor) -> Result<HeaderTemplate, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message).hint("--header 'Name: value'");
    let read = HeaderTemplate::read(line).map_err(usage)?;
    if !fill {
        return Ok(read);
    }
    let HeaderTemplate { name, parts } = read;
    let parts = parts.into_iter().map(|part| filled(part, &name, redactor));
    Ok(HeaderTemplate { parts: parts.collect::<Result<_, _>>()?, name })
}

fn filled(part: HeaderPart, name: &HeaderName, redactor: &Redactor) -> Result<HeaderPart, Failure> {
    let text = match part {
        HeaderPart::Vault(secret) => return Ok(HeaderPart::Vault(secret)),
        HeaderPart::Text(text) => {
            // What ends with a space is the scheme before a reference, "Bearer " say.
            if !text.expose().ends_with(' ') {
                redactor.learn(text.expose());
            }
            return Ok(HeaderPart::Text(text));
        }
        HeaderPart::Variable(variable_name) => variable(&variable_name).ok_or_else(|| {
            let message = format!(
                "the header {name} needs the environment variable {variable_name}, which is not set"
            );
            Failure::new(Exit::Usage, message).hint(format!(
                "set {variable_name}, or keep the value in the vault: keyferry secret set {}",
                variable_name.to_lowercase()
            ))
        })?,
        HeaderPart::File(path) => {
            let text = read(&path, &format!("the file of the header {name}"))?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    if let Some(placeholder) = unfilled(&text) {
        let message = format!(
            "the header {name} got the placeholder {placeholder}, which the client left unfilled"
        );
        return Err(Failure::new(Exit::Usage, message).hint("fill it in the client's settings"));
    }
    redactor.learn(&text);
    Ok(HeaderPart::Text(Secret::new(text)))
}

/// Text with the variables of the environment filled in.
///
/// # Errors
/// A usage failure that names the reference at fault.
pub(super) fn with_variables(text: &str, flag: &str) -> Result<String, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message);
    let mut filled = String::new();
    for part in parse(text).map_err(|error| usage(format!("in {flag}: {error}")))? {
        match part {
            Part::Text(text) => filled.push_str(&text),
            Part::Variable(name) => filled.push_str(&variable(&name).ok_or_else(|| {
                usage(format!("{flag} needs the environment variable {name}, which is not set"))
            })?),
            Part::Vault(_) | Part::File(_) => {
                return Err(usage(format!("{flag} takes ${{VARIABLE}} only")));
            }
        }
    }
    Ok(filled)
}

fn warn_of_literal(line: &str, name: &HeaderName) {
    let secretive = ["auth", "key", "token", "secret", "cookie"]
        .iter()
        .any(|word| name.as_str().contains(word));
    if secretive && !line.contains("${") {
        tracing::warn!(
            header = name.as_str(),
            "its value stands in the command line, where every process can read it; keep it in the vault and write ${{vault:NAME}}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(line: &str) -> Result<(String, String), String> {
        let template =
            template(line, true, &Redactor::default()).map_err(|failure| failure.message)?;
        let text = template.parts.iter().map(|part| match part {
            HeaderPart::Text(text) => text.expose().clone(),
            HeaderPart::Vault(name) => format!("<{name}>"),
            _ => panic!("left unfilled"),
        });
        Ok((template.name.to_string(), text.collect()))
    }

    #[test]
    fn a_header_is_read_with_and_without_a_space() {
        let expected = Ok(("x-key".to_owned(), "a: b".to_owned()));
        assert_eq!(value("X-Key: a: b"), expected);
        assert_eq!(value("X-Key:a: b"), expected);
        assert_eq!(value("A:Bearer ${vault:k}").unwrap().1, "Bearer <k>");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_without_showing_a_value() {
        for (line, named) in [
            ("hunter2", "no colon"),
            ("Mcp-Session-Id: x", "mcp-session-id"),
            ("X: ${KEYFERRY_TEST_SURELY_UNSET}", "KEYFERRY_TEST_SURELY_UNSET"),
            ("X: ${user_config.key}", "${user_config.key}"),
            ("X: ${file:/nonexistent/hunter}", "/nonexistent/hunter"),
        ] {
            let message = value(line).unwrap_err();
            assert!(message.contains(named) && !message.contains("hunter2"), "{message}");
        }
    }
}

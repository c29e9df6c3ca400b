//! Values with references: `${VAR}`, `${vault:NAME}` and `${file:PATH}`.

/// A piece of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Text(String),
    /// `${VAR}`: the environment.
    Variable(String),
    /// `${vault:NAME}`: a named secret.
    Vault(String),
    /// `${file:PATH}`: a file's content.
    File(String),
}

/// A reference that means nothing, named so that the person can find it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error(
        "'${{{0}}}' was left unfilled: it is neither a variable, ${{vault:NAME}} nor ${{file:PATH}}"
    )]
    Unfilled(String),
    #[error("'${{' has no closing brace")]
    Open,
}

/// Takes a value apart. A `$` that opens no brace is itself.
///
/// # Errors
/// [`TemplateError`] for a reference of no known form.
pub fn parse(text: &str) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, reference) = (&rest[..start], &rest[start + 2..]);
        let end = reference.find('}').ok_or(TemplateError::Open)?;
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        parts.push(reference_part(&reference[..end])?);
        rest = &reference[end + 1..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    Ok(parts)
}

/// A `${...}` that is all of a value: what a client passes on when a setting is empty.
pub fn unfilled(value: &str) -> Option<&str> {
    let value = value.trim();
    (value.starts_with("${") && value.ends_with('}') && value.find('}') == Some(value.len() - 1))
        .then_some(value)
}

fn reference_part(reference: &str) -> Result<Part, TemplateError> {
    if let Some(name) = reference.strip_prefix("vault:").filter(|name| !name.is_empty()) {
        return Ok(Part::Vault(name.to_owned()));
    }
    if let Some(path) = reference.strip_prefix("file:").filter(|path| !path.is_empty()) {
        return Ok(Part::File(path.to_owned()));
    }
    let mut characters = reference.chars();
    let first = characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    if first && characters.all(|other| other.is_ascii_alphanumeric() || other == '_') {
        return Ok(Part::Variable(reference.to_owned()));
    }
    Err(TemplateError::Unfilled(reference.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_apart() {
        let parts = parse("Bearer ${KEY}-${vault:a b}${file:/x}$5").unwrap();
        let expected = [
            Part::Text("Bearer ".into()),
            Part::Variable("KEY".into()),
            Part::Text("-".into()),
            Part::Vault("a b".into()),
            Part::File("/x".into()),
            Part::Text("$5".into()),
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn a_placeholder_that_a_client_left_is_named() {
        let error = parse("${user_config.key}").unwrap_err();
        assert!(error.to_string().contains("'${user_config.key}'"), "{error}");
        assert_eq!(parse("${KEY"), Err(TemplateError::Open));
        assert!(parse("${}").is_err() && parse("${vault:}").is_err());
    }

    #[test]
    fn a_placeholder_is_told_from_a_value() {
        assert_eq!(unfilled(" ${user_config.api_key} "), Some("${user_config.api_key}"));
        assert_eq!(unfilled("a${b}"), None);
    }
}

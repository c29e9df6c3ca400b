//! What the flags ask for.

use super::recipe::Recipe;
use super::{Kind, OAuthPlan};
use crate::credential::api_key::Placement;
use crate::credential::header::is_reserved;
use crate::credential::template::{Part, parse};
use crate::secret::Secret;
use reqwest::header::HeaderName;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A header with the references that still have to be filled in.
pub struct HeaderTemplate {
    pub name: HeaderName,
    pub parts: Vec<HeaderPart>,
}

/// A piece of a header's value.
pub enum HeaderPart {
    Text(Secret<String>),
    /// The named secret of the vault.
    Vault(String),
    /// Of the environment.
    Variable(String),
    /// The content of a file.
    File(PathBuf),
}

impl HeaderTemplate {
    /// Reads `Name: value` or `Name:value`.
    ///
    /// # Errors
    /// What is wrong with it, in words without its value, which may be a secret.
    pub fn read(line: &str) -> Result<Self, String> {
        let Some((name, value)) = line.split_once(':') else {
            return Err("a --header has no colon between its name and its value".into());
        };
        let name = HeaderName::from_bytes(name.trim().as_bytes())
            .map_err(|_| "a --header has a name that is no HTTP header name".to_owned())?;
        if is_reserved(&name) {
            return Err(format!("the header {name} belongs to the protocol and cannot be set"));
        }
        let parts =
            parse(value.trim()).map_err(|error| format!("in the header {name}: {error}"))?;
        let part = |part| match part {
            Part::Text(text) => HeaderPart::Text(Secret::new(text)),
            Part::Variable(name) => HeaderPart::Variable(name),
            Part::Vault(name) => HeaderPart::Vault(name),
            Part::File(path) => HeaderPart::File(path.into()),
        };
        Ok(Self { parts: parts.into_iter().map(part).collect(), name })
    }
}

/// What the flags ask for; what they leave open, the record in the vault decides.
#[derive(Default)]
pub struct Plan {
    /// `--with`.
    pub kind: Option<Kind>,
    /// `--key-header` or `--key-scheme`.
    pub placement: Option<Placement>,
    /// The key of `--secret-env` or `--secret-file`.
    pub key: Option<Secret<String>>,
    pub oauth: OAuthPlan,
    pub asked: Asked,
    /// What the flags say of a kind that a recipe makes, as `list` would show it: another
    /// record is not used.
    pub wanted: BTreeMap<String, Value>,
}

/// How far the flags get without the vault.
#[derive(Default)]
pub enum Asked {
    /// Nothing that a recipe makes.
    #[default]
    Nothing,
    /// All that it takes.
    Whole(Box<Recipe>),
    /// All but the secret: the recipe with it, and what to call it.
    LacksSecret {
        finish: Box<dyn Fn(Secret<String>) -> Recipe + Send + Sync>,
        what: String,
        /// What can do without.
        otherwise: Option<Box<Recipe>>,
    },
    /// Not even all flags.
    LacksFlag(&'static str),
}

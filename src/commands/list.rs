//! `keyferry list`: what the vault holds, from the clear headers alone.

use super::{print, say, utc};
use crate::cli::ListArgs;
use crate::config;
use crate::failure::Failure;
use crate::vault::{Header, Vault};
use serde_json::{Value, json};

pub(super) fn list(args: &ListArgs) -> Result<(), Failure> {
    let vault = Vault::new(config::vault(false, None)?);
    let mut records = vault.list()?;
    records.retain(|header| header.remote.is_some());
    records.sort_by(|one, other| (&one.remote, &one.account).cmp(&(&other.remote, &other.account)));
    if args.json {
        let rows: Vec<_> = records.iter().map(row).collect();
        return print(&format!("{:#}\n", Value::from(rows)));
    }
    if records.is_empty() {
        say("the vault holds no credentials; sign in: keyferry login <URL>");
        return Ok(());
    }
    print(&table(&records))
}

fn row(header: &Header) -> Value {
    json!({
        "remote": header.remote,
        "account": header.account,
        "kind": header.kind,
        "identity": header.details.get("identity"),
        "scopes": header.details.get("scopes").cloned().unwrap_or(json!([])),
        "expiresAt": expiry(header),
        "issuer": header.details.get("issuer"),
        "details": header.details,
        "updatedAt": utc(header.updated_at),
        "vault": header.sealed.as_ref().map(|sealed| &sealed.source),
    })
}

fn expiry(header: &Header) -> Option<String> {
    header.details.get("expires_at").and_then(Value::as_u64).map(utc)
}

fn table(records: &[Header]) -> String {
    let mut rows =
        vec![["REMOTE", "ACCOUNT", "KIND", "DETAILS", "VAULT", "UPDATED"].map(str::to_owned)];
    for header in records {
        rows.push([
            header.remote.clone().unwrap_or_default(),
            header.account.clone().unwrap_or_default(),
            header.kind.clone(),
            details(header),
            header.sealed.as_ref().map_or("-", |sealed| &sealed.source).to_owned(),
            utc(header.updated_at),
        ]);
    }
    let widths: [usize; 6] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn details(header: &Header) -> String {
    let text = |name: &str| header.details.get(name).and_then(Value::as_str);
    if header.details.contains_key("issuer") {
        return signed_in(header);
    }
    match (text("header"), text("scheme")) {
        (Some(name), Some(scheme)) => format!("{name}: {scheme} ..."),
        (Some(name), None) => format!("{name}: ..."),
        _ => "-".into(),
    }
}

/// Who, with what, until when, where from.
fn signed_in(header: &Header) -> String {
    let detail = |name: &str| header.details.get(name);
    let text = |name: &str| detail(name).and_then(Value::as_str);
    let flag = |name: &str| detail(name) == Some(&Value::Bool(true));
    let mut parts: Vec<String> = text("identity").map(str::to_owned).into_iter().collect();
    let scopes = detail("scopes").and_then(Value::as_array).into_iter().flatten();
    let scopes: Vec<_> = scopes.filter_map(Value::as_str).collect();
    if !scopes.is_empty() {
        parts.push(format!("scopes {}", scopes.join(" ")));
    }
    if flag("sign_in_needed") {
        parts.push("sign-in needed".to_owned());
    } else if let Some(end) = expiry(header) {
        let what = if flag("renewable") { "renewed after" } else { "ends" };
        parts.push(format!("{what} {end}"));
    }
    parts.extend(text("issuer").map(|issuer| format!("issuer {issuer}")));
    parts.join(", ")
}

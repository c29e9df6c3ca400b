//! `keyferry list`: what the vault holds, from the clear headers alone.

use super::{print, say, utc};
use crate::cli::ListArgs;
use crate::config;
use crate::failure::Failure;
use crate::vault::{Header, Vault};
use serde_json::{Value, json};

pub(super) fn list(args: &ListArgs) -> Result<(), Failure> {
    let vault = Vault::new(config::vault(false, &[])?);
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
    let signed_in = matches!(header.kind.as_str(), "oauth" | "device");
    let mut parts = if signed_in { signed_in_as(header) } else { made_of(header) };
    parts.extend(along(header));
    if parts.is_empty() { "-".into() } else { parts.join(", ") }
}

/// What a credential is made of that needs no sign-in.
fn made_of(header: &Header) -> Vec<String> {
    let detail = |name: &str| header.details.get(name);
    let text = |name: &str| detail(name).and_then(Value::as_str);
    let mut parts = Vec::new();
    if header.kind == "command" {
        let count = detail("arguments").and_then(Value::as_u64).unwrap_or_default();
        let arguments = if count == 1 { "argument" } else { "arguments" };
        let program = text("command").unwrap_or_default();
        parts.push(format!("{program} with {count} {arguments}"));
    }
    for (name, shown) in [
        ("login_url", "at"),
        ("username", "as"),
        ("algorithm", ""),
        ("key_id", "key id"),
        ("subject", "subject"),
        ("client_id", "client"),
        ("token_endpoint", "token endpoint"),
        ("issuer", "issuer"),
        ("audience", "audience"),
        ("assertion_file", "assertion"),
        ("id_token_file", "ID token"),
        ("idp_issuer", "identity provider"),
        ("identity", "as"),
    ] {
        let value = match detail(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(all)) => {
                all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
            }
            _ => continue,
        };
        parts.push(format!("{shown} {value}").trim_start().to_owned());
    }
    parts.extend(scopes(header));
    match (text("header"), text("scheme")) {
        (Some(name), Some(scheme)) => parts.push(format!("{name}: {scheme} ...")),
        (Some(name), None) => parts.push(format!("{name}: ...")),
        _ => {}
    }
    parts
}

/// Certificate, root and headers.
fn along(header: &Header) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some(certificate) = header.details.get("client_certificate") {
        let text = |name: &str| certificate.get(name).and_then(Value::as_str).unwrap_or_default();
        let sealed = if text("key") == "sealed" { ", key in the vault" } else { "" };
        let end = certificate.get("expires_at").and_then(Value::as_u64).map(utc);
        let end = end.map(|end| format!(" until {end}")).unwrap_or_default();
        parts.push(format!("certificate {}{end}{sealed}", text("subject")));
    }
    if let Some(path) = header.details.get("ca_cert").and_then(Value::as_str) {
        parts.push(format!("CA {path}"));
    }
    let names = header.details.get("headers").and_then(Value::as_array).into_iter().flatten();
    parts.extend(names.filter_map(Value::as_str).map(|name| format!("{name}: ...")));
    parts
}

fn scopes(header: &Header) -> Option<String> {
    let scopes = header.details.get("scopes").and_then(Value::as_array).into_iter().flatten();
    let scopes: Vec<_> = scopes.filter_map(Value::as_str).collect();
    (!scopes.is_empty()).then(|| format!("scopes {}", scopes.join(" ")))
}

/// Who, with what, until when, where from.
fn signed_in_as(header: &Header) -> Vec<String> {
    let detail = |name: &str| header.details.get(name);
    let text = |name: &str| detail(name).and_then(Value::as_str);
    let flag = |name: &str| detail(name) == Some(&Value::Bool(true));
    let mut parts: Vec<String> = text("identity").map(str::to_owned).into_iter().collect();
    parts.extend(scopes(header));
    if flag("sign_in_needed") {
        parts.push("sign-in needed".to_owned());
    } else if let Some(end) = expiry(header) {
        let what = if flag("renewable") { "renewed after" } else { "ends" };
        parts.push(format!("{what} {end}"));
    }
    parts.extend(text("issuer").map(|issuer| format!("issuer {issuer}")));
    parts
}

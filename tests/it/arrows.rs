//! Modules know each other only along the arrows of the table; the compiler cannot
//! guard them inside one crate.

use std::fs;
use std::path::{Path, PathBuf};

/// Who may name whom: only rows further down, so that there is no circle. A new arrow is a
/// design decision: argue for it where you add it.
const ARROWS: &str = "
    main          -> cli commands config failure logging
    commands      -> authorization bridge cli config credential failure http jsonrpc logging pem secret transport vault
    config        -> authorization cli credential failure http jws oauth secret vault
    bridge        -> authorization jsonrpc transport
    transport     -> http jsonrpc secret
    authorization -> credential http jws oauth pem secret vault
    oauth         -> http jws secret
    credential    -> http jws pem secret
    vault         -> secret
    jws           -> pem secret
    http          -> pem secret
    pem           -> secret
    logging       -> failure
    failure       -> secret
    cli           ->
    clients       ->
    jsonrpc       ->
    secret        ->
    lib           ->
";

#[test]
fn modules_know_each_other_only_along_the_arrows() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rows = ARROWS.lines().filter_map(|row| row.trim().split_once("->"));
    let rows: Vec<_> = rows.map(|(from, to)| (from.trim(), to)).collect();
    let mut offences = String::new();
    for (at, (from, to)) in rows.iter().enumerate() {
        for to in to.split_whitespace() {
            let down = rows[at + 1..].iter().any(|(below, _)| *below == to);
            assert!(down, "the table's arrow {from} -> {to} does not point down");
        }
    }
    for file in rust_files(&src) {
        let path = file.strip_prefix(&src).expect("found under src");
        let top = path.iter().next().expect("has a name").to_string_lossy();
        let module = top.trim_end_matches(".rs");
        let row = rows.iter().find(|(from, _)| *from == module);
        let (_, allowed) = row.unwrap_or_else(|| panic!("{module} has no row in the table"));
        let text = fs::read_to_string(&file).expect("readable source");
        for (line, name) in references(&product_code(&text, path)) {
            if name != module && !allowed.split_whitespace().any(|to| to == name) {
                offences += &format!("src/{}:{line}: {module} -> {name}\n", path.display());
            }
        }
    }
    assert!(offences.is_empty(), "no such arrow:\n{offences}");
}

/// Every Rust source under `folder`, except files that are test modules.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("readable folder") {
        let path = entry.expect("readable entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The text without comments and top-level `#[cfg(test)]` items, its line numbers kept,
/// and the crate's root spelled `crate::` wherever a top-level line names it.
fn product_code(text: &str, path: &Path) -> String {
    let depth = path.iter().count() - usize::from(path.ends_with("mod.rs"));
    let root = format!("use {}", "super::".repeat(depth));
    let (mut code, mut in_test) = (String::new(), false);
    for line in text.lines() {
        in_test |= line == "#[cfg(test)]";
        if !in_test && !line.trim_start().starts_with("//") {
            let line = line.replace("keyferry::", "crate::");
            match line.split_once(&root) {
                Some(("" | "pub " | "pub(crate) ", rest)) => code += &format!("use crate::{rest}"),
                _ => code += &line,
            }
        }
        in_test &= line != "}" && (line.starts_with([' ', '#']) || !line.ends_with(';'));
        code.push('\n');
    }
    code
}

/// Line and name of the module after each `crate::`, a `{..}` group taken apart.
fn references(code: &str) -> Vec<(usize, String)> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(is_name) {
            continue;
        }
        let path = &code[at + "crate::".len()..];
        let (mut depth, mut begins) = (0, true);
        for (offset, c) in path.char_indices() {
            if begins && is_name(c) {
                let line = 1 + code[..code.len() - path.len() + offset].matches('\n').count();
                let name = path[offset..].chars().take_while(|c| is_name(*c));
                found.push((line, name.collect()));
            }
            depth += i32::from(c == '{') - i32::from(c == '}');
            begins = depth == 1 && (c == '{' || c == ',' || begins && c.is_whitespace());
            if depth == 0 {
                break;
            }
        }
    }
    found
}

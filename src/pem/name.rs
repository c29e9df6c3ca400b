//! Names in certificates, as RFC 4514 writes them: the most particular part first.

use super::read::Fields;
use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Tag, Tagged};
use std::fmt::Write;

/// Reads a `Name` (RFC 5280 section 4.1.2.4).
pub(super) fn read(from: &mut Fields<'_>) -> der::Result<String> {
    let mut name = from.sequence()?;
    let mut parts = Vec::new();
    while !name.is_finished() {
        parts.push(relative(name.any()?)?);
    }
    parts.reverse();
    Ok(parts.join(","))
}

/// `RelativeDistinguishedName`: a set of attributes, mostly of one.
fn relative(set: AnyRef<'_>) -> der::Result<String> {
    let mut set = Fields::new(set.value())?;
    let mut text = String::new();
    while !set.is_finished() {
        let mut attribute = set.sequence()?;
        if !text.is_empty() {
            text.push('+');
        }
        text += &short_name(attribute.oid()?);
        text.push('=');
        escape(&characters(attribute.any()?), &mut text);
    }
    Ok(text)
}

/// RFC 4514 section 3, and two more that are common.
fn short_name(kind: ObjectIdentifier) -> String {
    let kind = kind.to_string();
    match kind.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return kind,
    }
    .to_owned()
}

fn characters(value: AnyRef<'_>) -> String {
    let bytes = value.value();
    match value.tag() {
        Tag::BmpString => {
            let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        // In practice Latin-1.
        Tag::TeletexString => bytes.iter().map(|byte| char::from(*byte)).collect(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// RFC 4514 section 2.4; control characters as pairs of hexadecimal digits.
fn escape(value: &str, text: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', c]),
            '#' if at == 0 => text.push_str("\\#"),
            ' ' if at == 0 || at == last => text.push_str("\\ "),
            c if c.is_control() => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to a String cannot fail.
                    let _ = write!(text, "\\{byte:02X}");
                }
            }
            c => text.push(c),
        }
    }
}

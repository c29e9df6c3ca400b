//! The textual encoding (RFC 7468), read as tolerantly as files of people need.

use super::PemError;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What stands between one BEGIN and its END.
pub(super) struct Block<'a> {
    /// Such as `PRIVATE KEY`.
    pub(super) label: &'a str,
    /// `Proc-Type: 4,ENCRYPTED` (RFC 1421 section 4.6.1.1): how OpenSSL once encrypted.
    pub(super) legacy_encryption: bool,
    lines: Vec<&'a str>,
}

impl Block<'_> {
    /// As it stands in the file.
    pub(super) fn to_pem(&self) -> String {
        let label = self.label;
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", self.lines.join("\n"))
    }

    /// The bytes that the base64 stands for.
    ///
    /// # Errors
    /// `Damaged`, with `what` for its name, if it is no base64.
    pub(super) fn decode(&self, what: &'static str) -> Result<Zeroizing<Vec<u8>>, PemError> {
        let length = self.lines.iter().map(|line| line.len()).sum();
        let mut base64 = Zeroizing::new(String::with_capacity(length));
        for part in self.lines.iter().flat_map(|line| line.split_ascii_whitespace()) {
            base64.push_str(part);
        }
        let mut bytes = Zeroizing::new(vec![0; length]);
        let decoded = ANY_PADDING.decode_slice(base64.as_bytes(), &mut bytes);
        bytes.truncate(decoded.map_err(|_| PemError::Damaged(what))?);
        Ok(bytes)
    }
}

/// `file` as text, if it is any. What is not ASCII means nothing in PEM, and comes from
/// names around it in whatever encoding.
pub(super) fn text(file: &[u8]) -> Option<Zeroizing<String>> {
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let has_block = || memchr::memmem::find(file, b"-----BEGIN ").is_some();
    if std::str::from_utf8(file).is_err() && !has_block() {
        return None;
    }
    let mut text = Zeroizing::new(String::with_capacity(file.len()));
    text.extend(file.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' }));
    Some(text)
}

/// All blocks of `text` in their order. Whatever stands around them is skipped; lines end as
/// on any system, or with the two characters `\n`, as in a variable of one line.
pub(super) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for line in text.split(['\n', '\r']).flat_map(|line| line.split("\\n")) {
        let line = line.trim_matches(|c: char| c.is_whitespace() || c == '"');
        if let Some(label) = boundary(line, "-----BEGIN ") {
            open = Some(Block { label, legacy_encryption: false, lines: Vec::new() });
        } else if let Some(label) = boundary(line, "-----END ") {
            found.extend(open.take().filter(|block| block.label == label));
        } else if let Some(block) = &mut open {
            // Headers (RFC 1421) have a colon, which base64 has not.
            match line.split_once(':') {
                Some(("Proc-Type", value)) => {
                    block.legacy_encryption |= value.contains("ENCRYPTED");
                }
                Some(_) => {}
                None => block.lines.push(line),
            }
        }
    }
    found
}

fn boundary<'a>(line: &'a str, begin: &str) -> Option<&'a str> {
    line.strip_prefix(begin)?.strip_suffix("-----")
}

//! The certificates of a file, and nothing else that stands in it.

use super::block::blocks;

/// Its certificates as PEM, the leaf first; empty if there are none. A key beside them, as in
/// a file that holds both, stays where it is.
pub fn certificates(file: &[u8]) -> Vec<u8> {
    const LABEL: &str = "CERTIFICATE";
    let text = String::from_utf8_lossy(file);
    let mut pem = String::new();
    for block in blocks(&text).iter().filter(|block| block.label == LABEL) {
        pem.push_str(&block.to_pem());
    }
    pem.into_bytes()
}

//! What a file is that cannot be used, and the command that makes a usable one of it.

use super::PemError;
use super::block::Block;
use super::read::Fields;
use super::write::SEQUENCE;
use der::asn1::ObjectIdentifier;

fn unsupported(text: impl Into<String>) -> PemError {
    PemError::Unsupported(text.into())
}

/// For a text without a private key in PEM.
pub(super) fn no_private_key(text: &str, blocks: &[Block<'_>]) -> PemError {
    if let Some(error) = json(text) {
        return error;
    }
    let has = |end: &str| blocks.iter().any(|block| block.label.ends_with(end));
    if has("CERTIFICATE") {
        return only_certificate();
    }
    if has("PUBLIC KEY") || has("CERTIFICATE REQUEST") {
        return unsupported(
            "it holds no private key, only what belongs to one: a public key or a \
             certificate request",
        );
    }
    if text.trim_start().starts_with("PuTTY-User-Key-File") {
        return unsupported(
            "it is a PuTTY key; PuTTYgen's \"Export OpenSSH key\" and then ssh-keygen -p -m \
             PKCS8 -f COPY make PEM of it",
        );
    }
    PemError::NoPrivateKey
}

pub(super) fn only_certificate() -> PemError {
    unsupported(
        "it holds only a certificate; the private key that was made with it is needed, often a \
         .key file beside it",
    )
}

/// For a text without a certificate in PEM.
pub(super) fn no_certificate(text: &str, blocks: &[Block<'_>]) -> PemError {
    if let Some(error) = json(text) {
        return error;
    }
    let has = |end: &str| blocks.iter().any(|block| block.label.ends_with(end));
    if has("TRUSTED CERTIFICATE") || has("X509 CERTIFICATE") {
        return unsupported(
            "its certificate is in a form of OpenSSL's own; openssl x509 -in FILE -out client.pem \
             makes a plain one",
        );
    }
    if has("PKCS7") || has("CMS") {
        return unsupported(
            "it is PKCS#7; openssl pkcs7 -print_certs -in FILE -out client.pem takes the \
             certificates out",
        );
    }
    if has("CERTIFICATE REQUEST") {
        return unsupported(
            "it holds a certificate request; the certificate that the authority made of it is \
             needed",
        );
    }
    if has("PRIVATE KEY") {
        return unsupported(
            "it holds only a private key; the certificate that belongs to it is needed, often a \
             .crt or .pem file beside it",
        );
    }
    if has("PUBLIC KEY") {
        return unsupported("it holds a public key; a certificate is needed");
    }
    PemError::NoCertificate
}

/// A certificate without PEM around it.
pub(super) fn der_certificate() -> PemError {
    unsupported(
        "it is a certificate in DER, not PEM; openssl x509 -inform DER -in FILE -out client.pem \
         converts it",
    )
}

fn json(text: &str) -> Option<PemError> {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if !text.starts_with(['{', '[']) {
        return None;
    }
    Some(unsupported(if text.contains("\"kty\"") {
        "it is a JSON Web Key (JWK), not PEM; save the key as PEM where it was made, or convert \
         it with a JWK tool, such as npx pem-jwk FILE for RSA"
    } else if text.contains("\"private_key\"") {
        "it is JSON with a private key inside, such as a service account file, not PEM; jq -r \
         .private_key FILE writes the key by itself"
    } else {
        "it is JSON, not PEM"
    }))
}

/// `Proc-Type: 4,ENCRYPTED`: its keys come from MD5.
pub(super) fn legacy_encryption() -> PemError {
    encryption("in OpenSSL's old way (Proc-Type: 4,ENCRYPTED), which protects badly")
}

/// Encryption that is not read: `how` continues "encrypted ...".
pub(super) fn encryption(how: &str) -> PemError {
    unsupported(format!(
        "the private key is encrypted {how}; openssl pkcs8 -topk8 -v2 aes-256-cbc -in FILE -out \
         NEW encrypts it anew"
    ))
}

/// A PEM label that ends with `PRIVATE KEY` and is none of ours.
pub(super) fn other_private_key(label: &str) -> PemError {
    match label {
        "OPENSSH PRIVATE KEY" => unsupported(
            "the private key is in OpenSSH's own format; ssh-keygen -p -m PKCS8 -f COPY, on a \
             copy as it changes the file, makes PEM of RSA and ECDSA keys, and of Ed25519 there \
             must be a new one: openssl genpkey -algorithm ed25519 -out NEW",
        ),
        "DSA PRIVATE KEY" => unsupported("it is a DSA key; an RSA, EC or Ed25519 key is needed"),
        _ => unsupported(
            "the private key is of a kind that keyferry does not know; an RSA, EC or Ed25519 key \
             in PKCS#8 is needed",
        ),
    }
}

/// PKCS#8 with a key that makes no signature here.
pub(super) fn other_algorithm(algorithm: ObjectIdentifier) -> PemError {
    let name = match algorithm.to_string().as_str() {
        "1.2.840.10040.4.1" => "a DSA key".to_owned(),
        "1.2.840.113549.1.3.1" => "a Diffie-Hellman key, which signs nothing".to_owned(),
        "1.3.101.110" => "an X25519 key, which signs nothing".to_owned(),
        "1.3.101.111" => "an X448 key, which signs nothing".to_owned(),
        "1.3.101.113" => "an Ed448 key".to_owned(),
        other => format!("a key of an unknown kind ({other})"),
    };
    unsupported(format!("it is {name}; an RSA, EC (P-256, P-384) or Ed25519 key is needed"))
}

pub(super) fn other_curve(curve: ObjectIdentifier) -> PemError {
    let name = match curve.to_string().as_str() {
        "1.3.132.0.10" => "secp256k1".to_owned(),
        "1.3.132.0.33" => "P-224".to_owned(),
        "1.3.132.0.35" => "P-521".to_owned(),
        other => other.to_owned(),
    };
    unsupported(format!("it is an EC key on the curve {name}; only P-256 and P-384 can be used"))
}

pub(super) fn incomplete_ec(why: &str) -> PemError {
    unsupported(format!(
        "the EC key cannot be used as it is: {why}; openssl ec -in FILE -param_enc named_curve \
         -conv_form uncompressed -out NEW completes it"
    ))
}

pub(super) fn rsa_size(bits: usize) -> PemError {
    unsupported(format!(
        "it is an RSA key of {bits} bits; keys of 2048 to 4096 bits can be used, and openssl \
         genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out NEW makes a new one"
    ))
}

/// For bytes that are no text, if they are something that is known.
pub(super) fn binary(file: &[u8]) -> Option<PemError> {
    if is_pkcs12(file) {
        return Some(PemError::Pkcs12);
    }
    if matches!(file, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        return Some(unsupported(
            "it is text in UTF-16, as > of PowerShell writes it; let the program write the file \
             itself, or save it as UTF-8",
        ));
    }
    if matches!(file, [0xfe, 0xed, 0xfe, 0xed, ..] | [0xce, 0xce, 0xce, 0xce, ..]) {
        return Some(unsupported(
            "it is a Java keystore; keytool -importkeystore -srckeystore FILE -destkeystore \
             client.p12 -deststoretype PKCS12 makes PKCS#12 of it, then openssl pkcs12 -in \
             client.p12 -nokeys -out client.pem and openssl pkcs12 -in client.p12 -nocerts -out \
             client.key take out the certificate and the private key",
        ));
    }
    None
}

/// `PFX` (RFC 7292 section 4) begins with version 3 and a sequence. Also with lengths that
/// are not told in advance, which DER forbids and Windows writes.
fn is_pkcs12(file: &[u8]) -> bool {
    let strict = |file| {
        let mut pfx = Fields::of_sequence(file)?;
        Ok(pfx.number()? == 3 && pfx.tag() == Some(SEQUENCE))
    };
    let strict: der::Result<bool> = strict(file);
    strict.unwrap_or(false) || file.starts_with(&[0x30, 0x80, 2, 1, 3, 0x30])
}

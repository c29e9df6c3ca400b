//! Files as people have them: usable ones, and those that they have by mistake.

use super::test_keys::*;
use super::write::{INTEGER, OCTET_STRING, SEQUENCE, pem, tlv};
use super::*;
use crate::secret::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, IsCa, KeyPair,
    date_time_ymd,
};

fn read(file: &[u8]) -> Result<PrivateKey, PemError> {
    private_key(&Secret::new(file.to_vec()), None)
}

fn unlock(file: &[u8], passphrase: &str) -> Result<PrivateKey, PemError> {
    private_key(&Secret::new(file.to_vec()), Some(&Secret::new(passphrase.to_owned())))
}

fn der(key: &PrivateKey) -> &[u8] {
    key.pkcs8_der().expose()
}

/// The first block of `file`, its bytes.
fn bytes(file: &str) -> Vec<u8> {
    block::blocks(file)[0].decode("test").unwrap().to_vec()
}

#[test]
fn every_usual_form_of_a_key_is_read() {
    for (file, kind) in [
        (RSA, KeyKind::Rsa),
        (EC, KeyKind::P256),
        (ED25519, KeyKind::Ed25519),
        (P384, KeyKind::P384),
    ] {
        let key = read(file.as_bytes()).unwrap();
        assert_eq!(key.kind(), kind);
        // Our own PKCS#8 is read again, in PEM and in DER.
        let again = read(key.to_pem().expose()).unwrap();
        assert_eq!((again.kind(), der(&again)), (kind, der(&key)));
        assert_eq!(der(&read(der(&key)).unwrap()), der(&key));
        assert!(!needs_passphrase(file.as_bytes()));
    }
    let pkcs1 = read(&bytes(RSA)).unwrap();
    assert_eq!(der(&pkcs1), der(&read(RSA.as_bytes()).unwrap()));
    let error = read(&bytes(RSA_1024)).unwrap_err().to_string();
    assert!(error.contains("1024 bits"), "{error}");
}

#[test]
fn the_tls_stack_reads_what_is_written() {
    for file in [RSA, EC, ED25519, P384] {
        let der = read(file.as_bytes()).unwrap().pkcs8_der().expose().clone();
        let der = rustls::pki_types::PrivatePkcs8KeyDer::from(der);
        rustls::crypto::ring::sign::any_supported_type(&der.into()).unwrap();
    }
    let made = KeyPair::generate().unwrap().serialize_pem();
    assert_eq!(read(made.as_bytes()).unwrap().kind(), KeyKind::P256);
}

#[test]
fn line_ends_and_text_around_a_key_do_not_matter() {
    let expected = read(EC.as_bytes()).unwrap();
    let latin_1 = [b"Bag Attributes\n    friendlyName: M\xfcller\n", EC.as_bytes()].concat();
    for file in [
        EC.replace('\n', "\r\n").into_bytes(),
        EC.replace('\n', "\r").into_bytes(),
        EC.replace('\n', "\\n").into_bytes(),
        format!("\u{feff}{EC}").into_bytes(),
        format!("{}{EC}", certificates().0).into_bytes(),
        format!("{EC}{}", certificates().0).into_bytes(),
        EC.lines().map(|line| format!("  {line} \n")).collect::<String>().into_bytes(),
        latin_1,
    ] {
        assert_eq!(der(&read(&file).unwrap()), der(&expected));
    }
}

#[test]
fn encrypted_keys_are_opened_with_their_passphrase_and_no_other() {
    for (file, inside) in [
        (ENCRYPTED, EC),
        (ENCRYPTED_SCRYPT, EC),
        (ENCRYPTED_AES128_SHA1, EC),
        (ENCRYPTED_TRIPLE_DES, EC),
        (ENCRYPTED_SHA512, ED25519),
    ] {
        let inside = read(inside.as_bytes()).unwrap();
        for file in [file.as_bytes(), &bytes(file)] {
            assert!(needs_passphrase(file));
            assert_eq!(read(file).unwrap_err(), PemError::PassphraseNeeded);
            assert_eq!(unlock(file, "opensesamE").unwrap_err(), PemError::WrongPassphrase);
            assert_eq!(der(&unlock(file, PASSPHRASE).unwrap()), der(&inside));
        }
    }
    // A passphrase that is not needed does no harm.
    assert!(unlock(EC.as_bytes(), PASSPHRASE).is_ok());
}

#[test]
fn a_wrong_passphrase_whose_padding_fits_by_chance_is_still_wrong() {
    let chance = Secret::new("wrong 350".to_owned());
    let file = bytes(ENCRYPTED_SHA512);
    assert!(encrypted::Encrypted::from_der(&file).unwrap().decrypt(&chance).is_ok());
    assert_eq!(unlock(&file, chance.expose()).unwrap_err(), PemError::WrongPassphrase);
}

#[test]
fn other_encryption_is_refused_with_the_command_that_mends_it() {
    for file in [ENCRYPTED_PBES1, ENCRYPTED_LEGACY] {
        assert!(!needs_passphrase(file.as_bytes()));
        let error = unlock(file.as_bytes(), PASSPHRASE).unwrap_err().to_string();
        assert!(
            error.contains("openssl pkcs8 -topk8 -v2 aes-256-cbc -in FILE -out NEW"),
            "{error}"
        );
    }
}

#[test]
fn encryption_that_would_take_for_ever_is_refused() {
    // 16384 and 2048 became 2^31.
    for (file, usual, huge) in [
        (ENCRYPTED_SCRYPT, &[2, 2, 0x40, 0][..], &[2, 5, 0, 0x80, 0, 0, 0][..]),
        (ENCRYPTED, &[2, 2, 8, 0], &[2, 5, 0, 0x80, 0, 0, 0]),
    ] {
        let mut der = bytes(file);
        let at = der.windows(4).position(|part| part == usual).unwrap();
        der.splice(at..at + 4, huge.iter().copied());
        // All the lengths around it are three more.
        for outer in length_bytes_around(&der, at) {
            der[outer] += 3;
        }
        let error = unlock(&der, PASSPHRASE).unwrap_err().to_string();
        assert!(error.contains("than keyferry"), "{error}");
    }
}

/// Where the last byte of each length stands whose value holds `at`.
fn length_bytes_around(der: &[u8], at: usize) -> Vec<usize> {
    let (mut found, mut here) = (Vec::new(), 0);
    while here < at {
        let length_at = if der[here + 1] == 0x81 { here + 2 } else { here + 1 };
        let end = length_at + 1 + usize::from(der[length_at]);
        if end > at {
            found.push(length_at);
            here = length_at + 1;
        } else {
            here = end;
        }
    }
    found
}

#[test]
fn incomplete_ec_keys_are_refused_with_the_command_that_completes_them() {
    for (file, why) in [
        (EC_COMPRESSED, "compressed"),
        (EC_SPELLED_OUT, "spelled out"),
        (EC_WITHOUT_PUBLIC_KEY, "missing"),
    ] {
        let error = read(file.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("openssl ec -in FILE"), "{error}");
    }
}

#[test]
fn what_other_programs_leave_out_of_ec_keys_does_not_matter() {
    let [scalar, point] = [&[7; 31][..], &[&[4][..], &[9; 64]].concat()];
    let bits = tlv(write::BIT_STRING, &[&[0], point]);
    let curve = tlv(write::OBJECT_IDENTIFIER, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]]);
    let sec1 = |scalar: &[u8], rest: &[u8]| {
        tlv(SEQUENCE, &[&[INTEGER, 1, 1], &tlv(OCTET_STRING, &[scalar]), rest])
    };
    let inside = tlv(read::CONTEXT_1, &[&bits]);
    let named = tlv(0xa0, &[&curve]);
    let padded = [&[0; 2], scalar].concat();
    let usual = read(&sec1(&padded[1..], &[&named[..], &inside].concat())).unwrap();
    for scalar in [scalar, &padded] {
        assert_eq!(
            der(&read(&sec1(scalar, &[&named[..], &inside].concat())).unwrap()),
            der(&usual)
        );
    }
    // The public key around it (RFC 5958), behind an attribute.
    let id = tlv(write::OBJECT_IDENTIFIER, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]]);
    let algorithm = tlv(SEQUENCE, &[&id, &curve]);
    let key = tlv(OCTET_STRING, &[&sec1(scalar, &[])]);
    let public = tlv(0x81, &[&[0], point]);
    let pkcs8 = tlv(SEQUENCE, &[&[INTEGER, 1, 1], &algorithm, &key, &[0xa0, 0], &public]);
    assert_eq!(der(&read(&pkcs8).unwrap()), der(&usual));
    let error = read(&sec1(scalar, &inside)).unwrap_err().to_string();
    assert!(error.contains("does not name its curve"), "{error}");
    assert!(matches!(
        read(&sec1(&[7; 33], &[&named[..], &inside].concat())),
        Err(PemError::NoPrivateKey)
    ));
}

#[test]
fn what_is_no_private_key_is_told_by_its_name() {
    let (leaf, _) = certificates();
    let block = |label: &str| String::from_utf8(pem(label, &[0x30, 0]).to_vec()).unwrap();
    for (file, told) in [
        (RSA_1024, "an RSA key of 1024 bits; keys of 2048 to 4096 bits"),
        (P521, "on the curve P-521"),
        (&leaf, "only a certificate"),
        (&block("PUBLIC KEY"), "a public key"),
        (&block("CERTIFICATE REQUEST"), "a certificate request"),
        (&block("OPENSSH PRIVATE KEY"), "ssh-keygen -p -m PKCS8"),
        (&block("DSA PRIVATE KEY"), "a DSA key"),
        (&block("ANY PRIVATE KEY"), "a kind that keyferry does not know"),
        (&block("PRIVATE KEY"), "the private key in it is damaged"),
        ("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n", "damaged"),
        ("PuTTY-User-Key-File-3: ssh-rsa\n", "PuTTYgen"),
        (" {\"kty\": \"EC\"}", "JSON Web Key (JWK)"),
        ("{\"private_key\": \"-----BEGIN\"}", "jq -r .private_key FILE"),
        ("{}", "it is JSON"),
        ("", "no line in it reads -----BEGIN PRIVATE KEY-----"),
        ("-----BEGIN PRIVATE KEY-----\nMC4C\n", "no line in it"),
    ] {
        let error = read(file.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn binary_files_are_told_by_their_bytes() {
    let pkcs12 =
        tlv(SEQUENCE, &[&[INTEGER, 1, 3], &tlv(SEQUENCE, &[&tlv(OCTET_STRING, &[&[0xff; 200]])])]);
    for file in [&pkcs12[..], &[0x30, 0x80, 2, 1, 3, 0x30, 0x80, 0xff]] {
        assert_eq!(read(file).unwrap_err(), PemError::Pkcs12);
        assert_eq!(certificate(file).unwrap_err(), PemError::Pkcs12);
        assert!(!needs_passphrase(file));
    }
    let utf_16: Vec<u8> =
        format!("\u{feff}{EC}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (file, told) in [
        (&utf_16[..], "UTF-16"),
        (&[0xfe, 0xed, 0xfe, 0xed, 0, 0], "keytool -importkeystore"),
        (&bytes(&certificates().0), "certificate"),
        (&[0x30, 0x82, 0xff], "no line in it"),
        (&[0xff], "no line in it"),
    ] {
        let error = read(file).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
        let error = certificate(file).unwrap_err().to_string();
        assert!(error.contains(told.trim_start_matches("only ")), "{error}");
    }
}

/// A chain of a client's certificate and its authority's, then the client's alone.
fn certificates() -> (String, String) {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "Authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let mut client = CertificateParams::default();
    client.distinguished_name = DistinguishedName::new();
    let name = &mut client.distinguished_name;
    name.push(DnType::CountryName, "NL");
    name.push(DnType::OrganizationName, "Example, Inc.");
    name.push(DnType::OrganizationalUnitName, DnValue::BmpString("Zoë".try_into().unwrap()));
    name.push(DnType::CustomDnType(vec![1, 2, 3]), " #a\u{7}\" ");
    name.push(DnType::CommonName, "#client");
    client.not_after = date_time_ymd(2040, 2, 29);
    let leaf = client.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().pem();
    (format!("{leaf}{authority_pem}"), leaf)
}

#[test]
fn of_a_chain_the_first_certificate_is_told() {
    let (chain, leaf) = certificates();
    let subject = r##"CN=\#client,1.2.3=\ #a\07\"\ ,OU=Zoë,O=Example\, Inc.,C=NL"##.to_owned();
    let expected = Certificate { subject, not_after: 2_214_086_400 };
    for file in [&chain, &leaf, &format!("{EC}{chain}"), &chain.replace('\n', "\r\n")] {
        assert_eq!(certificate(file.as_bytes()).unwrap(), expected);
    }
}

#[test]
fn a_validity_beyond_2049_is_read() {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_after = date_time_ymd(2100, 1, 1);
    let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    let expected = Certificate { subject: String::new(), not_after: 4_102_444_800 };
    assert_eq!(certificate(made.as_bytes()).unwrap(), expected);
}

#[test]
fn what_is_no_certificate_is_told_by_its_name() {
    let block = |label: &str| String::from_utf8(pem(label, &[0x30, 0]).to_vec()).unwrap();
    for (file, told) in [
        (EC, "only a private key"),
        (&block("PUBLIC KEY"), "a public key"),
        (&block("CERTIFICATE REQUEST"), "a certificate request"),
        (&block("TRUSTED CERTIFICATE"), "openssl x509 -in FILE"),
        (&block("PKCS7"), "openssl pkcs7 -print_certs"),
        (&block("CERTIFICATE"), "the certificate in it is damaged"),
        ("{\"kty\": \"EC\"}", "JSON Web Key (JWK)"),
        ("", "no line in it reads -----BEGIN CERTIFICATE-----"),
    ] {
        let error = certificate(file.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn keys_are_not_shown() {
    let key = read(EC.as_bytes()).unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey { kind: P256, .. }");
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_a_reader_stop(bytes: Vec<u8>, at: usize, byte: u8) {
        let mut changed = self::bytes(ENCRYPTED_SHA512);
        let length = changed.len();
        changed[at % length] = byte;
        let mut key = self::bytes(EC_WITHOUT_PUBLIC_KEY);
        let length = key.len();
        key[at % length] = byte;
        for file in [&bytes, &changed, &key] {
            let _ = (read(file), certificate(file), needs_passphrase(file));
            let wrapped = pem("CERTIFICATE", file);
            let _ = certificate(&wrapped);
        }
    }
}

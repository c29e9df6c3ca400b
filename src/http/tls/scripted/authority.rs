//! An authority and what it signs, for the tests of this crate and the black-box tests.
#![allow(dead_code, reason = "neither of them uses all of it")]

use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};

/// Signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its certificate in a file.
    pub(crate) fn file(&self) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &self.pem).unwrap();
        file
    }

    /// Certificate and key for `name`.
    pub(crate) fn sign(&self, name: &str) -> String {
        self.sign_with(params(name))
    }

    pub(crate) fn sign_expired(&self, name: &str) -> String {
        let mut params = params(name);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        self.sign_with(params)
    }

    fn sign_with(&self, mut params: CertificateParams) -> String {
        params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
        self.sign_as_is(&params)
    }

    /// Good for a host of that name only.
    pub(crate) fn sign_for_host(&self, host: &str) -> String {
        let mut params = params(host);
        params.subject_alt_names.push(SanType::DnsName(Ia5String::try_from(host).unwrap()));
        self.sign_as_is(&params)
    }

    fn sign_as_is(&self, params: &CertificateParams) -> String {
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &self.issuer).unwrap().pem() + &key.serialize_pem()
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

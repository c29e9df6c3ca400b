//! Demonstrated proof of possession (RFC 9449), as a server checks it.

use super::clock;
use super::http::Request;
use super::jws::{self, Verifier};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

/// Every proof that was shown, at whatever server.
#[derive(Clone, Default)]
pub(crate) struct Proofs(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    ids: HashSet<String>,
    shown: usize,
    texts: Vec<String>,
}

impl Proofs {
    /// The thumbprint of the key that signed the proof of this request (section 4.3).
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(
        &self,
        request: &Request,
        token: Option<&str>,
        nonce: Option<&str>,
    ) -> Result<String, String> {
        let proof = request.header("dpop").ok_or("no proof")?;
        self.0.lock().unwrap().texts.push(proof.to_owned());
        let jwk = jws::read(proof).ok_or("no JWT")?.header["jwk"].take();
        let verifier = Verifier::of_jwk(&jwk).ok_or("no public key of P-256")?;
        let read = verifier.read(proof).ok_or("a wrong signature")?;
        let (header, claims) = (&read.header, &read.claims);
        let path = request.target.split('?').next().unwrap_or_default();
        let here = format!("http://{}{path}", request.header("host").unwrap_or_default());
        let is = |what: bool, why: &str| if what { Ok(()) } else { Err(why.to_owned()) };
        is(header["typ"] == "dpop+jwt", "another typ")?;
        is(header["alg"] == "ES256", "another alg")?;
        is(claims["htm"] == request.method.as_str(), "another htm")?;
        is(claims["htu"] == here.as_str(), "another htu")?;
        let made = claims["iat"].as_u64().ok_or("no iat")?;
        is(made.abs_diff(clock::now()) < 60, "made at another time")?;
        let ath = token.map(jws::hash);
        is(claims["ath"].as_str() == ath.as_deref(), "another ath")?;
        if nonce.is_some() {
            is(claims["nonce"].as_str() == nonce, "use_dpop_nonce")?;
        }
        let id = claims["jti"].as_str().ok_or("no jti")?;
        let mut seen = self.0.lock().unwrap();
        is(seen.ids.insert(id.to_owned()), "a jti that was shown before")?;
        seen.shown += 1;
        Ok(jws::thumbprint(&jwk))
    }

    /// How many good ones were shown.
    pub(crate) fn shown(&self) -> usize {
        self.0.lock().unwrap().shown
    }

    /// Every proof as it was sent.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.0.lock().unwrap().texts.clone()
    }
}

//! What a `WWW-Authenticate` header says: RFC 9110 section 11.6.1, RFC 6750 section 3,
//! RFC 9449 section 7.1, RFC 9728 section 5.1.

use reqwest::header::HeaderValue;

/// A challenge of the Bearer or the DPoP scheme. All text is the server's and not cleaned; empty values are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    pub realm: Option<String>,
    /// RFC 6750 section 3.1: `invalid_token`, `insufficient_scope`, ...
    pub error: Option<String>,
    pub error_description: Option<String>,
    pub error_uri: Option<String>,
    /// Scopes with spaces between them, as the server wrote them.
    pub scope: Option<String>,
    /// URL of the protected resource metadata.
    pub resource_metadata: Option<String>,
    /// The DPoP scheme is among the challenges.
    pub dpop: bool,
}

impl Challenge {
    /// Of the Bearer and DPoP challenges in the `WWW-Authenticate` values the first that says
    /// most: an error, else anything beyond its realm. Where another one alone tells the
    /// metadata, they are taken from there. Never fails: what is no challenge is skipped.
    pub fn read<'a>(values: impl IntoIterator<Item = &'a HeaderValue>) -> Option<Self> {
        let (mut found, mut dpop, mut metadata) = (None::<Self>, false, None);
        for (scheme, parameters) in values.into_iter().flat_map(|value| parse(value.as_bytes())) {
            let of_dpop = scheme.eq_ignore_ascii_case("dpop");
            if !of_dpop && !scheme.eq_ignore_ascii_case("bearer") {
                continue;
            }
            let challenge = Self::from_parameters(parameters);
            dpop |= of_dpop;
            metadata = metadata.or_else(|| challenge.resource_metadata.clone());
            if found.as_ref().is_none_or(|found| challenge.weight() > found.weight()) {
                found = Some(challenge);
            }
        }
        let found = found?;
        Some(Self { dpop, resource_metadata: found.resource_metadata.or(metadata), ..found })
    }

    /// The proof lacked the server's nonce, and the token may be good: RFC 9449 section 9.
    pub fn wants_dpop_nonce(&self) -> bool {
        self.error.as_deref() == Some("use_dpop_nonce")
    }

    /// The token is good and allows too little: RFC 6750 section 3.1.
    pub fn is_insufficient_scope(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope")
    }

    fn weight(&self) -> u8 {
        match &self.error {
            // What the other scheme would refuse does not matter to a request with a proof.
            Some(_) if self.wants_dpop_nonce() => 3,
            Some(_) => 2,
            None => u8::from(self.scope.is_some() || self.resource_metadata.is_some()),
        }
    }

    fn from_parameters(parameters: Vec<(String, String)>) -> Self {
        let mut challenge = Self::default();
        for (name, value) in parameters {
            let member = match name.to_ascii_lowercase().as_str() {
                "realm" => &mut challenge.realm,
                "error" => &mut challenge.error,
                "error_description" => &mut challenge.error_description,
                "error_uri" => &mut challenge.error_uri,
                "scope" => &mut challenge.scope,
                "resource_metadata" => &mut challenge.resource_metadata,
                _ => continue,
            };
            // RFC 9110 allows a parameter once; the first one stands.
            member.get_or_insert(value);
        }
        let members = [
            &mut challenge.realm,
            &mut challenge.error,
            &mut challenge.error_description,
            &mut challenge.error_uri,
            &mut challenge.scope,
            &mut challenge.resource_metadata,
        ];
        for member in members {
            member.take_if(|value| value.trim().is_empty());
        }
        challenge
    }
}

/// Schemes and their parameters, in order. Forgives missing commas and unquoted URLs.
fn parse(value: &[u8]) -> Vec<(String, Vec<(String, String)>)> {
    let mut challenges: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = Rest(value);
    loop {
        rest.skip(|byte| is_space(byte) || byte == b',');
        if rest.0.is_empty() {
            return challenges;
        }
        let name = rest.take(is_token);
        if name.is_empty() {
            rest.skip_element();
            continue;
        }
        let after_name = rest;
        rest.skip(is_space);
        if rest.next_is(b'=') {
            rest.0 = &rest.0[1..];
            let value = rest.value();
            if let (Some((_, parameters)), Some(value)) = (challenges.last_mut(), value) {
                parameters.push((text(name), value));
            }
            continue;
        }
        challenges.push((text(name), Vec::new()));
        rest = after_name;
        rest.skip_token68();
    }
}

/// What has not been read yet.
#[derive(Clone, Copy)]
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn next_is(&self, byte: u8) -> bool {
        self.0.first() == Some(&byte)
    }

    fn take(&mut self, of: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|byte| !of(*byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    fn skip(&mut self, of: impl Fn(u8) -> bool) {
        self.take(of);
    }

    /// Past the next comma that is not inside a quoted string.
    fn skip_element(&mut self) {
        while let Some(byte) = self.0.first() {
            if *byte == b'"' {
                self.quoted();
                continue;
            }
            self.0 = &self.0[1..];
            if *byte == b',' {
                return;
            }
        }
    }

    /// Past a token68, if there is one and it is the whole of the element.
    fn skip_token68(&mut self) {
        let mut ahead = *self;
        ahead.skip(is_space);
        ahead.skip(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
        ahead.skip(|byte| byte == b'=');
        ahead.skip(is_space);
        if ahead.0.is_empty() || ahead.next_is(b',') {
            *self = ahead;
        }
    }

    /// After the `=` of a parameter. None for a string that is never closed.
    fn value(&mut self) -> Option<String> {
        self.skip(is_space);
        if self.next_is(b'"') {
            return self.quoted().map(|bytes| text(&bytes));
        }
        Some(text(self.take(|byte| !is_space(byte) && byte != b',')))
    }

    /// A quoted string, its escapes resolved; what is never closed reaches to the end.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut bytes = self.0.iter().enumerate().skip(1);
        let mut unescaped = Vec::new();
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(unescaped);
                }
                b'\\' => unescaped.extend(bytes.next().map(|(_, byte)| *byte)),
                _ => unescaped.push(*byte),
            }
        }
        self.0 = &[];
        None
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;

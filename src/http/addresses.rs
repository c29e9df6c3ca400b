//! Kinds of addresses: what a server on the internet may not point at, and a resolver that
//! keeps to it.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::collections::HashMap;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::lookup_host;
use url::{Host, Url};

/// How long a name may take to be resolved when only its kind is asked.
const LOOKUP: Duration = Duration::from_secs(3);

/// From where an address can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Public,
    /// RFC 1918, RFC 6598 and RFC 4193: a company's or a home's network.
    Private,
    /// RFC 3927 and RFC 4291; a cloud's metadata service among them.
    LinkLocal,
    /// This machine.
    Loopback,
    /// Never a server's: multicast, reserved, broadcast.
    Nowhere,
}

impl Reach {
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    /// Of a URL whose host is an address or `localhost`, whatever the network.
    pub fn literal(url: &Url) -> Option<Self> {
        match url.host()? {
            Host::Ipv4(address) => Some(Self::of(address.into())),
            Host::Ipv6(address) => Some(Self::of(address.into())),
            Host::Domain(name) => {
                name.trim_end_matches('.').eq("localhost").then_some(Self::Loopback)
            }
        }
    }

    /// Whether a server of this reach may name one of the other.
    pub fn may_name(self, other: Self) -> bool {
        other == Self::Public || (other == self && other != Self::Nowhere)
    }
}

/// From where the host of `url` can be reached: a name with several addresses counts as public
/// unless all are of one other kind. None if it cannot be resolved here, as behind a proxy.
pub async fn reach_of(url: &Url) -> Option<Reach> {
    if let Some(literal) = Reach::literal(url) {
        return Some(literal);
    }
    let lookup = tokio::time::timeout(LOOKUP, lookup_host((url.host_str()?, 0))).await;
    let mut kinds = lookup.ok()?.ok()?.map(|address| Reach::of(address.ip()));
    let first = kinds.next()?;
    Some(if kinds.all(|kind| kind == first) { first } else { Reach::Public })
}

/// The names that are judged when they are resolved, and the reach of who brought them up.
///
/// All others are resolved as they are: with a proxy in use only its own name is resolved
/// here, and that one is the person's choice.
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy(Arc<Mutex<HashMap<String, Reach>>>);

/// A name that stands for addresses which whoever brought it up may not name.
#[derive(Debug, thiserror::Error)]
#[error("its address is inside this machine or network, and the MCP server is not")]
pub struct ForbiddenAddress;

impl AddressPolicy {
    /// From now on `name` is resolved only to what a server of reach `by` may name.
    pub fn judge(&self, name: &str, by: Reach) {
        let mut judged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        judged.insert(name.to_owned(), by);
    }

    /// What is left of the addresses of `name`.
    fn allowed(
        &self,
        name: &str,
        addresses: impl Iterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, ForbiddenAddress> {
        let by = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        let may = |to: &SocketAddr| by.is_none_or(|by| by.may_name(Reach::of(to.ip())));
        let (allowed, forbidden): (Vec<_>, Vec<_>) = addresses.partition(may);
        if allowed.is_empty() && !forbidden.is_empty() {
            return Err(ForbiddenAddress);
        }
        Ok(allowed)
    }
}

impl Resolve for AddressPolicy {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.clone();
        Box::pin(async move {
            let found = lookup_host((name.as_str(), 0)).await?;
            let allowed = policy.allowed(name.as_str(), found)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether a request failed because of [`AddressPolicy`].
pub fn is_forbidden_address(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if error.is::<ForbiddenAddress>() {
            return true;
        }
        source = error.source();
    }
    false
}

fn of_v4(address: Ipv4Addr) -> Reach {
    let [a, b, ..] = address.octets();
    match (a, b) {
        (0 | 127, _) => Reach::Loopback,
        (10, _) | (172, 16..=31) | (192, 168) | (100, 64..=127) => Reach::Private,
        (169, 254) => Reach::LinkLocal,
        (224.., _) => Reach::Nowhere,
        // 198.18.0.0/15 too: local proxies answer every name from it.
        _ => Reach::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Reach {
    let segments = address.segments();
    let v4 = |a: u16, b: u16| of_v4(Ipv4Addr::from((u32::from(a) << 16) | u32::from(b)));
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Reach::Loopback,
        // IPv4 in other clothes: compatible, mapped, NAT64 (RFC 6052), 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0 | 0xffff, a, b] | [0x64, 0xff9b, 0, 0, 0, 0, a, b] => v4(a, b),
        [0x2002, a, b, ..] => v4(a, b),
        // A network's own NAT64 (RFC 8215), unique local, and site-local of old.
        [0x64, 0xff9b, 1, ..] | [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Reach::Private,
        [0xfe80..=0xfebf, ..] => Reach::LinkLocal,
        [0xff00..=0xffff, ..] => Reach::Nowhere,
        _ => Reach::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_by_their_kind_in_every_clothing() {
        for (address, kind) in [
            ("8.8.8.8", Reach::Public),
            ("127.1.2.3", Reach::Loopback),
            ("0.0.0.0", Reach::Loopback),
            ("10.0.0.1", Reach::Private),
            ("172.31.0.1", Reach::Private),
            ("172.32.0.1", Reach::Public),
            ("100.100.0.1", Reach::Private),
            ("169.254.169.254", Reach::LinkLocal),
            ("255.255.255.255", Reach::Nowhere),
            ("::", Reach::Loopback),
            ("::1", Reach::Loopback),
            ("::ffff:127.0.0.1", Reach::Loopback),
            ("::10.0.0.1", Reach::Private),
            ("64:ff9b::a9fe:a9fe", Reach::LinkLocal),
            ("64:ff9b:1::808:808", Reach::Private),
            ("2002:7f00:1::", Reach::Loopback),
            ("fd00::1", Reach::Private),
            ("fe80::1", Reach::LinkLocal),
            ("ff02::1", Reach::Nowhere),
            ("2001:db8::1", Reach::Public),
        ] {
            assert_eq!(Reach::of(address.parse().unwrap()), kind, "{address}");
        }
    }

    #[test]
    fn a_server_names_its_own_kind_and_public_ones() {
        let kinds = [Reach::Public, Reach::Private, Reach::LinkLocal, Reach::Loopback];
        for by in kinds {
            for to in kinds {
                assert_eq!(by.may_name(to), to == by || to == Reach::Public, "{by:?} {to:?}");
            }
            assert!(!by.may_name(Reach::Nowhere));
        }
    }

    #[test]
    fn a_judged_name_loses_its_forbidden_addresses_and_other_names_none() {
        let policy = AddressPolicy::default();
        policy.judge("mixed.test", Reach::Public);
        policy.judge("inside.test", Reach::Private);
        let address = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 0);
        let all = || ["8.8.8.8", "10.0.0.1", "127.0.0.1"].map(address).into_iter();
        let count = |name| policy.allowed(name, all()).map_or(0, |left| left.len());
        assert_eq!((count("mixed.test"), count("inside.test"), count("proxy.test")), (1, 2, 3));
        let loopback = policy.allowed("mixed.test", [address("::1")].into_iter());
        assert!(matches!(loopback, Err(ForbiddenAddress)));
    }

    #[tokio::test]
    async fn the_reach_of_literals_and_localhost_needs_no_lookup() {
        for (url, reach) in [
            ("http://localhost:1/mcp", Reach::Loopback),
            ("http://localhost.:1/mcp", Reach::Loopback),
            ("http://2130706433/", Reach::Loopback),
            ("https://[fd00::1]/", Reach::Private),
            ("https://1.1.1.1/", Reach::Public),
        ] {
            assert_eq!(reach_of(&Url::parse(url).unwrap()).await, Some(reach), "{url}");
        }
    }
}

//! Kinds of addresses: what a server on the internet may not point at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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

    /// Whether a server of this reach may name one of the other.
    pub fn may_name(self, other: Self) -> bool {
        other == Self::Public || (other == self && other != Self::Nowhere)
    }
}

fn of_v4(address: Ipv4Addr) -> Reach {
    let [a, b, ..] = address.octets();
    match (a, b) {
        (0 | 127, _) => Reach::Loopback,
        (10, _) | (172, 16..=31) | (192, 168) | (100, 64..=127) => Reach::Private,
        (169, 254) => Reach::LinkLocal,
        (224.., _) => Reach::Nowhere,
        _ => Reach::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Reach {
    let segments = address.segments();
    // IPv4 in other clothes: mapped, and through NAT64 (RFC 6052).
    let v4 = || {
        let [.., a, b] = segments;
        of_v4(Ipv4Addr::from((u32::from(a) << 16) | u32::from(b)))
    };
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Reach::Loopback,
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => v4(),
        [0xfc00..=0xfdff, ..] => Reach::Private,
        [0xfe80..=0xfebf, ..] => Reach::LinkLocal,
        [0xff00..=0xffff, ..] => Reach::Nowhere,
        _ => Reach::Public,
    }
}

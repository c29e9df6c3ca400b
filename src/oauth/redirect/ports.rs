//! The port of the redirect URI, on both loopback addresses (RFC 8252 7.3).

use std::future::poll_fn;
use std::io::{Error, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// How many ports are tried until one is free on both addresses.
const ATTEMPTS: usize = 32;
/// Ports that are chosen from.
const LOWEST: u16 = 10_000;
const HIGHEST: u16 = 32_768;
/// Connections the system keeps until they are accepted.
const BACKLOG: u32 = 1024;

/// Which port the redirect URI has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Any that is free.
    Ephemeral,
    /// This one, or any if it is taken.
    Preferred(u16),
    /// This one: the authorization server knows no other.
    Fixed(u16),
}

/// Why no port is held.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("port {0} on this machine's loopback is taken by another program")]
    Taken(u16),
    #[error("no port on this machine's loopback can be had: {0}")]
    Unavailable(Error),
    #[error("{0} is no redirect URI")]
    Uri(String),
}

/// A port that is held on both addresses until it is closed.
#[derive(Debug)]
pub(super) struct Sockets(Mutex<Vec<TcpListener>>);

impl Sockets {
    /// Holds a port; `needs_v6` if the redirect URI is of no use without `::1`.
    pub(super) fn bind(port: Port, needs_v6: bool) -> Result<(Self, u16), BindError> {
        match port {
            Port::Fixed(fixed) => Self::bind_to(fixed, needs_v6),
            Port::Ephemeral => Self::bind_to_any(needs_v6),
            Port::Preferred(preferred) => {
                Self::bind_to(preferred, needs_v6).or_else(|_| Self::bind_to_any(needs_v6))
            }
        }
    }

    fn bind_to_any(needs_v6: bool) -> Result<(Self, u16), BindError> {
        for attempt in 0..ATTEMPTS {
            // The last resort is what the system gives.
            let port = if attempt < ATTEMPTS / 2 { unused_by_others() } else { 0 };
            match Self::bind_to(port, needs_v6) {
                Err(BindError::Taken(_)) => {}
                held => return held,
            }
        }
        Err(BindError::Unavailable(ErrorKind::AddrInUse.into()))
    }

    fn bind_to(port: u16, needs_v6: bool) -> Result<(Self, u16), BindError> {
        let sort = |error: Error| match error.kind() {
            ErrorKind::AddrInUse => BindError::Taken(port),
            // What another program holds exclusively, or has reserved.
            ErrorKind::PermissionDenied if cfg!(windows) => BindError::Taken(port),
            _ => BindError::Unavailable(error),
        };
        let v4 = listen((Ipv4Addr::LOCALHOST, port).into()).map_err(sort)?;
        let port = v4.local_addr().map_err(BindError::Unavailable)?.port();
        match listen((Ipv6Addr::LOCALHOST, port).into()).map_err(sort) {
            Ok(v6) => Ok((Self(Mutex::new(vec![v4, v6])), port)),
            Err(BindError::Unavailable(_)) if !needs_v6 => Ok((Self(Mutex::new(vec![v4])), port)),
            Err(BindError::Taken(_)) => Err(BindError::Taken(port)),
            Err(error) => Err(error),
        }
    }

    /// The next connection, from both addresses in turn; none once closed.
    pub(super) async fn accept(&self) -> Option<Result<TcpStream, Error>> {
        poll_fn(|context| {
            let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if listeners.is_empty() {
                return Poll::Ready(None);
            }
            for at in 0..listeners.len() {
                if let Poll::Ready(accepted) = listeners[at].poll_accept(context) {
                    listeners.rotate_left(at + 1);
                    return Poll::Ready(Some(accepted.map(|(stream, _)| stream)));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Frees the port at once, whoever still waits in `accept`.
    pub(super) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A port below those that systems give to outgoing connections: a registration is kept with
/// its port, which had better be free the next time.
fn unused_by_others() -> u16 {
    let mut random = [0; 2];
    // Without randomness the first port of the range does as well.
    let _ = getrandom::fill(&mut random);
    LOWEST + u16::from_le_bytes(random) % (HIGHEST - LOWEST)
}

fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Elsewhere it only passes over connections of an earlier sign-in that linger; two who
    // listen stay impossible. On Windows it would let others share the port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

//! A loopback HTTP server whose every reply is scripted, one thread a connection.
//! A handler asserts; a failed assertion fails the test when the server is dropped.

use super::PATIENCE;
use super::http::{Request, Wire, hang_up};
use socket2::{Domain, Socket, Type};
use std::io::BufReader;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::thread::{self, JoinHandle};
use std::time::Instant;

pub(crate) type Handler = Box<dyn Fn(&Request, Wire) + Send + Sync>;

/// Requests in the log, beyond which the oldest are forgotten.
const MANY: usize = 50_000;

struct Shared {
    handler: Handler,
    log: Mutex<Vec<Arc<Request>>>,
    grown: Condvar,
    failures: Mutex<Vec<String>>,
    connections: Mutex<Vec<Weak<TcpStream>>>,
    opened: AtomicUsize,
    stopping: AtomicBool,
}

pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(&Request, Wire) + Send + Sync + 'static) -> Self {
        Port::reserve().serve(handler)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far, in the order they were read.
    pub(crate) fn requests(&self) -> Vec<Arc<Request>> {
        self.log().clone()
    }

    /// The requests of one kind (see [`Request::kind`]).
    pub(crate) fn of(&self, kind: &str) -> Vec<Arc<Request>> {
        let mut all = self.requests();
        all.retain(|request| request.kind() == kind);
        all
    }

    /// The kinds of all requests, in order.
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.requests().iter().map(|r| r.kind()).collect()
    }

    /// How many connections were ever opened.
    pub(crate) fn connections(&self) -> usize {
        self.shared.opened.load(Ordering::SeqCst)
    }

    /// Waits until `seen` finds in the log what it wants.
    pub(crate) fn wait<T>(
        &self,
        what: &str,
        mut seen: impl FnMut(&[Arc<Request>]) -> Option<T>,
    ) -> T {
        let end = Instant::now() + PATIENCE;
        let mut log = self.log();
        loop {
            if let Some(found) = seen(&log) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "the server never saw {what}; it saw {:?}",
                log.iter().map(|r| r.kind()).collect::<Vec<_>>()
            );
            log = self.shared.grown.wait_timeout(log, left).unwrap().0;
        }
    }

    /// Waits for the first request of a kind.
    pub(crate) fn wait_for(&self, kind: &str) -> Arc<Request> {
        self.wait(kind, |log| log.iter().find(|r| r.kind() == kind).cloned())
    }

    /// Waits for `count` requests of a kind.
    pub(crate) fn wait_for_count(&self, kind: &str, count: usize) -> Vec<Arc<Request>> {
        self.wait(&format!("{count} of {kind}"), |log| {
            let found: Vec<_> = log.iter().filter(|r| r.kind() == kind).cloned().collect();
            (found.len() >= count).then_some(found)
        })
    }

    fn log(&self) -> MutexGuard<'_, Vec<Arc<Request>>> {
        self.shared.log.lock().unwrap()
    }

    /// Stops listening and ends every connection; the port is told.
    pub(crate) fn kill(mut self) -> SocketAddr {
        self.stop();
        self.address
    }

    fn stop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which then drops the listener.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        for stream in self.shared.connections.lock().unwrap().drain(..) {
            if let Some(stream) = stream.upgrade() {
                hang_up(&stream);
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        let failures = self.shared.failures.lock().unwrap();
        if failures.is_empty() {
            return;
        }
        let text = format!("the server's script failed: {}", failures.join("; "));
        // A test that has failed already may have failed because of this.
        #[expect(clippy::print_stderr, reason = "a second panic would hide both")]
        if thread::panicking() { eprintln!("{text}") } else { panic!("{text}") }
    }
}

/// A loopback port that is ours but refuses connections until it is served.
pub(crate) struct Port(Socket);

impl Port {
    pub(crate) fn reserve() -> Self {
        Self::at(([127, 0, 0, 1], 0).into())
    }

    pub(crate) fn at(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        #[cfg(unix)]
        socket.set_reuse_address(true).expect("reuse the address");
        socket.bind(&address.into()).expect("bind the port");
        Self(socket)
    }

    fn address(&self) -> SocketAddr {
        let address = self.0.local_addr().expect("an address");
        address.as_socket().expect("an IP address")
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/mcp", self.origin())
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address())
    }

    pub(crate) fn serve(self, handler: impl Fn(&Request, Wire) + Send + Sync + 'static) -> Server {
        let address = self.address();
        self.0.listen(1024).expect("listen");
        let listener = TcpListener::from(self.0);
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            log: Mutex::default(),
            grown: Condvar::new(),
            failures: Mutex::default(),
            connections: Mutex::default(),
            opened: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        });
        let acceptor = thread::spawn({
            let shared = shared.clone();
            move || accept(&listener, &shared)
        });
        Server { address, shared, acceptor: Some(acceptor) }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let _ = stream.set_nodelay(true);
        shared.opened.fetch_add(1, Ordering::SeqCst);
        let stream = Arc::new(stream);
        let mut connections = shared.connections.lock().unwrap();
        connections.push(Arc::downgrade(&stream));
        drop(connections);
        let shared = shared.clone();
        thread::spawn(move || {
            let served = catch_unwind(AssertUnwindSafe(|| serve(&stream, &shared)));
            if let Err(panic) = served {
                let text = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
                let mut failures = shared.failures.lock().unwrap();
                failures.push(text.unwrap_or_else(|| "a panic".to_owned()));
            }
        });
    }
}

fn serve(stream: &Arc<TcpStream>, shared: &Shared) {
    let mut reader = BufReader::new(&**stream);
    while let Ok(Some(request)) = Request::read(&mut reader) {
        let request = Arc::new(request);
        let mut log = shared.log.lock().unwrap();
        if log.len() == MANY {
            log.drain(..MANY / 2);
        }
        log.push(request.clone());
        drop(log);
        shared.grown.notify_all();
        let (done, finished) = channel();
        (shared.handler)(&request, Wire::new(stream.clone(), done));
        // The wire may have been parked: wait until its holder lets go.
        if !finished.recv().unwrap_or(false) {
            return;
        }
        let _ = stream.set_read_timeout(None);
    }
}

/// A request whose reply is in the hands of the test.
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) wire: Wire,
}

/// Calls wait here until the test takes them.
pub(crate) struct Parked(Receiver<Call>);

impl Parked {
    pub(crate) fn next(&self) -> Call {
        self.0.recv_timeout(PATIENCE).expect("the call never reached the server")
    }
}

/// A handler that hands each request to the test, and where the test takes it.
pub(crate) fn park() -> (impl Fn(&Request, Wire) + Send + Sync + 'static, Parked) {
    let (sender, receiver): (Sender<Call>, _) = channel();
    let handler = move |request: &Request, wire: Wire| {
        let request = request.clone();
        let _ = sender.send(Call { request, wire });
    };
    (handler, Parked(receiver))
}

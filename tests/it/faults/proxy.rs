//! What stands between the bridge and the remote: hands every message on, and strikes where
//! its plan says so.

use super::meddle;
use super::record::{Exchange, Record};
use crate::support::http::{Request, hang_up};
use socket2::{Domain, Socket, Type};
use std::io::BufReader;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What the driver of a conversation has to know at once.
#[derive(Debug)]
pub(crate) enum Event {
    /// A line of the bridge; none at the end of its stdout.
    Line(Option<Vec<u8>>),
    /// The reply to a request of this label has begun.
    Begun(String),
    /// A request of this label is over, however that came.
    Over(String),
    /// The plan struck a request of this label. The remote has dealt with it if it ever will.
    Struck(String),
    /// A reply is held up until [`Proxy::let_go`] or until the bridge hangs up.
    Stalled(Exchange),
}

pub(crate) struct Proxy {
    address: SocketAddr,
    /// Keeps the port while nobody listens.
    _port: Socket,
    shared: Arc<Shared>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

pub(super) struct Shared {
    pub(super) remote: SocketAddr,
    pub(super) restart: Box<dyn Fn() + Send + Sync>,
    events: Mutex<Sender<Event>>,
    record: Mutex<Record>,
    connections: Mutex<Vec<Weak<TcpStream>>>,
    /// The bridge's GET stream.
    pub(super) unasked: Mutex<Weak<TcpStream>>,
    away: AtomicBool,
    /// How often what stalled was let go.
    let_go: (Mutex<usize>, Condvar),
}

/// What becomes of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Keep,
    Close,
    Reset,
}

impl Proxy {
    /// Between the bridge and `remote`, which `restart` makes forget everything.
    pub(crate) fn start(
        remote: SocketAddr,
        restart: impl Fn() + Send + Sync + 'static,
        record: Record,
        events: Sender<Event>,
    ) -> Self {
        let port = socket(([127, 0, 0, 1], 0).into());
        let address = port.local_addr().expect("an address");
        let address = address.as_socket().expect("an IP address");
        let shared = Arc::new(Shared {
            remote,
            restart: Box::new(restart),
            events: Mutex::new(events),
            record: Mutex::new(record),
            connections: Mutex::default(),
            unasked: Mutex::default(),
            away: AtomicBool::new(false),
            let_go: Default::default(),
        });
        let proxy = Self { address, _port: port, shared, acceptor: Mutex::default() };
        proxy.come_back();
        proxy
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// From here on the client is about this.
    pub(crate) fn begin(&self, step: &str) {
        step.clone_into(&mut self.shared.record.lock().unwrap().step);
    }

    /// Everything so far.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.shared.record.lock().unwrap().all()
    }

    /// The request that the plan struck.
    pub(crate) fn struck(&self) -> Option<Exchange> {
        self.shared.record.lock().unwrap().struck.clone()
    }

    /// Lets go on what stalls now.
    pub(crate) fn let_go(&self) {
        *self.shared.let_go.0.lock().unwrap() += 1;
        self.shared.let_go.1.notify_all();
    }

    /// Ends every connection.
    pub(crate) fn hang_up(&self) {
        for stream in self.shared.connections.lock().unwrap().drain(..) {
            if let Some(stream) = stream.upgrade() {
                hang_up(&stream);
            }
        }
    }

    /// Refuses connections from here on, and ends those that there are.
    pub(crate) fn go_away(&self) {
        self.shared.away.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which then drops the listener.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.lock().unwrap().take() {
            let _ = acceptor.join();
        }
        self.hang_up();
    }

    pub(crate) fn come_back(&self) {
        self.shared.away.store(false, Ordering::SeqCst);
        let listener = socket(self.address);
        listener.listen(1024).expect("listen");
        let listener = TcpListener::from(listener);
        let shared = self.shared.clone();
        *self.acceptor.lock().unwrap() = Some(thread::spawn(move || accept(&listener, &shared)));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.let_go();
        self.go_away();
    }
}

/// Several may be bound to the port as long as one at most listens.
fn socket(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("reuse the address");
    #[cfg(not(target_os = "linux"))]
    socket.set_reuse_port(true).expect("reuse the port");
    socket.bind(&address.into()).expect("bind the port");
    socket
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.away.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let _ = stream.set_nodelay(true);
        let stream = Arc::new(stream);
        let mut connections = shared.connections.lock().unwrap();
        connections.retain(|one| one.strong_count() > 0);
        connections.push(Arc::downgrade(&stream));
        drop(connections);
        let shared = shared.clone();
        thread::spawn(move || {
            let last = serve(&stream, &shared);
            // Closed before anybody is told.
            drop(stream);
            if let Some(at) = last {
                shared.over(at);
            }
        });
    }
}

/// Serves one connection. Returns the exchange that ended it, if one did.
fn serve(stream: &Arc<TcpStream>, shared: &Shared) -> Option<usize> {
    let mut reader = BufReader::new(&**stream);
    while let Ok(Some(request)) = Request::read(&mut reader) {
        let (at, strike) = shared.record.lock().unwrap().arrived(&request);
        if request.method == "GET" {
            *shared.unasked.lock().unwrap() = Arc::downgrade(stream);
        }
        match meddle::reply(shared, at, &request, stream, strike) {
            After::Keep => shared.over(at),
            After::Close => {
                hang_up(stream);
                return Some(at);
            }
            After::Reset => {
                let socket = socket2::SockRef::from(&**stream);
                socket.set_linger(Some(Duration::ZERO)).expect("set the linger time");
                return Some(at);
            }
        }
    }
    None
}

impl Shared {
    /// Takes note of something, given the step in which it happens.
    pub(super) fn note(&self, at: usize, change: impl FnOnce(&mut Exchange, &str)) {
        let mut record = self.record.lock().unwrap();
        let step = record.step.clone();
        change(record.at(at), &step);
    }

    fn label(&self, at: usize) -> String {
        self.record.lock().unwrap().at(at).label.clone()
    }

    fn tell(&self, event: Event) {
        // At the end nobody listens any more.
        let _ = self.events.lock().unwrap().send(event);
    }

    pub(super) fn begun(&self, at: usize) {
        self.tell(Event::Begun(self.label(at)));
    }

    pub(super) fn struck(&self, at: usize) {
        self.tell(Event::Struck(self.label(at)));
    }

    fn over(&self, at: usize) {
        let label = self.record.lock().unwrap().over(at);
        self.tell(Event::Over(label));
    }

    pub(super) fn stalled(&self, at: usize) {
        let stalled = self.record.lock().unwrap().at(at).clone();
        self.tell(Event::Stalled(stalled));
    }

    /// Holds a reply up until the driver has seen what it wants.
    pub(super) fn stall(&self, at: usize) {
        let (count, changed) = &self.let_go;
        let mut now = count.lock().unwrap();
        let before = *now;
        self.stalled(at);
        while *now == before {
            now = changed.wait(now).unwrap();
        }
    }
}

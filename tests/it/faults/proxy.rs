//! What stands between the bridge and the remote: hands every message on, and strikes where
//! its plan says so.

use super::fault::Fault;
use super::meddle;
use crate::support::http::{Request, hang_up};
use socket2::{Domain, Socket, Type};
use std::collections::HashMap;
use std::io::BufReader;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A fault at one of the pieces of a reply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strike {
    pub(crate) fault: Fault,
    pub(crate) piece: usize,
}

/// Asked about each request as it arrives.
pub(crate) type Plan = Box<dyn FnMut(&Exchange) -> Option<Strike> + Send>;

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
    /// A reply is held up until [`Proxy::let_go`] or until the bridge hangs up. True if the
    /// client waits for it.
    Stalled(bool),
}

/// One request and its reply, as recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exchange {
    /// What it is, and for the second of its kind which.
    pub(crate) key: String,
    pub(crate) label: String,
    /// What the client was about when it came.
    pub(crate) step: String,
    /// A JSON-RPC request, as it was spelled.
    pub(crate) id: Option<String>,
    /// What a call is counted by.
    pub(crate) token: Option<String>,
    pub(crate) is_stream: bool,
    pub(crate) has_ids: bool,
    /// The sizes of the pieces of its reply.
    pub(crate) pieces: usize,
    /// The piece that holds the JSON-RPC response.
    pub(crate) answer: Option<usize>,
    /// The piece on which the remote asked the client.
    pub(crate) asks: Option<usize>,
    /// The remote ended the reply.
    pub(crate) whole: bool,
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
    plan: Mutex<Plan>,
    events: Mutex<Sender<Event>>,
    log: Mutex<Log>,
    connections: Mutex<Vec<Weak<TcpStream>>>,
    /// The bridge's GET stream.
    pub(super) unasked: Mutex<Weak<TcpStream>>,
    away: AtomicBool,
    stalled: (Mutex<bool>, Condvar),
}

#[derive(Default)]
struct Log {
    step: String,
    exchanges: Vec<Exchange>,
    labels: HashMap<String, usize>,
    struck: Option<Exchange>,
}

impl Exchange {
    /// The client waits for its answer, or for that of a stream that it resumes.
    pub(crate) fn is_awaited(&self) -> bool {
        self.id.is_some() || self.resumes()
    }

    /// It takes up a stream that has ended.
    pub(crate) fn resumes(&self) -> bool {
        self.label == "GET again"
    }
}

/// What becomes of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Keep,
    Close,
    Reset,
}

impl Proxy {
    /// `restart` makes the remote forget everything.
    pub(crate) fn start(
        remote: SocketAddr,
        restart: impl Fn() + Send + Sync + 'static,
        plan: Plan,
        events: Sender<Event>,
    ) -> Self {
        let port = socket(([127, 0, 0, 1], 0).into());
        let address = port.local_addr().expect("an address");
        let address = address.as_socket().expect("an IP address");
        let shared = Arc::new(Shared {
            remote,
            restart: Box::new(restart),
            plan: Mutex::new(plan),
            events: Mutex::new(events),
            log: Mutex::default(),
            connections: Mutex::default(),
            unasked: Mutex::default(),
            away: AtomicBool::new(false),
            stalled: Default::default(),
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
        step.clone_into(&mut self.shared.log.lock().unwrap().step);
    }

    /// Everything so far.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.shared.log.lock().unwrap().exchanges.clone()
    }

    /// The request that the plan struck.
    pub(crate) fn struck(&self) -> Option<Exchange> {
        self.shared.log.lock().unwrap().struck.clone()
    }

    /// Lets a stalled reply go on.
    pub(crate) fn let_go(&self) {
        *self.shared.stalled.0.lock().unwrap() = true;
        self.shared.stalled.1.notify_all();
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
        let (at, strike) = shared.arrived(&request);
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
    fn arrived(&self, request: &Request) -> (usize, Option<Strike>) {
        let label = label(request);
        let mut log = self.log.lock().unwrap();
        let count = log.labels.entry(label.clone()).or_default();
        *count += 1;
        let key = if *count == 1 { label.clone() } else { format!("{label} #{count}") };
        let is_request = !request.rpc().is_empty() && !request.id().is_empty();
        let exchange = Exchange {
            key,
            label,
            step: log.step.clone(),
            id: is_request.then(|| request.id().to_owned()),
            token: token(request),
            ..Exchange::default()
        };
        let strike = (self.plan.lock().unwrap())(&exchange);
        if strike.is_some() {
            log.struck = Some(exchange.clone());
        }
        log.exchanges.push(exchange);
        (log.exchanges.len() - 1, strike)
    }

    pub(super) fn note(&self, at: usize, change: impl FnOnce(&mut Exchange)) {
        change(&mut self.log.lock().unwrap().exchanges[at]);
    }

    fn label(&self, at: usize) -> String {
        self.log.lock().unwrap().exchanges[at].label.clone()
    }

    pub(super) fn tell(&self, event: Event) {
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
        self.tell(Event::Over(self.label(at)));
    }

    pub(super) fn stalled(&self, at: usize) {
        let waits = self.log.lock().unwrap().exchanges[at].is_awaited();
        self.tell(Event::Stalled(waits));
    }

    /// Holds a reply up until the driver has seen what it wants.
    pub(super) fn stall(&self, at: usize) {
        self.stalled(at);
        let mut free = self.stalled.0.lock().unwrap();
        while !*free {
            free = self.stalled.1.wait(free).unwrap();
        }
    }
}

/// What a request is recorded as.
fn label(request: &Request) -> String {
    match request.kind().as_str() {
        "GET" if request.header("last-event-id").is_some() => "GET again".to_owned(),
        "tools/call" => {
            let params = request.json()["params"].take();
            let again = if params.get("inputResponses").is_some() { " again" } else { "" };
            format!("tools/call {}{again}", params["name"].as_str().unwrap_or_default())
        }
        kind => kind.to_owned(),
    }
}

/// What the executions of a call are counted by.
pub(crate) fn token(request: &Request) -> Option<String> {
    if request.rpc() != "tools/call" {
        return None;
    }
    let params = request.json()["params"].take();
    let token = params["arguments"]["token"].as_str()?;
    let again = if params.get("inputResponses").is_some() { " again" } else { "" };
    Some(format!("{token}{again}"))
}

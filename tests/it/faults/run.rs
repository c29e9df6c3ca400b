//! One conversation from its beginning to the end of the bridge, and all that came of it.

use super::client::{Client, Ends, text};
use super::conversation::Conversation;
use super::fault::Fault;
use super::proxy::{Event, Proxy};
use super::record::{Exchange, Plan, Record};
use super::remote::Remote;
use crate::support::PATIENCE;
use crate::support::bridge::Ended;
use crate::support::home::Home;
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, channel};

/// What strikes before a step: of the others the proxy knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    pub(crate) step: &'static str,
    pub(crate) fault: Fault,
}

/// A request that was sent, as far as its answer is judged.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) step: &'static str,
    /// A call, counted by this.
    pub(crate) token: Option<String>,
    pub(crate) cancelled: bool,
    pub(crate) stays_open: bool,
}

/// All that came of one conversation.
pub(crate) struct Run {
    pub(crate) sent: Vec<Sent>,
    /// Everything on stdout.
    pub(crate) lines: Vec<String>,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) struck: Option<Exchange>,
    pub(crate) executed: HashMap<String, usize>,
    pub(crate) ended: Ended,
}

/// Has the whole conversation with a fresh bridge.
pub(crate) fn converse(
    conversation: Conversation,
    plan: Plan,
    fault: Option<Fault>,
    before: Option<Before>,
) -> Run {
    let remote = Remote::start(conversation.remote);
    let (sender, events) = channel();
    let proxy =
        Proxy::start(remote.address(), remote.restart(), Record::new(plan, true), sender.clone());
    let mut bridge = Home::new("memory").launch(&proxy.url()).start_unread();
    bridge.read_with(move |line| drop(sender.send(Event::Line(line))));
    let ends = Ends { remote: &remote, proxy: &proxy, bridge: &bridge, events };
    let mut client = Client::new(conversation, ends, fault);
    for step in conversation.steps() {
        client.step(step, before.filter(|before| before.step == step.0).map(|one| one.fault));
    }
    client.afterwards();
    let (events, mut lines, sent) = client.done();
    bridge.close_stdin();
    let ended = bridge.wait_exit(PATIENCE);
    lines.extend(rest(&events));
    Run {
        sent,
        lines,
        exchanges: proxy.exchanges(),
        struck: proxy.struck(),
        executed: remote.executed(),
        ended,
    }
}

/// What was written at the very end.
fn rest(events: &Receiver<Event>) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        match events.recv_timeout(PATIENCE).expect("the end of stdout") {
            Event::Line(Some(line)) => lines.push(text(line)),
            Event::Line(None) => return lines,
            _ => {}
        }
    }
}

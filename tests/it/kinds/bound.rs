//! What was taught without a word of its authorization server is for the one that gave the
//! first token (MCP 2026-07-28, "Authorization Server Binding").

use super::{first_error, login, ready};
use crate::support::bridge::Bridge;
use crate::support::home::Home;
use crate::support::mcp_server::{Port, Server};
use crate::support::token_endpoint::{Given, TokenEndpoint};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A remote whose metadata names one server and, once it has turned, another one.
pub(super) fn turning(first: &TokenEndpoint, other: &TokenEndpoint) -> (Server, Arc<AtomicBool>) {
    let port = Port::reserve();
    let (before, after) = (first.guarding(&port.origin()), other.guarding(&port.origin()));
    let turned = Arc::new(AtomicBool::new(false));
    let now = turned.clone();
    let remote = port.serve(move |request, wire| match now.load(Ordering::SeqCst) {
        false => before(request, wire),
        true => after(request, wire),
    });
    (remote, turned)
}

/// Nobody has said at the login which server it is for.
#[test]
fn what_was_taught_unverified_is_for_the_server_that_gave_the_first_token() {
    for kind in ["client-credentials", "jwt-bearer"] {
        let endpoint = TokenEndpoint::start(|_| Given::Token("machine".to_owned()));
        let other = TokenEndpoint::start(|_| Given::Token("thief".to_owned()));
        let (remote, turned) = turning(&endpoint, &other);
        let home = Arc::new(Home::new("plaintext"));
        let flags = ["--with", kind, "--client-id", "m", "--no-verify"];
        login(&home, &remote.url(), &flags, "the-5ecret-of-the-machine").expect(0);
        let mut bridge = ready(&home, &remote.url(), &[]);
        assert_eq!(bridge.whoami(), "machine", "{kind}");
        assert_eq!(endpoint.asked().len(), 1, "{kind}");
        turned.store(true, Ordering::SeqCst);
        // The one that had the first token, and one that begins now.
        bridge.tool("1", "whoami");
        bridge.own_error("1", &[-31001, -31004]);
        let mut later = Bridge::start_in(&home, &remote.url());
        first_error(&mut later, &[-31001, -31004]);
        assert!(other.asked().is_empty(), "{kind}: {:?}", other.asked());
        // It has tried, but where it was bound to.
        assert!(endpoint.asked().len() > 1, "{kind}");
    }
}

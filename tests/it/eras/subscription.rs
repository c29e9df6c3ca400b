//! A subscription of a modern client outlives the streams it comes on.

use crate::support::bridge::Bridge;
use crate::support::mcp_server::park;
use crate::support::modern::{Modern, request};

const ID: &str = "io.modelcontextprotocol/subscriptionId";

fn acknowledgement(id: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"notifications":{{"toolsListChanged":true,"resourceSubscriptions":["a://b"]}},"_meta":{{"{ID}":{id}}}}}}}"#
    )
}

fn change(id: &str, x: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{{"_meta":{{"x":{x},"{ID}":{id}}}}}}}"#
    )
}

#[test]
fn a_subscription_that_lost_its_stream_is_opened_again_under_the_id_that_the_client_knows() {
    let (handler, parked) = park();
    let server = Modern::new().on("subscriptions/listen", handler).start();
    let mut bridge = Bridge::to(&server);
    let filter = r#""notifications":{"toolsListChanged":true,"resourceSubscriptions":["a://b"]}"#;
    bridge.send(request("7", "subscriptions/listen", filter));
    let first = parked.next();
    assert_eq!(first.request.id(), "7");
    let mut events = first.wire.events();
    events.event(acknowledgement("7"));
    assert_eq!(bridge.line(), acknowledgement("7"));
    events.event(change("7", "1.0"));
    assert_eq!(bridge.line(), change("7", "1.0"));
    events.cut();

    // The second one is refused before it begins, which ends nothing either.
    let second = parked.next();
    second.wire.status(503);
    let third = parked.next();
    let own = third.request.id().to_owned();
    assert_ne!(own, "7");
    let mut events = third.wire.events();
    events.event(acknowledgement(&own));
    let missed = bridge.message("notifications/tools/list_changed");
    assert_eq!(missed["params"]["_meta"][ID], 7, "{missed}");
    let missed = bridge.message("notifications/resources/updated");
    assert_eq!(missed["params"]["_meta"][ID], 7, "{missed}");
    assert_eq!(missed["params"]["uri"], "a://b", "{missed}");
    events.event(change(&own, "1e400"));
    assert_eq!(bridge.line(), change("7", "1e400"));
    // The end on purpose is the client's, too.
    events.event(format!(
        r#"{{"jsonrpc":"2.0","id":{own},"result":{{"resultType":"complete","_meta":{{"{ID}":{own}}}}}}}"#
    ));
    events.end();
    let ended = bridge.result("7");
    assert_eq!(ended["_meta"][ID], 7, "{ended}");
    let ended = bridge.finish();
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
}

#[test]
fn a_subscription_that_never_opened_is_refused() {
    let server = Modern::new().on("subscriptions/listen", |_, wire| wire.events().end()).start();
    let mut bridge = Bridge::to(&server);
    bridge.send(request("7", "subscriptions/listen", r#""notifications":{}"#));
    bridge.own_error("7", &[-31003]);
    assert_eq!(server.of("subscriptions/listen").len(), 1);
}

#[test]
fn a_subscription_that_waits_to_be_opened_again_can_be_cancelled() {
    let (handler, parked) = park();
    let server = Modern::new().on("subscriptions/listen", handler).start();
    let mut bridge = Bridge::to(&server);
    bridge.send(request(
        "7",
        "subscriptions/listen",
        r#""notifications":{"toolsListChanged":true}"#,
    ));
    let mut events = parked.next().wire.events();
    events.event(acknowledgement("7"));
    bridge.line();
    events.reset();
    bridge.notify("notifications/cancelled", r#"{"requestId":7}"#);
    bridge.send(request("8", "server/discover", ""));
    bridge.result("8");
    let ended = bridge.finish();
    ended.has_no_answer_to("7");
    assert_eq!(server.of("subscriptions/listen").len(), 1);
}

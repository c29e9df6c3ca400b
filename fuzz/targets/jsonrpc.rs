//! The raw-member reader against serde_json: it accepts exactly the JSON documents
//! (apart from its limit on nesting), and what it hands out are the message's own bytes.
#![no_main]

use bytes::Bytes;
use keyferry::jsonrpc::{
    BridgeError, Line, MAX_DEPTH, Message, OversizeLine, error_response, object, with_id,
};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;

fuzz_target!(|text: &[u8]| {
    let is_json = is_json(text);
    match Line::read(Bytes::copy_from_slice(text)) {
        Ok(line) => {
            assert!(is_json, "accepted what is no JSON");
            line.into_messages().iter().for_each(own_bytes);
        }
        Err(invalid) => {
            let brackets = text.iter().filter(|byte| matches!(byte, b'{' | b'[')).count();
            if brackets <= MAX_DEPTH {
                assert_eq!(invalid.code == -32600, is_json, "{invalid:?}");
            }
            answerable(invalid.id.as_deref());
        }
    }
    let mut oversize = OversizeLine::default();
    text.chunks(7).for_each(|piece| oversize.feed(piece));
    answerable(oversize.request_id().as_deref());
});

fn is_json(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// An error under this id is a message; without one it is the one that has no id.
fn answerable(id: Option<&[u8]>) {
    let answer = error_response(id, &BridgeError::new(-32600, "no"));
    assert!(is_json(&answer), "answered {:?}", String::from_utf8_lossy(&answer));
    let answer = Message::read(answer).expect("an answer is a message");
    assert_eq!(answer.id().as_deref(), id);
}

fn own_bytes(message: &Message) {
    for part in [message.params(), message.result(), message.error(), message.id().as_deref()] {
        assert!(part.is_none_or(is_json));
    }
    if let Some(params) = message.params().filter(|params| params.starts_with(b"{")) {
        let members = object::Items::object(params, 0).expect("it starts as one");
        for member in members {
            let member = member.expect("it was read before");
            assert!(is_json(&params[member.value]));
        }
    }
    // Another id changes nothing but the id.
    let other = Message::read(with_id(message, b"\"other\"")).expect("still a message");
    assert_eq!(other.id().as_deref(), Some(&b"\"other\""[..]));
    assert_eq!(other.method(), message.method());
    assert_eq!(other.params(), message.params());
    assert_eq!((other.result(), other.error()), (message.result(), message.error()));
    if let Some(id) = message.id() {
        assert_eq!(with_id(&other, &id), message.text());
    }
}

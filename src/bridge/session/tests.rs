use super::*;

fn message(text: &'static str) -> Message {
    Message::read(Bytes::from_static(text.as_bytes())).unwrap()
}

fn begin(session: &Session, id: &'static str) -> Option<Snapshot> {
    let initialize = message(r#"{"jsonrpc":"2.0","id":0,"method":"initialize"}"#);
    let answer = message(r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-03-26"}}"#);
    let headers = HeaderMap::from_iter([(SESSION_ID, HeaderValue::from_static(id))]);
    session.establish(&initialize, &answer, Opener::Http(&headers))
}

#[test]
fn an_answer_belongs_to_the_session_in_which_it_was_asked() {
    let session = Session::default();
    let id = Bytes::from_static(b"7");
    assert!(begin(&session, "a").is_none());
    session.asked(&id, session.snapshot().epoch);
    assert!(session.answerable(&id).is_some() && session.answerable(&id).is_none());
    session.asked(&id, session.snapshot().epoch);
    assert_eq!(begin(&session, "b").unwrap().id.unwrap(), "a");
    assert!(session.answerable(&id).is_none());
    assert!(session.snapshot().has_batches());
}

#[test]
fn a_client_that_was_answered_here_keeps_what_it_was_told() {
    let session = Session::default();
    let initialize = message(r#"{"jsonrpc":"2.0","id":0,"method":"initialize"}"#);
    let told = br#"{"protocolVersion":"2025-03-26","capabilities":{}}"#;
    assert!(session.begin_stand_in(&initialize, Told::read(told)).is_none());
    let lost = session.snapshot();
    assert!(lost.is_stand_in() && lost.has_batches() && !lost.is_real());
    let answer = message(r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18"}}"#);
    let real = Snapshot::new(lost.epoch + 1, &answer, Opener::Http(&HeaderMap::new()))
        .after(&lost, &answer);
    assert!(real.is_real() && real.has_batches() && real.lacks == Lacks::of(&answer));
    let mut headers = HeaderMap::new();
    real.put_headers(&mut headers);
    assert_eq!(headers[PROTOCOL_VERSION], "2025-06-18");
    assert!(begin(&session, "a").is_none() && session.snapshot().told.is_none());
}

#[test]
fn settings_are_remembered_until_they_are_taken_back() {
    let session = Session::default();
    let subscribe =
        message(r#"{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"a"}}"#);
    session.remember(&subscribe);
    session.remember(&message(
        r#"{"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{"level":"debug"}}"#,
    ));
    assert_eq!(session.remembered().len(), 2);
    session.remember(&message(
        r#"{"jsonrpc":"2.0","id":3,"method":"resources/unsubscribe","params":{"uri":"a"}}"#,
    ));
    assert_eq!(session.remembered()[0].method(), "logging/setLevel");
}

//! Each fault at each position of recorded conversations: between the bridge and the remote
//! stands a proxy that strikes once, and whatever happens then, each request is answered once.

mod client;
pub(crate) mod conversation;
pub(crate) mod fault;
mod instead;
mod judge;
mod meddle;
mod out;
pub(crate) mod proxy;
pub(crate) mod record;
pub(crate) mod remote;
mod run;
mod strikes;
mod upstream;

use conversation::{
    BOTH_MODERN, Conversation, HTTP_SSE, PLAIN, SESSIONS, TO_HTTP_SSE, TO_LEGACY, TO_MODERN,
};
use fault::{Fault, Outcome, Where};
use judge::{Sentence, judge};
use record::{Exchange, Strike};
use run::{Before, Run, converse};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Where a fault strikes in a conversation.
#[derive(Debug)]
enum Position {
    Before(&'static str),
    At(Exchange, Strike),
}

/// The conversation as it goes when nothing strikes.
pub(crate) fn record(conversation: Conversation) -> Run {
    let run = converse(conversation, Box::new(|_| None), None, None);
    judge(&run, None, None);
    run
}

/// Every position of the conversation at which the fault can strike, or where it is a variant
/// of another one for each sort of reply, in the conversations that need not have it all.
fn positions(conversation: Conversation, recorded: &Run, fault: Fault) -> Vec<Position> {
    if fault.at() == Where::Step {
        return conversation.steps().map(|step| Position::Before(step.0)).collect();
    }
    let thinned = fault.is_variant() && !conversation.is_whole();
    let mut sorts = Vec::new();
    let mut positions = Vec::new();
    for exchange in recorded.exchanges.iter().filter(|one| one.step != "afterwards") {
        for strike in fault.strikes_in(conversation, exchange) {
            let outcome = fault.outcome(conversation, exchange, strike.piece);
            let sort = (exchange.sort(), conversation.is_hidden(exchange), outcome);
            if thinned && sorts.contains(&sort) {
                continue;
            }
            sorts.push(sort);
            positions.push(Position::At(exchange.clone(), strike));
        }
    }
    positions
}

/// Has the conversation once for each position.
fn strike_everywhere(conversation: Conversation, fault: Fault) {
    let recorded = record(conversation);
    let positions = positions(conversation, &recorded, fault);
    let nowhere = conversation.has_one_stream() && fault.needs_streams();
    assert_eq!(positions.is_empty(), nowhere, "{fault:?} strikes nowhere");
    let mut wrong = Vec::new();
    for position in positions {
        let what = match &position {
            Position::Before(step) => format!("before {step:?}"),
            Position::At(exchange, strike) => format!("at {} of {exchange:?}", strike.piece),
        };
        if let Err(panic) =
            catch_unwind(AssertUnwindSafe(|| strike(conversation, fault, &position)))
        {
            let why = panic.downcast_ref::<String>().map(String::as_str);
            let why = why.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
            wrong.push(format!("{fault:?} {what}: {why}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn strike(conversation: Conversation, fault: Fault, position: &Position) {
    let mut fresh = true;
    let place = match position {
        Position::At(exchange, strike) => Some((exchange.key.clone(), *strike)),
        Position::Before(_) => None,
    };
    let plan = move |arrived: &Exchange| {
        let (_, strike) = place.as_ref().filter(|(key, _)| fresh && *key == arrived.key)?;
        fresh = false;
        Some(*strike)
    };
    let (before, sentence) = match position {
        Position::Before(step) => {
            let silent = conversation.is_silent(step);
            let outcome = if silent { Outcome::Result } else { fault.before() };
            let sentence = Sentence { step: (*step).to_owned(), outcome };
            (Some(Before { step, fault }), Some(sentence))
        }
        Position::At(exchange, strike) => {
            let outcome = fault.outcome(conversation, exchange, strike.piece);
            let one_stream = conversation.has_one_stream() && exchange.label == "GET";
            // On one stream for all, it strikes what waits at that moment.
            let step = match exchange.came.get(strike.piece).filter(|_| one_stream) {
                Some((step, _)) if fault.at() != Where::Request => step.clone(),
                _ => exchange.step.clone(),
            };
            (None, outcome.map(|outcome| Sentence { step, outcome }))
        }
    };
    let run = converse(conversation, Box::new(plan), Some(fault), before);
    assert!(before.is_some() || run.struck.is_some(), "it did not strike");
    judge(&run, Some(fault), sentence.as_ref());
}

/// One test for each fault, with a name that says what happens.
macro_rules! survives {
    ($conversation:expr; $($name:ident: $fault:ident,)*) => {
        $(
            #[test]
            fn $name() {
                super::strike_everywhere($conversation, super::Fault::$fault);
            }
        )*
    };
}

macro_rules! suite {
    ($($module:ident: $conversation:ident,)*) => {
        $(
            mod $module {
                survives! { super::$conversation;
                    a_listener_that_is_gone: ListenerGone,
                    a_restart_between_two_requests: Restart,
                    a_reset_of_what_was_not_read: ResetUnsent,
                    a_reset_before_the_head: ResetBeforeHead,
                    an_end_before_the_head: CloseBeforeHead,
                    an_end_after_100_continue: ContinueThenClose,
                    a_stall_before_the_head_that_is_cut: StallBeforeHead,
                    a_stall_before_the_head_that_is_cancelled: CancelBeforeHead,
                    what_is_no_http: NotHttp,
                    a_429_with_retry_after: TooManyRequests,
                    a_503_with_retry_after: Unavailable,
                    a_404_of_a_gateway: NotFound,
                    a_redirect_to_another_origin: RedirectElsewhere,
                    a_307_on_the_same_origin: RedirectHere,
                    a_502_page: BadGateway,
                    an_empty_200: Empty200,
                    a_202_to_everything: Accepted202,
                    a_204: NoContent204,
                    a_101: SwitchingProtocols,
                    a_header_of_a_megabyte: HugeHeaders,
                    two_hundred_headers: TooManyHeaders,
                    a_header_of_60_kb: LongHeaders,
                    informational_replies_ahead: Informational,
                    a_proxy_that_buffers: Buffered,
                    a_trickle_of_single_bytes: Trickle,
                    a_reply_that_ends_with_its_connection: EndsByClosing,
                    a_wrong_content_type: WrongContentType,
                    a_reset_in_the_body: ResetInBody,
                    a_close_in_the_body: CloseInBody,
                    a_proxy_that_ends_idle_streams: EndInBody,
                    half_an_event: HalfEvent,
                    a_chunk_without_a_size: BadChunk,
                    a_stall_that_is_cut: StallThenCut,
                    a_stall_that_is_cancelled: StallThenCancel,
                    a_restart_in_the_body: RestartInBody,
                    a_truncated_gzip: TruncatedGzip,
                    what_is_no_utf8: NotUtf8,
                    what_is_no_utf8_ahead: NotUtf8Ahead,
                    an_unknown_id_ahead: UnknownIdAhead,
                    an_unknown_id_instead: UnknownIdInstead,
                    a_duplicate: Duplicate,
                    two_responses: TwoResponses,
                    an_answer_on_the_stream_of_another: ForeignStream,
                    an_answer_after_the_cancellation: AfterCancel,
                }
            }
        )*

        const CONVERSATIONS: &[Conversation] = &[$($conversation,)*];
    };
}

suite! {
    legacy_with_sessions: SESSIONS,
    legacy_without_sessions: PLAIN,
    modern: BOTH_MODERN,
    legacy_to_modern: TO_MODERN,
    modern_to_legacy: TO_LEGACY,
    http_sse: HTTP_SSE,
    modern_to_http_sse: TO_HTTP_SSE,
}

/// How many cases the tests above have.
#[test]
fn there_are_at_least_five_hundred_cases() {
    let mut cases = 0;
    for &conversation in CONVERSATIONS {
        let recorded = record(conversation);
        let each = fault::all().map(|fault| positions(conversation, &recorded, fault).len());
        cases += each.sum::<usize>();
    }
    assert!(cases >= 500, "{cases}");
}

//! Black-box tests: the real executable between a scripted client and scripted
//! servers. One topic per file; `support` holds the servers and the client.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod anew;
mod arrows;
mod bad_input;
mod batch;
mod big;
mod concurrency;
mod credentials;
mod eras;
mod exit;
#[cfg(unix)]
mod faults;
mod flow;
mod get_stream;
mod headers;
mod http_sse;
#[cfg(target_os = "linux")]
mod keychain;
#[cfg(unix)]
mod kinds;
mod legacy;
mod modern;
mod modern_headers;
mod mtls;
#[cfg(unix)]
mod oauth;
mod outages;
mod readme;
mod redirects;
mod replies;
mod resume;
mod secrets;
mod session;
#[cfg(target_os = "linux")]
mod sleep;
mod start;
mod stdio;
mod support;
mod tls;
mod vault;
mod verbs;
mod wire;

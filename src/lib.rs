//! keyferry: a bridge between an MCP client on stdio and a remote MCP server over HTTP, with
//! the credentials from a vault that the OS keychain guards.
//!
//! # Layout
//! From the top down; a module uses only what stands below it (`tests/it/arrows.rs`).
//! - [`cli`]: the command line as typed. [`config`]: what it means, with the environment.
//!   [`failure`]: what a person sees. [`logging`].
//! - [`commands`]: one verb per file.
//! - [`bridge`]: the loop over the client's lines, the only writer of stdout, requests in
//!   flight, the session, the end. In it `era` (pure): messages of one era in the words of the
//!   other, `eras` and `crossing` (which era the remote speaks, and the way through a
//!   translation), `stand_in` (answers while a person has to sign in).
//! - [`authorization`]: the headers for a request, and the answer when they are refused;
//!   alone sees the vault, OAuth and the kinds of credential. In it `tokens` (what is kept of a
//!   sign-in, and its refresh), `sign_in` (one at a time, with a person's help), `recipe` (how
//!   to come by a credential without a person) and `machine` (which does so), `connection` (the
//!   certificate, root and headers that go along with every kind), `proof` (of possession, for
//!   each request), `logout`, and what was last `seen` of a remote.
//! - [`transport`]: Streamable HTTP, HTTP+SSE and server-sent events; knows no credential.
//! - [`oauth`]: challenge, discovery, registration, authorization request, loopback redirect,
//!   token, device, further grants, client assertion, DPoP, revocation; knows no vault and no
//!   stdio.
//! - [`credential`]: the kinds that take no authorization server (key, JWT, login endpoint,
//!   service token, command), what each shows in the clear, and header templates. [`vault`]:
//!   sealed records and the key that opens them; knows no HTTP.
//! - [`jsonrpc`]: one line <-> one raw message. [`http`]: the one place a client is built, with
//!   its TLS identity. [`jws`]: signed tokens. [`pem`]: private keys and certificates as files
//!   hold them.
//!   [`secret`]: values that are never shown.
//!
//! # The way of a message
//! A line from stdin becomes a [`jsonrpc::Message`], which keeps the bytes and looks only at
//! what decides where it goes. It is POSTed with the credential's headers. What comes back,
//! JSON or server-sent events, is checked for being a message, matched with the request that
//! waits for it, and written as one line. The bytes are never re-serialised.
//!
//! Where client and remote are of different eras, a translation stands between the client's
//! lines and everything else here: it is given what the client says, and says it in the remote's
//! era with ids of its own; what comes back goes through it to the client. It is a state machine
//! without I/O, so that the rest (credentials, sessions, retries, the stand-in) speaks one era to
//! one remote and knows nothing of the other.
//!
//! A remote of 2024-11-05 (HTTP+SSE) answers on one stream for all: that is the session, and what
//! waits on it is answered when it ends.
//!
//! # The way of a sign-in
//! A request that goes out without a token comes back with 401 and an [`oauth::Challenge`]. The
//! bridge's stand-in answers the client in the meantime. The sign-in takes its turn among all
//! processes, discovers the authorization server, finds or registers a client, listens on
//! loopback, opens the browser, checks what comes back, exchanges the code, and seals the tokens
//! before anybody is told. Then the real remote takes the place of the stand-in.
//!
//! # The way of a refresh
//! Ahead of expiry, or when the remote refuses the token that a request carried: under the lock
//! of the record the tokens are read again, as another process may have renewed them; a file is
//! reserved for the answer; the refresh token is sent; the answer is persisted before it is used.
//! Only a refused grant ends the sign-in, and no failure of the network does.
//!
//! # The way of a credential without a person
//! Flags or the vault hold a recipe. Before a request it becomes headers: signed here, asked of
//! a server, or printed by a program. They are kept until shortly before their end; where a
//! server gave them, in the vault too, for the other processes. A refusal has them made anew
//! once, and after that it is the person's: the error names who refused, and the command that
//! teaches something better.

pub mod authorization;
pub mod bridge;
pub mod cli;
pub mod commands;
pub mod config;
pub mod credential;
pub mod failure;
pub mod http;
pub mod jsonrpc;
pub mod jws;
pub mod logging;
pub mod oauth;
pub mod pem;
pub mod secret;
pub mod transport;
pub mod vault;

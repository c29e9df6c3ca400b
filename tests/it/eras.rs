//! A client and a remote of different eras: which one the remote speaks, found out, remembered,
//! found out again. What the translations say is in `src/bridge/era` and tests/interop.

mod changes;
mod choice;
mod subscription;
mod translated;

//! `initialize` by `server/discover` (MCP 2026-07-28, "Discovery").

use super::calls::{METHOD_NOT_FOUND, response};
use super::identity::{Identity, MODERN};
use super::listen::Offered;
use super::members::{Edits, Object, joined, member, quoted};
use super::request::{Outgoing, Purpose, versions};
use super::result::{server_info, strip};
use super::{Timer, ToModern, pause};
use crate::bridge::refusal::REFUSED;
use crate::jsonrpc::object::get;
use crate::jsonrpc::{BridgeError, Message};
use bytes::Bytes;
use std::time::Duration;

const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Tasks in the words of 2025-11-25: whatever the extension has, and no list.
const TASKS: &[u8] = br#""tasks":{"cancel":{},"requests":{"tools":{"call":{}}}}"#;

/// The newest version of a raw array that is known here.
pub(super) fn choose(supported: &[u8]) -> Option<&'static str> {
    let supported: Vec<_> = versions(supported).collect();
    MODERN.into_iter().rev().find(|known| supported.iter().any(|one| one == known))
}

impl ToModern {
    /// The client's `initialize`, perhaps not the first.
    pub(super) fn initialize(&mut self, call: u64, message: &Message) {
        self.start_over(message);
        let request = Outgoing::own("server/discover", Vec::new());
        self.discovering = Some(self.send(Purpose::Discover(Some(call)), request));
    }

    /// Forgets what an earlier handshake brought; calls under way go on.
    pub(super) fn start_over(&mut self, initialize: &Message) {
        self.identity = Identity::of(initialize);
        self.told = None;
        self.resuming = None;
        self.remote_has_tasks = false;
        self.cache.clear();
        self.timers.retain(|_, timer| !matches!(timer, Timer::Discover { .. }));
        self.end_listening();
    }

    /// Discovers for a client that was told everything already.
    pub(super) fn rediscover(&mut self, initialize: Message, failures: u32) {
        let request = Outgoing::own("server/discover", Vec::new());
        let number = self.send(Purpose::Discover(None), request);
        self.resuming = Some((initialize, failures));
        // Nothing waits for another try.
        self.discovering = Some(number).filter(|_| failures == 0);
    }

    pub(super) fn discovered(&mut self, number: u64, call: Option<u64>, message: &Message) {
        let now = self.discovering == Some(number);
        let resuming = if call.is_none() { self.resuming.take() } else { None };
        if now {
            self.discovering = None;
        }
        match (self.learn(message, now || resuming.is_some()), call) {
            (Ok(result), Some(call)) => {
                let initialize = self.calls.get(call).map(|call| call.message.clone());
                if let Some(initialize) = initialize.filter(|_| now) {
                    self.told = Some((initialize, result.clone()));
                }
                self.answer(call, response(&self.client_id(call), &result));
            }
            (Ok(result), None) => {
                if let Some((initialize, _)) = resuming {
                    self.told = Some((initialize, result));
                    self.announce_all();
                }
            }
            (Err(Some(error)), Some(call)) => self.refuse(call, &error),
            (Err(None), Some(call)) => self.pass_error(call, message),
            // It may be reached later; what cannot be discovered then has to do without.
            (Err(None), None) if message.error_code() != Some(METHOD_NOT_FOUND.into()) => {
                if let Some((initialize, failures)) = resuming {
                    let wait = pause(failures, LONGEST_PAUSE);
                    self.after(wait, Timer::Discover { initialize, failures });
                }
            }
            (Err(_), None) => {}
        }
        if now {
            self.start_queued();
        }
        if self.discovering.is_none() {
            self.settle();
        }
    }

    /// The raw result of `initialize`; `now`: it is the one that counts. An error of the remote
    /// itself is `None`.
    fn learn(&mut self, message: &Message, now: bool) -> Result<Bytes, Option<BridgeError>> {
        let range = message.result_range().ok_or(None)?;
        let text = message.text();
        let Some(result) = Object::read(text, range.start) else {
            let error = format!("{} gave no result that describes it", self.remote);
            let error = BridgeError::new(REFUSED, error);
            return Err(Some(error.with_hint("check the URL; tell who runs the server")));
        };
        let supported = result.get(text, "supportedVersions");
        // It took this version, even if it does not say so.
        let version = supported.map_or(Some(self.identity.modern), choose);
        let Some(version) = version else {
            return Err(Some(self.no_common_version(supported.unwrap_or_default())));
        };
        let capabilities = result.get(text, "capabilities").unwrap_or(b"{}");
        if now {
            self.identity.modern = version;
            self.listen.offered = Offered::by(capabilities);
            let extensions = get(capabilities, "extensions").unwrap_or_default();
            self.remote_has_tasks = get(extensions, super::TASKS).is_some();
        }
        Ok(self.initialize_result(text, &result))
    }

    fn initialize_result(&self, text: &[u8], result: &Object) -> Bytes {
        let mut edits = Edits::default();
        let version = member("protocolVersion", &quoted(self.identity.version));
        let info = server_info(text, result).unwrap_or_default();
        let mut front = vec![version, member("serverInfo", &named(&info))];
        let mut out = vec![
            "resultType",
            "ttlMs",
            "cacheScope",
            "supportedVersions",
            "protocolVersion",
            "serverInfo",
        ];
        let capabilities = result.value(text, "capabilities");
        match capabilities.and_then(|at| Object::read(text, at.start)) {
            Some(one) if self.has_tasks() => one.rewrite(text, &["tasks"], TASKS, &mut edits),
            Some(_) => {}
            None => {
                out.push("capabilities");
                front.push(member("capabilities", b"{}"));
            }
        }
        let front: Vec<_> = front.iter().map(Vec::as_slice).collect();
        strip(text, result, &out, &joined(&front), b"", &mut edits);
        edits.apply_within(text, result)
    }
}

/// Who the server is, with the name and version that legacy clients insist on.
fn named(info: &[u8]) -> Vec<u8> {
    let info = if info.is_empty() { b"{}" } else { info };
    let Some(read) = Object::read(info, 0) else { return named(b"") };
    let lacks = |name: &str| !read.get(info, name).is_some_and(|raw| raw.starts_with(b"\""));
    let lacking: Vec<_> = ["name", "version"].into_iter().filter(|name| lacks(name)).collect();
    let made: Vec<_> = lacking.iter().map(|name| member(name, b"\"unknown\"")).collect();
    let made: Vec<_> = made.iter().map(Vec::as_slice).collect();
    let mut edits = Edits::default();
    read.rewrite(info, &lacking, &joined(&made), &mut edits);
    edits.apply(info).to_vec()
}

//! The device authorization grant (RFC 8628).

use super::client::error;
use super::state::Device;
use super::token::{Key, Refused};
use super::{Asked, Client, Provider};
use crate::support::http::Wire;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// The code that a person types.
pub(crate) const USER_CODE: &str = "WDJB-MJHT";

impl Provider {
    pub(super) fn device_authorization(&self, asked: &Asked, wire: Wire) {
        assert_eq!(asked.method, "POST");
        let client = match self.client(asked) {
            Ok(client) => client,
            Err(why) => return error(wire, 401, "invalid_client", why),
        };
        let script = self.script();
        self.check_resource(&script, asked);
        let mut state = self.state();
        let (scope, resource) = (asked.param("scope"), asked.param("resource"));
        let grant = state.grant(&client.id, script.user, scope, resource);
        let code = state.secret("device");
        let interval = Duration::from_secs(script.device_interval);
        let device = Device { client: client.id, grant, polled: None, interval };
        state.devices.insert(code.clone(), device);
        let body = json!({
            "device_code": code,
            "user_code": USER_CODE,
            "verification_uri": format!("{}/device", self.origin),
            "verification_uri_complete": format!("{}/device?user_code={USER_CODE}", self.origin),
            "expires_in": script.device_expires_in,
            "interval": script.device_interval,
        });
        wire.json(body.to_string());
    }

    pub(super) fn redeem_device(
        &self,
        asked: &Asked,
        client: &Client,
        key: Key,
    ) -> Result<Map<String, Value>, Refused> {
        let answer = self.script().device_polls.pop_front();
        let mut state = self.state();
        let code = asked.param("device_code").expect("a device_code");
        let device = state.devices.get_mut(code).ok_or(("invalid_grant", "no such code"))?;
        assert_eq!(device.client, client.id, "another client's device code");
        if let Some(polled) = device.polled.replace(Instant::now()) {
            // The interval counts from answer to question; some of it is lost on the way.
            let waited = polled.elapsed() + Duration::from_millis(100);
            assert!(waited >= device.interval, "polled after {waited:?}");
        }
        if answer == Some("slow_down") {
            device.interval += Duration::from_secs(5);
        }
        let grant = device.grant;
        drop(state);
        match answer {
            Some(error) => Err((error, "as scripted")),
            None => Ok(self.issue(grant, None, key)),
        }
    }
}

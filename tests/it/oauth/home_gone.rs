//! The vault is taken away, or can only be read, under a running bridge.

use super::live_as;
use crate::support::browser::wait;
use crate::support::preload::Disk;
use crate::support::scene::Scene;

/// What is in memory is used to its end; then a person is asked.
#[test]
fn a_vault_that_is_deleted_under_a_running_bridge_costs_one_sign_in() {
    let scene = Scene::new().signed_in();
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    std::fs::remove_dir_all(scene.home.dir()).expect("delete the vault");
    live_as(&mut bridge, "ada");
    assert_eq!(scene.browser.tabs().len(), 1);
    scene.auth.revoke_access_tokens();
    live_as(&mut bridge, "ada");
    live_as(&mut bridge, "ada");
    assert_eq!(scene.browser.tabs().len(), 2);
}

/// As with a full disk: nothing is spent that could not be kept.
#[test]
fn a_home_that_can_only_be_read_from_now_on_costs_no_sign_in() {
    let scene = Scene::new().signed_in();
    let disk = Disk::new();
    let mut bridge = disk.hold(scene.launch().args(&["--auth-timeout", "2"])).start().ready();
    live_as(&mut bridge, "ada");
    disk.read_only(true);
    live_as(&mut bridge, "ada");
    scene.auth.revoke_access_tokens();
    bridge.call("1");
    let error = bridge.own_error("1", &[-31008]);
    assert!(error["data"]["hint"].is_string(), "{error}");
    assert_eq!(scene.auth.refreshed(), 0, "it was spent");
    disk.read_only(false);
    // Failures are remembered for a little while.
    wait("a call", || {
        bridge.call("2");
        bridge.answer("2").get("result").map(|_| ())
    });
    live_as(&mut bridge, "ada");
    assert_eq!(scene.auth.refreshed(), 1);
    assert_eq!(scene.browser.tabs().len(), 1);
}

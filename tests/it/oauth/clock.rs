//! Clocks that jump, and machines that slept: no token is shown past its end, and none is
//! renewed with every request.

use super::live_as;
use crate::support::bridge::Bridge;
use crate::support::preload::Clock;
use crate::support::scene::Scene;

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

/// One real server ends the grant when it is shown an expired token.
fn scene(lifetime: u64) -> Scene {
    Scene::scripted(|script| {
        script.lifetime = Some(lifetime);
        script.expired_ends_the_grant = true;
    })
}

#[track_caller]
fn calls(bridge: &mut Bridge, count: usize) {
    for _ in 0..count {
        live_as(bridge, "ada");
    }
}

/// Asleep, or set right after having been behind: by the wall clock the token is over.
#[test]
fn a_clock_that_jumps_ahead_leads_to_one_renewal() {
    let scene = scene(3600).signed_in();
    let clock = Clock::new();
    let mut bridge = clock.rules(scene.launch()).start().ready();
    calls(&mut bridge, 2);
    assert_eq!(scene.auth.refreshed(), 0);
    clock.set(DAY);
    calls(&mut bridge, 5);
    assert_eq!(scene.auth.refreshed(), 1);
    assert_eq!(scene.auth.reused(), 0);
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn a_clock_that_jumps_back_leads_to_one_renewal_at_most() {
    let scene = scene(3600).signed_in();
    let clock = Clock::new();
    let mut bridge = clock.rules(scene.launch()).start().ready();
    calls(&mut bridge, 2);
    clock.set(-DAY);
    calls(&mut bridge, 5);
    assert!(scene.auth.refreshed() <= 1, "{} renewals", scene.auth.refreshed());
    assert_eq!(scene.browser.tabs().len(), 1);
    // And at the next start, with what was written then.
    bridge.finish();
    let before = scene.auth.refreshed();
    let mut bridge = clock.rules(scene.launch()).start().ready();
    calls(&mut bridge, 5);
    assert!(scene.auth.refreshed() <= before + 1, "{} renewals", scene.auth.refreshed());
}

/// Off from the first to the last, as a machine's that was set to the wrong zone.
#[test]
fn a_clock_that_is_off_by_an_hour_all_the_time_changes_nothing() {
    for offset in [-HOUR, HOUR] {
        let scene = scene(600);
        let clock = Clock::new();
        clock.set(offset);
        let mut bridge = clock.rules(scene.launch()).start().ready();
        calls(&mut bridge, 5);
        bridge.finish();
        calls(&mut clock.rules(scene.launch()).start().ready(), 5);
        assert_eq!(scene.auth.refreshed(), 0, "{offset}");
        assert_eq!(scene.browser.tabs().len(), 1);
    }
}

/// Signed in while the clock was a day ahead; now it is right.
#[test]
fn a_token_from_the_future_is_renewed_once_and_then_used() {
    let scene = scene(3600);
    let clock = Clock::new();
    clock.set(DAY);
    let mut bridge = clock.rules(scene.launch()).start().ready();
    calls(&mut bridge, 3);
    assert_eq!(scene.auth.refreshed(), 0);
    bridge.finish();
    let mut bridge = scene.bridge().ready();
    calls(&mut bridge, 5);
    assert_eq!(scene.auth.refreshed(), 1);
    drop(bridge);
    calls(&mut scene.bridge().ready(), 2);
    assert_eq!(scene.auth.refreshed(), 1);
    assert_eq!(scene.browser.tabs().len(), 1);
}

/// A bridge whose clock is wrong does not disturb one whose clock is right.
#[test]
fn a_renewal_by_a_wrong_clock_signs_nobody_out() {
    let scene = scene(3600).signed_in();
    let clock = Clock::new();
    let mut wrong = clock.rules(scene.launch()).start().ready();
    let mut right = scene.bridge().ready();
    for offset in [DAY, -DAY, 0] {
        clock.set(offset);
        calls(&mut wrong, 2);
        calls(&mut right, 2);
        scene.auth.revoke_access_tokens();
        calls(&mut right, 2);
        calls(&mut wrong, 2);
    }
    assert_eq!(scene.auth.reused(), 0);
    assert_eq!(scene.browser.tabs().len(), 1);
    let refreshed = scene.auth.refreshed();
    assert!(refreshed <= 9, "{refreshed} renewals in 24 calls");
}

/// By the wall clock it has half a minute more than it has.
#[test]
fn a_clock_that_was_set_back_a_little_makes_no_token_live_longer() {
    let scene = scene(5);
    let clock = Clock::new();
    let mut bridge = clock.rules(scene.launch()).start().ready();
    calls(&mut bridge, 1);
    clock.set(-30);
    calls(&mut bridge, 1);
    scene.auth.wait_expiry();
    scene.auth.script(|script| script.lifetime = Some(3600));
    calls(&mut bridge, 3);
    assert_eq!(scene.auth.expired_shown(), 0);
    assert!(scene.auth.refreshed() <= 2, "{} renewals", scene.auth.refreshed());
    assert_eq!(scene.browser.tabs().len(), 1);
}

//! What strikes, and when.

use crate::dice::Dice;
use crate::faults::conversation::Conversation;
use crate::faults::fault::{self, Fault, Where};
use crate::faults::record::{Exchange, Plan, Strike};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// So many of a thousand exchanges are struck in a storm.
const STRUCK: usize = 60;

/// The faults of the table, at random, while there is a storm.
#[derive(Clone, Default)]
pub(crate) struct Weather(Arc<State>);

#[derive(Default)]
struct State {
    storm: AtomicBool,
    strikes: Mutex<BTreeMap<String, usize>>,
}

impl Weather {
    pub(crate) fn set_storm(&self, storm: bool) {
        self.0.storm.store(storm, Ordering::SeqCst);
    }

    /// How often each fault has struck.
    pub(crate) fn strikes(&self) -> BTreeMap<String, usize> {
        self.0.strikes.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, name: &str) {
        *self.0.strikes.lock().unwrap().entry(name.to_owned()).or_default() += 1;
    }

    /// The plan for a proxy. A recorded conversation tells what each exchange looks like.
    pub(crate) fn plan(&self, conversation: Conversation, mut dice: Dice) -> Plan {
        let recorded = crate::faults::record(conversation).exchanges;
        let known: HashMap<_, _> =
            recorded.into_iter().map(|exchange| (exchange.label.clone(), exchange)).collect();
        let faults: Vec<_> = fault::all().filter(|fault| fault.at() != Where::Step).collect();
        let weather = self.clone();
        Box::new(move |exchange| {
            if !weather.0.storm.load(Ordering::SeqCst) || !dice.per_mille(STRUCK) {
                return None;
            }
            let fault = *dice.one_of(&faults);
            let strikes = fault.strikes(known.get(&exchange.label)?);
            if strikes.is_empty() || (fault.is_cancelled() && !may_be_cancelled(exchange)) {
                return None;
            }
            weather.count(&format!("{fault:?}"));
            Some(*dice.one_of::<Strike>(&strikes))
        })
    }
}

/// A request of the client itself, other than the handshake.
fn may_be_cancelled(exchange: &Exchange) -> bool {
    let own = |id: &String| id.starts_with("\"keyferry");
    exchange.label != "initialize" && exchange.id.as_ref().is_some_and(|id| !own(id))
}

/// The two faults that need the driver.
pub(crate) const DRIVEN: [Fault; 2] = [Fault::ListenerGone, Fault::Restart];

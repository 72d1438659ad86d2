//! What a client says of itself every few seconds.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU32, Ordering},
};

use serde::Deserialize;

/// How often it does, in milliseconds.
pub(super) const EVERY: &str = "5000";
/// What is said of a client that has lost its [`Brokers`].
pub(super) const LOST: &str = "the client has no broker left to ask";

/// What is looked at of a client's statistics (librdkafka's STATISTICS.md).
#[derive(Deserialize)]
pub(super) struct Statistics {
    pub(super) cgrp: Option<Group>,
    brokers: HashMap<String, Broker>,
}

#[derive(Deserialize)]
pub(super) struct Group {
    pub(super) state: String,
    pub(super) join_state: String,
    pub(super) rebalance_reason: String,
}

#[derive(Deserialize)]
struct Broker {
    source: String,
}

impl Group {
    pub(super) fn is_settled(&self) -> bool {
        self.state == "up" && self.join_state == "steady"
    }
}

impl Statistics {
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        let read = serde_json::from_slice(json);
        read.inspect_err(|error| tracing::debug!(%error, "the client's statistics were not read")).ok()
    }

    /// The coordinator of a group is listed too, as a broker without an address of its own.
    fn knows_a_broker(&self) -> bool {
        self.brokers.values().any(|it| it.source != "logical")
    }
}

/// Whether a client has lost all its brokers for good.
///
/// librdkafka drops every broker that is missing from the metadata it is sent. A broker that was frozen for longer than
/// its session with the controller finds itself fenced, and if it is alone, its metadata names none. The client is then
/// to begin anew at `bootstrap.servers`; but that is called off if it is noticed before the same metadata has been
/// dealt with, once and for all: from there on the client asks nobody, and reports nothing.
#[derive(Default)]
pub(super) struct Brokers {
    /// So many statistics in a row knew of none.
    without: AtomicU32,
}

impl Brokers {
    pub(super) fn note(&self, statistics: &Statistics) {
        match statistics.knows_a_broker() {
            true => self.without.store(0, Ordering::Relaxed),
            false => drop(self.without.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Told by two statistics: a client that does begin anew has a broker again within milliseconds.
    pub(super) fn are_lost(&self) -> bool {
        self.without.load(Ordering::Relaxed) >= 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_lost_when_none_but_the_coordinators_name_is_left_and_not_in_passing() {
        let read = |brokers: &str| {
            let json = format!(r#"{{"name":"c","brokers":{{{brokers}}},"topics":{{}}}}"#);
            Statistics::read(json.as_bytes()).unwrap()
        };
        let coordinator = r#""GroupCoordinator":{"nodeid":-1,"source":"logical","state":"TRY_CONNECT"}"#;
        let away = r#""localhost:1/1":{"nodeid":1,"source":"learned","state":"DOWN"}"#;
        let (alone, outage) = (read(coordinator), read(&format!("{coordinator},{away}")));
        let brokers = Brokers::default();

        let told = [&alone, &outage, &alone, &alone, &outage].map(|it| {
            brokers.note(it);
            brokers.are_lost()
        });

        assert_eq!(told, [false, false, false, true, false]);
    }
}

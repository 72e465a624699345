//! The scenarios. Each is small, and walked through to its end.

use mqtt_core::{Acknowledge, ProtocolVersion};

use crate::scenario::{Budget, Command::Publish, Command::Subscribe, Scenario};

const NOTHING: Budget = Budget { cuts: 0, forgets: 0, crashes: 0, repeats: 0, refusals: 0, failures: 0 };

const PLAIN: Scenario = Scenario {
    name: "",
    version: ProtocolVersion::V5_0,
    commands: &[],
    incoming: &[],
    acknowledge: Acknowledge::AtOnce,
    receive_maximum: 2,
    durable: false,
    republish: false,
    wrap: false,
    come_round: false,
    budget: NOTHING,
};

pub fn all(quick: bool) -> Vec<Scenario> {
    let few = u8::from(!quick);
    let v3 = ProtocolVersion::V3_1_1;
    vec![
        Scenario {
            name: "publish QoS 2, 2, 1",
            commands: &[Publish(2), Publish(2), Publish(1)],
            budget: Budget { cuts: 1 + few, forgets: few, ..NOTHING },
            ..PLAIN
        },
        Scenario {
            name: "publish QoS 2, 2, Receive Maximum 1, identifiers wrap, refusals",
            commands: &[Publish(2), Publish(2), Subscribe, Publish(2)],
            receive_maximum: 1,
            wrap: true,
            budget: Budget { cuts: 1 + few, refusals: 1, ..NOTHING },
            ..PLAIN
        },
        Scenario {
            name: "publish QoS 2, 1, and all identifiers in between",
            commands: &[Publish(2), Publish(1)],
            come_round: true,
            budget: Budget { cuts: 1, ..NOTHING },
            ..PLAIN
        },
        Scenario {
            name: "receive QoS 2, 2, 1",
            incoming: &[2, 2, 1],
            budget: Budget { cuts: 1 + few, forgets: 1, ..NOTHING },
            ..PLAIN
        },
        Scenario {
            // 5.0 forbids it, and 3.1.1 has brokers that do it.
            name: "3.1.1: receive QoS 2, 2, 2 from a broker that repeats itself",
            version: v3,
            incoming: &[2, 2, 2],
            budget: Budget { cuts: 1, repeats: 1 + few, ..NOTHING },
            ..PLAIN
        },
        Scenario {
            name: "receive QoS 2, 1, 2, 1, acknowledged by hand",
            incoming: &[2, 1, 2, 1],
            acknowledge: Acknowledge::ByApplication,
            budget: Budget { cuts: 1 + few, forgets: few, ..NOTHING },
            ..PLAIN
        },
        Scenario {
            name: "both ways, QoS 2 and 1",
            commands: &[Publish(2), Publish(1)],
            incoming: &[2, 1],
            budget: Budget { cuts: 1 + few, forgets: few, ..NOTHING },
            ..PLAIN
        },
        Scenario {
            name: "3.1.1: both ways, QoS 2",
            version: v3,
            commands: &[Publish(2), Publish(2)],
            incoming: &[2, 2],
            budget: Budget { cuts: 1 + few, forgets: 1, ..NOTHING },
            ..PLAIN
        },
        Scenario {
            name: "a store: publish QoS 2, 1",
            commands: &[Publish(2), Publish(1)],
            durable: true,
            budget: Budget { crashes: 1 + few, forgets: 1, failures: 1, ..NOTHING },
            ..PLAIN
        },
        Scenario {
            name: "a store: publish QoS 2, 2, anew in a new session",
            commands: &[Publish(2), Publish(2)],
            durable: true,
            republish: true,
            budget: Budget { crashes: 1, cuts: 1, forgets: 1, failures: few, ..NOTHING },
            ..PLAIN
        },
        Scenario {
            name: "a store: receive QoS 2, 2, by hand",
            incoming: &[2, 2],
            acknowledge: Acknowledge::ByApplication,
            durable: true,
            budget: Budget { crashes: 1 + few, cuts: 1, ..NOTHING },
            ..PLAIN
        },
        Scenario {
            name: "a store: receive QoS 2, 2, 2, 1, by hand, on one connection",
            incoming: &[2, 2, 2, 1],
            acknowledge: Acknowledge::ByApplication,
            durable: true,
            ..PLAIN
        },
        Scenario {
            name: "a store that fails: receive QoS 2, 2",
            incoming: &[2, 2],
            durable: true,
            budget: Budget { crashes: 1, cuts: few, failures: 1 + few, ..NOTHING },
            ..PLAIN
        },
        Scenario {
            name: "a store, 3.1.1: both ways, QoS 2",
            version: v3,
            commands: &[Publish(2)],
            incoming: &[2],
            durable: true,
            budget: Budget { crashes: 1 + few, forgets: few, cuts: few, failures: few, ..NOTHING },
            ..PLAIN
        },
    ]
}

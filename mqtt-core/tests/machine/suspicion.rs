//! An exchange that kills every connection fails alone.

use mqtt_core::{ArraySubscriptions, Packet, ReasonCode, Renewal, Sender, SubscriptionList, Suspicion};

use crate::support::{Pair, any_version, id, options};

/// A pair whose packets leave under suspicion.
struct Watched {
    pair: Pair,
    suspicion: Suspicion,
}

impl Watched {
    fn connected(version: mqtt_core::ProtocolVersion, allowed: u8) -> Self {
        Self { pair: Pair::connected(version), suspicion: Suspicion::new(allowed) }
    }

    /// All that leaves now. A PINGREQ has its answer at once.
    fn sent(&mut self) -> Vec<String> {
        let mut lines = self.sent_unanswered();
        while lines.last().is_some_and(|line| line == "PINGREQ") {
            lines.pop();
            self.pair.pingresp();
            lines.extend(self.sent_unanswered());
        }
        lines
    }

    fn sent_unanswered(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut out = vec![0; 2048];
        let now = self.pair.now;
        while let Some(transmit) = self.suspicion.poll_transmit(&mut self.pair.machine, now, &mut out).unwrap() {
            let packet = Packet::decode(self.pair.version, Sender::Client, &out[..transmit.head_len]).unwrap();
            lines.push(crate::support::packet_line(&packet));
            self.pair.machine.transmitted(now, transmit.head_len);
        }
        lines
    }

    /// The Server closes; tells whether something is given up.
    fn dies(&mut self) -> bool {
        self.pair.machine.transport_lost();
        self.suspicion.connection_died(&mut self.pair.machine)
    }

    fn reconnect(&mut self, present: bool) {
        let connected = self.pair.reconnect(present);
        assert!(connected[0].starts_with("Connected"), "{connected:?}");
    }
}

// trap R4
#[test]
fn a_message_that_kills_every_connection_fails_alone() {
    for version in any_version() {
        for present in [true, false] {
            let mut watched = Watched::connected(version, 3);
            for payload in ["fine", "poison", "after"] {
                watched.pair.publish(1, payload).unwrap();
            }
            // The Server never answers: it dies of the second one, before its answer to the first has left.
            for round in 0..3 {
                assert_eq!(watched.sent().len(), 3, "all at once in round {round}");
                assert!(!watched.dies());
                watched.reconnect(present);
            }
            assert!(watched.suspicion.is_one_at_a_time());
            let dup = if present { " dup" } else { "" };
            assert_eq!(watched.sent(), [format!("PUBLISH #1 q1{dup} t fine")]);
            watched.pair.puback(1);
            assert_eq!(watched.sent(), [format!("PUBLISH #2 q1{dup} t poison")]);
            // Once may be an accident.
            assert!(!watched.dies());
            watched.reconnect(present);
            assert_eq!(watched.sent(), [format!("PUBLISH #2 q1{dup} t poison")]);
            assert!(watched.dies());
            assert_eq!(watched.pair.outcomes(), ["Publish #2 GivenUp"]);
            // Those that were unanswered beside it are still looked at one by one.
            watched.reconnect(present);
            assert_eq!(watched.sent(), [format!("PUBLISH #3 q1{dup} t after")]);
            watched.pair.publish(1, "new").unwrap();
            assert_eq!(watched.sent(), [""; 0]);
            watched.pair.puback(3);
            watched.pair.publish(1, "newer").unwrap();
            assert_eq!(watched.sent(), ["PUBLISH #4 q1 t new", "PUBLISH #5 q1 t newer"]);
            assert!(!watched.suspicion.is_one_at_a_time());
        }
    }
}

#[test]
fn what_is_given_up_at_qos_2_is_so_before_pubrec_and_behind_it() {
    for version in any_version() {
        for released in [false, true] {
            let mut watched = Watched::connected(version, 1);
            watched.pair.publish(2, "poison").unwrap();
            watched.pair.publish(2, "fine").unwrap();
            watched.sent();
            if released {
                watched.pair.pubrec(1);
                assert_eq!(watched.sent(), ["PUBREL #1"]);
            }
            assert!(!watched.dies());
            watched.reconnect(true);
            let alone = if released { "PUBREL #1" } else { "PUBLISH #1 q2 dup t poison" };
            for given_up in [false, true] {
                assert_eq!(watched.sent(), [alone]);
                assert_eq!(watched.dies(), given_up);
                if !given_up {
                    watched.reconnect(true);
                }
            }
            assert_eq!(watched.pair.outcomes(), ["Publish #1 GivenUp"]);
            watched.reconnect(true);
            assert_eq!(watched.sent(), ["PUBLISH #2 q2 dup t fine"]);
            watched.pair.pubrec(2);
            assert_eq!(watched.sent(), ["PUBREL #2"]);
            watched.pair.pubcomp(2);
            assert_eq!(watched.sent(), [""; 0]);
            assert!(!watched.suspicion.is_one_at_a_time() && watched.pair.session().is_idle());
        }
    }
}

#[test]
fn a_subscribe_and_a_renewal_that_kill_every_connection_fail_alone() {
    for version in any_version() {
        let mut watched = Watched::connected(version, 2);
        for (number, filter) in (1..).zip(["a", "b"]) {
            watched.pair.subscribe(&[(filter, 1)]).unwrap();
            watched.sent();
            watched.pair.suback(number, &[1]);
        }
        // The broker forgets the session, and may no longer be asked for `a`.
        for _ in 0..2 {
            watched.dies();
            watched.reconnect(false);
            assert_eq!(watched.sent().len(), 2);
        }
        assert!(!watched.dies());
        for given_up in [false, true] {
            watched.reconnect(false);
            let line = watched.sent();
            assert!(line.len() == 1 && line[0].ends_with("a:1"), "{line:?}");
            assert_eq!(watched.dies(), given_up);
        }
        let list: &ArraySubscriptions<6, 32> = &watched.pair.machine.subscriptions;
        assert_eq!(list.renewal(0), Some(Renewal::Refused(ReasonCode::UNSPECIFIED_ERROR)));
        assert_eq!(watched.pair.outcomes(), [""; 0]);
        watched.pair.machine.subscriptions.remove(mqtt_core::TopicFilter::new("a").unwrap());
        watched.reconnect(false);
        let line = watched.sent();
        assert!(line.len() == 1 && line[0].ends_with("b:1"), "{line:?}");
        let number = line[0].split(['#', ' ']).nth(2).unwrap().parse().unwrap();
        watched.pair.suback(number, &[1]);
        assert_eq!(watched.sent(), [""; 0]);
        assert!(!watched.suspicion.is_one_at_a_time());

        // A first SUBSCRIBE has an outcome.
        let number = watched.pair.subscribe(&[("c", 1)]).unwrap();
        for _ in 0..3 {
            assert_eq!(watched.sent().last().unwrap(), &format!("SUBSCRIBE #{number} c:1"));
            assert!(!watched.dies());
            watched.reconnect(true);
        }
        watched.sent();
        assert!(watched.dies());
        assert_eq!(watched.pair.outcomes(), [format!("Subscribe #{number} GivenUp")]);
    }
}

#[test]
fn who_answers_in_between_is_not_suspected() {
    for version in any_version() {
        let mut watched = Watched::connected(version, 2);
        watched.pair.publish(1, "x").unwrap();
        for number in 1..=20 {
            watched.pair.publish(1, "y").unwrap();
            watched.sent();
            // One has its answer on each connection, so the oldest is always another one.
            watched.pair.puback(number);
            assert!(!watched.dies() && !watched.suspicion.is_one_at_a_time());
            watched.reconnect(true);
        }
    }
}

#[test]
fn only_an_end_that_a_packet_may_be_the_reason_of_counts() {
    use mqtt_core::ReasonCode as R;
    for (reason, counts) in [
        (R::NOT_AUTHORIZED, true),
        (R::PACKET_TOO_LARGE, true),
        (R::UNSPECIFIED_ERROR, true),
        (R::SERVER_SHUTTING_DOWN, false),
        (R::SESSION_TAKEN_OVER, false),
        (R::KEEP_ALIVE_TIMEOUT, false),
        (R::ADMINISTRATIVE_ACTION, false),
    ] {
        let mut watched = Watched::connected(mqtt_core::ProtocolVersion::V5_0, 1);
        watched.pair.publish(1, "x").unwrap();
        watched.sent();
        watched.pair.disconnect_in(reason);
        watched.suspicion.connection_died(&mut watched.pair.machine);
        assert_eq!(watched.suspicion.is_one_at_a_time(), counts, "{reason}");
    }
    // Nor does one with nothing unanswered, nor any where suspicion is off.
    for (allowed, payloads) in [(1, 0), (0, 1)] {
        for version in any_version() {
            let mut watched = Watched::connected(version, allowed);
            for _ in 0..payloads {
                watched.pair.publish(1, "x").unwrap();
            }
            for _ in 0..300 {
                watched.sent();
                assert!(!watched.dies() && !watched.suspicion.is_one_at_a_time());
                watched.reconnect(true);
            }
        }
    }
}

#[test]
fn acknowledgements_and_pings_pass_while_an_exchange_waits_alone() {
    for version in any_version() {
        let mut watched = Watched::connected(version, 1);
        watched.pair.publish(1, "x").unwrap();
        watched.pair.publish(1, "y").unwrap();
        watched.sent();
        watched.dies();
        watched.reconnect(true);
        // Before anything else.
        assert_eq!(watched.sent_unanswered(), ["PINGREQ"]);
        assert_eq!(watched.sent_unanswered(), [""; 0]);
        watched.pair.pingresp();
        assert_eq!(watched.sent_unanswered(), ["PUBLISH #1 q1 dup t x"]);
        watched.pair.message(1, 9, "in");
        let token = watched.pair.tokens.pop();
        if let Some(token) = token {
            let _ = watched.pair.machine.acknowledge(token, ReasonCode::SUCCESS);
        }
        assert_eq!(watched.sent(), ["PUBACK #9"]);
        watched.pair.machine.ping().unwrap();
        assert_eq!(watched.sent_unanswered(), ["PINGREQ"]);
    }
}

// A Server that throws everybody out, whatever they send.
#[test]
fn a_connection_that_dies_at_once_does_not_die_of_a_message() {
    for version in any_version() {
        let mut watched = Watched::connected(version, 2);
        watched.pair.publish(1, "x").unwrap();
        for _ in 0..50 {
            watched.sent_unanswered();
            assert!(!watched.dies());
            watched.reconnect(true);
        }
        assert_eq!(watched.sent(), ["PUBLISH #1 q1 dup t x"]);
        watched.pair.puback(1);
        assert_eq!(watched.sent(), [""; 0]);
        assert!(!watched.suspicion.is_one_at_a_time());
    }
}

// Nor does one message after the other die with it.
#[test]
fn an_accident_while_one_is_alone_is_forgotten_with_its_answer() {
    for version in any_version() {
        let mut watched = Watched::connected(version, 1);
        for payload in ["x", "y", "z"] {
            watched.pair.publish(1, payload).unwrap();
        }
        watched.sent();
        watched.dies();
        for number in 1..=3 {
            watched.reconnect(true);
            assert_eq!(watched.sent().len(), 1);
            assert!(!watched.dies());
            watched.reconnect(true);
            assert_eq!(watched.sent().len(), 1);
            watched.pair.puback(number);
        }
        assert_eq!(watched.pair.outcomes(), [""; 0]);
    }
}

#[test]
fn what_was_sent_can_be_given_up_between_connections_and_not_in_flight() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.publish(1, "x").unwrap();
        assert!(!pair.machine.give_up(id(7)), "nobody");
        pair.sent();
        assert!(!pair.machine.give_up(id(1)), "in flight");
        pair.machine.transport_lost();
        assert!(pair.machine.give_up(id(1)) && !pair.machine.give_up(id(1)));
        assert_eq!(pair.outcomes(), ["Publish #1 GivenUp"]);
        pair.reconnect(true);
        assert_eq!(pair.sent(), [""; 0]);
    }
}

#[test]
fn what_no_buffer_is_large_enough_for_can_be_given_up() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.subscribe(&[("a/long/filter", 1)]).unwrap();
        pair.sent();
        pair.suback(1, &[1]);
        pair.publish(1, "a payload").unwrap();
        pair.sent();
        // The session is lost: both are due again, and there is no room for them.
        pair.connect(&options(version));
        pair.connack(false, &[]);
        let mut out = [0; 6];
        for outcomes in [&[][..], &["Publish #2 GivenUp"]] {
            let now = pair.now;
            assert!(pair.machine.poll_transmit(now, &mut out).is_err());
            assert!(pair.machine.give_up_next());
            assert_eq!(pair.outcomes(), outcomes);
        }
        assert_eq!(pair.machine.subscriptions.renewal(0), Some(Renewal::Refused(ReasonCode::PACKET_TOO_LARGE)));
        assert_eq!(pair.machine.refused_renewals(), 1);
        assert!(!pair.machine.give_up_next());
        assert_eq!(pair.machine.poll_transmit(pair.now, &mut out), Ok(None));
    }
}

//! Keep Alive in virtual time.

use mqtt_core::{ConnectionError, Payload, Property, ProtocolVersion, PublishRequest};

use crate::support::{Pair, any_version, options, topic};

const TIMEOUT: u64 = 10_000;

fn is_dead(pair: &mut Pair) -> bool {
    pair.machine.handle_timeout(pair.now) == Err(ConnectionError::PingrespTimeout)
}

/// Nothing comes back any more.
fn die(pair: &mut Pair) {
    for _ in 0..50 {
        if is_dead(pair) {
            return;
        }
        pair.sent();
        pair.next_deadline().unwrap();
    }
    panic!("it never ends");
}

// The scenario "idle": with some margin, and then again. [v3 MQTT-3.1.2-23] [v5 MQTT-3.1.2-20]
#[test]
fn an_idle_client_sends_pingreq_at_three_quarters_of_the_interval() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        for _ in 0..10 {
            assert_eq!(pair.next_deadline(), Some(45_000));
            assert!(!pair.machine.connection.awaits_pingresp());
            assert_eq!(pair.sent(), ["PINGREQ"]);
            assert!(pair.machine.connection.awaits_pingresp());
            assert_eq!(pair.pingresp(), ["Pong"]);
            assert!(!pair.machine.connection.awaits_pingresp());
        }
    }
}

#[test]
fn the_interval_begins_with_connect() {
    for version in any_version() {
        let mut pair = Pair::new(version);
        pair.connect(&options(version));
        pair.pass(9_000);
        pair.connack(false, &[]);
        assert_eq!(pair.next_deadline(), Some(36_000));
        assert_eq!(pair.sent(), ["PINGREQ"]);
    }
}

#[test]
fn what_is_sent_moves_the_pingreq() {
    let mut pair = Pair::connected(ProtocolVersion::V5_0);
    pair.pass(40_000);
    pair.message(0, 0, "alive");
    pair.publish(1, "a").unwrap();
    assert_eq!(pair.sent().len(), 1);
    assert_eq!(pair.next_deadline(), Some(45_000));
    assert_eq!(pair.sent(), ["PINGREQ"]);
}

// The interval counts from a packet's last byte.
#[test]
fn a_packet_on_its_way_moves_the_pingreq_when_its_last_byte_has_left() {
    let mut pair = Pair::connected(ProtocolVersion::V5_0);
    pair.publish(1, "abc").unwrap();
    let packet = pair.given_out().unwrap();
    pair.pass(30_000);
    pair.machine.transmitted(pair.now, packet.len() - 1);
    assert_eq!(pair.machine.poll_timeout().unwrap().millis_since(pair.now), 15_000);
    pair.pass(5_000);
    pair.machine.transmitted(pair.now, 1);
    pair.message(0, 0, "alive");
    assert_eq!(pair.machine.poll_timeout().unwrap().millis_since(pair.now), 45_000);
}

// trap K3, and the scenario "busy_qos0": what is received does not postpone PINGREQ.
#[test]
fn what_is_received_does_not_move_the_pingreq() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        let mut pings = 0;
        for _ in 0..30 {
            pair.pass(10_000);
            pair.message(0, 0, "news");
            pair.machine.handle_timeout(pair.now).unwrap();
            for packet in pair.sent() {
                assert_eq!(packet, "PINGREQ");
                pings += 1;
                pair.pingresp();
            }
        }
        assert_eq!(pings, 6, "300 s, one every 50 s");
    }
}

// Only QoS 0 is sent and nothing comes back: is the link alive?
#[test]
fn silence_of_the_server_brings_a_pingreq_however_much_is_sent() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        let began = pair.now;
        let died = loop {
            pair.pass(1_000);
            if is_dead(&mut pair) {
                break pair.now;
            }
            pair.publish(0, "a").unwrap();
            pair.sent();
            assert!(pair.now.millis_since(began) < 100_000, "a link that swallows all is noticed");
        };
        assert_eq!(died.millis_since(began), 60_000 + TIMEOUT);
    }
}

// trap K6, and the scenario "no_pingresp"; [v3 v5 MQTT-3.12.4-1]
#[test]
fn without_pingresp_the_link_is_dead_in_time() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.next_deadline();
        assert_eq!(pair.sent(), ["PINGREQ"]);
        pair.pass(TIMEOUT - 1);
        pair.machine.set_reading(pair.now, true);
        assert_eq!(pair.next_deadline(), Some(1), "it was read from all the time");
        assert!(is_dead(&mut pair), "and it stays so");
        assert!(pair.machine.is_closed());
        assert!(pair.sent().is_empty(), "there is nobody to tell");
        assert_eq!(pair.machine.poll_timeout(), None);
        // The next connection has its own time.
        pair.connect(&options(version).connack_timeout(7_000));
        assert_eq!(pair.next_deadline(), Some(7_000));
        assert_eq!(pair.machine.handle_timeout(pair.now), Err(ConnectionError::ConnackTimeout));
    }
}

#[test]
fn how_long_a_pingresp_is_waited_for_can_be_chosen() {
    for version in any_version() {
        let mut pair = Pair::connected_as(&options(version).keep_alive(30).pingresp_timeout(2_500));
        pair.next_deadline();
        assert_eq!(pair.sent(), ["PINGREQ"]);
        pair.pass(2_499);
        assert!(!is_dead(&mut pair));
        pair.pass(1);
        assert!(is_dead(&mut pair));
    }
}

// trap K6: the PINGREQ does not even leave, because the transport takes nothing any more.
#[test]
fn a_pingreq_that_cannot_leave_is_a_dead_link_too() {
    for version in any_version() {
        for given_out in [false, true] {
            let mut pair = Pair::connected(version);
            let began = pair.now;
            pair.publish(1, "abc").unwrap();
            pair.given_out().unwrap();
            pair.next_deadline();
            if given_out {
                assert!(pair.given_out().is_some());
            }
            pair.pass(TIMEOUT - 1);
            pair.machine.transmitted(pair.now, 0);
            assert_eq!(pair.next_deadline(), Some(1), "a write of no bytes is no sign of life");
            assert!(is_dead(&mut pair));
            assert!(pair.now.millis_since(began) <= 90_000 + TIMEOUT);
        }
    }
}

// trap K1: one packet takes three intervals to arrive.
#[test]
fn bytes_of_a_long_packet_are_a_sign_of_life_and_pings_still_go_out() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        let packet = pair.message_bytes(0, 0, false, &[b'x'; 180]);
        let (mut pings, mut last) = (0, pair.now);
        for (index, byte) in packet.iter().enumerate() {
            pair.pass(1_000);
            let events = pair.deliver(&[*byte]);
            assert_eq!(events.len(), usize::from(index + 1 == packet.len()));
            assert_eq!(pair.machine.handle_timeout(pair.now), Ok(()));
            if !pair.sent().is_empty() {
                pings += 1;
                assert!(pair.now.millis_since(last) < 60_000, "the Server hears from us in every interval");
                last = pair.now;
            }
        }
        assert!(pings >= 4, "{pings}");
        assert!(pair.now.millis_since(last) < 60_000);
        pair.pingresp();
        assert!(pair.machine.is_connected());
    }
}

// A short interval: later PINGREQs give a dead link no more time.
#[test]
fn a_second_pingreq_does_not_put_off_the_first_ones_end() {
    let mut pair = Pair::new(ProtocolVersion::V5_0);
    pair.connect(&options(ProtocolVersion::V5_0).keep_alive(4));
    pair.connack(false, &[]);
    let began = pair.now;
    die(&mut pair);
    assert_eq!(pair.now.millis_since(began), 3_000 + TIMEOUT);
}

// trap K2: one packet takes three intervals to leave.
#[test]
fn a_long_write_is_alive_and_nothing_goes_inside_it() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.publish(1, &"x".repeat(200)).unwrap();
        let packet = pair.given_out().unwrap();
        for _ in 0..packet.len() {
            pair.pass(1_000);
            assert_eq!(pair.machine.handle_timeout(pair.now), Ok(()), "no false timeout");
            pair.machine.transmitted(pair.now, 1);
        }
        // PINGREQ was due all the time; it comes behind the packet, and only then is its answer waited for.
        assert_eq!(pair.sent(), ["PINGREQ"]);
        pair.pass(TIMEOUT - 1);
        assert!(!is_dead(&mut pair));
        assert_eq!(pair.pingresp(), ["Pong"]);
        assert!(pair.machine.is_connected());
    }
}

// trap K2: the time for PINGRESP begins when PINGREQ has left.
#[test]
fn pingresp_is_waited_for_from_the_last_byte_of_pingreq() {
    let mut pair = Pair::connected(ProtocolVersion::V5_0);
    pair.next_deadline();
    pair.given_out().unwrap();
    pair.pass(6_000);
    pair.machine.transmitted(pair.now, 1);
    pair.pass(6_000);
    pair.machine.transmitted(pair.now, 1);
    assert_eq!(pair.next_deadline(), Some(TIMEOUT));
    assert!(is_dead(&mut pair));
}

#[test]
fn a_pingresp_that_is_read_before_the_write_is_told_counts() {
    let mut pair = Pair::connected(ProtocolVersion::V5_0);
    pair.next_deadline();
    let packet = pair.given_out().unwrap();
    pair.pingresp();
    pair.machine.transmitted(pair.now, packet.len());
    assert_eq!(pair.next_deadline(), Some(45_000), "no answer is waited for");
}

// trap K4
#[test]
fn while_nothing_is_read_pings_go_out_and_no_answer_is_waited_for() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.machine.set_reading(pair.now, false);
        for _ in 0..5 {
            assert_eq!(pair.next_deadline(), Some(45_000));
            assert_eq!(pair.sent(), ["PINGREQ"]);
        }
        pair.pass(20_000);
        pair.machine.set_reading(pair.now, true);
        pair.pass(TIMEOUT - 1);
        assert!(!is_dead(&mut pair), "the PINGRESPs have their time from here on");
        assert_eq!(pair.pingresp(), ["Pong"]);
        pair.pass(1);
        assert!(!is_dead(&mut pair));
        // And it does not hide a dead link.
        die(&mut pair);
    }
}

// trap K2
#[test]
fn a_source_that_has_nothing_ready_is_not_a_dead_link() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        let mut out = [0; 64];
        let request = PublishRequest::new(topic("t"));
        let source = Payload::Source { length: 3_000 };
        let head_len = pair.machine.publish_at_most_once(&request, source, &mut out).unwrap().head_len;
        pair.machine.transmitted(pair.now, head_len);
        assert_eq!(pair.next_deadline(), Some(45_000), "a PINGREQ is due, behind the payload");
        for _ in 0..5 {
            pair.pass(TIMEOUT - 1);
            pair.machine.source_waits(pair.now);
            assert!(!is_dead(&mut pair));
        }
        pair.pass(TIMEOUT);
        assert!(is_dead(&mut pair), "it had something, and no byte left");
    }
}

// trap K5; [v5 MQTT-3.1.2-21 MQTT-3.2.2-21] [v5 §2.2.2.2: what holds without a property]
#[test]
fn server_keep_alive_holds_for_its_connection_only() {
    let mut pair = Pair::new(ProtocolVersion::V5_0);
    let options = options(ProtocolVersion::V5_0).keep_alive(100);
    for (properties, due) in [
        (&[][..], 75_000),
        (&[Property::ServerKeepAlive(20)], 15_000),
        (&[], 75_000),
        (&[Property::ServerKeepAlive(200)], 150_000),
    ] {
        pair.connect(&options);
        pair.connack(false, properties);
        assert_eq!(pair.next_deadline(), Some(due));
    }
    pair.connect(&options);
    pair.connack(false, &[Property::ServerKeepAlive(0)]);
    assert_eq!(pair.machine.poll_timeout(), None);
}

// trap K5
#[test]
fn keep_alive_0_means_no_timers() {
    for version in any_version() {
        let mut pair = Pair::connected_as(&options(version).keep_alive(0));
        assert_eq!(pair.machine.poll_timeout(), None);
        pair.pass(1_000_000_000);
        assert_eq!(pair.machine.handle_timeout(pair.now), Ok(()));
        assert!(pair.sent().is_empty());
        pair.machine.ping().unwrap();
        assert_eq!(pair.sent(), ["PINGREQ"]);
        assert_eq!(pair.machine.poll_timeout(), None);
        pair.pass(1_000_000_000);
        assert_eq!(pair.machine.handle_timeout(pair.now), Ok(()));
        assert_eq!(pair.pingresp(), ["Pong"]);
    }
}

// trap K7
#[test]
fn after_a_jump_of_the_clock_a_dead_link_is_noticed_promptly() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.pass(8 * 3_600_000);
        assert_eq!(pair.machine.handle_timeout(pair.now), Ok(()));
        assert_eq!(pair.sent(), ["PINGREQ"]);
        assert_eq!(pair.next_deadline(), Some(TIMEOUT));
        assert!(is_dead(&mut pair));
    }
}

// trap K8: nothing is shared, so a busy client changes nothing for an idle one.
#[test]
fn two_clients_know_nothing_of_each_other() {
    let mut idle = Pair::connected(ProtocolVersion::V5_0);
    let mut busy = Pair::connected(ProtocolVersion::V5_0);
    for _ in 0..45 {
        busy.pass(1_000);
        busy.publish(0, "a").unwrap();
        busy.sent();
        busy.message(0, 0, "b");
    }
    assert_eq!(idle.next_deadline(), Some(45_000));
    assert_eq!(idle.sent(), ["PINGREQ"]);
}

#[test]
fn a_ping_that_was_asked_for_is_not_doubled() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        pair.machine.ping().unwrap();
        pair.machine.ping().unwrap();
        assert_eq!(pair.sent(), ["PINGREQ"]);
        pair.machine.ping().unwrap();
        assert!(pair.sent().is_empty(), "its answer is waited for");
        assert_eq!(pair.next_deadline(), Some(TIMEOUT));
        assert!(is_dead(&mut pair));
    }
}

#[test]
fn spurious_calls_do_nothing() {
    for version in any_version() {
        let mut pair = Pair::connected(version);
        assert!(pair.sent().is_empty());
        let before = pair.machine.clone();
        for milliseconds in [0, 1, 44_998] {
            pair.pass(milliseconds);
            assert_eq!(pair.machine.handle_timeout(pair.now), Ok(()));
            pair.machine.transmitted(pair.now, 0);
            assert!(pair.sent().is_empty());
            assert!(pair.outcomes().is_empty());
        }
        assert!(pair.machine == before);
    }
}

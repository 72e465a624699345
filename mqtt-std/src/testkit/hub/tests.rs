//! What takes time, in virtual time; everything else is in `tests/broker`, over TCP.

use mqtt_core::{
    AckKind, Connect, Disconnect, Packet, Properties, Property, ProtocolVersion, Publish, ReasonCode, Will,
};

use super::*;

#[path = "../../../tests/broker/packets.rs"]
#[allow(dead_code)] // it serves two suites
mod packets;
use packets::*;

/// A hub and its clock.
struct World {
    hub: Hub,
    now: Instant,
}

/// The far end of a connection.
#[derive(Clone, Copy)]
struct Peer {
    id: ConnectionId,
    version: ProtocolVersion,
}

impl World {
    fn new(options: BrokerOptions) -> Self {
        Self { hub: Hub::new(options), now: Instant::from_millis(5_000) }
    }

    fn open(&mut self, version: ProtocolVersion) -> Peer {
        Peer { id: self.hub.open(self.now).unwrap(), version }
    }

    /// A connection that was accepted.
    fn connect(&mut self, connect: &Connect<'_>) -> Peer {
        let peer = self.open(connect.version);
        self.send(peer, &Packet::Connect(*connect));
        let lines = self.lines(peer);
        assert!(lines[0].starts_with("CONNACK 00"), "{lines:?}");
        peer
    }

    /// A 5.0 client that has subscribed to everything with QoS 2.
    fn watcher(&mut self) -> Peer {
        let watcher = self.connect(&connect(V5, "watcher"));
        self.send(watcher, &subscribe(&[subscription("#", 2)], &[]));
        assert_eq!(self.lines(watcher), ["SUBACK #900 [02]"]);
        watcher
    }

    fn send(&mut self, peer: Peer, packet: &Packet<'_>) {
        self.hub.receive(peer.id, self.now, &encode(peer.version, packet));
    }

    /// All that was sent to the peer; "closed" if nothing will follow.
    fn lines(&mut self, peer: Peer) -> Vec<String> {
        let mut lines = Vec::new();
        let mut framing = mqtt_core::Framing::new(peer.version);
        loop {
            let mut bytes = BytesMut::new();
            let state = self.hub.poll_transmit(peer.id, self.now, &mut bytes);
            if bytes.is_empty() {
                if state != LinkState::Open {
                    lines.push("closed".to_owned());
                }
                return lines;
            }
            let mut rest = &bytes[..];
            while let Some((mqtt_core::Input::Packet(packet), consumed)) = framing.next(rest, usize::MAX).unwrap() {
                lines.push(describe(peer.version, packet));
                rest = &rest[consumed..];
            }
        }
    }

    /// Lets time pass, deadline by deadline.
    fn pass(&mut self, milliseconds: u64) {
        let until = self.now.plus_millis(milliseconds);
        while let Some(deadline) = self.hub.poll_timeout().filter(|deadline| *deadline <= until) {
            self.now = self.now.max(deadline);
            self.hub.handle_timeout(self.now);
            assert!(self.hub.poll_timeout().is_none_or(|next| next > self.now), "it would spin");
        }
        self.now = until;
    }

    fn vanish(&mut self, peer: Peer) {
        self.hub.closed(peer.id, self.now);
    }
}

const NOTHING: [&str; 0] = [];

/// A CONNECT with a Will whose delay, and a session whose expiry, are given in seconds.
fn delayed<'a>(properties: &'a [Property<'a>], delay: &'a [Property<'a>]) -> Connect<'a> {
    let will = Will { properties: Properties::new(delay), ..will("will", "lost") };
    Connect { clean_start: false, properties: Properties::new(properties), will: Some(will), ..connect(V5, "c") }
}

#[test]
fn a_delayed_will_comes_with_the_delay_or_the_end_of_the_session() {
    for (delay, expiry, comes_after) in
        [(0, 0, 0), (0, 60, 0), (10, 0, 0), (10, 60, 10), (60, 10, 10), (10, u32::MAX, 10)]
    {
        let mut world = World::new(BrokerOptions::new());
        let watcher = world.watcher();
        let (delay, expiry) = ([Property::WillDelayInterval(delay)], [Property::SessionExpiryInterval(expiry)]);
        let client = world.connect(&delayed(&expiry, &delay));
        world.vanish(client);
        if comes_after > 0 {
            world.pass(comes_after * 1_000 - 1);
            assert_eq!(world.lines(watcher), NOTHING, "{delay:?} {expiry:?}");
            world.pass(1);
        }
        assert_eq!(world.lines(watcher), [r#"PUBLISH will q1 #1 "lost""#], "{delay:?} {expiry:?}"); // 5.0: MQTT-3.1.2-8
        world.pass(100_000);
        assert_eq!(world.lines(watcher), NOTHING, "{delay:?} {expiry:?}"); // 5.0: MQTT-3.1.2-10
        let kept = usize::from(expiry == [Property::SessionExpiryInterval(u32::MAX)]);
        assert_eq!(world.hub.statistics().sessions, 1 + kept, "{delay:?} {expiry:?}");
    }
}

#[test]
fn a_delayed_will_is_cancelled_by_coming_back_but_not_by_starting_anew() {
    let (delay, expiry) = ([Property::WillDelayInterval(10)], [Property::SessionExpiryInterval(60)]);
    let request = delayed(&expiry, &delay);
    for (clean_start, lines) in [(false, &[][..]), (true, &[r#"PUBLISH will q1 #1 "lost""#])] {
        let mut world = World::new(BrokerOptions::new());
        let watcher = world.watcher();
        let client = world.connect(&request);
        world.vanish(client);
        world.pass(9_999);
        let again = Connect { clean_start, will: None, ..request };
        world.connect(&again);
        world.pass(100_000);
        assert_eq!(world.lines(watcher), lines, "clean start {clean_start}"); // 5.0: MQTT-3.1.3-9

        // The same when the old connection is still there.
        let mut world = World::new(BrokerOptions::new());
        let watcher = world.watcher();
        world.connect(&request);
        world.connect(&again);
        world.pass(100_000);
        assert_eq!(world.lines(watcher), lines, "takeover, clean start {clean_start}");
    }
}

#[test]
fn a_session_ends_when_its_time_is_over() {
    for (version, expiry, ends_after) in
        [(V5, Some(10), Some(10)), (V5, Some(u32::MAX), None), (V5, None, Some(0)), (V3, None, None)]
    {
        let mut world = World::new(BrokerOptions::new());
        let expiry = expiry.map(Property::SessionExpiryInterval);
        let properties = Properties::new(expiry.as_slice());
        let client = world.connect(&Connect { clean_start: false, properties, ..connect(version, "c") });
        world.send(client, &subscribe(&[subscription("t", 1)], &[]));
        world.pass(1_000_000);
        world.vanish(client); // while it was connected, no time has passed (5.0: MQTT-4.1.0-1)
        if let Some(seconds) = ends_after {
            if seconds > 0 {
                world.pass(seconds * 1_000 - 1);
                assert_eq!(world.hub.statistics().sessions, 1);
                world.pass(1);
            }
            let statistics = world.hub.statistics();
            assert_eq!((statistics.sessions, statistics.subscriptions), (0, 0)); // 5.0: MQTT-4.1.0-2
        } else {
            world.pass(1 << 50);
            assert_eq!(world.hub.statistics().sessions, 1);
        }
    }
}

#[test]
fn the_longest_session_expiry_is_the_brokers() {
    for request in [connect_kept(V5, "c"), connect_kept(V3, "c")] {
        let mut world = World::new(BrokerOptions::new().max_session_expiry_interval(10));
        let client = world.connect(&request);
        world.vanish(client);
        world.pass(9_999);
        assert_eq!(world.hub.statistics().sessions, 1);
        world.pass(1);
        assert_eq!(world.hub.statistics().sessions, 0);
    }
}

#[test]
fn disconnect_cannot_ask_for_more_either() {
    let mut world = World::new(BrokerOptions::new().max_session_expiry_interval(10));
    let client = world.connect(&connect_kept(V5, "c"));
    let (reason_code, expiry) = (ReasonCode::NORMAL_DISCONNECTION, [Property::SessionExpiryInterval(60)]);
    world.send(client, &Packet::Disconnect(Disconnect { reason_code, properties: Properties::new(&expiry) }));
    world.pass(10_000);
    assert_eq!(world.hub.statistics().sessions, 0);
}

#[test]
fn a_silent_client_is_given_up_after_one_and_a_half_keep_alives() {
    for version in VERSIONS {
        let mut world = World::new(BrokerOptions::new());
        let watcher = world.watcher();
        let request = Connect { keep_alive: 10, will: Some(will("will", "silent")), ..connect(version, "c") };
        let client = world.connect(&request);
        world.pass(14_999);
        world.send(client, &Packet::Pingreq);
        world.pass(14_999);
        assert_eq!(world.lines(client), ["PINGRESP"]);
        world.pass(1); // 3.1.1: MQTT-3.1.2-24, 5.0: MQTT-3.1.2-22
        let farewell: &[&str] = if version == V5 { &["DISCONNECT 8d", "closed"] } else { &["closed"] };
        assert_eq!(world.lines(client), farewell);
        assert_eq!(world.lines(watcher), [r#"PUBLISH will q1 #1 "silent""#]);
        world.vanish(client);

        let client = world.connect(&connect(version, "c")); // Keep Alive 0
        world.pass(1 << 40);
        assert_eq!(world.lines(client), NOTHING);
    }
}

#[test]
fn the_brokers_keep_alive_goes_before_the_clients_on_5_0() {
    for (version, milliseconds) in [(V5, 3_000), (V3, 6_000)] {
        let mut world = World::new(BrokerOptions::new().server_keep_alive(2));
        world.connect(&Connect { keep_alive: 4, ..connect(version, "c") });
        world.pass(milliseconds - 1);
        assert_eq!(world.hub.statistics().connections, 1, "{version:?}");
        world.pass(1);
        assert_eq!(world.hub.statistics().connections, 0, "{version:?}");
    }
}

#[test]
fn a_connection_without_connect_is_closed() {
    let mut world = World::new(BrokerOptions::new());
    let silent = world.open(V5);
    world.pass(9_999);
    assert_eq!(world.lines(silent), NOTHING);
    world.pass(1);
    assert_eq!(world.lines(silent), ["closed"]);
}

#[test]
fn a_message_expires_unless_its_delivery_has_begun() {
    let mut world = World::new(BrokerOptions::new());
    let one = [Property::ReceiveMaximum(1), Property::SessionExpiryInterval(1_000)];
    let request = Connect { clean_start: false, properties: Properties::new(&one), ..connect(V5, "c") };
    let client = world.connect(&request);
    world.send(client, &subscribe(&[subscription("t", 1)], &[]));
    world.lines(client);
    let publisher = world.connect(&connect(V5, "publisher"));
    let expiry = [Property::MessageExpiryInterval(10)];
    let properties = Properties::new(&expiry);
    for payload in ["begun", "too late"] {
        world.send(publisher, &Packet::Publish(Publish { properties, ..publish("t", 1, 1, payload) }));
        world.pass(1_000);
    }
    world.send(publisher, &Packet::Publish(Publish { retain: true, properties, ..publish("r", 1, 1, "retained") }));
    assert_eq!(world.lines(client), [r#"PUBLISH t q1 #1 "begun" [MessageExpiryInterval(10)]"#]);

    world.pass(3_500);
    // What is left is told, in whole seconds (5.0: MQTT-3.3.2-6).
    world.send(publisher, &subscribe(&[subscription("r", 0)], &[]));
    let lines = world.lines(publisher);
    assert_eq!(lines.last().unwrap(), r#"PUBLISH r q0 retain "retained" [MessageExpiryInterval(7)]"#);
    world.vanish(client);
    let client = world.connect(&request);
    assert_eq!(world.lines(client), NOTHING);

    world.pass(10_000);
    world.vanish(client);
    let client = world.open(V5);
    world.send(client, &Packet::Connect(request));
    let lines = world.lines(client);
    assert_eq!(lines[1..], [r#"PUBLISH t q1 #1 dup "begun" [MessageExpiryInterval(0)]"#]); // 5.0: MQTT-4.3.3-7
    world.send(client, &ack(AckKind::Puback, 1));
    assert_eq!(world.lines(client), NOTHING); // 5.0: MQTT-3.3.2-5
    world.send(publisher, &subscribe(&[subscription("r", 0)], &[]));
    assert_eq!(world.lines(publisher), ["SUBACK #900 [00]"]);
}

#[test]
fn expired_retained_messages_make_room() {
    for options in [BrokerOptions::new().max_retained_messages(1), BrokerOptions::new().max_retained_bytes(3)] {
        let mut world = World::new(options);
        let publisher = world.connect(&connect(V5, "publisher"));
        let expiry = [Property::MessageExpiryInterval(10)];
        let first = Publish { properties: Properties::new(&expiry), ..retained("a", 1, 1, "x") };
        world.send(publisher, &Packet::Publish(first));
        world.pass(9_999);
        world.send(publisher, &Packet::Publish(retained("b", 1, 2, "x")));
        world.pass(1);
        world.send(publisher, &Packet::Publish(retained("b", 1, 3, "x")));
        assert_eq!(world.lines(publisher), ["PUBACK #1 10", "PUBACK #2 97", "PUBACK #3 10"]);
    }
}

#[test]
fn messages_wait_in_the_session_while_the_buffer_is_full() {
    let mut world = World::new(BrokerOptions::new().outgoing_buffer(20));
    let watcher = world.watcher();
    let publisher = world.connect(&connect(V5, "publisher"));
    for payload in ["a", "b", "c", "d", "e"] {
        world.send(publisher, &Packet::Publish(publish("t", 0, 0, payload)));
    }
    assert_eq!(world.hub.statistics().messages_sent, 3, "7 bytes each");
    assert!(world.hub.is_congested(watcher.id));
    assert_eq!(world.hub.statistics().queued_messages, 2);
    assert_eq!(world.lines(watcher).len(), 5);
    assert!(!world.hub.is_congested(watcher.id));

    // QoS 0 that still waits when the client goes is lost.
    for payload in ["a", "b", "c", "d", "e"] {
        world.send(publisher, &Packet::Publish(publish("t", 0, 0, payload)));
    }
    world.vanish(watcher);
    assert_eq!(world.hub.statistics().messages_dropped, 2);
}

/// A 5.0 client with these subscriptions that reads nothing more.
fn stalled(world: &mut World, name: &str, filters: [(&str, u8); 2]) -> Peer {
    let peer = world.connect(&connect_kept(V5, name));
    let list = filters.map(|(filter, qos)| subscription(filter, qos));
    world.send(peer, &subscribe(&list, &[]));
    peer
}

#[test]
fn a_full_queue_does_not_matter_to_qos_0_subscriptions() {
    let mut world = World::new(BrokerOptions::new().outgoing_buffer(1).max_queued_messages(1));
    let slow = stalled(&mut world, "slow", [("a", 1), ("b", 0)]);
    let publisher = world.connect(&connect(V5, "publisher"));
    for (topic, number) in [("a", 1), ("a", 2), ("b", 3)] {
        world.send(publisher, &Packet::Publish(publish(topic, 1, number, "x")));
    }
    assert_eq!(world.lines(publisher), ["PUBACK #1", "PUBACK #2 97", "PUBACK #3"]);
    assert_eq!(world.hub.statistics().messages_dropped, 1);
    assert_eq!(world.lines(slow), ["SUBACK #900 [01, 00]", r#"PUBLISH a q1 #1 "x""#]);
}

#[test]
fn a_shared_message_goes_to_a_member_with_room() {
    let mut world = World::new(BrokerOptions::new().outgoing_buffer(1).max_queued_messages(1));
    let shared = [("$share/g/t", 1), ("none", 0)];
    let (_one, _two) = (stalled(&mut world, "one", shared), stalled(&mut world, "two", shared));
    let away = stalled(&mut world, "away", shared);
    world.vanish(away);
    let publisher = world.connect(&connect(V5, "publisher"));
    for number in 1..=4 {
        world.send(publisher, &Packet::Publish(publish("t", 1, number, "x")));
    }
    assert_eq!(world.lines(publisher), ["PUBACK #1", "PUBACK #2", "PUBACK #3", "PUBACK #4 97"]);
}

#[test]
fn an_acknowledgement_brings_the_next_message() {
    let mut world = World::new(BrokerOptions::new().max_in_flight(1));
    let watcher = world.watcher();
    let publisher = world.connect(&connect(V5, "publisher"));
    for number in 1..=2 {
        world.send(publisher, &Packet::Publish(publish("t", 1, number, "x")));
    }
    assert_eq!(world.lines(watcher), [r#"PUBLISH t q1 #1 "x""#]);
    while world.hub.poll_ready().is_some() {}
    world.send(watcher, &ack(AckKind::Puback, 1));
    assert_eq!(world.hub.poll_ready(), Some(watcher.id));
    assert_eq!(world.lines(watcher), [r#"PUBLISH t q1 #2 "x""#]);
}

#[test]
fn who_has_something_to_write_is_named_once() {
    let mut world = World::new(BrokerOptions::new());
    let watcher = world.watcher();
    let publisher = world.connect(&connect(V5, "publisher"));
    while world.hub.poll_ready().is_some() {}
    world.send(publisher, &Packet::Publish(publish("t", 1, 1, "x")));
    assert_eq!([world.hub.poll_ready(), world.hub.poll_ready()], [Some(watcher.id), Some(publisher.id)]);
    assert_eq!(world.hub.poll_ready(), None);
    // After the end of the connection there is nothing more to say.
    world.send(publisher, &disconnect(ReasonCode::UNSPECIFIED_ERROR));
    assert_eq!(world.lines(publisher), ["PUBACK #1", "closed"]);
    world.send(publisher, &Packet::Pingreq);
    assert_eq!(world.lines(publisher), ["closed"]);
}

#[test]
fn a_cut_connection_gets_nothing_more() {
    let mut world = World::new(BrokerOptions::new());
    let client = world.connect(&connect(V5, "c"));
    world.send(client, &Packet::Pingreq);
    assert!(world.hub.cut_client("c", world.now));
    assert!(!world.hub.cut_client("c", world.now));
    assert_eq!(world.lines(client), ["closed"]);
}

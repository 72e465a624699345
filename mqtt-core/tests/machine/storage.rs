//! What any storage must do, and what the machine does over any.

use mqtt_core::{
    ArrayStorage, ArrayTable, Event, Input, Instant, Machine, Packet, PacketIdentifier, Payload, Property,
    ProtocolVersion, PublishRequest, QoS, Sender, Storage, StorageFull, SubscribeRequest, Subscription, Table,
    TopicAliasUse, TopicFilter, TopicName, UsageError,
};

use crate::support::{Boxed, Pair, any_version, id, options};

type Array = ArrayStorage<8, 8, 256>;

/// Eight exchanges each way, and 256 bytes of messages.
fn boxed() -> Boxed {
    Boxed::new(8, 256)
}

#[test]
fn array_storage_keeps_messages() {
    keeps_messages(Array::new());
}

#[test]
fn another_storage_keeps_messages() {
    keeps_messages(boxed());
}

fn keeps_messages<S: Storage>(mut storage: S) {
    assert_eq!((storage.head(id(1)), storage.payload(id(1))), (&b""[..], &b""[..]));
    for number in 1..=4 {
        let payload = [number as u8; 20];
        let head = storage.allocate(id(number), number.into(), S::payload_from(&payload)).unwrap();
        assert_eq!(head.len(), usize::from(number));
        head.fill(0xa0 + number as u8);
    }
    let check = |storage: &S, numbers: &[u16]| {
        for &number in numbers {
            assert_eq!(storage.head(id(number)), vec![0xa0 + number as u8; number.into()]);
            assert_eq!(storage.payload(id(number)), [number as u8; 20]);
        }
    };
    check(&storage, &[1, 2, 3, 4]);
    // What does not fit says so, and changes nothing. 80 + 10 bytes are in use.
    let full = storage.allocate(id(5), 7, S::payload_from(&[0; 160])).err();
    assert_eq!(full, Some(StorageFull { needed: 167, free: 166 }));
    check(&storage, &[1, 2, 3, 4]);
    // In any order.
    storage.release(id(2));
    storage.release(id(9));
    check(&storage, &[1, 3, 4]);
    assert_eq!(storage.payload(id(2)), b"");
    storage.release(id(1));
    storage.release(id(4));
    check(&storage, &[3]);
    assert!(storage.allocate(id(6), 0, S::payload_from(&[6; 233])).is_ok());
    assert_eq!(storage.payload(id(6)), [6; 233]);
    check(&storage, &[3]);
    assert!(storage.allocate(id(7), 1, S::payload_from(&[])).is_err());
    storage.release(id(6));
    storage.release(id(3));
    // Empty messages are messages.
    assert!(storage.allocate(id(1), 0, S::payload_from(&[])).is_ok());
    storage.release(id(1));
    assert!(storage.allocate(id(1), 0, S::payload_from(&[1; 256])).is_ok(), "all of it is free again");
}

#[test]
fn a_client_identifier_is_kept() {
    fn keeps<S: Storage>(mut storage: S) {
        assert_eq!(storage.client_identifier(), "");
        for name in ["pump-7", "", "ünïcode", &"x".repeat(64)] {
            storage.set_client_identifier(name).unwrap();
            assert_eq!(storage.client_identifier(), name);
        }
        assert_eq!(S::payload_from(b"abc").as_ref(), b"abc");
    }
    keeps(Array::new());
    keeps(boxed());
    let mut array = Array::new();
    array.set_client_identifier("before").unwrap();
    assert!(array.set_client_identifier(&"x".repeat(65)).is_err());
    assert_eq!(array.client_identifier(), "before");
}

#[test]
fn a_table_holds_as_many_as_it_says() {
    let mut table = ArrayTable::<u32, 3>::new();
    assert_eq!((table.capacity(), table.len(), table.is_empty()), (3, 0, true));
    for number in [5, 65_535, 1] {
        assert!(table.insert(id(number), number.into()));
    }
    assert!(!table.insert(id(2), 2), "full");
    assert_eq!(table.vacant_after(id(1)), None);
    assert_eq!(table.get(id(65_535)), Some(&65_535));
    *table.get_mut(id(5)).unwrap() = 55;
    assert!(table.remove(id(5)));
    assert!(!table.remove(id(5)));
    assert_eq!(table.get(id(5)), None);
    for (last, vacant) in [(1, 2), (4, 5), (65_534, 2), (65_535, 2)] {
        assert_eq!(table.vacant_after(id(last)), PacketIdentifier::new(vacant), "after {last}");
    }
    assert_eq!(table.len(), 2);
    table.clear();
    assert!(table.is_empty());
    assert_eq!(table.vacant_after(id(65_535)), Some(id(1)));
}

/// The same trace over any storage.
fn trace<S: Storage>(version: ProtocolVersion, storage: S) -> Vec<String> {
    let mut pair = Pair::with(version, storage);
    let mut trace = vec![pair.connect(&options(version))];
    trace.extend(pair.connack(false, &[]));
    for round in 0..5 {
        for qos in [1, 2, 2] {
            trace.push(format!("{:?}", pair.publish(qos, "abcdefgh")));
        }
        trace.push(format!("{:?}", pair.subscribe(&[("a", 1)])));
        trace.extend(pair.sent());
        for number in 1..=20 {
            if number % (round + 2) == 0 {
                trace.extend(pair.pubrec(number));
            }
            trace.extend(pair.puback(number));
            trace.extend(pair.pubcomp(number));
        }
        trace.extend(pair.message(2, round + 1, "in"));
        trace.extend(pair.sent());
        trace.extend(pair.reconnect(round != 3));
        trace.extend(pair.sent());
        trace.extend(pair.outcomes());
    }
    trace
}

#[test]
fn the_machine_does_the_same_over_any_storage() {
    for version in any_version() {
        let array = trace(version, Array::new());
        assert!(array.len() > 60, "{array:?}");
        assert_eq!(array, trace(version, boxed()));
    }
}

// Both cost memory, so neither is a must.
#[test]
fn a_machine_without_lists_has_no_aliases_and_renews_nothing() {
    let mut machine = Machine::new(Array::new());
    let (now, mut out) = (Instant::from_millis(0), [0; 64]);
    let options = options(ProtocolVersion::V5_0);
    for _ in 0..2 {
        let len = machine.connect(now, &options, &mut out).unwrap();
        let connect = Packet::decode(ProtocolVersion::V5_0, Sender::Client, &out[..len]).unwrap();
        let Packet::Connect(connect) = connect else { panic!("{connect:?}") };
        assert_eq!(connect.properties.iter().find(|it| matches!(it, Property::TopicAliasMaximum(_))), None);
        // The Server has no session, and would take aliases.
        machine.receive(now, Input::Packet(&[0x20, 6, 0, 0, 3, 0x22, 0, 9])).unwrap();
        assert_eq!(machine.poll_transmit(now, &mut out), Ok(None), "nothing is renewed");
        let filters = [Subscription::new(TopicFilter::new("a").unwrap(), QoS::AtMostOnce)];
        let id = machine.subscribe(&SubscribeRequest::new(&filters)).unwrap().number() as u8;
        assert!(machine.poll_transmit(now, &mut out).unwrap().is_some());
        let suback = [0x90, 4, 0, id, 0, 0];
        let granted = machine.receive(now, Input::Packet(&suback)).unwrap();
        assert!(matches!(granted, Some(Event::Subscribed { .. })), "{granted:?}");
        let request = PublishRequest::new(TopicName::new("a").unwrap()).topic_alias(TopicAliasUse::Automatic);
        for _ in 0..2 {
            let transmit = machine.publish_at_most_once(&request, Payload::Bytes(b"b"), &mut out).unwrap();
            assert_eq!(out[..transmit.head_len], *b"\x30\x05\x00\x01a\x00b", "the whole topic each time");
        }
        machine.transport_lost();
    }
}

#[test]
fn storage_that_is_full_refuses_and_leaves_no_trace() {
    fn refuses<S: Storage>(storage: S) {
        let mut pair = Pair::with(ProtocolVersion::V5_0, storage);
        let large = "x".repeat(250);
        pair.publish(1, &large).unwrap();
        for _ in 0..20 {
            assert!(matches!(pair.publish(1, &large), Err(UsageError::StorageFull(_))));
            assert!(matches!(pair.subscribe(&[("some/filter", 0)]), Err(UsageError::StorageFull(_))));
            assert!(matches!(pair.unsubscribe(&["some/filter"]), Err(UsageError::StorageFull(_))));
        }
        assert_eq!(pair.session().outgoing_len(), 1);
        assert!(pair.machine.cancel(id(1)));
        pair.outcomes();
        assert_eq!(pair.publish(1, &large), Ok(2));
    }
    refuses(Array::new());
    refuses(boxed());
}

#[test]
fn session_and_connection_say_what_they_take() {
    assert_eq!(mqtt_core::session_size::<8, 8, 256>(), size_of::<mqtt_core::Session<Array>>());
    assert!(mqtt_core::session_size::<8, 8, 512>() >= mqtt_core::session_size::<8, 8, 256>() + 256);
    assert!(mqtt_core::connection_size::<1, 1, 10>() < mqtt_core::connection_size::<2, 2, 20>());
}

//! Messages to us that are acknowledged, or refused, by hand.

use std::cell::RefCell;

use mqtt_embedded::mqtt_core::{
    Ack, AckKind, Delivery, EncodeError, Packet, PacketIdentifier, Properties, Publish, TopicName,
};
use mqtt_embedded::{Error, ProtocolVersion, QoS, ReasonCode, UsageError};

use crate::support::{Answer, Server, Small, Time, VERSIONS, Wire, options, play};

const STALE: Result<(), Error> = Err(Error::Usage(UsageError::Stale));

fn message<'a>(payload: &'a [u8], qos: QoS, number: u16) -> Packet<'a> {
    let packet_identifier = PacketIdentifier::new(number).unwrap();
    let delivery = match qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_identifier, dup: false },
        QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_identifier, dup: false },
    };
    let topic = Some(TopicName::new("a/b").unwrap());
    Packet::Publish(Publish { topic, delivery, retain: false, properties: Properties::EMPTY, payload })
}

/// A Server that sends these once there are so many subscriptions, and notes acknowledgements.
async fn send(
    wire: &Wire,
    version: ProtocolVersion,
    filters: usize,
    messages: &[Packet<'_>],
    noted: &RefCell<Vec<String>>,
) {
    let mut server = Server::accept(wire, version, false).await;
    for _ in 0..filters {
        server.subscribed().await;
    }
    for message in messages {
        server.send(message).await;
    }
    let note = |packet: &Packet<'_>| {
        if let Packet::Ack(Ack {
            kind: kind @ (AckKind::Puback | AckKind::Pubrec),
            packet_identifier,
            reason_code,
            ..
        }) = packet
        {
            noted.borrow_mut().push(format!("{kind:?} {} {:#x}", packet_identifier.number(), reason_code.as_u8()));
            if reason_code.is_failure() {
                return Answer::Nothing;
            }
        }
        Answer::Acknowledge
    };
    server.serve(note).await;
}

#[test]
fn a_message_that_is_refused_is_answered_with_the_reason_and_is_over() {
    let (version, wire, resources) = (ProtocolVersion::V5_0, Wire::default(), Small::new(Time::default()));
    let (client, noted) = (resources.client(), RefCell::new(Vec::new()));
    let messages = [
        message(b"1", QoS::AtLeastOnce, 1),
        message(b"2", QoS::ExactlyOnce, 2),
        message(b"3", QoS::AtMostOnce, 9),
        message(b"4", QoS::ExactlyOnce, 3),
    ];
    play(&resources, options(version), &wire, send(&wire, version, 1, &messages, &noted), async {
        let mut reader = client.subscribe("a/b", QoS::ExactlyOnce).unwrap().by_hand();
        let mut buffer = [0; 64];
        let first = reader.next(&mut buffer).await.unwrap().unwrap();
        let not_for_this = reader.reject(&first, ReasonCode::BAD_USER_NAME_OR_PASSWORD);
        let error = EncodeError::ReasonCodeNotAllowed(ReasonCode::BAD_USER_NAME_OR_PASSWORD);
        assert_eq!(not_for_this, Err(Error::Usage(UsageError::Encode(error))));
        assert_eq!(reader.reject(&first, ReasonCode::NOT_AUTHORIZED), Ok(()));
        assert_eq!(reader.reject(&first, ReasonCode::NOT_AUTHORIZED), STALE);
        assert_eq!(reader.acknowledge(&first), STALE);
        let second = reader.next(&mut buffer).await.unwrap().unwrap();
        assert_eq!(reader.reject(&second, ReasonCode::QUOTA_EXCEEDED), Ok(()));
        let third = reader.next(&mut buffer).await.unwrap().unwrap();
        assert_eq!(reader.reject(&third, ReasonCode::QUOTA_EXCEEDED), Ok(()), "at QoS 0 there is nothing to refuse");
        let fourth = reader.next(&mut buffer).await.unwrap().unwrap();
        assert_eq!((fourth.payload(), reader.acknowledge(&fourth)), (&b"4"[..], Ok(())));
        client.shutdown(1_000).await;
    });
    assert_eq!(*noted.borrow(), ["Puback 1 0x87", "Pubrec 2 0x97", "Pubrec 3 0x0"]);
}

#[test]
fn what_3_1_1_cannot_say_is_an_error_and_the_message_can_still_be_acknowledged() {
    let (version, wire, resources) = (ProtocolVersion::V3_1_1, Wire::default(), Small::new(Time::default()));
    let (client, noted) = (resources.client(), RefCell::new(Vec::new()));
    let messages = [message(b"1", QoS::AtLeastOnce, 1)];
    play(&resources, options(version), &wire, send(&wire, version, 1, &messages, &noted), async {
        let mut reader = client.subscribe("a/b", QoS::ExactlyOnce).unwrap().by_hand();
        let mut buffer = [0; 64];
        let first = reader.next(&mut buffer).await.unwrap().unwrap();
        let refused = reader.reject(&first, ReasonCode::NOT_AUTHORIZED);
        assert_eq!(refused, Err(Error::Usage(UsageError::NotInVersion)));
        assert_eq!(reader.acknowledge(&first), Ok(()));
        client.shutdown(1_000).await;
    });
    assert_eq!(*noted.borrow(), ["Puback 1 0x0"]);
}

#[test]
fn one_of_two_readers_refuses_for_both() {
    let (version, wire, resources) = (ProtocolVersion::V5_0, Wire::default(), Small::new(Time::default()));
    let (client, noted) = (resources.client(), RefCell::new(Vec::new()));
    let messages = [message(b"1", QoS::AtLeastOnce, 1), message(b"2", QoS::AtLeastOnce, 2)];
    play(&resources, options(version), &wire, send(&wire, version, 2, &messages, &noted), async {
        let mut first = client.subscribe("a/b", QoS::AtLeastOnce).unwrap().by_hand();
        let mut second = client.subscribe("a/+", QoS::AtLeastOnce).unwrap();
        let (mut one, mut other) = ([0; 64], [0; 64]);
        let message = first.next(&mut one).await.unwrap().unwrap();
        assert_eq!(first.reject(&message, ReasonCode::NOT_AUTHORIZED), Ok(()));
        for payload in [b"1", b"2"] {
            assert_eq!(second.next(&mut other).await.unwrap().unwrap().payload(), payload);
        }
        let message = first.next(&mut one).await.unwrap().unwrap();
        assert_eq!((message.payload(), first.acknowledge(&message)), (&b"2"[..], Ok(())));
        client.shutdown(1_000).await;
    });
    assert_eq!(*noted.borrow(), ["Puback 1 0x87", "Puback 2 0x0"]);
}

#[test]
fn a_message_in_parts_is_acknowledged_by_hand_once_its_last_part_was_read() {
    for version in VERSIONS {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let (wire, resources) = (Wire::default(), Small::new(Time::default()));
            let (client, noted) = (resources.client(), RefCell::new(Vec::new()));
            let payload = [7; 1_000];
            let messages = [message(&payload, qos, 1), message(b"2", qos, 2)];
            let mut options = options(version);
            options.connect = options.connect.streaming(true);
            let server = send(&wire, version, 1, &messages, &noted);
            play(&resources, options, &wire, server, async {
                let mut reader = client.subscribe("a/b", QoS::ExactlyOnce).unwrap().by_hand();
                let (mut buffer, mut part) = ([0; 256], [0; 256]);
                let large = reader.next(&mut buffer).await.unwrap().unwrap();
                assert_eq!((large.payload_len(), reader.acknowledge(&large)), (1_000, STALE));
                while reader.read(&mut part).await.unwrap() > 0 {}
                resources.clock().sleep(1_000).await;
                assert!(noted.borrow().is_empty(), "it was read, and not acknowledged");
                assert_eq!(reader.acknowledge(&large), Ok(()));
                assert_eq!(reader.acknowledge(&large), STALE);
                let next = reader.next(&mut part).await.unwrap().unwrap();
                assert_eq!((next.payload(), reader.acknowledge(&next)), (&b"2"[..], Ok(())));
                client.shutdown(1_000).await;
            });
            assert_eq!(noted.borrow().len(), 2, "{:?}", noted.borrow());
        }
    }
}

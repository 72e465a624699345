//! Lengths that lie: what is announced takes no memory before it is there, and what is too large is not waited for.

use mqtt_core::Property;
use mqtt_std::{Cause, QoS};

use super::support::*;

/// Of a client with a connection, beside what is asked of it.
const IDLE: u64 = 512 * KIB;

#[test]
fn what_is_announced_takes_no_memory() {
    for version in BOTH {
        // 16 MiB less the head, which is allowed; and the most that can be said, which in 3.1.1 is skipped as it comes.
        for announced in [(16 << 20) - 5, 268_435_455] {
            let peak = peak(async || {
                let lair = Lair::new(version);
                let (client, mut wire) = lair.connect(lair.options(), &[]).await;
                let head = [&[0x30][..], &length(announced), &[0, 1, b't', 0]].concat();
                assert!(wire.write(&head).await);
                // Nothing more comes: the Keep Alive finds that out, or the length itself is too much.
                let cause = end(&client).await;
                assert!(matches!(cause, Cause::Connection(_)), "{cause:?}");
            });
            assert!(peak < IDLE, "{version:?}, {announced} announced: {peak} bytes");
        }
    }
}

#[test]
fn a_larger_packet_than_allowed_ends_the_connection_at_its_head() {
    let peak = peak(async || {
        let lair = Lair::new(V5);
        let (client, mut wire) = lair.connect(lair.options().maximum_packet_size(100_000), &[]).await;
        let begun = tokio::time::Instant::now();
        assert!(wire.write(&[&[0x30][..], &length(100_000), &[0, 1, b't', 0]].concat()).await);
        // DISCONNECT with 0x95, Packet too large.
        assert_eq!(wire.packet().await[..3], [0xe0, 2, 0x95]);
        drop(wire);
        assert!(matches!(end(&client).await, Cause::Connection(_)));
        assert!(begun.elapsed() < SECOND);
    });
    assert!(peak < IDLE, "{peak} bytes");
}

#[test]
fn a_packet_of_the_largest_size_takes_a_few_times_its_size() {
    for version in BOTH {
        let payload = vec![7; (16 << 20) - 100];
        let packet = publish(version, 0, "t", 0, &[], &payload);
        let peak = peak(async || {
            let lair = Lair::new(version);
            let (client, mut wire) = lair.connect(lair.options(), &[]).await;
            let (stream, ()) = tokio::join!(client.subscribe("t", QoS::AtMostOnce), wire.grant());
            let mut stream = stream.unwrap();
            let (message, sent) = tokio::join!(stream.next(), wire.write(&packet));
            assert!(sent);
            assert_eq!(message.unwrap().payload_len(), payload.len());
        });
        // A buffer that grows to twice the packet, beside the half that it was before or the message that is made of it.
        assert!(peak < 50 * MIB, "{version:?}: {peak} bytes");
    }
}

#[test]
fn lengths_within_a_packet_lie_in_vain() {
    for (name, packet) in [
        ("a topic beyond the packet", vec![0x30, 4, 0xff, 0xff, b't', 0]),
        ("properties beyond the packet", vec![0x30, 7, 0, 1, b't', 0xff, 0xff, 0xff, 0x7f]),
        ("a text beyond its properties", vec![0x30, 9, 0, 1, b't', 5, 0x03, 0xff, 0xff, b'x', b'y']),
        ("a length that does not end", vec![0x30, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        ("properties whose length does not end", vec![0x30, 8, 0, 1, b't', 0xff, 0xff, 0xff, 0xff, 0x7f]),
        ("a SUBACK without codes", vec![0x90, 3, 0, 1, 0]),
    ] {
        let peak = peak(async || {
            let lair = Lair::new(V5);
            let (client, mut wire) = lair.connect(lair.options(), &[]).await;
            let begun = tokio::time::Instant::now();
            assert!(wire.write(&packet).await);
            assert_eq!(wire.packet().await[0], 0xe0, "{name}");
            drop(wire);
            assert!(matches!(end(&client).await, Cause::Connection(_)), "{name}");
            assert!(begun.elapsed() < SECOND, "{name}");
        });
        assert!(peak < IDLE, "{name}: {peak} bytes");
    }
}

#[test]
fn a_greeting_full_of_nothing_takes_no_more_than_its_packet() {
    // On the wire 5 bytes each; as texts that own themselves ten times as much.
    let properties = empty_user_properties((4 << 20) - 100);
    let body = [&[0, 0][..], &length(properties.len()), &properties].concat();
    let connack = packet(0x20, &body);
    let refusal = packet(0x20, &[&[0, 0x88][..], &body[2..]].concat());
    let farewell = packet(0xe0, &[&[0x8b][..], &body[2..]].concat());
    for greeting in [&connack, &refusal, &farewell] {
        let peak = peak(async || {
            let lair = Lair::new(V5);
            let client = mqtt_std::Client::connect_retrying(lair.options().maximum_packet_size(4 << 20)).unwrap();
            let mut wire = lair.accept().await;
            wire.packet().await;
            if greeting[0] == 0xe0 {
                wire.connack(mqtt_std::ReasonCode::SUCCESS, &[]).await;
            }
            assert!(wire.write(greeting).await);
            let accepted = status(&client, |status| status.is_connected() || is_over(status)).await;
            drop((accepted, client));
        });
        assert!(peak < 13 * MIB, "{:#x}: {peak} bytes", greeting[0]);
    }
}

#[test]
fn long_words_in_a_greeting_are_kept_once() {
    let long = "x".repeat(65_535);
    let peak = peak(async || {
        let lair = Lair::new(V5);
        let properties = [
            Property::AssignedClientIdentifier(&long),
            Property::ReasonString(&long),
            Property::ResponseInformation(&long),
        ];
        let options = lair.options().client_identifier("").request_response_information();
        let (client, _wire) = lair.connect(options, &properties).await;
        let mqtt_std::Status::Connected { accepted, .. } = client.status().borrow().clone() else { panic!() };
        assert_eq!(accepted.assigned_client_identifier.as_deref(), Some(&*long));
    });
    assert!(peak < 2 * MIB, "{peak} bytes");
}

//! CONNECT, CONNACK, and how connections end.

use mqtt_core::{Auth, Connect, Packet, Properties, Property, ProtocolVersion, ReasonCode};
use mqtt_std::testkit::{Broker, BrokerOptions};

use super::client::Client;
use super::packets::*;

async fn broker() -> Broker {
    Broker::start(BrokerOptions::new()).await.unwrap()
}

#[tokio::test]
async fn all_versions_share_a_port_and_leave_politely() {
    let broker = broker().await;
    assert_eq!(broker.url(), format!("mqtt://{}", broker.address()));
    for version in VERSIONS {
        let mut client = Client::plain(&broker, version, "c").await;
        client.exchange(&Packet::Pingreq, "PINGRESP").await;
        client.exchange(&DISCONNECT, "closed").await;
        assert_eq!(broker.statistics().sessions, 0, "{version:?}");
    }
}

#[tokio::test]
async fn connack_says_what_differs_from_the_defaults() {
    let broker = broker().await;
    let (_, answer) = Client::connect(&broker, &connect(V5, "c")).await;
    assert_eq!(answer, "CONNACK 00 [ReceiveMaximum(1024), MaximumPacketSize(1048576), TopicAliasMaximum(16)]");
    let (_, answer) = Client::connect(&broker, &connect(V3, "c")).await;
    assert_eq!(answer, "CONNACK 00");

    let options = BrokerOptions::new()
        .receive_maximum(65_535)
        .topic_alias_maximum(0)
        .max_packet_size(1_000)
        .maximum_qos(mqtt_core::QoS::AtLeastOnce)
        .retain_available(false)
        .wildcard_subscription_available(false)
        .subscription_identifier_available(false)
        .shared_subscription_available(false)
        .server_keep_alive(20)
        .max_session_expiry_interval(60);
    let broker = Broker::start(options).await.unwrap();
    let (_, answer) = Client::connect(&broker, &connect_kept(V5, "")).await;
    assert_eq!(
        answer,
        "CONNACK 00 [SessionExpiryInterval(60), MaximumQoS(1), RetainAvailable(0), MaximumPacketSize(1000), \
         WildcardSubscriptionAvailable(0), SubscriptionIdentifierAvailable(0), SharedSubscriptionAvailable(0), \
         ServerKeepAlive(20), AssignedClientIdentifier(\"testkit-1\")]"
    );
}

#[tokio::test]
async fn a_client_without_identifier_gets_one_where_that_is_allowed() {
    for (version, clean_start, assign, answer) in [
        (V5, true, true, "CONNACK 00"),
        (V5, false, true, "CONNACK 00"),
        (V5, true, false, "CONNACK 85"),
        (V3, true, true, "CONNACK 00"),
        (V3, true, false, "CONNACK 85"),
    ] {
        let broker = Broker::start(BrokerOptions::new().assign_client_identifiers(assign)).await.unwrap();
        let (_client, line) = Client::connect(&broker, &Connect { clean_start, ..connect(version, "") }).await;
        assert!(line.starts_with(answer), "{version:?} {clean_start} {assign}: {line}");
        assert_eq!(line.contains("AssignedClientIdentifier"), version == V5 && answer.ends_with("00"), "{line}");
    }
    // For a session that would be kept, and in 3.1 always, it needs one (3.1.1: MQTT-3.1.3-8).
    let broker = broker().await;
    for (bytes, version) in [
        (&b"\x10\x0c\x00\x04MQTT\x04\x00\x00\x00\x00\x00"[..], V3),
        (b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x00\x00\x00", ProtocolVersion::V3_1),
    ] {
        let mut client = Client::open(&broker, version).await;
        client.send_bytes(bytes).await;
        client.expect("CONNACK 85").await;
        client.expect("closed").await;
    }
}

#[tokio::test]
async fn a_version_can_be_switched_off() {
    let refused = |options: BrokerOptions, version| async move {
        let broker = Broker::start(options).await.unwrap();
        let mut client = Client::open(&broker, version).await;
        client.send(&Packet::Connect(connect(version, "c"))).await;
        let answer = client.receive().await;
        client.expect("closed").await;
        answer
    };
    // The answer to 5.0 has the shape of 3.1.1, which the codec reads as 0x84.
    assert_eq!(refused(BrokerOptions::new().accept_version(V5, false), V5).await, "CONNACK 84");
    assert_eq!(refused(BrokerOptions::new().accept_version(V3, false), V3).await, "CONNACK 84");
    let v3_1 = ProtocolVersion::V3_1;
    assert_eq!(refused(BrokerOptions::new().accept_version(v3_1, false), v3_1).await, "CONNACK 84");
}

#[tokio::test]
async fn only_the_right_user_comes_in() {
    let broker = Broker::start(BrokerOptions::new().credentials("ada", "secret")).await.unwrap();
    let (ada, eve) = (Some("ada"), Some("eve"));
    let (right, wrong) = (Some(&b"secret"[..]), Some(&b"guess"[..]));
    for version in VERSIONS {
        for (user_name, password, answer) in
            [(ada, right, "00"), (ada, wrong, "86"), (eve, right, "86"), (ada, None, "86"), (None, None, "86")]
        {
            let (_client, line) =
                Client::connect(&broker, &Connect { user_name, password, ..connect(version, "c") }).await;
            assert!(line.starts_with(&format!("CONNACK {answer}")), "{version:?} {user_name:?} {password:?}: {line}");
        }
    }
}

#[tokio::test]
async fn enhanced_authentication_is_refused() {
    let broker = broker().await;
    let properties = [Property::AuthenticationMethod("SCRAM-SHA-1")];
    let request = Connect { properties: Properties::new(&properties), ..connect(V5, "c") };
    let (mut client, answer) = Client::connect(&broker, &request).await;
    assert_eq!(answer, "CONNACK 8c");
    client.expect("closed").await;

    let mut client = Client::plain(&broker, V5, "c").await;
    let auth = Auth { reason_code: ReasonCode::RE_AUTHENTICATE, properties: Properties::new(&properties) };
    client.exchange(&Packet::Auth(auth), "DISCONNECT 82").await;
    client.expect("closed").await;
}

#[tokio::test]
async fn the_first_packet_is_connect_and_no_later_one_is() {
    let broker = broker().await;
    for version in VERSIONS {
        // 3.1.1 and 5.0: MQTT-3.1.0-1
        let mut client = Client::open(&broker, version).await;
        client.exchange(&Packet::Pingreq, "closed").await;
        // 3.1.1 and 5.0: MQTT-3.1.0-2
        let mut client = Client::plain(&broker, version, "c").await;
        client.send(&Packet::Connect(connect(version, "c"))).await;
        if version == V5 {
            client.expect("DISCONNECT 82").await;
        }
        client.expect("closed").await;
    }
}

#[tokio::test]
async fn malformed_bytes_end_the_connection_with_the_reason() {
    let broker = broker().await;
    for (bytes, reason) in [
        (&b"\x00\x00"[..], "81"),                 // type 0
        (b"\x36\x06\x00\x01a\x00\x01\x00", "81"), // QoS 3
        (b"\x30\xff\xff\xff\xff", "81"),          // remaining length of five bytes
        (b"\x82\x03\x00\x00\x00", "81"),          // identifier 0
        (b"\x82\x03\x00\x01\x00", "82"),          // no filter
        (b"\xd0\x00", "82"),                      // PINGRESP
        (b"\x30\x05\x00\x01+\x00x", "90"),        // a wildcard in a topic
    ] {
        let mut client = Client::plain(&broker, V5, "c").await;
        client.send_bytes(bytes).await;
        assert_eq!(client.receive().await, format!("DISCONNECT {reason}"), "{bytes:02x?}");
        client.expect("closed").await;

        let mut client = Client::plain(&broker, V3, "c").await;
        client.send_bytes(bytes).await;
        assert_eq!(client.receive().await, "closed", "{bytes:02x?}");
    }
}

#[tokio::test]
async fn a_broken_connect_is_told_so_on_5_0_only() {
    let broker = broker().await;
    for (bytes, version, answer) in [
        (&b"\x10\x0d\x00\x04MQTT\x05\x01\x00\x00\x00\x00\x00"[..], V5, "CONNACK 81"), // reserved flag
        (b"\x10\x0c\x00\x04MQTT\x04\x01\x00\x00\x00\x00", V3, "closed"),
        (b"\x10\x0d\x00\x04MQTT\x06\x02\x00\x00\x00\x00\x00", V5, "CONNACK 84"), // a version to come
        (b"\x10\x04\x00\x04HTTP", V5, "closed"),
    ] {
        let mut client = Client::open(&broker, version).await;
        client.send_bytes(bytes).await;
        assert_eq!(client.receive().await, answer, "{bytes:02x?}");
    }
}

#[tokio::test]
async fn a_second_client_takes_the_session_over() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut first = Client::accepted(&broker, &connect_kept(version, "c")).await;
        let mut second = Client::resumed(&broker, &connect_kept(version, "c")).await;
        if version == V5 {
            first.expect("DISCONNECT 8e").await; // 5.0: MQTT-3.1.4-3
        }
        first.expect("closed").await;
        second.exchange(&Packet::Pingreq, "PINGRESP").await;
        assert_eq!(broker.statistics().connections, 1);
        // The next round begins without a session.
        second.exchange(&DISCONNECT, "closed").await;
        Client::plain(&broker, version, "c").await.exchange(&DISCONNECT, "closed").await;
    }
}

#[tokio::test]
async fn shutdown_says_so_and_ends_everything() {
    let mut broker = broker().await;
    let mut v5 = Client::plain(&broker, V5, "five").await;
    let mut v3 = Client::plain(&broker, V3, "three").await;
    broker.shutdown().await;
    v5.expect("DISCONNECT 8b").await;
    v5.expect("closed").await;
    v3.expect("closed").await;
    assert!(tokio::net::TcpStream::connect(broker.address()).await.is_err());
    assert_eq!(broker.statistics().connections, 0);
    broker.shutdown().await;
}

#[tokio::test]
async fn a_dropped_broker_is_gone() {
    let broker = broker().await;
    let address = broker.address();
    let mut client = Client::plain(&broker, V5, "c").await;
    drop(broker);
    client.expect("closed").await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_restart_keeps_the_port_sessions_and_retained_messages() {
    let mut broker = broker().await;
    let address = broker.address();
    for version in VERSIONS {
        let mut kept = Client::accepted(&broker, &connect_kept(version, "kept")).await;
        let mut other = Client::plain(&broker, version, "other").await;
        kept.subscribe("a", 1).await;
        other.publish_packet(retained("r", 1, 1, "x")).await;
        broker.restart().await.unwrap();
        kept.expect("closed").await;
        other.expect("closed").await;
        assert_eq!(broker.address(), address);
        assert_eq!(broker.statistics().sessions, 1, "{version:?}");

        let mut kept = Client::resumed(&broker, &connect_kept(version, "kept")).await;
        let message = publish("a", 0, 1, "still subscribed");
        kept.exchange(&Packet::Publish(message), r#"PUBLISH a q0 "still subscribed""#).await;
        kept.subscribe("none", 0).await;
        let list = [subscription("r", 1)];
        kept.exchange(&subscribe(&list, &[]), "SUBACK #900 [01]").await;
        kept.expect(r#"PUBLISH r q1 #1 retain "x""#).await;
        kept.exchange(&DISCONNECT, "closed").await;
        Client::plain(&broker, version, "kept").await.exchange(&DISCONNECT, "closed").await;
    }
}

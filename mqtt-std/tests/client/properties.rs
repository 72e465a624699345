//! What 5.0 says of a message beside its payload, in both directions.

use mqtt_core::{
    Ack, AckKind, Delivery, Packet, Properties, Property, Publish, QoS, ReasonCode, ReasonCodes, Suback, TopicName,
};
use mqtt_std::{Client, Delivered, Error, Outcome, PacketIdentifier, Status, TopicAliasUse, UsageError};

use super::support::*;

#[test]
fn every_property_of_a_publish_is_sent_now_or_later() {
    run(async || {
        let words = concat!(
            r#"PayloadFormatIndicator(1), ContentType("text/plain"), ResponseTopic("answers"), "#,
            r#"CorrelationData([1, 2]), UserProperty("a", "1"), UserProperty("a", "2")"#
        );
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let peer = Peer::new(V5).await;
            let (client, run) = Client::new(peer.options()).unwrap();
            let publish = || {
                let publish = client.publish("t", "x").qos(qos).payload_is_text();
                // The last word counts, but for User Properties.
                let publish = publish.content_type("?").content_type("text/plain").response_topic("answers");
                let publish = publish.correlation_data(&[1, 2]).user_property("a", "1").user_property("a", "2");
                publish.message_expiry_interval(60)
            };
            let early = publish().send().await.unwrap();
            tokio::spawn(run);
            let mut link = peer.welcome(false).await;
            status(&client, is_connected).await;
            let now = publish().send().await.unwrap();
            for _ in 1..=2 {
                let line = link.receive().await;
                assert!(line.contains(words) && line.contains("MessageExpiryInterval(60)"), "{line}");
                assert_eq!(line.matches("(").count(), 7, "{line}");
            }
            drop(now);
            drop(early);
        }
    });
}

#[test]
fn what_connect_says_beside_is_an_option() {
    run(async || {
        for (version, said) in [(V5, true), (V3, false)] {
            let peer = Peer::new(version).await;
            let options = peer.options().user_property("site", "cellar").user_property("site", "attic");
            let options = options.topic_alias_maximum(3).without_problem_information();
            let client = Client::connect_retrying(options).unwrap();
            let mut link = peer.accept().await;
            let received = link.packet().await;
            let Ok(Packet::Connect(connect)) = received.packet() else { panic!("{received:?}") };
            let list: Vec<_> = connect.properties.iter().collect();
            for property in [
                Property::TopicAliasMaximum(3),
                Property::RequestProblemInformation(0),
                Property::UserProperty("site", "cellar"),
                Property::UserProperty("site", "attic"),
            ] {
                assert_eq!(list.contains(&property), said, "{property:?} in {list:?}");
            }
            link.connack(false, ReasonCode::SUCCESS).await;
            let now = status(&client, is_connected).await;
            let Status::Connected { loss, .. } = now else { panic!("{now:?}") };
            assert_eq!((loss.properties, loss.request_problem_information), (!said, !said));
        }
    });
}

#[test]
fn what_disconnect_says_beside_is_an_option() {
    run(async || {
        let user = Property::UserProperty("why", "night");
        let expiry = Property::SessionExpiryInterval;
        for (version, kept, at_end, said) in [
            (V5, 300, None, &[expiry(0), user][..]),
            (V5, 300, Some(7), &[expiry(7), user]),
            // What is forbidden is left out, and the rest with it.
            (V5, 0, Some(7), &[]),
            (V3, 300, Some(7), &[]),
        ] {
            let peer = Peer::new(version).await;
            let mut options = peer.options().session_expiry_interval(kept).disconnect_user_property("why", "night");
            if let Some(seconds) = at_end {
                options = options.session_expiry_interval_at_end(seconds);
            }
            let (client, mut link) = peer.connect(options).await;
            let (shutdown, received) = tokio::join!(client.shutdown(LONG), link.packet());
            shutdown.unwrap();
            let Ok(Packet::Disconnect(disconnect)) = received.packet() else { panic!("{received:?}") };
            assert_eq!(disconnect.properties.iter().collect::<Vec<_>>(), said, "{version:?} {kept} {at_end:?}");
        }
    });
}

#[test]
fn that_a_payload_is_no_text_can_be_said() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        client.publish("t", "x").payload_is_text().payload_is_bytes().await.unwrap();
        let line = link.receive().await;
        assert!(line.contains("PayloadFormatIndicator(0)") && !line.contains("Indicator(1)"), "{line}");
    });
}

#[test]
fn a_message_tells_its_packet_identifier_at_qos_1_and_2() {
    run(async || {
        let peer = Peer::new(V3).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        let (stream, _) = tokio::join!(client.subscribe("t", QoS::ExactlyOnce), link.grant("t q2"));
        let mut stream = stream.unwrap();
        for (qos, number) in [(QoS::AtMostOnce, 0), (QoS::AtLeastOnce, 7), (QoS::ExactlyOnce, 65_535)] {
            link.publish("t", qos, number, "x").await;
            let message = stream.next().await.unwrap();
            assert_eq!(message.packet_identifier().map_or(0, PacketIdentifier::number), number);
        }
    });
}

#[test]
fn a_property_that_is_not_valid_is_refused_at_once() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, _link) = peer.connect(peer.options()).await;
        let (offline, _run) = Client::new(peer.options()).unwrap();
        for client in [client, offline] {
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
                let error = client.publish("t", "x").qos(qos).response_topic("a/+").await.unwrap_err();
                assert!(matches!(error, Error::Usage(UsageError::Encode(_))), "{error:?}");
            }
        }
    });
}

#[test]
fn what_3_1_1_cannot_say_is_an_error() {
    run(async || {
        let peer = Peer::new(V3).await;
        let (client, run) = Client::new(peer.options()).unwrap();
        let early = client.publish("t", "x").qos(QoS::AtLeastOnce).user_property("a", "1").send().await.unwrap();
        tokio::spawn(run);
        let mut link = peer.welcome(false).await;
        assert!(matches!(early.await, Err(Error::NotDelivered(Outcome::Refused(_)))));
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            let error = client.publish("t", "x").qos(qos).user_property("a", "1").await.unwrap_err();
            assert!(matches!(error, Error::Usage(UsageError::Encode(_))), "{error:?}");
        }
        let error = client.subscribe("t", QoS::AtMostOnce).no_local().await.unwrap_err();
        assert!(matches!(error, Error::Usage(_)), "{error:?}");
        others().await;
        link.expect_nothing();
    });
}

#[test]
fn a_message_tells_its_properties() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        let (stream, _) = tokio::join!(client.subscribe("t", QoS::AtLeastOnce), link.grant("t q1"));
        let mut stream = stream.unwrap();
        let list = [
            Property::PayloadFormatIndicator(1),
            Property::MessageExpiryInterval(7),
            Property::ContentType("text/plain"),
            Property::ResponseTopic("answers"),
            Property::CorrelationData(&[1, 2]),
            Property::UserProperty("a", "1"),
            Property::UserProperty("b", "2"),
            Property::UserProperty("a", "3"),
            Property::SubscriptionIdentifier(5),
            Property::SubscriptionIdentifier(300),
        ];
        let publish = Publish {
            topic: Some(TopicName::new("t").unwrap()),
            delivery: Delivery::AtMostOnce,
            retain: true,
            properties: Properties::new(&list),
            payload: b"[1,2]",
        };
        link.send(&Packet::Publish(publish)).await;
        let message = stream.next().await.unwrap();
        assert_eq!((message.topic(), message.payload(), message.retain()), ("t", &b"[1,2]"[..], true));
        assert!(message.payload_is_text());
        assert_eq!(message.message_expiry_interval(), Some(7));
        assert_eq!(message.content_type(), Some("text/plain"));
        assert_eq!(message.response_topic(), Some("answers"));
        assert_eq!(message.correlation_data(), Some(&[1, 2][..]));
        assert_eq!(message.user_properties().collect::<Vec<_>>(), [("a", "1"), ("b", "2"), ("a", "3")]);
        assert_eq!((message.user_property("a"), message.user_property("c")), (Some("1"), None));
        assert_eq!(message.subscription_identifiers().collect::<Vec<_>>(), [5, 300]);
        assert_eq!(message.properties(), Properties::new(&list));
        assert_eq!(message.payload_bytes(), message.payload());
        assert!(format!("{message:?}").contains("text/plain"));
        #[cfg(feature = "serde")]
        {
            assert_eq!(message.json::<[u8; 2]>().unwrap(), [1, 2]);
            assert!(message.json::<String>().is_err());
        }

        link.send(&peer::message("t", QoS::AtMostOnce, 0, false, "")).await;
        let message = stream.next().await.unwrap();
        // [v5 §2.2.2.2: what holds without a property]
        assert_eq!((message.payload(), message.payload_is_text()), (&b""[..], false));
        assert_eq!((message.content_type(), message.correlation_data()), (None, None));
        assert_eq!((message.message_expiry_interval(), message.response_topic()), (None, None));
        assert_eq!((message.user_properties().count(), message.subscription_identifiers().count()), (0, 0));
        assert!(message.properties().is_empty());
    });
}

// [v5 §3.3.2.3.2: a receiver may check that text is text]
#[test]
fn text_that_is_none_is_found_out_by_whoever_reads_it_as_text() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        let (stream, _) = tokio::join!(client.subscribe("t", QoS::AtLeastOnce), link.grant("t q1"));
        let mut stream = stream.unwrap();
        let list = [Property::PayloadFormatIndicator(1)];
        for (payload, is_text) in [(&[0xff][..], false), ("ü".as_bytes(), true)] {
            let publish = Publish {
                topic: Some(TopicName::new("t").unwrap()),
                delivery: Delivery::AtMostOnce,
                retain: false,
                properties: Properties::new(&list),
                payload,
            };
            link.send(&Packet::Publish(publish)).await;
            let message = stream.next().await.unwrap();
            assert!(message.payload_is_text());
            assert_eq!((message.payload(), message.payload_str().is_ok()), (payload, is_text));
        }
    });
}

#[test]
#[cfg(feature = "serde")]
fn json_is_a_payload_like_any_other() {
    run(async || {
        let broker = broker().await;
        let client = connect(&broker, V5, "client").await;
        let mut stream = client.subscribe("t", QoS::AtMostOnce).await.unwrap();
        client.publish_json("t", &("a", 1)).unwrap().content_type("application/json").await.unwrap();
        let message = stream.next().await.unwrap();
        assert_eq!(message.json::<(&str, u8)>().unwrap(), ("a", 1));
        assert_eq!(message.content_type(), Some("application/json"));
        // A map whose keys are no text.
        let value = std::collections::HashMap::from([(vec![1], 1)]);
        assert!(matches!(client.publish_json("t", &value), Err(Error::Json(_))));
        end(client).await;
    });
}

#[test]
fn an_answer_tells_its_reason_in_words() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        let list = [Property::ReasonString("over the limit"), Property::UserProperty("limit", "7")];
        let properties = Properties::new(&list);
        for reason_code in [ReasonCode::NO_MATCHING_SUBSCRIBERS, ReasonCode::QUOTA_EXCEEDED] {
            let receipt = client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap();
            let packet_identifier = peer::id(peer::number(&link.receive().await));
            link.send(&Packet::Ack(Ack { kind: AckKind::Puback, packet_identifier, reason_code, properties })).await;
            let answer = match receipt.await {
                Ok(Delivered::Acknowledged(answer)) if !reason_code.is_failure() => answer,
                Err(Error::Rejected(answer)) if reason_code.is_failure() => answer,
                other => panic!("{other:?}"),
            };
            assert_eq!((answer.reason(), answer.reason_string()), (reason_code, Some("over the limit")));
            assert_eq!(answer.user_properties().collect::<Vec<_>>(), [("limit", "7")]);
            assert!(answer.to_string().ends_with(": over the limit"), "{answer}");
        }
        let refuse = async {
            let packet_identifier = peer::id(peer::number(&link.receive().await));
            let reason_codes = ReasonCodes::new(&[0x87]);
            link.send(&Packet::Suback(Suback { packet_identifier, properties, reason_codes })).await;
        };
        let (error, ()) = tokio::join!(client.subscribe("t", QoS::AtMostOnce), refuse);
        match error.unwrap_err() {
            Error::Rejected(answer) => {
                assert_eq!(
                    (answer.reason(), answer.reason_string()),
                    (ReasonCode::NOT_AUTHORIZED, Some("over the limit"))
                );
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_topic_alias_stands_for_the_topic_as_long_as_the_connection() {
    // trap L4
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, run) = Client::new(peer.options()).unwrap();
        tokio::spawn(run);
        for connection in 0..2 {
            let mut link = peer.accept().await;
            link.receive().await;
            let properties = Properties::new(&[Property::TopicAliasMaximum(2)]);
            let (session_present, reason_code) = (connection > 0, ReasonCode::SUCCESS);
            link.send(&Packet::Connack(mqtt_core::Connack { session_present, reason_code, properties })).await;
            status(&client, is_connected).await;
            let publish = |payload| client.publish("long/topic", payload).topic_alias(TopicAliasUse::Automatic);
            drop(publish("1").send().await.unwrap());
            drop(publish("2").send().await.unwrap());
            link.expect("PUBLISH q0 long/topic \"1\" [TopicAlias(1)]").await;
            link.expect("PUBLISH q0  \"2\" [TopicAlias(1)]").await;
            let error = client.publish("t", "x").topic_alias(TopicAliasUse::Number(3)).await.unwrap_err();
            assert!(matches!(error, Error::Usage(UsageError::TopicAliasNotSupported { maximum: 2 })), "{error:?}");
            drop(link);
            status(&client, |status| !is_connected(status)).await;
        }
    });
}

//! Requests and their answers.

use std::cell::{Cell, RefCell};

use mqtt_embedded::mqtt_core::{
    Ack, AckKind, AnswerTo, Packet, PacketIdentifier, Properties, Property, RequestKey, TopicName,
};
use mqtt_embedded::{Clock as _, Error, ProtocolVersion, QoS, ReasonCode, UsageError};

use crate::support::{Answer, Dice, Server, Small, Time, VERSIONS, Wire, both, options, play, polled};

const V5: ProtocolVersion = ProtocolVersion::V5_0;

/// A request as it was seen: its topic, its payload, and where its answer goes.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    topic: String,
    payload: Vec<u8>,
    to: String,
    data: Option<Vec<u8>>,
    expiry: Option<u32>,
}

/// The next request; everything before it is acknowledged, and it is too.
async fn request(server: &mut Server) -> Seen {
    let mut seen = None;
    server
        .serve_until(|packet| {
            let Packet::Publish(publish) = packet else { return false };
            let topic = publish.topic.unwrap();
            let to = AnswerTo::request(topic, publish.properties).unwrap();
            let expiry = publish.properties.iter().find_map(|property| match property {
                Property::MessageExpiryInterval(seconds) => Some(seconds),
                _ => None,
            });
            seen = Some(Seen {
                topic: topic.as_str().to_owned(),
                payload: publish.payload.to_vec(),
                to: to.topic.as_str().to_owned(),
                data: to.properties.correlation_data().map(<[u8]>::to_vec),
                expiry,
            });
            true
        })
        .await;
    seen.unwrap()
}

async fn answer(server: &mut Server, seen: &Seen, payload: &[u8], number: u16) {
    server.answer(&seen.to, seen.data.as_deref(), payload, number).await;
}

#[test]
fn two_requests_at_once_get_their_own_answers_in_whatever_order() {
    for version in VERSIONS {
        let (wire, resources) = (Wire::default(), Small::new(Time::default()));
        let client = resources.client();
        let server = async {
            let mut server = Server::accept(&wire, version, false).await;
            server.subscribed().await;
            let first = request(&mut server).await;
            let second = request(&mut server).await;
            assert_eq!((&first.payload, &second.payload), (&b"1".to_vec(), &b"2".to_vec()));
            if version == V5 {
                assert_eq!(
                    (first.topic.as_str(), first.to.as_str(), first.expiry),
                    ("pump/start", "re/pump-7", Some(30))
                );
                assert_eq!(first.data.as_ref().map(Vec::len), Some(8));
            } else {
                assert_eq!(first.topic, format!("pump/start/request/{}", first.to));
                assert_eq!((first.to.strip_prefix("re/pump-7/").map(str::len), &first.data), (Some(16), &None));
            }
            answer(&mut server, &second, b"two", 1).await;
            answer(&mut server, &first, b"one", 2).await;
            server.serve(|_| Answer::Acknowledge).await;
        };
        play(&resources, options(version), &wire, server, async {
            let requests = client.requests::<2>("re/pump-7/#", &mut Dice).unwrap();
            let ask = async |payload: &[u8]| {
                let mut buffer = [0; 128];
                let answer = requests.request("pump/start", payload).unwrap().answer(&mut buffer).await.unwrap();
                answer.payload().to_vec()
            };
            let (one, two) = both(ask(b"1"), ask(b"2")).await;
            assert_eq!((one, two), (b"one".to_vec(), b"two".to_vec()), "{version:?}");
            assert_eq!(client.statistics().unrouted, 0);
        });
    }
}

#[test]
fn who_has_answered_one_request_cannot_answer_the_next_which_is_to_somebody_else() {
    for version in VERSIONS {
        let (wire, resources) = (Wire::default(), Small::new(Time::default()));
        let client = resources.client();
        let server = async {
            let mut server = Server::accept(&wire, version, false).await;
            server.subscribed().await;
            let first = request(&mut server).await;
            answer(&mut server, &first, b"good", 1).await;
            let second = request(&mut server).await;
            // What counts on from the first one.
            let digits = first.to.rsplit('/').next().unwrap_or_default();
            let known = match &first.data {
                Some(data) => u64::from_be_bytes(data[..].try_into().unwrap()),
                None => u64::from_str_radix(digits, 16).unwrap(),
            };
            for (guess, number) in (1..=8).map(|step| known.wrapping_add(step)).chain([known, known ^ 1]).zip(2..) {
                let forged = match first.data {
                    Some(_) => Seen { data: Some(guess.to_be_bytes().to_vec()), ..second.clone() },
                    None => Seen { to: format!("re/pump-7/{guess:016x}"), ..second.clone() },
                };
                answer(&mut server, &forged, b"evil", number).await;
                server.serve_until(|packet| matches!(packet, Packet::Ack(_))).await;
            }
            answer(&mut server, &second, b"good", 100).await;
            server.serve(|_| Answer::Acknowledge).await;
        };
        play(&resources, options(version), &wire, server, async {
            let requests = client.requests::<2>("re/pump-7/#", &mut Dice).unwrap();
            let mut buffer = [0; 128];
            for topic in ["friend", "bank"] {
                let answer = requests.request(topic, b"").unwrap().answer(&mut buffer).await.unwrap();
                assert_eq!(answer.payload(), b"good", "{version:?}");
            }
            assert_eq!(client.statistics().unrouted, 10, "{version:?}");
        });
    }
}

#[test]
fn no_more_requests_wait_than_may_and_time_is_over_for_those_behind_them_too() {
    let (wire, resources, sent) = (Wire::default(), Small::new(Time::default()), Cell::new(0));
    let client = resources.client();
    let server = async {
        let mut server = Server::accept(&wire, V5, false).await;
        server.subscribed().await;
        loop {
            request(&mut server).await;
            sent.set(sent.get() + 1);
        }
    };
    play(&resources, options(V5), &wire, server, async {
        let requests = client.requests::<1>("re", &mut Dice).unwrap();
        let begun = resources.clock().now();
        let ask = async |deadline| {
            let asked = requests.request("pump", b"").unwrap().deadline(deadline).answer(&mut [0; 64]).await.err();
            (asked, resources.clock().now().millis_since(begun))
        };
        let (first, second) = both(ask(3_000), ask(1_000)).await;
        assert_eq!((first, second), ((Some(Error::Timeout), 3_000), (Some(Error::Timeout), 1_000)));
        assert_eq!(sent.get(), 1, "the second one had no turn");
        assert_eq!(ask(500).await.0, Some(Error::Timeout));
        assert_eq!(sent.get(), 2);
    });
}

#[test]
fn an_answer_that_comes_too_late_is_acknowledged_and_takes_no_room() {
    for version in VERSIONS {
        let (wire, resources) = (Wire::default(), Small::new(Time::default()));
        let client = resources.client();
        let acknowledged = Cell::new(0);
        let server = async {
            let mut server = Server::accept(&wire, version, false).await;
            server.subscribed().await;
            let late = request(&mut server).await;
            resources.clock().sleep(2_000).await;
            for number in 1..=10 {
                // More than the inbox has places for, with nobody there to take them.
                answer(&mut server, &late, &[7; 100], number).await;
            }
            let next = request(&mut server).await;
            // Now somebody is there, who waits for another one.
            for number in 11..=15 {
                answer(&mut server, &late, &[7; 100], number).await;
            }
            answer(&mut server, &next, b"now", 16).await;
            let count = |packet: &Packet<'_>| {
                let puback = matches!(packet, Packet::Ack(Ack { kind: AckKind::Puback, .. }));
                acknowledged.set(acknowledged.get() + usize::from(puback));
                Answer::Acknowledge
            };
            server.serve(count).await;
        };
        play(&resources, options(version), &wire, server, async {
            let requests = client.requests::<2>("re/#", &mut Dice).unwrap();
            let mut buffer = [0; 128];
            let first = requests.request("pump", b"").unwrap().deadline(1_000).answer(&mut buffer).await;
            assert_eq!(first.err(), Some(Error::Timeout));
            resources.clock().sleep(2_000).await;
            let second = requests.request("pump", b"").unwrap().answer(&mut buffer).await.unwrap();
            assert_eq!(second.payload(), b"now");
            resources.clock().sleep(1_000).await;
            assert_eq!((client.statistics().unrouted, client.statistics().connections), (15, 1));
        });
        // Those in front of the second request were acknowledged before it was seen.
        assert_eq!(acknowledged.get(), 6, "{version:?}");
    }
}

#[test]
fn who_asks_nobody_is_told_at_once_and_what_cannot_be_asked_is_named() {
    let (wire, resources) = (Wire::default(), Small::new(Time::default()));
    let client = resources.client();
    let server = async {
        let mut server = Server::accept(&wire, V5, false).await;
        server.subscribed().await;
        let mut id = None;
        server
            .serve_until_seen(|packet| match packet {
                Packet::Publish(publish) => {
                    id = publish.delivery.packet_identifier();
                    true
                }
                _ => false,
            })
            .await;
        let (kind, packet_identifier, properties) = (AckKind::Puback, id.unwrap(), Properties::EMPTY);
        let reason_code = ReasonCode::NO_MATCHING_SUBSCRIBERS;
        server.send(&Packet::Ack(Ack { kind, packet_identifier, reason_code, properties })).await;
        let large = request(&mut server).await;
        answer(&mut server, &large, &[7; 100], 1).await;
        server.serve(|_| Answer::Acknowledge).await;
    };
    play(&resources, options(V5), &wire, server, async {
        assert!(client.requests::<1>("re/#/x", &mut Dice).is_err());
        let requests = client.requests::<1>("re/#", &mut Dice).unwrap();
        let ask = || requests.request("pump", b"").unwrap();
        assert_eq!(ask().answer(&mut []).await.err(), Some(Error::Rejected(ReasonCode::NO_MATCHING_SUBSCRIBERS)));
        let needed = "re".len() + 1 + 2 + 8 + 100; // the topic, the Correlation Data, the payload
        assert_eq!(ask().answer(&mut [0; 64]).await.err(), Some(Error::BufferTooSmall { needed }));
        assert!(requests.request("pump/#", b"").is_err());
        client.shutdown(1_000).await;
        assert_eq!(ask().answer(&mut [0; 64]).await.err(), Some(Error::Closed));
    });
}

#[test]
fn in_3_1_1_a_request_needs_room_below_its_response_topic_and_in_its_buffer() {
    let (wire, resources) = (Wire::default(), Small::new(Time::default()));
    let client = resources.client();
    let version = ProtocolVersion::V3_1_1;
    let server = async { Server::accept(&wire, version, false).await.serve(|_| Answer::Acknowledge).await };
    play(&resources, options(version), &wire, server, async {
        let flat = client.requests::<1>("re", &mut Dice).unwrap();
        let asked = flat.request("pump", b"").unwrap().answer(&mut [0; 64]).await.err();
        assert_eq!(asked, Some(Error::Usage(UsageError::NotInVersion)));
        let requests = client.requests::<1>("re/#", &mut Dice).unwrap();
        let asked = requests.request("pump", b"").unwrap().answer(&mut [0; 16]).await.err();
        assert_eq!(asked, Some(Error::BufferTooSmall { needed: "pump/request/re/0000000000000004".len() }));
    });
}

#[test]
fn a_responder_answers_as_it_is_asked_and_knows_what_is_no_request() {
    for version in VERSIONS {
        let (wire, resources, answers) = (Wire::default(), Small::new(Time::default()), RefCell::new(Vec::new()));
        let client = resources.client();
        let server = async {
            let mut server = Server::accept(&wire, version, false).await;
            server.subscribed().await;
            let key = RequestKey::new(9);
            let data = key.correlation_data();
            let list = [Property::ResponseTopic("re"), Property::CorrelationData(&data)];
            let (topic, to, mut out) = (TopicName::new("pump").unwrap(), TopicName::new("re").unwrap(), [0; 64]);
            for number in 1..=2 {
                use mqtt_embedded::mqtt_core::{Delivery, Publish};
                let asks = number == 1;
                let (topic, properties) = match (asks, version == V5) {
                    (false, _) => (topic, Properties::EMPTY),
                    (true, true) => (topic, Properties::new(&list)),
                    (true, false) => (key.request_topic(topic, to, &mut out).unwrap(), Properties::EMPTY),
                };
                let packet_identifier = PacketIdentifier::new(number).unwrap();
                let delivery = Delivery::AtLeastOnce { packet_identifier, dup: false };
                let publish = Publish { topic: Some(topic), delivery, retain: false, properties, payload: b"on" };
                server.send(&Packet::Publish(publish)).await;
            }
            let note = |packet: &Packet<'_>| {
                if let Packet::Publish(publish) = packet {
                    let topic = publish.topic.unwrap();
                    let found = RequestKey::of_answer(TopicName::new("re").unwrap(), topic, publish.properties);
                    answers.borrow_mut().push((found, publish.delivery.qos(), publish.payload.to_vec()));
                }
                Answer::Acknowledge
            };
            server.serve(note).await;
        };
        play(&resources, options(version), &wire, server, async {
            let mut requests = client.subscribe("pump/#", QoS::AtLeastOnce).unwrap();
            let mut buffer = [0; 128];
            let request = requests.next(&mut buffer).await.unwrap().unwrap();
            let v5 = version == V5;
            assert_eq!(request.response_topic(), v5.then_some("re"));
            assert_eq!(request.correlation_data().map(<[u8]>::len), v5.then_some(8));
            let answer = client.respond(&request, b"it runs").unwrap();
            assert_eq!(answer.topic(), if v5 { "re" } else { "re/0000000000000009" });
            answer.deliver().await.unwrap();
            let other = requests.next(&mut buffer).await.unwrap().unwrap();
            assert_eq!(client.respond(&other, b"what?").err(), Some(Error::NotARequest));
        });
        assert_eq!(
            *answers.borrow(),
            [(Some(RequestKey::new(9)), QoS::AtLeastOnce, b"it runs".to_vec())],
            "{version:?}"
        );
    }
}

#[test]
fn a_request_can_be_dropped_at_every_await() {
    for version in VERSIONS {
        for cut in 1..12 {
            let (wire, resources) = (Wire::default(), Small::new(Time::default()));
            let client = resources.client();
            let server = async {
                let mut server = Server::accept(&wire, version, false).await;
                for number in 1.. {
                    let seen = request(&mut server).await;
                    let payload = seen.payload.clone();
                    answer(&mut server, &seen, &payload, number).await;
                }
            };
            play(&resources, options(version), &wire, server, async {
                let requests = client.requests::<1>("re/#", &mut Dice).unwrap();
                let ask = async |number: u8| {
                    let mut buffer = [0; 128];
                    let answer = requests.request("pump", &[number]).unwrap().answer(&mut buffer).await.unwrap();
                    answer.payload().to_vec()
                };
                for number in 0..5 {
                    let answer = polled(ask(number), cut).await;
                    assert!(answer.is_none_or(|answer| answer == [number]), "cut {cut}");
                }
                // The one place is free, and no answer is taken for another.
                assert_eq!(ask(5).await, [5], "cut {cut}");
                let _ = polled(requests.granted(), cut).await;
                drop(requests);
                // The filter is free for another reader.
                client.subscribe("re/#", QoS::AtLeastOnce).unwrap().granted().await.unwrap();
            });
        }
    }
}

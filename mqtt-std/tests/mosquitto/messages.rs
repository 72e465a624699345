//! Messages both ways, at every QoS.

use bytes::Bytes;
use mqtt_std::{Delivered, QoS, ReasonCode};

use super::support::*;

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

#[test]
fn every_qos_goes_both_ways_and_arrives_with_the_lower_of_two() {
    run(ALL, Config::PLAIN, async |broker, version| {
        let (publisher, subscriber) =
            (connect(broker, version, "publisher").await, connect(broker, version, "subscriber").await);
        for granted in QOS {
            let mut stream = subscriber.subscribe("cellar/pump", granted).await.unwrap();
            assert_eq!(stream.granted()[0].as_u8(), granted as u8);
            for qos in QOS {
                let payload = format!("{granted:?} {qos:?}");
                let delivered = publisher.publish("cellar/pump", payload.clone()).qos(qos).await.unwrap();
                match (qos, delivered) {
                    (QoS::AtMostOnce, Delivered::Sent) => {}
                    (_, Delivered::Acknowledged(answer)) if answer == ReasonCode::SUCCESS => {}
                    other => panic!("{other:?}"),
                }
                let message = next(&mut stream).await;
                assert_eq!(message.topic(), "cellar/pump");
                assert_eq!(message.payload_str(), Ok(payload.as_str()));
                assert_eq!(message.qos() as u8, (qos as u8).min(granted as u8));
                assert!(!message.retain() && !message.dup());
            }
        }
        end(publisher).await;
        end(subscriber).await;
    });
}

#[test]
fn a_hundred_messages_at_once_arrive_each_once_and_in_order() {
    run(ALL, Config::PLAIN, async |broker, version| {
        let client = connect(broker, version, "client").await;
        let mut stream = client.subscribe("t/#", QoS::ExactlyOnce).await.unwrap();
        for qos in QOS {
            let mut receipts = Vec::new();
            for number in 0..100 {
                receipts.push(client.publish("t/u", number.to_string()).qos(qos).send().await.unwrap());
            }
            for number in 0..100 {
                assert_eq!(next_line(&mut stream).await, format!("t/u {number}"), "{qos:?}");
            }
            for receipt in receipts {
                receipt.await.unwrap();
            }
        }
        assert_eq!(client.statistics().received, 300);
        end(client).await;
    });
}

// Over TCP, in order and without loss. [v3 MQTT-7.1.2-1] [v5 MQTT-4.2.0-1]
#[test]
fn a_message_of_several_megabytes_goes_both_ways() {
    run(BOTH, Config::PLAIN, async |broker, version| {
        let payload: Bytes = (0..5_000_000_u32).map(|index| (index ^ (index >> 8)) as u8).collect::<Vec<_>>().into();
        let client = connect(broker, version, "client").await;
        let mut stream = client.subscribe("big", QoS::ExactlyOnce).await.unwrap();
        for qos in QOS {
            let receipt = client.publish("big", payload.clone()).qos(qos).send().await.unwrap();
            // Something small right behind it must not get inside.
            let small = client.publish("big", "small").send().await.unwrap();
            let mut messages = [next(&mut stream).await, next(&mut stream).await];
            // Messages of different QoS have no order among each other.
            messages.sort_by_key(|message| message.payload().len());
            assert_eq!(messages[0].payload_str(), Ok("small"));
            assert!(messages[1].payload() == payload, "{qos:?}: {} other bytes", messages[1].payload().len());
            receipt.await.unwrap();
            small.await.unwrap();
        }
        end(client).await;
    });
}

#[test]
fn the_broker_says_that_nobody_was_there() {
    run(&[V5], Config::PLAIN, async |broker, version| {
        let client = connect(broker, version, "client").await;
        let delivered = client.publish("nobody", "hears").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(delivered, Delivered::Acknowledged(ReasonCode::NO_MATCHING_SUBSCRIBERS.into()));
        end(client).await;
    });
}

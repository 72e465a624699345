//! Which filter gets which message.

use mqtt_std::QoS;

use super::support::*;

#[test]
fn wildcards_match_as_the_broker_has_it() {
    run(ALL, Config::PLAIN, async |broker, version| {
        let client = connect(broker, version, "client").await;
        // Each of its own, so that no copy comes of another's.
        for (filter, topics) in [
            ("a/b", &["a/b"][..]),
            ("a/+", &["a/b", "a/c", "a/"]),
            ("+/b", &["a/b", "/b"]),
            ("+", &["a"]),
            ("a/#", &["a/b", "a", "a/c", "a/b/c", "a/"]),
            ("+/+/c", &["a/b/c"]),
            ("a/+/#", &["a/b", "a/c", "a/b/c", "a/"]),
            ("#", &["a/b", "a", "a/c", "a/b/c", "/b", "a/"]),
        ] {
            let mut stream = client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
            for topic in ["a/b", "a", "a/c", "a/b/c", "/b", "a/"] {
                client.publish(topic, topic).qos(QoS::AtLeastOnce).await.unwrap();
            }
            for topic in topics {
                assert_eq!(next_line(&mut stream).await, format!("{topic} {topic}"), "{filter}");
            }
            drop(stream);
            assert_eq!(client.statistics().unrouted, 0, "{filter}");
        }
        end(client).await;
    });
}

#[test]
fn one_stream_has_several_filters() {
    run(BOTH, Config::PLAIN, async |broker, version| {
        let client = connect(broker, version, "client").await;
        let mut stream = client.subscribe("lamp/+", QoS::AtMostOnce).and("pump/#", QoS::ExactlyOnce).await.unwrap();
        assert_eq!(stream.granted().iter().map(|code| code.as_u8()).collect::<Vec<_>>(), [0, 2]);
        for topic in ["lamp/1", "door", "pump"] {
            client.publish(topic, "x").qos(QoS::ExactlyOnce).await.unwrap();
        }
        assert_eq!(next(&mut stream).await.qos(), QoS::AtMostOnce);
        assert_eq!(next(&mut stream).await.topic(), "pump");
        end(client).await;
    });
}

//! Many of everything.

use mqtt_std::testkit::{Broker, BrokerOptions};
use mqtt_std::{ProtocolVersion, QoS};

use crate::support::*;

#[test]
fn ten_thousand_subscriptions_get_their_messages_and_leave() {
    run(async || {
        const MANY: usize = 10_000;
        let broker = Broker::start(BrokerOptions::new().max_subscriptions(MANY)).await.unwrap();
        let client = connect(&broker, ProtocolVersion::V5_0, "client").await;
        let mut streams = Vec::new();
        for number in 0..MANY {
            let wide = if number % 100 == 0 { "+" } else { "value" };
            streams.push(client.subscribe(format!("sensor/{number}/{wide}"), QoS::AtLeastOnce).await.unwrap());
        }
        // The broker looks at each of them for each message.
        for number in (0..MANY).step_by(50) {
            client.publish(format!("sensor/{number}/value"), "x").qos(QoS::AtLeastOnce).await.unwrap();
        }
        for (number, stream) in streams.iter_mut().enumerate().step_by(50) {
            assert_eq!(stream.next().await.unwrap().topic(), format!("sensor/{number}/value"));
        }
        drop(streams);
        client.publish("sensor/7/value", "x").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(client.statistics().received, MANY as u64 / 50, "{:?}", client.statistics());
        end(client).await;
    });
}

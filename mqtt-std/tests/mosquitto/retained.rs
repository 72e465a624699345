//! Messages that the broker keeps.

use mqtt_std::QoS;

use super::support::*;

#[test]
fn a_retained_message_reaches_a_latecomer_until_an_empty_one_removes_it() {
    run(ALL, Config::PLAIN, async |broker, version| {
        let (early, late) = (connect(broker, version, "early").await, connect(broker, version, "late").await);
        let mut live = early.subscribe("lamp/+", QoS::AtLeastOnce).await.unwrap();
        early.publish("lamp/1", "on").qos(QoS::AtLeastOnce).retain().await.unwrap();
        early.publish("lamp/2", "on").qos(QoS::AtLeastOnce).await.unwrap();
        for _ in 0..2 {
            assert!(!next(&mut live).await.retain(), "who is there gets it as any other");
        }

        let mut kept = late.subscribe("lamp/+", QoS::AtLeastOnce).await.unwrap();
        let message = next(&mut kept).await;
        assert_eq!((message.topic(), message.payload_str(), message.retain()), ("lamp/1", Ok("on"), true));
        drop(kept);

        late.publish("lamp/1", "").qos(QoS::AtLeastOnce).retain().await.unwrap();
        let mut kept = late.subscribe("lamp/+", QoS::AtLeastOnce).await.unwrap();
        late.publish("lamp/3", "off").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(next_line(&mut kept).await, "lamp/3 off", "nothing was kept");
        end(early).await;
        end(late).await;
    });
}

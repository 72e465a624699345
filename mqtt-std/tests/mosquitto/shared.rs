//! Shared subscriptions.

use std::collections::BTreeSet;

use mqtt_std::QoS;

use super::support::*;

#[test]
fn members_of_a_group_share_the_messages() {
    run(BOTH, Config::PLAIN, async |broker, version| {
        let publisher = connect(broker, version, "publisher").await;
        let (first, second) = (connect(broker, version, "first").await, connect(broker, version, "second").await);
        let mut one = first.subscribe("$share/workers/job/+", QoS::AtLeastOnce).await.unwrap();
        let mut two = second.subscribe("$share/workers/job/+", QoS::AtLeastOnce).await.unwrap();
        let mut all = publisher.subscribe("job/#", QoS::AtLeastOnce).await.unwrap();
        for number in 0..50 {
            publisher.publish(format!("job/{number}"), "").qos(QoS::AtLeastOnce).await.unwrap();
        }
        let mut done = BTreeSet::new();
        let mut by = [0, 0];
        for _ in 0..50 {
            let (member, message) = tokio::select! {
                message = next(&mut one) => (0, message),
                message = next(&mut two) => (1, message),
            };
            by[member] += 1;
            assert!(done.insert(message.topic().to_owned()), "{} was done twice", message.topic());
        }
        assert!(by[0] > 0 && by[1] > 0, "{by:?}");
        for number in 0..50 {
            assert_eq!(next(&mut all).await.topic(), format!("job/{number}"));
        }
        for client in [publisher, first, second] {
            assert_eq!(client.statistics().unrouted, 0);
            end(client).await;
        }
    });
}

//! The last will.

use mqtt_std::{Client, QoS, Will};

use super::support::*;

#[test]
fn a_client_that_dies_leaves_its_will() {
    run(ALL, Config::PLAIN, async |broker, version| {
        let observer = connect(broker, version, "observer").await;
        let mut status = observer.subscribe("status", QoS::ExactlyOnce).await.unwrap();
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let will = Will::new("status", "offline").qos(qos).retain();
            let device = Mortal::connect(options(broker.port(), version, "device").will(will)).await;
            device.client().publish("status", "online").qos(QoS::AtLeastOnce).await.unwrap();
            assert_eq!(next_line(&mut status).await, "status online");
            device.die().await;
            let will = next(&mut status).await;
            assert_eq!((will.payload_str(), will.qos()), (Ok("offline"), qos));
        }
        let late = connect(broker, version, "late").await;
        let mut kept = late.subscribe("status", QoS::ExactlyOnce).await.unwrap();
        assert!(next(&mut kept).await.retain(), "a will can be retained");
        end(late).await;
        end(observer).await;
    });
}

#[test]
fn a_client_that_says_goodbye_leaves_none() {
    run(ALL, Config::PLAIN, async |broker, version| {
        let observer = connect(broker, version, "observer").await;
        let mut status = observer.subscribe("status", QoS::ExactlyOnce).await.unwrap();
        for round in 0..5 {
            let will = Will::new("status", "offline").qos(QoS::AtLeastOnce);
            let device = Client::connect(options(broker.port(), version, "device").will(will)).await.unwrap();
            device.publish("status", "online").qos(QoS::AtLeastOnce).await.unwrap();
            assert_eq!(next_line(&mut status).await, "status online");
            // What it has not read when it goes must not hold up the goodbye.
            let unread = device.subscribe("status", QoS::AtLeastOnce).await.unwrap();
            end(device).await;
            drop(unread);
            // The broker has seen the end by now, or sees it before this.
            observer.publish("status", format!("after {round}")).qos(QoS::AtLeastOnce).await.unwrap();
            assert_eq!(next_line(&mut status).await, format!("status after {round}"));
        }
        end(observer).await;
    });
}

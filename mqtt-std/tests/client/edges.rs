//! Between two connections, where a bound can never be met, and under the lock.

use core::time::Duration;

use mqtt_std::{Client, Delivered, Error, Outcome, QoS, UsageError};

use super::support::*;

#[test]
fn a_message_at_qos_0_between_two_connections_waits_for_the_next() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, link) = peer.connect(peer.options()).await;
            drop(link);
            status(&client, |status| !is_connected(status)).await;
            let mut receipt = client.publish("t", "x").send().await.unwrap();
            others().await;
            assert!(poll(&mut receipt).is_pending());
            let mut link = peer.welcome(version == V5).await;
            link.expect("PUBLISH q0 t \"x\"").await;
            assert_eq!(receipt.await.unwrap(), Delivered::Sent);
        }
    });
}

#[test]
fn connack_does_not_wait_for_a_slow_reader() {
    run(async || {
        let peer = Peer::new(V5).await;
        let options = peer.options().stream_capacity(1).stall_timeout(LONG);
        let (client, mut link) = peer.connect(options).await;
        let (stream, _) = tokio::join!(client.subscribe("t", QoS::AtMostOnce), link.grant("t q0"));
        let mut stream = stream.unwrap();
        for payload in ["1", "2", "3"] {
            link.publish("t", QoS::AtMostOnce, 0, payload).await;
        }
        until(|| client.statistics().received == 2).await;
        // Its end is noticed by writing, since nothing is read.
        link.reset();
        let lost = async {
            while client.statistics().connections == 1 {
                client.publish("t", "x").await.unwrap();
                others().await;
            }
        };
        let (_link, ()) = tokio::join!(peer.welcome(true), lost);
        assert_eq!(next(&mut stream).await, "t 1");
        assert_eq!(next(&mut stream).await, "t 2");
    });
}

#[test]
fn a_message_larger_than_the_storage_is_refused_and_holds_up_nobody() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options().storage(100)).await;
        let first = client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap();
        let large = client.publish("t", vec![0; 1000]).qos(QoS::AtLeastOnce).send().await;
        assert!(matches!(large, Err(Error::Usage(UsageError::StorageFull(full))) if full.needed > 1000), "{large:?}");
        let second = client.publish("t", "y").qos(QoS::AtLeastOnce).send().await.unwrap();
        for (receipt, number) in [(first, 1), (second, 2)] {
            assert!(link.receive().await.starts_with("PUBLISH"));
            link.ack(mqtt_core::AckKind::Puback, number, mqtt_std::ReasonCode::SUCCESS).await;
            receipt.await.unwrap();
        }
    });
}

#[test]
fn a_shutdown_may_take_for_ever() {
    run(async || {
        let client = Client::connect_retrying(Reserved::new().options()).unwrap();
        assert_eq!(client.shutdown(Duration::MAX).await.unwrap().undelivered, 0);
    });
}

#[test]
fn a_message_expires_without_a_connection() {
    run(async || {
        let clock = Clock::stop();
        let nobody = Reserved::new();
        let client = Client::connect_retrying(nobody.options()).unwrap();
        let publish = |seconds| client.publish("t", "x").qos(QoS::AtLeastOnce).message_expiry_interval(seconds).send();
        let (short, long) = (publish(2).await.unwrap(), publish(20).await.unwrap());
        let (short, after) = clock.until_over(short).await;
        assert!(matches!(short, Err(Error::NotDelivered(Outcome::Expired))), "{short:?}");
        assert!(after.as_secs() < 5, "{after:?}");
        let (long, _) = clock.until_over(long).await;
        assert!(matches!(long, Err(Error::NotDelivered(Outcome::Expired))), "{long:?}");
    });
}

#[test]
fn a_stream_whose_subscription_is_not_renewed_ends() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options()).await;
            let (a, _) = tokio::join!(client.subscribe("a", QoS::AtLeastOnce), link.grant("a q1"));
            let (b, _) = tokio::join!(client.subscribe("b", QoS::AtLeastOnce), link.grant("b q1"));
            let (mut a, mut b) = (a.unwrap(), b.unwrap());
            drop(link);
            let mut link = peer.welcome(false).await;
            for _ in 0..2 {
                let line = link.receive().await;
                let code = if line.contains("a q1") { 0x80 } else { 1 };
                link.suback(peer::number(&line), &[code]).await;
            }
            link.publish("b", QoS::AtMostOnce, 0, "x").await;
            assert_eq!(next(&mut b).await, "b x");
            assert_eq!(a.next().await, None);
        }
    });
}

#[test]
fn a_waker_may_come_back_to_the_client() {
    // An executor may drop a task when it is woken, and with it a stream, which unsubscribes.
    struct DropsWhenWoken(std::sync::Mutex<Option<mqtt_std::Subscription>>);
    impl std::task::Wake for DropsWhenWoken {
        fn wake(self: std::sync::Arc<Self>) {
            drop(self.0.lock().unwrap().take());
        }
    }
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        let (a, _) = tokio::join!(client.subscribe("a", QoS::AtLeastOnce), link.grant("a q1"));
        let (b, _) = tokio::join!(client.subscribe("b", QoS::AtLeastOnce), link.grant("b q1"));
        let (mut a, b) = (a.unwrap(), b.unwrap());
        let waker = std::sync::Arc::new(DropsWhenWoken(std::sync::Mutex::new(Some(b)))).into();
        let mut next = Box::pin(a.next());
        assert!(next.as_mut().poll(&mut core::task::Context::from_waker(&waker)).is_pending());
        link.publish("a", QoS::AtMostOnce, 0, "x").await;
        assert!(link.receive().await.starts_with("UNSUBSCRIBE"));
        assert_eq!(next.await.map(|message| line(&message)).as_deref(), Some("a x"));
    });
}

#[test]
fn times_without_end_are_none() {
    run(async || {
        let peer = Peer::new(V5).await;
        let options = peer.options().write_timeout(Duration::MAX).stall_timeout(Duration::MAX);
        let (client, mut link) = peer.connect(options.connect_timeout(Duration::MAX)).await;
        drop(client.publish("t", vec![0; 32 << 20]).qos(QoS::AtLeastOnce).send().await.unwrap());
        others().await;
        link.read_some().await;
        others().await;
        assert!(is_connected(&client.status().borrow()));
    });
}

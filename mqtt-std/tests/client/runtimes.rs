//! A runtime ends while its client is in use elsewhere.

use mqtt_std::{Client, Error, QoS};
use tokio::runtime::{Builder, Runtime};

use super::support::*;

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn everything_that_waits_resolves_when_the_runtime_is_gone() {
    run(async || {
        let peer = Peer::new(V5).await;
        let home = runtime();
        let options = peer.options().in_flight(2);
        let connect = home.spawn(Client::connect(options));
        let mut link = peer.welcome(false).await;
        let client = connect.await.unwrap().unwrap();
        let (stream, _) = tokio::join!(client.subscribe("a", QoS::AtLeastOnce), link.grant("a q1"));
        let mut stream = stream.unwrap();
        let receipt = client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap();
        let mut subscribe = client.subscribe("b", QoS::AtLeastOnce).into_future();
        let mut waiting = Box::pin(client.publish("t", "x").qos(QoS::AtLeastOnce).send());
        let mut next = Box::pin(stream.next());
        let mut shutdown = Box::pin(client.shutdown(LONG));
        assert!(poll(&mut subscribe).is_pending() && poll(&mut waiting).is_pending() && poll(&mut next).is_pending());
        assert!(poll(&mut shutdown).is_pending());

        home.shutdown_background();
        assert!(matches!(receipt.await, Err(Error::NotDelivered(_))));
        assert!(matches!(subscribe.await, Err(Error::NotDelivered(_))));
        assert!(matches!(waiting.await, Err(Error::Closed)));
        assert!(next.await.is_none());
        assert_eq!(shutdown.await.unwrap().undelivered, 1);
        status(&client, is_closed).await;
        assert!(matches!(client.publish("t", "x").await, Err(Error::Closed)));
    });
}

#[test]
fn a_connect_resolves_when_the_runtime_is_gone() {
    run(async || {
        let peer = Peer::new(V5).await;
        let home = runtime();
        let options = peer.options();
        let client = home.spawn(async move { Client::connect_retrying(options).unwrap() }).await.unwrap();
        let mut watch = client.status();
        home.shutdown_background();
        watch.wait_for(is_closed).await.unwrap();
    });
}

#[test]
fn a_client_made_on_a_runtime_that_is_gone_is_closed() {
    run(async || {
        let home = runtime();
        let handle = home.handle().clone();
        home.shutdown_background();
        let nobody = Reserved::new();
        let client = {
            let _entered = handle.enter();
            Client::connect_retrying(nobody.options()).unwrap()
        };
        status(&client, is_closed).await;
        assert!(matches!(client.publish("t", "x").qos(QoS::AtLeastOnce).await, Err(Error::Closed)));
        end(client).await;
    });
}

//! Streams: with and without a subscription of their own, and how they end.

use mqtt_std::{Client, Error, QoS, ReasonCode, RetainHandling};

use super::support::*;

#[test]
fn streams_that_are_there_before_the_client_runs_miss_nothing() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, run) = Client::new(peer.options().keep_session()).unwrap();
            let mut asked = client.subscribe("a", QoS::AtLeastOnce).send().await.unwrap();
            let mut listening = client.listen("b/+").await.unwrap();
            let mut rest = client.listen_unmatched().await.unwrap();
            assert!(asked.granted().is_empty() && listening.granted().is_empty());
            let runs = tokio::spawn(run);
            let mut link = peer.accept().await;
            link.receive().await;
            // trap S6
            let mut bytes = link.encode(&peer::connack(true, ReasonCode::SUCCESS));
            for (topic, qos) in [("a", QoS::AtMostOnce), ("b/1", QoS::AtMostOnce), ("c", QoS::AtMostOnce)] {
                bytes.extend(link.encode(&peer::message(topic, qos, 0, false, "kept")));
            }
            link.send_bytes(&bytes).await;
            link.expect("SUBSCRIBE #1 a q1").await;
            assert_eq!(next(&mut asked).await, "a kept");
            assert_eq!(next(&mut listening).await, "b/1 kept");
            assert_eq!(next(&mut rest).await, "c kept");
            assert!(asked.granted().is_empty());
            link.suback(1, &[1]).await;
            assert_eq!(asked.confirmed().await.unwrap().len(), 1);
            assert_eq!(asked.granted().len(), 1);
            // Nothing was asked for.
            drop(listening);
            assert!(rest.confirmed().await.unwrap().is_empty());
            rest.unsubscribe().await.unwrap();
            assert_eq!(client.statistics().unrouted, 0);
            link.publish("c", QoS::AtMostOnce, 0, "x").await;
            until(|| client.statistics().unrouted == 1).await;
            link.expect_nothing();
            client.shutdown(LONG).await.unwrap();
            runs.await.unwrap().unwrap();
            assert_eq!(asked.next().await.map(|_| ()), None);
            assert!(matches!(client.listen("a").await, Err(Error::Closed)));
        }
    });
}

#[test]
fn what_a_subscribe_would_say_does_nothing_without_one() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options()).await;
            let mut streams = Vec::new();
            for listen in [client.listen("a"), client.listen_unmatched()] {
                let listen = listen.and("b", QoS::ExactlyOnce).no_local().retain_as_published();
                let listen = listen.retain_handling(RetainHandling::DoNotSend).user_property("name", "value");
                // 0 is none: a SUBSCRIBE with it would be refused.
                streams.push(listen.subscription_identifier(0).await.unwrap());
            }
            for topic in ["a", "b", "c"] {
                link.publish(topic, QoS::AtMostOnce, 0, "x").await;
            }
            assert_eq!(next(&mut streams[0]).await, "a x");
            assert_eq!(next(&mut streams[0]).await, "b x");
            assert_eq!(next(&mut streams[1]).await, "c x");
            link.expect_nothing();
        }
    });
}

#[test]
fn a_client_whose_run_is_dropped_is_closed() {
    run(async || {
        let nobody = Reserved::new();
        let (client, run) = Client::new(nobody.options()).unwrap();
        let mut subscribe = client.subscribe("a", QoS::AtLeastOnce).into_future();
        assert!(poll(&mut subscribe).is_pending());
        let mut stream = client.listen("b").await.unwrap();
        drop(run);
        assert!(subscribe.await.is_err());
        assert!(stream.next().await.is_none());
        assert!(matches!(client.publish("t", "x").await, Err(Error::Closed)));
    });
}

#[test]
fn what_was_asked_for_tells_its_refusal_or_ends_the_stream() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options().keep_session()).await;
        for wait_for_answer in [true, false] {
            let mut stream = client.subscribe("a", QoS::AtLeastOnce).send().await.unwrap();
            let line = link.receive().await;
            if wait_for_answer {
                link.suback(peer::number(&line), &[0x87]).await;
                let error = stream.confirmed().await.unwrap_err();
                assert!(
                    matches!(&error, Error::Rejected(answer) if *answer == ReasonCode::NOT_AUTHORIZED),
                    "{error:?}"
                );
                assert!(stream.confirmed().await.is_err());
            } else {
                let mut next = Box::pin(stream.next());
                assert!(poll(&mut next).is_pending());
                link.suback(peer::number(&line), &[0x87]).await;
                assert!(next.await.is_none());
                assert!(matches!(stream.confirmed().await, Err(Error::Rejected(_))), "the reason is kept");
                assert!(stream.next().await.is_none());
            }
            let line = link.receive().await;
            assert!(line.starts_with("UNSUBSCRIBE") && line.ends_with(" a"), "{line}");
        }
    });
}

#[test]
fn one_filter_is_one_subscription_and_nobody_lowers_its_qos() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options()).await;
            let (high, _) = tokio::join!(client.subscribe("a", QoS::ExactlyOnce), link.grant("a q2"));
            let both = client.subscribe("a", QoS::AtMostOnce).and("b", QoS::AtMostOnce);
            let (low, _) = tokio::join!(both, link.grant("a q2, b q0"));
            let (mut high, mut low) = (high.unwrap(), low.unwrap());
            link.publish("a", QoS::AtMostOnce, 0, "x").await;
            assert_eq!(next(&mut high).await, "a x");
            assert_eq!(next(&mut low).await, "a x");
            drop(high);
            let (again, _) = tokio::join!(client.subscribe("a", QoS::AtLeastOnce), link.grant("a q2"));
            drop(low);
            link.expect("UNSUBSCRIBE #4 b").await;
            drop(again.unwrap());
            link.expect("UNSUBSCRIBE #5 a").await;
            // Nobody is left who wants more.
            let (stream, _) = tokio::join!(client.subscribe("a", QoS::AtMostOnce), link.grant("a q0"));
            drop(stream);
        }
    });
}

#[test]
fn unsubscribing_waits_for_the_answer_also_of_a_kept_session() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options().keep_session()).await;
            let (stream, _) = tokio::join!(client.subscribe("a", QoS::AtLeastOnce), link.grant("a q1"));
            let (other, _) = tokio::join!(client.subscribe("a", QoS::AtLeastOnce), link.grant("a q1"));
            // Another one has the filter.
            stream.unwrap().unsubscribe().await.unwrap();
            let mut unsubscribe = Box::pin(other.unwrap().unsubscribe());
            assert!(poll(&mut unsubscribe).is_pending());
            link.expect("UNSUBSCRIBE #3 a").await;
            others().await;
            assert!(poll(&mut unsubscribe).is_pending());
            link.unsuback(3, &[0]).await;
            unsubscribe.await.unwrap();

            let (stream, _) = tokio::join!(client.subscribe("b", QoS::AtLeastOnce), link.grant("b q1"));
            let unsubscribe = stream.unwrap().unsubscribe();
            let refuse = async {
                link.expect("UNSUBSCRIBE #5 b").await;
                link.unsuback(5, &[0x87]).await;
            };
            let (result, ()) = tokio::join!(unsubscribe, refuse);
            // 3.1.1 knows no refusal.
            assert_eq!(matches!(result, Err(Error::Rejected(_))), version == V5, "{result:?}");

            // Dropped, a kept session's stream leaves the subscription as it is.
            let (stream, _) = tokio::join!(client.subscribe("c", QoS::AtLeastOnce), link.grant("c q1"));
            drop(stream.unwrap());
            others().await;
            link.expect_nothing();
        }
    });
}

#[test]
fn unsubscribing_ends_the_subscription_wherever_it_is_dropped() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options().keep_session().in_flight(1)).await;
        for polls in 0..3 {
            let (stream, _) = tokio::join!(client.subscribe("a", QoS::AtLeastOnce), link.grant("a q1"));
            // The session is full: there is no room for the UNSUBSCRIBE yet.
            let receipt = client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap();
            let publish = link.receive().await;
            let unsubscribed = drop_after(polls, stream.unwrap().unsubscribe()).await;
            assert!(unsubscribed.is_none());
            link.expect_nothing();
            link.ack(mqtt_core::AckKind::Puback, peer::number(&publish), ReasonCode::SUCCESS).await;
            receipt.await.unwrap();
            if polls == 0 {
                // It did not begin: dropping the stream keeps the subscription.
                others().await;
                link.expect_nothing();
                continue;
            }
            let line = link.receive().await;
            assert!(line.starts_with("UNSUBSCRIBE"), "{polls}: {line}");
            link.unsuback(peer::number(&line), &[0]).await;
        }
    });
}

#[test]
fn a_subscribe_comes_before_the_unsubscribe_that_still_waited() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options().in_flight(1)).await;
        let (stream, _) = tokio::join!(client.subscribe("a", QoS::AtLeastOnce), link.grant("a q1"));
        let receipt = client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap();
        let publish = link.receive().await;
        let mut unsubscribe = Box::pin(stream.unwrap().unsubscribe());
        assert!(poll(&mut unsubscribe).is_pending());
        let mut again = client.subscribe("a", QoS::AtLeastOnce).into_future();
        assert!(poll(&mut again).is_pending());
        link.ack(mqtt_core::AckKind::Puback, peer::number(&publish), ReasonCode::SUCCESS).await;
        receipt.await.unwrap();
        // What has waited longer goes first.
        link.expect("UNSUBSCRIBE #3 a").await;
        link.unsuback(3, &[0]).await;
        unsubscribe.await.unwrap();
        let (again, _) = tokio::join!(again, link.grant("a q1"));
        drop(again.unwrap());
    });
}

#[test]
fn a_stream_that_ends_takes_nobody_elses_subscription() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_all().build().unwrap();
    let test = async {
        let broker = broker().await;
        let client = connect(&broker, V5, "client").await;
        let other = client.clone();
        let comes_and_goes = tokio::spawn(async move {
            loop {
                drop(other.subscribe("t", QoS::AtLeastOnce).await.unwrap());
            }
        });
        for number in 0..300 {
            let mut stream = client.subscribe("t", QoS::AtLeastOnce).await.unwrap();
            client.publish("t", number.to_string()).qos(QoS::AtLeastOnce).await.unwrap();
            while next(&mut stream).await != format!("t {number}") {}
        }
        comes_and_goes.abort();
    };
    runtime.block_on(async { tokio::time::timeout(core::time::Duration::from_secs(60), test).await.unwrap() });
}

#[test]
fn a_subscribe_that_is_dropped_half_way_is_undone_also_in_a_kept_session() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options().keep_session()).await;
            assert!(drop_after(1, client.subscribe("a", QoS::AtLeastOnce).into_future()).await.is_none());
            link.expect("SUBSCRIBE #1 a q1").await;
            link.expect("UNSUBSCRIBE #2 a").await;
        }
    });
}

#[test]
fn options_of_a_subscription_are_sent_with_it() {
    run(async || {
        let broker = broker().await;
        let client = connect(&broker, V5, "client").await;
        client.publish("t", "kept").qos(QoS::AtLeastOnce).retain().await.unwrap();
        let subscribe = || client.subscribe("t", QoS::AtLeastOnce);
        let mut stream = subscribe()
            .no_local()
            .retain_as_published()
            .retain_handling(RetainHandling::DoNotSend)
            .subscription_identifier(7)
            .user_property("from", "cellar")
            .await
            .unwrap();
        let other = connect(&broker, V5, "other").await;
        client.publish("t", "own").qos(QoS::AtLeastOnce).await.unwrap();
        other.publish("t", "other").qos(QoS::AtLeastOnce).retain().await.unwrap();
        let message = stream.next().await.unwrap();
        assert_eq!((line(&message).as_str(), message.retain()), ("t other", true));
        assert_eq!(message.subscription_identifiers().collect::<Vec<_>>(), [7]);
        stream.unsubscribe().await.unwrap();

        let error = client.subscribe("$share/g/t", QoS::AtLeastOnce).no_local().await.unwrap_err();
        assert!(matches!(error, Error::Usage(_)), "{error:?}"); // trap L5
        end(client).await;
        end(other).await;
    });
}

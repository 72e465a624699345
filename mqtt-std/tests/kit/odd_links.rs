//! Transports that buffer, that hesitate, and applications that are busy when a connection ends.

use core::pin::Pin;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::sync::Arc;

use mqtt_std::testkit::{Broker, BrokerOptions, Conditions, LinkEnd, Network};
use mqtt_std::{Client, QoS, Router, Status};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::support::*;

/// Keeps what is written until it is flushed, as TLS does; a flush passes on some bytes at a time, and hesitates before each.
struct Buffering {
    end: LinkEnd,
    kept: Vec<u8>,
    hesitates: bool,
}

impl AsyncRead for Buffering {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end).poll_read(cx, buf)
    }
}

impl AsyncWrite for Buffering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.kept.len() > 100 {
            // It is full: until a flush has made room.
            core::task::ready!(self.as_mut().poll_flush(cx))?;
        }
        let len = buf.len().min(64);
        self.kept.extend_from_slice(&buf[..len]);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.kept.is_empty() {
            self.hesitates = !self.hesitates;
            if self.hesitates {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let Self { end, kept, .. } = &mut *self;
            let len = kept.len().min(7);
            let written = core::task::ready!(Pin::new(end).poll_write(cx, &kept[..len]))?;
            kept.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        core::task::ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.end).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_written_is_flushed_while_messages_come_in() {
    // trap C8
    for version in BOTH {
        let network = Network::with(Conditions::new().random_pieces(50).capacity(200));
        let _broker = Broker::start_in(&network, BrokerOptions::new());
        let options = options(&network, version).connector(move |_| {
            let network = network.clone();
            async move { Ok(Buffering { end: network.connect().await?, kept: Vec::new(), hesitates: false }) }
        });
        let client = Client::connect(options).await.unwrap();
        for qos in QOS {
            let mut stream = client.subscribe("t", qos).await.unwrap();
            let publish = async {
                for number in 0..50_u8 {
                    client.publish("t", vec![number; 30]).qos(qos).await.unwrap();
                }
            };
            let read = async {
                for number in 0..50_u8 {
                    assert_eq!(stream.next().await.unwrap().payload(), [number; 30]);
                }
            };
            timeout(LONG, async { tokio::join!(publish, read) }).await.expect("something was not flushed");
        }
        assert_eq!(client.shutdown(LONG).await.unwrap().undelivered, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_while_handlers_run_does_not_disturb_them() {
    // trap C5: also while the answers that they publish have no room.
    for version in BOTH {
        let network = Network::with(Conditions::new().capacity(64));
        let mut broker = Broker::start_in(&network, BrokerOptions::new());
        let tight = options(&network, version).in_flight(1).queue(1).stream_capacity(1).keep_session();
        let client = Client::connect(tight).await.unwrap();
        let other = Client::connect(options(&network, version).client_identifier("other")).await.unwrap();
        let mut answers = other.subscribe("answer", QoS::AtLeastOnce).await.unwrap();
        let (handler, ended) = (client.clone(), Arc::new(AtomicU64::new(0)));
        let count = Arc::clone(&ended);
        let router = Router::new()
            .on(("job/{number}", QoS::AtLeastOnce), move |message, _| {
                let (client, count) = (handler.clone(), Arc::clone(&count));
                async move {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    client.publish("answer", message.payload().to_vec()).qos(QoS::AtLeastOnce).await?;
                    count.fetch_add(1, Ordering::Relaxed);
                    Ok::<_, mqtt_std::Error>(())
                }
            })
            .unwrap();
        tokio::spawn(router.subscribe(&client).await.unwrap().run());
        for number in 0..4_u8 {
            other.publish("job/x", vec![number]).qos(QoS::AtLeastOnce).await.unwrap();
        }
        // In the middle of the first handler the broker says DISCONNECT, or closes, and comes back.
        tokio::time::sleep(Duration::from_secs(2)).await;
        broker.shutdown().await;
        let mut status = client.status();
        status.wait_for(|status| !matches!(status, Status::Connected { .. })).await.unwrap();
        broker.resume().await.unwrap();
        let mut found = std::collections::BTreeSet::new();
        while found.len() < 4 {
            let answer = timeout(Duration::from_secs(600), answers.next()).await.expect("wedged").unwrap();
            found.insert(answer.payload()[0]);
        }
        assert!(ended.load(Ordering::Relaxed) >= 3);
    }
}

#[tokio::test(start_paused = true)]
async fn topics_find_their_streams_by_the_rules_of_wildcards() {
    // trap L17
    for version in BOTH {
        let network = Network::new();
        let _broker = Broker::start_in(&network, BrokerOptions::new());
        let client = Client::connect(options(&network, version)).await.unwrap();
        let mut parent = client.subscribe("a/#", QoS::AtLeastOnce).await.unwrap();
        let mut shared = client.subscribe("$share/group/b/+", QoS::AtLeastOnce).await.unwrap();
        let mut all = client.listen("#").await.unwrap();
        let mut system = client.subscribe("$SYS/broker/version", QoS::AtMostOnce).await.unwrap();
        assert_eq!(system.next().await.unwrap().topic(), "$SYS/broker/version");
        for topic in ["a", "b/c"] {
            client.publish(topic, "x").qos(QoS::AtLeastOnce).await.unwrap();
        }
        assert_eq!(parent.next().await.unwrap().topic(), "a", "the parent level");
        assert_eq!(shared.next().await.unwrap().topic(), "b/c", "without $share and the name of the group");
        // What begins with `$` came first, and is not for it.
        assert_eq!(all.next().await.unwrap().topic(), "a");
        assert_eq!(all.next().await.unwrap().topic(), "b/c");
        assert_eq!(client.statistics().unrouted, 0);
    }
}

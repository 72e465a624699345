//! Links that are dead without saying so, and peers that stop reading.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::sync::Mutex;

use mqtt_std::testkit::{Broker, BrokerOptions};
use mqtt_std::transport::Server;
use mqtt_std::{Cause, Client, ConnectionError, Options, ProtocolVersion, QoS, Status};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

use super::support::*;

/// A connection over a pipe that holds 1 KiB.
async fn narrow(options: Options, version: ProtocolVersion) -> (Client, DuplexStream) {
    let (near, mut far) = tokio::io::duplex(1024);
    let near = Mutex::new(Some(near));
    let options = options.connector(move |_: Server| {
        let near = near.lock().unwrap().take();
        async move { near.ok_or_else(|| io::Error::other("there was one")) }
    });
    let connack: &[u8] = if version == V5 { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] };
    let welcome = async {
        assert!(far.read(&mut [0; 1024]).await.unwrap() > 10);
        far.write_all(connack).await.unwrap();
    };
    let (client, ()) = tokio::join!(Client::connect(options), welcome);
    (client.unwrap(), far)
}

#[test]
fn a_peer_that_stops_reading_is_given_up_after_the_write_timeout() {
    run(async || {
        let clock = Clock::stop();
        for version in BOTH {
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
                // Whatever the Keep Alive is.
                let options = Options::new("a", 1).version(version).keep_alive(0);
                let (client, mut far) = narrow(options.write_timeout(Duration::from_secs(12)), version).await;
                let _receipt = client.publish("t", vec![b'x'; 100_000]).qos(qos).send().await.unwrap();
                // It takes something now and then: slow is not dead.
                for _ in 0..10 {
                    far.read_exact(&mut [0; 10]).await.unwrap();
                    others().await;
                    clock.pass(Duration::from_secs(11)).await;
                    assert!(client.status().borrow().is_connected());
                }
                let (waiting, waited) = clock.until_over(status(&client, |status| !status.is_connected())).await;
                assert!(matches!(waiting, Status::Waiting { error: Cause::WriteTimeout, .. }), "{waiting:?}");
                assert!(waited <= Duration::from_secs(2), "{waited:?}");
            }
        }
    });
}

#[test]
fn with_nothing_to_write_there_is_no_write_timeout() {
    run(async || {
        let clock = Clock::stop();
        for version in BOTH {
            let peer = Peer::new(version).await;
            let options = peer.options().keep_alive(0).write_timeout(Duration::from_millis(1));
            let (client, mut link) = peer.connect(options).await;
            for _ in 0..20 {
                clock.pass(Duration::from_secs(60)).await;
            }
            drop(client.publish("t", "x").send().await.unwrap());
            link.expect("PUBLISH q0 t \"x\"").await;
            assert!(client.status().borrow().is_connected());
        }
    });
}

#[test]
fn a_half_open_link_is_found_and_the_next_attempt_has_its_own_time() {
    // trap K6
    run(async || {
        let clock = Clock::stop();
        for version in BOTH {
            let peer = Peer::new(version).await;
            let options = peer.options().keep_alive(20).connect_timeout(Duration::from_secs(5));
            let (client, _silent) = peer.connect(options).await;
            let (waiting, waited) = clock.until_over(status(&client, |status| !status.is_connected())).await;
            let dead = Cause::Connection(ConnectionError::PingrespTimeout);
            assert!(matches!(waiting, Status::Waiting { error, .. } if error == dead));
            assert!(waited <= Duration::from_secs(30 + 10), "{waited:?}");
            // CONNACK does not come either: as long as for any attempt.
            let (_also_silent, _) = clock.until_over(peer.accept()).await;
            let connack = Cause::Connection(ConnectionError::ConnackTimeout);
            let next = |status: &Status| matches!(status, Status::Waiting { error, .. } if *error == connack);
            let (_, waited) = clock.until_over(status(&client, next)).await;
            assert!(waited <= Duration::from_secs(12), "{waited:?}");
        }
    });
}

#[test]
fn after_a_leap_of_the_clock_a_dead_link_is_found_promptly() {
    // trap K7
    run(async || {
        let clock = Clock::stop();
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(peer.options().keep_alive(1_200)).await;
            clock.pass(Duration::from_secs(60 * 60)).await;
            link.expect("PINGREQ").await;
            let (_, waited) = clock.until_over(status(&client, |status| !status.is_connected())).await;
            assert!(waited <= Duration::from_secs(11), "{waited:?}");
        }
    });
}

#[test]
fn a_live_link_survives_a_leap_of_the_clock() {
    run(async || {
        let clock = Clock::stop();
        let broker = Broker::start(BrokerOptions::new()).await.unwrap();
        for version in BOTH {
            let client = Client::connect(options(&broker, version, "client").keep_alive(60)).await.unwrap();
            // As long as the broker bears the silence.
            clock.pass(Duration::from_secs(85)).await;
            others().await;
            client.publish("t", "x").qos(QoS::AtLeastOnce).await.unwrap();
            assert_eq!(client.statistics().connections, 1);
        }
    });
}

#[test]
fn a_shutdown_is_bounded_whatever_the_link_does() {
    run(async || {
        let clock = Clock::stop();
        for version in BOTH {
            let (client, _far) = narrow(Options::new("a", 1).version(version), version).await;
            let _receipt = client.publish("t", vec![b'x'; 100_000]).qos(QoS::AtLeastOnce).send().await.unwrap();
            others().await;
            let (end, waited) = clock.until_over(client.shutdown(Duration::from_secs(3))).await;
            assert_eq!(end.unwrap().undelivered, 1);
            assert!(waited <= Duration::from_millis(3_700), "{waited:?}");
        }
    });
}

/// Takes CONNECT and nothing more, and sends without end.
struct Torrent {
    greeted: bool,
    packet: Vec<u8>,
    at: usize,
}

impl AsyncRead for Torrent {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.greeted {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        while buffer.remaining() > 0 {
            let len = buffer.remaining().min(self.packet.len() - self.at);
            buffer.put_slice(&self.packet[self.at..self.at + len]);
            self.at = (self.at + len) % self.packet.len();
            if self.at == 0 {
                // CONNACK comes once.
                self.packet = [&[0x30, 0xff, 0x07, 0, 1, b't', 0][..], &[0; 1019]].concat();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Torrent {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if core::mem::replace(&mut self.greeted, true) { Poll::Pending } else { Poll::Ready(Ok(bytes.len())) }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_peer_that_sends_without_end_and_reads_nothing_is_given_up_too() {
    run(async || {
        let clock = Clock::stop();
        let options = || {
            Options::new("a", 1)
                .version(V5)
                .keep_alive(0)
                .connector(|_: Server| async { Ok(Torrent { greeted: false, packet: vec![0x20, 3, 0, 0, 0], at: 0 }) })
        };
        let client = Client::connect(options().write_timeout(Duration::from_millis(150))).await.unwrap();
        drop(client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap());
        let (waiting, _) = clock.until_over(status(&client, |status| !status.is_connected())).await;
        assert!(matches!(waiting, Status::Waiting { error: Cause::WriteTimeout, .. }), "{waiting:?}");
        // And a shutdown has its time.
        let client = Client::connect(options()).await.unwrap();
        drop(client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap());
        let (end, _) = clock.until_over(client.shutdown(Duration::from_millis(150))).await;
        assert_eq!(end.unwrap().undelivered, 1);
    });
}

//! Payloads that are read while they are sent.

use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll};
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use mqtt_core::{AckKind, EncodeError};
use mqtt_std::testkit::{Broker, BrokerOptions};
use mqtt_std::{
    Backoff, Client, ConnectionError, Delivered, Error, Opening, Options, Outcome, PayloadFile, PayloadSource, QoS,
    ReasonCode, Receipt, Source, Status, UsageError,
};
use tokio::io::{AsyncRead, ReadBuf};

use super::support::*;

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
const AGAIN: [QoS; 2] = [QoS::AtLeastOnce, QoS::ExactlyOnce];
const TEXT: &str = "the stairs are twenty";

/// Says that it has the bytes of `TEXT`, and gives so many in small pieces before it ends in some way.
#[derive(Clone)]
struct Scripted {
    gives: usize,
    end: End,
    opened: Arc<AtomicUsize>,
    /// So long for each piece.
    slow: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Ends,
    Fails,
    Panics,
    Hangs,
    /// Cannot be opened.
    Shut,
}

const ENDS: [End; 5] = [End::Ends, End::Fails, End::Panics, End::Hangs, End::Shut];

struct Reader {
    source: Scripted,
    at: usize,
    sleep: Pin<Box<tokio::time::Sleep>>,
}

fn scripted(gives: usize, end: End) -> Scripted {
    Scripted { gives, end, opened: Arc::default(), slow: None }
}

fn whole() -> Scripted {
    scripted(TEXT.len(), End::Ends)
}

impl PayloadSource for Scripted {
    fn length(&self) -> u64 {
        TEXT.len() as u64
    }

    fn open(&self) -> Opening {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let source = self.clone();
        Box::pin(async move {
            match source.end {
                End::Shut => Err(io::ErrorKind::NotFound.into()),
                _ => Ok(Box::pin(source.reader()) as _),
            }
        })
    }
}

impl Scripted {
    fn reader(self) -> Reader {
        let sleep = Box::pin(tokio::time::sleep(self.slow.unwrap_or_default()));
        Reader { source: self, at: 0, sleep }
    }
}

impl AsyncRead for Reader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(pause) = self.source.slow {
            core::task::ready!(self.sleep.as_mut().poll(cx));
            self.sleep.as_mut().reset(tokio::time::Instant::now() + pause);
        }
        let text = TEXT.repeat(2);
        let piece = &text[self.at..self.source.gives];
        let piece = &piece[..piece.len().min(7).min(buffer.remaining())];
        if piece.is_empty() {
            return match self.source.end {
                End::Ends => Poll::Ready(Ok(())),
                End::Panics => panic!("the source panics, as the test wants"),
                End::Hangs => Poll::Pending,
                End::Fails | End::Shut => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
        }
        buffer.put_slice(piece.as_bytes());
        self.at += piece.len();
        Poll::Ready(Ok(()))
    }
}

/// Answers a PUBLISH and everything behind it.
async fn answer(link: &mut Link, qos: QoS, number: u16) {
    match qos {
        QoS::AtMostOnce => {}
        QoS::AtLeastOnce => link.ack(AckKind::Puback, number, ReasonCode::SUCCESS).await,
        QoS::ExactlyOnce => {
            link.ack(AckKind::Pubrec, number, ReasonCode::SUCCESS).await;
            link.expect(&format!("PUBREL #{number}")).await;
            link.ack(AckKind::Pubcomp, number, ReasonCode::SUCCESS).await;
        }
    }
}

/// In both versions the broker may say that the session is present.
fn resuming(peer: &Peer) -> Options {
    peer.options().keep_session().backoff(Backoff::new().minimum(1).maximum(2))
}

#[track_caller]
fn source_failed(result: Result<Delivered, Error>, what: &impl core::fmt::Debug) {
    assert!(matches!(result, Err(Error::NotDelivered(Outcome::SourceFailed))), "{what:?}: {result:?}");
}

#[test]
fn a_source_is_published_at_every_qos() {
    run(async || {
        let path = std::env::temp_dir().join(format!("mqtt-std-source-{}", std::process::id()));
        std::fs::write(&path, TEXT).unwrap();
        let file = PayloadFile::new(&path).await.unwrap();
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(resuming(&peer)).await;
            for qos in QOS {
                let text = Bytes::from_static(TEXT.as_bytes());
                for source in [Source::from(file.clone()), text.into(), whole().into()] {
                    let receipt = client.publish_from("t", source).qos(qos).retain().send().await.unwrap();
                    let line = link.receive().await;
                    assert!(line.ends_with(&format!("retain t {TEXT:?}")), "{line}");
                    if qos == QoS::AtMostOnce {
                        assert_eq!(receipt.await.unwrap(), Delivered::Sent);
                    } else {
                        answer(&mut link, qos, peer::number(&line)).await;
                        assert_eq!(receipt.await.unwrap(), Delivered::Acknowledged(ReasonCode::SUCCESS.into()));
                    }
                }
                let receipt = client.publish_from("t", Bytes::new()).qos(qos).send().await.unwrap();
                let line = link.receive().await;
                assert!(line.ends_with("t \"\""), "{line}");
                if qos != QoS::AtMostOnce {
                    answer(&mut link, qos, peer::number(&line)).await;
                }
                receipt.await.unwrap();
            }
            // What is behind the payload is not looked at.
            let receipt = client.publish_from("t", Source::once(TEXT.as_bytes(), 3)).await.unwrap();
            assert_eq!(receipt, Delivered::Sent);
            link.expect("PUBLISH q0 t \"the\"").await;
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(PayloadFile::new(&path).await.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(PayloadFile::new(std::env::temp_dir()).await.is_err());
    });
}

#[test]
fn a_source_is_read_anew_whenever_the_connection_is_cut() {
    run(async || {
        for version in BOTH {
            for qos in AGAIN {
                let peer = Peer::new(version).await;
                let (client, mut link) = peer.connect(resuming(&peer)).await;
                // The bytes of the PUBLISH: each of them is the last one that arrives.
                let bytes = if version == V5 { 8 } else { 7 } + TEXT.len();
                for count in 0..=bytes {
                    let source = whole();
                    let receipt = client.publish_from("t", source.clone()).qos(qos).send().await.unwrap();
                    link.read_exact(count).await;
                    drop(link);
                    link = peer.welcome(true).await;
                    let line = link.receive().await;
                    assert!(line.ends_with(&format!("t {TEXT:?}")), "{count}: {line}");
                    assert!(line.contains("dup"), "{count}: {line}");
                    answer(&mut link, qos, peer::number(&line)).await;
                    receipt.await.unwrap();
                    assert_eq!(source.opened.load(Ordering::Relaxed), 2, "after {count} bytes");
                }
            }
        }
    });
}

#[test]
fn behind_pubrec_the_source_is_not_read_again() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(resuming(&peer)).await;
            let source = whole();
            let receipt = client.publish_from("t", source.clone()).qos(QoS::ExactlyOnce).send().await.unwrap();
            let number = peer::number(&link.receive().await);
            link.ack(AckKind::Pubrec, number, ReasonCode::SUCCESS).await;
            for _ in 0..3 {
                link.expect(&format!("PUBREL #{number}")).await;
                drop(link);
                link = peer.welcome(true).await;
            }
            link.expect(&format!("PUBREL #{number}")).await;
            link.ack(AckKind::Pubcomp, number, ReasonCode::SUCCESS).await;
            receipt.await.unwrap();
            assert_eq!(source.opened.load(Ordering::Relaxed), 1);
            assert_eq!(Arc::strong_count(&source.opened), 1, "and it is given back");
        }
    });
}

#[test]
fn a_source_that_fails_fails_its_message_alone() {
    run(async || {
        for version in BOTH {
            for qos in AGAIN {
                let peer = Peer::new(version).await;
                let (client, mut link) = peer.connect(resuming(&peer).stall_timeout(Duration::from_millis(5))).await;
                for end in ENDS {
                    // A panic is noisy.
                    for gives in (0..TEXT.len()).step_by(if end == End::Panics { 10 } else { 1 }) {
                        let source = scripted(gives, end);
                        let receipt = client.publish_from("t", source.clone()).qos(qos).send().await.unwrap();
                        let other = client.publish("other", "x").qos(qos).send().await.unwrap();
                        let begun = link.read_to_end().await.unwrap();
                        assert!(begun.len() < 8 + TEXT.len(), "{end:?} {gives}: {begun:?} is a whole packet");
                        source_failed(receipt.await, &(end, gives));
                        link = peer.welcome(true).await;
                        let line = link.receive().await;
                        assert!(line.ends_with("other \"x\"") && !line.contains("dup"), "{end:?} {gives}: {line}");
                        answer(&mut link, qos, peer::number(&line)).await;
                        other.await.unwrap();
                        assert_eq!(source.opened.load(Ordering::Relaxed), 1, "it is not tried again");
                    }
                }
                assert!(matches!(*client.status().borrow(), Status::Connected { .. }));
            }
        }
    });
}

#[test]
fn a_source_at_qos_0_that_fails_is_told_too() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(resuming(&peer).stall_timeout(Duration::from_millis(5))).await;
            for end in ENDS {
                for gives in [0, 1, TEXT.len() - 1] {
                    let source = scripted(gives, end);
                    let once = Source::once(source.clone().reader(), TEXT.len() as u64);
                    for source in [once, source.into()] {
                        let receipt = client.publish_from("t", source).send().await.unwrap();
                        let other = client.publish("other", "x").send().await.unwrap();
                        link.read_to_end().await.unwrap();
                        source_failed(receipt.await, &(end, gives));
                        link = peer.welcome(true).await;
                        link.expect("PUBLISH q0 other \"x\"").await;
                        other.await.unwrap();
                    }
                }
            }
        }
    });
}

#[test]
fn a_source_that_is_longer_than_it_said_fails() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(resuming(&peer)).await;
        for qos in QOS {
            let receipt = client.publish_from("t", scripted(TEXT.len() + 1, End::Ends)).qos(qos).send().await.unwrap();
            let begun = link.read_to_end().await.unwrap();
            assert!(begun.len() < 8 + TEXT.len(), "{begun:?}: the broker would believe it");
            source_failed(receipt.await, &qos);
            link = peer.welcome(true).await;
        }
        // A file that grows in the meantime.
        let path = std::env::temp_dir().join(format!("mqtt-std-growing-{}", std::process::id()));
        std::fs::write(&path, TEXT).unwrap();
        let file = PayloadFile::new(&path).await.unwrap();
        std::fs::write(&path, TEXT.repeat(2)).unwrap();
        source_failed(client.publish_from("t", file).qos(QoS::AtLeastOnce).await, &path);
        std::fs::remove_file(&path).unwrap();
    });
}

#[test]
fn a_failure_is_the_cause_of_the_next_connection() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, link) = peer.connect(resuming(&peer)).await;
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { status(&client, is_waiting).await }
        });
        source_failed(client.publish_from("t", scripted(3, End::Fails)).qos(QoS::AtLeastOnce).await, &"");
        let Status::Waiting { error, .. } = waiting.await.unwrap() else { panic!() };
        assert_eq!(error, mqtt_std::Cause::Connection(ConnectionError::SourceFailed));
        drop(link);
    });
}

#[test]
fn a_slow_source_is_waited_for_and_is_not_taken_for_a_dead_link() {
    // trap K2: three keep alives
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let clock = Clock::stop();
            let (client, mut link) = peer.connect(peer.options().keep_alive(8)).await;
            let mut source = whole();
            source.slow = Some(Duration::from_secs(12));
            let receipt = client.publish_from("t", source).qos(QoS::AtLeastOnce).send().await.unwrap();
            let ((), took) = clock
                .until_over(async {
                    let line = link.receive().await;
                    answer(&mut link, QoS::AtLeastOnce, peer::number(&line)).await;
                })
                .await;
            receipt.await.unwrap();
            assert!(took >= Duration::from_secs(36), "{took:?}");
            assert_eq!(client.statistics().connections, 1);
        }
    });
}

#[test]
fn a_peer_that_reads_slowly_gets_a_large_message_in_one_piece() {
    // trap K2: three keep alives
    run(async || {
        for version in BOTH {
            for from_memory in [true, false] {
                let peer = Peer::new(version).await;
                let clock = Clock::stop();
                let (client, mut link) = peer.connect(peer.options().keep_alive(8)).await;
                let payload = Bytes::from(vec![b'x'; 20_000_000]);
                let publish = if from_memory {
                    client.publish("t", payload.clone())
                } else {
                    client.publish_from("t", payload.clone())
                };
                let receipt = publish.qos(QoS::AtLeastOnce).send().await.unwrap();
                let len = payload.len() + if version == V5 { 11 } else { 10 };
                let mut packet = Vec::with_capacity(len);
                for _ in 0..30 {
                    clock.pass(Duration::from_secs(1)).await;
                    packet.extend(link.read_exact(500_000).await);
                }
                assert!(len - packet.len() > 1_000_000, "it is not over");
                packet.extend(link.read_exact(len - packet.len()).await);
                assert!(packet.ends_with(&payload), "nothing is inside it");
                link.ack(AckKind::Puback, 1, ReasonCode::SUCCESS).await;
                let mut receipt = Box::pin(receipt);
                // A PINGREQ may be behind it.
                until(|| poll(&mut receipt).is_ready()).await;
                assert_eq!(client.statistics().connections, 1);

                let _receipt = client.publish("t", payload).qos(QoS::AtLeastOnce).send().await.unwrap();
                others().await;
                let (_, took) = clock.until_over(client.shutdown(Duration::from_secs(2))).await;
                assert!(took < Duration::from_secs(3), "{took:?}");
            }
        }
    });
}

#[test]
fn a_source_that_gives_nothing_for_too_long_fails() {
    run(async || {
        let peer = Peer::new(V5).await;
        let clock = Clock::stop();
        let (client, _link) = peer.connect(peer.options().keep_alive(8)).await;
        let publish = client.publish_from("t", scripted(3, End::Hangs)).qos(QoS::AtLeastOnce);
        let (result, took) = clock.until_over(publish.into_future()).await;
        source_failed(result, &"");
        assert!(took >= Duration::from_secs(30) && took < Duration::from_secs(31), "{took:?}");
    });
}

#[test]
fn what_cannot_be_said_is_refused_at_once() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(resuming(&peer)).await;
        for qos in AGAIN {
            let refused = client.publish_from("t", Source::once(TEXT.as_bytes(), 3)).qos(qos).send().await;
            assert!(matches!(refused, Err(Error::Usage(UsageError::WrongQoS))), "{refused:?}");
        }
        struct Endless(u64);
        impl PayloadSource for Endless {
            fn length(&self) -> u64 {
                self.0
            }

            fn open(&self) -> Opening {
                Box::pin(async { Ok(Box::pin(tokio::io::repeat(b'x')) as _) })
            }
        }
        for length in [268_435_455, u64::from(u32::MAX), u64::MAX] {
            for qos in AGAIN {
                let refused = client.publish_from("t", Endless(length)).qos(qos).send().await;
                let too_large: Result<Receipt, _> = Err(Error::Usage(UsageError::Encode(EncodeError::PacketTooLarge)));
                assert_eq!(format!("{refused:?}"), format!("{too_large:?}"), "{length}");
            }
            // At QoS 0 it waits for its turn, and may find another broker then.
            let refused = client.publish_from("t", Endless(length)).await;
            assert!(refused.is_err(), "{refused:?}");
        }
        assert!(matches!(client.publish_from("t/#", whole()).await, Err(Error::InvalidTopicName(_))));
        client.publish("t", "x").await.unwrap();
        link.expect("PUBLISH q0 t \"x\"").await;
    });
}

#[test]
fn at_qos_0_a_receipt_tells_what_became_of_the_message() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let (client, mut link) = peer.connect(resuming(&peer)).await;
            // Cut half-way.
            let half = client.publish_from("t", scripted(10, End::Hangs)).send().await.unwrap();
            link.read_exact(12).await;
            link.reset();
            assert!(matches!(half.await, Err(Error::NotDelivered(Outcome::Unknown))));
            // Before the next connection: one that waits, one that expires, one that the end finds.
            let waits = client.publish_from("waits", whole()).send().await.unwrap();
            let mut link = peer.welcome(true).await;
            link.expect(&format!("PUBLISH q0 waits {TEXT:?}")).await;
            assert_eq!(waits.await.unwrap(), Delivered::Sent);
            let hangs = client.publish_from("t", scripted(10, End::Hangs)).send().await.unwrap();
            link.read_exact(12).await;
            let behind = client.publish_from("behind", whole()).send().await.unwrap();
            let end = client.shutdown(Duration::ZERO).await.unwrap();
            assert_eq!(end.undelivered, 2);
            assert!(matches!(hangs.await, Err(Error::NotDelivered(Outcome::Unknown))));
            assert!(matches!(behind.await, Err(Error::NotDelivered(Outcome::NotSent))));
        }
    });
}

#[test]
fn a_message_from_a_source_expires_in_the_queue() {
    run(async || {
        let reserved = Reserved::new();
        let clock = Clock::stop();
        let options = reserved.options().client_identifier("client").version(V5);
        let client = Client::connect_retrying(options).unwrap();
        let source = whole();
        let receipt = client.publish_from("t", source.clone()).message_expiry_interval(5).send().await.unwrap();
        let again = client.publish_from("t", source.clone()).qos(QoS::AtLeastOnce).message_expiry_interval(5);
        let again = again.send().await.unwrap();
        clock.pass(Duration::from_secs(6)).await;
        let peer = Peer::on(reserved.listen(), V5);
        let (_link, _) = clock.until_over(peer.welcome(false)).await;
        for receipt in [receipt, again] {
            let (result, _) = clock.until_over(receipt).await;
            assert!(matches!(result, Err(Error::NotDelivered(Outcome::Expired))), "{result:?}");
        }
        assert_eq!(source.opened.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn shutdown_is_bounded_while_a_source_is_sent() {
    run(async || {
        for qos in QOS {
            let peer = Peer::new(V5).await;
            let clock = Clock::stop();
            let (client, _link) = peer.connect(resuming(&peer)).await;
            let receipt = client.publish_from("t", scripted(3, End::Hangs)).qos(qos).send().await.unwrap();
            others().await;
            let (end, took) = clock.until_over(client.shutdown(Duration::from_secs(2))).await;
            assert_eq!(end.unwrap().undelivered, 1);
            assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(3), "{took:?}");
            assert!(receipt.await.is_err());
        }
    });
}

#[test]
fn a_publish_from_a_source_that_is_dropped_is_published_once_or_not_at_all() {
    // trap C1
    run(async || {
        let broker = broker().await;
        for version in BOTH {
            let observer = connect(&broker, version, "observer").await;
            let mut stream = observer.subscribe("#", QoS::ExactlyOnce).await.unwrap();
            let tight = options(&broker, version, "client").in_flight(1).queue(1);
            for options in [options(&broker, version, "client"), tight] {
                let client = Client::connect(options).await.unwrap();
                for qos in QOS {
                    let mut delivered = Vec::new();
                    for polls in 0..8 {
                        let topic = format!("t/{polls}");
                        let publish = client.publish_from(topic.clone(), whole()).qos(qos);
                        if drop_after(polls, publish.into_future()).await.is_some_and(|result| result.is_ok()) {
                            delivered.push(topic);
                        }
                    }
                    client.publish("last", "").qos(qos).await.unwrap();
                    let mut received = BTreeMap::new();
                    loop {
                        let message = stream.next().await.unwrap();
                        if message.topic() == "last" {
                            break;
                        }
                        assert_eq!(message.payload_str().unwrap(), TEXT);
                        assert_eq!(received.insert(message.topic().to_owned(), ()), None, "{message:?} came twice");
                    }
                    for topic in delivered {
                        assert!(received.contains_key(&topic), "{qos:?}: {topic} was lost");
                    }
                }
                end(client).await;
            }
            end(observer).await;
        }
    });
}

async fn large_broker() -> Broker {
    let options = BrokerOptions::new().max_packet_size(300 << 20).max_queued_bytes(300 << 20);
    Broker::start(options).await.unwrap()
}

#[test]
fn a_source_is_larger_than_what_is_read_ahead() {
    run(async || {
        let broker = large_broker().await;
        for version in BOTH {
            let client = connect(&broker, version, "client").await;
            let mut stream = client.subscribe("t", QoS::ExactlyOnce).await.unwrap();
            let payload: Bytes = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>().into();
            for qos in QOS {
                let receipt = client.publish_from("t", payload.clone()).qos(qos).send().await.unwrap();
                assert!(stream.next().await.unwrap().payload() == payload);
                receipt.await.unwrap();
            }
            end(client).await;
        }
    });
}

#[test]
fn who_waits_behind_a_source_goes_on_when_it_is_done() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        let (mut write, read) = tokio::io::duplex(64);
        let receipt = client.publish_from("big", Source::once(read, 4)).send().await.unwrap();
        others().await;
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { client.publish("t", "y").send().await.map(drop) }
        });
        others().await;
        tokio::io::AsyncWriteExt::write_all(&mut write, b"full").await.unwrap();
        receipt.await.unwrap();
        assert!(link.receive().await.contains("big"));
        others().await;
        assert!(waiting.is_finished());
    });
}

#[test]
fn a_receipt_that_was_told_can_be_asked_again() {
    run(async || {
        let peer = Peer::new(V5).await;
        let (client, mut link) = peer.connect(peer.options()).await;
        let mut receipt = client.publish_from("big", Bytes::from_static(b"full")).send().await.unwrap();
        (&mut receipt).await.unwrap();
        link.receive().await;
        assert!((&mut receipt).await.is_err());
    });
}

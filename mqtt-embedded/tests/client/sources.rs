//! Payloads from a source on their way out.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::poll_fn;
use std::task::Poll;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_io_async::{ErrorKind, ErrorType, Read, Seek, SeekFrom};
use mqtt_embedded::mqtt_core::{Ack, AckKind, Packet, Publish};
use mqtt_embedded::{
    Clock as _, ConnectOptions, Error, Options, Outcome, PayloadFile, PayloadSource, ProtocolVersion, QoS, Resources,
    Sizes, Source, Status, UsageError,
};

use crate::support::{Answer, Server, Small, Time, VERSIONS, Wire, both, options, play, polled};

const EVERY_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// What a source has.
fn image(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}

/// How a source goes wrong, after some bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Ends(usize),
    Fails(usize),
    Stalls(usize),
    NotOpened,
}

/// Gives a few bytes at a time, and waits before each.
struct Slow<'a> {
    image: &'a [u8],
    fault: Fault,
    opened: &'a Cell<usize>,
}

struct Reader<'a> {
    image: &'a [u8],
    at: usize,
    fault: Fault,
    waited: bool,
}

impl PayloadSource for Slow<'_> {
    type Error = Infallible;
    type Reader<'s>
        = Reader<'s>
    where
        Self: 's;

    fn length(&self) -> u32 {
        self.image.len() as u32
    }

    async fn open(&mut self) -> Result<Reader<'_>, Infallible> {
        self.opened.set(self.opened.get() + 1);
        if self.fault == Fault::NotOpened {
            std::future::pending::<()>().await;
        }
        Ok(Reader { image: self.image, at: 0, fault: self.fault, waited: false })
    }
}

impl ErrorType for Reader<'_> {
    type Error = ErrorKind;
}

impl Read for Reader<'_> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|cx| {
            self.waited = !self.waited;
            match self.fault {
                Fault::Ends(at) if self.at >= at => return Poll::Ready(Ok(0)),
                Fault::Fails(at) if self.at >= at => return Poll::Ready(Err(ErrorKind::Other)),
                Fault::Stalls(at) if self.at >= at => return Poll::Pending,
                _ if self.waited => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                _ => {}
            }
            let len = buf.len().min(37).min(self.image.len() - self.at);
            buf[..len].copy_from_slice(&self.image[self.at..self.at + len]);
            self.at += len;
            Poll::Ready(Ok(len))
        })
        .await
    }
}

/// A Server that keeps the payloads of messages, each once, over all connections.
async fn keep(wire: &Wire, version: ProtocolVersion, kept: &RefCell<Vec<Vec<u8>>>) {
    let unreleased = RefCell::new(BTreeSet::new());
    let mut present = false;
    loop {
        let mut server = Server::accept(wire, version, present).await;
        present = true;
        server
            .serve(|packet| {
                match packet {
                    Packet::Publish(Publish { delivery, payload, .. }) => {
                        let new = delivery.packet_identifier().is_none_or(|id| unreleased.borrow_mut().insert(id));
                        if new || delivery.qos() == QoS::AtLeastOnce {
                            kept.borrow_mut().push(payload.to_vec());
                        }
                    }
                    Packet::Ack(Ack { kind: AckKind::Pubrel, packet_identifier, .. }) => {
                        unreleased.borrow_mut().remove(packet_identifier);
                    }
                    _ => {}
                }
                Answer::Acknowledge
            })
            .await;
    }
}

/// Keeps the session in 3.1.1 too.
fn kept_session(version: ProtocolVersion) -> Options<'static> {
    let mut options = options(version);
    options.connect = ConnectOptions::new("pump-7").version(version).keep_alive(30).keep_session(true);
    options
}

#[test]
fn a_payload_of_1_mib_leaves_through_512_bytes() {
    const LEN: usize = 1 << 20;
    let image = image(LEN);
    for version in VERSIONS {
        for qos in EVERY_QOS {
            let (wire, kept) = (Wire::default(), RefCell::default());
            let resources = Resources::<NoopRawMutex, Time, Sizes<1, 64, 1, 64, 512, 1, 16>>::new(Time::default());
            let client = resources.client();
            play(&resources, options(version), &wire, keep(&wire, version, &kept), async {
                let publish = client.publish_from("ota", image.as_slice()).unwrap().qos(qos);
                publish.deliver(&mut [0; 512]).await.unwrap();
                client.publish("t", b"next").unwrap().qos(QoS::AtLeastOnce).deliver().await.unwrap();
            });
            assert!(*kept.borrow() == [image.clone(), b"next".to_vec()], "{version:?}, {qos:?}");
        }
    }
}

#[test]
fn nothing_goes_inside_a_payload_and_everything_else_goes_on_around_it() {
    for version in VERSIONS {
        for qos in EVERY_QOS {
            let (wire, kept, resources) = (Wire::default(), RefCell::default(), Small::new(Time::default()));
            let (client, image, opened) = (resources.client(), image(2_000), Cell::new(0));
            play(&resources, options(version), &wire, keep(&wire, version, &kept), async {
                let source = || Slow { image: &image, fault: Fault::None, opened: &opened };
                let publish = || client.publish_from("ota", source()).unwrap().qos(qos);
                let large = async {
                    let mut buffer = [0; 64];
                    both(publish().deliver(&mut buffer), publish().deliver(&mut [0; 16])).await
                };
                let small = async {
                    for number in 0..30_u8 {
                        let qos = EVERY_QOS[usize::from(number % 3)];
                        client.publish("t", &[number]).unwrap().qos(qos).deliver().await.unwrap();
                    }
                };
                let ((first, second), ()) = both(large, small).await;
                assert!(first.is_ok() && second.is_ok());
                client.shutdown(1_000).await;
            });
            let (large, small): (Vec<_>, Vec<_>) = kept.take().into_iter().partition(|payload| payload.len() > 1);
            assert!(large == [image.clone(), image.clone()], "{version:?}, {qos:?}");
            assert_eq!(small.len(), 30);
            assert_eq!(opened.get(), 2);
            assert_eq!(client.statistics().connections, 1);
        }
    }
}

#[test]
fn after_a_cut_the_source_is_read_again_from_its_start() {
    // [v5 MQTT-4.4.0-1] [v3 MQTT-4.4.0-1]
    for version in VERSIONS {
        for qos in EVERY_QOS {
            for cut in [60, 200, 900] {
                let (wire, kept, resources) = (Wire::default(), RefCell::new(Vec::new()), Small::new(Time::default()));
                let (client, image, opened) = (resources.client(), image(800), Cell::new(0));
                let server = async {
                    let mut server = Server::accept(&wire, version, false).await;
                    server.wire.cut_after(cut);
                    server.serve(|_| Answer::Nothing).await;
                    let mut server = Server::accept(&wire, version, true).await;
                    server
                        .serve(|packet| {
                            if let Packet::Publish(publish) = packet {
                                kept.borrow_mut().push((publish.delivery.dup(), publish.payload.to_vec()));
                            }
                            Answer::Acknowledge
                        })
                        .await;
                };
                play(&resources, kept_session(version), &wire, server, async {
                    let source = Slow { image: &image, fault: Fault::None, opened: &opened };
                    let outcome = client.publish_from("ota", source).unwrap().qos(qos).deliver(&mut [0; 64]).await;
                    if qos != QoS::AtMostOnce {
                        outcome.unwrap();
                        assert!(*kept.borrow() == [(true, image.clone())], "{version:?}, cut after {cut}");
                        assert_eq!(opened.get(), 2);
                    } else if cut < 900 {
                        assert_eq!(outcome, Err(Error::NotDelivered(Outcome::Unknown)));
                        assert_eq!(opened.get(), 1);
                    }
                });
            }
        }
    }
}

#[test]
fn a_source_that_fails_ends_its_message_alone_and_costs_one_connection() {
    for version in VERSIONS {
        for qos in EVERY_QOS {
            for fault in [Fault::NotOpened, Fault::Ends(0), Fault::Ends(500), Fault::Fails(100), Fault::Stalls(300)] {
                let (wire, kept, resources) = (Wire::default(), RefCell::default(), Small::new(Time::default()));
                let (client, image, opened) = (resources.client(), image(800), Cell::new(0));
                play(&resources, kept_session(version), &wire, keep(&wire, version, &kept), async {
                    let source = Slow { image: &image, fault, opened: &opened };
                    let mut buffer = [0; 64];
                    let large = client.publish_from("ota", source).unwrap().qos(qos).deliver(&mut buffer);
                    let small = client.publish("t", b"1").unwrap().qos(QoS::ExactlyOnce).deliver();
                    let begun = resources.clock().now();
                    let (large, small) = both(large, small).await;
                    assert_eq!(large, Err(Error::NotDelivered(Outcome::SourceFailed)), "{qos:?} {fault:?}");
                    small.unwrap();
                    client.publish("t", b"2").unwrap().qos(QoS::ExactlyOnce).deliver().await.unwrap();
                    let took = resources.clock().now().millis_since(begun);
                    assert!(took <= 5_200, "{took} ms: the time of a stall, and of a reconnect");
                });
                assert_eq!(*kept.borrow(), [b"1", b"2"], "{version:?} {qos:?} {fault:?}");
                assert_eq!((client.statistics().connections, opened.get()), (2, 1));
            }
        }
    }
}

#[test]
fn a_publish_from_a_source_can_be_dropped_at_every_await() {
    for version in VERSIONS {
        for qos in EVERY_QOS {
            let mut whole = 0;
            for cut in 1..60 {
                let (wire, kept, resources) = (Wire::default(), RefCell::default(), Small::new(Time::default()));
                let (client, image, opened) = (resources.client(), image(600), Cell::new(0));
                let done = play(&resources, kept_session(version), &wire, keep(&wire, version, &kept), async {
                    client.wait_for(|status| matches!(status, Status::Connected { .. })).await;
                    let source = Slow { image: &image, fault: Fault::None, opened: &opened };
                    let publish = client.publish_from("ota", source).unwrap().qos(qos);
                    let done = polled(publish.deliver(&mut [0; 64]), cut).await;
                    for payload in [b"1", b"2"] {
                        client.publish("t", payload).unwrap().qos(QoS::ExactlyOnce).deliver().await.unwrap();
                    }
                    client.shutdown(1_000).await;
                    done
                });
                let mut kept = kept.take();
                assert_eq!(kept.split_off(kept.len() - 2), [b"1", b"2"]);
                let arrived = kept == [image.clone()];
                assert!(arrived || kept.is_empty(), "whole and once, or not at all: {version:?} {qos:?} {cut}");
                assert!(arrived || !matches!(done, Some(Ok(_))), "{version:?} {qos:?} {cut}");
                assert!(client.statistics().connections <= 2);
                whole += usize::from(arrived);
            }
            assert!((1..59).contains(&whole), "some are cut off and some are not: {whole}");
        }
    }
}

#[test]
fn what_a_source_left_in_flight_is_not_sent_again() {
    for version in VERSIONS {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let (wire, resources) = (Wire::default(), Small::new(Time::default()));
            let (client, seen, left) = (resources.client(), Cell::new(0), Cell::new(false));
            let server = async {
                let mut server = Server::accept(&wire, version, false).await;
                server.serve_until_seen(|packet| matches!(packet, Packet::Publish(_))).await;
                while !left.get() {
                    resources.clock().sleep(10).await;
                }
                server.wire.cut();
                let mut server = Server::accept(&wire, version, true).await;
                let count = |packet: &Packet<'_>| {
                    seen.set(seen.get() + usize::from(matches!(packet, Packet::Publish(_))));
                    Answer::Acknowledge
                };
                server.serve(count).await;
            };
            play(&resources, kept_session(version), &wire, server, async {
                let mut buffer = [0; 64];
                let publish = client.publish_from("ota", [1; 100].as_slice()).unwrap().qos(qos);
                assert_eq!(resources.clock().timeout(1_000, publish.deliver(&mut buffer)).await, None);
                left.set(true);
                // All of its places are free again.
                for _ in 0..4 {
                    client.publish("t", b"1").unwrap().qos(QoS::AtLeastOnce).deliver().await.unwrap();
                }
                assert_eq!((seen.get(), client.statistics().connections), (4, 2));
            });
        }
    }
}

#[test]
fn what_cannot_be_sent_from_a_source_is_refused_by_name() {
    let (wire, kept, resources) = (Wire::default(), RefCell::default(), Small::new(Time::default()));
    let client = resources.client();
    let version = ProtocolVersion::V5_0;
    play(&resources, options(version), &wire, keep(&wire, version, &kept), async {
        let once = |payload: &'static [u8]| client.publish_from("t", Source::once(payload, 4)).unwrap();
        let refused = once(b"once").qos(QoS::AtLeastOnce).deliver(&mut [0; 8]).await;
        assert_eq!(refused, Err(Error::Usage(UsageError::WrongQoS)));
        assert_eq!(once(b"once").deliver(&mut []).await, Err(Error::BufferTooSmall { needed: 1 }));
        let long = "t".repeat(150);
        let refused = client.publish_from(&long, b"1".as_slice()).unwrap().deliver(&mut [0; 8]).await;
        assert!(matches!(refused, Err(Error::BufferTooSmall { needed: 150.. })), "{refused:?}");
        assert!(client.publish_from("t/#", b"1".as_slice()).is_err());
        once(b"once, and more").deliver(&mut [0; 8]).await.unwrap();
        client.publish_from("t", [].as_slice()).unwrap().deliver(&mut [0; 8]).await.unwrap();
        client.publish_from("t", [].as_slice()).unwrap().qos(QoS::ExactlyOnce).deliver(&mut [0; 8]).await.unwrap();
        client.shutdown(1_000).await;
        let late = client.publish_from("t", b"1".as_slice()).unwrap().deliver(&mut [0; 8]).await;
        assert_eq!(late, Err(Error::Closed));
    });
    assert_eq!(*kept.borrow(), [b"once".to_vec(), vec![], vec![]]);
}

#[test]
fn a_shutdown_in_the_middle_of_a_payload_says_nothing_inside_the_packet() {
    for version in VERSIONS {
        for qos in EVERY_QOS {
            let (wire, resources) = (Wire::default(), Small::new(Time::default()));
            let (client, image, opened) = (resources.client(), image(800), Cell::new(0));
            let packets = Cell::new(0);
            let server = async {
                let mut server = Server::accept(&wire, version, false).await;
                let count = |_: &Packet<'_>| {
                    packets.set(packets.get() + 1);
                    Answer::Acknowledge
                };
                server.serve(count).await;
            };
            play(&resources, options(version), &wire, server, async {
                let source = Slow { image: &image, fault: Fault::Stalls(300), opened: &opened };
                let mut buffer = [0; 64];
                let publish = client.publish_from("ota", source).unwrap().qos(qos).deliver(&mut buffer);
                let ending = async {
                    resources.clock().sleep(100).await;
                    client.shutdown(1_000).await;
                };
                let (outcome, ()) = both(publish, ending).await;
                assert_eq!(outcome, Err(Error::NotDelivered(Outcome::Unknown)));
            });
            assert_eq!(packets.get(), 0, "{version:?} {qos:?}");
        }
    }
}

#[test]
fn a_server_that_stops_reading_in_the_middle_of_a_payload_is_found_out() {
    const LEN: usize = 1 << 20;
    let image = image(LEN);
    for version in VERSIONS {
        for qos in EVERY_QOS {
            let (wire, resources) = (Wire::default(), Small::new(Time::default()));
            let client = resources.client();
            let server = async {
                let _stuck = Server::accept(&wire, version, false).await;
                Server::accept(&wire, version, true).await.serve(|_| Answer::Acknowledge).await;
            };
            play(&resources, kept_session(version), &wire, server, async {
                let publish = client.publish_from("ota", image.as_slice()).unwrap().qos(qos);
                let outcome = publish.deliver(&mut [0; 64]).await;
                let seconds = resources.clock().now().as_millis() / 1_000;
                assert!((20..60).contains(&seconds), "{seconds} s: Keep Alive is 30");
                let at_most_once = qos == QoS::AtMostOnce;
                assert_eq!(outcome.is_err(), at_most_once, "{outcome:?}");
                assert_eq!(client.statistics().connections, if at_most_once { 1 } else { 2 });
            });
        }
    }
}

/// A file: bytes, and where it is read.
struct File<'a>(&'a [u8], usize);

impl ErrorType for File<'_> {
    type Error = ErrorKind;
}

impl Read for File<'_> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        let len = buf.len().min(self.0.len() - self.1);
        buf[..len].copy_from_slice(&self.0[self.1..self.1 + len]);
        self.1 += len;
        Ok(len)
    }
}

impl Seek for File<'_> {
    async fn seek(&mut self, to: SeekFrom) -> Result<u64, ErrorKind> {
        let SeekFrom::Start(at) = to else { return Err(ErrorKind::Unsupported) };
        self.1 = at as usize;
        Ok(at)
    }
}

#[test]
fn a_file_is_sent_from_its_first_byte_each_time() {
    for version in VERSIONS {
        let (wire, kept, resources) = (Wire::default(), RefCell::new(Vec::new()), Small::new(Time::default()));
        let (client, image) = (resources.client(), image(800));
        let server = async {
            let mut server = Server::accept(&wire, version, false).await;
            server.wire.cut_after(500);
            server.serve(|_| Answer::Nothing).await;
            let mut server = Server::accept(&wire, version, true).await;
            let keep = |packet: &Packet<'_>| {
                if let Packet::Publish(publish) = packet {
                    kept.borrow_mut().push(publish.payload.to_vec());
                }
                Answer::Acknowledge
            };
            server.serve(keep).await;
        };
        play(&resources, kept_session(version), &wire, server, async {
            // It was read before, and is longer than what is wanted of it.
            let file = PayloadFile::new(File(&image, 3), 700);
            let publish = client.publish_from("ota", file).unwrap().qos(QoS::ExactlyOnce);
            publish.deliver(&mut [0; 64]).await.unwrap();
        });
        assert!(*kept.borrow() == [&image[..700]], "{version:?}");
    }
}

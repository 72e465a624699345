//! A broker that means harm: whatever it sends, at whatever pace, costs its connection and nothing else.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use mqtt_embedded::mqtt_core::{Packet, Sender};
use mqtt_embedded::{
    Backoff, Clock as _, Connect, ConnectOptions, ConnectionError, Failure, Options, ProtocolVersion, QoS, Runner,
    Shared, Status,
};

use crate::support::{Answer, Dice, Server, Small, Time, Wire, World, options, play};

/// CONNACK of 5.0 with these properties.
fn connack(session_present: u8, reason: u8, properties: &[u8]) -> Vec<u8> {
    let mut length = vec![];
    variable(properties.len(), &mut length);
    let mut bytes = vec![0x20];
    variable(2 + length.len() + properties.len(), &mut bytes);
    [&bytes[..], &[session_present, reason], &length, properties].concat()
}

/// PUBLISH of 5.0 with these properties and the topic `in`.
fn publish(head: u8, id: Option<u16>, properties: &[u8], payload: &[u8]) -> Vec<u8> {
    let id = id.map(u16::to_be_bytes).unwrap_or_default();
    let id = if head & 0x06 == 0 { &[][..] } else { &id };
    let mut body = [&[0, 2][..], b"in", id].concat();
    variable(properties.len(), &mut body);
    body.extend(properties);
    body.extend(payload);
    let mut bytes = vec![head];
    variable(body.len(), &mut bytes);
    [bytes, body].concat()
}

fn variable(mut value: usize, out: &mut Vec<u8>) {
    while value > 0x7F {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A text property.
fn text(identifier: u8, len: usize) -> Vec<u8> {
    [&[identifier][..], &(len as u16).to_be_bytes(), &vec![b'x'; len]].concat()
}

fn user_properties(count: usize) -> Vec<u8> {
    [0x26, 0, 1, b'n', 0, 1, b'v'].repeat(count)
}

/// What a first connection hears in place of CONNACK.
fn greetings() -> Vec<(&'static str, Vec<u8>)> {
    let good = connack(0, 0, &[]);
    vec![
        ("nothing at all", vec![]),
        ("the beginning of a packet of 256 MiB", vec![0x20, 0xFF, 0xFF, 0xFF, 0x7F, 0, 0]),
        ("a length of five bytes", vec![0x20, 0x80, 0x80, 0x80, 0x80, 0x01]),
        ("a length that is longer than its packet", vec![0x20, 0x7F, 0, 0, 0]),
        ("a length of the properties that is a lie", vec![0x20, 3, 0, 0, 200]),
        ("Receive Maximum 0", connack(0, 0, &[0x21, 0, 0])),
        ("Maximum Packet Size 0", connack(0, 0, &[0x27, 0, 0, 0, 0])),
        ("a property twice", connack(0, 0, &[0x21, 0, 1, 0x21, 0, 1])),
        ("a session that cannot be there", connack(1, 0, &[])),
        ("a session, and a refusal", connack(1, 0x88, &[])),
        ("a reason of 200 bytes", connack(0, 0x88, &text(0x1F, 200))),
        ("a reason that is larger than the buffer", connack(0, 0x88, &text(0x1F, 60_000))),
        ("a name for the client that is larger than all memory", connack(0, 0, &text(0x12, 60_000))),
        ("response information that is", connack(0, 0, &text(0x1A, 60_000))),
        ("properties without end", connack(0, 0, &user_properties(5_000))),
        ("another method of authentication", connack(0, 0, &text(0x15, 10))),
        ("a request to authenticate", vec![0xF0, 2, 0x18, 0]),
        ("another packet", vec![0xD0, 0]),
        ("a PUBLISH", publish(0x30, None, &[], b"x")),
        ("CONNACK twice", [good.clone(), good].concat()),
    ]
}

/// What it hears behind a good CONNACK.
fn conversations() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("a PINGRESP, ten thousand times", [0xD0, 0].repeat(10_000)),
        ("the acknowledgements of nothing", [0x40, 2, 0, 9, 0x50, 2, 0, 9, 0x62, 2, 0, 9, 0x70, 2, 0, 9].repeat(500)),
        ("SUBACK of nothing", [0x90, 4, 0, 9, 0, 0].repeat(500)),
        ("UNSUBACK of nothing", [0xB0, 4, 0, 9, 0, 0].repeat(500)),
        ("an acknowledgement without a number", vec![0x40, 2, 0, 0]),
        ("QoS 3", publish(0x36, Some(1), &[], b"x")),
        ("DUP at QoS 0", publish(0x38, None, &[], b"x")),
        ("a message without a number", publish(0x32, Some(0), &[], b"x")),
        ("a wildcard in a topic", vec![0x30, 4, 0, 1, b'#', 0]),
        ("a topic that is longer than its packet", vec![0x30, 4, 0xFF, 0xFF, b'x', 0]),
        ("no topic, and no alias", vec![0x30, 3, 0, 0, 0]),
        ("an alias of nothing", vec![0x30, 6, 0, 0, 3, 0x23, 0, 1]),
        ("alias 0", publish(0x30, None, &[0x23, 0, 0], b"x")),
        ("an alias beyond the maximum", publish(0x30, None, &[0x23, 0xFF, 0xFF], b"x")),
        ("Subscription Identifier 0", publish(0x30, None, &[0x0B, 0], b"x")),
        ("a response topic with a wildcard", publish(0x30, None, &[0x08, 0, 1, b'#'], b"x")),
        ("a text that is not UTF-8", publish(0x30, None, &[0x03, 0, 1, 0xFF], b"x")),
        ("properties that fill the buffer", publish(0x30, None, &user_properties(34), b"x")),
        ("more than the buffer holds, and the client has said", publish(0x32, Some(1), &[], &[0; 60_000])),
        ("the beginning of 256 MiB", vec![0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 2, b'i', b'n', 0]),
        ("a length of five bytes", vec![0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]),
        ("what a client sends", vec![0x82, 6, 0, 1, 0, 0, 0, 0]),
        ("CONNECT", vec![0x10, 0]),
        ("a packet that there is not", vec![0x00, 0]),
        ("AUTH", vec![0xF0, 0]),
        ("DISCONNECT to elsewhere", [&[0xE0, 13, 0x9C, 11, 0x1C, 0, 8][..], b"evil:666"].concat()),
        ("a flood at QoS 0", publish(0x30, None, &[], b"x").repeat(1_000)),
        ("a flood at QoS 1 with one number", publish(0x32, Some(1), &[], b"x").repeat(1_000)),
        ("a flood at QoS 1", (1..1_000).flat_map(|id| publish(0x32, Some(id), &[], b"x")).collect()),
        ("a flood at QoS 2", (1..1_000).flat_map(|id| publish(0x34, Some(id), &[], b"x")).collect()),
    ]
}

/// The same in 3.1.1, which has no limits: all of it stands behind a good CONNACK, where there is one.
fn conversations_of_3_1_1() -> Vec<(&'static str, Vec<u8>)> {
    let accepted = |says: &[u8]| [&[0x20, 2, 0, 0], says].concat();
    let message = |head: u8, id: u16| [&[head, 7, 0, 2][..], b"in", &id.to_be_bytes(), b"x"].concat();
    let flood = |head: u8| (1..1_000).flat_map(|id| message(head, id)).collect::<Vec<u8>>();
    vec![
        ("a refusal for each reason", vec![0x20, 2, 0, 3]),
        ("a refusal for no reason", vec![0x20, 2, 0, 0xFF]),
        ("a session that cannot be there", vec![0x20, 2, 1, 0]),
        ("a CONNACK with more in it", vec![0x20, 3, 0, 0, 0]),
        ("a PINGRESP, ten thousand times", accepted(&[0xD0, 0].repeat(10_000))),
        (
            "the acknowledgements of nothing",
            accepted(&[0x40, 2, 0, 9, 0x50, 2, 0, 9, 0x62, 2, 0, 9, 0x70, 2, 0, 9].repeat(500)),
        ),
        ("a SUBACK that grants what there is not", accepted(&[0x90, 3, 0, 1, 0x7F])),
        ("a SUBACK for more filters", accepted(&[0x90, 5, 0, 1, 0, 0, 0])),
        ("DISCONNECT", accepted(&[0xE0, 0])),
        ("AUTH", accepted(&[0xF0, 2, 0, 0])),
        ("QoS 3", accepted(&message(0x36, 1))),
        (
            "more than the buffer holds",
            accepted(&[&[0x32, 0xE4, 0xD4, 3, 0, 2][..], b"in", &[0, 1], &[0; 60_000]].concat()),
        ),
        ("the beginning of 256 MiB", accepted(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 2, b'i', b'n'])),
        ("a topic that fills the buffer", accepted(&[&[0x30, 0xF0, 1, 0, 0xEE][..], &[b'x'; 0xEE]].concat())),
        ("a flood at QoS 0", accepted(&[&[0x30, 5, 0, 2][..], b"in", b"x"].concat().repeat(1_000))),
        ("a flood at QoS 1", accepted(&flood(0x32))),
        ("a flood at QoS 2", accepted(&flood(0x34))),
    ]
}

/// The client survives a connection on which it hears that, and is served by the next one. Returns when that was, in milliseconds.
fn survives(version: ProtocolVersion, row: &str, says: &[u8], silent: bool) -> u64 {
    let (wire, resources) = (Wire::default(), Small::new(Time::default()));
    let (client, time) = (resources.client(), resources.clock().clone());
    let server = async {
        let mut first = Server::connecting(&wire, version).await;
        first.send_bytes(says).await;
        if silent {
            // It takes what the client writes, and says nothing more.
            first.serve(|_| Answer::Nothing).await;
        } else {
            first.wire.cut();
        }
        loop {
            Server::accept(&wire, version, false).await.serve(|_| Answer::Acknowledge).await;
        }
    };
    // A refusal of one server, in whose place another one may be, is no reason to give up here.
    let options =
        options(version).backoff(Backoff::new().minimum(100).maximum(1_000).slow_minimum(1_000).retry_all(true));
    play(&resources, options, &wire, server, async {
        let _idle = client.subscribe("in", QoS::ExactlyOnce).unwrap();
        let delivered = client.publish("out", b"x").unwrap().qos(QoS::AtLeastOnce).deliver().await;
        assert!(delivered.is_ok(), "{row}: {delivered:?}");
        time.now().as_millis()
    })
}

#[test]
fn whatever_a_broker_says_first_ends_in_time_and_the_next_one_is_spoken_to() {
    for (row, says) in greetings() {
        for silent in [true, false] {
            let took = survives(ProtocolVersion::V5_0, row, &says, silent);
            // CONNACK has 10 s, DISCONNECT half a second; a CONNACK that is good and behind which nothing comes, Keep Alive.
            assert!(took <= 50_000, "{row}, silent: {silent}: {took} ms");
        }
    }
}

#[test]
fn whatever_a_broker_says_then_costs_its_connection_at_most() {
    let v5 = conversations()
        .into_iter()
        .map(|(row, says)| (ProtocolVersion::V5_0, row, [connack(0, 0, &[]), says].concat()));
    let v3 = conversations_of_3_1_1().into_iter().map(|(row, says)| (ProtocolVersion::V3_1_1, row, says));
    for (version, row, says) in v5.chain(v3) {
        for silent in [true, false] {
            let took = survives(version, row, &says, silent);
            // Keep Alive is 30 s here, an answer has 10 s; a full inbox is waited for for 5 s.
            assert!(took <= 60_000, "{version:?}, {row}, silent: {silent}: {took} ms");
        }
    }
}

/// A connection on which there is always something to read.
struct Torrent {
    greeted: bool,
    /// Reads since others had their turn.
    reads: Rc<Cell<u32>>,
    written: Rc<RefCell<Vec<u8>>>,
}

impl ErrorType for Torrent {
    type Error = ErrorKind;
}

impl Read for Torrent {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        self.reads.set(self.reads.get() + 1);
        assert!(self.reads.get() < 1_000, "it reads, and does nothing else");
        let bytes: &[u8] = if std::mem::replace(&mut self.greeted, true) { &[0xD0, 0] } else { &[0x20, 3, 0, 0, 0] };
        buf[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl Write for Torrent {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        self.written.borrow_mut().extend(buf);
        Ok(buf.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

struct Dial(Rc<Cell<u32>>, Rc<RefCell<Vec<u8>>>);

impl Connect for Dial {
    type Error = ErrorKind;
    type Dialled<'a> = Shared<Torrent>;

    async fn connect(&mut self) -> Result<Shared<Torrent>, ErrorKind> {
        Ok(Shared::new(Torrent { greeted: false, reads: Rc::clone(&self.0), written: Rc::clone(&self.1) }))
    }
}

#[test]
fn a_broker_that_sends_without_end_leaves_others_their_turn() {
    let resources = Small::new(Time::default());
    let client = resources.client();
    let (reads, written) = (Rc::<Cell<u32>>::default(), Rc::<RefCell<Vec<u8>>>::default());
    let mut connector = Dial(Rc::clone(&reads), Rc::clone(&written));
    let mut world = World::new(resources.clock());
    world.spawn(async {
        let (mut receive, mut transmit) = ([0; 64], [0; 64]);
        let mut runner = Runner::new(&resources, &mut receive, &mut transmit);
        let _ = runner.run(&mut connector, &options(ProtocolVersion::V5_0), &mut Dice).await;
    });
    world.run(async {
        client.publish("out", b"hello").unwrap().deliver().await.unwrap();
        poll_fn(|cx| {
            reads.set(0);
            let left = written.borrow().windows(5).any(|bytes| bytes == b"hello");
            cx.waker().wake_by_ref();
            if left { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    });
}

#[test]
fn a_byte_a_second_does_not_put_off_the_end_of_an_attempt() {
    let (wire, resources, version) = (Wire::default(), Small::new(Time::default()), ProtocolVersion::V5_0);
    let (client, time) = (resources.client(), resources.clock().clone());
    let server = async {
        let mut server = Server::connecting(&wire, version).await;
        for byte in connack(0, 0, &user_properties(30)) {
            server.send_bytes(&[byte]).await;
            time.sleep(1_000).await;
        }
    };
    play(&resources, options(version), &wire, server, async {
        let failed = client.wait_for(|status| matches!(status, Status::Waiting(_))).await;
        assert_eq!(failed, Status::Waiting(Failure::Connection(ConnectionError::ConnackTimeout)));
        assert!(time.now().as_millis() <= 10_500, "{} ms", time.now().as_millis());
    });
}

#[test]
fn a_message_that_comes_a_byte_a_second_holds_up_nothing_that_is_sent() {
    let (wire, resources, version) = (Wire::default(), Small::new(Time::default()), ProtocolVersion::V5_0);
    let (client, time) = (resources.client(), resources.clock().clone());
    let (heard, pings) = (Cell::new(0), Cell::new(0));
    let server = async {
        let mut server = Server::accept(&wire, version, false).await;
        for byte in publish(0x30, None, &[], &[b'x'; 120]) {
            server.send_bytes(&[byte]).await;
            let mut listen = |packet: &Packet<'_>| {
                heard.set(heard.get() + u32::from(matches!(packet, Packet::Publish(_))));
                pings.set(pings.get() + u32::from(matches!(packet, Packet::Pingreq)));
                Answer::Nothing
            };
            let _ = time.timeout(1_000, async { while server.step_with(&mut listen).await {} }).await;
        }
        server.serve(|_| Answer::Acknowledge).await;
    };
    play(&resources, options(version), &wire, server, async {
        let mut messages = client.subscribe("in", QoS::AtMostOnce).unwrap();
        for _ in 0..60 {
            client.publish("out", b"x").unwrap().deliver().await.unwrap();
            time.sleep(1_000).await;
        }
        assert!(heard.get() >= 59, "{}", heard.get());
        let mut buffer = [0; 200];
        assert_eq!(messages.next(&mut buffer).await.unwrap().unwrap().payload().len(), 120);
        // The broker was alive all the time, so it was asked as often as ever.
        assert!(client.statistics().connections == 1 && pings.get() <= 4, "{}", pings.get());
    });
}

#[test]
fn a_broker_that_accepts_and_hangs_up_is_not_run_after() {
    for version in crate::support::VERSIONS {
        let (wire, resources) = (Wire::default(), Small::new(Time::default()));
        let (time, count) = (resources.clock().clone(), Cell::new(0));
        let server = async {
            loop {
                let server = Server::accept(&wire, version, false).await;
                count.set(count.get() + 1);
                server.wire.cut();
            }
        };
        let options = Options::new(ConnectOptions::new("pump-7").version(version));
        play(&resources, options, &wire, server, time.sleep(290_000));
        // From half a second on each delay is twice the one before, up to a minute.
        assert!((5..=16).contains(&count.get()), "{version:?}: {} connections", count.get());
    }
}

#[test]
fn what_a_broker_with_no_room_for_any_packet_is_sent_is_nothing() {
    // [v5 MQTT-3.2.2-15]
    for size in 1..=4 {
        let (wire, resources, version) = (Wire::default(), Small::new(Time::default()), ProtocolVersion::V5_0);
        let (client, time) = (resources.client(), resources.clock().clone());
        let largest = Cell::new(0);
        let server = async {
            let mut server = Server::connecting(&wire, version).await;
            server.send_bytes(&connack(0, 0, &[0x27, 0, 0, 0, size])).await;
            server.send_bytes(&publish(0x32, Some(1), &[], b"x")).await;
            server
                .serve(|packet| {
                    let len = packet.encoded_len(version, Sender::Client).unwrap();
                    largest.set(largest.get().max(len));
                    Answer::Acknowledge
                })
                .await;
            Server::accept(&wire, version, false).await.serve(|_| Answer::Acknowledge).await;
        };
        play(&resources, options(version), &wire, server, async {
            let _messages = client.subscribe("in", QoS::AtLeastOnce).unwrap();
            let _ = client.publish("out", b"x").unwrap().qos(QoS::AtLeastOnce).deliver().await;
            time.sleep(100_000).await;
        });
        assert!(largest.get() <= usize::from(size), "{size}: a packet of {} bytes", largest.get());
    }
}

//! What a session costs the flash: bytes that are written, and pages that are erased. The documentation of `FlashStore` has the
//! figures that `cargo test -p mqtt-embedded --test client wear -- --nocapture` prints.

use std::cell::Cell;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mqtt_embedded::mqtt_core::Record;
use mqtt_embedded::mqtt_core::{Ack, AckKind, Delivery, Packet, PacketIdentifier, Properties, Publish, TopicName};
use mqtt_embedded::{
    Backoff, CleanStart, ConnectOptions, FlashStore, Options, Paced, ProtocolVersion, QoS, Resources, Runner, Sizes,
    Store,
};

use crate::support::{Answer, Dice, Flash, Server, Time, Wire, World};

type Small = Resources<NoopRawMutex, Time, Sizes<4, 512, 4, 512, 64, 1, 24>>;

const VERSION: ProtocolVersion = ProtocolVersion::V5_0;
const PAGE: usize = 4096;
const MESSAGES: u16 = 400;
/// 12 bytes.
const TOPIC: &str = "cellar/pump7";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Out,
    In,
}

/// What many messages cost.
#[derive(Debug)]
struct Wear {
    written: usize,
    erased: Vec<u32>,
}

impl Wear {
    fn per_message(&self) -> usize {
        self.written.div_ceil(usize::from(MESSAGES))
    }
}

/// The device's runner, with a store over all of this flash.
async fn device<const PAGES: usize>(resources: &Small, flash: Flash<PAGE, PAGES>, mut wire: Wire) {
    let (mut receive, mut transmit, mut record) = ([0; 512], [0; 512], [0; 512]);
    let connect = ConnectOptions::new("pump-7").version(VERSION).keep_alive(0).keep_session(true);
    let options = Options::new(connect.clean_start(CleanStart::Never)).backoff(Backoff::new().minimum(10).maximum(10));
    let mut store = FlashStore::<_, 4, 8, 512>::new(flash, Flash::<PAGE, PAGES>::range()).unwrap();
    let mut runner = Runner::new(resources, &mut receive, &mut transmit);
    runner.run_durable(&mut wire, &options, &mut Dice, &mut store, &mut record).await.unwrap();
}

/// `waiting` other messages of ours have no answer in the meantime.
fn wear<const PAGES: usize>(way: Way, qos: QoS, payload: usize, waiting: usize) -> Wear {
    let (time, wire, flash) = (Time::default(), Wire::default(), Flash::<PAGE, PAGES>::new());
    let resources = Small::durable(time.clone());
    let client = resources.client();
    let bytes = vec![b'x'; payload];
    let mut world = World::new(&time);
    world.spawn(device(&resources, flash.clone(), wire.clone()));
    world.spawn(async {
        let mut server = Server::accept(&wire, VERSION, false).await;
        if way == Way::Out {
            let mut answer = |packet: &Packet<'_>| match packet {
                Packet::Publish(publish) if publish.topic.is_some_and(|topic| topic.as_str() == "waits") => {
                    Answer::Nothing
                }
                _ => Answer::Acknowledge,
            };
            return server.serve(&mut answer).await;
        }
        server.subscribed().await;
        for number in 1..=MESSAGES {
            let packet_identifier = PacketIdentifier::new(number).unwrap();
            let delivery = match qos {
                QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_identifier, dup: false },
                _ => Delivery::AtLeastOnce { packet_identifier, dup: false },
            };
            let (topic, properties) = (Some(TopicName::new(TOPIC).unwrap()), Properties::EMPTY);
            let publish = Publish { topic, delivery, retain: false, properties, payload: &bytes };
            server.send(&Packet::Publish(publish)).await;
            let over = |packet: &Packet<'_>| {
                matches!(packet, Packet::Ack(Ack { kind: AckKind::Puback | AckKind::Pubcomp, .. }))
            };
            server.serve_until(over).await;
        }
        server.serve(|_| Answer::Acknowledge).await;
    });
    world.run(async {
        match way {
            Way::Out => {
                let mut held = Vec::new();
                for _ in 0..waiting {
                    let publish = client.publish("waits", &bytes).unwrap().qos(QoS::AtLeastOnce);
                    held.push(publish.send().await.unwrap());
                }
                let before = flash.written.get();
                for _ in 0..MESSAGES {
                    client.publish(TOPIC, &bytes).unwrap().qos(qos).deliver().await.unwrap();
                }
                Wear { written: flash.written.get() - before, erased: flash.erased.borrow().to_vec() }
            }
            Way::In => {
                let mut messages = client.subscribe(TOPIC, qos).unwrap();
                messages.granted().await.unwrap();
                let (before, mut buffer) = (flash.written.get(), [0; 512]);
                for _ in 0..MESSAGES {
                    messages.next(&mut buffer).await.unwrap().unwrap();
                }
                time.sleep(1_000).await; // the last one is over
                Wear { written: flash.written.get() - before, erased: flash.erased.borrow().to_vec() }
            }
        }
    })
}

/// What must hold for any conversation.
fn assert_even(wear: &Wear, row: &str) {
    let (least, most) = (wear.erased.iter().min().unwrap(), wear.erased.iter().max().unwrap());
    assert!(most - least <= 1, "{row}: one page wears out before the others: {wear:?}");
    // Each is erased when it is full: a twentieth of it may be marks, and what did not fit at its end.
    let erased = wear.erased.iter().sum::<u32>() as usize * PAGE;
    assert!(erased <= wear.written * 21 / 20 + PAGE, "{row}: pages are erased half empty: {wear:?}");
}

#[test]
fn a_message_costs_its_writes_and_little_else() {
    println!("| QoS | way | payload | bytes written a message | pages erased |");
    for (qos, way, payload, most) in [
        (QoS::AtLeastOnce, Way::Out, 16, 70),
        (QoS::AtLeastOnce, Way::Out, 256, 315),
        (QoS::AtLeastOnce, Way::In, 256, 0),
        (QoS::ExactlyOnce, Way::Out, 16, 90),
        (QoS::ExactlyOnce, Way::Out, 256, 335),
        (QoS::ExactlyOnce, Way::In, 16, 130),
        (QoS::ExactlyOnce, Way::In, 256, 370),
    ] {
        let row = format!("| {qos:?} | {way:?} | {payload} |");
        let wear = wear::<4>(way, qos, payload, 0);
        println!("{row} {} | {:?} |", wear.per_message(), wear.erased);
        assert!(wear.per_message() <= most, "{row}: {wear:?}");
        assert_even(&wear, &row);
    }
}

#[test]
fn wear_is_spread_over_all_pages_and_what_waits_adds_little() {
    println!("| pages | others that wait | bytes written a message | pages erased |");
    let (four, eight) = (wear::<4>(Way::Out, QoS::AtLeastOnce, 64, 0), wear::<8>(Way::Out, QoS::AtLeastOnce, 64, 0));
    let waiting = wear::<4>(Way::Out, QoS::AtLeastOnce, 64, 3);
    for (wear, pages, others) in [(&four, 4, 0), (&eight, 8, 0), (&waiting, 4, 3)] {
        let row = format!("| {pages} | {others} |");
        println!("{row} {} | {:?} |", wear.per_message(), wear.erased);
        assert!(wear.per_message() <= 125, "{row}: {wear:?}");
        assert_even(wear, &row);
    }
    assert!(eight.erased[0] <= four.erased[0] / 2 + 1, "twice the pages are erased half as often: {eight:?}, {four:?}");
}

#[test]
fn connecting_again_to_a_session_that_is_there_writes_nothing() {
    let (time, wire, flash) = (Time::default(), Wire::default(), Flash::<PAGE, 4>::new());
    let resources = Small::durable(time.clone());
    let mut world = World::new(&time);
    world.spawn(device(&resources, flash.clone(), wire.clone()));
    world.run(async {
        Server::accept(&wire, VERSION, false).await.wire.cut();
        drop(Server::connecting(&wire, VERSION).await);
        let before = flash.written.get();
        for _ in 0..20 {
            Server::accept(&wire, VERSION, true).await.wire.cut();
        }
        assert!(before > 0, "the new session was written");
        assert_eq!(flash.written.get(), before);
    });
}

/// Counts what is appended.
struct Counted<'a>(&'a Cell<u32>);

impl Store for Counted<'_> {
    type Error = ();

    async fn load(&mut self, _: &mut dyn FnMut(&Record<'_>)) -> Result<(), ()> {
        Ok(())
    }

    async fn append(&mut self, _: &[u8]) -> Result<(), ()> {
        self.0.set(self.0.get() + 1);
        Ok(())
    }
}

#[test]
fn a_broker_cannot_make_a_device_write_faster_than_it_bears() {
    const BURST: u32 = 10;
    for (interval, topic) in [(1_000, TOPIC), (5_000, TOPIC), (5_000, "nobody")] {
        let (time, wire, written, messages) = (Time::default(), Wire::default(), Cell::new(0), Cell::new(0));
        let resources = Small::durable(time.clone());
        let client = resources.client();
        let (mut connector, mut store) = (wire.clone(), Paced::new(Counted(&written), time.clone(), BURST, interval));
        let mut world = World::new(&time);
        world.spawn(async {
            let (mut receive, mut transmit, mut record) = ([0; 512], [0; 512], [0; 512]);
            let connect = ConnectOptions::new("pump-7").version(VERSION).keep_alive(20).keep_session(true);
            let options = Options::new(connect);
            let mut runner = Runner::new(&resources, &mut receive, &mut transmit);
            let end = runner.run_durable(&mut connector, &options, &mut Dice, &mut store, &mut record).await;
            panic!("{end:?}");
        });
        world.spawn(async {
            let mut server = Server::accept(&wire, VERSION, false).await;
            for number in (1..=u16::MAX).cycle() {
                let packet_identifier = PacketIdentifier::new(number).unwrap();
                let delivery = Delivery::ExactlyOnce { packet_identifier, dup: false };
                let topic = Some(TopicName::new(topic).unwrap());
                let publish = Publish { topic, delivery, retain: false, properties: Properties::EMPTY, payload: b"x" };
                server.send(&Packet::Publish(publish)).await;
                let over = |packet: &Packet<'_>| matches!(packet, Packet::Ack(Ack { kind: AckKind::Pubcomp, .. }));
                server.serve_until(over).await;
                messages.set(messages.get() + 1);
            }
        });
        world.run(async {
            let mut reader = client.subscribe(TOPIC, QoS::ExactlyOnce).unwrap();
            let mut buffer = [0; 64];
            let read = async { while reader.next(&mut buffer).await.is_some() {} };
            assert!(time.timeout(240_000, read).await.is_none());
        });
        let most = BURST + 240_000 / interval;
        assert!(written.get() <= most, "{interval} {topic}: {} records", written.get());
        // And it goes on: four records, or three where nobody confirms, are a message.
        assert!(written.get() >= most - 2 && messages.get() >= most / 4 - 2, "{interval} {topic}: {}", messages.get());
        assert_eq!(client.statistics().connections, 1, "{interval} {topic}: over one connection");
    }
}

//! A store that fails.

use std::cell::{Cell, RefCell};

use mqtt_embedded::mqtt_core::{Delivery, Packet, PacketIdentifier, Properties, Publish, Record, TopicName};
use mqtt_embedded::{ConnectOptions, Error, Options, Outcome, ProtocolVersion, QoS, Runner, Store};

use crate::support::{Answer, Dice, Server, Small, Time, Wire, World};

/// Takes 100 ms for each record, and fails as often as it is told.
struct Faulty<'a> {
    time: Time,
    failures: &'a Cell<u32>,
}

impl Store for Faulty<'_> {
    type Error = ();

    async fn load(&mut self, _: &mut dyn FnMut(&Record<'_>)) -> Result<(), ()> {
        Ok(())
    }

    async fn append(&mut self, _: &[u8]) -> Result<(), ()> {
        self.time.sleep(100).await;
        let left = self.failures.get();
        self.failures.set(left.saturating_sub(1));
        if left > 0 { Err(()) } else { Ok(()) }
    }
}

#[test]
fn each_record_that_fails_is_reported_though_another_one_waits() {
    // The record of a publish fails, then that of a message, while that of another publish is in the way of both.
    for version in [ProtocolVersion::V5_0, ProtocolVersion::V3_1_1] {
        let (time, wire) = (Time::default(), Wire::default());
        let resources = Small::durable(time.clone());
        let client = resources.client();
        let (first, second) = (RefCell::new(None), RefCell::new(None));
        let (begun, failures) = (Cell::new(false), Cell::new(0));
        let mut world = World::new(&time);
        let (mut connector, mut store) = (wire.clone(), Faulty { time: time.clone(), failures: &failures });
        let options = Options::new(ConnectOptions::new("pump-7").version(version).keep_session(true));
        let (mut receive, mut transmit, mut record) = ([0; 256], [0; 256], [0; 128]);
        let mut runner = Runner::new(&resources, &mut receive, &mut transmit);
        world.spawn(async move {
            let _ = runner.run_durable(&mut connector, &options, &mut Dice, &mut store, &mut record).await;
        });
        world.spawn(async {
            let mut server = Server::accept(&wire, version, false).await;
            server.subscribed().await;
            while !begun.get() {
                time.sleep(1).await;
            }
            time.sleep(20).await;
            let delivery = Delivery::ExactlyOnce { packet_identifier: PacketIdentifier::new(1).unwrap(), dup: false };
            let topic = Some(TopicName::new("in").unwrap());
            let publish = Publish { topic, delivery, retain: false, properties: Properties::EMPTY, payload: b"x" };
            server.send(&Packet::Publish(publish)).await;
            server.serve(|_| Answer::Acknowledge).await;
        });
        world.spawn(async {
            while !begun.get() {
                time.sleep(1).await;
            }
            let sent = client.publish("out", b"1").unwrap().qos(QoS::AtLeastOnce).send().await;
            first.replace(Some(sent.map(|_| ())));
        });
        world.spawn(async {
            while !begun.get() {
                time.sleep(1).await;
            }
            time.sleep(50).await;
            let delivered = client.publish("out", b"2").unwrap().qos(QoS::AtLeastOnce).deliver().await;
            second.replace(Some(delivered.is_ok()));
        });
        world.run(async {
            let messages = client.subscribe("in", QoS::ExactlyOnce).unwrap();
            messages.granted().await.unwrap();
            time.sleep(1_000).await; // the record of the session is written
            failures.set(2);
            begun.set(true);
            time.sleep(10_000).await;
            assert_eq!(client.statistics().received, 1, "the message came in between");
        });
        assert_eq!(first.into_inner(), Some(Err(Error::NotDelivered(Outcome::StoreFailed))), "{version:?}");
        assert_eq!(second.into_inner(), Some(true), "{version:?}: the store works again");
    }
}

//! A store and a runner that is dropped, begun again, or shut down while it writes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mqtt_embedded::mqtt_core::{Delivery, Packet, PacketIdentifier, Properties, Publish, Record, TopicName};
use mqtt_embedded::{Error, Outcome, ProtocolVersion, QoS, Resources, Runner, Store};

use crate::support::{Answer, Dice, Memory, Server, Time, VERSIONS, Wire, World, options};

/// Records in memory, 100 ms for each.
#[derive(Clone)]
struct Slow {
    time: Time,
    records: Rc<RefCell<Vec<Vec<u8>>>>,
    /// So many times it cannot be loaded to the end.
    faults: Rc<Cell<u32>>,
}

impl Slow {
    fn new(time: &Time) -> Self {
        Self { time: time.clone(), records: Rc::default(), faults: Rc::default() }
    }
}

impl Store for Slow {
    type Error = ();

    async fn load(&mut self, each: &mut dyn FnMut(&Record<'_>)) -> Result<(), ()> {
        for record in &*self.records.borrow() {
            each(&Record::decode(record).unwrap());
        }
        match self.faults.get().checked_sub(1) {
            Some(left) => {
                self.faults.set(left);
                Err(())
            }
            None => Ok(()),
        }
    }

    async fn append(&mut self, record: &[u8]) -> Result<(), ()> {
        self.time.sleep(100).await;
        self.records.borrow_mut().push(record.to_vec());
        Ok(())
    }
}

fn exactly_once(payload: &[u8]) -> Packet<'_> {
    let packet_identifier = PacketIdentifier::new(7).unwrap();
    let delivery = Delivery::ExactlyOnce { packet_identifier, dup: false };
    let topic = Some(TopicName::new("t").unwrap());
    Packet::Publish(Publish { topic, delivery, retain: false, properties: Properties::EMPTY, payload })
}

async fn serve(wire: &Wire, version: ProtocolVersion, first: Option<Packet<'_>>) {
    let mut server = Server::accept(wire, version, false).await;
    if let Some(packet) = first {
        server.subscribed().await;
        server.send(&packet).await;
    }
    server.serve(|_| Answer::Acknowledge).await;
    loop {
        Server::accept(wire, version, true).await.serve(|_| Answer::Acknowledge).await;
    }
}

/// Runs again whenever it has ended, or after so many milliseconds the first time.
async fn run(
    resources: &Resources<NoopRawMutex, Time, Memory>,
    wire: &Wire,
    store: &Slow,
    version: ProtocolVersion,
    first: u64,
) {
    let (mut receive, mut transmit, mut record) = ([0; 256], [0; 256], [0; 256]);
    let mut runner = Runner::new(resources, &mut receive, &mut transmit);
    let (mut connector, mut store, mut options) = (wire.clone(), store.clone(), options(version));
    options.connect = options.connect.keep_session(true);
    let mut dice = Dice;
    let once = runner.run_durable(&mut connector, &options, &mut dice, &mut store, &mut record);
    let _ = resources.clock().timeout(first, once).await;
    let _ = runner.run_durable(&mut connector, &options, &mut Dice, &mut store, &mut record).await;
}

#[test]
fn a_runner_that_is_dropped_while_it_writes_leaves_no_command_without_an_outcome() {
    for version in VERSIONS {
        for first in (10..700).step_by(30) {
            let (wire, time) = (Wire::default(), Time::default());
            let store = Slow::new(&time);
            let resources = Resources::<NoopRawMutex, Time, Memory>::durable(time.clone());
            let client = resources.client();
            let mut world = World::new(&time);
            world.spawn(run(&resources, &wire, &store, version, first));
            world.spawn(serve(&wire, version, None));
            world.run(async {
                for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::AtLeastOnce] {
                    let deliver = client.publish("t", b"1").unwrap().qos(qos).deliver();
                    let outcome = time.timeout(20_000, deliver).await;
                    let outcome = outcome.unwrap_or_else(|| panic!("{version:?} {qos:?}, dropped after {first} ms"));
                    assert!(
                        matches!(outcome, Ok(_) | Err(Error::NotDelivered(Outcome::StoreFailed))),
                        "{outcome:?}, dropped after {first} ms"
                    );
                }
            });
        }
    }
}

#[test]
fn what_was_taken_before_a_shutdown_does_not_come_again() {
    for version in VERSIONS {
        let time = Time::default();
        let store = Slow::new(&time);
        for life in 0..2 {
            let wire = Wire::default();
            let resources = Resources::<NoopRawMutex, Time, Memory>::durable(time.clone());
            let client = resources.client();
            let mut world = World::new(&time);
            world.spawn(run(&resources, &wire, &store, version, 60_000));
            world.spawn(serve(&wire, version, Some(exactly_once(b"1")).filter(|_| life == 0)));
            world.run(async {
                let mut messages = client.subscribe("t", QoS::ExactlyOnce).unwrap();
                let mut buffer = [0; 64];
                let message = time.timeout(10_000, messages.next(&mut buffer)).await;
                assert_eq!(message.is_some(), life == 0, "{version:?}: {message:?}");
                client.shutdown(5_000).await;
            });
        }
    }
}

#[test]
fn a_store_that_is_loaded_at_the_second_try_hands_each_message_over_once() {
    for version in VERSIONS {
        let time = Time::default();
        let store = Slow::new(&time);
        for life in 0..2 {
            let wire = Wire::default();
            let resources = Resources::<NoopRawMutex, Time, Memory>::durable(time.clone());
            let client = resources.client();
            let mut world = World::new(&time);
            world.spawn(run(&resources, &wire, &store, version, 60_000));
            world.spawn(serve(&wire, version, Some(exactly_once(b"1")).filter(|_| life == 0)));
            world.run(async {
                let mut buffer = [0; 64];
                if life == 0 {
                    // It has its record, and nobody takes it.
                    let _messages = client.subscribe("t", QoS::ExactlyOnce).unwrap();
                    time.sleep(5_000).await;
                    store.faults.set(1);
                    return;
                }
                time.sleep(1_000).await;
                let mut messages = client.subscribe("t", QoS::ExactlyOnce).unwrap();
                assert_eq!(messages.next(&mut buffer).await.unwrap().unwrap().payload(), b"1");
                let second = time.timeout(10_000, messages.next(&mut buffer)).await;
                assert!(second.is_none(), "{version:?}: {second:?}");
            });
        }
    }
}

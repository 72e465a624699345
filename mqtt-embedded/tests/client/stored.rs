//! What a store has to do with sources and refusals.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mqtt_embedded::mqtt_core::{
    Ack, AckKind, Delivery, Packet, PacketIdentifier, Properties, Publish, Record, TopicName,
};
use mqtt_embedded::{
    Client, Error, Outcome, ProtocolVersion, QoS, ReasonCode, Resources, Runner, Status, Store, UsageError,
};

use crate::support::{Answer, Dice, Memory, Server, Time, VERSIONS, Wire, World, options};

/// Records in memory, until it is told to fail.
#[derive(Clone, Default)]
struct Notes {
    records: Rc<RefCell<Vec<Vec<u8>>>>,
    fails: Rc<Cell<bool>>,
}

impl Store for Notes {
    type Error = ();

    async fn load(&mut self, each: &mut dyn FnMut(&Record<'_>)) -> Result<(), ()> {
        for record in &*self.records.borrow() {
            each(&Record::decode(record).unwrap());
        }
        Ok(())
    }

    async fn append(&mut self, record: &[u8]) -> Result<(), ()> {
        if self.fails.get() {
            return Err(());
        }
        self.records.borrow_mut().push(record.to_vec());
        Ok(())
    }
}

type Handle<'a> = Client<'a, NoopRawMutex, Time, Memory>;

/// One life of a device, until its power is cut.
fn live<T>(
    notes: &Notes,
    version: ProtocolVersion,
    wire: &Wire,
    server: impl Future<Output = ()>,
    application: impl AsyncFnOnce(Handle<'_>, &Time) -> T,
) -> T {
    let time = Time::default();
    let resources = Resources::<NoopRawMutex, Time, Memory>::durable(time.clone());
    let (mut receive, mut transmit, mut record) = ([0; 256], [0; 256], [0; 256]);
    let mut runner = Runner::new(&resources, &mut receive, &mut transmit);
    let (mut connector, mut store, mut options) = (wire.clone(), notes.clone(), options(version));
    options.connect = options.connect.keep_session(true);
    let mut world = World::new(&time);
    world.spawn(async {
        let _ = runner.run_durable(&mut connector, &options, &mut Dice, &mut store, &mut record).await;
    });
    world.spawn(server);
    world.run(application(resources.client(), &time))
}

#[test]
fn after_a_loss_of_power_a_source_is_gone_and_what_it_had_finished_goes_on() {
    for version in VERSIONS {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let (notes, wire) = (Notes::default(), Wire::default());
            let server = async {
                let mut server = Server::accept(&wire, version, false).await;
                server
                    .serve(|packet| match packet {
                        Packet::Publish(publish) if publish.delivery.qos() == QoS::ExactlyOnce => Answer::Acknowledge,
                        _ => Answer::Nothing,
                    })
                    .await;
            };
            live(&notes, version, &wire, server, async |client, time| {
                let publish = client.publish_from("s", [7; 100].as_slice()).unwrap().qos(qos);
                assert_eq!(time.timeout(1_000, publish.deliver(&mut [0; 64])).await, None);
            });
            let seen = RefCell::new(Vec::new());
            let server = async {
                let mut server = Server::accept(&wire, version, true).await;
                server
                    .serve(|packet| {
                        match packet {
                            Packet::Publish(publish) => seen.borrow_mut().push(publish.payload.len()),
                            Packet::Ack(Ack { kind: AckKind::Pubrel, .. }) => seen.borrow_mut().push(0),
                            _ => {}
                        }
                        Answer::Acknowledge
                    })
                    .await;
            };
            live(&notes, version, &wire, server, async |client, _| {
                for _ in 0..4 {
                    client.publish("t", b"1").unwrap().qos(QoS::AtLeastOnce).deliver().await.unwrap();
                }
                assert_eq!(client.statistics().connections, 1);
            });
            let expected: &[usize] = if qos == QoS::ExactlyOnce { &[0, 1, 1, 1, 1] } else { &[1, 1, 1, 1] };
            assert_eq!(*seen.borrow(), expected, "{version:?} {qos:?}");
        }
    }
}

#[test]
fn a_source_whose_record_cannot_be_written_is_not_read() {
    for version in VERSIONS {
        let (notes, wire, published) = (Notes::default(), Wire::default(), Cell::new(0));
        let server = async {
            let mut server = Server::accept(&wire, version, false).await;
            let count = |packet: &Packet<'_>| {
                published.set(published.get() + usize::from(matches!(packet, Packet::Publish(_))));
                Answer::Acknowledge
            };
            server.serve(count).await;
        };
        live(&notes, version, &wire, server, async |client, time| {
            client.wait_for(|status| matches!(status, Status::Connected { .. })).await;
            time.sleep(100).await;
            notes.fails.set(true);
            let publish = || client.publish_from("s", [7; 100].as_slice()).unwrap().qos(QoS::ExactlyOnce);
            let refused = publish().deliver(&mut [0; 64]).await;
            assert_eq!(refused, Err(Error::NotDelivered(Outcome::StoreFailed)));
            assert_eq!(published.get(), 0);
            notes.fails.set(false);
            time.sleep(2_000).await;
            publish().deliver(&mut [0; 64]).await.unwrap();
            assert_eq!((published.get(), client.statistics().connections), (1, 1));
        });
    }
}

#[test]
fn what_a_store_has_acknowledged_cannot_be_refused_any_more() {
    let (notes, wire, version) = (Notes::default(), Wire::default(), ProtocolVersion::V5_0);
    let reasons = RefCell::new(Vec::new());
    let server = async {
        let mut server = Server::accept(&wire, version, false).await;
        server.subscribed().await;
        for (number, exactly_once) in [(1, true), (2, false)] {
            let packet_identifier = PacketIdentifier::new(number).unwrap();
            let delivery = match exactly_once {
                true => Delivery::ExactlyOnce { packet_identifier, dup: false },
                false => Delivery::AtLeastOnce { packet_identifier, dup: false },
            };
            let (topic, properties) = (Some(TopicName::new("in").unwrap()), Properties::EMPTY);
            server.send(&Packet::Publish(Publish { topic, delivery, retain: false, properties, payload: b"1" })).await;
        }
        server
            .serve(|packet| {
                if let Packet::Ack(ack) = packet {
                    reasons.borrow_mut().push((ack.kind, ack.reason_code.as_u8()));
                }
                Answer::Acknowledge
            })
            .await;
    };
    live(&notes, version, &wire, server, async |client, time| {
        let mut reader = client.subscribe("in", QoS::ExactlyOnce).unwrap().by_hand();
        let mut buffer = [0; 64];
        let first = reader.next(&mut buffer).await.unwrap().unwrap();
        let refused = reader.reject(&first, ReasonCode::NOT_AUTHORIZED);
        assert_eq!((first.qos(), refused), (QoS::ExactlyOnce, Err(Error::Usage(UsageError::AlreadyAcknowledged))));
        assert_eq!(reader.acknowledge(&first), Ok(()));
        let second = reader.next(&mut buffer).await.unwrap().unwrap();
        // At once after the confirmation, whose record has not left yet.
        let refused = loop {
            match reader.reject(&second, ReasonCode::NOT_AUTHORIZED) {
                Err(Error::WouldWait) => client.publish("t", b"").unwrap().deliver().await.unwrap(),
                refused => break refused,
            };
        };
        assert_eq!((second.qos(), refused), (QoS::AtLeastOnce, Ok(())));
        time.sleep(1_000).await;
    });
    let expected = [(AckKind::Pubrec, 0), (AckKind::Pubcomp, 0), (AckKind::Puback, 0x87)];
    assert!(expected.iter().all(|answer| reasons.borrow().contains(answer)), "{:?}", reasons.borrow());
}

//! Handles in many hands: other threads, which stand for other executors; other clients; and no more room than for one of each.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use embassy_sync::blocking_mutex::raw::{CriticalSectionRawMutex, NoopRawMutex};
use mqtt_embedded::blocking::PolledClock;
use mqtt_embedded::mqtt_core::{AnswerTo, Packet};
use mqtt_embedded::{ConnectOptions, Options, ProtocolVersion, QoS, ReasonCode, Resources, Runner, Sizes};

use crate::support::{Answer, Dice, Server, Small, Time, VERSIONS, Wire, World, options, play_in};

type Ticks = PolledClock<fn() -> u64>;
type Memory = Sizes<4, 512, 4, 512, 128, 4, 32>;

/// Wakes a thread, as an executor's waker does.
struct Bell(Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
    }
}

/// An executor with one task. Panics when nobody wakes it.
fn run<T>(future: impl Future<Output = T>) -> T {
    let (bell, rung): (_, Receiver<()>) = channel();
    let waker = Waker::from(Arc::new(Bell(bell)));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        rung.recv_timeout(Duration::from_secs(20)).expect("a waker was lost");
    }
}

/// A Server that publishes to `in` what it is sent, until the client has gone; each at QoS 1, one at a time.
async fn reflect(wire: &Wire, version: ProtocolVersion) {
    let mut server = Server::accept(wire, version, false).await;
    let mut number = 0;
    loop {
        let mut payload = None;
        let there = server
            .step_with(&mut |packet| {
                if let Packet::Publish(publish) = packet {
                    payload = Some(publish.payload.to_vec());
                }
                Answer::Acknowledge
            })
            .await;
        if !there {
            return;
        }
        if let Some(payload) = payload {
            number = number % 1_000 + 1;
            server.publish_at_least_once("in", &payload, number).await;
        }
    }
}

#[test]
fn handles_work_from_other_threads() {
    static MQTT: Resources<CriticalSectionRawMutex, Ticks, Memory> = Resources::new(PolledClock::new(|| 0));
    const EACH: u16 = 100;

    let runner = std::thread::spawn(|| {
        let wire = Wire::default();
        let (mut receive, mut transmit, mut connector, mut dice) = ([0; 256], [0; 256], wire.clone(), Dice);
        let options = Options::new(ConnectOptions::new("pump-7"));
        let mut runner = Runner::new(&MQTT, &mut receive, &mut transmit);
        let mut runner = pin!(runner.run(&mut connector, &options, &mut dice));
        let mut server = pin!(reflect(&wire, ProtocolVersion::V5_0));
        // Both on one thread, with one waker.
        run(std::future::poll_fn(|cx| {
            let over = runner.as_mut().poll(cx);
            let _ = server.as_mut().poll(cx);
            over
        }))
    });
    // The Server publishes whether it is asked to or not: what comes before there is a reader is for nobody.
    let (subscribed, is_subscribed) = channel();
    let reader = std::thread::spawn(move || {
        run(async {
            let mut messages = MQTT.client().subscribe("in", QoS::AtLeastOnce).unwrap();
            subscribed.send(()).unwrap();
            let (mut seen, mut buffer) = (BTreeSet::new(), [0; 64]);
            while seen.len() < usize::from(2 * EACH) {
                let message = messages.next(&mut buffer).await.unwrap().unwrap();
                assert!(seen.insert(message.payload().to_vec()), "each comes once");
            }
        });
    });
    is_subscribed.recv().unwrap();
    let writers = [QoS::AtLeastOnce, QoS::ExactlyOnce].map(|qos| {
        std::thread::spawn(move || {
            run(async {
                for number in 0..EACH {
                    let [high, low] = number.to_be_bytes();
                    let payload = [qos as u8, high, low];
                    MQTT.client().publish("out", &payload).unwrap().qos(qos).deliver().await.unwrap();
                }
            });
        })
    });
    for writer in writers {
        writer.join().unwrap();
    }
    reader.join().unwrap();
    run(MQTT.client().shutdown(1_000));
    assert_eq!(runner.join().unwrap(), Ok(()));
}

#[test]
fn several_clients_live_side_by_side() {
    let time = Time::default();
    let resources: [Small; 3] = std::array::from_fn(|_| Small::new(time.clone()));
    let wires: [Wire; 3] = std::array::from_fn(|_| Wire::default());
    let mut world = World::new(&time);
    let taken = RefCell::new(Vec::new());
    for (number, (resources, wire)) in resources.iter().zip(&wires).enumerate() {
        let version = VERSIONS[number % 2];
        let mut connector = wire.clone();
        world.spawn(async move {
            let (mut receive, mut transmit) = ([0; 256], [0; 256]);
            let mut runner = Runner::new(resources, &mut receive, &mut transmit);
            assert_eq!(runner.run(&mut connector, &options(version), &mut Dice).await, Ok(()));
        });
        world.spawn(reflect(wire, version));
    }
    // One task talks with all of them.
    world.run(async {
        let clients = resources.each_ref().map(Resources::client);
        let mut readers = clients.map(|client| client.subscribe("in", QoS::AtLeastOnce).unwrap());
        for round in 0..10_u8 {
            for (number, client) in (0..).zip(&clients) {
                client.publish("out", &[number, round]).unwrap().qos(QoS::ExactlyOnce).deliver().await.unwrap();
            }
            for (number, reader) in (0_u8..).zip(&mut readers) {
                let mut buffer = [0; 64];
                assert_eq!(reader.next(&mut buffer).await.unwrap().unwrap().payload(), [number, round]);
                taken.borrow_mut().push(number);
            }
        }
        clients[1].shutdown(1_000).await;
        clients[0].publish("out", b"still there").unwrap().qos(QoS::AtLeastOnce).deliver().await.unwrap();
    });
    assert_eq!(taken.borrow().len(), 30);
}

#[test]
fn requests_sources_and_refusals_work_with_every_capacity_1() {
    for version in VERSIONS {
        let wire = Wire::default();
        let resources = Resources::<NoopRawMutex, Time, Sizes<1, 96, 1, 64, 32, 1, 16>>::new(Time::default());
        let client = resources.client();
        let sizes = RefCell::new(Vec::new());
        let server = async {
            let mut server = Server::accept(&wire, version, false).await;
            let mut number = 0;
            loop {
                let (mut to, mut subscribes) = (None, false);
                let there = server
                    .step_with(&mut |packet| {
                        if let Packet::Subscribe(subscribe) = packet {
                            subscribes = subscribe.filters.iter().any(|entry| entry.filter.as_str() == "t");
                        }
                        if let Packet::Publish(publish) = packet {
                            sizes.borrow_mut().push(publish.payload.len());
                            let asks = AnswerTo::request(publish.topic.unwrap(), publish.properties);
                            let data = |to: AnswerTo<'_>| to.properties.correlation_data().map(<[u8]>::to_vec);
                            to = asks.map(|to| (to.topic.as_str().to_owned(), data(to)));
                        }
                        Answer::Acknowledge
                    })
                    .await;
                if !there {
                    return;
                }
                if subscribes {
                    server.publish_at_least_once("t", b"1", 101).await;
                    server.serve_until(|packet| matches!(packet, Packet::Ack(_))).await;
                    server.publish_at_least_once("t", b"2", 102).await;
                }
                if let Some((topic, data)) = to {
                    number += 1;
                    server.answer(&topic, data.as_deref(), b"yes", number).await;
                }
            }
        };
        play_in([64, 96], &resources, options(version), &wire, server, async {
            let mut buffer = [0; 64];
            {
                let requests = client.requests::<1>("re/#", &mut Dice).unwrap();
                for _ in 0..5 {
                    let answer = requests.request("p", b"?").unwrap().answer(&mut buffer).await.unwrap();
                    assert_eq!(answer.payload(), b"yes");
                    let publish = client.publish_from("s", [7; 300].as_slice()).unwrap().qos(QoS::ExactlyOnce);
                    publish.deliver(&mut [0; 1]).await.unwrap();
                }
            }
            // The one filter is free once the Server has answered.
            resources.clock().sleep(100).await;
            let mut reader = client.subscribe("t", QoS::AtLeastOnce).unwrap().by_hand();
            for _ in 0..2 {
                let message = reader.next(&mut buffer).await.unwrap().unwrap();
                let refused = reader.reject(&message, ReasonCode::NOT_AUTHORIZED);
                assert_eq!(refused.is_ok(), version == ProtocolVersion::V5_0);
                assert_eq!(reader.acknowledge(&message).is_ok(), refused.is_err());
            }
            client.shutdown(1_000).await;
        });
        assert_eq!(*sizes.borrow(), [1, 300].repeat(5), "{version:?}");
    }
}

#[test]
fn as_many_tasks_as_there_are_filters_wait_without_waking_each_other() {
    type Many = Sizes<4, 512, 4, 512, 128, 32, 16>;
    let (wire, time) = (Wire::default(), Time::default());
    let resources = Resources::<NoopRawMutex, Time, Many>::new(time.clone());
    let (client, polls) = (resources.client(), Cell::new(0_u32));
    let mut connector = wire.clone();
    let mut world = World::new(&time);
    world.spawn(async {
        let (mut receive, mut transmit) = ([0; 256], [0; 256]);
        let mut runner = Runner::new(&resources, &mut receive, &mut transmit);
        let _ = runner.run(&mut connector, &options(ProtocolVersion::V5_0), &mut Dice).await;
    });
    world.spawn(async {
        Server::accept(&wire, ProtocolVersion::V5_0, false).await.serve(|_| Answer::Acknowledge).await;
    });
    for number in 0..32 {
        let polls = &polls;
        world.spawn(async move {
            let mut reader = client.subscribe(&format!("t/{number}"), QoS::AtLeastOnce).unwrap();
            let mut buffer = [0; 64];
            let mut next = pin!(reader.next(&mut buffer));
            std::future::poll_fn(|cx| {
                polls.set(polls.get() + 1);
                assert!(polls.get() < 100_000, "they wake each other");
                next.as_mut().poll(cx).map(drop)
            })
            .await;
        });
    }
    world.run(async {
        time.sleep(5_000).await;
        let before = polls.get();
        time.sleep(10_000).await;
        assert_eq!(polls.get(), before, "nothing has happened");
    });
}

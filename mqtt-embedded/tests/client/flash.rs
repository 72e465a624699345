//! A session on flash, with the power cut behind every single write.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mqtt_embedded::Store;
use mqtt_embedded::mqtt_core::{
    Ack, AckKind, Delivery, Packet, PacketIdentifier, Properties, Publish, Record, TopicName,
};
use mqtt_embedded::{
    Backoff, CleanStart, Clock as _, ConnectOptions, DeliveryNumber, FlashStore, Options, ProtocolVersion, QoS,
    Resources, Runner, Sizes,
};

use crate::support::{self, Dice, Server, Time, Wire, World};

/// Four small pages.
const PAGE: usize = 1024;
const PAGES: usize = 4;
type Flash = support::Flash<PAGE, PAGES>;

/// A store that must not fail while there is power.
struct Watched<S>(S);

impl<S: Store> Store for Watched<S> {
    type Error = S::Error;

    async fn load(&mut self, each: &mut dyn FnMut(&Record<'_>)) -> Result<(), S::Error> {
        self.0.load(each).await
    }

    async fn append(&mut self, record: &[u8]) -> Result<(), S::Error> {
        let result = self.0.append(record).await;
        assert!(result.is_ok(), "{:?}: {result:?}", Record::decode(record));
        result
    }
}

/// What the Server remembers while the device is away.
#[derive(Default)]
struct Memory {
    /// Messages of the device, as they reached their readers.
    arrived: Vec<String>,
    /// QoS 2 messages of the device that are not released.
    unreleased: BTreeSet<u16>,
    /// Messages for the device: payload, and whether its PUBREC came.
    outgoing: BTreeMap<u16, (String, bool)>,
    subscribed: bool,
    connections: u32,
}

type Small = Resources<NoopRawMutex, Time, Sizes<4, 512, 4, 512, 128, 2, 16>>;

/// Messages in each direction.
const MESSAGES: u16 = 6;

/// What the device takes at once in 5.0; in 3.1.1 it cannot say.
const WINDOW: usize = 4;

impl Memory {
    fn deliver(&mut self, packet: &Packet<'_>) -> Option<(AckKind, PacketIdentifier)> {
        match packet {
            Packet::Publish(Publish { delivery, payload, .. }) => {
                let text = String::from_utf8(payload.to_vec()).unwrap();
                match *delivery {
                    Delivery::AtMostOnce => None,
                    Delivery::AtLeastOnce { packet_identifier, .. } => {
                        self.arrived.push(text);
                        Some((AckKind::Puback, packet_identifier))
                    }
                    Delivery::ExactlyOnce { packet_identifier, .. } => {
                        if self.unreleased.insert(packet_identifier.number()) {
                            self.arrived.push(text);
                        }
                        Some((AckKind::Pubrec, packet_identifier))
                    }
                }
            }
            Packet::Ack(Ack { kind: AckKind::Pubrel, packet_identifier, .. }) => {
                self.unreleased.remove(&packet_identifier.number());
                Some((AckKind::Pubcomp, *packet_identifier))
            }
            Packet::Ack(Ack { kind: AckKind::Pubrec, packet_identifier, .. }) => {
                if let Some((_, released)) = self.outgoing.get_mut(&packet_identifier.number()) {
                    *released = true;
                }
                Some((AckKind::Pubrel, *packet_identifier))
            }
            Packet::Ack(Ack { kind: AckKind::Pubcomp, packet_identifier, .. }) => {
                self.outgoing.remove(&packet_identifier.number());
                None
            }
            _ => None,
        }
    }
}

/// The Server: its session is there from the second connection on.
async fn serve(wire: Wire, version: ProtocolVersion, memory: Rc<RefCell<Memory>>) {
    loop {
        let present = memory.borrow().connections > 0;
        memory.borrow_mut().connections += 1;
        let mut server = Server::accept(&wire, version, present).await;
        if memory.borrow().subscribed {
            send_all(&mut server, &memory, true).await;
        }
        loop {
            let mut subscribe = None;
            let (mut ping, mut completed) = (false, false);
            let answer = server
                .poll(|packet| {
                    if let Packet::Subscribe(packet) = &packet {
                        subscribe = Some(packet.packet_identifier);
                    }
                    ping = matches!(packet, Packet::Pingreq);
                    completed = matches!(packet, Packet::Ack(Ack { kind: AckKind::Pubcomp, .. }));
                    memory.borrow_mut().deliver(&packet)
                })
                .await;
            let Some(answer) = answer else { break };
            if let Some((kind, id)) = answer {
                server.acknowledge(kind, id).await;
            }
            if completed && version == ProtocolVersion::V5_0 && memory.borrow().outgoing.len() >= WINDOW {
                send_one(&mut server, &memory, WINDOW - 1, false).await;
            }
            if ping {
                server.send(&Packet::Pingresp).await;
            }
            if let Some(id) = subscribe {
                server.grant(id, &[2]).await;
                let first = !std::mem::replace(&mut memory.borrow_mut().subscribed, true);
                if first {
                    for number in 1..=MESSAGES {
                        memory.borrow_mut().outgoing.insert(number, (format!("in {number}"), false));
                    }
                    send_all(&mut server, &memory, false).await;
                }
            }
        }
    }
}

async fn send_all(server: &mut Server, memory: &RefCell<Memory>, dup: bool) {
    let window = if server.version == ProtocolVersion::V5_0 { WINDOW } else { usize::MAX };
    let count = memory.borrow().outgoing.len().min(window);
    for index in 0..count {
        send_one(server, memory, index, dup).await;
    }
}

/// Sends what is under way at this place.
async fn send_one(server: &mut Server, memory: &RefCell<Memory>, index: usize, dup: bool) {
    let next = memory.borrow().outgoing.iter().nth(index).map(|(id, entry)| (*id, entry.clone()));
    let Some((id, (payload, released))) = next else { return };
    let packet_identifier = PacketIdentifier::new(id).unwrap();
    if released {
        server.acknowledge(AckKind::Pubrel, packet_identifier).await;
        return;
    }
    let delivery = Delivery::ExactlyOnce { packet_identifier, dup };
    let topic = Some(TopicName::new("in").unwrap());
    let publish =
        Publish { topic, delivery, retain: false, properties: Properties::EMPTY, payload: payload.as_bytes() };
    server.send(&Packet::Publish(publish)).await;
}

/// What the application has committed, together with the delivery numbers.
#[derive(Default)]
struct Application {
    /// Messages to publish: how many were begun, and those that were accepted.
    begun: u32,
    accepted: Vec<String>,
    received: BTreeMap<u64, String>,
    twice: Vec<u64>,
}

/// One life of the device; `true`: everything is done.
fn live(flash: &Flash, version: ProtocolVersion, memory: &Rc<RefCell<Memory>>, app: &RefCell<Application>) -> bool {
    let (time, wire) = (Time::default(), Wire::default());
    let resources = Small::durable(time.clone());
    let (mut receive, mut transmit, mut record) = ([0; 256], [0; 256], [0; 128]);
    let mut connector = wire.clone();
    let connect = ConnectOptions::new("lamp").version(version).keep_session(true).clean_start(CleanStart::Never);
    let options = Options::new(connect).backoff(Backoff::new().minimum(10).maximum(10));
    let mut store = Watched(FlashStore::<_, 4, 8, 128>::new(flash.clone(), Flash::range()).unwrap());
    let mut runner = Runner::new(&resources, &mut receive, &mut transmit);
    let (mut world, dead) = (World::new(&time), flash.clone());
    world.spawn(async move {
        let end = runner.run_durable(&mut connector, &options, &mut Dice, &mut store, &mut record).await;
        assert!(dead.is_dead(), "{end:?}");
    });
    world.spawn(serve(wire, version, Rc::clone(memory)));
    let client = resources.client();
    world.spawn(async {
        while app.borrow().accepted.len() < usize::from(MESSAGES) {
            let number = app.borrow().begun + 1;
            app.borrow_mut().begun = number;
            let payload = format!("out {number}");
            let qos = if number % 2 == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
            let publish = client.publish("out", payload.as_bytes()).unwrap().qos(qos);
            if publish.send().await.is_ok() {
                app.borrow_mut().accepted.push(payload);
            }
        }
    });
    let clock = time.clone();
    world.spawn(async {
        let mut messages = client.subscribe("in", QoS::ExactlyOnce).unwrap().by_hand();
        let mut buffer = [0; 64];
        while let Some(Ok(message)) = messages.next(&mut buffer).await {
            let DeliveryNumber(number) = message.delivery_number().unwrap();
            let text = message.payload_str().unwrap().to_owned();
            let known = app.borrow_mut().received.insert(number, text.clone());
            if known.is_some_and(|known| known != text) {
                app.borrow_mut().twice.push(number);
            }
            messages.acknowledge(&message).unwrap();
            assert!(messages.acknowledge(&message).is_err(), "once");
        }
    });
    world.run(async {
        loop {
            let done = {
                let (app, memory) = (app.borrow(), memory.borrow());
                app.accepted.len() == usize::from(MESSAGES)
                    && app.received.len() == usize::from(MESSAGES)
                    && memory.outgoing.is_empty()
                    && memory.unreleased.is_empty()
                    && app.accepted.iter().all(|text| memory.arrived.contains(text))
            };
            if done || flash.is_dead() {
                return done;
            }
            if clock.now().as_millis() > 60_000 {
                let (app, memory) = (app.borrow(), memory.borrow());
                panic!(
                    "accepted {:?}, received {:?}, arrived {:?}, unreleased {:?}, outgoing {:?}, status {:?}",
                    app.accepted,
                    app.received,
                    memory.arrived,
                    memory.unreleased,
                    memory.outgoing,
                    client.status()
                );
            }
            clock.sleep(1).await;
        }
    })
}

fn check(version: ProtocolVersion, memory: &Memory, app: &Application, cut: usize) {
    for text in &app.accepted {
        let times = memory.arrived.iter().filter(|arrived| *arrived == text).count();
        let number: u32 = text.trim_start_matches("out ").parse().unwrap();
        if number % 2 == 1 {
            assert_eq!(times, 1, "{version:?}, cut at {cut}: {text} at QoS 2: {:?}", memory.arrived);
        } else {
            assert!(times >= 1, "{version:?}, cut at {cut}: {text} was accepted and is lost: {:?}", memory.arrived);
        }
    }
    let mut received: Vec<_> = app.received.values().cloned().collect();
    received.sort();
    let expected: Vec<_> = (1..=MESSAGES).map(|number| format!("in {number}")).collect();
    assert_eq!(received, expected, "{version:?}, cut at {cut}: by delivery number each came once");
    assert!(app.twice.is_empty(), "{version:?}, cut at {cut}: a number stood for two messages: {:?}", app.twice);
}

#[test]
fn nothing_is_lost_or_doubled_when_the_power_is_cut_at_any_byte_that_is_written() {
    for version in [ProtocolVersion::V5_0, ProtocolVersion::V3_1_1] {
        let mut cuts = 0;
        for cut in 1.. {
            let flash = Flash::new();
            let (memory, app) = (Rc::default(), RefCell::default());
            flash.left.set(Some(cut * 4));
            let unharmed = live(&flash, version, &memory, &app);
            if !unharmed {
                cuts += 1;
                flash.left.set(None);
                assert!(live(&flash, version, &memory, &app), "{version:?}, cut at {cut}: it goes on");
            }
            check(version, &memory.borrow(), &app.borrow(), cut);
            if unharmed {
                break;
            }
        }
        assert!(cuts > 100, "only {cuts} words were written");
    }
}

#[test]
fn power_that_is_cut_again_and_again_loses_nothing() {
    for step in [37, 101, 211] {
        let flash = Flash::new();
        let (memory, app) = (Rc::default(), RefCell::default());
        let mut lives = 0;
        let mut power = step;
        loop {
            flash.left.set(Some(power));
            if live(&flash, ProtocolVersion::V5_0, &memory, &app) {
                break;
            }
            lives += 1;
            power += step; // or it would not get through its first boot
            assert!(lives < 200, "it never gets on");
        }
        assert!(lives > 0);
        check(ProtocolVersion::V5_0, &memory.borrow(), &app.borrow(), lives);
    }
}

#[test]
fn more_places_than_there_are_keys_are_refused() {
    assert!(FlashStore::<_, 256, 256, 64>::new(Flash::new(), Flash::range()).is_some());
    assert!(FlashStore::<_, 257, 8, 64>::new(Flash::new(), Flash::range()).is_none());
    assert!(FlashStore::<_, 8, 257, 64>::new(Flash::new(), Flash::range()).is_none());
}

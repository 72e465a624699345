//! The job that every small client does, so that they can be compared: connects with a Will, subscribes, publishes at QoS 1 and
//! waits for the receipt, receives, pings. One connection, one exchange in each direction, no list of subscriptions.

#![no_std]
#![no_main]

use core::hint::black_box;

use mqtt_core::*;
use size::World;

/// Exchanges begun here, messages from the Server, bytes of messages waiting.
const OUT: usize = 1;
const IN: usize = 1;
const BYTES: usize = 128;
/// What is lent for packets, in each direction.
const PACKET: usize = 256;

type Client = Machine<ArrayStorage<OUT, IN, BYTES>>;

static mut CLIENT: Client = Machine::new(ArrayStorage::new());
static mut RECEIVED: [u8; PACKET] = [0; PACKET];
static mut OUTGOING: [u8; PACKET] = [0; PACKET];

/// As `client` has it.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".sizes")]
static MQTT_SIZES: [u32; 5] = [
    session_size::<OUT, IN, BYTES>() as u32,
    connection_size::<0, 0, 0>() as u32,
    size_of::<Client>() as u32,
    2 * PACKET as u32,
    BYTES as u32,
];

const fn topic(text: &str) -> TopicName<'_> {
    match TopicName::new(text) {
        Ok(topic) => topic,
        Err(_) => panic!(),
    }
}

const STATUS: TopicName<'_> = topic("cellar/pump/status");

const OPTIONS: ConnectOptions<'_> = ConnectOptions::new("pump-7")
    .keep_alive(30)
    .user_name("pump")
    .password(b"secret")
    .will(Will { topic: STATUS, payload: b"lost", qos: QoS::AtLeastOnce, retain: true, properties: Properties::EMPTY });

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    // SAFETY: this runs once.
    let (client, received, out) = unsafe { (&mut *&raw mut CLIENT, &mut *&raw mut RECEIVED, &mut *&raw mut OUTGOING) };
    let mut world = World;
    let mut frames = Frames::new(received, OPTIONS.version);
    let now = Instant::from_millis(world.now());
    if let Ok(len) = client.connect(now, &OPTIONS, out) {
        world.write(out.get(..len).unwrap_or(&[]));
        client.transmitted(now, len);
        while !client.is_closed() {
            turn(client, &mut frames, out, &mut world);
        }
    }
    loop {}
}

/// One turn of an adapter's loop.
fn turn(client: &mut Client, frames: &mut Frames<'_>, out: &mut [u8], world: &mut World) {
    let now = Instant::from_millis(world.now());
    let read = world.read(frames.space());
    frames.filled(read);
    while let Ok(Some(input)) = frames.next() {
        match client.receive(now, input) {
            Ok(Some(Event::Connected(_))) => {
                if let Ok(filter) = TopicFilter::new("cellar/+/command") {
                    let filters = [Subscription::new(filter, QoS::AtLeastOnce)];
                    let _ = black_box(client.subscribe(&SubscribeRequest::new(&filters)).is_ok());
                }
            }
            Ok(Some(Event::Subscribed { reason_codes, .. })) => {
                black_box(reason_codes);
                let request = PublishRequest::new(STATUS).qos(QoS::AtLeastOnce).retain(true);
                let _ = black_box(client.publish(now, &request, Body::Stored(black_box(b"on"))).is_ok());
            }
            Ok(Some(Event::Published { packet_identifier, reason_code, .. })) => {
                black_box((packet_identifier, reason_code));
            }
            Ok(Some(Event::Message(message))) => {
                world.write(message.topic.as_str().as_bytes());
                world.write(message.payload);
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    if world.command() == 0 {
        let _ = client.ping();
    }
    let _ = client.handle_timeout(now);
    while let Ok(Some(transmit)) = client.poll_transmit(now, out) {
        let mut len = transmit.head_len;
        world.write(out.get(..len).unwrap_or(&[]));
        if let TransmitPayload::Stored(id) = transmit.payload {
            let payload = client.session.storage().payload(id);
            world.write(payload);
            len += payload.len();
        }
        client.transmitted(now, len);
    }
    while let Some(outcome) = client.poll_outcome() {
        black_box(outcome);
    }
    black_box(client.poll_timeout());
}

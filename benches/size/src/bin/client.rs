//! A client that does what clients do: connects with a Will, subscribes, publishes at each QoS, receives, acknowledges by hand,
//! pings, disconnects, connects again. With the feature `everything` also what few do.

#![no_std]
#![no_main]

use core::hint::black_box;

use mqtt_core::*;
use size::World;

/// Exchanges begun here, messages from the Server, bytes of messages waiting; subscriptions and their longest filter.
const OUT: usize = 4;
const IN: usize = 4;
const BYTES: usize = 512;
const SUBSCRIPTIONS: usize = 4;
const LEN: usize = 32;
/// Topic Aliases in each direction.
const ALIASES: usize = if cfg!(feature = "everything") { 2 } else { 0 };
/// What is lent for packets, in each direction.
const PACKET: usize = 256;

type Client =
    Machine<ArrayStorage<OUT, IN, BYTES>, ArrayAliases<ALIASES, ALIASES, LEN>, ArraySubscriptions<SUBSCRIPTIONS, LEN>>;

static mut CLIENT: Client = Machine::with(ArrayStorage::new(), ArrayAliases::new(), ArraySubscriptions::new());
static mut RECEIVED: [u8; PACKET] = [0; PACKET];
static mut OUTGOING: [u8; PACKET] = [0; PACKET];

/// Session, connection, all of the machine, both buffers, messages waiting. `run` reads it from the image.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".sizes")]
static MQTT_SIZES: [u32; 5] = [
    session_size::<OUT, IN, BYTES>() as u32,
    connection_size::<ALIASES, ALIASES, LEN>() as u32,
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
    .acknowledge(Acknowledge::ByApplication)
    .will(Will { topic: STATUS, payload: b"lost", qos: QoS::AtLeastOnce, retain: true, properties: Properties::EMPTY });

const V5: ConnectOptions<'_> = OPTIONS.version(ProtocolVersion::V5_0);
const V3: ConnectOptions<'_> = OPTIONS.version(ProtocolVersion::V3_1_1);

fn options() -> &'static ConnectOptions<'static> {
    if version() == ProtocolVersion::V5_0 { &V5 } else { &V3 }
}

fn version() -> ProtocolVersion {
    match (cfg!(feature = "v5"), cfg!(feature = "v3")) {
        (true, true) => black_box(ProtocolVersion::V5_0),
        (true, false) => ProtocolVersion::V5_0,
        _ => ProtocolVersion::V3_1_1,
    }
}

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    // SAFETY: this runs once.
    let (client, received, out) = unsafe { (&mut *&raw mut CLIENT, &mut *&raw mut RECEIVED, &mut *&raw mut OUTGOING) };
    let mut world = World;
    let mut frames = Frames::new(received, version());
    loop {
        let now = Instant::from_millis(world.now());
        frames.reset(version());
        if let Ok(len) = client.connect(now, options(), out) {
            world.write(out.get(..len).unwrap_or(&[]));
            client.transmitted(now, len);
            while !client.is_closed() {
                turn(client, &mut frames, out, &mut world);
            }
        }
    }
}

/// One turn of an adapter's loop.
fn turn(client: &mut Client, frames: &mut Frames<'_>, out: &mut [u8], world: &mut World) {
    let now = Instant::from_millis(world.now());
    let read = world.read(frames.space());
    if read > 0 {
        frames.filled(read);
        client.bytes_received(now);
        receive(client, frames, now, world);
    }
    let _ = client.handle_timeout(now);
    let _ = black_box(command(client, now, out, world));
    while let Ok(Some(transmit)) = client.poll_transmit(now, out) {
        send(client, transmit, now, out, world);
    }
    while let Some(outcome) = client.poll_outcome() {
        black_box(outcome);
    }
    black_box(client.poll_timeout());
    if cfg!(feature = "everything") {
        while let Some((ticket, record)) = client.poll_record(now) {
            if let Ok(len) = record.encode(out) {
                world.write(out.get(..len).unwrap_or(&[]));
            }
            client.records_durable(ticket.number());
        }
    }
}

fn receive(client: &mut Client, frames: &mut Frames<'_>, now: Instant, world: &mut World) {
    while let Ok(Some(input)) = frames.next() {
        let token = match client.receive(now, input) {
            Ok(Some(Event::Message(message))) => {
                world.write(message.topic.as_str().as_bytes());
                world.write(message.payload);
                message.acknowledgement
            }
            Ok(Some(event)) => {
                black_box(&event);
                None
            }
            Ok(None) => None,
            Err(_) => return,
        };
        if let Some(token) = token {
            let _ = client.acknowledge(token, ReasonCode::SUCCESS);
        }
    }
}

fn send(client: &mut Client, transmit: Transmit, now: Instant, out: &[u8], world: &mut World) {
    world.write(out.get(..transmit.head_len).unwrap_or(&[]));
    let mut len = transmit.head_len;
    if let TransmitPayload::Stored(id) = transmit.payload {
        let payload = client.session.storage().payload(id);
        world.write(payload);
        len += payload.len();
    }
    client.transmitted(now, len);
}

fn command(client: &mut Client, now: Instant, out: &mut [u8], world: &mut World) -> Result<(), UsageError> {
    let request = PublishRequest::new(STATUS).retain(true);
    match world.command() {
        0 => {
            let transmit = client.publish_at_most_once(&request, Payload::Bytes(b"on"), out)?;
            send(client, transmit, now, out, world);
        }
        1 => {
            client.publish(now, &request.qos(QoS::AtLeastOnce), Body::Stored(black_box(b"on")))?;
        }
        2 if cfg!(feature = "qos2") => {
            client.publish(now, &request.qos(QoS::ExactlyOnce), Body::Stored(black_box(b"on")))?;
        }
        3 => {
            if let (Ok(one), Ok(all)) = (TopicFilter::new("cellar/+/command"), TopicFilter::new("house/#")) {
                let filters = [Subscription::new(one, QoS::AtLeastOnce), Subscription::new(all, QoS::ExactlyOnce)];
                client.subscribe(&SubscribeRequest::new(&filters))?;
            }
        }
        4 => {
            if let Ok(filter) = TopicFilter::new("house/#") {
                client.unsubscribe(&UnsubscribeRequest::new(&[filter]))?;
            }
        }
        5 => client.ping()?,
        6 => {
            let len = client.disconnect(ReasonCode::SUCCESS, &[], out)?;
            world.write(out.get(..len).unwrap_or(&[]));
        }
        #[cfg(feature = "everything")]
        command => everything(client, command, now, out, world)?,
        #[cfg(not(feature = "everything"))]
        _ => {}
    }
    Ok(())
}

/// With a store, with aliases, with properties, with payloads from a source, with enhanced authentication.
#[cfg(feature = "everything")]
fn everything(
    client: &mut Client,
    command: u32,
    now: Instant,
    out: &mut [u8],
    world: &mut World,
) -> Result<(), UsageError> {
    match command {
        7 => {
            let properties = [Property::ContentType("text/plain"), Property::UserProperty("unit", "kW")];
            let request = PublishRequest::new(STATUS)
                .qos(QoS::ExactlyOnce)
                .message_expiry_interval(60)
                .topic_alias(TopicAliasUse::Automatic)
                .properties(&properties);
            client.publish(now, &request, Body::Source { length: 100_000, key: 1 })?;
        }
        8 => {
            let properties = [Property::AuthenticationMethod("PLAIN"), Property::AuthenticationData(b"secret")];
            let len = client.reauthenticate(&properties, out)?;
            world.write(out.get(..len).unwrap_or(&[]));
        }
        9 => {
            client.session.set_durable(true);
            let len = world.read(out);
            if let Ok(record) = Record::decode(out.get(..len).unwrap_or(&[])) {
                let _ = client.restore(now, &record);
            }
        }
        _ => {
            let properties = [Property::AuthenticationMethod("PLAIN"), Property::AuthenticationData(b"secret")];
            let len = client.authenticate(&properties, out)?;
            world.write(out.get(..len).unwrap_or(&[]));
            client.source_failed(None);
            client.session.end();
        }
    }
    Ok(())
}

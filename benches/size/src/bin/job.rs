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
/// What is lent for packets, in each direction: all in all as much as the others have.
const PACKET: usize = (size::PACKETS - BYTES) / 2;

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

const STATUS: TopicName<'_> = topic(size::TOPIC);

const OPTIONS: ConnectOptions<'_> = ConnectOptions::new(size::CLIENT).keep_alive(size::KEEP_ALIVE).will(Will {
    topic: STATUS,
    payload: size::WILL,
    qos: QoS::AtLeastOnce,
    retain: true,
    properties: Properties::EMPTY,
});

/// What the application waits for.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Wanted {
    Connected,
    Subscribed,
    Message,
    Published,
    Pong,
}

/// All that an adapter has in hand.
struct Job {
    client: &'static mut Client,
    frames: Frames<'static>,
    out: &'static mut [u8],
    world: World,
}

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    // SAFETY: this runs once.
    let (client, received, out) = unsafe { (&mut *&raw mut CLIENT, &mut *&raw mut RECEIVED, &mut *&raw mut OUTGOING) };
    let mut job = Job { client, frames: Frames::new(received, OPTIONS.version), out, world: World };
    let _ = black_box(job.run().is_some());
    loop {}
}

impl Job {
    fn run(&mut self) -> Option<()> {
        let now = self.now();
        let len = self.client.connect(now, &OPTIONS, self.out).ok()?;
        self.write(Transmit { head_len: len, payload: TransmitPayload::None }, now);
        self.until(Wanted::Connected)?;
        let filters = [Subscription::new(TopicFilter::new(size::FILTER).ok()?, QoS::AtLeastOnce)];
        self.client.subscribe(&SubscribeRequest::new(&filters)).ok()?;
        self.until(Wanted::Subscribed)?;
        let request = PublishRequest::new(STATUS).retain(true);
        loop {
            let now = self.now();
            match self.world.command() {
                size::RECEIVE => self.until(Wanted::Message)?,
                size::PUBLISH_QOS_1 => {
                    self.client.publish(now, &request.qos(QoS::AtLeastOnce), Body::Stored(size::PAYLOAD)).ok()?;
                    self.until(Wanted::Published)?;
                }
                size::PUBLISH_QOS_0 if size::COUNTED => {
                    let payload = Payload::Bytes(size::PAYLOAD);
                    let transmit = self.client.publish_at_most_once(&request, payload, self.out).ok()?;
                    self.write(transmit, now);
                }
                size::PING => {
                    self.client.ping().ok()?;
                    self.until(Wanted::Pong)?;
                }
                _ => {}
            }
        }
    }

    fn now(&mut self) -> Instant {
        Instant::from_millis(self.world.now())
    }

    /// Turns of an adapter's loop, until it is there and what is due because of it is sent.
    fn until(&mut self, wanted: Wanted) -> Option<()> {
        let mut found = false;
        while !self.client.is_closed() {
            let now = self.now();
            let _ = self.client.handle_timeout(now);
            while let Ok(Some(transmit)) = self.client.poll_transmit(now, self.out) {
                self.write(transmit, now);
            }
            while let Some(outcome) = self.client.poll_outcome() {
                black_box(outcome);
            }
            if found {
                return Some(());
            }
            black_box(self.client.poll_timeout());
            let read = self.world.read(self.frames.space());
            self.frames.filled(read);
            found = self.receive(wanted)?;
        }
        None
    }

    /// Takes what was read, and tells whether it was there.
    fn receive(&mut self, wanted: Wanted) -> Option<bool> {
        let now = self.now();
        let mut found = false;
        while let Some(input) = self.frames.next().ok()? {
            let event = match self.client.receive(now, input).ok()? {
                Some(Event::Connected(_)) => Wanted::Connected,
                Some(Event::Subscribed { .. }) => Wanted::Subscribed,
                Some(Event::Published { .. }) => Wanted::Published,
                Some(Event::Pong) => Wanted::Pong,
                Some(Event::Message(message)) => {
                    self.world.take(message.topic.as_str().as_bytes());
                    self.world.take(message.payload);
                    Wanted::Message
                }
                _ => continue,
            };
            found |= event == wanted;
        }
        Some(found)
    }

    fn write(&mut self, transmit: Transmit, now: Instant) {
        let mut len = transmit.head_len;
        self.world.write(self.out.get(..len).unwrap_or_default());
        if let TransmitPayload::Stored(id) = transmit.payload {
            let payload = self.client.session.storage().payload(id);
            self.world.write(payload);
            len += payload.len();
        }
        self.client.transmitted(now, len);
    }
}

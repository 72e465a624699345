//! The job with `minimq`. It sends PINGREQ by itself.

#![no_std]
#![no_main]

use core::convert::Infallible;
use core::pin::pin;

use embedded_io_async::{ErrorType, Read, Write};
use minimq::{Buffers, ConfigBuilder, Publication, QoS, Session, SubscriptionOptions, TopicFilter, Will};
use world::World;

struct Wire;

impl ErrorType for Wire {
    type Error = Infallible;
}

impl Read for Wire {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        Ok(World.receive(buf).await)
    }
}

impl Write for Wire {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        World.write(buf);
        Ok(buf.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

static mut RECEIVED: [u8; world::PACKETS / 2] = [0; world::PACKETS / 2];
static mut OUTGOING: [u8; world::PACKETS / 2] = [0; world::PACKETS / 2];

async fn application() -> Option<()> {
    // SAFETY: this runs once.
    let (received, out) = unsafe { (&mut *&raw mut RECEIVED, &mut *&raw mut OUTGOING) };
    let will = Will::new(world::TOPIC, world::WILL, &[]).ok()?.retained().qos(QoS::AtLeastOnce);
    let options = ConfigBuilder::new(Buffers::new(received, out)).client_id(world::CLIENT).ok()?;
    let mut session = Session::new(options.keepalive_interval(world::KEEP_ALIVE).will(will).ok()?);
    let mut connection = session.connect(Wire).await.ok()?;
    let filter = TopicFilter::new(world::FILTER).options(SubscriptionOptions::default().maximum_qos(QoS::AtLeastOnce));
    let subscribe = connection.subscribe(&[filter], &[]).await.ok()?;
    while connection.is_pending(&subscribe) {
        connection.poll().await.ok()?;
    }
    loop {
        let publication = Publication::bytes(world::TOPIC, world::PAYLOAD).retain();
        match World.command() {
            world::RECEIVE => {
                let message = connection.recv().await.ok()?;
                World.take(message.topic().as_bytes());
                World.take(message.payload());
            }
            world::PUBLISH_QOS_1 => {
                let publish = connection.publish(publication.qos(QoS::AtLeastOnce)).await.ok()??;
                while connection.is_pending(&publish) {
                    if let Some(message) = connection.poll().await.ok()? {
                        World.take(message.topic().as_bytes());
                        World.take(message.payload());
                    }
                }
            }
            world::PUBLISH_QOS_0 if world::COUNTED => {
                connection.publish(publication).await.ok()?;
            }
            _ => {}
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    let task = pin!(async {
        application().await;
    });
    world::run(&mut [task])
}

//! The client whose calls block.

use core::hint::black_box;
use core::pin::pin;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_io::{ErrorType, Read, ReadReady, Write};
use mqtt_embedded::blocking::{Client, Connector, PolledClock, Polling};
use mqtt_embedded::{Error, Options, Resources, Runner, Sizes};

use crate::world::{Dice, Wrong};
use any::{call, opaque};

type Memory = Sizes<4, 512, 4, 512, 128, 4, 32>;
type Mqtt = Resources<NoopRawMutex, PolledClock<fn() -> u64>, Memory>;

pub(crate) fn call_all() {
    call(PolledClock::<fn() -> u64>::new);
    call(Polling::<Socket>::new);
    call(|mqtt: &'static Mqtt, options: &'static Options<'static>| talk(mqtt, options).is_ok());
}

fn talk(mqtt: &'static Mqtt, options: &'static Options<'static>) -> Result<(), Error> {
    let mut runner = Runner::new(mqtt, opaque(), opaque());
    let mut connector = Connector::new(|| opaque::<Result<(), Wrong>>().map(|()| Socket));
    let mut dice = Dice;
    let run = pin!(runner.run(&mut connector, options, &mut dice));
    let mut client = Client::new(mqtt.client(), run).idle(|| opaque());
    client.connect(opaque())?;
    let mut commands = client.subscribe(opaque(), opaque(), opaque())?;
    while opaque() {
        black_box(client.receive(&mut commands, opaque(), opaque()).is_ok());
        client.wait(client.publish(opaque(), opaque())?.deliver())??;
        black_box(client.wait_timeout(client.as_async().wait_for(|_| opaque()), opaque()).is_ok());
        client.run(opaque());
    }
    client.shutdown(opaque());
    black_box(client.end());
    Ok(())
}

struct Socket;

impl ErrorType for Socket {
    type Error = Wrong;
}

impl ReadReady for Socket {
    fn read_ready(&mut self) -> Result<bool, Wrong> {
        opaque()
    }
}

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Wrong> {
        black_box(&mut *buf);
        opaque::<Result<usize, Wrong>>().map(|len| len.min(buf.len()))
    }
}

impl Write for Socket {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Wrong> {
        black_box(buf);
        opaque::<Result<usize, Wrong>>().map(|len| len.min(buf.len()))
    }

    fn flush(&mut self) -> Result<(), Wrong> {
        opaque()
    }
}

//! The client that blocks, over TCP of the host, with a real broker: Mosquitto, in both versions.
//!
//! `apt-get install mosquitto`. Where there is none the tests say so and pass, unless `MQTT_TEST_MOSQUITTO=required`.

// The lints' configuration exempts test functions, not their helpers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::std_instead_of_core
)]

#[path = "../../../mqtt-std/tests/mosquitto/support/mosquitto.rs"]
#[allow(dead_code, reason = "these tests need less of it")]
mod mosquitto;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::pin::pin;
use std::time::{Duration, Instant};

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_io::{ErrorType, ReadReady};
use mosquitto::{Config, Mosquitto};
use mqtt_embedded::blocking::{Client, Connector, PolledClock};
use mqtt_embedded::{Backoff, ConnectOptions, Error, Options, ProtocolVersion, QoS, Resources, Runner, Sizes};

/// A socket of the host, which is asked whether there is something to read.
struct Socket(TcpStream);

impl Socket {
    fn dial(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }
}

impl ErrorType for Socket {
    type Error = io::Error;
}

impl ReadReady for Socket {
    fn read_ready(&mut self) -> io::Result<bool> {
        self.0.set_nonblocking(true)?;
        let ready = match self.0.peek(&mut [0]) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        };
        self.0.set_nonblocking(false)?;
        ready
    }
}

impl embedded_io::Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl embedded_io::Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn a_client_that_blocks_speaks_with_mosquitto_through_a_restart() {
    for version in [ProtocolVersion::V5_0, ProtocolVersion::V3_1_1] {
        let Some(mut broker) = Mosquitto::start(Config::PERSISTENT) else { return };
        let (port, begun) = (broker.port(), Instant::now());
        let clock = PolledClock::new(|| begun.elapsed().as_millis() as u64);
        let resources = Resources::<NoopRawMutex, _, Sizes<2, 256, 2, 512, 512, 2, 16>>::new(clock);
        let (mut receive, mut transmit) = ([0; 512], [0; 512]);
        let mut runner = Runner::new(&resources, &mut receive, &mut transmit);
        let mut connector = Connector::new(|| Socket::dial(port));
        let connect = ConnectOptions::new("pump-7").version(version).keep_session(true).streaming(true);
        let options = Options::new(connect).backoff(Backoff::new().minimum(50).maximum(50));
        let mut random = Dice(7);
        let run = pin!(runner.run(&mut connector, &options, &mut random));
        let mut client = Client::new(resources.client(), run).idle(|| std::thread::sleep(Duration::from_millis(1)));

        client.connect(10_000).unwrap();
        let mut messages = client.subscribe("cellar/#", QoS::ExactlyOnce, 10_000).unwrap();
        let mut buffer = [0; 512];
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            client.wait(client.publish("cellar/pump", b"on").unwrap().qos(qos).deliver()).unwrap().unwrap();
            let message = client.receive(&mut messages, &mut buffer, 10_000).unwrap();
            assert_eq!((message.topic(), message.payload(), message.qos()), ("cellar/pump", &b"on"[..], qos));
        }

        broker.stop();
        let lost = client.wait(client.publish("cellar/pump", b"late").unwrap().qos(QoS::ExactlyOnce).send());
        let receipt = lost.unwrap().unwrap();
        broker.resume();
        client.wait(receipt).unwrap().unwrap();
        assert_eq!(client.receive(&mut messages, &mut buffer, 10_000).unwrap().payload(), b"late");
        assert_eq!(client.as_async().statistics().connections, 2);

        // 200 KiB through 512 bytes, kept by the broker, and back again.
        let image: Vec<u8> = (0..200 * 1024).map(|index| (index % 251) as u8).collect();
        let publish = client.as_async().publish_from("image", image.as_slice()).unwrap();
        client.wait(publish.qos(QoS::AtLeastOnce).retain().deliver(&mut buffer)).unwrap().unwrap();
        let mut images = client.as_async().subscribe("image", QoS::AtLeastOnce).unwrap();
        let head = client.receive(&mut images, &mut buffer, 10_000).unwrap();
        assert_eq!((head.retain(), head.payload_len() as usize), (true, image.len()));
        let mut len = 0;
        loop {
            let part = client.wait_timeout(images.read(&mut buffer), 10_000).unwrap().unwrap();
            if part == 0 {
                break;
            }
            assert!(buffer[..part] == image[len..len + part]);
            len += part;
        }
        assert_eq!(len, image.len());

        drop((messages, images));
        client.shutdown(5_000);
        assert_eq!(client.end(), Some(Ok(())));
        assert_eq!(client.connect(1), Err(Error::Closed));
        broker.wait_for("pump-7 disconnected");
    }
}

/// Numbers that need not be good.
struct Dice(u64);

impl rand_core::RngCore for Dice {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.0
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        dest.fill_with(|| self.next_u64() as u8);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

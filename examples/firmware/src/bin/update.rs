//! An update of the firmware over the air: an image that is far larger than the memory comes in on `cellar/update/in`, part by part,
//! into a file `bank` of the host, which stands for the other bank of the flash; then it is sent back from there, on
//! `cellar/update/out`. Both at QoS 1. The message on `cellar/update/quit` ends the run.
//!
//! Arguments: `port=1883` of the broker on the host, `version=5` or `311`.

#![no_std]
#![no_main]

use core::fmt;

use board::files::{Bank, BankReader, HostError};
use board::random::HostRandom;
use board::{net, println};
use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_futures::select::{Either, select};
use embassy_net::dns::DnsSocket;
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mqtt_embedded::{
    Backoff, Client, ConnectOptions, EmbassyClock, Error, Options, PayloadSource, QoS, Resources, Runner, Sizes,
    Subscriber, TcpConnector,
};
use sha2::{Digest as _, Sha256};
use static_cell::ConstStaticCell;

/// Bytes of a part, in each direction.
const PART: usize = 512;

/// 2 exchanges in flight with 64 bytes, 2 messages or parts to us with 640 bytes, 576 bytes on their way out, 2 filters.
type Memory = Sizes<2, 64, 2, 640, 576, 2, 24>;
type Mqtt = Client<'static, NoopRawMutex, EmbassyClock, Memory>;

static TCP: ConstStaticCell<TcpClientState<1, 2048, 2048>> = ConstStaticCell::new(TcpClientState::new());
static RECEIVE: ConstStaticCell<[u8; PART]> = ConstStaticCell::new([0; PART]);
static TRANSMIT: ConstStaticCell<[u8; 128]> = ConstStaticCell::new([0; 128]);
static MQTT: static_cell::StaticCell<Resources<NoopRawMutex, EmbassyClock, Memory>> = static_cell::StaticCell::new();

#[entry]
fn main() -> ! {
    board::init();
    board::executor::run(|spawner| spawner.spawn(start(spawner).expect("it is started once")))
}

#[embassy_executor::task]
async fn start(spawner: Spawner) {
    let stack = net::start(spawner).await;
    let mqtt = &*MQTT.init_with(|| Resources::new(EmbassyClock));
    let (tcp, dns) = (TcpClient::new(stack, TCP.take()), DnsSocket::new(stack));
    let mut connector = TcpConnector::new(&tcp, &dns, net::HOST, net::port());
    let connect = ConnectOptions::new("update").version(net::version()).keep_alive(10).streaming(true);
    let options = Options::new(connect).backoff(Backoff::new().minimum(100).maximum(1_000));
    let mut runner = Runner::new(mqtt, RECEIVE.take(), TRANSMIT.take());
    let mut random = HostRandom;
    let end = match select(runner.run(&mut connector, &options, &mut random), updates(mqtt.client())).await {
        Either::First(end) => end,
        Either::Second(Err(trouble)) => {
            println!("trouble: {trouble}");
            semihosting::process::exit(1)
        }
        Either::Second(Ok(())) => Ok(()),
    };
    board::end(end, size_of_val(mqtt));
}

/// What can go wrong.
enum Trouble {
    Mqtt(Error),
    Host(HostError),
    Ended,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Mqtt(error)
    }
}

impl From<HostError> for Trouble {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mqtt(error) => error.fmt(f),
            Self::Host(error) => error.fmt(f),
            Self::Ended => f.write_str("no more messages"),
        }
    }
}

/// One image, there and back.
async fn updates(client: Mqtt) -> Result<(), Trouble> {
    let mut quit = client.subscribe("cellar/update/quit", QoS::AtLeastOnce)?;
    let mut images = client.subscribe("cellar/update/in", QoS::AtLeastOnce)?;
    images.granted().await?;
    println!("ready");
    let (bank, length) = receive(&mut images).await?;
    drop(images);
    let mut buffer = [0; PART];
    let image = Image { bank, length };
    client.publish_from("cellar/update/out", image)?.qos(QoS::AtLeastOnce).deliver(&mut buffer).await?;
    println!("sent {length} bytes");
    quit.next(&mut buffer).await.ok_or(Trouble::Ended)??;
    client.shutdown(2_000).await;
    Ok(())
}

/// Takes an image into an empty bank.
async fn receive(images: &mut Subscriber<'static, NoopRawMutex, EmbassyClock, Memory>) -> Result<(Bank, u32), Trouble> {
    let mut buffer = [0; PART];
    loop {
        let mut bank = Bank::erase(c"bank")?;
        let message = images.next(&mut buffer).await.ok_or(Trouble::Ended)??;
        let (length, mut parts, mut sum) = (message.payload_len(), 0_u32, Sha256::new());
        let received = loop {
            match images.read(&mut buffer).await {
                Ok(0) => break true,
                Ok(len) => {
                    parts += 1;
                    sum.update(&buffer[..len]);
                    bank.append(&buffer[..len])?;
                }
                Err(Error::Aborted) => break false,
                Err(error) => return Err(error.into()),
            }
        };
        if received {
            let sum = sum.finalize();
            println!(
                "received {length} bytes in {parts} parts, sum {:016x}",
                u64::from_be_bytes(core::array::from_fn(|at| sum[at]))
            );
            return Ok((bank, length));
        }
        println!("cut off, and begun anew");
    }
}

/// The image in its bank, as a payload that can be sent again.
struct Image {
    bank: Bank,
    length: u32,
}

impl PayloadSource for Image {
    type Error = HostError;
    type Reader<'s> = BankReader;

    fn length(&self) -> u32 {
        self.length
    }

    async fn open(&mut self) -> Result<BankReader, HostError> {
        self.bank.read()
    }
}

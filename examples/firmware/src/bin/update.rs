//! An update of the firmware over the air: an image that is far larger than the memory comes in on `cellar/update/in`, part by part,
//! into a file `bank` of the host, which stands for the other bank of the flash; then it is sent back from there, on
//! `cellar/update/out`. Both at QoS 1. The message on `cellar/update/quit` ends the run.
//!
//! Whoever may publish there decides over the device, and so does the broker; hence an image is signed (`image.rs`). Unless its header is
//! from whoever has the key, fits into the bank, and is newer than what runs, the bank is not even erased, since flash wears; and one that is
//! not what the header says is erased again. The public key is in a file `update.key` of the host; on a device it is in the
//! firmware, or in memory that is written once.
//!
//! Arguments: `port=1883` of the broker on the host, `version=5` or `311`.

#![no_std]
#![no_main]

use core::fmt;

use board::files::{self, Bank, BankReader, HostError};
use board::image::{HEADER, Header, KEY};
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

/// The version that runs.
const RUNNING: u32 = 1;

/// Bytes of the bank.
const BANK: u32 = 2 << 20;

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
    Refused(Refused),
}

/// Why an image is not taken.
enum Refused {
    NotSigned,
    TooLarge,
    NotNewer,
    Damaged,
    CutOff,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Mqtt(error)
    }
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
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
            Self::Refused(why) => write!(f, "refused: {why}"),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSigned => "not signed",
            Self::TooLarge => "too large, or not as long as it says",
            Self::NotNewer => "not newer than what runs",
            Self::Damaged => "not what was signed",
            Self::CutOff => "cut off",
        })
    }
}

/// One image, there and back.
async fn updates(client: Mqtt) -> Result<(), Trouble> {
    let mut quit = client.subscribe("cellar/update/quit", QoS::AtLeastOnce)?;
    let mut images = client.subscribe("cellar/update/in", QoS::AtLeastOnce)?;
    images.granted().await?;
    let mut key = [0; KEY + 1];
    let key = files::read(c"update.key", &mut key);
    println!("ready");
    let (bank, length) = loop {
        match receive(&mut images, key).await {
            Err(refused @ Trouble::Refused(_)) => println!("{refused}"),
            received => break received?,
        }
    };
    drop(images);
    let mut buffer = [0; PART];
    let image = Image { bank, length };
    client.publish_from("cellar/update/out", image)?.qos(QoS::AtLeastOnce).deliver(&mut buffer).await?;
    println!("sent {length} bytes");
    quit.next(&mut buffer).await.ok_or(Trouble::Ended)??;
    client.shutdown(2_000).await;
    Ok(())
}

/// Takes an image into the bank. The rest of one that is refused is passed over with the next message.
async fn receive(
    images: &mut Subscriber<'static, NoopRawMutex, EmbassyClock, Memory>,
    key: &[u8],
) -> Result<(Bank, u32), Trouble> {
    let (mut buffer, mut parts) = ([0; PART], 0_u32);
    let message = images.next(&mut buffer).await.ok_or(Trouble::Ended)??;
    let mut incoming = Incoming::begin(message.payload_len())?;
    // A short one is whole.
    incoming.take(message.payload(), key)?;
    loop {
        match images.read(&mut buffer).await {
            Ok(0) => break,
            Ok(len) => incoming.take(&buffer[..len], key)?,
            Err(Error::Aborted) => return Err(Refused::CutOff.into()),
            Err(error) => return Err(error.into()),
        }
        parts += 1;
    }
    let (header, bank) = incoming.end()?;
    let Header { version, length, sum } = header;
    let begin = u64::from_be_bytes(core::array::from_fn(|at| sum[at]));
    println!("received {length} bytes of version {version} in {parts} parts, sum {begin:016x}");
    Ok((bank, length))
}

/// An image on its way into the bank.
struct Incoming {
    /// Bytes of the image, as the message has it.
    length: u32,
    /// As much of its header as is here.
    front: [u8; HEADER],
    have: usize,
    /// From the whole header on.
    image: Option<(Header, Bank, Sha256)>,
}

impl Incoming {
    /// Of a message with so many bytes.
    fn begin(bytes: u32) -> Result<Self, Trouble> {
        let length = bytes.checked_sub(HEADER as u32).filter(|length| *length <= BANK).ok_or(Refused::TooLarge)?;
        Ok(Self { length, front: [0; HEADER], have: 0, image: None })
    }

    /// Takes what comes next. The bank is erased when the header is known to be good.
    fn take(&mut self, part: &[u8], key: &[u8]) -> Result<(), Trouble> {
        let (front, rest) = part.split_at(part.len().min(HEADER - self.have));
        self.front[self.have..self.have + front.len()].copy_from_slice(front);
        self.have += front.len();
        if self.image.is_none() && self.have == HEADER {
            let header = Header::verified(&self.front, key).ok_or(Refused::NotSigned)?;
            if header.length != self.length {
                return Err(Refused::TooLarge.into());
            }
            if header.version <= RUNNING {
                return Err(Refused::NotNewer.into());
            }
            self.image = Some((header, Bank::erase(c"bank")?, Sha256::new()));
        }
        if let Some((_, bank, sum)) = &mut self.image {
            sum.update(rest);
            bank.append(rest)?;
        }
        Ok(())
    }

    /// All of it is here: is it what was signed?
    fn end(self) -> Result<(Header, Bank), Trouble> {
        let (header, bank, sum) = self.image.ok_or(Refused::NotSigned)?;
        if sum.finalize().as_slice() != header.sum {
            Bank::erase(c"bank")?;
            return Err(Refused::Damaged.into());
        }
        Ok((header, bank))
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

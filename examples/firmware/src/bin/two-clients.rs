//! Two clients in one firmware, on one network stack: the stair lamp with one broker, a meter with another.
//!
//! The meter answers each message on `cellar/meter/ask` with one on `cellar/meter/reading`, which says how many there were.
//!
//! Arguments: `port=1883` of the lamp's broker on the host, `port2=1883` of the meter's; `version=5` or `311` for the lamp, the other
//! one for the meter. The lamp's `quit` ends both.

#![no_std]
#![no_main]

use board::led::Led;
use board::random::HostRandom;
use board::{net, println};
use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_futures::join::join;
use embassy_net::Stack;
use embassy_net::dns::DnsSocket;
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use mqtt_embedded::{
    Backoff, ConnectOptions, EmbassyClock, Error, Options, ProtocolVersion, QoS, Resources, Runner, Sizes, TcpConnector,
};
use static_cell::ConstStaticCell;

static MQTT: stairlamp::Resources = stairlamp::Resources::new(EmbassyClock);
static RECEIVE: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
static TRANSMIT: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
static TCP: ConstStaticCell<TcpClientState<2, 2048, 2048>> = ConstStaticCell::new(TcpClientState::new());

/// The meter's: smaller, and for tasks of one executor only.
type Meter = Resources<NoopRawMutex, EmbassyClock, Sizes<2, 128, 2, 128, 64, 1, 24>>;

#[entry]
fn main() -> ! {
    board::init();
    board::executor::run(|spawner| spawner.spawn(start(spawner).expect("it is started once")))
}

#[embassy_executor::task]
async fn start(spawner: Spawner) {
    let stack = net::start(spawner).await;
    let tcp = TcpClient::new(stack, TCP.take());
    let meter = Meter::new(EmbassyClock);
    let lamp = async {
        let dns = DnsSocket::new(stack);
        let mut connector = TcpConnector::new(&tcp, &dns, net::HOST, net::port());
        let mut runner = Runner::new(&MQTT, RECEIVE.take(), TRANSMIT.take());
        let (options, mut random) = (stairlamp::options(net::version(), false), HostRandom);
        let runs = runner.run(&mut connector, &options, &mut random);
        let end = stairlamp::live(MQTT.client(), Led::default(), board::console, runs).await;
        meter.client().shutdown(1_000).await;
        end
    };
    let (end, ()) = join(lamp, measure(&meter, stack, &tcp)).await;
    board::end(end, size_of_val(&MQTT) + size_of::<Meter>());
}

/// The meter's runner, and the meter.
async fn measure(meter: &Meter, stack: Stack<'static>, tcp: &TcpClient<'_, 2, 2048, 2048>) {
    let version = match net::version() {
        ProtocolVersion::V5_0 => ProtocolVersion::V3_1_1,
        _ => ProtocolVersion::V5_0,
    };
    let dns = DnsSocket::new(stack);
    let mut connector = TcpConnector::new(tcp, &dns, net::HOST, net::port_of("port2"));
    let (mut receive, mut transmit) = ([0; 128], [0; 128]);
    let mut runner = Runner::new(meter, &mut receive, &mut transmit);
    let connect = ConnectOptions::new("meter").version(version).keep_alive(10).keep_session(true);
    let options = Options::new(connect).backoff(Backoff::new().minimum(100).maximum(1_000));
    let mut random = HostRandom;
    let (end, answered) = join(runner.run(&mut connector, &options, &mut random), answer(meter)).await;
    if let Err(failure) = end {
        println!("meter gave up: {failure}");
    }
    if let Err(error) = answered {
        println!("meter: {error}");
    }
}

async fn answer(meter: &Meter) -> Result<(), Error> {
    let client = meter.client();
    let mut questions = client.subscribe("cellar/meter/ask", QoS::AtLeastOnce)?;
    questions.granted().await?;
    println!("meter ready");
    let mut buffer = [0; 64];
    for count in 1_u8.. {
        let Some(question) = questions.next(&mut buffer).await else { break };
        question?;
        client.publish("cellar/meter/reading", &[b'0' + count])?.qos(QoS::AtLeastOnce).deliver().await?;
        println!("meter answered {count}");
    }
    Ok(())
}

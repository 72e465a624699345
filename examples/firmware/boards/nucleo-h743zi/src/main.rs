//! The stair lamp on a Nucleo-H743ZI: its green LED, over Ethernet.

#![no_std]
#![no_main]

use core::fmt::Arguments;

use defmt_rtt as _;
use embassy_executor::Spawner;
use embassy_net::dns::DnsSocket;
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use embassy_net::{Config, DhcpConfig, StackResources};
use embassy_stm32::eth::{Ethernet, GenericPhy, PacketQueue, Sma};
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::peripherals::{ETH, ETH_SMA, RNG};
use embassy_stm32::rng::Rng;
use embassy_stm32::{bind_interrupts, eth, rcc, rng};
use mqtt_embedded::{EmbassyClock, ProtocolVersion, Runner, TcpConnector};
use panic_probe as _;
use stairlamp::settings::{BROKER, PORT};
use static_cell::{ConstStaticCell, StaticCell};

bind_interrupts!(struct Irqs {
    ETH => eth::InterruptHandler;
    RNG => rng::InterruptHandler<RNG>;
});

type Device = Ethernet<'static, ETH, GenericPhy<Sma<'static, ETH_SMA>>>;

static MQTT: stairlamp::Resources = stairlamp::Resources::new(EmbassyClock);
static RECEIVE: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
static TRANSMIT: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
static TCP: ConstStaticCell<TcpClientState<1, 2048, 2048>> = ConstStaticCell::new(TcpClientState::new());
static NET: StaticCell<StackResources<4>> = StaticCell::new();
static PACKETS: ConstStaticCell<PacketQueue<4, 4>> = ConstStaticCell::new(PacketQueue::new());

/// Administered locally: the board has none of its own.
const ADDRESS: [u8; 6] = [0x02, 0, 0, 0, 0, 0x07];

#[embassy_executor::task]
async fn drive_net(mut runner: embassy_net::Runner<'static, Device>) -> ! {
    runner.run().await
}

fn console(line: Arguments<'_>) {
    defmt::info!("{}", defmt::Display2Format(&line));
}

/// 400 MHz for the core, 48 MHz for random numbers.
fn clocks() -> embassy_stm32::Config {
    use rcc::{
        AHBPrescaler, APBPrescaler, HSIPrescaler, Hsi48Config, Pll, PllDiv, PllMul, PllPreDiv, PllSource, Sysclk,
        VoltageScale,
    };
    let mut config = embassy_stm32::Config::default();
    config.rcc.hsi = Some(HSIPrescaler::DIV1);
    config.rcc.csi = true;
    config.rcc.hsi48 = Some(Hsi48Config::default());
    config.rcc.pll1 = Some(Pll {
        source: PllSource::HSI,
        prediv: PllPreDiv::DIV4,
        mul: PllMul::MUL50,
        fracn: None,
        divp: Some(PllDiv::DIV2),
        divq: None,
        divr: None,
    });
    config.rcc.sys = Sysclk::PLL1_P;
    config.rcc.ahb_pre = AHBPrescaler::DIV2;
    config.rcc.apb1_pre = APBPrescaler::DIV2;
    config.rcc.apb2_pre = APBPrescaler::DIV2;
    config.rcc.apb3_pre = APBPrescaler::DIV2;
    config.rcc.apb4_pre = APBPrescaler::DIV2;
    config.rcc.voltage_scale = VoltageScale::Scale1;
    config
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let board = embassy_stm32::init(clocks());
    let lamp = Output::new(board.PB0, Level::Low, Speed::Low);
    let mut random = Rng::new(board.RNG, Irqs);
    let mut seed = [0; 8];
    random.fill_bytes(&mut seed);

    let device = Ethernet::new(
        PACKETS.take(),
        board.ETH,
        Irqs,
        board.PA1,  // reference clock
        board.PA7,  // carrier sense, data valid
        board.PC4,  // received data 0
        board.PC5,  // received data 1
        board.PG13, // transmitted data 0
        board.PB13, // transmitted data 1
        board.PG11, // transmit enable
        ADDRESS,
        board.ETH_SMA,
        board.PA2, // management data
        board.PC1, // management clock
    );
    let (config, seed) = (Config::dhcpv4(DhcpConfig::default()), u64::from_le_bytes(seed));
    let (stack, runner) = embassy_net::new(device, config, NET.init(StackResources::new()), seed);
    spawner.spawn(drive_net(runner).expect("it is started once"));
    stack.wait_config_up().await;

    let (tcp, dns) = (TcpClient::new(stack, TCP.take()), DnsSocket::new(stack));
    let mut connector = TcpConnector::new(&tcp, &dns, BROKER, PORT);
    let mut runner = Runner::new(&MQTT, RECEIVE.take(), TRANSMIT.take());
    let options = stairlamp::options(ProtocolVersion::V5_0, false);
    let runs = runner.run(&mut connector, &options, &mut random);
    let end = stairlamp::live(MQTT.client(), lamp, console, runs).await;
    defmt::info!("the end: {}", end);
}

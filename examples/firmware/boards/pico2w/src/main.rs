//! The stair lamp on a Raspberry Pi Pico 2 W: an LED at GPIO 15, over Wi-Fi.

#![no_std]
#![no_main]

use core::fmt::Arguments;

use cyw43::{Aligned, JoinOptions, NetDriver, SpiBus, aligned_bytes};
use cyw43_pio::{DEFAULT_CLOCK_DIVIDER, PioSpi};
use defmt_rtt as _;
use embassy_executor::Spawner;
use embassy_net::dns::DnsSocket;
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use embassy_net::{Config, DhcpConfig, StackResources};
use embassy_rp::gpio::{Level, Output};
use embassy_rp::peripherals::{DMA_CH0, PIO0, TRNG};
use embassy_rp::trng::{self, Trng};
use embassy_rp::{bind_interrupts, dma, pio};
use embassy_time::Timer;
use mqtt_embedded::{EmbassyClock, ProtocolVersion, Runner, TcpConnector};
use panic_probe as _;
use stairlamp::settings::{BROKER, PORT, WIFI_NETWORK, WIFI_PASSWORD};
use static_cell::{ConstStaticCell, StaticCell};

bind_interrupts!(struct Irqs {
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>;
    PIO0_IRQ_0 => pio::InterruptHandler<PIO0>;
    TRNG_IRQ => trng::InterruptHandler<TRNG>;
});

static MQTT: stairlamp::Resources = stairlamp::Resources::new(EmbassyClock);
static RECEIVE: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
static TRANSMIT: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
static TCP: ConstStaticCell<TcpClientState<1, 2048, 2048>> = ConstStaticCell::new(TcpClientState::new());
static NET: StaticCell<StackResources<4>> = StaticCell::new();
static WIFI: StaticCell<cyw43::State> = StaticCell::new();

static WIFI_FIRMWARE: &Aligned<cyw43::A4, [u8]> = aligned_bytes!(concat!(env!("OUT_DIR"), "/43439A0.bin"));
static WIFI_NVRAM: &Aligned<cyw43::A4, [u8]> = aligned_bytes!(concat!(env!("OUT_DIR"), "/nvram_rp2040.bin"));
static WIFI_COUNTRIES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/43439A0_clm.bin"));

#[embassy_executor::task]
async fn drive_wifi(runner: cyw43::Runner<'static, SpiBus<Output<'static>, PioSpi<'static, PIO0, 0>>>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn drive_net(mut runner: embassy_net::Runner<'static, NetDriver<'static>>) -> ! {
    runner.run().await
}

fn console(line: Arguments<'_>) {
    defmt::info!("{}", defmt::Display2Format(&line));
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let board = embassy_rp::init(embassy_rp::config::Config::default());
    let lamp = Output::new(board.PIN_15, Level::Low);
    let mut random = Trng::new(board.TRNG, Irqs, trng::Config::default());

    // The Wi-Fi chip hangs on pins of its own.
    let power = Output::new(board.PIN_23, Level::Low);
    let select = Output::new(board.PIN_25, Level::High);
    let mut pio = pio::Pio::new(board.PIO0, Irqs);
    let channel = dma::Channel::new(board.DMA_CH0, Irqs);
    let (data, clock) = (board.PIN_24, board.PIN_29);
    let spi = PioSpi::new(&mut pio.common, pio.sm0, DEFAULT_CLOCK_DIVIDER, pio.irq0, select, data, clock, channel);
    let state = WIFI.init(cyw43::State::new());
    let (device, mut wifi, runner) = cyw43::new(state, power, spi, WIFI_FIRMWARE, WIFI_NVRAM).await;
    spawner.spawn(drive_wifi(runner).expect("it is started once"));
    wifi.init(WIFI_COUNTRIES).await;

    let config = Config::dhcpv4(DhcpConfig::default());
    let seed = random.blocking_next_u64();
    let (stack, runner) = embassy_net::new(device, config, NET.init(StackResources::new()), seed);
    spawner.spawn(drive_net(runner).expect("it is started once"));
    while wifi.join(WIFI_NETWORK, JoinOptions::new(WIFI_PASSWORD.as_bytes())).await.is_err() {
        defmt::warn!("no Wi-Fi called {}", WIFI_NETWORK);
        Timer::after_secs(5).await;
    }
    stack.wait_config_up().await;

    let (tcp, dns) = (TcpClient::new(stack, TCP.take()), DnsSocket::new(stack));
    let mut connector = TcpConnector::new(&tcp, &dns, BROKER, PORT);
    let mut runner = Runner::new(&MQTT, RECEIVE.take(), TRANSMIT.take());
    let options = stairlamp::options(ProtocolVersion::V5_0, false);
    let runs = runner.run(&mut connector, &options, &mut random);
    let end = stairlamp::live(MQTT.client(), lamp, console, runs).await;
    defmt::info!("the end: {}", end);
}

//! The stair lamp on an ESP32-C3: an LED at GPIO 4, over Wi-Fi.

#![no_std]
#![no_main]

use core::fmt::Arguments;

use embassy_executor::Spawner;
use embassy_net::dns::DnsSocket;
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use embassy_net::{Config, DhcpConfig, StackResources};
use embassy_time::Timer;
use esp_backtrace as _;
use esp_hal::clock::CpuClock;
use esp_hal::gpio::{Level, Output, OutputConfig};
use esp_hal::interrupt::software::SoftwareInterruptControl;
use esp_hal::ram;
use esp_hal::rng::Rng;
use esp_hal::timer::timg::TimerGroup;
use esp_println::println;
use esp_radio::wifi::sta::StationConfig;
use esp_radio::wifi::{self, Interface, WifiController};
use mqtt_embedded::{EmbassyClock, ProtocolVersion, Runner, TcpConnector};
use stairlamp::settings::{BROKER, PORT, WIFI_NETWORK, WIFI_PASSWORD};
use static_cell::{ConstStaticCell, StaticCell};

esp_bootloader_esp_idf::esp_app_desc!();

static MQTT: stairlamp::Resources = stairlamp::Resources::new(EmbassyClock);
static RECEIVE: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
static TRANSMIT: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
static TCP: ConstStaticCell<TcpClientState<1, 2048, 2048>> = ConstStaticCell::new(TcpClientState::new());
static NET: StaticCell<StackResources<4>> = StaticCell::new();

/// Keeps the Wi-Fi connected.
#[embassy_executor::task]
async fn drive_wifi(mut wifi: WifiController<'static>) -> ! {
    loop {
        match wifi.connect_async().await {
            Ok(_) => {
                let _ = wifi.wait_for_disconnect_async().await; // and for whatever reason
            }
            Err(error) => println!("no Wi-Fi called {WIFI_NETWORK}: {error:?}"),
        }
        Timer::after_secs(5).await;
    }
}

#[embassy_executor::task]
async fn drive_net(mut runner: embassy_net::Runner<'static, Interface<'static>>) -> ! {
    runner.run().await
}

fn console(line: Arguments<'_>) {
    println!("{line}");
}

#[esp_rtos::main]
async fn main(spawner: Spawner) {
    let board = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    // The radio's driver is in C, and allocates.
    esp_alloc::heap_allocator!(#[ram(reclaimed)] size: 64 * 1024);
    esp_alloc::heap_allocator!(size: 36 * 1024);
    let timers = TimerGroup::new(board.TIMG0);
    let interrupts = SoftwareInterruptControl::new(board.SW_INTERRUPT);
    esp_rtos::start(timers.timer0, interrupts.software_interrupt0);
    let lamp = Output::new(board.GPIO4, Level::Low, OutputConfig::default());

    let (mut wifi, interfaces) = wifi::new(board.WIFI, wifi::ControllerConfig::default()).expect("there is a radio");
    let station = StationConfig::default().with_ssid(WIFI_NETWORK).with_password(WIFI_PASSWORD.into());
    wifi.set_config(&wifi::Config::Station(station)).expect("the name and the password are not too long");
    spawner.spawn(drive_wifi(wifi).expect("it is started once"));

    // True random numbers, since the radio runs.
    let mut random = Rng::new();
    let seed = u64::from(random.random()) << 32 | u64::from(random.random());
    let config = Config::dhcpv4(DhcpConfig::default());
    let (stack, runner) = embassy_net::new(interfaces.station, config, NET.init(StackResources::new()), seed);
    spawner.spawn(drive_net(runner).expect("it is started once"));
    stack.wait_config_up().await;

    let (tcp, dns) = (TcpClient::new(stack, TCP.take()), DnsSocket::new(stack));
    let mut connector = TcpConnector::new(&tcp, &dns, BROKER, PORT);
    let mut runner = Runner::new(&MQTT, RECEIVE.take(), TRANSMIT.take());
    let options = stairlamp::options(ProtocolVersion::V5_0, false);
    let runs = runner.run(&mut connector, &options, &mut random);
    let end = stairlamp::live(MQTT.client(), lamp, console, runs).await;
    println!("the end: {end:?}");
}

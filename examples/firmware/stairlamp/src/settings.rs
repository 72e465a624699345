//! Where a real board finds its network and its broker: variables of the environment in which it is built.

/// The Wi-Fi's name: `WIFI_NETWORK`.
pub const WIFI_NETWORK: &str = or(option_env!("WIFI_NETWORK"), "cellar");
/// The Wi-Fi's password, WPA2: `WIFI_PASSWORD`.
pub const WIFI_PASSWORD: &str = or(option_env!("WIFI_PASSWORD"), "open-sesame");
/// The broker's name or address: `BROKER`.
pub const BROKER: &str = or(option_env!("BROKER"), "192.168.1.10");
/// Its port.
pub const PORT: u16 = 1883;

const fn or(value: Option<&'static str>, default: &'static str) -> &'static str {
    match value {
        Some(value) => value,
        None => default,
    }
}

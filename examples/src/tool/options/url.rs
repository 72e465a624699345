//! `-L`: broker and topic in one.

use super::given::{check_filter, check_name};
use super::{Settings, Stop, Tool};

/// `scheme://[user[:password]@]host[:port]/topic`.
pub(super) fn take(url: &str, tool: Tool, settings: &mut Settings) -> Result<(), Stop> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (tls, websocket, default_port) = match scheme.to_ascii_lowercase().as_str() {
        "mqtt" => (false, false, 1883),
        "mqtts" => (true, false, 8883),
        "ws" => (false, true, 80),
        "wss" => (true, true, 443),
        _ => return Err(Stop::error("Unsupported URL scheme.")),
    };
    let missing = || Stop::error("Invalid URL for -L argument specified - topic missing.");
    let (authority, topic) = rest.split_once('/').ok_or_else(missing)?;
    let (credentials, address) = match authority.rsplit_once('@') {
        Some((credentials, address)) => (Some(credentials), address),
        None => (None, authority),
    };
    // An IPv6 address stands in brackets.
    let (host, port) = match address.strip_prefix('[').and_then(|address| address.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    settings.port = Some(match port {
        Some(port) => match port.parse() {
            Ok(port @ 1..) => port,
            _ => return Err(Stop::error(format!("Invalid port given: {port}"))),
        },
        None => default_port,
    });
    if let Some((user_name, password)) = credentials.map(|both| both.split_once(':').unwrap_or((both, ""))) {
        settings.user_name = Some(user_name.to_owned());
        settings.password = (!password.is_empty()).then(|| password.as_bytes().to_vec());
    }
    settings.host = host.to_owned();
    settings.websocket |= websocket;
    settings.tls.system_roots |= tls;
    if tool == Tool::Sub {
        check_filter("subscription", topic)?;
        settings.topics.push(topic.to_owned());
    } else {
        check_name("publish", topic)?;
        settings.topics = vec![topic.to_owned()];
    }
    Ok(())
}

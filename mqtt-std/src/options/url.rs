//! Options from an address.

use core::net::Ipv6Addr;
use core::str::FromStr;
use core::time::Duration;

use bytes::Bytes;
use mqtt_core::ProtocolVersion;

use super::Options;
use crate::error::{Error, InvalidUrl};
use crate::transport::{Scheme, Server};

/// The parts of an address.
pub(crate) struct Url {
    pub(crate) server: Server,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<Bytes>,
    pub(crate) parameters: Vec<Parameter>,
}

/// What an address can say about the client.
pub(crate) enum Parameter {
    ClientIdentifier(String),
    KeepAlive(u16),
    SessionExpiryInterval(u32),
    Version(ProtocolVersion),
    ConnectTimeout(Duration),
}

impl FromStr for Options {
    type Err = Error;

    /// Reads `scheme://[user[:password]@]host[:port][/path][?parameter=value&...]`; see [`Server`] for schemes, ports and
    /// paths. User name, password and values may be percent-encoded.
    ///
    /// | parameter | is |
    /// | --- | --- |
    /// | `client_id` | [`client_identifier`](Self::client_identifier) |
    /// | `keep_alive` | [`keep_alive`](Self::keep_alive), in seconds |
    /// | `session_expiry` | [`session_expiry_interval`](Self::session_expiry_interval), in seconds |
    /// | `version` | [`version`](Self::version): `5.0`, `3.1.1` or `3.1` |
    /// | `connect_timeout` | [`connect_timeout`](Self::connect_timeout), in seconds |
    ///
    /// Of a WebSocket's address other parameters belong to the path that is asked for; elsewhere they are an error.
    fn from_str(url: &str) -> Result<Self, Error> {
        let url = Url::parse(url)?;
        let mut options = Self::of(url.server);
        options.user_name = url.user_name;
        options.password = url.password;
        for parameter in url.parameters {
            options = match parameter {
                Parameter::ClientIdentifier(text) => options.client_identifier(text),
                Parameter::KeepAlive(seconds) => options.keep_alive(seconds),
                Parameter::SessionExpiryInterval(seconds) => options.session_expiry_interval(seconds),
                Parameter::Version(version) => options.version(version),
                Parameter::ConnectTimeout(timeout) => options.connect_timeout(timeout),
            };
        }
        Ok(options)
    }
}

impl Url {
    pub(crate) fn parse(url: &str) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = url.split_once(':').ok_or(InvalidUrl::Scheme)?;
        let scheme = Scheme::parse(scheme)?;
        scheme.check()?;
        if rest.contains('#') {
            return Err(InvalidUrl::Fragment);
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match (rest.strip_prefix("//"), scheme) {
            (Some(rest), _) => rest.find('/').map_or((rest, ""), |at| rest.split_at(at)),
            // `unix:/path`
            (None, Scheme::Unix) => ("", rest),
            (None, _) => return Err(InvalidUrl::Scheme),
        };
        let (user_name, password, address) = split_credentials(authority)?;
        let (parameters, foreign) = read_parameters(query, scheme.is_websocket())?;
        let server = match scheme {
            Scheme::Unix => unix(address, path)?,
            _ => {
                let (host, port) = split_address(address, scheme.default_port())?;
                let path = match (scheme.is_websocket(), path) {
                    (true, "") => format!("/mqtt{foreign}"),
                    (true, path) => format!("{path}{foreign}"),
                    (false, "" | "/") => String::new(),
                    (false, _) => return Err(InvalidUrl::Path),
                };
                // It is said to the server as it is.
                if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(InvalidUrl::Path);
                }
                Server { scheme, host, port, path }
            }
        };
        Ok(Self { server, user_name, password, parameters })
    }
}

fn unix(address: &str, path: &str) -> Result<Server, InvalidUrl> {
    if !address.is_empty() {
        return Err(InvalidUrl::Host);
    }
    let path = decode(path)?;
    if path.trim_matches('/').is_empty() {
        return Err(InvalidUrl::Path);
    }
    Ok(Server { scheme: Scheme::Unix, host: String::new(), port: 0, path })
}

/// User name, password, and the rest.
type Credentials<'a> = (Option<String>, Option<Bytes>, &'a str);

pub(crate) fn split_credentials(authority: &str) -> Result<Credentials<'_>, InvalidUrl> {
    let Some((credentials, address)) = authority.rsplit_once('@') else { return Ok((None, None, authority)) };
    let (user, password) = match credentials.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (credentials, None),
    };
    // A password may be any bytes (§3.1.3.6).
    let password = password.map(|password| Bytes::from_iter(percent_encoding::percent_decode_str(password)));
    Ok((Some(decode(user)?), password, address))
}

/// Host and port; an IPv6 address stands in brackets.
pub(crate) fn split_address(address: &str, default_port: u16) -> Result<(String, u16), InvalidUrl> {
    let (host, port) = if let Some(rest) = address.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(InvalidUrl::Host)?;
        // With a zone, `[fe80::1%25eth0]`.
        let host = decode(host)?;
        host.split('%').next().and_then(|ip| ip.parse::<Ipv6Addr>().ok()).ok_or(InvalidUrl::Host)?;
        let port = match rest {
            "" => None,
            rest => Some(rest.strip_prefix(':').ok_or(InvalidUrl::Host)?),
        };
        (host, port)
    } else {
        let (host, port) = address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port)));
        let odd = |character: char| character.is_whitespace() || character.is_control() || "[]%@\\".contains(character);
        if host.is_empty() || host.contains(odd) {
            return Err(InvalidUrl::Host);
        }
        (host.to_owned(), port)
    };
    let port = port.map_or(Ok(default_port), |port| port.parse().map_err(|_| InvalidUrl::Port))?;
    if port == 0 { Err(InvalidUrl::Port) } else { Ok((host, port)) }
}

/// What the query says to the client, and the rest of it with its question mark where it may say something to the server.
fn read_parameters(query: &str, may_be_foreign: bool) -> Result<(Vec<Parameter>, String), InvalidUrl> {
    let (mut parameters, mut foreign) = (Vec::new(), String::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let wrong = |name| InvalidUrl::ParameterValue(name);
        parameters.push(match name {
            "client_id" => Parameter::ClientIdentifier(decode(value)?),
            "keep_alive" => Parameter::KeepAlive(value.parse().map_err(|_| wrong("keep_alive"))?),
            "session_expiry" => Parameter::SessionExpiryInterval(value.parse().map_err(|_| wrong("session_expiry"))?),
            "version" => Parameter::Version(match value {
                "5" | "5.0" => ProtocolVersion::V5_0,
                "3.1.1" => ProtocolVersion::V3_1_1,
                "3.1" => ProtocolVersion::V3_1,
                _ => return Err(wrong("version")),
            }),
            "connect_timeout" => {
                let seconds = value.parse::<u32>().map_err(|_| wrong("connect_timeout"))?;
                Parameter::ConnectTimeout(Duration::from_secs(seconds.into()))
            }
            _ if may_be_foreign => {
                foreign.push(if foreign.is_empty() { '?' } else { '&' });
                foreign.push_str(pair);
                continue;
            }
            _ => return Err(InvalidUrl::Parameter),
        });
    }
    Ok((parameters, foreign))
}

fn decode(text: &str) -> Result<String, InvalidUrl> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8().map_err(|_| InvalidUrl::Encoding)?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_who_and_where() {
        let options: Options = "mqtt://al%40ice:se:cret@[::1]:2000/?client_id=pump%207&keep_alive=5".parse().unwrap();
        assert_eq!((options.server.host(), options.server.port()), ("::1", 2000));
        assert_eq!(options.user_name.as_deref(), Some("al@ice"));
        assert_eq!(options.password.as_deref(), Some(&b"se:cret"[..]));
        assert_eq!((options.client_identifier.as_str(), options.keep_alive), ("pump 7", 5));
        let options: Options = "mqtt://localhost".parse().unwrap();
        assert_eq!((options.server.host(), options.server.port()), ("localhost", 1883));
        assert_eq!(options.client_identifier.len(), 23);
    }

    #[test]
    fn a_url_has_the_port_and_the_path_of_its_scheme() {
        for (url, shown) in [
            ("mqtt://a", "mqtt://a:1883"),
            ("TCP://a:7/", "mqtt://a:7"),
            #[cfg(any(feature = "tls", feature = "tls-psk"))]
            ("ssl://[fe80::1%25eth0]", "mqtts://[fe80::1%eth0]:8883"),
            #[cfg(feature = "websocket")]
            ("ws://a", "ws://a:80/mqtt"),
            #[cfg(feature = "websocket")]
            ("ws://a/?token=x&client_id=c&b", "ws://a:80/"),
            #[cfg(all(feature = "websocket", feature = "tls"))]
            ("wss://a:7/b/c@d", "wss://a:7/b/c@d"),
            #[cfg(unix)]
            ("unix:///run/m%20q.sock", "unix:///run/m q.sock"),
            #[cfg(unix)]
            ("unix:/run/mq.sock", "unix:///run/mq.sock"),
        ] {
            assert_eq!(url.parse::<Options>().unwrap().server.to_string(), shown, "{url}");
        }
    }

    #[cfg(feature = "websocket")]
    #[test]
    fn what_the_client_does_not_know_belongs_to_the_path_of_a_websocket() {
        let options: Options = "ws://a/x?token=s%20t&client_id=c&b".parse().unwrap();
        assert_eq!((options.server.path(), options.client_identifier.as_str()), ("/x?token=s%20t&b", "c"));
    }

    #[test]
    fn what_a_url_cannot_say_is_refused_by_name() {
        for (url, error) in [
            ("localhost", InvalidUrl::Scheme),
            ("http://localhost", InvalidUrl::Scheme),
            ("mqtt:localhost", InvalidUrl::Scheme),
            ("mqtt://", InvalidUrl::Host),
            ("mqtt://:1883", InvalidUrl::Host),
            ("mqtt://::1", InvalidUrl::Host),
            ("mqtt://[::1", InvalidUrl::Host),
            ("mqtt://[::1]x", InvalidUrl::Host),
            ("mqtt://[localhost]", InvalidUrl::Host),
            ("mqtt://a b", InvalidUrl::Host),
            ("mqtt://localhost:x", InvalidUrl::Port),
            ("mqtt://localhost:", InvalidUrl::Port),
            ("mqtt://localhost:0", InvalidUrl::Port),
            ("mqtt://localhost:65536", InvalidUrl::Port),
            ("mqtt://localhost/topic", InvalidUrl::Path),
            #[cfg(feature = "websocket")]
            ("ws://localhost/a b", InvalidUrl::Path),
            ("mqtt://localhost#x", InvalidUrl::Fragment),
            ("mqtt://localhost?colour=red", InvalidUrl::Parameter),
            ("mqtt://localhost?keep_alive=-1", InvalidUrl::ParameterValue("keep_alive")),
            ("mqtt://localhost?version=4", InvalidUrl::ParameterValue("version")),
            ("mqtt://%ff@localhost", InvalidUrl::Encoding),
            #[cfg(unix)]
            ("unix://run/mq.sock", InvalidUrl::Host),
            #[cfg(unix)]
            ("unix:", InvalidUrl::Path),
            #[cfg(not(any(feature = "tls", feature = "tls-psk")))]
            ("mqtts://localhost", InvalidUrl::FeatureMissing("tls")),
            #[cfg(not(feature = "websocket"))]
            ("ws://localhost", InvalidUrl::FeatureMissing("websocket")),
        ] {
            assert!(matches!(url.parse::<Options>(), Err(Error::InvalidUrl(found)) if found == error), "{url}");
        }
    }

    #[test]
    fn a_server_has_no_secrets() {
        assert_eq!("mqtt://alice@localhost".parse::<Server>(), Err(InvalidUrl::CredentialsNotHere));
        assert_eq!("mqtt://localhost?client_id=x".parse::<Server>(), Err(InvalidUrl::Parameter));
        assert_eq!("mqtt://localhost".parse::<Server>(), Ok(Server::tcp("localhost", 1883)));
    }

    #[test]
    fn a_server_can_be_read_as_it_is_shown() {
        for server in [
            Server::tcp("a", 1883),
            Server::tcp("::1", 7),
            Server { scheme: Scheme::Mqtts, ..Server::tcp("a.b", 8883) },
            Server { scheme: Scheme::Ws, path: "/".to_owned(), ..Server::tcp("a", 80) },
            Server { scheme: Scheme::Wss, path: "/b/c@d".to_owned(), ..Server::tcp("::1", 443) },
            Server { scheme: Scheme::Unix, path: "/run/m.sock".to_owned(), ..Server::tcp("", 0) },
        ] {
            match server.to_string().parse::<Server>() {
                Ok(read) => assert_eq!(read, server),
                Err(error) => assert_eq!(Err(error), server.scheme.check(), "{server}"),
            }
        }
    }

    #[test]
    fn no_text_is_too_odd() {
        let whole = "wss://al%40ice:s%ffcret@[fe80::1%25eth0]:8883/a/b?client_id=%20&keep_alive=5&x=y#z";
        let characters: Vec<char> = whole.chars().chain("ü@:/?#[]%&=\0".chars()).collect();
        for start in 0..whole.len() {
            for end in start..=whole.len() {
                let _ = whole[start..end].parse::<Options>();
                for scheme in ["mqtt", "wss", "unix"] {
                    let _ = format!("{scheme}://{}", &whole[start..end]).parse::<Options>();
                }
            }
            for character in &characters {
                let _ = format!("{}{character}{}", &whole[..start], &whole[start + 1..]).parse::<Options>();
            }
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let options: Options = "mqtt://alice:secret@localhost".parse().unwrap();
        assert!(!std::format!("{options:?}").contains("secret"));
    }
}

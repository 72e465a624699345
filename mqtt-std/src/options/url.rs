//! Options from an address.

use core::str::FromStr;

use bytes::Bytes;

use super::Options;
use crate::error::{Error, InvalidUrl};

impl FromStr for Options {
    type Err = Error;

    /// Reads `mqtt://[user[:password]@]host[:port][?client_id=...]`. User name, password and identifier may be
    /// percent-encoded; the port is 1883 where there is none.
    fn from_str(url: &str) -> Result<Self, Error> {
        let rest = url.strip_prefix("mqtt://").or_else(|| url.strip_prefix("tcp://")).ok_or(InvalidUrl::Scheme)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let rest = rest.trim_end_matches('/');
        let (credentials, address) = match rest.rsplit_once('@') {
            Some((credentials, address)) => (Some(credentials), address),
            None => (None, rest),
        };
        let (host, port) = split_address(address)?;
        let mut options = Self::new(host, port);
        if let Some(credentials) = credentials {
            let (user, password) = match credentials.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (credentials, None),
            };
            options.user_name = Some(decode(user)?);
            options.password = password.map(decode).transpose()?.map(Bytes::from);
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("client_id", value)) => options.client_identifier = decode(value)?,
                _ => return Err(InvalidUrl::Parameter.into()),
            }
        }
        Ok(options)
    }
}

/// Host and port; an IPv6 address stands in brackets.
fn split_address(address: &str) -> Result<(&str, u16), InvalidUrl> {
    let (host, port) = if let Some(rest) = address.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(InvalidUrl::Host)?;
        (host, rest.strip_prefix(':'))
    } else {
        match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        }
    };
    if host.is_empty() {
        return Err(InvalidUrl::Host);
    }
    let port = port.map_or(Ok(1883), |port| port.parse().map_err(|_| InvalidUrl::Port))?;
    Ok((host, port))
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
        let options: Options = "mqtt://al%40ice:se:cret@[::1]:2000/?client_id=pump%207".parse().unwrap();
        assert_eq!((options.host.as_str(), options.port), ("::1", 2000));
        assert_eq!(options.user_name.as_deref(), Some("al@ice"));
        assert_eq!(options.password.as_deref(), Some(&b"se:cret"[..]));
        assert_eq!(options.client_identifier, "pump 7");
        let options: Options = "mqtt://localhost".parse().unwrap();
        assert_eq!((options.host.as_str(), options.port), ("localhost", 1883));
        assert_eq!(options.client_identifier.len(), 23);
    }

    #[test]
    fn what_a_url_cannot_say_is_refused_by_name() {
        for (url, error) in [
            ("http://localhost", InvalidUrl::Scheme),
            ("mqtt://", InvalidUrl::Host),
            ("mqtt://localhost:x", InvalidUrl::Port),
            ("mqtt://localhost?colour=red", InvalidUrl::Parameter),
            ("mqtt://%ff@localhost", InvalidUrl::Encoding),
        ] {
            assert!(matches!(url.parse::<Options>(), Err(Error::InvalidUrl(found)) if found == error), "{url}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let options: Options = "mqtt://alice:secret@localhost".parse().unwrap();
        assert!(!std::format!("{options:?}").contains("secret"));
    }
}

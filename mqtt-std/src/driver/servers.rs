//! Which server comes next.

use core::net::Ipv6Addr;

use mqtt_core::{ProtocolVersion, ReasonCode};

use crate::options::Redirects;
use crate::transport::{Scheme, Server};

/// The servers of the options, in their order, and where they have sent the client.
pub(super) struct Servers {
    places: Vec<Place>,
    at: usize,
    /// Instead of the one there, for one connection.
    elsewhere: Option<Place>,
    redirects: Redirects,
    /// Where redirects have led since the last stable connection, the server that they began at among them.
    trail: Vec<Server>,
}

#[derive(Clone)]
struct Place {
    server: Server,
    /// The version that it speaks, as far as is known.
    version: ProtocolVersion,
    /// It has moved there.
    moved: Option<Server>,
}

impl Servers {
    pub(super) fn new(first: Server, others: Vec<Server>, version: ProtocolVersion, redirects: Redirects) -> Self {
        let places = core::iter::once(first).chain(others).map(|server| Place::new(server, version));
        Self { places: places.collect(), at: 0, elsewhere: None, redirects, trail: Vec::new() }
    }

    fn place(&self) -> Option<&Place> {
        self.elsewhere.as_ref().or_else(|| self.places.get(self.at))
    }

    fn place_mut(&mut self) -> Option<&mut Place> {
        self.elsewhere.as_mut().or_else(|| self.places.get_mut(self.at))
    }

    /// The one to connect to.
    pub(super) fn current(&self) -> Server {
        let place = self.place();
        place.map_or_else(|| Server::tcp("", 0), |place| place.moved.as_ref().unwrap_or(&place.server).clone())
    }

    pub(super) fn version(&self) -> ProtocolVersion {
        self.place().map_or(ProtocolVersion::V5_0, |place| place.version)
    }

    pub(super) fn set_version(&mut self, version: ProtocolVersion) {
        if let Some(place) = self.place_mut() {
            place.version = version;
        }
    }

    /// Tells whether credentials may go there: the options name the host, or allow it.
    pub(super) fn is_trusted(&self) -> bool {
        let current = self.current();
        let named = |place: &Place| place.server.scheme() == current.scheme() && place.server.host() == current.host();
        self.redirects.with_credentials || self.places.iter().any(named)
    }

    /// A server has sent the client to another one; tells whether that is now the current one.
    pub(super) fn redirect(&mut self, reason: ReasonCode, reference: Option<&str>) -> bool {
        let current = self.current();
        let hops = usize::from(self.redirects.hops);
        let first_hop = self.trail.is_empty();
        let taken = self.trail.len().saturating_sub(1);
        if taken >= hops || current.scheme() == Scheme::Unix {
            return false;
        }
        let mut named = reference.unwrap_or("").split_ascii_whitespace().filter_map(|text| referred(text, &current));
        let Some(next) = named.find(|server| *server != current && !self.trail.contains(server)) else { return false };
        if first_hop {
            self.trail.push(current);
        }
        self.trail.push(next.clone());
        let version = self.version();
        match self.places.get_mut(self.at) {
            Some(place) if reason == ReasonCode::SERVER_MOVED && self.elsewhere.is_none() => place.moved = Some(next),
            _ => self.elsewhere = Some(Place::new(next, version)),
        }
        true
    }

    /// The current one could not be connected to, or its connection is over. Goes on to the next one; tells whether that is the
    /// first one again.
    pub(super) fn advance(&mut self, accepted: bool) -> bool {
        match self.places.get_mut(self.at) {
            // It is not where it should have moved to: the next time it is asked again.
            Some(place) if self.elsewhere.is_none() && !accepted => place.moved = None,
            _ => {}
        }
        self.elsewhere = None;
        self.at = self.at.saturating_add(1);
        if self.at >= self.places.len() {
            self.at = 0;
        }
        self.at == 0
    }

    /// Goes back to the first one.
    pub(super) fn begin_anew(&mut self) {
        self.elsewhere = None;
        self.at = 0;
    }

    /// The connection was stable: redirects are counted anew.
    pub(super) fn was_stable(&mut self) {
        self.trail.clear();
    }
}

impl Place {
    const fn new(server: Server, version: ProtocolVersion) -> Self {
        Self { server, version, moved: None }
    }
}

/// The server that a Server Reference names, §4.11: a host, and a port if it is not the usual one. All else stays as it is.
fn referred(text: &str, current: &Server) -> Option<Server> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        (host, port.strip_prefix(':').or_else(|| port.is_empty().then_some(""))?)
    } else {
        let (host, port) = text.split_once(':').unwrap_or((text, ""));
        let valid = |character: char| character.is_alphanumeric() || matches!(character, '-' | '.' | '_');
        if host.is_empty() || !host.chars().all(valid) {
            return None;
        }
        (host, port)
    };
    let port = if port.is_empty() { current.scheme().default_port() } else { port.parse().ok()? };
    (port != 0).then(|| current.elsewhere(host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V5: ProtocolVersion = ProtocolVersion::V5_0;
    const USE: ReasonCode = ReasonCode::USE_ANOTHER_SERVER;
    const MOVED: ReasonCode = ReasonCode::SERVER_MOVED;

    fn servers(names: &[&str], redirects: Redirects) -> Servers {
        let mut all = names.iter().map(|name| Server::tcp(*name, 1883));
        let first = all.next().unwrap();
        Servers::new(first, all.collect(), V5, redirects)
    }

    fn host(servers: &Servers) -> String {
        servers.current().host().to_owned()
    }

    #[test]
    fn they_come_in_their_order_and_the_first_again() {
        let mut servers = servers(&["a", "b", "c"], Redirects::NONE);
        for (name, over) in [("a", false), ("b", false), ("c", true), ("a", false), ("b", false)] {
            assert_eq!(host(&servers), name);
            assert_eq!(servers.advance(false), over, "{name}");
        }
        servers.begin_anew();
        assert_eq!(host(&servers), "a");
        // Each has its version.
        servers.set_version(ProtocolVersion::V3_1_1);
        servers.advance(false);
        assert_eq!(servers.version(), V5);
        servers.begin_anew();
        assert_eq!(servers.version(), ProtocolVersion::V3_1_1);
    }

    #[test]
    fn another_server_is_used_once_and_a_moved_one_from_then_on() {
        for (reason, again) in [(USE, "a"), (MOVED, "x")] {
            let mut servers = servers(&["a"], Redirects::up_to(1));
            assert!(servers.redirect(reason, Some("x:2000")));
            assert_eq!(servers.current(), Server::tcp("x", 2000));
            servers.was_stable();
            assert!(servers.advance(true));
            assert_eq!(host(&servers), again, "{reason}");
            // Where nobody answers is not gone to for ever.
            servers.advance(false);
            assert_eq!(host(&servers), "a");
        }
    }

    #[test]
    fn hops_are_bounded_and_make_no_loops() {
        let mut servers = servers(&["a"], Redirects::up_to(3));
        assert!(!servers.redirect(USE, None));
        assert!(!servers.redirect(USE, Some("a")), "itself");
        assert!(servers.redirect(USE, Some("b")));
        assert!(!servers.redirect(USE, Some("a b")), "where it was");
        assert!(servers.redirect(USE, Some("a b c")));
        assert_eq!(host(&servers), "c");
        assert!(servers.redirect(USE, Some("d")));
        assert!(!servers.redirect(USE, Some("e")), "far enough");
        servers.advance(true);
        assert!(!servers.redirect(USE, Some("f")), "the connections were short");
        servers.was_stable();
        assert!(servers.redirect(USE, Some("f")));
        assert!(!self::servers(&["a"], Redirects::NONE).redirect(USE, Some("b")));
    }

    #[test]
    fn credentials_go_to_the_hosts_that_the_options_name() {
        for (redirects, trusted) in [(Redirects::up_to(1), false), (Redirects::up_to(1).with_credentials(), true)] {
            let mut servers = servers(&["a", "b"], redirects);
            assert!(servers.is_trusted());
            assert!(servers.redirect(USE, Some("b:2000")));
            assert!(servers.is_trusted(), "another port of a host that is named");
            servers.was_stable();
            assert!(servers.redirect(USE, Some("evil")));
            assert_eq!(servers.is_trusted(), trusted);
        }
    }

    #[test]
    fn a_reference_is_a_host_and_perhaps_a_port() {
        let current = Server::tcp("a", 2000);
        for (text, server) in [
            ("b", Some(("b", 1883))),
            ("b:7", Some(("b", 7))),
            ("10.0.0.1:7", Some(("10.0.0.1", 7))),
            ("[fe80::1]:7", Some(("fe80::1", 7))),
            ("[fe80::1]", Some(("fe80::1", 1883))),
            ("[b]:7", None),
            ("[fe80::1]7", None),
            ("b:0", None),
            ("b:x", None),
            (":7", None),
            ("u@b", None),
            ("b/path", None),
            ("mqtt://b", None),
            ("bücher.example", Some(("bücher.example", 1883))),
            ("b\u{202e}moc", None),
            ("b\u{85}", None),
            ("b\0", None),
        ] {
            let expected = server.map(|(host, port)| Server::tcp(host, port));
            assert_eq!(referred(text, &current), expected, "{text}");
        }
    }
}

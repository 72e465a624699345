//! Who subscribed to what.

use mqtt_core::{
    Outcome, PacketIdentifier, ReasonCode, Renewal, Subscription, SubscriptionList, SubscriptionOptions, TopicFilter,
    TopicName, put,
};

/// A filter, and where its subscription stands.
#[derive(Clone, Copy, Debug)]
struct Route<const LEN: usize> {
    filter: [u8; LEN],
    /// 0: the place is free.
    filter_len: u16,
    options: SubscriptionOptions,
    identifier: Option<u32>,
    /// The Server has granted it.
    granted: bool,
    renewal: Renewal,
    /// A subscriber reads.
    held: bool,
    request: Request,
}

/// Where the request for a subscription stands. The first one is zero, so that memory that begins empty takes no flash.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum Request {
    /// It is to be sent.
    Wanted,
    /// It is under way.
    #[doc(hidden)]
    Asked(PacketIdentifier),
    /// It has an outcome.
    #[doc(hidden)]
    Answered(Result<ReasonCode, Outcome>),
}

impl<const LEN: usize> Route<LEN> {
    const FREE: Self = Self {
        filter: [0; LEN],
        filter_len: 0,
        options: SubscriptionOptions::new(mqtt_core::QoS::AtMostOnce),
        identifier: None,
        granted: false,
        renewal: Renewal::Granted,
        held: false,
        request: Request::Wanted,
    };

    fn filter(&self) -> Option<TopicFilter<'_>> {
        let bytes = self.filter.get(..usize::from(self.filter_len)).filter(|bytes| !bytes.is_empty())?;
        TopicFilter::new(core::str::from_utf8(bytes).ok()?).ok()
    }
}

/// At most `N` subscriptions, 32 at the most, with filters of at most `LEN` bytes.
///
/// One list serves both purposes: whom a message is for, and what is renewed when the Server has lost the session.
#[derive(Debug)]
pub struct Routes<const N: usize, const LEN: usize> {
    routes: [Route<LEN>; N],
}

/// The place of a subscription among 32.
pub(crate) const fn bit(route: u8) -> u32 {
    1_u32.wrapping_shl(route as u32)
}

/// What the state needs of [`Routes`], whatever their size.
pub trait RouteList: SubscriptionList {
    /// Takes a place for a subscription; `None`: there is none, or another subscriber has this filter.
    #[doc(hidden)]
    fn open(&mut self, subscription: Subscription<'_>) -> Option<u8>;
    /// The subscriber is gone. The filter stays until the Server has answered the UNSUBSCRIBE.
    #[doc(hidden)]
    fn close(&mut self, index: u8);
    /// The subscription at a place.
    #[doc(hidden)]
    fn subscription(&self, index: u8) -> Option<Subscription<'_>>;
    /// Whom a message with this topic is for, a bit for each place.
    #[doc(hidden)]
    fn matching(&self, topic: TopicName<'_>) -> u32;
    /// A place whose subscription is to be asked for.
    #[doc(hidden)]
    fn wanted(&self) -> Option<u8>;
    /// Where the request of a place stands.
    #[doc(hidden)]
    fn request(&self, index: u8) -> Option<Request>;
    /// Says where it stands.
    #[doc(hidden)]
    fn set_request(&mut self, index: u8, request: Request);
    /// The request with this identifier has an outcome.
    #[doc(hidden)]
    fn answer(&mut self, id: PacketIdentifier, answer: Result<ReasonCode, Outcome>);
    /// The Server has refused the subscription at this place, or to renew it, or it will not be asked.
    #[doc(hidden)]
    fn is_lost(&self, index: u8) -> bool;
}

impl<const N: usize, const LEN: usize> Routes<N, LEN> {
    pub(crate) const NEW: Self = {
        assert!(N <= 32, "32 subscriptions at the most: each is a bit of a word");
        Self { routes: [Route::FREE; N] }
    };

    fn position(&self, filter: TopicFilter<'_>) -> Option<usize> {
        self.routes.iter().position(|route| route.filter() == Some(filter))
    }
}

impl<const N: usize, const LEN: usize> RouteList for Routes<N, LEN> {
    fn open(&mut self, subscription: Subscription<'_>) -> Option<u8> {
        let text = subscription.filter.as_str().as_bytes();
        let index = match self.position(subscription.filter) {
            // Its subscriber has gone and has come back.
            Some(index) if self.routes.get(index).is_some_and(|route| !route.held) => index,
            Some(_) => return None,
            None => {
                let free = self.routes.iter().position(|route| route.filter_len == 0);
                // One whose end the Server was to be told of, on a session that it lost; what it is still to answer it may grant.
                let lost =
                    |route: &Route<LEN>| !route.held && !route.granted && !matches!(route.request, Request::Asked(_));
                free.or_else(|| self.routes.iter().position(lost))?
            }
        };
        let route = self.routes.get_mut(index)?;
        put(&mut route.filter, text)?;
        route.filter_len = u16::try_from(text.len()).ok()?;
        (route.options, route.request, route.held) = (subscription.options, Request::Wanted, true);
        u8::try_from(index).ok()
    }

    fn close(&mut self, index: u8) {
        if let Some(route) = self.routes.get_mut(usize::from(index)) {
            route.held = false;
            if matches!(route.request, Request::Wanted) && !route.granted {
                route.filter_len = 0;
            }
        }
    }

    fn subscription(&self, index: u8) -> Option<Subscription<'_>> {
        let route = self.routes.get(usize::from(index))?;
        Some(Subscription { filter: route.filter()?, options: route.options })
    }

    fn wanted(&self) -> Option<u8> {
        let wanted = |route: &Route<LEN>| route.held && matches!(route.request, Request::Wanted);
        self.routes.iter().position(wanted).and_then(|index| u8::try_from(index).ok())
    }

    fn request(&self, index: u8) -> Option<Request> {
        self.routes.get(usize::from(index)).map(|route| route.request)
    }

    fn set_request(&mut self, index: u8, request: Request) {
        if let Some(route) = self.routes.get_mut(usize::from(index)) {
            route.request = request;
        }
    }

    fn answer(&mut self, id: PacketIdentifier, answer: Result<ReasonCode, Outcome>) {
        for route in &mut self.routes {
            if matches!(route.request, Request::Asked(asked) if asked == id) {
                route.request = Request::Answered(answer);
            }
        }
    }

    fn matching(&self, topic: TopicName<'_>) -> u32 {
        let mut readers = 0;
        for (index, route) in self.routes.iter().enumerate() {
            if route.held && route.filter().is_some_and(|filter| filter.matches(topic)) {
                readers |= bit(index as u8);
            }
        }
        readers
    }

    fn is_lost(&self, index: u8) -> bool {
        self.routes.get(usize::from(index)).is_some_and(|route| {
            route.granted && matches!(route.renewal, Renewal::Refused(_))
                || match route.request {
                    Request::Answered(Ok(reason)) => reason.is_failure(),
                    Request::Answered(Err(_)) => true,
                    Request::Wanted | Request::Asked(_) => false,
                }
        })
    }
}

impl<const N: usize, const LEN: usize> SubscriptionList for Routes<N, LEN> {
    /// Places; those that are free, or not granted yet, are nothing to renew.
    fn len(&self) -> usize {
        N
    }

    /// Each has taken its place before it is asked for.
    fn has_room(&self, _: usize, longest: usize) -> bool {
        longest <= LEN
    }

    fn get(&self, index: usize) -> Option<(Subscription<'_>, Option<u32>)> {
        let route = self.routes.get(index).filter(|route| route.granted)?;
        Some((Subscription { filter: route.filter()?, options: route.options }, route.identifier))
    }

    fn renewal(&self, index: usize) -> Option<Renewal> {
        self.routes.get(index).filter(|route| route.granted).map(|route| route.renewal)
    }

    fn set_renewal(&mut self, index: usize, renewal: Renewal) {
        if let Some(route) = self.routes.get_mut(index) {
            route.renewal = renewal;
        }
    }

    fn insert(&mut self, subscription: Subscription<'_>, identifier: Option<u32>) -> bool {
        let index = self.position(subscription.filter);
        let Some(route) = index.and_then(|index| self.routes.get_mut(index)) else { return false };
        route.options = subscription.options;
        route.identifier = identifier;
        route.granted = true;
        route.renewal = Renewal::Granted;
        true
    }

    fn remove(&mut self, filter: TopicFilter<'_>) {
        let index = self.position(filter);
        if let Some(route) = index.and_then(|index| self.routes.get_mut(index)) {
            route.granted = false;
            if !route.held {
                route.filter_len = 0;
            }
        }
    }
}

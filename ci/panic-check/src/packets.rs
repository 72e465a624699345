//! Every packet, in both directions, and the records of durable sessions.

use mqtt_core::*;

use any::{call, compared, derived, walk};

pub(crate) fn call_all() {
    packets();
    parts();
    records();
}

fn packets() {
    derived::<Sender>();
    derived::<PacketType>();
    call(PacketType::from_first_byte);
    call(PacketType::is_sent_by);

    derived::<Packet<'_>>();
    call(Packet::decode);
    call(Packet::packet_type);
    call(Packet::encoded_len);
    call(Packet::encode);
    call(Packet::encode_within);

    derived::<Connect<'_>>();
    call(Connect::encoded_len);
    call(Connect::encode);
    derived::<Connack<'_>>();
    call(Connack::encoded_len);
    call(Connack::encode);
    derived::<Publish<'_>>();
    call(Publish::encoded_len);
    call(Publish::encode);
    derived::<AckKind>();
    call(AckKind::packet_type);
    derived::<Ack<'_>>();
    call(Ack::new);
    call(Ack::encoded_len);
    call(Ack::encode);
    derived::<Subscribe<'_>>();
    call(Subscribe::encoded_len);
    call(Subscribe::encode);
    derived::<Suback<'_>>();
    call(Suback::encoded_len);
    call(Suback::encode);
    derived::<Unsubscribe<'_>>();
    call(Unsubscribe::encoded_len);
    call(Unsubscribe::encode);
    derived::<Unsuback<'_>>();
    call(Unsuback::encoded_len);
    call(Unsuback::encode);
    derived::<Disconnect<'_>>();
    call(Disconnect::encoded_len);
    call(Disconnect::encode);
    derived::<Auth<'_>>();
    call(Auth::encoded_len);
    call(Auth::encode);
}

fn parts() {
    derived::<Will<'_>>();
    derived::<Delivery>();
    call(Delivery::qos);
    call(Delivery::packet_identifier);
    call(Delivery::dup);
    derived::<RetainHandling>();
    call(RetainHandling::default);
    derived::<SubscriptionOptions>();
    call(SubscriptionOptions::new);
    call(SubscriptionOptions::default);
    derived::<Subscription<'_>>();
    call(Subscription::new);
    derived::<Subscriptions<'_>>();
    call(Subscriptions::new);
    call(Subscriptions::len);
    call(Subscriptions::is_empty);
    call(|subscriptions: Subscriptions<'_>| walk(Subscriptions::iter(subscriptions)));
    derived::<TopicFilters<'_>>();
    call(TopicFilters::new);
    call(TopicFilters::len);
    call(TopicFilters::is_empty);
    call(|filters: TopicFilters<'_>| walk(TopicFilters::iter(filters)));
}

fn records() {
    call(Record::encoded_len);
    call(Record::encode);
    call(Record::decode);
    compared::<Record<'_>>();
    compared::<RecordedMessage<'_>>();
    derived::<RecordTicket>();
    call(RecordTicket::number);
}

//! All codecs mean the same by the same bytes; else their times could not be compared.

use crate::codec::{Codec, Gist};
use crate::packets::{AckKind, Packet};
use crate::rows::Row;

/// Checks that `C` writes the row's very bytes, and reads from them what the row's packets say.
///
/// # Panics
/// Where it does not.
pub fn check<C: Codec>(row: &Row) {
    let prepared: Vec<_> = row.packets.iter().map(C::prepare).collect();
    let mut output = C::output(row.wire.len());
    // Twice: the second time replaces the first.
    C::encode(&prepared, &mut output);
    C::encode(&prepared, &mut output);
    assert!(output.as_ref() == row.wire, "{} encodes differently: {}", C::NAME, row.name);

    let mut decoded = Vec::new();
    C::decode(&mut C::input(&row.wire), |packet| decoded.push(C::gist(packet)));
    assert_eq!(decoded.len(), row.packets.len(), "{}: {}", C::NAME, row.name);
    for (packet, decoded) in row.packets.iter().zip(decoded) {
        assert!(decoded == gist(packet), "{} decodes differently: {}", C::NAME, row.name);
    }
}

fn gist(packet: &Packet) -> Gist {
    match packet {
        Packet::Connect(connect) => Gist {
            packet_type: 1,
            topic: connect.will.topic.clone().into(),
            payload: connect.will.payload.to_vec(),
            user_property: connect.user_property.1.clone().into(),
            ..Gist::default()
        },
        Packet::Publish(publish) => Gist {
            packet_type: 3,
            packet_identifier: publish.delivery.packet_identifier(),
            topic: publish.topic.clone().into(),
            payload: publish.payload.to_vec(),
            user_property: publish.properties.clone().map_or_else(Vec::new, |it| it.user_property.1.into()),
        },
        Packet::Ack(ack) => Gist {
            packet_type: match ack.kind {
                AckKind::Puback => 4,
                AckKind::Pubrec => 5,
                AckKind::Pubrel => 6,
                AckKind::Pubcomp => 7,
            },
            packet_identifier: ack.packet_identifier,
            ..Gist::default()
        },
        Packet::Subscribe(subscribe) => Gist {
            packet_type: 8,
            packet_identifier: subscribe.packet_identifier,
            topic: subscribe.topic_filters[0].clone().into(),
            ..Gist::default()
        },
        Packet::Suback(suback) => {
            Gist { packet_type: 9, packet_identifier: suback.packet_identifier, ..Gist::default() }
        }
        Packet::Pingreq => Gist { packet_type: 12, ..Gist::default() },
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::ours::{self, Ours};
    use crate::rivals::mqtt_protocol_core::{Framed, Stream};
    use crate::rivals::{mqtt_protocol_core, mqttbytes, rumqttc};
    use crate::rows;

    #[test]
    fn all_codecs_agree_on_every_row() {
        for row in rows::v5() {
            check::<Ours<ours::V5>>(&row);
            check::<mqttbytes::V5>(&row);
            check::<Stream<mqtt_protocol_core::V5>>(&row);
            check::<Framed<mqtt_protocol_core::V5>>(&row);
            check::<rumqttc::V5>(&row);
        }
        for row in rows::v3_1_1() {
            check::<Ours<ours::V3>>(&row);
            check::<mqttbytes::V3>(&row);
            check::<Stream<mqtt_protocol_core::V3>>(&row);
            check::<Framed<mqtt_protocol_core::V3>>(&row);
            check::<rumqttc::V3>(&row);
        }
    }
}

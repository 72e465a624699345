"""How the statements that `ci/statements` draws are broken: what, texts of the core with what stands there instead, and each test
that fails with a part of what it says."""

# What breaks more than one of them.
PUBLISH_GOES_AGAIN = [
    ("session/outgoing.rs", "        self.storage.release(id);\n        let record = self.pend(PendingRecord::PubrecReceived(id));", "        let record = self.pend(PendingRecord::PubrecReceived(id));"),
    (
        "session/outgoing.rs",
        "        let queues = &mut self.queues;\n        for (sent, waiting) in [",
        """        let queues = &mut self.queues;
        for list in [&mut queues.pubrels, &mut queues.sent_pubrels] {
            while let Some(id) = list.pop_front(table) {
                if let Some(exchange) = table.get_mut(id) {
                    (exchange.stage, exchange.sent) = (Stage::Publish(QoS::ExactlyOnce), true);
                }
                queues.publishes.push_back(table, id);
            }
        }
        for (sent, waiting) in [""",
    ),
]
SUBACK_ANSWERS_THE_OLDEST = [("connection/receive.rs", "let (id, codes) = (suback.packet_identifier, suback.reason_codes);", "let (id, codes) = (session.unanswered()[1].unwrap_or(suback.packet_identifier), suback.reason_codes);")]
USER_NAME_READ_WITHOUT_FLAG = [("packet/connect.rs", "let user_name = if flags & USER_NAME != 0 {", "let user_name = if flags & USER_NAME != 0 || !reader.is_empty() {")]
USER_NAME_WRITTEN_WITHOUT_FLAG = [
    ("packet/connect.rs", "        if let Some(user_name) = self.user_name {\n            measure.string(user_name);\n        }", '        measure.string(self.user_name.unwrap_or(""));'),
    ("packet/connect.rs", "        if let Some(user_name) = self.user_name {\n            writer.binary(user_name.as_bytes());\n        }", '        writer.binary(self.user_name.unwrap_or("").as_bytes());'),
]
ONLY_THE_REASON_STRING = [("property/identifier.rs", "matches!(self, Self::ReasonString | Self::UserProperty)", "matches!(self, Self::ReasonString)")]
TOPIC_NAMES_WITH_WILDCARDS = [("types/topic_name.rs", "if !string::contains(bytes, [0, b'#', b'+']) {", "if !string::contains(bytes, [0; 3]) {")]
SUBSCRIBE_WITHOUT_FLAGS = [("packet/packet_type.rs", "matches!(self, Self::Pubrel | Self::Subscribe | Self::Unsubscribe)", "matches!(self, Self::Pubrel | Self::Unsubscribe)")]
UNSUBSCRIBE_WITHOUT_FLAGS = [("packet/packet_type.rs", "matches!(self, Self::Pubrel | Self::Subscribe | Self::Unsubscribe)", "matches!(self, Self::Pubrel | Self::Subscribe)")]
ONE_ABOVE_THE_QUOTA = [("connection/transmit.rs", "session.queues.unacknowledged >= quota", "session.queues.unacknowledged > quota")]

BREACHES = {
    ("v5", "MQTT-4.3.3-6"): [
        (
            "after a reconnect PUBLISH goes again though PUBREC was here",
            PUBLISH_GOES_AGAIN,
            {"machine reconnect::after_pubrec_only_pubrel_is_sent_again": "PUBLISH #3 q2 dup t a"},
        ),
    ],
    ("v5", "MQTT-2.2.1-3"): [
        (
            "identifiers go round without a look at those in use",
            [("session/outgoing.rs", "self.storage.outgoing().vacant_after(self.last_identifier.unwrap_or(PacketIdentifier::MAX))", "Some(self.last_identifier.unwrap_or(PacketIdentifier::MAX).next())")],
            {
                "machine identifiers::all_65_535_are_used_once_over_all_kinds_and_then_it_is_full": "left: 65534\n right: 65535",
                "machine identifiers::they_rise_and_wrap_around_past_those_in_use": "1 is in use",
            },
        ),
        (
            "the identifier is the number of exchanges",
            [("session/outgoing.rs", "self.storage.outgoing().vacant_after(self.last_identifier.unwrap_or(PacketIdentifier::MAX))", "PacketIdentifier::new(self.storage.outgoing().len().wrapping_add(1))")],
            {"machine publish_out::acknowledgements_out_of_order_neither_stall_nor_reuse_an_identifier": "is in flight"},
        ),
    ],
    ("v3", "MQTT-4.6.0-2"): [
        (
            "the first PUBACK that is ready leaves",
            [
                (
                    "session/incoming.rs",
                    "            let id = list.first()?;\n",
                    """            let mut id = list.first()?;
            let waits = |id| self.storage.incoming().get(id).filter(|arrival| matches!(arrival.stage, Stage::Puback(None)));
            while let Some(next) = waits(id).and_then(|arrival| arrival.link.next()) {
                id = next;
            }
""",
                )
            ],
            {"machine publish_in::acknowledgements_by_hand_leave_in_the_order_of_arrival": "the first ones are not acknowledged"},
        ),
    ],
    ("v3", "MQTT-3.1.2-3"): [
        ("the reserved flag is not looked at", [("packet/connect.rs", "const RESERVED: u8 = 0b0000_0001;", "const RESERVED: u8 = 0;")], {"codec refused::connect_flags": "00000001 V3_1_1"}),
        ("the reserved flag is written", [("packet/connect.rs", "will | if self.clean_start", "1 | will | if self.clean_start")], {"codec written::connect_without_a_will_has_no_will_bits": "left: 193"}),
    ],
    ("v5", "MQTT-4.7.3-3"): [
        ("topic names of any length", [("types/topic_name.rs", "if bytes.len() > string::MAX_LEN {", "if false {")], {"codec text::fields_of_more_than_65535_bytes_are_not_written": "right: Err(TooLong)"}),
        ("topic filters of any length", [("types/topic_filter.rs", "if text.len() > string::MAX_LEN {", "if false {")], {"codec text::fields_of_more_than_65535_bytes_are_not_written": "right: Err(TooLong)"}),
    ],
    ("v3", "MQTT-4.8.0-2"): [
        (
            "a message that has no room for good does not close the connection",
            [("connection/receive.rs", "return Err(if session.makes_room() { ReceiveError::NotReady } else { exceeded });", "return Err(ReceiveError::NotReady);")],
            {"machine publish_in::a_flood_of_3_1_1_is_held_back_while_answers_leave_and_closes_otherwise": "not ready, and nothing to send"},
        ),
    ],
    ("v5", "MQTT-3.3.2-19"): [
        (
            "Content Type is written without its length",
            [("property/value.rs", "            Value::Text(text) => writer.binary(text.as_bytes()),", "            Value::Text(text) if matches!(self, Self::ContentType(_)) => writer.bytes(text.as_bytes()),\n            Value::Text(text) => writer.binary(text.as_bytes()),")],
            {"codec packets::each_sample_is_written_as_its_bytes_and_read_from_them": "assertion `left == right` failed: CONNECT"},
        ),
        (
            "Content Type may be any bytes",
            [
                (
                    "property/value.rs",
                    "            Shape::Text | Shape::TopicName => {\n                reader.string();",
                    "            Shape::Text if matches!(identifier, PropertyIdentifier::ContentType) => {\n                reader.binary();\n                true\n            }\n            Shape::Text | Shape::TopicName => {\n                reader.string();",
                )
            ],
            {"codec text::ill_formed_text_is_refused_everywhere": "Content Type V5_0"},
        ),
    ],
    ("v5", "MQTT-3.2.2-5"): [
        (
            "what was received in the lost session is remembered",
            [("session/mod.rs", "republish_exactly_once: bool) {\n        self.forget_arrivals();\n", "republish_exactly_once: bool) {\n")],
            {"machine reconnect::a_lost_session_gives_each_command_its_outcome_and_sends_nothing_old": "the identifier means a new message"},
        ),
        (
            "what was sent in the lost session goes on",
            [("session/mod.rs", "        self.restart_outgoing(republish_exactly_once);\n        self.expected", "        self.expected")],
            {"machine reconnect::a_lost_session_gives_each_command_its_outcome_and_sends_nothing_old": "PUBLISH #1 q1 dup t a"},
        ),
    ],
    ("v5", "MQTT-4.9.0-2"): [
        (
            "one more is sent than the quota",
            ONE_ABOVE_THE_QUOTA,
            {"machine publish_out::receive_maximum_of_one_is_held_until_pubcomp_and_delays_nothing_but_publish": '["PUBLISH #1 q2 t a", "PUBLISH #2 q2 t b"]'},
        ),
    ],
    ("v3", "MQTT-4.6.0-4"): [
        (
            "the latest PUBREL leaves first",
            [
                (
                    "session/outgoing.rs",
                    "        self.queues.pubrels.push_back(self.storage.outgoing_mut(), id);\n        self.queues.pubrel_count",
                    """        let mut rest = core::mem::replace(&mut self.queues.pubrels, List::NEW);
        self.queues.pubrels.push_back(self.storage.outgoing_mut(), id);
        rest.prepend(self.storage.outgoing_mut(), &mut self.queues.pubrels);
        self.queues.pubrels = if rest.is_empty() { self.queues.pubrels } else { rest };
        self.queues.pubrel_count""",
                )
            ],
            {"machine publish_out::pubrels_leave_in_the_order_of_their_pubrecs": 'left: ["PUBREL #2", "PUBREL #1", "PUBREL #3"]'},
        ),
    ],
    ("v5", "MQTT-4.12.0-3"): [
        (
            "a challenge is answered with Re-authenticate",
            [("connection/handshake.rs", "self.write_auth(ReasonCode::CONTINUE_AUTHENTICATION, properties, out)?", "self.write_auth(ReasonCode::RE_AUTHENTICATE, properties, out)?")],
            {"machine authentication::a_challenge_before_connack_is_answered_with_0x18": "AUTH 0x19"},
        ),
    ],
    ("v5", "MQTT-3.10.3-2"): [
        (
            "UNSUBSCRIBE without a filter is read",
            [("packet/unsubscribe.rs", "        if reader.is_empty() {\n            return Err(DecodeError::EmptyPayload);\n        }\n", "")],
            {"codec refused::lists_without_an_entry": "UNSUBSCRIBE"},
        ),
        (
            "UNSUBSCRIBE without a filter is written",
            [("packet/unsubscribe.rs", "        measure.check(!self.is_empty(), EncodeError::EmptyPayload);\n", "")],
            {"codec written::lists_without_an_entry_are_not_written": "right: Some(EmptyPayload)", "machine subscribe::a_request_needs_a_filter": "right: Err(Encode(EmptyPayload))"},
        ),
    ],
    ("v3", "MQTT-2.3.1-7"): [
        (
            "SUBACK answers the oldest request",
            SUBACK_ANSWERS_THE_OLDEST,
            {"machine subscribe::suback_completes_its_request_with_a_code_for_each_filter": "error Protocol(ReasonCodeCount)"},
        ),
        (
            "UNSUBACK answers the oldest request",
            [("connection/receive.rs", "let (packet_identifier, codes) = (unsuback.packet_identifier, unsuback.reason_codes);", "let (packet_identifier, codes) = (session.unanswered()[1].unwrap_or(unsuback.packet_identifier), unsuback.reason_codes);")],
            {"machine subscribe::unsuback_completes_its_request": 'left: ["Unsubscribed #2"]'},
        ),
    ],
    ("v3", "MQTT-4.1.0-1"): [
        (
            "what was sent ends with the connection",
            [("session/mod.rs", "        self.requeue_sent();\n        self.forget_acknowledgements();", "        self.end_all();\n        self.forget_acknowledgements();")],
            {"machine reconnect::a_resumed_session_sends_again_what_was_not_acknowledged_in_its_order": "left: []"},
        ),
        (
            "what was received ends with the connection",
            [("session/mod.rs", "        if other || clean {\n            self.forget_arrivals();", "        if true {\n            self.forget_arrivals();")],
            {"machine publish_in::deferring_at_qos_2_defers_pubrec_and_nothing_is_handed_over_twice": "also on the next connection"},
        ),
    ],
    ("v5", "MQTT-4.5.0-2"): [
        (
            "nothing is acknowledged by itself",
            [("session/incoming.rs", "let ready = acknowledge.then_some(ReasonCode::SUCCESS);", "let ready = None::<ReasonCode>;")],
            {"machine publish_in::a_message_is_answered_by_its_qos": 'right: ["PUBACK #7"]'},
        ),
        (
            "what is skipped is not acknowledged",
            [("connection/receive.rs", "let acknowledge = skipped || self.ours.acknowledge_at_once;", "let acknowledge = self.ours.acknowledge_at_once;")],
            {"machine streaming::without_streaming_a_large_message_is_skipped_acknowledged_and_reported": 'right: ["PUBACK #7"]'},
        ),
    ],
    ("v5", "MQTT-3.14.2-4"): [
        (
            "only the Reason String is left out",
            ONLY_THE_REASON_STRING,
            {"codec within::a_disconnect_keeps_what_matters": "PacketTooLarge", "machine limits::disconnect_leaves_out_its_diagnostics_rather_than_to_be_too_large": "UserProperty"},
        ),
    ],
    ("v5", "MQTT-2.2.2-1"): [
        (
            "a property length of zero is left out",
            [
                ("property/properties.rs", "        measure.add(variable_byte_integer::encoded_len(len));\n        len", "        measure.add(if len == 0 { 0 } else { variable_byte_integer::encoded_len(len) });\n        len"),
                ("property/properties.rs", "        writer.variable_byte_integer(len);\n        if len != 0 {", "        if len != 0 {\n            writer.variable_byte_integer(len);"),
            ],
            {"codec packets::each_sample_is_written_as_its_bytes_and_read_from_them": "failed: CONNECT 5.0"},
        ),
    ],
    ("v5", "MQTT-1.5.4-3"): [
        (
            "a byte-order mark is stripped",
            [("types/string.rs", ".map_err(|_| DecodeError::InvalidUtf8)?;", ".map_err(|_| DecodeError::InvalidUtf8)?;\n    let text = text.strip_prefix('\\u{feff}').unwrap_or(text);")],
            {"codec text::the_byte_order_mark_is_a_character_like_others": "Client Identifier"},
        ),
    ],
    ("v3", "MQTT-3.8.4-5"): [
        (
            "SUBACK may have any number of codes",
            [("connection/receive.rs", "        if filters as usize != codes.len() {\n            return Err(ProtocolError::ReasonCodeCount.into());\n        }\n        if !renewal {", "        if !renewal {")],
            {"machine subscribe::an_answer_to_no_request_or_with_the_wrong_count_closes": "suback too few"},
        ),
    ],
    ("v5", "MQTT-3.1.2-16"): [
        (
            "a User Name is read without its flag",
            USER_NAME_READ_WITHOUT_FLAG,
            {"codec refused::connect_fields_without_their_flag_and_flags_without_their_field": "10000000"},
        ),
        (
            "an empty User Name is written without its flag",
            USER_NAME_WRITTEN_WITHOUT_FLAG,
            {"codec written::empty_user_names_and_passwords_are_not_absent_ones": "04, 70, 75, 6d, 70, 00, 00]"},
        ),
    ],
    # The next twenty.
    ("v5", "MQTT-4.3.3-10"): [
        (
            "what comes again is handed over again",
            [("session/incoming.rs", "self.owe_pubrec(id);\n                    Verdict::Duplicate", "self.owe_pubrec(id);\n                    Verdict::Deliver")],
            {"machine publish_in::a_qos_2_message_that_comes_again_is_answered_each_time_and_delivered_once": 'pair.message_again(2, 7, "a").is_empty()'},
        ),
        (
            "what comes again is not answered",
            [("session/incoming.rs", "                    self.owe_pubrec(id);\n                    Verdict", "                    Verdict")],
            {"machine publish_in::a_qos_2_message_that_comes_again_is_answered_each_time_and_delivered_once": 'right: ["PUBREC #7"]'},
        ),
    ],
    ("v5", "MQTT-3.14.2-1"): [
        (
            "DISCONNECT with any code is read",
            [("codec/reader.rs", "if !reason_code.is_allowed_in(packet_type, sender) {", "if !matches!(packet_type, PacketType::Disconnect) && !reason_code.is_allowed_in(packet_type, sender) {")],
            {"codec reason_codes::each_packet_carries_the_codes_of_its_table_and_no_others": "in DISCONNECT from"},
        ),
    ],
    ("v5", "MQTT-4.12.0-7"): [
        (
            "AUTH is sent without a method in CONNECT",
            [("connection/handshake.rs", "if self.authentication.method.is_none() || self.authentication.check(properties).is_err() {", "if self.authentication.method.is_some() && self.authentication.check(properties).is_err() {")],
            {"machine authentication::without_a_method_there_is_no_auth": 'left: Ok("AUTH 0x19'},
        ),
    ],
    ("v3", "MQTT-3.3.2-2"): [
        (
            "a topic name may have wildcards",
            TOPIC_NAMES_WITH_WILDCARDS,
            {"codec refused::publish_topics": "right: Err(InvalidTopicName)", "codec topics::topic_names": "right: Some(Wildcard)"},
        ),
    ],
    ("v5", "MQTT-4.3.2-2"): [
        (
            "each PUBLISH at QoS 1 has DUP",
            [("connection/transmit.rs", "_ => Delivery::AtLeastOnce { packet_identifier, dup: exchange.sent }", "_ => Delivery::AtLeastOnce { packet_identifier, dup: true }")],
            {"machine publish_out::qos_1_is_held_until_puback": 'left: ["PUBLISH #1 q1 dup t a"]'},
        ),
    ],
    ("v5", "MQTT-3.8.1-1"): [
        (
            "SUBSCRIBE has flags 0000",
            SUBSCRIBE_WITHOUT_FLAGS,
            {"codec packets::each_sample_is_written_as_its_bytes_and_read_from_them": "failed: SUBSCRIBE"},
        ),
    ],
    ("v5", "MQTT-3.14.1-1"): [
        (
            "the flags of DISCONNECT are not looked at",
            [("packet/fixed_header.rs", "} else if first != packet_type.first_byte() {", "} else if first != packet_type.first_byte() && !matches!(packet_type, PacketType::Disconnect) {")],
            {
                "codec refused::flags_that_do_not_belong_to_the_packet_type": "[e1, 02, 00, 01]",
                "machine ending::an_error_is_told_to_a_server_of_5_0_and_closes": '[e1, 00] ["Disconnected',
            },
        ),
    ],
    ("v5", "MQTT-3.4.2-3"): [
        ("only the Reason String is left out", ONLY_THE_REASON_STRING, {"codec within::acks_go_without_their_diagnostics": "PacketTooLarge"}),
    ],
    ("v3", "MQTT-4.3.3-1"): [
        ("after a reconnect PUBLISH goes again though PUBREC was here", PUBLISH_GOES_AGAIN, {"machine reconnect::after_pubrec_only_pubrel_is_sent_again": "PUBLISH #3 q2 dup t a"}),
        (
            "PUBREC ends the exchange",
            [("session/outgoing.rs", "                self.await_pubcomp(id);\n                Step::SendPubrel", "                self.complete(id);\n                Step::Done")],
            {"machine publish_out::qos_2_is_held_until_pubrec_and_its_pubrel_until_pubcomp": "pair.pubrec(1).is_empty()"},
        ),
    ],
    ("v5", "MQTT-3.8.4-2"): [
        (
            "SUBACK answers the oldest request",
            SUBACK_ANSWERS_THE_OLDEST,
            {"machine subscribe::suback_completes_its_request_with_a_code_for_each_filter": "error Protocol(ReasonCodeCount)"},
        ),
    ],
    ("v3", "MQTT-2.2.2-1"): [
        (
            "UNSUBSCRIBE has flags 0000",
            UNSUBSCRIBE_WITHOUT_FLAGS,
            {"codec packets::each_sample_is_written_as_its_bytes_and_read_from_them": "failed: UNSUBSCRIBE 3"},
        ),
    ],
    ("v5", "MQTT-3.4.2-1"): [
        (
            "PUBACK with any code is read",
            [("codec/reader.rs", "if !reason_code.is_allowed_in(packet_type, sender) {", "if !matches!(packet_type, PacketType::Puback) && !reason_code.is_allowed_in(packet_type, sender) {")],
            {"codec reason_codes::each_packet_carries_the_codes_of_its_table_and_no_others": "in PUBACK from"},
        ),
    ],
    ("v3", "MQTT-3.1.3-1"): [
        (
            "the User Name is written before the will",
            [
                ("packet/connect.rs", "        if let Some(user_name) = self.user_name {\n            writer.binary(user_name.as_bytes());\n        }\n", ""),
                ("packet/connect.rs", "        if let Some(will) = self.will {\n            will.properties.write", "        if let Some(user_name) = self.user_name {\n            writer.binary(user_name.as_bytes());\n        }\n        if let Some(will) = self.will {\n            will.properties.write"),
            ],
            {"codec packets::each_sample_is_written_as_its_bytes_and_read_from_them": "failed: CONNECT 3.1.1 with everything"},
        ),
    ],
    ("v5", "MQTT-3.1.2-4"): [
        (
            "a session may be present after Clean Start",
            [("connection/handshake.rs", "connack.session_present && (self.ours.clean_start || v5 && !established)", "connack.session_present && v5 && !established")],
            {"machine reconnect::a_session_present_after_clean_start_closes": 'left: ["Connected present"]'},
        ),
        (
            "what was sent goes on in the new session",
            [("session/mod.rs", "        self.restart_outgoing(republish_exactly_once);\n        self.expected", "        self.expected")],
            {"machine reconnect::clean_start_begins_anew": "pair.sent().is_empty()"},
        ),
    ],
    ("v3", "MQTT-4.8.0-1"): [
        (
            "an error does not close the connection",
            [("connection/mod.rs", "            _ => Phase::Closed,\n        };\n        error", "            _ => self.phase,\n        };\n        error")],
            {
                "machine ending::an_error_is_told_to_a_server_of_5_0_and_closes": "pair.machine.is_closed()",
                "machine handshake::a_packet_before_connack_closes": "pair.machine.is_closed()",
                "machine handshake::a_second_connack_closes": "pair.machine.is_closed()",
            },
        ),
    ],
    ("v3", "MQTT-3.1.2-18"): [
        ("a User Name is read without its flag", USER_NAME_READ_WITHOUT_FLAG, {"codec refused::connect_fields_without_their_flag_and_flags_without_their_field": "10000000 V3_1_1"}),
        ("an empty User Name is written without its flag", USER_NAME_WRITTEN_WITHOUT_FLAG, {"codec written::empty_user_names_and_passwords_are_not_absent_ones": "04, 70, 75, 6d, 70, 00, 00]"}),
    ],
    ("v3", "MQTT-3.1.3-2"): [
        (
            "state is carried over to another Client Identifier",
            [("session/mod.rs", "let other = self.is_other(client_identifier);", "let other = false;")],
            {"machine reconnect::another_client_identifier_takes_over_no_state": "PUBLISH #1 q1 dup t a"},
        ),
    ],
    ("v5", "MQTT-4.3.2-3"): [
        (
            "a PUBLISH at QoS 1 is over once it was sent",
            [("session/outgoing.rs", "        to.push_back(self.storage.outgoing_mut(), id);\n    }", "        to.push_back(self.storage.outgoing_mut(), id);\n        if self.publish_qos(id) == Some(QoS::AtLeastOnce) {\n            self.complete(id);\n        }\n    }")],
            {"machine publish_out::qos_1_is_held_until_puback": "left: 0"},
        ),
    ],
    ("v5", "MQTT-3.1.2-23"): [
        (
            "the session ends with every connection",
            [("connection/handshake.rs", "session.established = self.limits.session_expiry_interval != 0;", "session.established = false;")],
            {
                "machine reconnect::a_resumed_session_sends_again_what_was_not_acknowledged_in_its_order": "SessionPresent",
                "machine reconnect::a_session_that_ended_with_its_connection_is_not_resumed": 'left: "CONNECT c clean"',
            },
        ),
    ],
    ("v5", "MQTT-3.14.0-1"): [
        (
            "DISCONNECT is taken before CONNACK",
            [("connection/receive.rs", "let early = matches!(packet_type, PacketType::Connack | PacketType::Auth);", "let early = matches!(packet_type, PacketType::Connack | PacketType::Auth | PacketType::Disconnect);")],
            {"machine handshake::a_packet_before_connack_closes": "Disconnected 0x89"},
        ),
    ],
    # And twenty more.
    ("v5", "MQTT-3.11.3-1"): [
        (
            "the codes of UNSUBACK are taken from behind",
            [("connection/receive.rs", "if !codes.get(index).is_some_and(ReasonCode::is_failure) {", "if !codes.get(codes.len().wrapping_sub(index + 1)).is_some_and(ReasonCode::is_failure) {")],
            {"machine subscribe::unsuback_completes_its_request": 'left: ["c:0 Granted"]'},
        ),
    ],
    ("v5", "MQTT-3.6.1-1"): [
        (
            "the flags of PUBREL are not looked at",
            [("packet/fixed_header.rs", "} else if first != packet_type.first_byte() {", "} else if first != packet_type.first_byte() && !matches!(packet_type, PacketType::Pubrel) {")],
            {"codec refused::flags_that_do_not_belong_to_the_packet_type": "[60, 02, 00, 01]", "machine ending::an_error_is_told_to_a_server_of_5_0_and_closes": "[60, 02, 00, 01] []"},
        ),
        (
            "PUBREL has flags 0000",
            [("packet/packet_type.rs", "matches!(self, Self::Pubrel | Self::Subscribe | Self::Unsubscribe)", "matches!(self, Self::Subscribe | Self::Unsubscribe)")],
            {"machine publish_out::pubrel_begins_with_0x62": "left: [[96, 2, 0, 1]]"},
        ),
    ],
    ("v3", "MQTT-3.14.4-2"): [
        (
            "what is due leaves behind DISCONNECT",
            [("connection/transmit.rs", "            Phase::Connected => {}\n", "            Phase::Connected | Phase::Closed => {}\n")],
            {"machine ending::after_disconnect_nothing_more_is_sent_and_the_connection_is_closed": "pair.sent().is_empty()"},
        ),
    ],
    ("v3", "MQTT-3.9.3-1"): [
        (
            "the codes of SUBACK begin with the second",
            [("connection/receive.rs", "filters.iter().zip(suback.reason_codes.iter())", "filters.iter().zip(suback.reason_codes.iter().skip(1).chain(suback.reason_codes.iter().take(1)))")],
            {"machine subscribe::suback_completes_its_request_with_a_code_for_each_filter": "b:2 Granted"},
        ),
    ],
    ("v5", "MQTT-4.3.3-2"): [
        (
            "each PUBLISH at QoS 2 has DUP",
            [("connection/transmit.rs", "Delivery::ExactlyOnce { packet_identifier, dup: exchange.sent }", "Delivery::ExactlyOnce { packet_identifier, dup: true }")],
            {"machine publish_out::qos_2_is_held_until_pubrec_and_its_pubrel_until_pubcomp": "PUBLISH #1 q2 dup t a"},
        ),
    ],
    ("v5", "MQTT-3.2.2-14"): [
        (
            "RETAIN is sent to a Server without it",
            [("connection/limits.rs", "if retain && !self.retain_available {", "if false {")],
            {"machine limits::retain_available_is_a_local_error": "right: Err(RetainNotSupported)", "machine reconnect::what_the_new_server_cannot_take_is_refused_by_name": "retain t b"},
        ),
    ],
    ("v3", "MQTT-3.1.2-20"): [
        (
            "a Password is read without its flag",
            [("packet/connect.rs", "let password = if flags & PASSWORD != 0 {", "let password = if flags & PASSWORD != 0 || !reader.is_empty() {")],
            {"codec refused::connect_fields_without_their_flag_and_flags_without_their_field": "10000000 V3_1_1"},
        ),
        (
            "an empty Password is written without its flag",
            [
                ("packet/connect.rs", "        if let Some(password) = self.password {\n            measure.binary(password);\n        }", "        measure.binary(self.password.unwrap_or(&[]));"),
                ("packet/connect.rs", "        if let Some(password) = self.password {\n            writer.binary(password);\n        }", "        writer.binary(self.password.unwrap_or(&[]));"),
            ],
            {"codec written::empty_user_names_and_passwords_are_not_absent_ones": "04, 70, 75, 6d, 70, 00, 00]"},
        ),
    ],
    ("v5", "MQTT-3.1.2-24"): [
        (
            "a packet of any size is taken",
            [("connection/receive.rs", "Some(maximum) if self.version.is_v5() && bytes > maximum as usize => Err(ProtocolError::PacketTooLarge),", "Some(_) if bytes == 0 => Err(ProtocolError::PacketTooLarge),")],
            {"machine limits::a_packet_above_our_maximum_closes_with_0x95": 'left: ["Message q0 t'},
        ),
    ],
    ("v5", "MQTT-3.7.2-2"): [
        (
            "only User Properties are left out",
            [("property/identifier.rs", "matches!(self, Self::ReasonString | Self::UserProperty)", "matches!(self, Self::UserProperty)")],
            {"codec within::acks_go_without_their_diagnostics": "PacketTooLarge"},
        ),
    ],
    ("v3", "MQTT-3.10.1-1"): [
        ("UNSUBSCRIBE has flags 0000", UNSUBSCRIBE_WITHOUT_FLAGS, {"codec packets::each_sample_is_written_as_its_bytes_and_read_from_them": "failed: UNSUBSCRIBE 3"}),
    ],
    ("v5", "MQTT-3.1.3-3"): [
        (
            "an empty Client Identifier is left out",
            [
                ("packet/connect.rs", "        measure.string(self.client_identifier);", "        if !self.client_identifier.is_empty() {\n            measure.string(self.client_identifier);\n        }"),
                ("packet/connect.rs", "        writer.binary(self.client_identifier.as_bytes());", "        if !self.client_identifier.is_empty() {\n            writer.binary(self.client_identifier.as_bytes());\n        }"),
            ],
            {"codec packets::each_sample_is_written_as_its_bytes_and_read_from_them": "failed: CONNECT 5.0 with everything"},
        ),
    ],
    ("v5", "MQTT-2.2.1-4"): [
        (
            "an identifier of 0 is read",
            [("codec/reader.rs", "            self.fail(DecodeError::PacketIdentifierZero);\n", "")],
            {"codec refused::packet_identifiers_of_zero": "PUBLISH, QoS 1"},
        ),
    ],
    ("v5", "MQTT-4.7.0-1"): [
        ("a topic name may have wildcards", TOPIC_NAMES_WITH_WILDCARDS, {"codec refused::publish_topics": "right: Err(InvalidTopicName)", "codec topics::topic_names": "right: Some(Wildcard)"}),
    ],
    ("v5", "MQTT-4.6.0-1"): [
        (
            "what is sent again comes behind what waits",
            [("session/outgoing.rs", "            waiting.prepend(table, sent);\n", "            sent.prepend(table, waiting);\n            core::mem::swap(sent, waiting);\n")],
            {"machine reconnect::the_order_survives_a_second_cut_in_the_middle_of_sending_again": 'right: "abcd"'},
        ),
    ],
    ("v3", "MQTT-3.1.2-14"): [
        (
            "a will of QoS 3 is read as QoS 2",
            [
                ("packet/connect.rs", "    } else if flags & WILL_QOS == WILL_QOS {\n        Err(DecodeError::InvalidQoS)\n", ""),
                ("packet/connect.rs", ".ok_or(DecodeError::InvalidQoS)?", ".unwrap_or(QoS::ExactlyOnce)"),
            ],
            {"codec refused::connect_flags": "00011100 V3_1_1"},
        ),
    ],
    ("v5", "MQTT-4.9.0-1"): [
        (
            "one more is sent than the quota",
            ONE_ABOVE_THE_QUOTA,
            {
                "machine identifiers::the_whole_quota_is_used_and_no_more": "left: 65535\n right: 65534",
                "machine publish_out::receive_maximum_of_one_is_held_until_pubcomp_and_delays_nothing_but_publish": '["PUBLISH #1 q2 t a", "PUBLISH #2 q2 t b"]',
            },
        ),
    ],
    ("v5", "MQTT-4.3.3-5"): [
        (
            "the exchange is over once PUBREL was sent",
            [
                (
                    "session/outgoing.rs",
                    "        to.push_back(self.storage.outgoing_mut(), id);\n    }",
                    "        to.push_back(self.storage.outgoing_mut(), id);\n        if self.exchange(id).is_some_and(|exchange| matches!(exchange.stage, Stage::AwaitPubcomp)) {\n            self.complete(id);\n        }\n    }",
                )
            ],
            {"machine publish_out::qos_2_is_held_until_pubrec_and_its_pubrel_until_pubcomp": "left: 0"},
        ),
    ],
    ("v5", "MQTT-3.8.3-1"): [
        (
            "filters are written without their lengths",
            [("packet/subscribe.rs", "            writer.binary(subscription.filter.as_str().as_bytes());", "            writer.bytes(subscription.filter.as_str().as_bytes());")],
            {"codec packets::each_sample_is_written_as_its_bytes_and_read_from_them": "failed: SUBSCRIBE"},
        ),
    ],
    ("v5", "MQTT-3.1.3-11"): [
        (
            "the Will Topic is written without its length",
            [("packet/connect.rs", "            writer.binary(will.topic.as_str().as_bytes());", "            writer.bytes(will.topic.as_str().as_bytes());")],
            {"codec packets::each_sample_is_written_as_its_bytes_and_read_from_them": "with everything"},
        ),
    ],
    ("v3", "MQTT-3.8.1-1"): [
        ("SUBSCRIBE has flags 0000", SUBSCRIBE_WITHOUT_FLAGS, {"codec packets::each_sample_is_written_as_its_bytes_and_read_from_them": "failed: SUBSCRIBE 3"}),
    ],
}

//! How a property is shown: as its variant, but for Authentication Data, which may be a token; its length says enough.

use core::fmt;

use super::value::{Property, Value};

impl fmt::Debug for Property<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}(", self.identifier())?;
        match (self, self.value()) {
            (Self::AuthenticationData(data), _) => write!(f, "{} bytes", data.len()),
            (_, Value::Byte(value)) => write!(f, "{value}"),
            (_, Value::TwoByte(value)) => write!(f, "{value}"),
            (_, Value::FourByte(value) | Value::Variable(value)) => write!(f, "{value}"),
            (_, Value::Text(text)) => write!(f, "{text:?}"),
            (_, Value::Binary(bytes)) => write!(f, "{bytes:?}"),
            (_, Value::Pair(name, value)) => write!(f, "{name:?}, {value:?}"),
        }?;
        f.write_str(")")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Property<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let identifier = self.identifier();
        match (self, self.value()) {
            (Self::AuthenticationData(data), _) => defmt::write!(f, "{}({} bytes)", identifier, data.len()),
            (_, Value::Byte(value)) => defmt::write!(f, "{}({})", identifier, value),
            (_, Value::TwoByte(value)) => defmt::write!(f, "{}({})", identifier, value),
            (_, Value::FourByte(value) | Value::Variable(value)) => defmt::write!(f, "{}({})", identifier, value),
            (_, Value::Text(text)) => defmt::write!(f, "{}({})", identifier, text),
            (_, Value::Binary(bytes)) => defmt::write!(f, "{}({})", identifier, bytes),
            (_, Value::Pair(name, value)) => defmt::write!(f, "{}({}, {})", identifier, name, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn properties_are_shown_as_what_they_are_and_authentication_data_is_not() {
        for (property, shown) in [
            (Property::PayloadFormatIndicator(1), "PayloadFormatIndicator(1)"),
            (Property::ReceiveMaximum(7), "ReceiveMaximum(7)"),
            (Property::SubscriptionIdentifier(8), "SubscriptionIdentifier(8)"),
            (Property::ReasonString("no\n"), "ReasonString(\"no\\n\")"),
            (Property::CorrelationData(&[1, 2]), "CorrelationData([1, 2])"),
            (Property::UserProperty("a", "b"), "UserProperty(\"a\", \"b\")"),
            (Property::AuthenticationData(b"token"), "AuthenticationData(5 bytes)"),
        ] {
            assert_eq!(format!("{property:?}"), shown);
        }
    }
}

//! Properties, MQTT 5.0 §2.2.2: one table of what may stand where, checked once, read lazily.

mod identifier;
mod properties;
mod shown;
mod value;

pub use identifier::PropertyIdentifier;
pub(crate) use identifier::Scope;
pub use properties::{Properties, PropertiesIter};
pub use value::Property;
pub(crate) use value::Raw;

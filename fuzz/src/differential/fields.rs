//! What a packet says, in the words of neither codec.

/// The fields of a packet, in their order. Where one is not there, it is left out.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Fields(Vec<Field>);

#[derive(Debug, PartialEq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) value: Value,
}

#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Number(u32),
    Text(String),
    Binary(Vec<u8>),
    /// A property follows: its identifier.
    Property(u8),
}

impl Fields {
    pub(super) fn number(&mut self, name: &'static str, number: impl Into<u32>) {
        self.0.push(Field { name, value: Value::Number(number.into()) });
    }

    pub(super) fn text(&mut self, name: &'static str, text: &str) {
        self.0.push(Field { name, value: Value::Text(text.to_owned()) });
    }

    pub(super) fn binary(&mut self, name: &'static str, bytes: &[u8]) {
        self.0.push(Field { name, value: Value::Binary(bytes.to_owned()) });
    }

    pub(super) fn property(&mut self, name: &'static str, identifier: u8) {
        self.0.push(Field { name, value: Value::Property(identifier) });
    }

    /// The number in the first field of this name.
    pub(super) fn number_of(&self, name: &str) -> Option<u32> {
        self.numbers_of(name).next()
    }

    /// Every number of this name.
    pub(super) fn numbers_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = u32> + 'a {
        self.0.iter().filter(move |field| field.name == name).filter_map(|field| match field.value {
            Value::Number(number) => Some(number),
            _ => None,
        })
    }

    /// Every text of this name.
    pub(super) fn texts_of(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.texts().filter(move |(found, _)| *found == name).map(|(_, text)| text)
    }

    /// Every text, behind the name of its field.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().filter_map(|field| match &field.value {
            Value::Text(text) => Some((field.name, text.as_str())),
            _ => None,
        })
    }

    /// How often a property stands in the block of this name.
    pub(super) fn properties_of(&self, name: &str, identifier: u8) -> usize {
        self.0.iter().filter(|field| field.name == name && field.value == Value::Property(identifier)).count()
    }
}

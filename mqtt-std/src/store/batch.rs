//! Records on their way to a store, encoded one behind the other.

use mqtt_core::{EncodeError, Record};

/// Encoded records, in their order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Batch {
    /// The length of each record in 4 bytes, little end first, then the record.
    bytes: Vec<u8>,
    len: usize,
}

impl Batch {
    /// Without records.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), len: 0 }
    }

    /// Appends a record.
    ///
    /// # Errors
    /// The record cannot be encoded; nothing has changed then.
    pub fn push(&mut self, record: &Record<'_>) -> Result<(), EncodeError> {
        let len = record.encoded_len()?;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
        let body = self.bytes.len();
        self.bytes.resize(body.saturating_add(len), 0);
        if let Err(error) = record.encode(self.bytes.get_mut(body..).unwrap_or(&mut [])) {
            self.bytes.truncate(start);
            return Err(error);
        }
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    /// Appends a record that is encoded.
    pub(crate) fn push_encoded(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(&u32::try_from(record.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.bytes.extend_from_slice(record);
        self.len = self.len.saturating_add(1);
    }

    /// The encoded records, each for [`Record::decode`].
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        records(&self.bytes).map(|(_, record)| record)
    }

    /// How many records there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of it, as [`records`] reads it.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes all records out; keeps the memory, unless it is large.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.len = 0;
    }
}

/// A buffer that is idle keeps at most so many bytes.
pub(crate) const KEPT: usize = 64 * 1024;

/// What [`Batch::as_bytes`] holds: each record, and how far from the start it is. Ends early where the bytes do.
pub(crate) fn records(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        let (len, behind) = rest.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        let (record, behind) = behind.split_at_checked(len)?;
        let at = bytes.len().checked_sub(behind.len())?.checked_sub(len)?;
        rest = behind;
        Some((at, record))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mqtt_core::DeliveryNumber;

    #[test]
    fn what_was_pushed_is_read_in_order() {
        let mut batch = Batch::new();
        assert!(batch.is_empty());
        let records: Vec<_> = (1..4).map(|number| Record::Confirmed { delivery: DeliveryNumber(number) }).collect();
        for record in &records {
            batch.push(record).unwrap();
        }
        let read: Vec<_> = batch.iter().map(|bytes| Record::decode(bytes).unwrap()).collect();
        assert_eq!(read, records);
        assert_eq!(batch.len(), 3);
        let mut copy = Batch::new();
        batch.iter().for_each(|record| copy.push_encoded(record));
        assert_eq!(copy, batch);
        batch.clear();
        assert!(batch.is_empty() && batch.iter().next().is_none());
    }
}

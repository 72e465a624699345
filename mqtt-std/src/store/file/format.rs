//! How a log is laid out.
//!
//! ```text
//! header:  "MQTTLOG" version:1   salt:4   length:2 Client Identifier   checksum:4
//! group:   salt:4   length:4   checksum:4   records, each length:4 and what the core encoded
//! ```
//! Numbers have their little end first; a checksum is the CRC-32 of what the length counts, in the header of all before it. A
//! group is what was appended at once: it is whole, or it was never there. The salt is random for each file, so that no payload
//! can look like a group.

use super::super::StoreError;
use super::super::batch::Batch;

/// Bytes before the records of a group.
pub(super) const GROUP_HEAD: usize = 12;

/// Bytes of a header before the Client Identifier.
const HEADER_HEAD: usize = 14;

const MAGIC: &[u8; 8] = b"MQTTLOG\x01";

/// The longest header there is.
pub(super) const LONGEST_HEADER: usize = HEADER_HEAD + u16::MAX as usize + 4;

/// The beginning of a log.
pub(super) fn header(salt: u32, client_identifier: &str) -> Vec<u8> {
    // The machine takes no longer one.
    let identifier = client_identifier.as_bytes();
    let length = u16::try_from(identifier.len()).unwrap_or(u16::MAX);
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&salt.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(identifier);
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// Salt, Client Identifier and length of the header that these bytes begin with.
pub(super) fn read_header(bytes: &[u8]) -> Result<(u32, String, u64), StoreError> {
    let read = || {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (salt, rest) = rest.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let identifier = rest.get(..usize::from(u16::from_le_bytes(*length)))?;
        let end = HEADER_HEAD.checked_add(identifier.len())?;
        let (before, behind) = bytes.split_at_checked(end)?;
        let (checksum, _) = behind.split_first_chunk::<4>()?;
        let whole = magic == MAGIC && crc32fast::hash(before) == u32::from_le_bytes(*checksum);
        let identifier = core::str::from_utf8(identifier).ok().filter(|_| whole)?;
        Some((u32::from_le_bytes(*salt), identifier.to_owned(), end as u64 + 4))
    };
    // The header was durable before the file got its name.
    read().ok_or(if bytes.starts_with(MAGIC) { StoreError::Corrupt { at: 0 } } else { StoreError::Format })
}

/// Writes a group with these records to `out`, in the place of what is there.
pub(super) fn write_group(salt: u32, records: &Batch, out: &mut Vec<u8>) -> Result<(), StoreError> {
    let records = records.as_bytes();
    let length = u32::try_from(records.len()).map_err(|_| StoreError::Full)?;
    out.clear();
    out.extend_from_slice(&salt.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(records).to_le_bytes());
    out.extend_from_slice(records);
    Ok(())
}

/// The length of the records and their checksum, where these bytes may begin a group.
pub(super) fn read_group_head(salt: u32, head: &[u8; GROUP_HEAD]) -> Option<(u32, u32)> {
    let (found, rest) = head.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (checksum, _) = rest.split_first_chunk::<4>()?;
    (u32::from_le_bytes(*found) == salt).then(|| (u32::from_le_bytes(*length), u32::from_le_bytes(*checksum)))
}

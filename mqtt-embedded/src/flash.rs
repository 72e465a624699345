//! A session on NOR flash, through `sequential-storage`.
//!
//! Each exchange has a place of its own, a key of the map, and what happens to it is one write: power may be lost before it or
//! behind it, and nothing is between. A place is used again when its exchange is over, so that the flash holds at most `3 + OUT +
//! 2 * IN` items, and wear is spread over all pages.
//!
//! | key | value |
//! | --- | --- |
//! | 0, 1 | the first session that began, and the latest |
//! | 2 | the highest delivery number of a message that is over |
//! | `0x100` + place | an outgoing message, then its PUBREC, then nothing |
//! | `0x200` + place | a received message, then nothing |
//! | `0x300` + place | that it was released, or confirmed; once it is both, it is over |
//!
//! A value begins with a number that rises with each write, so that the order of records is known. A write costs the record's bytes,
//! number and key, and the item's own head, rounded up to the flash's word. A message takes two writes at QoS 1, at QoS 2 three on
//! its way out and four on its way in.
//!
//! Each item has a checksum. One whose bytes are not those that were written counts as not there, so what its place said before holds
//! again: a message that was over may come again, with its delivery number. What is over stays in the flash, topics and payloads too,
//! until its page is erased; user name and password are in no record.
//!
//! Bytes that are written for a message whose topic has 12 bytes, on flash with words of 4, as
//! `cargo test -p mqtt-embedded --test client wear -- --nocapture` prints them:
//!
//! | | 16 bytes of payload | 256 bytes |
//! | --- | ---: | ---: |
//! | QoS 1, out | 69 | 310 |
//! | QoS 1, in | 0 | 0 |
//! | QoS 2, out | 89 | 330 |
//! | QoS 2, in | 125 | 365 |
//!
//! Pages are erased in turn, each when it is full, so all wear alike and twice the pages last twice as long: four of 4 KiB that
//! bear 100,000 erasures take 5 million messages of 256 bytes at QoS 1. Where a Server is not to decide how many there are:
//! [`Paced`](crate::Paced). What waits for long is copied on once in a round: three
//! messages of 64 bytes add 2 bytes to each of those that pass by. Connecting again to a session that the Server has kept writes nothing.

use core::fmt;
use core::ops::Range;

use embedded_storage_async::nor_flash::NorFlash;
use mqtt_core::{DeliveryNumber, PacketIdentifier, Record, put};
use sequential_storage::cache::{Cache, Uncached};
use sequential_storage::map::{MapConfig, MapStorage};

use crate::store::Store;

type Map<F> = MapStorage<u16, F, Cache<Uncached, Uncached, Uncached, u16>>;

/// Keeps a session in `OUT` outgoing messages, as many as [`Sizes`](crate::Sizes) has or more, and `IN` received ones, twice as many as it
/// has or more: the Server's exchange may be over before the application is done, or behind it. Records have at most
/// `RECORD` bytes: topic, properties, payload and about 32.
pub struct FlashStore<F: NorFlash, const OUT: usize, const IN: usize, const RECORD: usize> {
    map: Map<F>,
    buffer: [u8; RECORD],
    number: u32,
    started: bool,
    outgoing: [Option<PacketIdentifier>; OUT],
    received: [Option<Received>; IN],
    /// The highest delivery number that is in the flash for itself.
    last_delivery: DeliveryNumber,
}

impl<F: NorFlash, const OUT: usize, const IN: usize, const RECORD: usize> fmt::Debug
    for FlashStore<F, OUT, IN, RECORD>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlashStore").field("number", &self.number).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug)]
struct Received {
    delivery: DeliveryNumber,
    /// Until it is released.
    packet_identifier: Option<PacketIdentifier>,
    confirmed: bool,
}

impl Received {
    const fn is_over(&self) -> bool {
        self.confirmed && self.packet_identifier.is_none()
    }
}

/// Why a record is not in the flash.
#[derive(Debug)]
#[non_exhaustive]
pub enum FlashError<E> {
    /// The flash failed.
    Flash(sequential_storage::Error<E>),
    /// The record is larger than the buffer, or all places are taken.
    TooLarge,
    /// What is in the flash cannot be understood.
    Corrupt,
}

impl<E> From<sequential_storage::Error<E>> for FlashError<E> {
    fn from(error: sequential_storage::Error<E>) -> Self {
        Self::Flash(error)
    }
}

const FIRST: u16 = 0;
const LATEST: u16 = 1;
const DELIVERY: u16 = 2;
const OUTGOING: u16 = 0x100;
const RECEIVED: u16 = 0x200;
const MARK: u16 = 0x300;

/// Between one kind of keys and the next.
const PLACES: usize = 0x100;

/// A number is in front of each record.
const NUMBER: usize = size_of::<u32>();

impl<F: NorFlash, const OUT: usize, const IN: usize, const RECORD: usize> FlashStore<F, OUT, IN, RECORD> {
    /// A store in this part of the flash: at least two pages, and all items must fit into one page less than there are.
    ///
    /// `None`: the range is no such part, or `OUT` or `IN` is more than 256.
    #[must_use]
    pub fn new(flash: F, range: Range<u32>) -> Option<Self> {
        if OUT > PLACES || IN > PLACES {
            return None;
        }
        Some(Self {
            map: Map::new(flash, MapConfig::try_new(range).ok()?, Cache::new_uncached()),
            buffer: [0; RECORD],
            number: 0,
            started: false,
            outgoing: [None; OUT],
            received: [None; IN],
            last_delivery: DeliveryNumber(0),
        })
    }

    /// Writes a record, or that there is none any more (an empty one), at a key.
    async fn write(&mut self, key: u16, record: &[u8]) -> Result<(), FlashError<F::Error>> {
        let number = self.number.checked_add(1).ok_or(FlashError::TooLarge)?;
        let mut value = [0; RECORD];
        let len = NUMBER.saturating_add(record.len());
        put(&mut value, &number.to_le_bytes()).and_then(|rest| put(rest, record)).ok_or(FlashError::TooLarge)?;
        let value = value.get(..len).ok_or(FlashError::TooLarge)?;
        self.map.store_item(&mut self.buffer, &key, &value).await?;
        self.number = number;
        Ok(())
    }

    /// Finds a record and its number.
    async fn read(&mut self, key: u16) -> Result<Option<(u32, &[u8])>, FlashError<F::Error>> {
        let Some(value) = self.map.fetch_item::<&[u8]>(&mut self.buffer, &key).await? else { return Ok(None) };
        let (number, record) = value.split_first_chunk::<NUMBER>().ok_or(FlashError::Corrupt)?;
        Ok(Some((u32::from_le_bytes(*number), record)))
    }

    /// The keys that there can be.
    fn keys() -> impl Iterator<Item = u16> {
        let outgoing = (OUTGOING..).take(OUT);
        let received = (RECEIVED..).take(IN).chain((MARK..).take(IN));
        [FIRST, LATEST, DELIVERY].into_iter().chain(outgoing).chain(received)
    }

    /// The place of an outgoing message; or else a free one.
    fn outgoing_place(&self, id: PacketIdentifier) -> Option<usize> {
        let known = self.outgoing.iter().position(|place| *place == Some(id));
        known.or_else(|| self.outgoing.iter().position(Option::is_none))
    }

    fn received_place(&self, wanted: impl Fn(&Received) -> bool) -> Option<usize> {
        self.received.iter().position(|place| place.as_ref().is_some_and(&wanted))
    }

    /// A received message was released or confirmed; once it is both, it is over.
    async fn mark(&mut self, index: usize, confirmed: bool, record: &[u8]) -> Result<(), FlashError<F::Error>> {
        let Some(before) = self.received.get(index).copied().flatten() else { return Ok(()) };
        let packet_identifier = before.packet_identifier.filter(|_| confirmed);
        let marked = Received { packet_identifier, confirmed: before.confirmed || confirmed, ..before };
        if marked.is_over() {
            return self.free(index, before.delivery).await;
        }
        self.write(MARK + index as u16, record).await?;
        if let Some(place) = self.received.get_mut(index) {
            *place = Some(marked);
        }
        Ok(())
    }

    /// A received message is over. Numbers go on behind the highest.
    async fn free(&mut self, index: usize, delivery: DeliveryNumber) -> Result<(), FlashError<F::Error>> {
        if delivery > self.last_delivery {
            let mut bytes = [0; 16];
            let len = Record::Confirmed { delivery }.encode(&mut bytes).map_err(|_| FlashError::TooLarge)?;
            self.write(DELIVERY, bytes.get(..len).unwrap_or_default()).await?;
            self.last_delivery = delivery;
        }
        self.write(RECEIVED + index as u16, &[]).await?;
        if let Some(place) = self.received.get_mut(index) {
            *place = None;
        }
        Ok(())
    }

    /// Identifiers of received messages mean nothing any more, or this one means another message from here on.
    async fn release(&mut self, which: impl Fn(&Received) -> bool) -> Result<(), FlashError<F::Error>> {
        for index in 0..IN {
            let Some(received) = self.received.get_mut(index).and_then(Option::as_mut) else { continue };
            if which(received) {
                received.packet_identifier = None;
                if received.confirmed {
                    let delivery = received.delivery;
                    self.free(index, delivery).await?;
                }
            }
        }
        Ok(())
    }

    /// Takes note of a record that was loaded; `false`: it belongs to what is over.
    fn note(&mut self, key: u16, record: &Record<'_>) -> bool {
        let index = usize::from(key & 0xFF);
        match *record {
            Record::SessionStarted { after, .. } => {
                self.started = true;
                for received in self.received.iter_mut().flatten().filter(|received| received.delivery <= after) {
                    received.packet_identifier = None;
                }
            }
            Record::Published { packet_identifier, .. } | Record::PubrecReceived { packet_identifier } => {
                if let Some(place) = self.outgoing.get_mut(index) {
                    *place = Some(packet_identifier);
                }
            }
            Record::Received { delivery, packet_identifier, .. } => {
                for received in self.received.iter_mut().flatten() {
                    if received.packet_identifier == Some(packet_identifier) {
                        received.packet_identifier = None;
                    }
                }
                if let Some(place) = self.received.get_mut(index) {
                    *place = Some(Received { delivery, packet_identifier: Some(packet_identifier), confirmed: false });
                }
            }
            Record::Released { packet_identifier } => {
                let Some(place) = self.received.get_mut(index).and_then(Option::as_mut) else { return false };
                if place.packet_identifier != Some(packet_identifier) {
                    return false;
                }
                place.packet_identifier = None;
            }
            Record::Confirmed { delivery } if key == DELIVERY => {
                self.last_delivery = delivery;
                for received in self.received.iter_mut().flatten() {
                    received.confirmed |= received.delivery == delivery;
                }
            }
            Record::Confirmed { delivery } => {
                let Some(place) = self.received.get_mut(index).and_then(Option::as_mut) else { return false };
                if place.delivery != delivery {
                    return false;
                }
                place.confirmed = true;
            }
            _ => return false,
        }
        true
    }
}

impl<F: NorFlash, const OUT: usize, const IN: usize, const RECORD: usize> Store for FlashStore<F, OUT, IN, RECORD> {
    type Error = FlashError<F::Error>;

    async fn load(&mut self, each: &mut dyn FnMut(&Record<'_>)) -> Result<(), Self::Error> {
        // One record after the other, by number: flash is read often, and memory is spared. To look for a key repairs what a
        // loss of power left.
        let mut after = 0;
        loop {
            let mut next: Option<(u32, u16)> = None;
            for key in Self::keys() {
                if let Some((number, record)) = self.read(key).await? {
                    if number > after && next.is_none_or(|(lowest, _)| number < lowest) && !record.is_empty() {
                        next = Some((number, key));
                    }
                    self.number = self.number.max(number);
                }
            }
            let Some((number, key)) = next else {
                // What was over when the power was lost, and could not be written any more.
                for place in &mut self.received {
                    *place = place.filter(|received| !received.is_over());
                }
                return Ok(());
            };
            after = number;
            let mut copy = [0; RECORD];
            let len = match self.read(key).await? {
                Some((_, record)) => {
                    let len = record.len();
                    put(&mut copy, record).ok_or(FlashError::Corrupt)?;
                    len
                }
                None => continue,
            };
            let record = copy.get(..len).and_then(|bytes| Record::decode(bytes).ok()).ok_or(FlashError::Corrupt)?;
            // What a loss of power left of a message that is over is not told: its place is free.
            if !self.note(key, &record) {
                continue;
            }
            if let Record::PubrecReceived { packet_identifier } = record {
                // The message that it was is not needed any more; what takes its place says only that it is under way.
                each(&placeholder(packet_identifier).ok_or(FlashError::Corrupt)?);
            }
            each(&record);
        }
    }

    async fn append(&mut self, record: &[u8]) -> Result<(), Self::Error> {
        match Record::decode(record).map_err(|_| FlashError::Corrupt)? {
            Record::SessionStarted { after, .. } => {
                self.write(if self.started { LATEST } else { FIRST }, record).await?;
                self.started = true;
                self.release(|received| received.delivery <= after).await
            }
            Record::Published { packet_identifier, .. } => {
                let index = self.outgoing_place(packet_identifier).ok_or(FlashError::TooLarge)?;
                self.write(OUTGOING + index as u16, record).await?;
                if let Some(place) = self.outgoing.get_mut(index) {
                    *place = Some(packet_identifier);
                }
                Ok(())
            }
            Record::PubrecReceived { packet_identifier } => {
                match self.outgoing.iter().position(|place| *place == Some(packet_identifier)) {
                    Some(index) => self.write(OUTGOING + index as u16, record).await,
                    None => Ok(()),
                }
            }
            Record::Completed { packet_identifier } => {
                let Some(index) = self.outgoing.iter().position(|place| *place == Some(packet_identifier)) else {
                    return Ok(());
                };
                self.write(OUTGOING + index as u16, &[]).await?;
                if let Some(place) = self.outgoing.get_mut(index) {
                    *place = None;
                }
                Ok(())
            }
            Record::Received { delivery, packet_identifier, .. } => {
                let index = self.received.iter().position(Option::is_none).ok_or(FlashError::TooLarge)?;
                self.write(RECEIVED + index as u16, record).await?;
                self.release(|received| received.packet_identifier == Some(packet_identifier)).await?;
                if let Some(place) = self.received.get_mut(index) {
                    *place = Some(Received { delivery, packet_identifier: Some(packet_identifier), confirmed: false });
                }
                Ok(())
            }
            Record::Released { packet_identifier } => {
                match self.received_place(|received| received.packet_identifier == Some(packet_identifier)) {
                    Some(index) => self.mark(index, false, record).await,
                    None => Ok(()),
                }
            }
            Record::Confirmed { delivery } => match self.received_place(|received| received.delivery == delivery) {
                Some(index) => self.mark(index, true, record).await,
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// A message whose PUBREC has arrived, and of which nothing but the identifier is left.
fn placeholder(packet_identifier: PacketIdentifier) -> Option<Record<'static>> {
    Some(Record::Published {
        packet_identifier,
        message: mqtt_core::RecordedMessage {
            topic: mqtt_core::TopicName::new("-").ok()?,
            retain: false,
            properties: mqtt_core::Properties::EMPTY,
            payload: &[],
        },
        exactly_once: true,
        expires_in: None,
        source: None,
    })
}

//! A store in memory that does what a test says.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use mqtt_std::store::{Batch, Loaded, Record, Store, StoreError};

/// What is stored, however many clients come and go: clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<(Mutex<Inner>, Condvar)>);

#[derive(Default)]
struct Inner {
    owner: Option<String>,
    records: Vec<Vec<u8>>,
    appended: Vec<Vec<u8>>,
    /// Nothing is made durable while it is held.
    is_held: bool,
    /// What is said instead of taking a record that this is true of.
    refuse: Option<(Which, StoreError)>,
    /// Calls of `append`, and of `sync`.
    appends: usize,
    syncs: usize,
}

type Which = fn(&str) -> bool;

/// A client's hold on it.
pub(crate) struct Handle(Memory);

impl Memory {
    pub(crate) fn open(&self) -> Handle {
        Handle(self.clone())
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let value = change(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.notify_all();
        value
    }

    pub(crate) fn hold(&self) {
        self.change(|inner| inner.is_held = true);
    }

    pub(crate) fn release(&self) {
        self.change(|inner| inner.is_held = false);
    }

    /// Refuses records with a name that this is true of: their kind, as in `Published`.
    pub(crate) fn refuse(&self, which: Which, error: StoreError) {
        self.change(|inner| inner.refuse = Some((which, error)));
    }

    pub(crate) fn accept_all(&self) {
        self.change(|inner| inner.refuse = None);
    }

    /// The kinds of the records, in their order.
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.change(|inner| inner.records.iter().map(|record| kind(record)).collect())
    }

    pub(crate) fn appends(&self) -> usize {
        self.change(|inner| inner.appends)
    }

    pub(crate) fn syncs(&self) -> usize {
        self.change(|inner| inner.syncs)
    }

    /// What a program finds that begins when so many records were written.
    pub(crate) fn cut_at(&self, records: usize) -> Self {
        let copy = Self::default();
        let (owner, records) = self.change(|inner| (inner.owner.clone(), inner.records[..records].to_vec()));
        copy.change(|inner| (inner.owner, inner.records) = (owner, records));
        copy
    }
}

fn kind(record: &[u8]) -> String {
    let text = format!("{:?}", Record::decode(record).unwrap());
    text.split([' ', '{']).next().unwrap().to_owned()
}

impl Store for Handle {
    fn load(&mut self, each: &mut dyn FnMut(&Record<'_>)) -> Result<Loaded, StoreError> {
        self.0.change(|inner| {
            inner.records.iter().for_each(|record| each(&Record::decode(record).unwrap()));
            Ok(Loaded::of(inner.owner.clone()))
        })
    }

    fn claim(&mut self, client_identifier: &str) -> Result<(), StoreError> {
        self.0.change(|inner| inner.owner = Some(client_identifier.to_owned()));
        Ok(())
    }

    fn append(&mut self, records: &Batch) -> Result<(), StoreError> {
        self.0.change(|inner| {
            inner.appends += 1;
            if let Some((which, error)) = inner.refuse {
                if records.iter().any(|record| which(&kind(record))) {
                    return Err(error);
                }
            }
            inner.appended.extend(records.iter().map(<[u8]>::to_vec));
            Ok(())
        })
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        let (inner, changed) = &*self.0.0;
        let mut inner = changed.wait_while(inner.lock().unwrap(), |inner| inner.is_held).unwrap();
        inner.syncs += 1;
        let appended = core::mem::take(&mut inner.appended);
        inner.records.extend(appended);
        Ok(())
    }
}

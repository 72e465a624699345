//! The store that options name.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::{FileStore, Store, StoreError};

/// Where a client keeps its session.
#[derive(Clone, Default)]
pub(crate) enum StoreChoice {
    /// In memory alone.
    #[default]
    None,
    /// In a directory, which each client opens.
    Directory(PathBuf),
    /// In this one, until a client has taken it.
    Given(Arc<Mutex<Option<Box<dyn Store>>>>),
}

impl StoreChoice {
    pub(crate) fn given(store: impl Store + 'static) -> Self {
        Self::Given(Arc::new(Mutex::new(Some(Box::new(store)))))
    }

    /// The store, for one client.
    pub(crate) fn open(&self) -> Result<Option<Box<dyn Store>>, StoreError> {
        match self {
            Self::None => Ok(None),
            Self::Directory(path) => Ok(Some(Box::new(FileStore::open(path)?))),
            Self::Given(store) => {
                let store = store.lock().unwrap_or_else(PoisonError::into_inner).take();
                store.ok_or(StoreError::InUse).map(Some)
            }
        }
    }
}

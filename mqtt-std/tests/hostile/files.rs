//! What others on the machine find in the directory of a store.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use mqtt_std::store::{FileStore, Store as _};

/// A directory that is gone with this.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mqtt-std-hostile-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_store_is_its_owner_s_alone() {
    let place = Place::new("modes");
    let directory = place.0.join("below");
    let mut store = FileStore::open(&directory).unwrap();
    store.load(&mut |_| {}).unwrap();
    store.claim("pump-7").unwrap();
    assert_eq!(mode(&directory), 0o700);
    let names: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(names.len() >= 2, "{names:?}");
    for name in names {
        assert_eq!(mode(&name), 0o600, "{}", name.display());
    }
}

#[test]
fn a_link_in_the_way_is_not_written_through() {
    let place = Place::new("links");
    fs::create_dir_all(place.0.join("store")).unwrap();
    let victim = place.0.join("victim");
    fs::write(&victim, "precious").unwrap();
    for name in ["session.new", "session.damaged"] {
        symlink(&victim, place.0.join("store").join(name)).unwrap();
    }
    let mut store = FileStore::open(place.0.join("store")).unwrap();
    store.load(&mut |_| {}).unwrap();
    store.claim("pump-7").unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(!fs::symlink_metadata(place.0.join("store/session.log")).unwrap().is_symlink());
}

#[cfg(feature = "redb")]
#[test]
fn a_database_is_its_owner_s_alone() {
    let place = Place::new("redb");
    fs::create_dir_all(&place.0).unwrap();
    let path = place.0.join("session.redb");
    let _store = mqtt_std::store::RedbStore::open(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
}

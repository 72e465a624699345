//! Tapes that were made once: the machine does what it did then.

use std::fs;
use std::path::Path;

use mqtt_std::tape::replay;

fn tapes() -> impl Iterator<Item = (String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tapes/kept");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "tape")).map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read(path).unwrap())
    })
}

#[test]
fn what_happened_once_happens_again() {
    let mut count = 0;
    let mut failures = Vec::new();
    for (name, tape) in tapes() {
        count += 1;
        match replay(&tape) {
            Ok(replayed) => assert!(replayed.calls > 0, "{name}: {replayed:?}"),
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(count >= 10, "{count} tapes");
}

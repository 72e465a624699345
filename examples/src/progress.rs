//! How far a file is.

use std::io;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use mqtt_std::{Opening, PayloadFile, PayloadSource};

/// A bar that so many bytes fill, shown if stderr is a terminal.
#[must_use]
pub fn bar(bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A file to be published whose reading moves a bar.
#[derive(Clone)]
pub struct FileWithBar {
    file: PayloadFile,
    bar: ProgressBar,
}

impl FileWithBar {
    /// Looks at the file; `show` tells whether files of this length have a bar.
    ///
    /// # Errors
    /// Those of [`PayloadFile::new`].
    pub async fn new(path: &Path, show: impl FnOnce(u64) -> bool) -> io::Result<Self> {
        let file = PayloadFile::new(path).await?;
        let length = file.length();
        let bar = if show(length) { bar(length) } else { ProgressBar::hidden() };
        Ok(Self { file, bar })
    }

    /// Takes the bar away.
    pub fn done(&self) {
        self.bar.finish_and_clear();
    }
}

impl PayloadSource for FileWithBar {
    fn length(&self) -> u64 {
        self.file.length()
    }

    fn open(&self) -> Opening {
        // It may be for another time.
        self.bar.reset();
        let (opening, bar) = (self.file.open(), self.bar.clone());
        Box::pin(async move { Ok(Box::pin(bar.wrap_async_read(opening.await?)) as _) })
    }
}

//! The table of scripts: a name behind `#`, the script behind `$`, what it writes behind `>`, its exit status behind `=`.
//!
//! A script finds `$PUB`, `$SUB`, `$RR` with the broker's port, and without it as `$PUB_` and so on; `$T`, a topic of its own, and `$D`, a
//! directory of its own, which is also where configuration files are looked for; `$ALL`, properties of every kind; and the variables of
//! `broker.rs`. What it writes is shown with `root` in place of `$T`, and without times.

/// A script, and what becomes of it.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) script: &'static str,
    pub(super) stdout: String,
    pub(super) status: i32,
}

impl Row {
    /// What Mosquitto 2.0 does otherwise.
    pub(super) fn needs_2_1(&self) -> bool {
        self.name.ends_with("(2.1)")
    }
}

/// All of them.
pub(super) fn rows() -> Vec<Row> {
    let files = [
        include_str!("rows/formats.txt"),
        include_str!("rows/messages.txt"),
        include_str!("rows/connections.txt"),
        include_str!("rows/version5.txt"),
        include_str!("rows/requests.txt"),
    ];
    files.into_iter().flat_map(|file| file.split("\n\n")).filter(|row| !row.trim().is_empty()).map(row).collect()
}

fn row(text: &'static str) -> Row {
    let mut row = Row { name: "", script: "", stdout: String::new(), status: -1 };
    for line in text.trim_start_matches('\n').lines() {
        match line.split_at(1.min(line.len())) {
            ("#", rest) => row.name = rest.trim_start(),
            ("$", rest) => row.script = rest.trim_start(),
            (">", rest) => row.stdout += &(rest.strip_prefix(' ').unwrap_or(rest).to_owned() + "\n"),
            ("=", rest) => row.status = rest.trim().parse().unwrap(),
            _ => panic!("{line}"),
        }
    }
    assert!(!row.name.is_empty() && !row.script.is_empty() && row.status >= 0, "{text}");
    row
}

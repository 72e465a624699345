//! When a message came, in the words of `strftime` and the language of C.

use jiff::Zoned;

/// One conversion of `strftime`: the letter behind its `%`. One that it does not know stays as it is.
pub(super) fn conversion(time: &Zoned, letter: u8) -> String {
    let format = match letter {
        b'N' => return format!("{:09}", nanoseconds(time)),
        // Those that jiff has in other words.
        b'c' => "%a %b %e %H:%M:%S %Y",
        b'x' => "%m/%d/%y",
        b'X' => "%H:%M:%S",
        b'r' => "%I:%M:%S %p",
        // A width, without what it is for.
        b'1'..=b'9' => return format!("{:>1$}", format!("%{}", char::from(letter)), usize::from(letter - b'0')),
        b'a' | b'A' | b'b' | b'B' | b'C' | b'd' | b'D' | b'e' | b'F' | b'g' | b'G' | b'h' | b'H' | b'I' | b'j'
        | b'k' | b'l' | b'm' | b'M' | b'n' | b'p' | b'P' | b'R' | b's' | b'S' | b't' | b'T' | b'u' | b'U' | b'V'
        | b'w' | b'W' | b'y' | b'Y' | b'z' | b'Z' | b'%' => &format!("%{}", char::from(letter)),
        _ => return format!("%{}", char::from(letter)),
    };
    time.strftime(format).to_string()
}

/// ISO 8601, to the second.
pub(super) fn iso_8601(time: &Zoned) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%z").to_string()
}

/// ISO 8601, to the microsecond.
pub(crate) fn timestamp(time: &Zoned) -> String {
    let micros = nanoseconds(time) / 1_000;
    format!("{}.{micros:06}{}", time.strftime("%Y-%m-%dT%H:%M:%S"), time.strftime("%z"))
}

/// Seconds since 1970, with nanoseconds.
pub(super) fn unix(time: &Zoned) -> String {
    format!("{}.{:09}", time.timestamp().as_second(), nanoseconds(time))
}

fn nanoseconds(time: &Zoned) -> i32 {
    time.subsec_nanosecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment() -> Zoned {
        // As TZ=CET-1CEST... would have it.
        let zone = jiff::tz::TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        "2026-02-05T03:04:09.000012345Z".parse::<jiff::Timestamp>().unwrap().to_zoned(zone)
    }

    #[test]
    fn each_conversion_is_that_of_c() {
        // What `date -d @1770260649` says in that zone.
        for (letters, written) in [
            ("aAbBh", "Thu|Thursday|Feb|February|Feb"),
            ("cDFxX", "Thu Feb  5 04:04:09 2026|02/05/26|2026-02-05|02/05/26|04:04:09"),
            ("CdegGj", "20|05| 5|26|2026|036"),
            ("HIklMpPrRST", "04|04| 4| 4|04|AM|am|04:04:09 AM|04:04|09|04:04:09"),
            ("mnts", "02|\n|\t|1770260649"),
            ("uUVwWyYzZ", "4|05|06|4|05|26|2026|+0100|CET"),
            ("N%+EOq_-", "000012345|%|%+|%E|%O|%q|%_|%-"),
        ] {
            let all: Vec<_> = letters.bytes().map(|letter| conversion(&moment(), letter)).collect();
            assert_eq!(all.join("|"), written, "{letters}");
        }
        assert_eq!(iso_8601(&moment()), "2026-02-05T04:04:09+0100");
        assert_eq!(timestamp(&moment()), "2026-02-05T04:04:09.000012+0100");
        assert_eq!(unix(&moment()), "1770260649.000012345");
    }
}

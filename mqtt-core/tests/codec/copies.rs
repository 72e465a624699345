//! Copies that cannot fail: what does not fit is left.

use mqtt_core::{move_to_front, put};

#[test]
fn what_does_not_fit_is_not_put() {
    for len in [0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100] {
        let bytes: Vec<u8> = (1..=len).collect();
        let mut to = vec![0; bytes.len() + 1];
        let rest = put(&mut to, &bytes).expect("it fits");
        assert_eq!(rest, [0], "{len}");
        assert_eq!(to[..bytes.len()], bytes);
        let mut exact = vec![0; bytes.len()];
        assert!(put(&mut exact, &bytes).is_some_and(|rest| rest.is_empty()), "{len}");
        let mut short = vec![0; bytes.len().saturating_sub(1)];
        assert_eq!(put(&mut short, &bytes).is_none(), len > 0, "{len}");
        assert!(short.iter().all(|&byte| byte == 0), "{len}");
    }
}

#[test]
fn a_part_moves_to_the_front_and_one_that_is_not_inside_stays() {
    for (part, moved) in [
        (2..5, *b"cdedef"),
        (0..6, *b"abcdef"),
        (3..3, *b"abcdef"),
        (5..6, *b"fbcdef"),
        (5..7, *b"abcdef"),
        (7..7, *b"abcdef"),
        #[allow(clippy::reversed_empty_ranges)] // it is refused
        (4..2, *b"abcdef"),
    ] {
        let mut bytes = *b"abcdef";
        move_to_front(&mut bytes, part.clone());
        assert_eq!(bytes, moved, "{part:?}");
    }
}

//! InfluxDB line protocol: `measurement,tag=value field=value,field=value nanoseconds`.

/// A point, as far as it is written.
pub struct Point {
    line: String,
    has_fields: bool,
}

impl Point {
    pub fn new(measurement: &str) -> Self {
        Self { line: escaped(measurement, &[',', ' ']), has_fields: false }
    }

    /// Adds a tag; to be called before the fields. One without a value is none.
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        let value = escaped(value, &[',', '=', ' ']);
        if !value.is_empty() {
            self.line += &format!(",{}={value}", escaped(key, &[',', '=', ' ']));
        }
        self
    }

    /// Adds a number. What is none cannot be said.
    pub fn float(self, key: &str, value: f64) -> Self {
        if value.is_finite() { self.field(key, &value.to_string()) } else { self }
    }

    pub fn integer(self, key: &str, value: i64) -> Self {
        self.field(key, &format!("{value}i"))
    }

    pub fn boolean(self, key: &str, value: bool) -> Self {
        self.field(key, if value { "true" } else { "false" })
    }

    pub fn text(self, key: &str, value: &str) -> Self {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        self.field(key, &format!("\"{value}\""))
    }

    /// The whole line, without its end; `None`: there are no fields.
    pub fn at(mut self, nanoseconds: u128) -> Option<String> {
        self.line += &format!(" {nanoseconds}");
        self.has_fields.then_some(self.line)
    }

    fn field(mut self, key: &str, value: &str) -> Self {
        let separator = if self.has_fields { ',' } else { ' ' };
        self.line += &format!("{separator}{}={value}", escaped(key, &[',', '=', ' ']));
        self.has_fields = true;
        self
    }
}

/// A name or the value of a tag. It cannot have line ends, nor a backslash at its end.
fn escaped(text: &str, special: &[char]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.trim_end_matches('\\').chars() {
        if special.contains(&character) {
            escaped.push('\\');
        }
        escaped.push(if matches!(character, '\n' | '\r') { '_' } else { character });
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_has_tags_fields_and_a_time() {
        let point =
            Point::new("heating").tag("host", "cellar").float("celsius", 61.5).integer("n", -3).boolean("on", true);
        assert_eq!(point.at(17).unwrap(), "heating,host=cellar celsius=61.5,n=-3i,on=true 17");
        assert_eq!(Point::new("a").float("b", 2.0).at(0).unwrap(), "a b=2 0");
    }

    #[test]
    fn what_has_a_meaning_is_escaped() {
        for (point, line) in [
            (Point::new("a b,c=d").integer("f", 1), r"a\ b\,c=d f=1i 0"),
            (Point::new("m").tag("a b", "c,d=e f").integer("g h=,", 1), r"m,a\ b=c\,d\=e\ f g\ h\=\,=1i 0"),
            (Point::new("m").text("t", r#"say "a\b", 1=2"#), r#"m t="say \"a\\b\", 1=2" 0"#),
            (Point::new("m\nx").tag("t", "a\r\nb\\").integer("f", 1), r"m_x,t=a__b f=1i 0"),
        ] {
            assert_eq!(point.at(0).unwrap(), line);
        }
    }

    #[test]
    fn what_cannot_be_said_is_left_out() {
        assert_eq!(Point::new("m").tag("empty", "").integer("f", 1).at(0).unwrap(), "m f=1i 0");
        assert_eq!(Point::new("m").float("no", f64::NAN).float("f", 0.5).at(0).unwrap(), "m f=0.5 0");
        assert_eq!(Point::new("m").tag("t", "v").float("no", f64::INFINITY).at(0), None);
    }
}

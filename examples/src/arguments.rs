//! The command line.

use std::fmt::Display;
use std::str::FromStr;

use lexopt::Arg;
use mqtt_std::Options;

use crate::{Result, read_secret};

/// Where a broker is looked for if nobody says where.
const DEFAULT_BROKER: &str = "mqtt://localhost";

/// The command line of a program: options of its own, `--broker URL`, `--password-file FILE`, `--help`, and words.
///
/// All users of a machine can see what is on a command line, passwords in addresses too.
///
/// ```no_run
/// # fn f() -> mqtt_examples::Result<()> {
/// use mqtt_examples::Arguments;
///
/// let mut arguments = Arguments::new("pump [--rate N] [BROKER]");
/// let mut rate = 10;
/// while let Some(option) = arguments.option()? {
///     match option.as_str() {
///         "rate" => rate = arguments.value()?,
///         _ => return Err(arguments.unknown(&option)),
///     }
/// }
/// let options = arguments.broker()?.client_identifier("pump-7");
/// arguments.finish()?;
/// # Ok(())
/// # }
/// ```
pub struct Arguments {
    parser: lexopt::Parser,
    usage: &'static str,
    broker: Option<String>,
    password_file: Option<String>,
    words: std::collections::VecDeque<String>,
    last: String,
}

impl Arguments {
    /// The arguments of this process. `--help` prints `usage` and ends it.
    #[must_use]
    pub fn new(usage: &'static str) -> Self {
        let parser = lexopt::Parser::from_env();
        Self { parser, usage, broker: None, password_file: None, words: Default::default(), last: String::new() }
    }

    /// The next option, without its dashes. Words, and what follows `--`, are set aside.
    ///
    /// # Errors
    /// An argument is not Unicode, or `--broker` has no value.
    pub fn option(&mut self) -> Result<Option<String>> {
        while let Some(argument) = self.parser.next()? {
            let option = match argument {
                Arg::Long("help") | Arg::Short('h') => {
                    println!("{}", self.usage);
                    std::process::exit(0);
                }
                Arg::Long("broker") => {
                    self.broker = Some(self.parser.value()?.into_string().map_err(lexopt::Error::NonUnicodeValue)?);
                    continue;
                }
                Arg::Long("password-file") => {
                    let path = self.parser.value()?.into_string().map_err(lexopt::Error::NonUnicodeValue)?;
                    self.password_file = Some(path);
                    continue;
                }
                Arg::Value(word) => {
                    self.words.push_back(word.into_string().map_err(lexopt::Error::NonUnicodeValue)?);
                    continue;
                }
                Arg::Long(name) => name.to_owned(),
                Arg::Short(letter) => letter.to_string(),
            };
            self.last.clone_from(&option);
            return Ok(Some(option));
        }
        Ok(None)
    }

    /// The value of the option that came last.
    ///
    /// # Errors
    /// There is none, or it is not one.
    pub fn value<T: FromStr<Err: Display>>(&mut self) -> Result<T> {
        let value = self.parser.value()?.into_string().map_err(lexopt::Error::NonUnicodeValue)?;
        value.parse().map_err(|error| format!("{}: {value:?}: {error}", self.last).into())
    }

    /// The error of an option that the program does not know.
    #[must_use]
    pub fn unknown(&self, option: &str) -> Box<dyn std::error::Error + Send + Sync> {
        format!("option {option:?} is not known; usage: {}", self.usage).into()
    }

    /// The next word. To be called when there are no more options.
    ///
    /// # Errors
    /// There is none.
    pub fn word(&mut self) -> Result<String> {
        self.words.pop_front().ok_or_else(|| format!("usage: {}", self.usage).into())
    }

    /// All other words.
    #[must_use]
    pub fn words(&mut self) -> Vec<String> {
        self.words.drain(..).collect()
    }

    /// Options for the broker that `--broker` names, or the next word; otherwise the one on this machine. The password is the first line
    /// of `--password-file`.
    ///
    /// # Errors
    /// The address is not valid, or the file cannot be read.
    pub fn broker(&mut self) -> Result<Options> {
        let url = self.broker.take().or_else(|| self.words.pop_front());
        let options: Options = url.as_deref().unwrap_or(DEFAULT_BROKER).parse()?;
        Ok(match self.password_file.take() {
            Some(path) => options.password(read_secret(path)?),
            None => options,
        })
    }

    /// Makes sure that nothing was said that nobody has asked for.
    ///
    /// # Errors
    /// There is another word.
    pub fn finish(self) -> Result<()> {
        match self.broker.as_ref().or(self.words.front()) {
            None => Ok(()),
            Some(word) => Err(format!("{word:?} is not expected; usage: {}", self.usage).into()),
        }
    }
}

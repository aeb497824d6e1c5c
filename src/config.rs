//! The configuration file: the options of a command, one a line, read as if they were typed.
//!
//! What options there are, and what they take, is asked of clap alone, so each has one name.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, Id, Parser};

use crate::limits;
use crate::names::clean;
use crate::options::Mistake;
use crate::options::files::read_file;

/// The option that names the file.
const CONFIG: &str = "config";

/// What is wrong with the options of a command.
#[derive(Debug)]
pub enum Wrong {
    /// What was typed.
    Typed(clap::Error),
    /// What the file says, in words that begin with the file and its line.
    Configured(String),
}

impl Wrong {
    /// In one line.
    pub fn text(&self) -> String {
        match self {
            Self::Typed(error) => in_a_line(error),
            Self::Configured(text) => text.clone(),
        }
    }
}

/// A configuration file; an empty one where none is named.
#[derive(Debug, Default)]
pub struct Config {
    path: PathBuf,
    lines: Vec<Line>,
    /// Lines that do not count, as something else is typed.
    overruled: Vec<Line>,
}

/// A line that counts.
#[derive(Debug)]
struct Line {
    number: usize,
    /// What the option is called, and what clap knows it by.
    option: String,
    id: Id,
    /// The option with its value, as it would be typed.
    word: OsString,
}

/// Reads the words of a command line, the name of the program first, together with the file that its `--config` names. What is typed
/// wins: of an option that is typed, the file's values do not count.
pub fn parse<P: Parser>(words: &[OsString]) -> Result<(P, Config), Wrong> {
    let program = P::command();
    // Whether all that is needed is there turns out when both are put together.
    let typed = program.clone().ignore_errors(true).try_get_matches_from(words).ok();
    let config = match typed.as_ref().and_then(ArgMatches::subcommand) {
        Some((name, typed)) => Config::named(typed, program.find_subcommand(name)).map_err(Wrong::Configured)?,
        None => Config::default(),
    };
    let together = |lines: &[&Line]| P::try_parse_from(words.iter().chain(lines.iter().map(|line| &line.word)));
    match together(&config.lines.iter().collect::<Vec<_>>()) {
        Ok(parsed) => Ok((parsed, config)),
        Err(error) => Err(match config.culprit(|lines| together(lines).is_err()) {
            Some(line) => Wrong::Configured(config.at(line.number, &config.why(line, &in_a_line(&error)))),
            None => Wrong::Typed(error),
        }),
    }
}

impl Config {
    /// The file that is named among the options that are typed for a command, without what these say otherwise.
    fn named(typed: &ArgMatches, command: Option<&Command>) -> Result<Self, String> {
        let path = typed.try_get_one::<PathBuf>(CONFIG).ok().flatten();
        let Some((path, command)) = path.zip(command) else { return Ok(Self::default()) };
        let mut config = Self::read(path, &read_file(path, limits::CONFIG)?, command)?;
        let is_typed = |line: &mut Line| typed.value_source(line.id.as_str()) == Some(ValueSource::CommandLine);
        config.overruled = config.lines.extract_if(.., is_typed).collect();
        let is_same = |line: &Line| {
            let typed = typed.get_raw(line.id.as_str()).into_iter().flatten();
            let words =
                typed.map(|value| [&*OsString::from(format!("--{}=", line.option)), value].into_iter().collect());
            words.collect::<Vec<OsString>>().contains(&line.word)
        };
        config.overruled.retain(|line| !is_same(line));
        Ok(config)
    }

    /// Which lines do not count, as what is typed wins and is something else; for the log.
    pub fn overruled(&self) -> Option<String> {
        let lines: Vec<String> =
            self.overruled.iter().map(|line| format!("{} ({})", line.number, line.option)).collect();
        let told = || {
            format!("{}: what is typed wins, so these lines do not count: {}", self.path.display(), lines.join(", "))
        };
        (!lines.is_empty()).then(told)
    }

    /// Reads the options of a command in the text of a file, each by itself. An error begins with the file and its line.
    pub fn read(path: &Path, text: &[u8], command: &Command) -> Result<Self, String> {
        let mut config = Self { path: path.to_owned(), ..Self::default() };
        let folder = path.parent().unwrap_or(Path::new(""));
        for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            // No option has such a byte, and of UTF-16 half of all bytes are such.
            if line.contains(&0) {
                return Err(config.at(number, NO_TEXT));
            }
            let read = Line::read(number, line, folder, command).map_err(|text| config.at(number, &text))?;
            config.lines.push(read);
        }
        Ok(config)
    }

    /// What is wrong, with the line where the option stands that it is about, if it stands here.
    pub fn tell(&self, mistake: &Mistake) -> String {
        let has_value = |line: &Line, value: &String| *line.word == *format!("--{}={value}", line.option);
        let is_it = |line: &&Line| {
            Some(line.option.as_str()) == mistake.option
                && mistake.value.as_ref().is_none_or(|value| has_value(line, value))
        };
        match self.lines.iter().find(is_it) {
            Some(line) => self.at(line.number, &mistake.text),
            None => mistake.text.clone(),
        }
    }

    /// What is wrong with a line, of which `told` is what would be told of it if it were typed.
    fn why(&self, line: &Line, told: &str) -> String {
        match self.lines.iter().find(|other| other.id == line.id) {
            Some(first) if told.ends_with(TWICE) => {
                format!("{} stands in line {} already; leave one of them out", line.option, first.number)
            }
            _ => told.to_owned(),
        }
    }

    fn at(&self, number: usize, text: &str) -> String {
        format!("{}:{number}: {text}", self.path.display())
    }

    /// The last line of those without which nothing would be wrong; none if something is wrong without any of them.
    fn culprit(&self, is_wrong: impl Fn(&[&Line]) -> bool) -> Option<&Line> {
        let mut lines: Vec<&Line> = self.lines.iter().collect();
        let mut at = 0;
        while at < lines.len() {
            let line = lines.remove(at);
            if !is_wrong(&lines) {
                lines.insert(at, line);
                at += 1;
            }
        }
        lines.last().copied()
    }
}

impl Line {
    fn read(number: usize, line: &[u8], folder: &Path, command: &Command) -> Result<Self, String> {
        let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        let option = clean(&line[..end]).into_owned();
        let value = OsStr::from_bytes(line[end..].trim_ascii_start());
        let mut word = OsString::from(format!("--{option}"));
        let Some(known) = command.get_arguments().find(|known| known.get_long() == Some(&option)) else {
            return Err(unknown(&option, &alone(command, &word)));
        };
        if option == CONFIG {
            return Err("a configuration file names no other; leave this line out".to_owned());
        }
        if !value.is_empty() {
            let is_path = known.get_value_parser().type_id() == TypeId::of::<PathBuf>();
            word.push("=");
            word.push(if is_path { folder.join(value).into_os_string() } else { value.to_owned() });
        }
        match alone(command, &word) {
            Err(error) if error.kind() == ErrorKind::TooManyValues => Err(format!(
                "{option} takes no value; it is on where a line says {option} alone, and off where none does"
            )),
            _ if let Some(bare) = bare(value.as_bytes()) => Err(format!(
                "the value stands behind a blank, without = and without quotes, as in {option} {}",
                clean(bare)
            )),
            Err(error) if error.kind() == ErrorKind::InvalidUtf8 => Err(NO_TEXT.to_owned()),
            Err(error) if error.kind() != ErrorKind::MissingRequiredArgument => {
                let has_comment = line[end..].windows(2).any(|two| two[0].is_ascii_whitespace() && two[1] == b'#');
                let hint =
                    if has_comment { "; a # makes a comment of a whole line, and not of the end of one" } else { "" };
                Err(in_a_line(&error) + hint)
            }
            _ => Ok(Self { number, option, id: known.get_id().clone(), word }),
        }
    }
}

/// The value in what somebody wrote as other programs have it, with `=` before it or in quotes.
fn bare(value: &[u8]) -> Option<&[u8]> {
    let behind = value.strip_prefix(b"=").map(<[u8]>::trim_ascii_start);
    let whole = behind.unwrap_or(value);
    let quoted = [b"\"", b"'"].into_iter().find_map(|quote| whole.strip_prefix(quote)?.strip_suffix(quote));
    quoted.or(behind)
}

/// What is told of a file in another encoding.
const NO_TEXT: &str = "this is no text in UTF-8, but in UTF-16 or Latin-1, say; save the file as UTF-8";

/// What clap makes of one word alone.
fn alone(command: &Command, word: &OsStr) -> Result<ArgMatches, clap::Error> {
    command.clone().try_get_matches_from([OsStr::new(command.get_name()), word])
}

/// That there is no such option, and which one may be meant.
fn unknown(option: &str, tried: &Result<ArgMatches, clap::Error>) -> String {
    let meant = match tried.as_ref().err().and_then(|error| error.get(ContextKind::SuggestedArg)) {
        Some(ContextValue::String(meant)) => format!("is {} meant?", meant.trim_start_matches('-')),
        _ => "a line has an option of serve without dashes, a blank and its value, as in rate 20".to_owned(),
    };
    format!("there is no option {option}; {meant}")
}

/// How clap ends what it says of an option that may stand once.
const TWICE: &str = "cannot be used multiple times";

/// The first paragraph of what clap says.
fn in_a_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let lines: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    clean(lines.join(" ").as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Serve;
    use clap::Args;
    use proptest::prelude::*;
    use std::fs;

    #[derive(Parser, Debug)]
    enum Program {
        Serve(Serve),
    }

    /// What the program is told with this file, and what is typed besides.
    fn read(text: &[u8], typed: &[&str]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.conf");
        fs::write(&path, text).unwrap();
        let words = ["chinwag", "serve", "--config", path.to_str().unwrap()];
        let words: Vec<OsString> = words.iter().chain(typed).map(OsString::from).collect();
        let here = |text: String| text.replace(folder.path().to_str().unwrap(), "HERE");
        match parse::<Program>(&words) {
            Ok((program, _)) => Ok(here(format!("{program:?}"))),
            Err(wrong) => Err(here(wrong.text())),
        }
    }

    #[test]
    fn a_file_means_what_is_typed() {
        let text = "\u{feff}# a room\r\n\r\n  name  the \"#1\" = room \r\nrate\t7\r\nmotd motd.txt\r\nmotd-of none";
        assert_eq!(
            read(text.as_bytes(), &[]).unwrap_err(),
            "HERE/a.conf:6: there is no option motd-of; is motd meant?"
        );
        let told = read(text.replace("motd-of none", "data /var/x").as_bytes(), &[]).unwrap();
        for part in ["name: Some(\"the \\\"#1\\\" = room\")", "rate: 7", "motd: Some(\"HERE/motd.txt\")", "\"/var/x\""]
        {
            assert!(told.contains(part), "{part} is not in {told}");
        }
    }

    #[test]
    fn what_is_typed_wins() {
        let text = b"listen 127.0.0.1:1\nlisten 127.0.0.1:2\nrate 1\nhistory 5";
        let told = read(text, &[]).unwrap();
        assert!(told.contains("listen: [\"127.0.0.1:1\", \"127.0.0.1:2\"]"), "{told}");
        let told = read(text, &["--listen", "127.0.0.1:3", "--rate", "2"]).unwrap();
        for part in ["listen: [\"127.0.0.1:3\"]", "rate: 2", "history: 5"] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
        // What one of them needs may stand in the other.
        assert!(read(b"data x", &["--sync", "2s"]).is_ok());
        assert!(read(b"sync 2s", &["--data", "x"]).is_ok());
    }

    #[test]
    fn each_mistake_is_told_with_its_line() {
        for (text, want) in [
            ("rate 5\nrat 6", "2: there is no option rat; is rate meant?"),
            ("--rate 5", "1: there is no option --rate; is rate meant?"),
            (
                "\n\nrate=5",
                "3: there is no option rate=5; a line has an option of serve without dashes, a blank and its value, as in rate 20",
            ),
            (
                "zzz",
                "1: there is no option zzz; a line has an option of serve without dashes, a blank and its value, as in rate 20",
            ),
            (
                "help",
                "1: there is no option help; a line has an option of serve without dashes, a blank and its value, as in rate 20",
            ),
            ("config b.conf", "1: a configuration file names no other; leave this line out"),
            ("rate", "1: a value is required for '--rate <N>' but none was supplied"),
            ("rate fast", "1: invalid value 'fast' for '--rate <N>': it is a whole number, as in 20"),
            ("history -1", "1: invalid value '-1' for '--history <N>': it is a whole number, as in 20"),
            (
                "rate 4294967296",
                "1: invalid value '4294967296' for '--rate <N>': that is more than there can be; take a smaller number",
            ),
            (
                "rate 5 # slow",
                "1: invalid value '5 # slow' for '--rate <N>': it is a whole number, as in 20; a # makes a comment of a whole line, \
                 and not of the end of one",
            ),
            (
                "proxy-secure on",
                "1: proxy-secure takes no value; it is on where a line says proxy-secure alone, and off where none does",
            ),
            ("guests no", "1: invalid value 'no' for '--guests <SWITCH>' [possible values: on, listen, off]"),
            (
                "spool 10X",
                "1: invalid value '10X' for '--spool <SIZE>': a size is a whole number with K, M, G or T, as in 10M or 10MB, or of bytes",
            ),
            (
                "name = \"Rook & Pawn\"",
                "1: the value stands behind a blank, without = and without quotes, as in name Rook & Pawn",
            ),
            ("rate 5\ndata 'a b'", "2: the value stands behind a blank, without = and without quotes, as in data a b"),
            ("rate =5", "1: the value stands behind a blank, without = and without quotes, as in rate 5"),
            ("rate 5\nspool 5M\nrate 5", "3: rate stands in line 1 already; leave one of them out"),
            ("rate 5\nsync 5s", "2: the following required arguments were not provided: --data <DIR>"),
            ("rate \u{1b}[2J", "1: invalid value '\u{fffd}[2J' for '--rate <N>': it is a whole number, as in 20"),
        ] {
            assert_eq!(read(text.as_bytes(), &[]).unwrap_err(), format!("HERE/a.conf:{want}"), "{text}");
        }
        for other in [
            &b"\xff\xfer\0a\0t\0e\0 \x005\0"[..],
            b"\xfe\xff\0r\0a\0t\0e\0 \x005",
            b"r\0a\0t\0e\0 \x005\0",
            b"name gr\xfcn",
        ] {
            let told = read(other, &[]).unwrap_err();
            assert_eq!(
                told,
                "HERE/a.conf:1: this is no text in UTF-8, but in UTF-16 or Latin-1, say; save the file as UTF-8"
            );
        }
        let none = read(&vec![b'#'; 70_000], &[]).unwrap_err();
        assert_eq!(none, "cannot use HERE/a.conf: it must be a file of at most 65536 bytes");
        // What is typed is told as ever, though the file is well.
        let typed = read(b"rate 5", &["--sync", "2s"]).unwrap_err();
        assert_eq!(typed, "the following required arguments were not provided: --data <DIR>");
    }

    /// An option, with a value of those that it takes.
    fn given() -> impl Strategy<Value = (String, String)> {
        const VALUES: &[&str] = &[
            "",
            "5",
            "10M",
            "10 MiB",
            "1h30m",
            "0",
            "0.0.0.0:2428",
            "[::1]:0",
            "127.0.0.1/8",
            "a/b.txt",
            "/a b/c",
            "a #b = \"c\"",
            "https://chat.example.org",
        ];
        let command = Serve::augment_args(Command::new("serve"));
        let values = |arg: &clap::Arg| {
            let possible = arg.get_possible_values().into_iter().map(|value| value.get_name().to_owned());
            possible.chain(VALUES.iter().map(|&value| value.to_owned())).collect::<Vec<_>>()
        };
        let all: Vec<(String, String)> = command
            .get_arguments()
            .filter_map(|arg| Some((arg.get_long()?, values(arg))))
            .filter(|(option, _)| *option != CONFIG)
            .flat_map(|(option, values)| values.into_iter().map(|value| (option.to_owned(), value)).collect::<Vec<_>>())
            .filter(|(option, value)| match alone(&command, &typed(option, value)) {
                Ok(_) => true,
                Err(error) => error.kind() == ErrorKind::MissingRequiredArgument,
            })
            .collect();
        let options: std::collections::BTreeSet<&str> = all.iter().map(|(option, _)| option.as_str()).collect();
        assert_eq!(
            options.len(),
            command.get_arguments().count() - 1,
            "no value is known for one but those of {options:?}"
        );
        proptest::sample::select(all)
    }

    fn typed(option: &str, value: &str) -> OsString {
        if value.is_empty() { format!("--{option}").into() } else { format!("--{option}={value}").into() }
    }

    proptest! {
        #[test]
        fn every_option_means_in_a_file_what_it_means_when_it_is_typed(
            given in proptest::collection::vec(given(), 1..6),
            (blank, end) in (proptest::sample::select(&[" ", "\t", "   "]), proptest::sample::select(&["\n", "\r\n", " \n# x\n"])),
        ) {
            let lines: Vec<String> = given.iter().map(|(option, value)| format!("{option}{blank}{value}{end}")).collect();
            let command = Serve::augment_args(Command::new("serve"));
            let takes_path = |option: &str| {
                let known = command.get_arguments().find(|arg| arg.get_long() == Some(option)).unwrap();
                known.get_value_parser().type_id() == TypeId::of::<PathBuf>()
            };
            let words: Vec<String> = given
                .iter()
                .map(|(option, value)| {
                    let whole = if takes_path(option) && !value.starts_with('/') { format!("HERE/{value}") } else { value.clone() };
                    typed(option, &whole).into_string().unwrap()
                })
                .collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let (filed, typed) = (read(lines.concat().as_bytes(), &[]), read(b"", &words));
            match (filed, typed) {
                (Ok(filed), Ok(typed)) => prop_assert_eq!(filed, typed),
                (Err(filed), Err(typed)) if typed.ends_with(TWICE) => prop_assert!(filed.contains(" already; "), "{}", filed),
                (Err(filed), Err(typed)) => prop_assert!(filed.ends_with(&typed), "{} is not {}", filed, typed),
                (filed, typed) => prop_assert!(false, "{:?} is not {:?}", filed, typed),
            }
        }
    }
}

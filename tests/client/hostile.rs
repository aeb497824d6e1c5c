//! What a server may say, and what of it must not reach the terminal.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use testkit::eventually;
use testkit::pty::{Emulator, Speaks, Terminal};

use super::terminal::{Fake, alice, come_in, connect, told, typed};

/// The escape sequences in what the client wrote, its questions left out; or what it should not have written.
pub(crate) fn sequences(raw: &[u8]) -> Result<Vec<String>, String> {
    const ALLOWED: &[&str] = &[
        "[?2026h", "[?2026l", "[?25h", "[?25l", "[?7h", "[?7l", "[?2004h", "[?2004l", "[J", "[K", "[C", "[A", "[6n",
        "7", "8", "[H", "[?1004h", "[?1004l",
    ];
    let text = str::from_utf8(raw).map_err(|error| error.to_string())?;
    let text = text.replacen(chinwag::client::screen::pictures::QUESTION, "", 1);
    let mut sequences = Vec::new();
    let mut parts = text.split('\x1b');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = match part.strip_prefix('[') {
            Some(rest) => 2 + rest.find(|c: char| c.is_ascii_alphabetic()).ok_or("half a sequence")?,
            None => 1,
        };
        let (sequence, rest) = part.split_at(end);
        let is_colour = sequence.ends_with('m') && sequence[1..].starts_with(|c: char| c.is_ascii_digit());
        let is_up = sequence.ends_with(['A', 'H']) && sequence[1..end - 1].parse::<u16>().is_ok();
        if !is_colour && !is_up && !ALLOWED.contains(&sequence) {
            return Err(format!("{sequence:?} before {:?}", rest.chars().take(60).collect::<String>()));
        }
        sequences.push(sequence.to_owned());
        plain.push_str(rest);
    }
    let is_bad = |c: &char| {
        let is_override = matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        is_override || c.is_control() && !matches!(c, '\r' | '\n' | '\x07' | '\t')
    };
    match plain.chars().find(is_bad) {
        Some(bad) => Err(format!("{bad:?}")),
        None => Ok(sequences),
    }
}

#[test]
fn no_text_looks_like_a_line_of_its_own() {
    for (columns, color) in [(80, "never"), (80, "always"), (44, "never")] {
        let fake = Fake::start(BTreeMap::new());
        // All of it is in view, row by row.
        let terminal = alice(&fake.address, &["--color", color], (columns, 3000), Emulator::Reflowing);
        let stream = fake.stream.recv().unwrap();
        let head = "18:26 #lobby <bob> ".len();
        let width = usize::from(columns);
        for blank in [" ", "\t", "\u{3000}", "\u{2800}", "\u{3164}"] {
            for start in 0..width {
                Fake::say(&stream, &format!("#lobby <bob> ok{}* notice it moves", blank.repeat(start)));
            }
        }
        // A word that fills the row up to its end leaves its last letter for the next one.
        for long in width - head - 2..width - head + 2 {
            Fake::say(&stream, &format!("#lobby <bob> {}* notice it moves", "x".repeat(long)));
        }
        let link = format!("https://example.org/{}", "x".repeat(100));
        Fake::say(&stream, &format!("#lobby <bob> {link} done"));
        let screen = told(&terminal, "x done");
        // The link is not broken by us, so that the terminal knows it for one.
        assert!(screen.lines.iter().any(|line| line.ends_with(&link)), "{screen}");
        let looks = |row: &&String| row.starts_with("* ") || row.starts_with("notice");
        let bad: Vec<&String> = screen.rows.iter().filter(looks).collect();
        assert!(bad.is_empty(), "{bad:?}");
    }
}

/// Things that a terminal would do, were they to reach it.
pub(crate) const HARMFUL: &str = "\x1b[31mred\x1b]0;title\x07\x1b[2J\x1bc\x1b_Ga=T;AAAA\x1b\\\u{9b}2J\u{90}\u{9d}0;x\u{9c}\u{202e}kcab\u{2066}\u{2028}\x08\x7f\x00\r\x0b";

#[test]
fn a_hostile_server_cannot_drive_the_terminal() {
    let harmless = ("x".to_owned(), b"bytes".to_vec());
    let evil = (format!("{HARMFUL}evil"), vec![0x1b; 40_000]);
    let fake = Fake::start(BTreeMap::from([(1, harmless), (2, evil)]));
    let folder = tempfile::tempdir().unwrap();
    let downloads = folder.path().to_str().unwrap();
    let terminal = alice(&fake.address, &["--downloads", downloads], (80, 24), Emulator::Reflowing);
    let mut stream = fake.stream.recv().unwrap();
    let mut say = |text: String| stream.write_all(text.as_bytes()).unwrap();
    for (n, form) in [
        "#lobby [5@2026-11-22T18:26:24.367Z] <bob> HARM",
        "#lobby <HARM> x",
        "#HARM <bob> x",
        "@bob <bob> HARM",
        "@HARM <x> x",
        "#lobby * bob topic HARM",
        "#lobby * HARM joined",
        "#lobby * bob left HARM",
        "#lobby * bob HARM",
        "#lobby * bob file 7 100 HARM.png",
        "#lobby * bob unfile 7 HARM",
        "#lobby * bob renamed HARM",
        "@bob * bob away HARM",
        "* motd HARM",
        "* bye HARM HARM",
        "* presence 7 +HARM -HARM",
        "* hello HARM",
        "* HARM",
        "* locked HARM",
        "HARM",
        "- HARM",
        "+ HARM",
        "! HARM HARM HARM",
        "! say no-room HARM",
        "=HARM",
        "=1 HARM",
        "=1 ! HARM HARM",
        "= ",
        "=",
        "+",
        "-",
        "!",
        "*",
        "",
        "#lobby",
        "#lobby [",
        "#lobby [x] <",
        "#lobby [9999999999999999999999@x] <bob> x",
    ]
    .into_iter()
    .enumerate()
    {
        say(format!("{}\n@bob <bob> mark {n}\n", form.replace("HARM", HARMFUL)));
        told(&terminal, &format!("<bob> mark {n}"));
    }
    say(format!("@bob <bob> {}\n={}\n@bob <bob> after long lines\n", "x".repeat(100_000), "A".repeat(100_000)));
    told(&terminal, "after long lines");
    // Details of a command that was typed are shown as they come, and so is the name of a file.
    terminal.keys("/files\r");
    told(&terminal, "file 2: ");
    terminal.keys("/get 2\r");
    told(&terminal, "evil");
    terminal.keys("/show 2\r");
    told(&terminal, "evil");
    terminal.keys("\x03fine");
    typed(&terminal, "#lobby> fine");
    terminal.keys("\r");
    told(&terminal, "<alice> fine");
    if let Err(found) = sequences(&terminal.raw()) {
        panic!("it got through: {found}");
    }
}

/// Kilobytes of memory that a process holds.
pub(crate) fn resident(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_hostile_server_cannot_fill_the_memory() {
    /// What it says without end: how many quarters of a megabyte, and the line for each number.
    type Flood = (usize, fn(usize) -> String);
    const MEGABYTE: usize = 1024 * 1024;
    let floods: &[Flood] = &[
        (80, |n| format!("* hello guest{n} fake/1 1 online; {}\n", "x".repeat(8_000))),
        (200, |_| format!("- {}\n", "x".repeat(8_000))),
        (8, |n| format!("- here {}\n", (0..100).map(|m| format!("n{n}x{m} ")).collect::<String>())),
        (1, |n| format!("#lobby * alice missed {n} after {n}\n")),
        (200, |n| format!("={n} {}\n", "AAAA".repeat(4_000))),
        (160, |_| "x".repeat(MEGABYTE)),
        (160, |_| format!("={}", "A".repeat(MEGABYTE))),
        (4, |n| format!("\n* presence {n} +new{n} -old{n}\n")),
        (1, |n| format!("#lobby * name{n} typing\n")),
        (1, |n| format!("#lobby [{}@2026-11-22T18:26:24.367Z] <bob> x\n", n * 1_000 + 5)),
        (1, |n| format!("@name{n} <name{n}> {}\n", "x".repeat(8_000))),
        (1, |n| format!("#lobby * bob file {n} 1 {}.png\n", "n".repeat(200))),
        (1, |n| format!("{n} {}\n", "x".repeat(8_000))),
        (1, |n| format!("+ join #room{n} 1\n! x y z\n")),
    ];
    let fake = Fake::start(BTreeMap::new());
    let terminal = alice(&fake.address, &["--bell", "never"], (80, 24), Emulator::Clipping);
    let mut stream = fake.stream.recv().unwrap();
    for (n, (quarters, line)) in floods.iter().enumerate() {
        let (mut sent, mut lines, mut most) = (0, 0, 0);
        while sent < quarters * MEGABYTE / 4 {
            let mut piece = String::new();
            while piece.len() < MEGABYTE / 4 {
                piece += &line(lines);
                lines += 1;
            }
            sent += piece.len();
            stream.write_all(piece.as_bytes()).unwrap();
            most = most.max(resident(terminal.pid()));
        }
        stream.write_all(format!("\n@bob <bob> after flood {n}\n").as_bytes()).unwrap();
        told(&terminal, &format!("<bob> after flood {n}"));
        most = most.max(resident(terminal.pid()));
        assert!(most < 50_000, "{most} KB after flood {n}");
    }
    terminal.keys("fine");
    typed(&terminal, "#lobby> fine");
    terminal.keys("\r");
    told(&terminal, "<alice> fine");
}

#[test]
fn what_a_server_calls_a_file_stays_in_the_folder() {
    let names =
        ["../../evil", ".bashrc", "/etc/passwd", "..", "-rf", "a\tb", "x\u{9b}2J", "CON", "con.part", "\\up\\..\\y"];
    let files = names.iter().zip(1..).map(|(name, id)| (id, ((*name).to_owned(), name.as_bytes().to_vec())));
    let fake = Fake::start(files.collect());
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("deep/down");
    let mut command = connect(&fake.address, &["--downloads", folder.to_str().unwrap()]);
    let terminal = Terminal::start(command.env("HOME", home.path()), 100, 30, Emulator::Clipping, Speaks::Nothing);
    come_in(&terminal, &fake.address);
    for (name, id) in names.iter().zip(1..) {
        terminal.keys(format!("/get {id}\r"));
        let have = |folder: &Path| {
            fs::read_dir(folder).map_or(0, |entries| {
                entries.flatten().filter(|entry| !entry.file_name().to_string_lossy().contains(".part")).count()
            })
        };
        eventually(name, || have(&folder) == id);
    }
    terminal.keys("done\r");
    told(&terminal, "<alice> done");
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.starts_with(['.', '-']) && !name.contains(|c: char| c.is_control()), "{name:?}");
    }
    let others = |folder: &Path| fs::read_dir(folder).unwrap().count();
    assert_eq!((others(&home.path().join("deep")), others(home.path())), (1, 2));
    assert!(sequences(&terminal.raw()).is_ok());
}

//! Logs that are damaged when the server starts: what is good of them is there, the rest is set aside and named, and
//! the start goes on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use testkit::data::{Folder, NOT_KEPT, assert_numbered, history, kill, listing, seq, share, stop, unstamped};
use testkit::{Client, binary, noise};

/// Lines that each room has before it is damaged.
const LINES: usize = 20;

/// Has these rooms talk, each so many lines, and ends the server. Its log is then as it should be.
fn talk(folder: &Folder, rooms: &[&str]) {
    let server = folder.serve(&[]);
    let mut alice = server.person("alice");
    for room in rooms {
        alice.send(&format!("/join #{room}"));
        (1..=LINES).for_each(|n| alice.send(&format!("line {n} of {room}")));
    }
    alice.settle();
    drop(alice);
    let (status, log) = stop(server);
    assert!(status.success(), "{log}");
    for room in rooms {
        assert_eq!(folder.logged(room).len(), LINES, "#{room}");
    }
}

/// What a server says of the rooms that it finds, as `/history` gives it; in each somebody says one line more. The server
/// is killed then. What it logged comes along.
fn found(folder: &Folder, rooms: &[&str], say: &str) -> (Vec<Vec<String>>, String) {
    let server = folder.serve(&["--history", "1000"]);
    let mut bob = server.person("bob");
    bob.ask("/set echo on", "+ set echo on");
    let mut all = Vec::new();
    for room in rooms {
        bob.send(&format!("/join #{room}"));
        bob.until_starting("+ join ");
        all.push(history(&mut bob, &format!("#{room}"), 0));
        bob.send(say);
        let told = bob.until(&format!("#{room} <bob> {say}"));
        assert!(!told.iter().any(|line| line.starts_with(NOT_KEPT)), "#{room}: {told:?}");
    }
    (all, kill(server))
}

/// What becomes of a room's log, and how many of its lines are good after that.
type Damage = (&'static str, fn(&mut Vec<u8>), usize);

const DAMAGES: &[Damage] = &[
    ("torn", |log| log.truncate(log.len() - 5), LINES - 1),
    ("torn-early", |log| log.truncate(start_of(log, LINES) + 1), LINES - 1),
    ("no-end", |log| assert_eq!(log.pop(), Some(b'\n')), LINES - 1),
    ("nuls", |log| log.extend([0; 5000]), LINES),
    (
        "nuls-in-line",
        |log| {
            let len = log.len();
            log[len - 9..].fill(0)
        },
        LINES - 1,
    ),
    ("noise", |log| log.extend(noise(5000, 3)), LINES),
    ("noise-with-ends", |log| log.extend(b"\n\n\x01\x02\n7\n \n- - -\n"), LINES),
    ("all-noise", |log| *log = noise(20_000, 5), 0),
    ("all-nuls", |log| log.fill(0), 0),
    ("utf8", |log| log.extend(b"21 2026-11-22T14:30:00.123Z <alice> \xff\xfe\n"), LINES),
    ("no-time", |log| log.extend(b"21 yesterday <alice> hi\n"), LINES),
    ("no-nick", |log| log.extend(b"21 2026-11-22T14:30:00.123Z alice hi\n"), LINES),
    ("bad-nick", |log| log.extend(b"21 2026-11-22T14:30:00.123Z <on> hi\n"), LINES),
    ("control", |log| log.extend(b"21 2026-11-22T14:30:00.123Z <alice> \x1b[2J\n"), LINES),
    ("backwards", |log| log.extend(b"7 2026-11-22T14:30:00.123Z <alice> hi\n"), LINES),
    ("twice", |log| log.extend_from_within(start_of(log, LINES)..), LINES),
    ("zero", |log| log.extend(b"0 2026-11-22T14:30:00.123Z <alice> hi\n"), LINES),
    ("too-huge", |log| log.extend(b"18446744073709551616 2026-11-22T14:30:00.123Z <alice> hi\n"), LINES),
    ("endless", |log| log.extend(vec![b'x'; 3_000_000]), LINES),
];

/// Where the line of this number starts.
fn start_of(log: &[u8], line: usize) -> usize {
    log.split_inclusive(|&byte| byte == b'\n').take(line - 1).map(<[u8]>::len).sum()
}

#[test]
fn a_damaged_tail_is_set_aside_and_the_good_lines_stay() {
    let rooms: Vec<&str> = DAMAGES.iter().map(|(name, ..)| *name).collect();
    let folder = Folder::new();
    talk(&folder, &rooms);
    let mut damaged = Vec::new();
    for (name, damage, _) in DAMAGES {
        let mut log = fs::read(folder.log(name)).unwrap();
        damage(&mut log);
        fs::write(folder.log(name), &log).unwrap();
        damaged.push(log);
    }
    // Of each of them `check` tells what a start would do.
    let check = Command::new(binary()).args(["check", "--data"]).arg(&folder.path).output().unwrap();
    let told = String::from_utf8(check.stderr).unwrap();
    assert_eq!(check.stdout, b"ok\n");
    for ((name, ..), damaged) in DAMAGES.iter().zip(&damaged) {
        let line = told.lines().find(|line| line.contains(&format!(" the log of #{name} "))).unwrap_or_default();
        assert!(line.contains(" WARN ") && line.contains("; a start sets it aside"), "#{name}: {told}");
        let hint = format!("; if it shall count, end that line: echo >> {}", folder.log(name).display());
        assert!(*name != "no-end" || line.ends_with(&hint), "{line}");
        assert!(fs::read(folder.log(name)).unwrap() == *damaged, "#{name}");
    }
    let (before, warnings) = found(&folder, &rooms, "on we go");
    for ((name, _, good), (lines, damaged)) in DAMAGES.iter().zip(before.iter().zip(&damaged)) {
        assert_eq!(lines.len(), *good, "#{name} {lines:?}");
        assert_numbered(lines, 1);
        for (n, line) in (1..).zip(lines) {
            assert_eq!(unstamped(line), format!("<alice> line {n} of {name}"));
        }
        // What was damaged is not lost: one who looks at both files has it all.
        let aside = folder.path.join(format!("rooms/{name}.damaged-1"));
        let aside_bytes = fs::read(&aside).unwrap_or_else(|e| panic!("{}: {e}", aside.display()));
        let kept = start_of(damaged, good + 1);
        assert!(aside_bytes == damaged[kept..], "{name}: {} bytes set aside of {}", aside_bytes.len(), damaged.len());
        let warning = warnings.lines().find(|line| line.contains(&format!("{name}.damaged-1"))).unwrap_or_default();
        assert!(warning.contains(" WARN "), "#{name}: {warnings}");
        let hint = format!("(cat {}; echo) >> {}, and start it again", aside.display(), folder.log(name).display());
        let is_named = warning.contains("which are line 20 without its end, is now in ") && warning.ends_with(&hint);
        assert!(*name != "no-end" || is_named, "{warning}");
    }
    // The next start finds nothing to complain of, and the new lines have gone on after the good ones.
    let (after, warnings) = found(&folder, &rooms, "and on");
    assert!(!warnings.contains(" WARN "), "{warnings}");
    for ((name, _, good), (before, after)) in DAMAGES.iter().zip(before.iter().zip(&after)) {
        assert_eq!(after.len(), good + 1, "#{name}");
        assert_eq!(after[..*good], before[..], "#{name}");
        assert_numbered(after, 1);
        assert_eq!(unstamped(&after[*good]), "<bob> on we go");
    }
    // What is set aside a second time does not replace what was set aside before.
    let first = fs::read(folder.path.join("rooms/torn.damaged-1")).unwrap();
    let mut log = fs::read(folder.log("torn")).unwrap();
    log.extend(b"not the end");
    fs::write(folder.log("torn"), log).unwrap();
    let (lines, warnings) = found(&folder, &["torn"], "still here");
    assert_eq!(lines[0].len(), LINES - 1 + 2);
    assert!(warnings.contains("torn.damaged-2"), "{warnings}");
    assert_eq!(fs::read(folder.path.join("rooms/torn.damaged-1")).unwrap(), first);
    assert_eq!(fs::read(folder.path.join("rooms/torn.damaged-2")).unwrap(), b"not the end");
}

#[test]
fn damage_before_the_end_is_left_out_and_stays_where_it_is() {
    let folder = Folder::new();
    talk(&folder, &["a"]);
    let mut log = fs::read(folder.log("a")).unwrap();
    let (from, to) = (start_of(&log, 11), start_of(&log, 13));
    log[from..to - 1].fill(0);
    fs::write(folder.log("a"), &log).unwrap();
    let check = Command::new(binary()).args(["check", "--data"]).arg(&folder.path).output().unwrap();
    let told = String::from_utf8(check.stderr).unwrap();
    assert!(told.contains("/a.log, as no message can be like that: "), "{told}");
    for round in 0..2 {
        let (lines, warnings) = found(&folder, &["a"], "on");
        let numbers: Vec<u64> = lines[0].iter().map(|line| seq(line)).collect();
        let want: Vec<u64> = (1..=LINES as u64 + round).filter(|n| !(11..13).contains(n)).collect();
        assert_eq!(numbers, want);
        assert!(warnings.lines().any(|line| line.contains(" WARN ") && line.contains("a.log")), "{warnings}");
        assert!(fs::read(folder.log("a")).unwrap().starts_with(&log), "what was there has changed");
    }
    assert_eq!(listing(&folder.path.join("rooms")), ["a.log"]);
}

#[test]
fn a_tail_that_was_torn_before_the_log_was_cut_is_told_of() {
    // A loss of power may take the end of the older half when the new one has nothing yet.
    let folder = Folder::new();
    talk(&folder, &["a"]);
    let mut log = fs::read(folder.log("a")).unwrap();
    log.truncate(log.len() - 5);
    fs::remove_file(folder.log("a")).unwrap();
    fs::write(folder.log("a").with_extension("log.1"), &log).unwrap();
    let (lines, warnings) = found(&folder, &["a"], "on");
    assert_eq!(lines[0].len(), LINES - 1);
    assert!(warnings.lines().any(|line| line.contains(" WARN ")), "{warnings}");
}

#[test]
fn an_empty_log_is_no_damage() {
    let folder = Folder::new();
    talk(&folder, &["a"]);
    fs::write(folder.log("a"), "").unwrap();
    let (lines, warnings) = found(&folder, &["a"], "hi");
    assert_eq!(lines[0], Vec::<String>::new());
    assert!(!warnings.contains(" WARN "), "{warnings}");
    assert_eq!(listing(&folder.path.join("rooms")), ["a.log"]);
}

#[test]
fn of_two_spellings_the_log_with_the_last_word_counts() {
    let folder = Folder::new();
    talk(&folder, &["team", "crew"]);
    // A full disk has left an empty log, and a backup an old one. Both spellings come first in the alphabet.
    fs::write(folder.log("Team"), "").unwrap();
    fs::write(folder.log("Crew"), "1 2001-01-01T00:00:00.000Z <alice> long ago\n").unwrap();
    let (lines, warnings) = found(&folder, &["team", "crew"], "hi");
    assert!(lines.iter().all(|lines| lines.len() == LINES), "{warnings}");
    for other in ["Team", "Crew"] {
        assert!(warnings.contains(&format!("the log of #{other} is left alone")), "{warnings}");
    }
    assert_eq!(folder.logged("Crew").len(), 1);
    assert_eq!(folder.logged("team").len(), LINES + 1);
}

#[test]
fn the_last_number_there_is_ends_nothing() {
    let folder = Folder::new();
    talk(&folder, &["a"]);
    for seq in ["18446744073709551615", "18446744073709551614", "9223372036854775807"] {
        let line = format!("{seq} 2026-11-22T14:30:00.123Z <alice> hi\n");
        fs::write(folder.log("a"), line).unwrap();
        let server = folder.serve(&[]);
        let mut bob = server.in_room("bob", "#a");
        bob.ask("/set echo on", "+ set echo on");
        for _ in 0..3 {
            bob.send("on");
            bob.until("#a <bob> on");
        }
        bob.send("/history #a");
        bob.until_starting("+ history #a ");
        kill(server);
    }
}

#[test]
fn a_log_that_was_just_cut_goes_on() {
    let folder = Folder::new();
    talk(&folder, &["a", "b", "c"]);
    let older = |room| folder.log(room).with_extension("log.1");
    // Between two steps of cutting it there is only the older half.
    fs::rename(folder.log("a"), older("a")).unwrap();
    // The new one has been made, and nothing is in it.
    fs::rename(folder.log("b"), older("b")).unwrap();
    fs::write(folder.log("b"), "").unwrap();
    // The older half is damaged where it ends.
    let log = fs::read(folder.log("c")).unwrap();
    let (half, end) = (start_of(&log, 11), start_of(&log, 10) + 3);
    fs::write(older("c"), &log[..end]).unwrap();
    fs::write(folder.log("c"), &log[half..]).unwrap();
    let (before, warnings) = found(&folder, &["a", "b", "c"], "on");
    for lines in &before[..2] {
        assert_eq!(lines.len(), LINES, "{warnings}");
        assert_numbered(lines, 1);
    }
    // Which half is taken then is the server's choice, but nothing bad of it is shown, and no number comes again.
    assert!(before[2].iter().all(|line| unstamped(line).ends_with(" of c")), "{:?}", before[2]);
    assert!(before[2].is_sorted_by(|a, b| seq(a) < seq(b)), "{:?}", before[2]);
    let (after, _) = found(&folder, &["a", "b", "c"], "on");
    for (room, (before, after)) in before.iter().zip(&after).enumerate() {
        assert_eq!(after[..before.len()], before[..], "room {room}");
        assert_eq!(seq(after.last().unwrap()), LINES as u64 + 1, "room {room}: {after:?}");
    }
}

#[test]
fn what_is_none_of_its_own_is_left_alone() {
    let folder = Folder::new();
    talk(&folder, &["a"]);
    let file = |name: &str| folder.path.join(name);
    let noise = noise(3000, 1);
    let foreign = [
        "rooms/README",
        "rooms/.a.log.swp",
        "rooms/no room.log",
        "rooms/a.log.2",
        "rooms/a.log~",
        "rooms/a.log.1.gz",
        "rooms/a.damaged-x",
        "rooms/thirty-one-letters-and-one-more-x.log",
        "spool/README",
        "spool/1.bak",
        "spool/note.info",
        "notes.txt",
    ];
    for name in foreign {
        fs::write(file(name), &noise).unwrap();
    }
    for name in ["rooms/x.log", "rooms/y.log.1", "rooms/sub", "spool/77", "spool/sub"] {
        fs::create_dir(file(name)).unwrap();
        fs::write(file(name).join("inside"), &noise).unwrap();
    }
    fs::write(file("rooms/none.log"), "").unwrap();
    fs::set_permissions(file("rooms/none.log"), fs::Permissions::from_mode(0o000)).unwrap();
    let (lines, _) = found(&folder, &["a"], "hi");
    assert_eq!(lines[0].len(), LINES);
    for name in foreign {
        assert!(fs::read(file(name)).is_ok_and(|bytes| bytes == noise), "{name} is not as it was");
    }
    for name in ["rooms/x.log", "rooms/y.log.1", "rooms/sub", "spool/77", "spool/sub"] {
        assert!(fs::read(file(name).join("inside")).is_ok_and(|bytes| bytes == noise), "{name} is not as it was");
    }
    // A room whose log cannot be is a room all the same.
    let server = folder.serve(&[]);
    let mut bob = server.person("bob");
    bob.send("/set echo on\n/join #x\nhello");
    bob.until("#x <bob> hello");
    bob.send("/join #a\nhello");
    bob.until("#a <bob> hello");
}

#[test]
fn numbers_that_were_taken_back_are_given_to_no_other_message() {
    let folder = Folder::new();
    let server = folder.serve(&[]);
    let mut ann = server.in_room("ann", "#den");
    ann.ask("/set echo on", "+ set echo on");
    ann.ask("/register correct-horse", "+ register ann");
    ann.send("/join #tea\n/leave #den");
    ann.until("+ leave #den");
    let say = |ann: &mut Client, text: &str| {
        ann.send(&format!("/msg #tea {text}"));
        ann.until("+ msg #tea");
    };
    say(&mut ann, "one");
    let before = fs::read(folder.log("tea")).unwrap();
    for n in 2..=5 {
        say(&mut ann, &format!("spam {n}"));
    }
    ann.ask("/erase #tea 3 5", "+ erase #tea 3");
    drop(ann);
    stop(server);
    let whole = fs::read(folder.log("tea")).unwrap();
    // The last number that there is, and what is left of the log then: all, what an older copy of it has, nothing, no file.
    for (log, told, shown) in [
        (Some(&whole), None, 2),
        (Some(&before), Some("the log of #tea ends with message 1, "), 1),
        (Some(&Vec::new()), Some("the log of #tea has no message, "), 0),
        (None, Some("the log of #tea has no message, "), 0),
    ] {
        match log {
            Some(log) => fs::write(folder.log("tea"), log).unwrap(),
            None => fs::remove_file(folder.log("tea")).unwrap(),
        }
        let checked = Command::new(binary()).args(["check", "--data"]).arg(&folder.path).output().unwrap();
        let checked = String::from_utf8(checked.stderr).unwrap();
        let server = folder.serve(&[]);
        let mut bob = server.in_room("bob", "#tea");
        bob.send("new");
        bob.settle();
        let lines = history(&mut bob, "#tea", 0);
        let last = lines.last().map(String::as_str).unwrap_or_default();
        assert!(lines.len() == shown + 1 && seq(last) == 6 && unstamped(last) == "<bob> new", "{lines:?}");
        drop(bob);
        // It is there after a restart too.
        stop(server);
        let server = folder.serve(&[]);
        let mut bob = server.in_room("bob", "#tea");
        assert_eq!(history(&mut bob, "#tea", 0), lines);
        drop(bob);
        let log = stop(server).1;
        assert!(!log.contains("the log of #tea"), "nothing is missing any more: {log}");
        match told {
            Some(told) => {
                assert!(
                    checked.contains(told) && checked.contains("; the next message is 6\n"),
                    "not {told}: {checked}"
                );
            }
            None => assert!(!checked.contains("the log of"), "{checked}"),
        }
    }
}

#[test]
fn the_folder_of_an_older_server_is_taken_over() {
    // It knew no rooms and no whole files: numbers of files go on, and what it left in the spool goes.
    let folder = Folder::new();
    fs::create_dir_all(folder.path.join("spool")).unwrap();
    fs::write(folder.path.join("next-id"), "4097\n").unwrap();
    fs::write(folder.path.join("spool/3"), "left over").unwrap();
    let server = folder.serve(&[]);
    let mut alice = server.in_room("alice", "#a");
    assert_eq!(share(&mut alice, "#a", b"new", "x"), 4097);
    alice.send("hi");
    alice.settle();
    kill(server);
    assert_eq!(folder.logged("a").len(), 1);
    assert!(!Path::exists(&folder.path.join("spool/3")));
}

//! The rooms' logs: whatever stands in one, what is read from it has ascending numbers and is what was written, damage
//! at its end costs nothing before it, it is repaired at once and for good, and the room goes on from there.
#![no_main]

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use arbitrary::{Result, Unstructured};
use chinwag::effect::{Logged, PastRoom};
use chinwag::event::{Change, Detail, Event, SaidKind, Setting};
use chinwag::hub::Hub;
use chinwag::journal::{self, Logs};
use chinwag::names::{ConnId, Nick, Origin, RoomName, Text, Wire};
use chinwag::request::{HistoryPart, Named, Request, Target};
use chinwag::settings::Settings;
use chinwag::time::{Instant, Now};
use libfuzzer_sys::fuzz_target;
use testkit::memory::{Notes, Told};

fuzz_target!(|bytes: &[u8]| {
    let mut plan = Unstructured::new(bytes);
    // A plan that is too short ends where it ends.
    let _ = run(&mut plan);
});

fn run(plan: &mut Unstructured<'_>) -> Result<()> {
    let flags: u8 = plan.arbitrary()?;
    let wanted = *plan.choose(&[200, 1, 2, 5])?;
    // Files take their time, and so come seldom.
    if flags & 15 == 15 {
        let (older, newest) = (contents(plan, 700)?, contents(plan, 700)?);
        check_files((flags & 16 != 0).then_some(&older[..]), &newest, wanted);
    } else if flags & 15 == 14 {
        check_writing(plan, wanted)?;
    } else {
        let log = contents(plan, 3)?;
        check_reading(&log, plan.int_in_range(0..=log.len())?);
        check_room(&log);
    }
    Ok(())
}

/// No room comes so far.
const FAR: u64 = 1 << 59;

/// A log: lines as they are written, with all sorts of damage. Some have a text of many words, so that it is not read
/// in one go.
fn contents(plan: &mut Unstructured<'_>, words: usize) -> Result<Vec<u8>> {
    let (mut log, mut seq) = (Vec::new(), 0_u64);
    let mut long_blocks = 0;
    for _ in 0..plan.int_in_range(0..=12u8)? {
        match plan.int_in_range(0..=11u8)? {
            0..4 => {
                seq = seq.saturating_add(plan.int_in_range(1..=3u8)?.into());
                log.extend(spelled(&message(plan, seq)?));
            }
            4 => {
                let len = usize::from(plan.int_in_range(0..=40u8)?).min(plan.len());
                log.extend(plan.bytes(len)?);
            }
            5 => log.extend(vec![0; plan.arbitrary::<u8>()?.into()]),
            6 => log.push(b'\n'),
            7 => log.truncate(log.len().saturating_sub(plan.int_in_range(1..=40u8)?.into())),
            8 if !log.is_empty() => {
                let at = plan.choose_index(log.len())?;
                log[at] = plan.arbitrary()?;
            }
            9 => seq = *plan.choose(&[0, 1, 5, FAR - 2, u64::MAX - 2])?,
            10 if long_blocks < 1 => {
                long_blocks += 1;
                for _ in 0..*plan.choose(&[3, 30])? {
                    seq = seq.saturating_add(1);
                    let line = Logged { text: Text::new(&"long ".repeat(words)), ..message(plan, seq)? };
                    log.extend(spelled(&line));
                }
            }
            _ => log.extend(b"7 2026-11-22T14:30:00.123Z <alice> hi"),
        }
    }
    Ok(log)
}

fn message(plan: &mut Unstructured<'_>, seq: u64) -> Result<Logged> {
    let len = usize::from(plan.int_in_range(0..=12u8)?).min(plan.len());
    let text = Text::new(&String::from_utf8_lossy(plan.bytes(len)?));
    let kind = if plan.arbitrary()? { SaidKind::Action } else { SaidKind::Text };
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(plan.arbitrary::<u32>()?.into());
    let from = *plan.choose(&["alice", "B", "guest12345678901"])?;
    Ok(Logged { seq, at, from: Nick::new(from).expect("a name"), kind, text })
}

fn spelled(line: &Logged) -> Vec<u8> {
    let mut log = String::new();
    journal::encode(&mut log, line);
    log.into_bytes()
}

fn check_reading(log: &[u8], cut: usize) {
    let reading = journal::read(log);
    assert!(reading.lines.is_sorted_by(|one, next| one.seq < next.seq), "numbers that do not ascend");
    assert!(reading.good <= log.len() && (reading.good == 0 || log[reading.good - 1] == b'\n'));
    assert_eq!(reading.lines.is_empty(), reading.good == 0);
    // As they were before an editor for Windows saved them.
    let lines = log.split(|&b| b == b'\n').map(|line| {
        let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    });
    let lines: Vec<&[u8]> = lines.collect();
    for line in &reading.lines {
        let spelled = spelled(line);
        assert!(lines.contains(&&spelled[..spelled.len() - 1]), "{line:?} is read and was not written");
        assert_eq!(journal::parse(&spelled[..spelled.len() - 1]).as_ref(), Some(line));
    }
    for line in lines {
        if let Some(read) = journal::parse(line) {
            assert_eq!(spelled(&read), [line, b"\n"].concat());
        }
    }
    // What is repaired is whole.
    let repaired = &log[..reading.good];
    assert_eq!(journal::read(repaired), reading);
    // And what is written next is read.
    let last = reading.lines.last().map_or(0, |line| line.seq);
    let seq = last + 1;
    if seq < FAR {
        let next = Logged {
            seq,
            at: SystemTime::UNIX_EPOCH,
            from: Nick::new("ann").expect("a name"),
            kind: SaidKind::Text,
            text: Text::new("next"),
        };
        let longer = journal::read(&[repaired, &spelled(&next)[..]].concat());
        assert_eq!(longer.lines.split_last(), Some((&next, &reading.lines[..])));
        assert_eq!(longer.good, repaired.len() + spelled(&next).len());
    }
    // A crash that cuts the log costs nothing before the cut, and nothing that follows it costs anything.
    let torn = journal::read(&log[..cut]);
    let whole = reading.lines.iter().take(torn.lines.len());
    assert!(torn.lines.iter().eq(whole), "a cut changes what stands before it");
    assert!(torn.good <= reading.good && torn.skipped <= reading.skipped);
    let whole_lines = log[..cut].iter().rposition(|&b| b == b'\n').map_or(0, |end| end + 1);
    assert_eq!(torn.lines, journal::read(&log[..whole_lines]).lines);
}

/// A room that is restored from a log has its messages, and goes on counting after them.
fn check_room(log: &[u8]) {
    let lines = journal::read(log).lines;
    let Some(last) = lines.last().cloned() else { return };
    let name = RoomName::new("#room").expect("a name");
    let mut hub = Hub::new(Settings { history: 5, ..Settings::default() });
    hub.restore_room(PastRoom { name, topic: None, last_seq: last.seq, lines: lines.clone() });
    hub.check();
    let (id, mut notes) = (ConnId::new(0, 1), Notes::default());
    let now = Now { at: Instant::START, wall: SystemTime::UNIX_EPOCH };
    let mut handle = |hub: &mut Hub, request| {
        hub.handle(id, now, request, &mut notes);
        notes.go_on(hub, now);
        hub.check();
        std::mem::take(&mut notes.told)
    };
    hub.connect(id, Origin::Loopback, Wire::Secure, now, &mut Notes::default());
    let room = Named { typed: "#room", name: Ok(name) };
    handle(&mut hub, Request::Join { room, key: None });
    handle(&mut hub, Request::Set(Some(Change { setting: Setting::Echo, on: true })));
    let told = handle(&mut hub, Request::History { room: None, part: HistoryPart::Last(None) });
    let seen = told.iter().filter_map(|(_, told)| match told {
        Told::Detail(Detail::Line { seq, at, from, kind, text }) => {
            Some(Logged { seq: *seq, at: *at, from: *from, kind: *kind, text: text.clone() })
        }
        _ => None,
    });
    assert_eq!(seen.collect::<Vec<_>>(), lines[lines.len().saturating_sub(5)..]);
    let told = handle(&mut hub, Request::Msg { target: Target::Room(room), kind: SaidKind::Text, text: "on" });
    let said = told.iter().find_map(|(_, told)| match told {
        Told::Event(Event::Said { seq, .. }) => *seq,
        _ => None,
    });
    assert!(said.is_some_and(|seq| seq > last.seq), "{said:?} after {}", last.seq);
}

/// A folder with these logs gives what can be read from them, is repaired at once, and takes what is said next.
fn check_files(older: Option<&[u8]>, newest: &[u8], wanted: usize) {
    let dir = tempfile::tempdir().expect("a folder");
    let (log, old_log) = (dir.path().join("room.log"), dir.path().join("room.log.1"));
    fs::write(&log, newest).expect("a file");
    older.iter().for_each(|older| fs::write(&old_log, older).expect("a file"));
    let reading = journal::read(newest);
    let first = reading.lines.first().map_or(u64::MAX, |line| line.seq);
    let mut want = older.map(|older| journal::read(older).lines).unwrap_or_default();
    want.retain(|line| line.seq < first);
    want.extend(reading.lines);
    want.drain(..want.len().saturating_sub(wanted));

    assert_eq!(load(dir.path(), wanted), want, "the first time");
    // One of which nothing is good is moved away whole.
    assert_eq!(fs::read(&log).unwrap_or_default(), newest[..reading.good]);
    let mut tails = vec![&newest[reading.good..]];
    if let Some(older) = older {
        // It is left alone while the newest log has all that is wanted.
        let good = journal::read(older).good;
        let left = fs::read(&old_log).unwrap_or_default();
        assert!(left == older || left == older[..good]);
        tails.push(&older[left.len()..]);
    }
    tails.retain(|tail| !tail.is_empty());
    let aside = |n: usize| fs::read(dir.path().join(format!("room.damaged-{n}"))).ok();
    let set_aside: Vec<_> = (1..=3).map_while(aside).collect();
    assert_eq!(set_aside, tails);
    assert_eq!(load(dir.path(), wanted), want, "the second time");
    assert_eq!((1..=3).map_while(aside).count(), tails.len(), "what is repaired is repaired again");

    let seq = want.last().map_or(0, |line| line.seq) + 1;
    let from = Nick::new("ann").expect("a name");
    let next = Logged { seq, at: SystemTime::UNIX_EPOCH, from, kind: SaidKind::Text, text: Text::new("next") };
    if seq >= FAR {
        return;
    }
    append(&mut Logs::new(dir.path().to_owned(), 1 << 20, None), &next);
    want.push(next);
    want.drain(..want.len().saturating_sub(wanted));
    assert_eq!(load(dir.path(), wanted), want, "with one more");
}

/// What is written, by many processes one after the other, with logs that are cut, is read from the last one back.
fn check_writing(plan: &mut Unstructured<'_>, wanted: usize) -> Result<()> {
    let dir = tempfile::tempdir().expect("a folder");
    let max = *plan.choose(&[100, 400, 2_000, 1 << 20])?;
    let mut logs = Logs::new(dir.path().to_owned(), max, None);
    let mut written: Vec<Logged> = Vec::new();
    let mut torn = false;
    while !plan.is_empty() && written.len() < 40 {
        match plan.int_in_range(0..=7u8)? {
            0 => logs = Logs::new(dir.path().to_owned(), max, None),
            1 if !torn => {
                // The process ends in the midst of a write, and what it wrote is damaged.
                let path = dir.path().join("room.log");
                let mut log = fs::read(&path).unwrap_or_default();
                let len = usize::from(plan.int_in_range(1..=20u8)?).min(plan.len());
                log.extend(plan.bytes(len)?.iter().map(|&b| if b == b'\n' { b' ' } else { b }));
                fs::write(&path, log).expect("a file");
                logs = Logs::new(dir.path().to_owned(), max, None);
                torn = true;
            }
            2 => {
                check_suffix(&load(dir.path(), wanted), &written, wanted.min(1));
                torn = false;
                logs = Logs::new(dir.path().to_owned(), max, None);
            }
            _ => {
                let seq = written.last().map_or(0, |line| line.seq) + u64::from(plan.int_in_range(1..=2u8)?);
                let line = message(plan, seq)?;
                append(&mut logs, &line);
                written.push(line);
                torn = false;
            }
        }
    }
    let read = load(dir.path(), wanted);
    check_suffix(&read, &written, wanted.min(1));
    assert_eq!(load(dir.path(), wanted), read);
    let len = |name: &str| fs::metadata(dir.path().join(name)).map_or(0, |data| data.len());
    assert!(len("room.log") < max / 2 + 1, "a log beyond half of what it may have");
    Ok(())
}

/// What is read is what was written last, with nothing left out in between.
fn check_suffix(read: &[Logged], written: &[Logged], least: usize) {
    assert!(written.ends_with(read), "{read:?}\nafter\n{written:?}");
    assert!(read.len() >= least.min(written.len()), "nothing is read of\n{written:?}");
}

fn append(logs: &mut Logs, line: &Logged) {
    let lines = String::from_utf8(spelled(line)).expect("text");
    logs.append(RoomName::new("#room").expect("a name"), &lines).expect("a log");
}

fn load(folder: &Path, wanted: usize) -> Vec<Logged> {
    let load = |known| {
        let mut rooms = journal::load(folder, wanted, known).expect("a folder");
        let room = rooms.next();
        assert!(rooms.next().is_none());
        room
    };
    let room = load(1);
    let lines = room.as_ref().map_or(Vec::new(), |room| room.lines.clone());
    assert_eq!(room.as_ref().map(|room| room.last_seq), lines.last().map(|line| line.seq));
    // A room that is only known has all but its lines.
    assert_eq!(load(0), room.map(|room| PastRoom { lines: Vec::new(), ..room }));
    lines
}

//! The ledger: whatever stands in one, either the line that is damaged is named or all before a torn tail is read; a line is read
//! in one spelling only; and what is written of all that it makes says the same again.
#![no_main]

use std::time::{Duration, SystemTime};

use chinwag::ledger::{encode, parse, read};
use chinwag::register::Register;
use chinwag::time::Day;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let lines = || bytes.split_inclusive(|&b| b == b'\n');
    for line in lines() {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if let Some(entry) = parse(line) {
            let mut same = String::new();
            encode(&mut same, &entry);
            assert_eq!(same.as_bytes(), [line, b"\n"].concat());
        }
    }
    let reading = match read(bytes) {
        Ok(reading) => reading,
        Err(damage) => {
            // What stands before it is good.
            let before: Vec<u8> = lines().take(damage.line - 1).flatten().copied().collect();
            assert_eq!(read(&before).map(|reading| reading.good), Ok(before.len()));
            return;
        }
    };
    assert!(reading.good <= bytes.len());
    let mut register = Register::default();
    for entry in reading.entries {
        register.apply(entry);
        register.check();
    }
    let today = Day::of(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000));
    let mut written = String::new();
    register.entries(today).for_each(|entry| encode(&mut written, &entry));
    let mut again = Register::default();
    let reading = read(written.as_bytes()).expect("what we write is good");
    assert_eq!(reading.good, written.len());
    reading.entries.into_iter().for_each(|entry| again.apply(entry));
    again.check();
    // The order of names is not kept.
    let sorted = |register: &Register| {
        let mut lines: Vec<String> = register.entries(today).map(|entry| format!("{entry:?}")).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(sorted(&register), sorted(&again));
});

//! The core: whatever people, time and disk do, in whatever order, what must hold between people, rooms and files holds
//! after each step, every command gets its one reply, what is told is one clean line, and nothing stays when all have
//! gone. It may be killed at any time and begins again from what was logged and stored, and no number goes back.
//!
//! The model is that of the tests; here the fuzzer decides.
#![no_main]

use std::time::Duration;

use arbitrary::Unstructured;
use chinwag::settings::{Logging, Settings};
use libfuzzer_sys::fuzz_target;
use testkit::alone::Alone;
use testkit::model::{Chance, Crowd, PASSWORD};

/// As many at once at most.
const MOST: usize = 7;

/// What the fuzzer wants to happen. When it is used up, the first of all choices is made.
struct Plan<'a>(Unstructured<'a>);

impl Chance for Plan<'_> {
    fn below(&mut self, n: usize) -> usize {
        self.0.choose_index(n).unwrap_or_default()
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut plan = Plan(Unstructured::new(bytes));
    let settings = settings(&mut plan);
    let is_logged = settings.log.is_some();
    let mut crowd = Crowd::new(Alone::new(settings), MOST);
    // Mostly there are some to whom something can happen.
    for _ in 0..plan.below(4) {
        crowd.connect(&mut plan);
    }
    crowd.hear_all();
    for _ in 0..500 {
        if plan.0.is_empty() {
            break;
        }
        match plan.below(64) {
            62 if is_logged => crowd.restart(&mut plan),
            63 => crowd.rest(),
            _ => crowd.step(&mut plan),
        }
    }
    crowd.part_all();
    crowd.world.end();
});

fn settings(plan: &mut Plan<'_>) -> Settings {
    let mut is_so = || plan.below(2) == 1;
    Settings {
        name: is_so().then(|| "a \u{202e}server".to_owned()),
        motd: if is_so() { vec!["hello\x1b".to_owned(), String::new()] } else { Vec::new() },
        password: (is_so() && is_so()).then(|| PASSWORD.to_owned()),
        history: if is_so() { 3 } else { 0 },
        max_file: 80_000,
        spool: 60_000,
        file_ttl: Duration::from_secs(3600),
        log: is_so().then_some(Logging { max: 1 << 20, sync: Duration::ZERO }),
        ..Settings::default()
    }
}

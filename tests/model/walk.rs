//! A random walk over the core alone: whatever people do, in whatever order, what must hold holds after each step.

use std::collections::BTreeMap;
use std::time::Duration;

use chinwag::commands;
use chinwag::settings::{Logging, Settings};
use testkit::alone::Alone;
use testkit::model::{Crowd, PASSWORD, check_met};
use testkit::seeds;

fn settings(seed: u64) -> Settings {
    let log = seed.is_multiple_of(4).then_some(Logging { max: u64::MAX, sync: Duration::ZERO });
    let history = if seed.is_multiple_of(2) { 0 } else { 5 } + if log.is_some() { seed as usize % 3 * 4 } else { 0 };
    Settings {
        name: seed.is_multiple_of(5).then(|| "a \u{202e}server".to_owned()),
        motd: if seed.is_multiple_of(7) { vec!["hello\x1b".to_owned(), String::new()] } else { Vec::new() },
        password: (seed % 8 == 3).then(|| PASSWORD.to_owned()),
        history,
        log,
        max_file: 80_000,
        spool: 90_000,
        file_ttl: Duration::from_secs(3600),
        clear_passwords: !seed.is_multiple_of(3),
        ..Settings::default()
    }
}

#[test]
fn a_hundred_thousand_steps() {
    let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in seeds(100) {
        let (settings, mut chance) = (settings(seed), fastrand::Rng::with_seed(seed));
        let is_logged = settings.log.is_some();
        let mut crowd = Crowd::new(Alone::new(settings), 9);
        for step in 0..2000 {
            crowd.step(&mut chance);
            if step % 50 == 49 {
                crowd.rest();
            }
            if is_logged && step % 700 == 699 {
                crowd.world.restart();
                crowd.killed();
            }
        }
        crowd.part_all();
        crowd.world.end();
        for (what, times) in crowd.counted {
            *counted.entry(what).or_default() += times;
        }
    }
    check_met(&counted, &[], 20);
    assert!(
        counted.get("resumed").is_some_and(|&times| times >= 5),
        "hardly an upload was taken up again: {counted:?}"
    );
    let never: Vec<_> = commands::TABLE.iter().filter(|spec| !counted.contains_key(spec.name)).collect();
    assert!(never.is_empty(), "the walk never used {never:?}");
}

//! A random walk over the core alone: whatever people do, in whatever order, what must hold holds after each step.

use std::collections::BTreeMap;
use std::time::Duration;

use chinwag::commands;
use chinwag::settings::{Logging, Settings};
use testkit::alone::Alone;
use testkit::model::{Crowd, PASSWORD, check_met};
use testkit::seeds;

fn settings(seed: u64) -> Settings {
    let log = (seed % 4 != 1).then_some(Logging { max: u64::MAX, sync: Duration::ZERO });
    let history =
        if (seed / 2).is_multiple_of(2) { 0 } else { 5 } + if log.is_some() { seed as usize % 3 * 4 } else { 0 };
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
fn two_hundred_thousand_steps() {
    let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in seeds(100) {
        let ran = std::panic::catch_unwind(|| run(seed));
        let ran = ran.unwrap_or_else(|_| panic!("again with CHINWAG_SEED={seed}"));
        for (what, times) in ran {
            *counted.entry(what).or_default() += times;
        }
    }
    check_met(&counted, &["beside", "dropped", "crashed", "asked of hidden"], 20);
    check_met(&counted, &["killed", "blocked", "granted", "revoked", "operator", "wall", "forgotten"], 20);
    check_met(&counted, &["resumed", "given up", "once", "asked of its files", "put out with their token"], 5);
    check_met(&counted, &["hidden still", "left for a ban"], 2);
    let commands: Vec<&str> = commands::TABLE.iter().map(|spec| spec.name).collect();
    check_met(&counted, &commands, 1);
}

/// People do whatever they do, step by step, and the server may be killed at any of them.
fn run(seed: u64) -> BTreeMap<&'static str, u64> {
    let (settings, mut chance) = (settings(seed), fastrand::Rng::with_seed(seed));
    let is_logged = settings.log.is_some();
    let mut crowd = Crowd::new(Alone::new(settings), 9);
    for step in 0..2000 {
        crowd.step(&mut chance);
        if step % 50 == 49 {
            crowd.rest();
        }
        if is_logged && chance.usize(..500) == 0 {
            crowd.restart(&mut chance);
        }
    }
    crowd.part_all();
    crowd.world.end();
    crowd.counted
}

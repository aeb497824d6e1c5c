//! The whole server over connections, time, disk and log in memory, one seed a run.

use std::collections::BTreeMap;
use std::time::Duration;

use chinwag::settings::{Logging, Settings};
use testkit::model::{Crowd, PASSWORD, World, check_met};
use testkit::seeds;
use testkit::sim::Sim;

fn settings(seed: u64) -> Settings {
    Settings {
        password: (seed % 16 == 3).then(|| PASSWORD.to_owned()),
        max_clients: if seed % 8 == 5 { 5 } else { 100 },
        max_per_ip: if seed % 8 == 6 { 1 } else { 100 },
        rate: if seed.is_multiple_of(2) { 0 } else { 20 },
        history: 5,
        max_file: 80_000,
        spool: 90_000,
        stall: Duration::from_secs(if seed.is_multiple_of(3) { 10 } else { 60 }),
        clear_passwords: !seed.is_multiple_of(3),
        log: (!seed.is_multiple_of(4)).then_some(Logging { max: u64::MAX, sync: Duration::ZERO }),
        ..Settings::default()
    }
}

#[test]
fn ten_thousand_runs_of_the_whole_server() {
    let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in seeds(10_000) {
        let ran = std::panic::catch_unwind(|| run(seed));
        let ran = ran.unwrap_or_else(|_| panic!("again with CHINWAG_SEED={seed}"));
        for (what, times) in ran {
            *counted.entry(what).or_default() += times;
        }
    }
    check_met(
        &counted,
        &[
            "gathered",
            "cut off",
            "taken up",
            "given up for another",
            "beside",
            "given up",
            "dropped",
            "ended with a name",
            "crashed",
            "operated",
        ],
        10,
    );
}

/// The first of so many owns a name, and the others come in beside them; some of them have their places kept.
fn be_one(crowd: &mut Crowd<Sim>, count: usize) {
    let (name, password) = ("/nick ann", "correct-horse");
    crowd.send_line(0, name);
    crowd.send_line(0, &format!("/register {password}"));
    crowd.world.pass(Duration::from_secs(1));
    crowd.hear_all();
    (1..count).for_each(|who| crowd.send_line(who, &format!("/login ann {password}")));
    crowd.world.pass(Duration::from_secs(1));
    crowd.hear_all();
    (0..count).for_each(|who| crowd.keep_place(who));
    crowd.world.pass(Duration::from_millis(200));
    crowd.hear_all();
}

/// People come, do whatever they do, rest, and go; or the server ends.
fn run(seed: u64) -> BTreeMap<&'static str, u64> {
    let mut chance = fastrand::Rng::with_seed(seed);
    // What is said is gathered only where more hear it than are few to begin with.
    let is_large = seed % 40 == 1;
    let most = if is_large { 48 } else { 6 };
    let mut crowd = Crowd::new(Sim::new(seed, settings(seed)), most);
    crowd.is_flooded = seed.is_multiple_of(50);
    for _ in 0..most - 3 {
        crowd.connect(&mut chance);
    }
    if is_large {
        (0..most - 3).for_each(|who| crowd.send_line(who, "/join #a"));
    }
    if seed % 8 == 7 {
        be_one(&mut crowd, most - 3);
    }
    if seed % 40 == 2 {
        // Those who read slowly take a little of long answers now and then, which is enough or is not.
        for _ in 0..4 {
            (0..most - 3).for_each(|who| (0..15).for_each(|_| crowd.send_line(who, "/help")));
            crowd.world.pass(Duration::from_secs(60));
            crowd.hear_all();
        }
    }
    for _ in 0..60 {
        crowd.step(&mut chance);
    }
    if seed % 10 == 9 {
        crowd.world.end();
        crowd.hear_all();
        return crowd.counted;
    }
    // At 20 lines a second all that was said is carried out in time.
    for _ in 0..60 {
        crowd.world.come_to_rest();
        crowd.hear_all();
        if !crowd.is_waiting() && !crowd.world.is_anything_late() {
            break;
        }
    }
    crowd.world.come_to_rest();
    crowd.hear_all();
    crowd.world.check_at_rest();
    crowd.check_at_rest();
    crowd.part_all();
    // Whoever fetches what they have not sent to the end goes when the upload is taken for silent.
    for _ in 0..25 {
        crowd.world.come_to_rest();
        crowd.hear_all();
        if crowd.is_empty() {
            break;
        }
    }
    assert!(crowd.is_empty(), "somebody has ended and is not let go");
    crowd.world.check_empty();
    crowd.counted
}

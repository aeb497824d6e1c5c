//! People who talk while something goes wrong, and what must be left of it.

use std::path::Path;

use crate::data::{KEPT, assert_numbered, history, listing, logged, notices, unstamped};
use crate::{Client, Server};

/// Options of a server that forgets nothing.
pub const MANY: &[&str] = &["--history", "100000"];

/// Two people in `#a`, of whom one talks and the other hears, and somebody who is elsewhere.
pub struct Company {
    pub alice: Client,
    pub bob: Client,
    pub carol: Client,
    pub said: u64,
    /// What bob has heard of alice, with its stamps.
    pub heard: Vec<String>,
    /// Everything that bob has heard.
    pub told: Vec<String>,
}

impl Company {
    pub fn meet(server: &Server) -> Self {
        let mut alice = server.in_room("alice", "#a");
        let mut bob = server.in_room("bob", "#a");
        bob.ask("/set stamp on", "+ set stamp on");
        alice.until("#a * bob joined");
        let carol = server.person("carol");
        Self { alice, bob, carol, said: 0, heard: Vec::new(), told: Vec::new() }
    }

    /// Alice says something, and bob hears it.
    pub fn say(&mut self, more: &str) {
        self.said += 1;
        self.alice.send(&format!("{} {more}", self.said));
        let line = loop {
            let line = self.bob.line().unwrap();
            // What happens has no number.
            if line.starts_with("#a [") && !line.starts_with("#a [-@") {
                break line;
            }
            self.told.push(line);
        };
        assert_eq!(unstamped(&line), format!("<alice> {} {more}", self.said));
        self.heard.push(line["#a ".len()..].to_owned());
    }

    pub fn say_some(&mut self, count: u64) {
        (0..count).for_each(|_| self.say("and so on"));
    }

    /// Talks until bob is told that this is not kept.
    pub fn say_until_not_kept(&mut self, more: &str) -> String {
        loop {
            self.say(more);
            if let Some(told) = notices(&self.told).first() {
                return (*told).to_owned();
            }
            assert!(self.said < 5000, "history is kept all the time");
        }
    }

    /// Waits until all of them have been told that history is kept again. They have been told what was wrong, and once.
    pub fn hear_that_it_is_kept(&mut self, wrong: &str) {
        let mut lines = std::mem::take(&mut self.told);
        lines.extend(self.bob.until(KEPT));
        for (who, lines) in [("bob", lines), ("alice", self.alice.until(KEPT)), ("carol", self.carol.until(KEPT))] {
            assert_eq!(notices(&lines), [wrong], "{who}");
        }
    }

    /// Nothing more is told of it, now that everything is as it was.
    pub fn hear_no_more(&mut self) {
        self.say_some(3);
        for lines in [std::mem::take(&mut self.told), self.alice.settle(), self.carol.settle()] {
            assert_eq!(notices(&lines), Vec::<&str>::new());
        }
    }
}

/// All that bob had heard must be what the next server knows, and what is in its log, and no more.
pub fn assert_all_is_kept(server: &Server, data: &Path, heard: &[String]) {
    let mut dave = server.in_room("dave", "#a");
    assert_numbered(heard, 1);
    assert!(history(&mut dave, "#a", 0) == heard, "the history is not what was heard");
    assert!(logged(data, "a") == heard, "the log is not what was heard");
    let rooms = listing(&data.join("rooms"));
    assert!(!rooms.iter().any(|name| name.contains("damaged")), "{rooms:?}");
}

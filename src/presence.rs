//! Who is online, as a set that everybody can keep a copy of.
//!
//! Changes are gathered and told as lines with a version each. A copy that begins with the whole list at some version and
//! applies each later line is always the server's set, because a line names things as they are and not as they changed.

use std::collections::BTreeMap;

use crate::event::Event;
use crate::limits::PRESENCE_NAMES;
use crate::names::{KeptNick, Nick};

/// What has changed since the last line.
#[derive(Debug, Default)]
pub struct Presence {
    version: u64,
    /// The names touched since the last line, as they are shown, and whether they were online then. When a crowd comes they are
    /// many for a moment: with memory of their own they would leave holes between what stays.
    touched: BTreeMap<KeptNick, bool>,
    asked: bool,
    last: Option<Event>,
}

impl Presence {
    /// The version of the last line.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// `name` came online.
    pub fn came(&mut self, name: &Nick) {
        self.touched.entry((*name).into()).or_insert(false);
    }

    /// `name` went.
    pub fn went(&mut self, name: &Nick) {
        self.touched.entry((*name).into()).or_insert(true);
    }

    /// Somebody was given the list as it is now, so names that came and went again are told as well.
    pub fn asked(&mut self) {
        self.asked = true;
    }

    /// The last line, which shows by its version who has missed any.
    pub fn last(&self) -> Option<&Event> {
        self.last.as_ref()
    }

    /// Whether there may be something to tell.
    pub fn is_pending(&self) -> bool {
        !self.touched.is_empty()
    }

    /// The lines that bring every copy up to date, where `is_online` knows the names as they are shown now.
    pub fn gather(&mut self, is_online: impl Fn(&KeptNick) -> bool) -> Vec<Event> {
        let asked = std::mem::take(&mut self.asked);
        let (mut gone, mut came) = (Vec::new(), Vec::new());
        for (name, was) in std::mem::take(&mut self.touched) {
            let is = is_online(&name);
            if was != is || asked {
                if is { &mut came } else { &mut gone }.push(name);
            }
        }
        let mut names = gone.into_iter().map(|n| (n, false)).chain(came.into_iter().map(|n| (n, true))).peekable();
        let mut lines = Vec::new();
        while names.peek().is_some() {
            self.version += 1;
            let (mut gone, mut came) = (Vec::new(), Vec::new());
            for (name, is) in names.by_ref().take(PRESENCE_NAMES) {
                if is { &mut came } else { &mut gone }.push(name);
            }
            lines.push(Event::Presence { version: self.version, gone, came });
        }
        if let Some(last) = lines.last() {
            self.last = Some(last.clone());
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(asked: bool, changes: &str, online: &[&str], want: &str) {
        let mut presence = Presence::default();
        for change in changes.split_whitespace() {
            let name = Nick::new(&change[1..]).unwrap();
            if change.starts_with('+') { presence.came(&name) } else { presence.went(&name) }
        }
        if asked {
            presence.asked();
        }
        let lines = presence.gather(|name| online.contains(&name.as_str()));
        let mut seen = String::new();
        for line in &lines {
            let Event::Presence { version, gone, came } = line else { panic!("{line:?}") };
            seen += &format!("{version}");
            gone.iter().for_each(|n| seen += &format!(" -{}", n.as_str()));
            came.iter().for_each(|n| seen += &format!(" +{}", n.as_str()));
        }
        assert_eq!(seen, want, "{changes}");
        assert!(!presence.is_pending() && presence.gather(|_| true).is_empty());
    }

    #[test]
    fn a_line_names_whose_state_changed() {
        check(false, "+bob", &["bob"], "1 +bob");
        check(false, "-carol +bob +alice", &["bob", "alice"], "1 -carol +alice +bob");
        check(false, "+bob -bob", &[], "");
        check(false, "-bob +bob", &["bob"], "");
        check(false, "-bob +Bob", &["Bob"], "1 -bob +Bob");
    }

    #[test]
    fn who_asked_in_between_is_told_all_that_was_touched() {
        check(true, "+bob -bob", &[], "1 -bob");
        check(true, "-bob +bob", &["bob"], "1 +bob");
        check(true, "", &["bob"], "");
    }

    #[test]
    fn many_names_make_many_lines() {
        let mut presence = Presence::default();
        (0..250).for_each(|n| presence.came(&Nick::guest(n).unwrap()));
        let sizes: Vec<_> = presence
            .gather(|_| true)
            .into_iter()
            .map(|line| match line {
                Event::Presence { version, came, .. } => (version, came.len()),
                _ => panic!("{line:?}"),
            })
            .collect();
        assert_eq!(sizes, [(1, 100), (2, 100), (3, 50)]);
    }
}

//! The ledger in memory: what is written down of names and rules, and what a crash leaves of it.

use std::collections::VecDeque;

use chinwag::effect::Entered;
use chinwag::ledger;
use chinwag::register::{Entry, Register};

use crate::model::Chance;

/// What is written, and what is on its way there.
#[derive(Default)]
pub struct Ledger {
    /// What is written, in its order.
    pub entries: Vec<Entry>,
    /// How many of these no crash can undo.
    pub synced: usize,
    under_way: VecDeque<UnderWay>,
}

/// Entries for which somebody waits, and what was noted behind them, which is there whatever becomes of these.
#[derive(Default)]
struct UnderWay {
    entries: Vec<Entry>,
    notes: Vec<Entry>,
}

impl Ledger {
    /// One that an earlier process has left.
    pub fn left(entries: Vec<Entry>) -> Self {
        Self { synced: entries.len(), entries, under_way: VecDeque::new() }
    }

    /// Is to write entries for which somebody waits.
    pub fn write(&mut self, entries: Vec<Entry>) {
        self.under_way.push_back(UnderWay { entries, notes: Vec::new() });
    }

    /// Is to write what nobody waits for, behind all that is under way.
    pub fn note(&mut self, entries: Vec<Entry>) {
        match self.under_way.back_mut() {
            Some(before) => before.notes.extend(entries),
            None => self.entries.extend(entries),
        }
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Has written what was under way first, or could not; gives the entries for which somebody waits.
    pub fn settle(&mut self, entered: Entered) -> Option<Vec<Entry>> {
        let UnderWay { entries, notes } = self.under_way.pop_front()?;
        if entered == Entered::Written {
            self.entries.extend(entries.iter().cloned());
            self.synced = self.entries.len();
        }
        self.entries.extend(notes);
        Some(entries)
    }

    /// What is read of it after a crash in this moment: all that was synced, and behind that as much as there happens to be, cut
    /// anywhere, of what was written and of what was under way. It comes with how many entries are left.
    pub fn crash(&self, chance: &mut dyn Chance) -> (Register, usize) {
        let (mut text, mut synced) = (String::new(), 0);
        let under_way = self.under_way.iter().flat_map(|write| write.entries.iter().chain(&write.notes));
        for (at, entry) in self.entries.iter().chain(under_way).enumerate() {
            ledger::encode(&mut text, entry);
            synced = if at < self.synced { text.len() } else { synced };
        }
        let mut bytes = text.clone().into_bytes();
        bytes.truncate(synced + chance.below(bytes.len() - synced + 1));
        // A file may have got its length and not its bytes. One that would be nothing but zeros is not taken, and its operator is asked.
        if chance.one_in(4) && !bytes.is_empty() {
            bytes.resize(bytes.len() + chance.below(64), 0);
        }
        let entries = ledger::read(&bytes).expect("a crash tears nothing but the end").entries;
        let (left, mut same) = (entries.len(), String::new());
        entries.iter().for_each(|entry| ledger::encode(&mut same, entry));
        assert!(same.len() >= synced && text.starts_with(&same), "what is read is not what was written");
        let mut register = Register::default();
        entries.into_iter().for_each(|entry| register.apply(entry));
        (register, left)
    }
}

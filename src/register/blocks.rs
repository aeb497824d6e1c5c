//! Who may not come to the server.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::time::SystemTime;

use super::entry::{Block, BlockScope, Blocked, Network};
use crate::names::{Nick, Prefix};

/// The blocks, by number, and found by whom they are for. There is at most one for a name or a network.
#[derive(Debug, Default)]
pub struct Blocks {
    blocks: BTreeMap<u64, Block>,
    by_who: HashMap<Blocked, u64>,
    /// The greatest number that a block had in this process or was read of.
    last: u64,
}

impl Blocks {
    /// Puts a block in, in place of one of its number and of one for the same.
    pub(super) fn insert(&mut self, block: Block) {
        self.last = self.last.max(block.id);
        self.remove(block.id);
        if let Some(old) = self.by_who.insert(key(block.who), block.id) {
            self.blocks.remove(&old);
        }
        self.blocks.insert(block.id, block);
    }

    /// There was a block of this number, which is for nobody any more.
    pub(super) fn pass_over(&mut self, id: u64) {
        self.last = self.last.max(id);
        self.remove(id);
    }

    /// Takes a block out.
    pub(super) fn remove(&mut self, id: u64) {
        if let Some(block) = self.blocks.remove(&id) {
            self.by_who.remove(&key(block.who));
        }
    }

    /// Takes the block of a name out.
    pub(super) fn drop_name(&mut self, nick: Nick) {
        if let Some(id) = self.by_who.remove(&Blocked::Name(nick)) {
            self.blocks.remove(&id);
        }
    }

    /// How many there are, with those that are over.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The number of the next one.
    pub fn next(&self) -> u64 {
        self.last + 1
    }

    /// The block of this number.
    pub fn get(&self, id: u64) -> Option<&Block> {
        self.blocks.get(&id)
    }

    /// All of them, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Block> {
        self.blocks.values()
    }

    /// Those whose numbers come after this one.
    pub fn after(&self, id: u64) -> impl Iterator<Item = &Block> {
        self.blocks.range((Bound::Excluded(id), Bound::Unbounded)).map(|(_, block)| block)
    }

    /// The block of exactly this name or network.
    pub fn of(&self, who: Blocked) -> Option<&Block> {
        self.blocks.get(self.by_who.get(&key(who))?)
    }

    /// The numbers of those that have ended by now.
    pub fn over(&self, wall: SystemTime) -> Vec<u64> {
        self.iter().filter(|block| !block.holds(wall)).map(|block| block.id).collect()
    }

    /// Whether the owner of a name may not come.
    pub fn has_name(&self, nick: Nick, wall: SystemTime) -> bool {
        self.of(Blocked::Name(nick)).is_some_and(|block| block.holds(wall))
    }

    /// Which of those who come from somewhere may not: all, if any block says so. It takes a look for each length that a network
    /// can have, however many blocks there are.
    pub fn scope_of(&self, prefix: Prefix, wall: SystemTime) -> Option<BlockScope> {
        if self.by_who.is_empty() {
            return None;
        }
        let network = Network::from(prefix);
        let around = (0..=network.bits()).map(|len| Blocked::Network(network.shortened(len)));
        let scopes = around.filter_map(|who| self.of(who)).filter(|block| block.holds(wall)).map(|block| block.scope);
        scopes.max()
    }

    /// Panics unless each is found by whom it is for; for tests.
    pub(super) fn check(&self) {
        assert_eq!(self.blocks.len(), self.by_who.len(), "blocks and whom they are for");
        for (id, block) in &self.blocks {
            assert_eq!(self.by_who.get(&key(block.who)), Some(id), "a block that is not found");
        }
    }
}

impl Block {
    /// Whether its time is not over.
    pub fn holds(&self, wall: SystemTime) -> bool {
        self.until.is_none_or(|until| wall < until)
    }
}

/// By what a block is found, however it was written.
fn key(who: Blocked) -> Blocked {
    match who {
        Blocked::Name(_) => who,
        Blocked::Network(network) => Blocked::Network(network.known()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::names::Text;
    use crate::register::entry::Author;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn block(id: u64, scope: BlockScope, who: &str, until: Option<u64>) -> Block {
        let who = Network::new(who).map_or_else(|| Blocked::Name(Nick::new(who).unwrap()), Blocked::Network);
        let until = until.map(|seconds| NOW + Duration::from_secs(seconds));
        Block { id, scope, who, until, by: Author::Server, reason: Text::new("") }
    }

    fn blocks(list: &[(u64, BlockScope, &str, Option<u64>)]) -> Blocks {
        let mut blocks = Blocks::default();
        for &(id, scope, who, until) in list {
            blocks.insert(block(id, scope, who, until));
            blocks.check();
        }
        blocks
    }

    #[test]
    fn the_strictest_block_around_somebody_counts() {
        use BlockScope::{All, Guests};
        let blocks = blocks(&[
            (1, Guests, "203.0.113.0/24", None),
            (2, All, "203.0.113.7/32", Some(10)),
            (3, All, "198.51.0.0/16", None),
            (4, Guests, "198.51.100.9/32", None),
            (5, Guests, "2001:db8:1::/48", None),
            (6, All, "2001:db8:2:3::1/128", None),
        ]);
        let at = |octets, seconds| blocks.scope_of(Prefix::v4(octets), NOW + Duration::from_secs(seconds));
        assert_eq!(at([203, 0, 113, 5], 0), Some(Guests));
        assert_eq!((at([203, 0, 113, 7], 9), at([203, 0, 113, 7], 10)), (Some(All), Some(Guests)));
        assert_eq!((at([198, 51, 100, 9], 0), at([198, 52, 0, 1], 0)), (Some(All), None));
        let v6 = |site: u8, network: u8| {
            let address = [0x20, 1, 0x0d, 0xb8, 0, site, 0, network, 0, 0, 0, 0, 0, 0, 0, 9];
            blocks.scope_of(Prefix::v6(address), NOW)
        };
        // Of an address no more is known than its /64.
        assert_eq!((v6(1, 7), v6(2, 3), v6(2, 4)), (Some(Guests), Some(All), None));
        assert_eq!(blocks.over(NOW + Duration::from_secs(10)), [2]);
    }

    #[test]
    fn one_for_the_same_takes_the_place_of_the_other() {
        use BlockScope::{All, Guests};
        let mut blocks = blocks(&[
            (1, Guests, "203.0.113.0/24", None),
            (4, All, "203.0.113.9/24", None),
            (2, All, "alice", None),
            (3, All, "ALICE", Some(5)),
        ]);
        assert_eq!(blocks.iter().map(|block| block.id).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(blocks.scope_of(Prefix::v4([203, 0, 113, 1]), NOW), Some(All));
        let nick = Nick::new("Alice").unwrap();
        assert!(blocks.has_name(nick, NOW) && !blocks.has_name(nick, NOW + Duration::from_secs(5)));
        blocks.drop_name(nick);
        blocks.remove(4);
        blocks.remove(4);
        blocks.check();
        assert!(blocks.is_empty() && blocks.scope_of(Prefix::v4([203, 0, 113, 1]), NOW).is_none());
        assert_eq!(blocks.next(), 5);
    }
}

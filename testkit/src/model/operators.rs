//! Operators: who is one, and what they do to people and to the whole server. Over a world that answers at once it is known who
//! was put out and who may not come.

use std::net::IpAddr;

use chinwag::register::entry::{self, BlockScope, Blocked};

use super::doings::{NICKS, ROOMS};
use super::*;

/// What operators have made of the server, as far as they were told.
#[derive(Default)]
pub(super) struct Order {
    /// The names whose owners are operators.
    pub(super) operators: BTreeSet<String>,
    /// The names whose owners may ever have been made operators, where answers take their time.
    appointed: BTreeSet<String>,
    pub(super) blocks: BTreeMap<u64, Block>,
    /// What `/server` has told, of what is not as at first.
    server: BTreeMap<String, String>,
    /// Which guests were ever invited to which rooms.
    pub(super) invited: BTreeSet<(String, Holder)>,
    /// All blocks that ever were, and who was surely killed, where answers take their time.
    ever: Vec<Block>,
    doomed: BTreeSet<usize>,
    told: Told,
}

/// What was told of operators' doings, and is looked at when all have heard what there is.
#[derive(Default)]
struct Told {
    /// Who heard that they are put out, and why.
    put_out: Vec<(usize, Put)>,
    /// Of whom operators were told that they are put out, or have a name no more.
    vacated: Vec<Nick>,
    /// Who was told that the password which they gave is their name's now.
    alone: Vec<usize>,
    /// Who was told that no token of their name is good any more.
    tokens_end: Vec<usize>,
    /// How many connections a block has closed, as its author was told.
    closed: Option<u64>,
    /// How many people were told something, as its author was told, and which connections were.
    wall: Option<u64>,
    reached: Vec<usize>,
    /// Which connection keeps the rooms of a person who lost their name.
    keepers: BTreeMap<usize, usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Put {
    Killed,
    Blocked,
    /// What they came in by is good no more.
    Unproved,
}

/// Who may not come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Block {
    pub(super) of_guests: bool,
    pub(super) who: Meant,
    /// Whether it ends before long.
    pub(super) ends: bool,
}

/// For whom a block is, as it was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Meant {
    Name(String),
    Network(IpAddr, u8),
}

impl Block {
    fn of(block: &entry::Block) -> Self {
        let who = match block.who {
            Blocked::Name(nick) => Meant::Name(nick.to_string()),
            Blocked::Network(network) => Meant::new(&network.to_string()),
        };
        Self { of_guests: block.scope == BlockScope::Guests, who, ends: block.until.is_some() }
    }
}

impl Meant {
    fn new(text: &str) -> Self {
        match text.strip_prefix("name:") {
            Some(name) => Self::Name(name.to_owned()),
            None => {
                let (address, len) = text.split_once('/').expect("a network has a length");
                Self::Network(address.parse().unwrap(), len.parse().unwrap())
            }
        }
    }
}

/// Whether an address begins like another one, for so many bits.
fn begins_like(one: IpAddr, other: IpAddr, bits: u8) -> bool {
    let shift = |len: u8| u32::from(len - bits.min(len));
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            (one.to_bits() ^ other.to_bits()).checked_shr(shift(32)).unwrap_or(0) == 0
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            (one.to_bits() ^ other.to_bits()).checked_shr(shift(128)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

/// Where people come from who are blocked by what an operator types.
const NETWORKS: &[&str] =
    &["192.0.2.0", "192.0.2.1/32", "192.0.2.2/31", "192.0.0.0/16", "2001:db8:0:1::/64", "2001:db8::/56", "127.0.0.1"];

impl<W: World> Crowd<W> {
    /// What is so of the whole server: `guests`, `accounts` or `rooms`.
    fn server(&self, what: &str) -> &str {
        self.order.server.get(what).map_or("", String::as_str)
    }

    /// Whether somebody is an operator, surely.
    pub(super) fn is_operator(&self, who: usize) -> bool {
        let client = &self.clients[who];
        let is_one = || self.order.operators.iter().any(|name| is_like(name, &client.nick));
        client.is_control || (W::AT_ONCE && client.is_owner && self.world.address(who).is_none() && is_one())
    }

    /// Whether somebody may be an operator in the chat, or may have been since.
    pub(super) fn may_operate(&self, who: usize, since: u64) -> bool {
        let is_one = |name: &String| self.may_be_called(who, name, since);
        self.world.address(who).is_none() && self.order.appointed.iter().any(is_one)
    }

    /// An operator does something, by their door or in the chat.
    pub(super) fn operate(&mut self, chance: &mut dyn Chance) {
        let is_there = |who: usize| !self.clients[who].is_gone && !self.clients[who].is_dismissed;
        let controls: Vec<usize> =
            (0..self.clients.len()).filter(|&who| self.clients[who].is_control && is_there(who)).collect();
        if !W::AT_ONCE && !controls.is_empty() {
            let named: Vec<usize> = self.living().into_iter().filter(|&who| self.may_operate(who, self.step)).collect();
            let who = match chance.below(8) {
                0 => self.somebody(chance),
                1..7 if !named.is_empty() => Some(*chance.pick(&named)),
                _ => Some(*chance.pick(&controls)),
            };
            return who.into_iter().for_each(|who| self.put_out(who, chance));
        }
        if controls.is_empty() || (controls.len() < 2 && chance.one_in(20)) {
            return self.connect_control(chance);
        }
        let named: Vec<usize> = self.living().into_iter().filter(|&who| self.is_operator(who)).collect();
        let who = match chance.below(8) {
            0 => self.somebody(chance),
            1..7 if !named.is_empty() => Some(*chance.pick(&named)),
            _ => Some(*chance.pick(&controls)),
        };
        let Some(who) = who else { return };
        let nick = match self.somebody(chance) {
            Some(other) if chance.below(8) > 0 => self.clients[other].nick.clone(),
            _ => (*chance.pick(NICKS)).to_owned(),
        };
        let owners: Vec<usize> = self.living().into_iter().filter(|&who| self.clients[who].is_owner).collect();
        let owner = match owners.is_empty() || chance.one_in(8) {
            true => self.owned.keys().nth(chance.below(self.owned.len().max(1))).cloned().unwrap_or(nick.clone()),
            false => self.clients[*chance.pick(&owners)].nick.clone(),
        };
        // With a name goes its block, and who owned it where guests are blocked is one of these then.
        if let Some(name) = self.name_with_block(&owners, chance) {
            return self.send_line(who, &format!("/revoke {name}"));
        }
        let distant = owners.iter().find_map(|&who| self.world.address(who)).filter(|_| chance.one_in(8));
        if let Some(address) = distant {
            return self.send_line(who, &format!("/block {address} guests"));
        }
        let (room, number) = (*chance.pick(ROOMS), chance.below(6));
        let reason = if chance.one_in(2) { self.new_text(chance) } else { String::new() };
        let line = match chance.below(24) {
            0..3 => format!("/operator {owner} {}", chance.pick(&["on", "on", "off"])),
            3 => "/operator".to_owned(),
            4..6 => format!("/kill {nick} {reason}"),
            6..10 => {
                let whom = match chance.below(6) {
                    0 => nick,
                    1 => owner,
                    2..4 => self.address(chance).unwrap_or(nick),
                    _ => (*chance.pick(NETWORKS)).to_owned(),
                };
                let scope = chance.pick(&["", "guests", "all"]);
                format!("/block {whom} {scope} {} {reason}", chance.pick(&["", "30d"]))
            }
            10 => (*chance.pick(&["/blocks", "/reload"])).to_owned(),
            11 => format!("/wall {reason}"),
            12 => format!("/where {nick}"),
            13 => format!("/grant {}", if chance.one_in(2) { owner } else { nick }),
            14 => format!("/revoke {owner}"),
            15 => format!("/founder {room} {owner}"),
            16..18 => format!(
                "/server {}",
                chance.pick(&["guests off", "guests listen", "rooms named", "accounts closed", "accounts off", ""])
            ),
            18 => format!("/{} {room} {nick}", chance.pick(&["op", "deop", "voice", "devoice", "ban", "mute"])),
            19 => format!("/kick {room} {nick} {reason}"),
            20 => {
                format!("/room {room} {}", chance.pick(&["", "hidden on", "hidden on", "hidden off", "moderated off"]))
            }
            21 => format!("/{} {room}", chance.pick(&["op", "bans"])),
            22 => format!("/unban {room} {number}"),
            _ => (*chance.pick(&["/who", "/rooms", "/help", "/nope", "hello", "/join #a", "/quit"])).to_owned(),
        };
        self.send_line(who, &line);
    }

    /// A name that is blocked, or whose owner comes from where guests are.
    fn name_with_block(&self, owners: &[usize], chance: &mut dyn Chance) -> Option<String> {
        self.order.blocks.values().find_map(|block| match (&block.who, block.of_guests) {
            (Meant::Name(name), _) => chance.one_in(3).then(|| name.clone()),
            (Meant::Network(network, bits), true) => {
                let is_there =
                    |&who: &usize| self.world.address(who).is_some_and(|address| begins_like(address, *network, *bits));
                owners.iter().copied().find(is_there).map(|who| self.clients[who].nick.clone())
            }
            (Meant::Network(..), false) => None,
        })
    }

    /// From where somebody comes, mostly of those who have not been let in.
    fn address(&self, chance: &mut dyn Chance) -> Option<String> {
        let living = self.living();
        let locked: Vec<usize> = living.iter().copied().filter(|&who| !self.clients[who].is_greeted).collect();
        let from = if locked.is_empty() || chance.one_in(4) { living } else { locked };
        let who = if from.is_empty() { return None } else { *chance.pick(&from) };
        self.world.address(who).map(|address| address.to_string())
    }

    /// Somebody puts somebody out, lets people in again or makes an operator, as far as one may do so in the chat or by the door.
    fn put_out(&mut self, who: usize, chance: &mut dyn Chance) {
        let Some(other) = self.somebody(chance) else { return };
        let nick = self.clients[other].nick.clone();
        let whom = if chance.one_in(2) { nick.clone() } else { (*chance.pick(NETWORKS)).to_owned() };
        let ids: Vec<u64> = self.order.blocks.keys().copied().collect();
        // Only where nobody can read along one does what operators do.
        let may_be_one = |&who: &usize| self.clients[who].is_owner && self.world.address(who).is_none();
        let owner = self.living().into_iter().find(may_be_one);
        let line = match (chance.below(6), owner) {
            (n, _) if !self.clients[who].is_control => match n {
                0..3 => format!("/kill {nick}"),
                3 => format!("/wall {}", self.new_text(chance)),
                _ => format!("/where {nick}"),
            },
            (0, _) => format!("/kill {nick}"),
            (1..4, Some(owner)) => {
                format!("/operator {} {}", self.clients[owner].nick, chance.pick(&["on", "on", "off"]))
            }
            (4, _) if !ids.is_empty() => format!("/unblock {}", chance.pick(&ids)),
            _ => format!("/block {whom} {}", chance.pick(&["guests", "all"])),
        };
        self.send_line(who, &line);
    }

    /// Nothing that keeps people out stays as it is for long, or nobody could do anything else.
    pub(super) fn open_again(&mut self, chance: &mut dyn Chance) {
        let is_there = |&who: &usize| !self.clients[who].is_gone && !self.clients[who].is_dismissed;
        let control = (0..self.clients.len()).filter(is_there).find(|&who| self.clients[who].is_control);
        let Some(who) = control else { return };
        let ids: Vec<u64> = self.order.blocks.keys().copied().collect();
        let line = match self.order.server.keys().next() {
            Some(what) => format!("/server {what} {}", if what == "guests" { "on" } else { "open" }),
            None if !ids.is_empty() => format!("/unblock {}", chance.pick(&ids)),
            None => return,
        };
        self.send_line(who, &line);
    }

    /// Somebody comes in by the operator's door.
    fn connect_control(&mut self, chance: &mut dyn Chance) {
        let (who, person) = (self.clients.len(), self.people.len());
        if !self.world.connect_control(who, chance) {
            return;
        }
        self.count("control");
        self.people.push(Person::default());
        self.clients.push(Client { person, kin: who, is_control: true, ..Client::default() });
    }

    /// As much of an operator's request as its answer must be understood by.
    pub(super) fn asked_of_operators(&mut self, who: usize, request: &Request<'_>) -> Asked {
        match request {
            Request::Operator(Some((nick, true))) if self.clients[who].is_control => {
                self.order.appointed.insert(key(nick.typed));
                Asked::Other
            }
            // Who does it may not live to hear of it.
            Request::Kill { nick: Named { name: Ok(nick), .. }, .. } if !W::AT_ONCE => {
                self.order.told.vacated.push(*nick);
                Asked::Other
            }
            Request::Block { scope, time, .. } => {
                let ends = time.is_some_and(|time| !time.is_zero());
                Asked::Block { of_guests: *scope == BlockScope::Guests, ends }
            }
            _ => Asked::Other,
        }
    }

    /// What an operator is told of what they did.
    pub(super) fn hear_done_by_operator(&mut self, done: &Done<'_>, due: &Due, rows: &[Detail<'_>]) {
        let asked = &due.asked;
        if due.may_be_unknown {
            self.count("operated");
        }
        match done {
            Done::Kill(nick) => {
                self.count("killed");
                self.doom(nick, due.sent);
                self.order.told.vacated.push(*nick);
            }
            Done::Grant(nick, token) => {
                self.count("granted");
                self.order.told.vacated.push(*nick);
                self.proofs.retain(|name, _| !is_like(name, nick.as_str()));
                let proof = Done::Token(*token).to_string();
                self.proofs.entry(key(nick.as_str())).or_default().insert(proof.clone());
                self.once.insert((key(nick.as_str()), proof));
                self.owned.insert(key(nick.as_str()), self.step);
                self.promises.retain(|known, _| !is_like(known, nick.as_str()));
                let promise = Promise::Owned { password: None, token: Some(*token) };
                self.promises.insert(key(nick.as_str()), promise);
            }
            Done::Revoke(nick) => {
                self.count("revoked");
                self.order.told.vacated.push(*nick);
                self.forget_name(nick.as_str());
                self.owned.retain(|name, _| !is_like(name, nick.as_str()));
                self.promises.retain(|known, _| !is_like(known, nick.as_str()));
                self.promises.insert(key(nick.as_str()), Promise::Dropped);
            }
            Done::Operator(nick, on) => {
                self.count("operator");
                self.order.operators.retain(|name| !is_like(name, nick.as_str()));
                self.order.operators.extend(on.then(|| key(nick.as_str())));
            }
            Done::Operators(count) if W::AT_ONCE => {
                let told: BTreeSet<String> = rows.iter().filter_map(operator_of).collect();
                assert_eq!((told.len() as u64, &told), (*count, &self.order.operators), "who is an operator");
            }
            Done::Block { id, who, closed } => {
                self.count("blocked");
                let Asked::Block { of_guests, ends } = *asked else { panic!("nobody asked for a block") };
                let who = Meant::new(who);
                self.order.blocks.retain(|other, block| block.who != who || other == id);
                let block = Block { of_guests, who, ends };
                self.order.ever.push(block.clone());
                self.order.blocks.insert(*id, block);
                self.order.told.closed = Some(*closed);
            }
            Done::Unblock(id) => {
                let was_there = self.order.blocks.remove(id).is_some();
                assert!(was_there || !W::AT_ONCE, "a block {id} that nobody made");
            }
            Done::Blocks(_) => {
                let told: Vec<u64> = rows
                    .iter()
                    .filter_map(|row| match row {
                        Detail::Block { id, .. } => Some(*id),
                        _ => None,
                    })
                    .collect();
                let known: Vec<u64> = self.order.blocks.keys().copied().collect();
                assert_eq!(told, known, "who may not come");
            }
            Done::Reload => {
                self.count("reloaded");
                self.order.server.clear();
            }
            Done::Wall(count) => self.order.told.wall = Some(*count),
            Done::Server => {
                for row in rows {
                    let Detail::Server(what, value) = row else { panic!("{row:?} of the server") };
                    let is_first = matches!((*what, *value), ("guests", "on") | ("accounts" | "rooms", "open"));
                    // Where nothing is kept nobody owns a name.
                    let is_never = *what == "accounts" && !self.world.keeps();
                    self.order.server.remove(*what);
                    if !is_first && !is_never {
                        self.order.server.insert((*what).to_owned(), (*value).to_owned());
                    }
                }
            }
            _ => {}
        }
    }

    /// Somebody is told something by an operator.
    pub(super) fn hear_wall(&mut self, who: usize, from: &Nick) {
        self.count("wall");
        let known = if W::AT_ONCE { &self.order.operators } else { &self.order.appointed };
        let is_one = *from == Nick::server() || known.iter().any(|name| is_like(name, from.as_str()));
        assert!(is_one, "{from} is no operator");
        self.order.told.reached.push(who);
    }

    /// Somebody is put out, perhaps by an operator.
    pub(super) fn hear_bye(&mut self, who: usize, code: Code<'_>, text: &str) {
        match code {
            Code::Killed => self.order.told.put_out.push((who, Put::Killed)),
            Code::Blocked => self.order.told.put_out.push((who, Put::Blocked)),
            Code::Refused if W::AT_ONCE && text.contains("its tokens are ended") => {
                self.order.told.put_out.push((who, Put::Unproved));
            }
            _ => {}
        }
    }

    /// Somebody has given their name another password, by which nobody else is here yet.
    pub(super) fn hear_password(&mut self, who: usize) {
        self.order.told.alone.push(who);
    }

    /// Somebody has ended the tokens of their name, by which nobody else is here any more.
    pub(super) fn hear_tokens_end(&mut self, who: usize) {
        self.order.told.tokens_end.push(who);
    }

    /// Which connection of a person who has lost their name keeps their rooms: the one that gave it up, or else the eldest.
    pub(super) fn keeper(&mut self, who: usize) -> usize {
        let ways = self.ways(who);
        let gives_up = |&way: &usize| self.clients[way].due.iter().any(|due| due.verb == "drop");
        let by_age = |&way: &usize| self.clients[way].since;
        let keeper = ways.iter().copied().find(gives_up).or(ways.iter().copied().min_by_key(by_age)).unwrap_or(who);
        *self.order.told.keepers.entry(self.clients[who].person).or_insert(keeper)
    }

    /// The one that gave a name up keeps the rooms.
    pub(super) fn keeps(&mut self, who: usize) {
        self.order.told.keepers.insert(self.clients[who].person, who);
    }

    /// Whether a block is for somebody.
    fn is_meant(&self, who: usize, block: &Block) -> bool {
        let client = &self.clients[who];
        match &block.who {
            Meant::Name(name) => client.is_owner && is_like(name, &client.nick),
            Meant::Network(network, bits) => {
                let is_there = self.world.address(who).is_some_and(|address| begins_like(address, *network, *bits));
                let is_guest = client.is_greeted && !client.is_owner;
                is_there && (!block.of_guests || is_guest)
            }
        }
    }

    /// All who have surely had a name since it was asked to kill who has it are put out.
    fn doom(&mut self, nick: &Nick, sent: u64) {
        let may_change = |due: &Due| matches!(due.asked, Asked::Nick(_) | Asked::Login(..) | Asked::Guest);
        let is_it = |&who: &usize| {
            let client = &self.clients[who];
            let is_sure = client.named < sent && !client.may_be_guest && !client.due.iter().any(may_change);
            let may_lose_it = || self.others(who).iter().any(|&other| self.clients[other].due.iter().any(may_change));
            is_sure && is_like(&client.nick, nick.as_str()) && !may_lose_it()
        };
        let doomed: Vec<usize> = (0..self.clients.len()).filter(is_it).collect();
        self.order.doomed.extend(doomed);
    }

    /// When nothing is on its way any more, whoever was killed or may not come is gone, and nobody was put out without that.
    pub(super) fn check_order_at_rest(&mut self) {
        let told = std::mem::take(&mut self.order.told);
        for (who, client) in self.clients.iter().enumerate() {
            if client.is_gone || client.is_dismissed || client.is_control {
                continue;
            }
            assert!(!self.order.doomed.contains(&who), "{who} is {}, was killed, and is here", client.nick);
            let block = self.order.blocks.iter().find(|(_, block)| self.is_meant(who, block));
            assert!(block.is_none(), "{who} is {}, blocked by {block:?}, and here", client.nick);
        }
        for (who, put) in told.put_out {
            let is_right = match put {
                Put::Killed => told.vacated.iter().any(|nick| self.may_be_called(who, nick.as_str(), 0)),
                Put::Blocked => self.order.ever.iter().any(|block| match &block.who {
                    Meant::Name(name) => self.may_be_called(who, name, 0),
                    Meant::Network(network, bits) => {
                        self.world.address(who).is_some_and(|address| begins_like(address, *network, *bits))
                    }
                }),
                // It is known only where all follows at once.
                Put::Unproved => true,
            };
            assert!(is_right, "{who} is {} and is put out for nothing", self.clients[who].nick);
        }
    }

    /// Whoever is put out is gone, and nobody else; whoever may not come is not here; whoever is told something is all.
    pub(super) fn check_order(&mut self) {
        let told = std::mem::take(&mut self.order.told);
        let is_here = |who: usize| !self.clients[who].is_gone && !self.clients[who].is_dismissed;
        for (who, client) in self.clients.iter().enumerate().filter(|(who, client)| is_here(*who) && !client.is_control)
        {
            let block = self.order.blocks.iter().find(|(_, block)| self.is_meant(who, block));
            assert!(block.is_none(), "{who} is {}, blocked by {:?}, and here", client.nick, block.map(|(id, _)| id));
            let vacated = told.vacated.iter().find(|nick| is_like(nick.as_str(), &client.nick));
            assert!(vacated.is_none(), "{who} is {vacated:?} still");
        }
        for &who in &told.alone {
            let other = self.others(who).into_iter().find(|&other| is_here(other));
            assert!(other.is_none(), "{other:?} is here as {who} is, who has another password");
        }
        for &who in &told.tokens_end {
            let by_token = |&other: &usize| is_here(other) && self.clients[other].by_token;
            let other = self.others(who).into_iter().find(by_token);
            assert!(other.is_none(), "{other:?} came in by a token as {who} is, who has ended them");
        }
        let there = self.world.register().blocks().iter();
        let there: Vec<u64> = there.filter(|block| block.until.is_none()).map(|block| block.id).collect();
        let known = self.order.blocks.iter().filter(|(_, block)| !block.ends).map(|(id, _)| *id);
        assert_eq!(there, known.collect::<Vec<_>>(), "who may not come for good");
        let (mut closed, mut unproved) = (0, 0);
        for &(who, put) in &told.put_out {
            let is_right = match put {
                Put::Killed => told.vacated.iter().any(|nick| is_like(nick.as_str(), &self.clients[who].nick)),
                Put::Blocked => {
                    // By the name that they wanted to come in with, too.
                    let refused = self.clients[who].refused_as.as_ref().filter(|(_, step)| *step == self.step);
                    let is_their_name = |block: &Block| match (&block.who, refused) {
                        (Meant::Name(name), Some((refused, _))) => is_like(name, refused),
                        _ => false,
                    };
                    self.order.blocks.values().any(is_their_name)
                        || self.order.blocks.values().any(|block| self.is_meant(who, block))
                }
                Put::Unproved => {
                    let is_one = |&other: &usize| other != who && self.may_be_one(who, other);
                    let ends_tokens = self.clients[who].by_token && told.tokens_end.iter().any(is_one);
                    unproved += u64::from(ends_tokens);
                    ends_tokens || told.alone.iter().any(is_one)
                }
            };
            assert!(is_right, "{who} is {} and is put out for nothing", self.clients[who].nick);
            closed += u64::from(put == Put::Blocked);
        }
        assert!(
            told.closed.is_none_or(|count| count == closed),
            "{closed} were closed, and {:?} are told",
            told.closed
        );
        *self.counted.entry("put out with their token").or_default() += unproved;
        assert!(told.wall.is_some() || told.reached.is_empty(), "{:?} are told what nobody said", told.reached);
        if let Some(count) = told.wall {
            let all: Vec<usize> =
                (0..self.clients.len()).filter(|&who| is_here(who) && self.clients[who].is_greeted).collect();
            assert_eq!(told.reached, all, "who was told");
            assert_eq!(count, self.world.online().1.len() as u64, "how many were told");
        }
    }

    /// Somebody is greeted: where no guests come in they have proved their name.
    pub(super) fn check_greeted(&self, who: usize) {
        let is_guest = !self.clients[who].is_owner;
        assert!(!is_guest || self.server("guests") != "off", "{who} is a guest, and comes in");
    }

    /// Whether guests of the whole server may only listen keeps somebody from being heard in a room.
    pub(super) fn is_hushed(&self, who: usize, room: &str) -> bool {
        let client = &self.clients[who];
        let by_stay = (room.to_owned(), Holder::Person(client.person));
        let is_let = self.ranks.contains(&by_stay) || self.order.invited.contains(&by_stay);
        !client.is_owner && !self.server("guests").is_empty() && !is_let
    }

    /// Names get owners only where they can.
    pub(super) fn check_accounts(&self, done: &Done<'_>) {
        let accounts = self.server("accounts");
        let is_so = match done {
            Done::Register(_) => accounts.is_empty(),
            Done::Login(_) | Done::Logout(_) | Done::Drop(_) | Done::Passwd | Done::Token(_) => accounts != "off",
            _ => true,
        };
        assert!(is_so, "{done:?} where accounts are {accounts}");
    }

    /// Nothing of a name that was taken from its owner is left.
    pub(super) fn forget_name(&mut self, old: &str) {
        let is_theirs = |holder: &Holder| matches!(holder, Holder::Owner(name) if is_like(name, old));
        self.ranks.retain(|(_, holder)| !is_theirs(holder));
        self.mutes.retain(|_, holder| !is_theirs(holder));
        self.bans.retain(|_, name| !is_like(name, old));
        self.order.operators.retain(|name| !is_like(name, old));
        self.order.blocks.retain(|_, block| !matches!(&block.who, Meant::Name(name) if is_like(name, old)));
        if W::AT_ONCE {
            self.proofs.retain(|name, _| !is_like(name, old));
        }
    }

    /// A long time has gone by: blocks that end have ended.
    pub(super) fn end_blocks(&mut self) {
        self.order.blocks.retain(|_, block| !block.ends);
    }

    /// A server that was killed has begun anew from a ledger of which all is left, or the beginning.
    pub(super) fn order_after(&mut self, wall: SystemTime, is_all_there: bool) {
        self.order.server.clear();
        // Those that are over go when an operator has to do with blocks.
        let blocks = self.world.register().blocks().iter().filter(|block| block.holds(wall));
        let there: BTreeMap<u64, Block> = blocks.map(|block| (block.id, Block::of(block))).collect();
        assert!(!is_all_there || there == self.order.blocks, "the blocks did not outlive a restart");
        // What was changed last may be lost.
        self.order.blocks = there;
    }

    /// Who was told to be an operator is one, and nobody else.
    pub(super) fn check_operators(&self, register: &Register) {
        let all: BTreeSet<String> = register.operators().map(|nick| key(nick.as_str())).collect();
        assert_eq!(all, self.order.operators, "who is an operator");
    }
}

fn operator_of(row: &Detail<'_>) -> Option<String> {
    match row {
        Detail::Operator(nick) => Some(key(nick.as_str())),
        _ => None,
    }
}

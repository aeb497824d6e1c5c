//! How much memory the server may take: the sum of every thing that grows, each with its bound.

use crate::limits;
use crate::settings::Settings;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Bytes of the program itself: its code, its threads, buffers of which there is one, and the few connections that are not admitted.
const PROGRAM: usize = 16 * MIB;
/// Bytes of a room besides its members and its history: its name in two tables, its topic.
const ROOM: usize = limits::TOPIC + 768;
/// Bytes of a member in a room. The list of a room from which many have gone has up to four times as many places as members.
const MEMBER: usize = 4 * 40;
/// Bytes of a rule, a role, a ban or an invitation, besides a reason. A name that is banned is there twice.
const RULE: usize = 320;
/// Bytes of what a room knows of those who are here, besides what grows with them.
const BOOK: usize = 192;
/// Bytes of what a room knows of one guest in one of its lists.
const GUEST: usize = 24;
/// Bytes of what a room knows of somebody who spoke, where one may do so only now and then.
const SPOKE: usize = 64;
/// Bytes of whom somebody was before.
const WAS: usize = 32;
/// Bytes of a file besides its data: what the core and the disk's thread know of it.
const FILE: usize = 2 * KIB;
/// Bytes of a network in one of the tables that count what networks do and have, which grow by doubling.
const NETWORK: usize = 2 * 24;
/// Bytes of an owner of a name in such a table.
const ACCOUNT: usize = 2 * 40 + 64;
/// Bytes of a block, besides its reason.
const BLOCK: usize = 512;
/// Bytes of a connection and its person, with their places in lists, queues and tables.
const CONNECTION: usize = 2 * KIB;
/// Bytes of a place that is kept, besides what was written to it: its token in a table, whom it must be told of.
const KEPT: usize = 2 * KIB;
/// Bytes of somebody who is ignored, or who has told that they are away.
const ACQUAINTANCE: usize = 128;
/// Bytes of a conversation in which somebody types, with its alarms, besides those who do not hear of it.
const CONVERSATION: usize = KIB;
/// Bytes of a message on its way to the log or back, besides its text.
const MESSAGE: usize = 256;
/// Bytes of a name that has an owner, with a password and a token.
const NAME: usize = 300;
/// Bytes of a line of the ledger on its way, besides those of names.
const LEDGER_LINE: usize = 256;
/// Bytes of a session of TLS besides what it holds of records.
const SESSION: usize = 4 * KIB;
/// Bytes of a handshake that is under way, besides what it holds of records.
const HANDSHAKE: usize = 24 * KIB;
/// The page, from when a browser first asks for it.
const PAGE: usize = 288 * KIB;
/// Bytes of a WebSocket besides what it holds of lines.
const SOCKET: usize = KIB;
/// Batches of the log that there may be: what is gathered, what its thread has, and what could not be written.
pub(crate) const BATCHES: usize = 3;

/// One thing that grows, and how far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Term {
    /// What it is.
    pub name: &'static str,
    /// Bytes whoever comes.
    pub common: usize,
    /// Bytes for each connection.
    pub each: usize,
}

impl Term {
    /// The most bytes with so many connections.
    pub fn bytes(&self, connections: usize) -> usize {
        self.common + connections * self.each
    }
}

/// The most bytes that the server holds with so many connections that all do the worst they can at once.
pub fn bound(connections: usize, settings: &Settings) -> usize {
    terms(settings).iter().map(|term| term.bytes(connections)).sum()
}

/// Every thing that grows. Where buffers grow by doubling, twice what is in them counts.
pub fn terms(settings: &Settings) -> [Term; 21] {
    let logged = |bytes: usize| if settings.log.is_some() { bytes } else { 0 };
    let motd: usize = settings.motd.iter().map(|line| line.len() + 32).sum();
    let batch = 2 * (limits::LOG_WAITING + limits::RECORDS * (limits::LINE + MESSAGE))
        + limits::LOGS * (limits::TOPIC + MESSAGE);
    let answer = 2 * (limits::HISTORY_BYTES + limits::HISTORY_LINES * MESSAGE);
    let jobs = 2 * limits::DISK_JOBS + 2 * limits::FILES;
    let block = limits::CHUNKS_QUEUED / limits::CHUNK_BYTES * limits::DOWNLOAD_UNIT;
    let deeds = limits::DEEDS * (limits::LINE + MESSAGE);
    // What cannot be written waits as text.
    let all_names = limits::NAMES * NAME + limits::LEDGER_LINES * LEDGER_LINE;
    let names = 2 * all_names + 2 * (all_names + limits::LEDGER_WAITING) + deeds;
    let hashing = (limits::PASSWORD_MEMORY_MOST as usize * KIB) + limits::PASSWORDS_WAITING * KIB;
    let typing = 2 * limits::TYPING_UNHEARD * size_of::<u64>() + CONVERSATION;
    [
        term("the program", PROGRAM, 0),
        // A queue of messages that moves to a larger place is there twice.
        term("histories", limits::HISTORY_IN_ALL / 2 * 3, 0),
        term("rooms", limits::ROOMS * ROOM, limits::ROOMS_A_PERSON * MEMBER),
        term("rooms that are only known", logged(limits::LOGS * limits::KNOWN_ROOM), 0),
        // Whoever is in a room may have a role there, and is known by when they came and when they spoke.
        term(
            "rules of rooms",
            limits::RULES_LINES * (limits::REASON + RULE)
                + limits::ROOMS * (BOOK + 2 * (limits::INVITED * size_of::<u64>() + limits::SPOKE * SPOKE)),
            limits::ROOMS_A_PERSON * 2 * 2 * (GUEST + SPOKE),
        ),
        term("files", limits::FILES * FILE, 0),
        // Six of what guests and owners of names did, and three of networks alone.
        term(
            "what networks and accounts did",
            (9 * limits::PREFIXES + 2 * limits::LOGS) * NETWORK + 6 * limits::PREFIXES * ACCOUNT,
            0,
        ),
        term("blocks", limits::BLOCKS * (limits::REASON + BLOCK), 0),
        term("for the log", logged(BATCHES * batch), 0),
        // Those that the core has, and those that are read when the ledger is written anew.
        term("names", logged(names), 0),
        term("passwords", logged(hashing), 0),
        // Those that wait, the one that is being read, and the one that is being told.
        term("from the log", logged((limits::LOG_ANSWERS + 2) * answer), 0),
        term(
            "for the disk and from it",
            limits::DISK_BYTES
                + limits::CHUNK
                + jobs * KIB
                + limits::READS_IN_FLIGHT
                + limits::READ_AHEAD_IN_ALL
                + limits::READ_AHEAD,
            block,
        ),
        // A buffer may have a quarter more than what is counted.
        term(
            "lines pending",
            limits::PENDING_IN_ALL / 4 * 5,
            (limits::SLOW_CONSUMER_SHORT + 2 * limits::SLICE) / 4 * 5 + motd,
        ),
        // A segment may be twice as long as what is held of it. What is written in many short lines takes more than its bytes.
        term("what was written", 2 * limits::HELD_IN_ALL + 8 * limits::HELD, 8 * limits::HELD_SHORT + KEPT),
        term(
            "file data pending",
            limits::CHUNKS_IN_ALL + limits::CHUNKS_QUEUED + limits::CHUNK_BYTES,
            2 * limits::CHUNK_BYTES,
        ),
        term("uploads", limits::UPLOADS * 2 * (limits::CHUNK_LINE + limits::READ_CHUNK), 0),
        term("input", 0, 2 * (limits::LINE + limits::READ_CHUNK)),
        // What was opened and not read, with a record that is not all there, and what was sealed and not sent.
        term(
            "TLS",
            limits::ARRIVING * (HANDSHAKE + limits::TLS_INPUT) + 3 * limits::TLS_INPUT,
            SESSION + limits::TLS_INPUT + limits::TLS_RECORD + KIB,
        ),
        // The page, and requests, which grow by doubling; and of a WebSocket its state, with what goes before a message.
        term("browsers", PAGE + limits::ARRIVING * 2 * limits::WEB_HEAD, SOCKET),
        term(
            "people",
            0,
            CONNECTION
                + limits::IGNORED * ACQUAINTANCE
                + 2 * limits::WAS * WAS
                + limits::AWAY_TOLD * ACQUAINTANCE / 4
                + limits::MET * ACQUAINTANCE / 2
                + limits::TOPIC
                + limits::TYPING_AT_ONCE * typing
                + limits::PAGE * size_of::<u64>(),
        ),
    ]
}

fn term(name: &'static str, common: usize, each: usize) -> Term {
    Term { name, common, each }
}

//! Every limit of the server, with its unit.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The most bytes a line may have, with its ending.
pub const LINE: usize = 4_096;
/// The most bytes that a line from the server to a client has, with its ending.
pub const SERVER_LINE: usize = 16_640;
/// The most bytes of base64 on a `=` line.
pub const CHUNK_LINE: usize = 65_536;
/// The most bytes of a file that one chunk brings.
pub const CHUNK: usize = CHUNK_LINE / 4 * 3;
/// Bytes of a file that go out together: what is handed on ends at a multiple of this, or with the file.
pub const DOWNLOAD_UNIT: usize = 12_288;
/// How many bytes of a file go out on one line; 16,384 characters of base64.
pub const DOWNLOAD_LINE: usize = DOWNLOAD_UNIT;
/// Bytes of a telnet sub-negotiation beyond which a LF alone ends it, too.
pub const SUBNEGOTIATION: u16 = 256;
/// The most bytes that a PROXY header has. What stands beside two addresses of IPv6 fits in beside them.
pub const PROXY_HEADER: usize = 536;
/// The most bytes that one of version 1 has, which is a line.
pub const PROXY_LINE: usize = 107;

/// Bytes of replies pending for a connection beyond which its requests wait.
pub const REPLIES_PENDING: usize = 64 * 1024;
/// Bytes of a long answer that are made at once; for the next of them others have had their turn, and their reader has taken
/// what is beyond [`REPLIES_PENDING`].
pub const SLICE: usize = 16 * 1024;
/// Bytes that are counted for what is looked at for an answer, besides its texts, whether it is told or not.
pub const SLICE_ROW: usize = 64;
/// People whose order by name is found at once: each costs a few bytes as long as the answer is under way, and each time
/// all are looked at.
pub const PAGE: usize = 1024;
/// Bytes pending for a connection beyond which it is a slow consumer: room lines and presence are left out for it.
pub const SLOW_CONSUMER: usize = 1024 * 1024;
/// Bytes pending for all connections together beyond which [`SLOW_CONSUMER_SHORT`] holds.
pub const PENDING_IN_ALL: usize = 256 * 1024 * 1024;
/// What [`SLOW_CONSUMER`] becomes while memory is short.
pub const SLOW_CONSUMER_SHORT: usize = 64 * 1024;
/// Bytes of file data queued for a connection, so that a chat line never waits for more of them: 64 KiB of base64, which
/// are four lines, and what stands around it.
pub const CHUNKS_QUEUED: usize = 4 * CHUNK_BYTES;
/// Bytes of file data queued for all connections together beyond which each has only one line of it queued.
pub const CHUNKS_IN_ALL: usize = 64 * 1024 * 1024;
/// Bytes of a whole line of file data: its base64, `=ID ` and the line end.
pub const CHUNK_BYTES: usize = DOWNLOAD_LINE / 3 * 4 + 32;
/// Bytes that the kernel may hold unsent for a connection: a chat line waits behind these too.
pub const UNSENT_IN_KERNEL: u32 = 64 * 1024;

/// Bytes read from one connection before the others have their turn.
pub const READ_A_TURN: usize = 16 * 1024;
/// Bytes read at once from a connection with an upload. If that ends in the midst of them, flood control may hold back what
/// is left of them, and with what was there before it is 16 KiB.
pub const READ_CHUNK: usize = 3 * LINE;
/// Bytes read at once from a connection without an upload: what flood control holds back of them stays in memory.
pub const READ: usize = LINE;
/// Bytes of one reading that count as a line if they are no part of one.
pub const READ_BARREN: usize = 1024;
/// Chunks of an open upload that count as a line: few bytes each cost as much as a line does, and large ones are never so many.
pub const CHUNKS_OF_LINE: u32 = 256;
/// So many bytes that wait to be read when somebody is put out of a room may be all that there was room for. One reading takes as
/// much, so that only what is held back comes to that.
pub const PUT_OUT_FULL: usize = READ_A_TURN;
/// Bytes that a system holds at most for a peer that takes no more, as Linux has it at first.
pub const PUT_OUT_BEHIND: u32 = 4 * 1024 * 1024;
/// What comes so much later than what was there before was not held by the peer's system: it is longer than a way around the world
/// and back.
pub const PUT_OUT_BREAK: Duration = Duration::from_secs(1);
/// Lines of one connection carried out before the others have their turn.
pub const LINES_A_TURN: usize = 8;
/// Connections accepted before the others have their turn.
pub const ACCEPTS_A_TURN: usize = 16;
/// Bytes read from one connection, or of answers to it, in one turn beyond which it moves to the low-priority run queue.
pub const LOW_PRIORITY_BYTES: usize = 16 * 1024;
/// How long a turn of the loop may serve the low-priority run queue.
pub const LOW_PRIORITY_A_TURN: Duration = Duration::from_micros(300);
/// Of so many parts of the time, the low-priority run queue gets one while the other is not empty.
pub const LOW_PRIORITY_SHARE: u32 = 5;
/// Connections written to in one turn besides those that hear what others say, which does not wait for all of them.
pub const ANSWERED_A_TURN: usize = 64;

/// The longest that what was said in a room waits for the next fan-out after the end of the last one.
pub const GATHER: Duration = Duration::from_millis(30);
/// The longest that it may take from when something is said up to when the last listener has it: a fan-out that is under way
/// then, the time until the next, and that one; but half of the time is left for others.
pub const GATHER_WITHIN: Duration = Duration::from_millis(48);
/// So many times as long as a fan-out took of the processor, the next one waits.
pub const GATHER_FACTOR: u32 = 8;
/// So much may be owed for fan-outs before the next one waits.
pub const GATHER_SLACK: Duration = Duration::from_millis(20);
/// A wait that would be shorter than this is none: the system counts in milliseconds.
pub const GATHER_LEAST: Duration = Duration::from_millis(1);
/// What has been gathered waits for a fan-out no longer when it is more than this part of what makes a slow consumer.
pub const GATHERED_PART: usize = 4;

/// How long somebody who has been quiet may send lines at once before the rate holds, in which they would have come.
pub const BURST: Duration = Duration::from_secs(3);

/// Rooms there may be in memory.
pub const ROOMS: usize = 10_000;
/// Rooms a person may be in.
pub const ROOMS_A_PERSON: usize = 50;
/// Connections through which a person may be here at once.
pub const WAYS: usize = 8;
/// The length of the fixed windows of what may be done so many times a minute.
pub const MINUTE: Duration = Duration::from_secs(60);
/// How many times what one connection may do an address prefix may.
pub const A_PREFIX: u32 = 10;
/// How many times what a /64 may do a /48 may.
pub const WIDER: u32 = 8;
/// Address prefixes of which it is counted what they do. Others are held to what a connection may do, and no more is known of
/// them.
pub const PREFIXES: usize = 16_384;
/// Renames a minute.
pub const RENAMES: u32 = 10;
/// Joins and leaves a minute.
pub const JOINS: u32 = 60;
/// New rooms a minute.
pub const NEW_ROOMS: u32 = 30;
/// People a person may ignore.
pub const IGNORED: usize = 100;
/// Bytes of a topic or an away text, as long lists are made of them.
pub const TOPIC: usize = 512;
/// People who were told lately that somebody is away; beyond it the first is told again.
pub const AWAY_TOLD: usize = 100;
/// Names under which somebody wrote to others, or others to them; beyond it the first is forgotten.
pub const MET: usize = 50;
/// Wrong passwords that close a connection.
pub const PASSWORDS: u8 = 5;
/// Wrong passwords from one address prefix in [`WRONG_PASSWORDS_WINDOW`] beyond which no more are listened to.
pub const PASSWORDS_OF_PREFIX: u32 = 10;
/// The length of the fixed window of wrong passwords.
pub const WRONG_PASSWORDS_WINDOW: Duration = Duration::from_secs(600);
/// Bytes of a password of a name.
pub const PASSWORD: RangeInclusive<usize> = 8..=128;
/// KiB of memory that a password is looked at with, and how often they are gone over: what OWASP has for argon2id with little
/// memory.
pub const PASSWORD_MEMORY: u32 = 7 * 1024;
/// See [`PASSWORD_MEMORY`].
pub const PASSWORD_PASSES: u32 = 5;
/// The most KiB that a password in the ledger may have been hashed with.
pub const PASSWORD_MEMORY_MOST: u32 = 16 * 1024;
/// The most passes of such a password.
pub const PASSWORD_PASSES_MOST: u32 = 16;
/// Passwords that may wait to be looked at; beyond it people are asked to try again.
pub const PASSWORDS_WAITING: usize = 256;
/// Of these, how many may come from one address prefix.
pub const PASSWORDS_WAITING_OF_PREFIX: u32 = 2;
/// Names that may have owners, or be held.
pub const NAMES: usize = 50_000;
/// Lines that the ledger may need.
pub const LEDGER_LINES: usize = 100_000;
/// Bytes of the ledger below which it is not written anew while the server runs.
pub const LEDGER_LEAST: u64 = 1024 * 1024;
/// How long a name that was given up, or has expired, is nobody's.
pub const NAME_HELD: Duration = Duration::from_secs(30 * 86_400);
/// Names that may be registered from one address prefix in a [`DAY`].
pub const REGISTRATIONS: u32 = 3;
/// Names that may be registered in all in [`REGISTRATIONS_WINDOW`].
pub const REGISTRATIONS_IN_ALL: u32 = 30;
/// The length of the fixed window of all registrations.
pub const REGISTRATIONS_WINDOW: Duration = Duration::from_secs(600);
/// The length of the fixed window of the registrations of a prefix.
pub const DAY: Duration = Duration::from_secs(86_400);
/// Tokens that a name may have; beyond it the one that was unused for longest goes.
pub const TOKENS: usize = 5;
/// How long after its last use a token is good.
pub const TOKEN_GOOD: Duration = Duration::from_secs(90 * 86_400);
/// Bytes of a reason that somebody gives for a ban or a block.
pub const REASON: usize = 512;
/// Bytes of a pattern of names that somebody bans.
pub const PATTERN: usize = 64;
/// Bytes of the key of a room.
pub const KEY: usize = 64;
/// Ops of a room, its founder among them.
pub const OPS: usize = 50;
/// Voices of a room.
pub const VOICES: usize = 200;
/// People who are invited to a room.
pub const INVITED: usize = 500;
/// Bans and mutes of a room.
pub const BANS: usize = 200;
/// Ops of a room who are named to whoever may ask one.
pub const ASKED: usize = 3;
/// Blocks of the server.
pub const BLOCKS: usize = 10_000;
/// The fewest bits of a network that is blocked.
pub const BLOCK_BITS_V4: u8 = 16;
/// See [`BLOCK_BITS_V4`].
pub const BLOCK_BITS_V6: u8 = 32;
/// Connections a minute from one address prefix, without those that have logged in.
pub const CONNECTS: u32 = 30;
/// Rooms of which one may be the founder.
pub const FOUNDED: usize = 20;
/// Of how many names and people that somebody was before it is known, for bans that go on for them.
pub const WAS: usize = 8;
/// People of whom a room remembers when they spoke, besides two for each member, where one may do so only now and then.
pub const SPOKE: usize = 16;
/// Stretches of messages that may be taken out of a room.
pub const ERASED: usize = 500;
/// Lines that the ledger may need beyond which no rule, role, ban or invitation is added to a room, so that some are left for names.
pub const RULES_LINES: usize = LEDGER_LINES / 4 * 3;
/// Of these, how many all but operators may use.
pub const RULES_OF_ALL: usize = RULES_LINES / 16 * 15;
/// Of these, how many there may be for rooms that nobody owns.
pub const RULES_OF_GUESTS: usize = RULES_LINES / 2;
/// Lines that one account, or the guests of one network, may add for rooms in a [`DAY`].
pub const RULES_A_DAY: u32 = 1_000;
/// Of so many parts of the lines that are left, they may add as many as one in that time, so that those who use them up refuse
/// themselves.
pub const RULES_PARTS: usize = 16;
/// Invitations a minute.
pub const INVITATIONS: u32 = 10;
/// Wrong keys of rooms a minute.
pub const WRONG_KEYS: u32 = 5;
/// How long the ban of a guest holds if nothing is said of that.
pub const GUEST_BAN: Duration = Duration::from_secs(86_400);
/// The longest that the ban of a guest holds.
pub const GUEST_BAN_MOST: Duration = Duration::from_secs(30 * 86_400);
/// The least characters of a pattern besides its `*`.
pub const PATTERN_LEAST: usize = 3;
/// The most that people may be made to wait between two things that they say.
pub const SLOW_MOST: Duration = Duration::from_secs(86_400);
/// Names that `/join` lists.
pub const NAMES_ON_JOIN: usize = 100;
/// Names on one `here` line.
pub const NAMES_A_LINE: usize = 20;
/// Names on one presence line.
pub const PRESENCE_NAMES: usize = 100;
/// Lines that `/history` gives when no count is asked for.
pub const HISTORY_DEFAULT: usize = 50;
/// Lines that one `/history` gives at most.
pub const HISTORY_LINES: usize = 500;
/// Bytes that one `/history` gives at most.
pub const HISTORY_BYTES: usize = 256 * 1024;
/// Bytes that are counted for what stands before the text on a line of `/history`; it has fewer, but for what a name has beyond
/// 20 bytes.
pub const HISTORY_HEAD: usize = 80;
/// Bytes of memory for what all rooms together remember. Beyond it, what goes first is of the network that holds most, and in the
/// room in which it holds most.
pub const HISTORY_IN_ALL: usize = 64 * 1024 * 1024;
/// Bytes of it that are given back at once, as it takes a look at every room to find out who holds most.
pub const HISTORY_SLACK: usize = 1024 * 1024;
/// Lines of all rooms together that are read when the server starts, but for [`HISTORY_SPARED`] of each: they take their time, and
/// the rest is read when somebody asks for it.
pub const LINES_AT_START: usize = 100_000;
/// Lines that a room keeps whatever others say, as far as they fit into [`HISTORY_SHARE`].
pub const HISTORY_SPARED: usize = 20;
/// Bytes of a room's share in what is remembered, which there are for every room.
pub const HISTORY_SHARE: usize = (HISTORY_IN_ALL - HISTORY_SLACK) / ROOMS;

/// Files the server keeps.
pub const FILES: usize = 1_000;
/// Files that one connection may have shared.
pub const FILES_A_SENDER: usize = 20;
/// Files that those who come from one address prefix may have shared, here or gone. A /48, which has eight times as many
/// elsewhere, would have more than there may be; it makes place for others as a whole.
pub const FILES_A_PREFIX: usize = A_PREFIX as usize * FILES_A_SENDER;
/// When all [`FILES`] places are taken, only who has more than so many times as many files loses one to somebody of the same
/// network.
pub const FILES_TIMES: u64 = 10;
/// When the spool is full, only who holds more than one of so many shares of it loses a file to somebody of the same network.
pub const SPOOL_SHARES: u64 = 10;
/// Uploads under way of all people together, so that files which never become whole cannot take every place. Beyond it the
/// slowest upload of those who have most makes place.
pub const UPLOADS: usize = 256;
/// Of these, how many may come from one address prefix. Each connection has one.
pub const UPLOADS_A_PREFIX: usize = A_PREFIX as usize;
/// Downloads at once on a connection.
pub const DOWNLOADS: usize = 4;
/// Bytes that the disk gives at once for a download: what it costs to ask another thread is divided by them.
pub const READ_AHEAD: usize = 32 * DOWNLOAD_UNIT;
/// Bytes that are read ahead for all downloads together; beyond it no more is read for each than its queue has room for.
pub const READ_AHEAD_IN_ALL: usize = 16 * 1024 * 1024;
/// Bytes of whole units that may be on their way from the disk for all downloads together.
pub const READS_IN_FLIGHT: usize = 256 * DOWNLOAD_UNIT;
/// Jobs that may wait for the disk before uploads wait in their sockets.
pub const DISK_JOBS: usize = 512;
/// Of so many parts of the jobs that may still wait, those for the files of one owner, without their bytes, may be as many as one
/// before they can offer no more.
pub const DISK_PARTS: usize = 4;
/// Bytes that may wait for the disk before uploads wait in their sockets.
pub const DISK_BYTES: usize = 8 * 1024 * 1024;

/// Messages and topics of one turn beyond which they are written down before more is said.
pub const RECORDS: usize = 1_024;
/// How long what is said waits for the log before it goes out ahead of it, at once or within [`LOG_STEADY`] in all.
pub const LOG_WAIT: Duration = Duration::from_millis(500);
/// A write of the log that takes no longer is in time, and waiting for it does not count.
pub const LOG_QUICK: Duration = Duration::from_millis(50);
/// For so many times as long as it has taken to sync a topic before it takes the place of the old one none is synced so.
pub const TOPIC_REST: u32 = 10;
/// How long the log must have been in time again before people are told so.
pub const LOG_STEADY: Duration = Duration::from_secs(3);
/// How often it is looked for the operator's door and what is in the data folder, which somebody may have swept away.
pub const LOOK_AROUND: Duration = Duration::from_secs(1);
/// How often a log that cannot be written, or was late, is tried again.
pub const LOG_RETRY: Duration = Duration::from_millis(500);
/// Bytes of what is noted that may wait for a ledger that cannot be written before what means nothing any more is left out.
pub const LEDGER_WAITING: usize = 1024 * 1024;
/// Bytes that may wait for a log that cannot be written; beyond it only the newest line of each room is kept, as far as
/// [`LOG_NEWEST`] goes.
pub const LOG_WAITING: usize = 8 * 1024 * 1024;
/// Bytes of the newest lines of all rooms that are kept then; the longest are left out first. That is less than [`LOG_WAITING`],
/// so that all rooms are gone through once for many lines.
pub const LOG_NEWEST: usize = LOG_WAITING / 2;
/// Files of the spool kept open, and room logs, and those that are to be synced, so that descriptors are left for people. Where
/// there are few descriptors, fewer are.
pub const FILES_OPEN: usize = 32;
/// No room comes to this number of a message, so a greater one is damage, and would soon leave no room to count.
pub const LAST_SEQ: u64 = 1 << 60;
/// Rooms that may have a log; a new room takes the place of one before anything is said there. Each has a few inodes on disk. In
/// memory, one that is only known takes up to [`KNOWN_ROOM`].
pub const LOGS: usize = 20_000;
/// Of so many parts of the rooms that there may still be, a network may have made as many as one, so that those who make rooms
/// to use them up refuse themselves: what is left for others becomes less and never nothing.
pub const ROOMS_PARTS: usize = 16;
/// Bytes of a room of which only the name, the last number and the topic are known.
pub const KNOWN_ROOM: usize = TOPIC + 320;
/// How long somebody who asks for more of a room than memory has waits for the log, before they are told what memory has.
pub const LOG_READ: Duration = Duration::from_secs(5);
/// The least time between two queries of the log by those who have just been given more that they ignore than not: their
/// searches take turns. Each query takes less than a millisecond, so that all searches together leave most of the time to others.
pub const SEARCH_PACE: Duration = Duration::from_millis(2);
/// How long the last messages are searched for past what is ignored, before those are told that were found: meanwhile what others
/// say is held back.
pub const SEARCH: Duration = Duration::from_secs(5);
/// What the logs may have been asked for and have not given; beyond it nothing more is asked.
pub const LOG_QUERIES: usize = 1_000;
/// Answers from the logs that may wait for the loop before no more is read; each has up to [`HISTORY_BYTES`].
pub const LOG_ANSWERS: usize = 4;
/// The least that a room's log may be limited to: half of it must hold some history.
pub const LOG_LEAST: u64 = 1024 * 1024;

/// How long changes of presence are gathered.
pub const PRESENCE_WINDOW: Duration = Duration::from_millis(250);
/// How long typing lives after the last `/typing`.
pub const TYPING: Duration = Duration::from_secs(6);
/// The least time between two typing lines of one person in one conversation.
pub const TYPING_PACE: Duration = Duration::from_secs(1);
/// Conversations in which one person is shown to type at once.
pub const TYPING_AT_ONCE: usize = 16;
/// People in a room who do not hear that somebody types there, beyond which nobody is told: it is kept who they are.
pub const TYPING_UNHEARD: usize = 64;
/// How long an upload may be silent before it breaks off.
pub const UPLOAD_SILENCE: Duration = Duration::from_secs(60);
/// Bytes that an upload must bring in the time that it may be silent, on the average; a tenth of what a modem does.
pub const UPLOAD_BYTES: u32 = 4_096;
/// How long an upload that broke off may be taken up again.
pub const RESUME: Duration = Duration::from_secs(600);
/// How long a connection may stay locked.
pub const LOCKED: Duration = Duration::from_secs(60);
/// How long a token is good that an operator has made.
pub const ONCE_GOOD: Duration = Duration::from_secs(72 * 3600);
/// Lines of the audit log that may wait for the disk, beyond which operators wait.
pub const DEEDS: usize = 256;
/// Lines of the audit log that a disk did not take and that are kept to be tried again.
pub const DEEDS_UNWRITTEN: usize = 1024;
/// Lines of the log of the process about names that lapse together.
pub const LAPSES_NOTED: usize = 100;
/// Owners of names who may be operators.
pub const OPERATORS: usize = 50;
/// How long before its end a certificate is warned of: who renews it does so a month before, and something has failed then.
pub const CERTIFICATE_ENDS: Duration = Duration::from_secs(14 * 86_400);
/// Bytes of a file with certificates or a key.
pub const PEM: u64 = 1024 * 1024;
/// Connections at the operator's door at once.
pub const CONTROLS: usize = 4;
/// How long one of them may say nothing.
pub const CONTROL_SILENCE: Duration = Duration::from_secs(60);
/// Lines that the log of the process has in [`REFUSALS_NOTED_IN`] of connections that may not come.
pub const REFUSALS_NOTED: usize = 60;
/// See [`REFUSALS_NOTED`].
pub const REFUSALS_NOTED_IN: Duration = Duration::from_secs(60);
/// The least time between two reports to the service manager of how many people are here.
pub const STATUS_PACE: Duration = Duration::from_secs(1);
/// Connections of monitors at once at the door of the metrics; beyond it they are closed.
pub const SCRAPES: usize = 8;
/// How long one of them may take in all.
pub const SCRAPE: Duration = Duration::from_secs(5);
/// Bytes of a request there, without its body.
pub const SCRAPE_HEAD: usize = 4 * 1024;
/// Of these, how many may come from one IPv4 address or IPv6 /48, this machine apart.
pub const SCRAPES_OF_NETWORK: usize = 2;
/// The least time between two pages that the loop makes for them, so that whoever asks without end takes little of it.
pub const PAGE_PACE: Duration = Duration::from_millis(100);
/// How long `chinwag ctl` waits for an answer before it says so.
pub const CONTROL_PATIENCE: Duration = Duration::from_secs(4);
/// How long input that flood control held back is carried out after its end.
pub const AFTER_END: Duration = Duration::from_secs(60);
/// How long input is discarded after the server closed, so that a reset does not swallow the last line.
pub const LINGER: Duration = Duration::from_secs(1);
/// How long a place is kept whose connection was lost.
pub const KEEP: Duration = Duration::from_secs(60);
/// The same where it was a WebSocket: telephones close those of a page that nobody looks at.
pub const KEEP_WEB: Duration = Duration::from_secs(180);
/// Bytes of lines that are held of what was written to a connection whose place is kept, until it confirms them.
pub const HELD: usize = 64 * 1024;
/// Bytes of memory that are held for all of these connections together; beyond it each has only [`HELD_SHORT`].
pub const HELD_IN_ALL: usize = 64 * 1024 * 1024;
/// What [`HELD`] becomes while more than [`HELD_IN_ALL`] is held.
pub const HELD_SHORT: usize = 1024;
/// Bytes pending for a place whose connection is lost beyond which room lines are left out, and private ones refused.
pub const KEPT_PENDING: usize = 64 * 1024;
/// Places without a connection that are kept for one address prefix; a /48 has [`WIDER`] times as many.
pub const KEPT_OF_PREFIX: usize = 8;
/// Bytes that are sealed in one record of TLS.
pub const TLS_RECORD: usize = 16 * 1024;
/// Bytes of one record of TLS with what is around it, and of what is read at once of a connection in TLS.
pub const TLS_INPUT: usize = 18_496;
/// Bytes that may come in TLS and bring nothing to read, as changes of keys do, before the connection is cut off.
pub const TLS_BARREN: usize = 4096;
/// How long a connection may take to arrive: to come so far that it can be admitted.
pub const ARRIVE: Duration = Duration::from_secs(10);
/// Connections that arrive at once; beyond it the one that has been silent for longest makes place, of the network that has most.
pub const ARRIVING: usize = 256;
/// Of these, how many that are no browsers may come from one address prefix; a /48 has [`WIDER`] times as many.
pub const ARRIVING_OF_PREFIX: usize = 16;
/// The same of browsers, of which one has several connections, and several people one address; a /48 has no more.
pub const BROWSERS_OF_PREFIX: usize = 128;
/// How long somebody for whom there is no place is heard: their first line may be for a place that is kept, or prove that they own a
/// name where too many came from their network.
pub const APPLY: Duration = Duration::from_secs(2);
/// Connections that are heard so; beyond it nobody is.
pub const APPLYING: usize = 128;
/// Of these, how many may come from one address prefix: with [`CONNECTS`] they are as many as may be here from there. A /48 may have
/// [`WIDER`] times as many.
pub const APPLYING_OF_PREFIX: usize = 70;
/// How long the end of the server waits for people to read.
pub const SHUTDOWN: Duration = Duration::from_secs(2);
/// Bytes of the process's log that may wait for somebody who reads it; what comes then is left out.
pub const STDERR_WAITING: usize = 64 * 1024;
/// How long a start waits for another server to let go of the data folder: some times longer than a goodbye takes.
pub const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How long a start waits for another server to let go of an address, which it does when it begins to say goodbye.
pub const BIND_WAIT: Duration = Duration::from_secs(1);
/// How long accepting rests when descriptors ran out.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How long nothing is heard of a peer before it is asked whether it lives, by TCP and not by us.
pub const KEEPALIVE: Duration = Duration::from_secs(45);
/// How long after one such question the next follows.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How many questions without an answer show that it is dead.
pub const KEEPALIVE_PROBES: u32 = 3;
/// How long a peer may acknowledge nothing of what the kernel sent before it is dead.
pub const DEAD: Duration = Duration::from_secs(75);
/// How long somebody who was seen to read slowly, and so to live, is not taken for dead by the kernel.
pub const CALM: Duration = Duration::from_secs(120);
/// Bytes that a slow consumer must take in the time of a stall. One that takes less is as bad as one that takes nothing.
pub const STALL_BYTES: u16 = 1024;
/// In how many parts the time of a stall is divided: after each it is tried whether the socket takes something after all.
pub const TRIES: u32 = 6;
/// How long somebody who connects to a server that is nearly full has for a first line.
pub const FIRST_LINE: Duration = Duration::from_secs(5);

/// The fewest descriptors with which a server starts: with fewer, its own leave none to people.
pub const DESCRIPTORS: usize = 64;
/// Descriptors that are left to what is written down, or a sixteenth of all if that is less.
pub const DESCRIPTORS_RESERVED: u64 = 16;
/// Connections that are being told why they cannot stay; beyond it they are closed at once.
pub const REJECTED: usize = 32;
/// Connections to which nothing more is owed and that have not gone yet; beyond it they are closed at once.
pub const LINGERING: usize = 64;
/// Bytes of a configuration file.
pub const CONFIG: u64 = 64 * 1024;
/// Characters of what is told to be wrong with it.
pub const MISTAKE: usize = 900;
/// Bytes of a message of the day.
pub const MOTD: u64 = 64 * 1024;
/// Bytes of the head of a request by a browser, with its empty line; beyond it it is refused.
pub const WEB_HEAD: usize = 8192;
/// Fields in it.
pub const WEB_FIELDS: usize = 64;
/// Browsers that arrive at once while the server is full; beyond it the one that has been silent for longest makes place, of the network
/// that has most.
pub const WEB_WHILE_FULL: usize = 16;
/// How long a browser may take for the answer to a request, from the time at which it came.
pub const WEB_ANSWER: Duration = Duration::from_secs(60);
/// Bytes that a message to a WebSocket has when no further piece of what waits is taken into it.
pub const WEB_MESSAGE: usize = 64 * 1024;
/// Bytes up to which a message is copied behind its head, as one buffer is written faster than two.
pub const WEB_COPIED: usize = 1400;
/// Frames a second that a WebSocket may bring without text, with three seconds' worth at once; beyond it it is closed.
pub const WEB_CONTROLS: u32 = 20;
/// The silence of a WebSocket after which it is pinged; proxies hang up after a minute.
pub const WEB_PING: Duration = Duration::from_secs(45);
/// The silence of a WebSocket after which it is taken for dead.
pub const WEB_DEAD: Duration = Duration::from_secs(90);

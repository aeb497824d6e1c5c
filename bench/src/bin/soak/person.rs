//! One stay of one person on the server: what they do, and whether the server tells them what it must.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::room::{Stay, shortened};
use crate::transfers::{Download, Upload};
use crate::world::{BUSY, World};
use chinwag_bench::{Flow, Outcome, Peer, between};
use fastrand::Rng;

/// How somebody reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Habit {
    /// At once.
    Usual,
    /// At once, and talks so much in the busy room that the slow ones fall behind.
    Talker,
    /// A little now and then, for a while, and then all of it.
    Slow,
    /// Not at all for a long time, and then all of it. May be closed for it.
    Silent,
}

/// What a command waits for.
pub enum Ask {
    Set,
    Nick,
    Join(usize),
    Leave(usize),
    /// `/history #room 1`, which says where the numbers are.
    Newest(usize),
    /// Of a room, messages after this one up to that one, which were missed.
    Missed(usize, u64, u64),
    /// Of a room, messages after this one.
    Look(usize, u64),
    Said,
    Letter(u64),
    Typing,
    Who,
    Send,
    Get(u64),
    Cancel,
    Ping,
    Quit,
}

/// Somebody's place in a room.
pub struct Seat {
    pub room: usize,
    /// The last number that was heard, or told in another way.
    pub at: Option<u64>,
    pub leaving: bool,
}

/// How somebody leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leaving {
    /// With `/quit`.
    Quit,
    /// By ending their side.
    End,
}

pub struct Person {
    pub stay: Stay,
    pub peer: Peer,
    pub habit: Habit,
    pub nick: String,
    names: u64,
    pub echo: bool,
    pub seats: Vec<Seat>,
    pub asks: VecDeque<Ask>,
    pub details: Vec<String>,
    /// How many lines were said in each room.
    pub said: HashMap<usize, u64>,
    pub upload: Option<Upload>,
    pub own_files: Vec<u64>,
    pub downloads: HashMap<u64, Download>,
    pub presence: Option<u64>,
    /// When they do something again.
    pub next: Instant,
    /// When they came, and when they leave of themselves.
    came: Instant,
    pub leaves: Option<Instant>,
    pub leaving: Option<Leaving>,
    /// Reads at once whatever the habit, as the end is near.
    pub is_hungry: bool,
    last_said: String,
}

impl Person {
    /// Somebody who has just connected: takes a name, and enters their rooms.
    pub fn new(stay: Stay, peer: Peer, habit: Habit, rooms: &[usize], is_first: bool, world: &mut World) -> Self {
        let now = Instant::now();
        let mut person = Self {
            stay,
            peer,
            habit,
            nick: String::new(),
            names: 0,
            // The first lines in a room are heard by their authors alone.
            echo: stay.is_multiple_of(2) || is_first,
            seats: Vec::new(),
            asks: VecDeque::new(),
            details: Vec::new(),
            said: HashMap::new(),
            upload: None,
            own_files: Vec::new(),
            downloads: HashMap::new(),
            presence: None,
            next: now + between(&mut world.chance, Duration::from_secs(1), Duration::from_secs(10)),
            came: now,
            leaves: None,
            leaving: None,
            is_hungry: false,
            last_said: String::new(),
        };
        person.ask(Ask::Set, "/set stamp on");
        if person.echo {
            person.ask(Ask::Set, "/set echo on");
        }
        // One in ten keeps the list of who is online, for the others it would be most of the work.
        if !stay.is_multiple_of(10) {
            person.ask(Ask::Set, "/set presence off");
        }
        person.rename();
        for room in rooms {
            person.join(*room, world);
        }
        person
    }

    pub fn ask(&mut self, ask: Ask, line: &str) {
        self.asks.push_back(ask);
        self.peer.send(line);
    }

    fn rename(&mut self) {
        self.names += 1;
        self.ask(Ask::Nick, &format!("/nick p{}-{}", self.stay, self.names));
    }

    fn join(&mut self, room: usize, world: &World) {
        let name = &world.rooms[room].name;
        self.ask(Ask::Join(room), &format!("/join {name}"));
        self.ask(Ask::Newest(room), &format!("/history {name} 1"));
    }

    /// Whether nothing is under way any more.
    pub fn is_settled(&self) -> bool {
        self.asks.is_empty() && self.upload.as_ref().is_none_or(|upload| !upload.ends_by_itself())
    }

    /// Whether every command has had its answer.
    pub fn is_answered(&self) -> bool {
        self.asks.is_empty()
    }

    /// Asks for an answer, to know when it has come that all before it has come too.
    pub fn ping(&mut self) {
        self.ask(Ask::Ping, "/ping");
    }

    /// Leaves, one way or another; what comes until the end is still looked at.
    pub fn leave(&mut self, how: Leaving) -> Outcome<()> {
        self.leaving = Some(how);
        match how {
            Leaving::Quit => self.ask(Ask::Quit, "/quit bye"),
            Leaving::End => {
                // What waits to be written has to go first.
                let flushed = self.peer.flush().and_then(|()| self.peer.end());
                flushed.map_err(|e| format!("{} cannot end: {e}", self.nick))?;
            }
        }
        Ok(())
    }

    /// How many bytes they read now.
    pub fn appetite(&self, now: Instant) -> usize {
        let seconds = now.duration_since(self.came).as_secs();
        // Not all of them at the same time.
        let phase = (seconds + self.stay * 7) % 100;
        match self.habit {
            Habit::Usual | Habit::Talker => usize::MAX,
            _ if self.leaving.is_some() || self.is_hungry => usize::MAX,
            Habit::Slow if phase % 50 < 35 => 400,
            Habit::Silent if phase < 85 => 0,
            _ => usize::MAX,
        }
    }

    /// Whether they read so little that lines may be left out for them.
    pub fn may_lag(&self) -> bool {
        matches!(self.habit, Habit::Silent | Habit::Slow)
    }

    /// Whether the server may close the connection for what they do not read.
    pub fn may_be_closed(&self) -> bool {
        self.habit == Habit::Silent && self.leaving.is_none()
    }

    /// What is still under way, in a few words.
    pub fn under_way(&self) -> String {
        let (nick, habit, asks, leaving) = (&self.nick, self.habit, self.asks.len(), self.leaving);
        let upload = self.upload.as_ref().map(|upload| upload.id);
        format!("{nick} ({habit:?}): {asks} answers, upload {upload:?}, {leaving:?}")
    }

    /// Says a line in a room.
    pub fn say(&mut self, room: usize, words: usize, world: &World) {
        let said = self.said.entry(room).or_default();
        *said += 1;
        let line = format!("/msg {} {} {said} {}", world.rooms[room].name, self.stay, "word ".repeat(words).trim_end());
        self.ask(Ask::Said, &line);
    }

    /// A room that they are in and are to stay in.
    fn some_seat(&self, chance: &mut Rng) -> Option<usize> {
        let seat = chance.choice(&self.seats)?;
        (!seat.leaving && seat.at.is_some()).then_some(seat.room)
    }

    /// Does one of the things that people do.
    pub fn act(&mut self, world: &mut World, now: Instant) {
        if self.leaving.is_some() || self.asks.len() > 5 || self.may_lag() {
            return;
        }
        let Some(room) = self.some_seat(&mut world.chance) else { return };
        if self.habit == Habit::Talker {
            self.next = now + Duration::from_millis(1_500);
            return self.say(BUSY, 580, world);
        }
        self.next = now + between(&mut world.chance, Duration::from_secs(5), Duration::from_secs(25));
        let name = world.rooms[room].name.clone();
        match world.chance.u64(..100) {
            0..50 => self.say(room, 8, world),
            50..65 => {
                self.ask(Ask::Typing, &format!("/typing {name}"));
                self.next = now + Duration::from_secs(3);
            }
            65..80 => {
                if let Some((to, nick)) = world.somebody().filter(|(to, _)| *to != self.stay) {
                    let number = world.letters.send(to, now);
                    self.ask(Ask::Letter(number), &format!("/msg {nick} letter {number}"));
                }
            }
            80..84 => self.ask(Ask::Who, &format!("/who {name}")),
            // The whole list is long, and two thousand people have other things to do.
            84 if self.stay.is_multiple_of(10) => {
                self.presence = None;
                self.ask(Ask::Who, "/who");
            }
            84..88 => {
                let after = world.rooms[room].last().saturating_sub(world.chance.u64(..100));
                self.ask(Ask::Look(room, after), &format!("/history {name} after {after}"));
            }
            88..90 => self.rename(),
            90..93 => self.move_about(room, world),
            _ => self.share(room, world),
        }
    }

    /// Leaves a room if they are in two, or else enters another.
    fn move_about(&mut self, room: usize, world: &mut World) {
        if self.seats.len() > 1 {
            let name = &world.rooms[room].name;
            self.ask(Ask::Leave(room), &format!("/leave {name} elsewhere"));
            self.seats.iter_mut().filter(|seat| seat.room == room).for_each(|seat| seat.leaving = true);
        } else {
            let other = world.some_room();
            if self.seats.iter().all(|seat| seat.room != other) {
                self.join(other, world);
            }
        }
    }

    /// Sends a file, or the next step of one.
    fn share(&mut self, room: usize, world: &mut World) {
        if self.upload.as_ref().is_some_and(|upload| upload.id.is_none() || upload.ends_by_itself()) {
            return;
        }
        if let Some(id) = self.own_files.pop() {
            self.ask(Ask::Cancel, &format!("/cancel {id}"));
        }
        let upload = Upload::new(room, &mut world.chance);
        self.send_file(upload, world);
    }

    pub fn send_file(&mut self, upload: Upload, world: &World) {
        let lines = upload.begin(&world.rooms[upload.room].name);
        self.asks.push_back(Ask::Send);
        lines.iter().for_each(|line| self.peer.send(line));
        self.upload = Some(upload);
    }

    /// Reads what has come, and looks at each line.
    pub fn read(&mut self, scratch: &mut [u8], world: &mut World, now: Instant) -> Outcome<Flow> {
        let most = self.appetite(now);
        let flow = match self.peer.fill(scratch, most) {
            Ok(flow) => flow,
            Err(_) if self.may_be_closed() => Flow::Ended,
            Err(e) => return Err(format!("{}: the connection broke: {e}", self.nick)),
        };
        let block = self.peer.take_lines()?;
        for line in block.lines() {
            self.line(line, world, now).map_err(|e| format!("{} ({:?}): {e}", self.nick, self.habit))?;
            line.clone_into(&mut self.last_said);
        }
        if flow == Flow::Ended && self.leaving.is_none() && !self.may_be_closed() {
            return Err(format!("{}: the server closed: {}", self.nick, shortened(&self.last_said)));
        }
        Ok(flow)
    }
}

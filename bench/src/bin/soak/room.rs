//! What has been heard in each room, by whomever first, and the letters between two.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

use chinwag_bench::Outcome;

/// Messages that are kept of each room to compare what others hear later.
const KEPT: usize = 5_000;
/// How long a confirmed letter may be under way.
const LETTER: Duration = Duration::from_secs(30);

/// Who said something: the number of one stay of one person.
pub type Stay = u64;

/// One message as it was first heard.
struct Heard {
    /// What stands for the whole line, stamp and all.
    print: u64,
    author: Stay,
    number: u64,
}

/// One room. Its messages are numbered by the server, and those of each author also by the author.
pub struct Room {
    /// Its name, with the `#`.
    pub name: String,
    /// The number of the first message that is kept.
    first: u64,
    heard: VecDeque<Option<Heard>>,
    /// The first number that has not been heard by anybody.
    next: u64,
    /// The number that each author gave to their last message before `next`.
    authors: HashMap<Stay, u64>,
    /// Numbers that somebody did not hear, which must be their own.
    own: Vec<(u64, Stay)>,
}

impl Room {
    /// A room in which nothing has been said.
    pub fn new(name: String) -> Self {
        Self { name, first: 1, heard: VecDeque::new(), next: 1, authors: HashMap::new(), own: Vec::new() }
    }

    /// The number of the last message of which all before are known too.
    pub fn last(&self) -> u64 {
        self.next - 1
    }

    /// The greatest number that anybody heard.
    pub fn greatest(&self) -> u64 {
        self.first + self.heard.len() as u64 - 1
    }

    /// Takes a message as one of those in the room heard it: `stamp` is `SEQ@TIME`, `said` is `<nick> text`. It must be
    /// what everybody else heard under that number. Returns the number and whose it is.
    pub fn hear(&mut self, stamp: &str, said: &str) -> Outcome<(u64, Stay)> {
        let wrong = |what: &str| format!("{what} in {}: [{stamp}] {}", self.name, shortened(said));
        let seq: u64 = stamp.split('@').next().and_then(|seq| seq.parse().ok()).ok_or_else(|| wrong("no number"))?;
        let mut words = said.split(' ').skip(1).map(|word| word.parse::<u64>().ok());
        let (Some(Some(author)), Some(Some(number))) = (words.next(), words.next()) else {
            return Err(wrong("a message that nobody said"));
        };
        let mut hasher = DefaultHasher::new();
        (stamp, said).hash(&mut hasher);
        let print = hasher.finish();
        if seq < self.first {
            return Ok((seq, author));
        }
        let at = (seq - self.first) as usize;
        if at >= self.heard.len() + KEPT {
            return Err(wrong("a number out of all proportion"));
        }
        while self.heard.len() <= at {
            self.heard.push_back(None);
        }
        match &self.heard[at] {
            Some(heard) if heard.print != print => return Err(wrong("another message than others heard")),
            Some(_) => {}
            None => self.heard[at] = Some(Heard { print, author, number }),
        }
        Ok((seq, author))
    }

    /// Somebody did not hear the numbers from `from` up to before `to`.
    pub fn not_heard(&mut self, from: u64, to: u64, by: Stay) -> Outcome<()> {
        if to < from || to - from > 100 {
            return Err(format!("{} goes from {from} to {to} for one who has said less in between", self.name));
        }
        self.own.extend((from..to).map(|seq| (seq, by)));
        Ok(())
    }

    fn get(&self, seq: u64) -> Option<&Heard> {
        self.heard.get(seq.checked_sub(self.first)? as usize)?.as_ref()
    }

    /// Checks what has become known: each author's messages are all there, once and in order, and what somebody did not
    /// hear was their own.
    pub fn settle(&mut self) -> Outcome<()> {
        while let Some(heard) = self.get(self.next) {
            let (author, number) = (heard.author, heard.number);
            let last = self.authors.insert(author, number).unwrap_or(0);
            if number != last + 1 {
                let (name, seq) = (&self.name, self.next);
                return Err(format!("{name} {seq}: message {number} of {author} stands where {} belongs", last + 1));
            }
            self.next += 1;
        }
        let own = std::mem::take(&mut self.own);
        for (seq, by) in own {
            match self.get(seq).map(|heard| heard.author) {
                Some(author) if author != by => {
                    return Err(format!("{by} did not hear {} {seq}, which is {author}'s", self.name));
                }
                Some(_) => {}
                None if seq < self.first => {}
                None => self.own.push((seq, by)),
            }
        }
        while self.heard.len() > KEPT && self.first < self.next {
            self.heard.pop_front();
            self.first += 1;
        }
        Ok(())
    }

    /// What is still not known at the end, when everybody has heard everything.
    pub fn finish(&mut self) -> Outcome<()> {
        self.settle()?;
        if self.last() != self.greatest() {
            return Err(format!("nobody heard {} {}, but others heard {}", self.name, self.next, self.greatest()));
        }
        match self.own.first() {
            Some((seq, by)) => Err(format!("{by} did not hear {} {seq}, and nobody else did", self.name)),
            None => Ok(()),
        }
    }

    /// All that an author has said must be there.
    pub fn has_all_of(&self, author: Stay, said: u64) -> Outcome<()> {
        let heard = self.authors.get(&author).copied().unwrap_or(0);
        if heard == said {
            Ok(())
        } else {
            Err(format!("{author} said {said} lines in {}, {heard} were heard", self.name))
        }
    }
}

/// A letter on its way.
struct Letter {
    to: Stay,
    sent: Instant,
    confirmed: Option<Instant>,
    arrived: bool,
}

/// The letters that are on their way, by their number.
#[derive(Default)]
pub struct Letters {
    letters: HashMap<u64, Letter>,
    /// How many there have been.
    pub count: u64,
    /// How many were confirmed and arrived.
    pub arrived: u64,
}

impl Letters {
    /// The number of a new letter.
    pub fn send(&mut self, to: Stay, now: Instant) -> u64 {
        self.count += 1;
        self.letters.insert(self.count, Letter { to, sent: now, confirmed: None, arrived: false });
        self.count
    }

    /// The server says that it has passed it on.
    pub fn confirm(&mut self, number: u64, now: Instant) {
        if let Some(letter) = self.letters.get_mut(&number) {
            letter.confirmed = Some(now);
            self.forget_if_done(number);
        }
    }

    /// The server says that it has not.
    pub fn refuse(&mut self, number: u64) -> Outcome<()> {
        match self.letters.remove(&number) {
            Some(letter) if letter.arrived => Err(format!("letter {number} was refused, and arrived")),
            _ => Ok(()),
        }
    }

    /// It has arrived.
    pub fn arrive(&mut self, number: u64, at: Stay) -> Outcome<()> {
        match self.letters.get_mut(&number) {
            Some(letter) if letter.to == at && !letter.arrived => letter.arrived = true,
            Some(letter) if letter.to == at => return Err(format!("letter {number} arrived twice")),
            Some(letter) => return Err(format!("letter {number} to {} arrived at {at}", letter.to)),
            None => return Err(format!("letter {number} arrived twice, or much too late")),
        }
        self.forget_if_done(number);
        Ok(())
    }

    fn forget_if_done(&mut self, number: u64) {
        if self.letters.get(&number).is_some_and(|letter| letter.arrived && letter.confirmed.is_some()) {
            self.letters.remove(&number);
            self.arrived += 1;
        }
    }

    /// What is under way to somebody who has left may be lost.
    pub fn left(&mut self, to: Stay) {
        self.letters.retain(|_, letter| letter.to != to);
    }

    /// Looks for letters that are late. `is_end` is when nothing is under way any more.
    pub fn settle(&mut self, now: Instant, is_end: bool) -> Outcome<()> {
        let is_late = |letter: &Letter| {
            !letter.arrived && letter.confirmed.is_some_and(|at| is_end || now.duration_since(at) > LETTER)
        };
        if let Some((number, letter)) = self.letters.iter().find(|(_, letter)| is_late(letter)) {
            return Err(format!("letter {number} to {} was confirmed, and did not arrive", letter.to));
        }
        // Whoever has left gets no confirmation.
        self.letters.retain(|_, letter| letter.confirmed.is_some() || now.duration_since(letter.sent) < 4 * LETTER);
        Ok(())
    }
}

/// The beginning of a long line.
pub fn shortened(line: &str) -> String {
    line.chars().take(120).collect()
}

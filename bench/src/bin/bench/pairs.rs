//! Pairs who play ping-pong in private.

use std::time::Instant;

use super::dialect::{Dialect, TEXT, lines, name, text};
use super::figures::Figures;
use super::host::{Host, Meter};
use super::load::{Flow, Load, Out};
use chinwag_bench::{Outcome, failed};

/// One of a pair.
#[derive(Clone, Default)]
struct Player {
    /// What stands before the text of the other; found out with its first line.
    before: Vec<u8>,
    said: u32,
    heard: u32,
    replies: u32,
    /// When it said its last message.
    at: Option<Instant>,
}

struct Pairs {
    dialect: Dialect,
    players: Vec<Player>,
    /// Whether each message is a command that is answered, or plain text.
    with_reply: bool,
    /// Messages that each says.
    rounds: u32,
    /// Messages and replies that are still to come.
    due: usize,
    /// How long each message took, in microseconds.
    times: Vec<u32>,
}

impl Pairs {
    /// Says the next message of `who`.
    fn say(&mut self, who: usize, out: &mut Out) {
        let player = &mut self.players[who];
        let (text, to) = (text(who % 26, player.said), name(who ^ 1));
        player.said += 1;
        player.at = Some(Instant::now());
        out.say(
            who,
            match self.dialect {
                Dialect::Irc => format!("PRIVMSG {to} :{text}\r\n"),
                Dialect::Bare => format!("@{0} <{0}> {text}\n", name(who)),
                Dialect::Plain if self.with_reply => format!("/msg {to} {text}\n"),
                Dialect::Plain => format!("{text}\n"),
            },
        );
    }

    /// Takes what came to `who`, and answers as the game wants it.
    fn take(&mut self, out: &mut Out, who: usize, block: &[u8], at: Instant) -> Outcome<Flow> {
        for line in lines(block) {
            let player = &mut self.players[who];
            let (before, said) = line.split_at(line.len().saturating_sub(TEXT));
            if said == text((who ^ 1) % 26, player.heard).as_bytes() {
                if player.before.is_empty() && self.dialect.is_told_by(who ^ 1, who, before) {
                    player.before = before.to_vec();
                }
                if player.before != before {
                    return Err(format!("{} is told {:?}", name(who), String::from_utf8_lossy(line)));
                }
                player.heard += 1;
                if let Some(said) = self.players[who ^ 1].at {
                    self.times.push(at.saturating_duration_since(said).as_micros() as u32);
                }
                self.due = self.due.checked_sub(1).ok_or("a message too many")?;
                if self.players[who].said < self.rounds {
                    self.say(who, out);
                }
            } else if self.with_reply && line.strip_prefix(b"+ msg ") == Some(name(who ^ 1).as_bytes()) {
                player.replies += 1;
                self.due = self.due.checked_sub(1).ok_or("a reply too many")?;
            } else if let Some(answer) = self.dialect.aside(line).map_err(failed(&name(who)))? {
                out.say(who, answer);
            }
        }
        Ok(if self.due == 0 { Flow::Done } else { Flow::More })
    }

    /// Plays until each has said `rounds` messages more.
    fn play(&mut self, load: &mut Load, rounds: u32) -> Outcome<u64> {
        let messages = self.players.len() * rounds as usize;
        self.rounds += rounds;
        self.due = if self.with_reply { 2 * messages } else { messages };
        (0..self.players.len()).step_by(2).for_each(|who| self.say(who, &mut load.out));
        load.until("for a partner", |out, who, block, at| self.take(out, who, block, at))?;
        let replies = if self.with_reply { self.rounds } else { 0 };
        let whole =
            |player: &Player| (player.said, player.heard, player.replies) == (self.rounds, self.rounds, replies);
        match self.players.iter().position(|player| !whole(player)) {
            Some(who) => Err(format!("{} has not heard all, or too much", name(who))),
            None => Ok(messages as u64),
        }
    }
}

/// So many pairs, of whom each says `rounds` messages, one under way a pair; with bare text, or with `/msg` and its
/// reply.
pub fn pairs(host: &Host, pairs: usize, rounds: u32, with_reply: bool) -> Outcome<Figures> {
    let (dialect, count) = (host.dialect, 2 * pairs);
    let mut load = Load::new(dialect)?;
    load.arrive(host, count)?;
    load.settle()?;
    if dialect == Dialect::Plain {
        load.ask(0..count, |who| format!("/query {}\n", name(who ^ 1)), |line| line.starts_with(b"+ query "))?;
    }
    let players = vec![Player::default(); count];
    let mut game = Pairs { dialect, players, with_reply, rounds: 0, due: 0, times: Vec::new() };
    game.play(&mut load, rounds.div_ceil(10))?;
    load.settle()?;
    game.times.clear();
    let meter = Meter::start(host)?;
    let messages = game.play(&mut load, rounds)?;
    let spent = meter.stop(host)?;
    load.rest(|out, who, block, at| game.take(out, who, block, at).map(drop))?;
    let mut figures = Figures::new("µs a message", spent.each(messages), spent);
    figures.add_times(&mut game.times);
    Ok(figures)
}

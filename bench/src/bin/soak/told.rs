//! What one person is told, and whether it is what the server must tell them.

use std::time::Instant;

use crate::person::{Ask, Habit, Person, Seat};
use crate::room::shortened;
use crate::transfers::{Download, Upload};
use crate::world::World;
use chinwag_bench::Outcome;

impl Person {
    /// Looks at one line.
    pub fn line(&mut self, line: &str, world: &mut World, now: Instant) -> Outcome<()> {
        let strange = || format!("a strange line: {}", shortened(line));
        match line.as_bytes().first() {
            Some(b'#') => self.in_room(line, world),
            Some(b'@') => self.in_private(line, world),
            Some(b'*') => self.news(line),
            Some(b'-') => {
                self.details.push(line.to_owned());
                Ok(())
            }
            Some(b'+' | b'!') => {
                let ask = self.asks.pop_front().ok_or_else(strange)?;
                let details = std::mem::take(&mut self.details);
                self.answer(ask, line, &details, world, now).map_err(|e| format!("{e} ({})", shortened(line)))
            }
            Some(b'=') => self.data(line, world),
            _ => Err(strange()),
        }
    }

    fn in_private(&mut self, line: &str, world: &mut World) -> Outcome<()> {
        let strange = || format!("a strange line: {}", shortened(line));
        let (with, rest) = line[1..].split_once(" [").ok_or_else(strange)?;
        let (_, said) = rest.split_once("] ").ok_or_else(strange)?;
        let Some((nick, text)) = said.strip_prefix('<').and_then(|said| said.split_once("> letter ")) else {
            return Ok(());
        };
        // The echo of one's own letter stands in the conversation with the other.
        if nick != with {
            return if self.echo { Ok(()) } else { Err(strange()) };
        }
        world.letters.arrive(text.parse().map_err(|_| strange())?, self.stay)
    }

    fn in_room(&mut self, line: &str, world: &mut World) -> Outcome<()> {
        let strange = || format!("a strange line: {}", shortened(line));
        let (name, rest) = line.split_once(' ').ok_or_else(strange)?;
        let (stamp, said) = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")).ok_or_else(strange)?;
        let room = world.room_named(name).ok_or_else(strange)?;
        if said.starts_with('<') {
            let (seq, author) = world.rooms[room].hear(stamp, said)?;
            world.delivered += 1;
            if author == self.stay && !self.echo {
                return Err(format!("their own line without echo: {}", shortened(line)));
            }
            return self.heard(room, seq, world);
        }
        let words: Vec<&str> = said.split(' ').collect();
        match words[..] {
            ["*", _, "missed", count, "after", after] => {
                let [count, after] = [count, after].map(|word| word.parse::<u64>().map_err(|_| strange()));
                self.missed(room, count?, after?, world)
            }
            ["*", _, "file", id, ..] if self.habit == Habit::Usual && self.leaving.is_none() => {
                let id: u64 = id.parse().map_err(|_| strange())?;
                let is_free = self.downloads.len() < 2 && !self.downloads.contains_key(&id);
                if is_free
                    && self.upload.as_ref().is_none_or(|upload| upload.id != Some(id))
                    && world.chance.u64(..15) == 0
                {
                    self.downloads.insert(id, Download::default());
                    self.ask(Ask::Get(id), &format!("/get {id}"));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A message came: its number follows the last, but for their own.
    fn heard(&mut self, room: usize, seq: u64, world: &mut World) -> Outcome<()> {
        let name = &world.rooms[room].name;
        let seat = self.seats.iter_mut().find(|seat| seat.room == room);
        let seat = seat.ok_or_else(|| format!("{name} {seq} before its join or after its end"))?;
        if let Some(at) = seat.at {
            if seq <= at {
                return Err(format!("{name} {seq} after {at}"));
            }
            if seq > at + 1 && self.echo {
                return Err(format!("{name} {seq} after {at}, with nothing missed"));
            }
            world.rooms[room].not_heard(at + 1, seq, self.stay)?;
        }
        seat.at = Some(seq);
        Ok(())
    }

    /// Messages were left out: they are fetched, if the room remembers them.
    fn missed(&mut self, room: usize, count: u64, after: u64, world: &mut World) -> Outcome<()> {
        let name = world.rooms[room].name.clone();
        let is_usual = !self.may_lag();
        let Some(seat) = self.seats.iter_mut().find(|seat| seat.room == room) else {
            return Err(format!("missed in {name}, where they are not"));
        };
        if let Some(at) = seat.at {
            if after < at || (after > at && self.echo) {
                return Err(format!("missed {count} after {after} in {name}, but the last they heard is {at}"));
            }
            world.rooms[room].not_heard(at + 1, after + 1, self.stay)?;
        }
        seat.at = Some(after + count);
        world.missed += count;
        if is_usual {
            world.missed_by_usual += count;
        }
        if !seat.leaving && self.leaving.is_none() {
            self.ask(Ask::Missed(room, after, after + count), &format!("/history {name} after {after}"));
        }
        Ok(())
    }

    fn news(&mut self, line: &str) -> Outcome<()> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["*", "presence", version, ..] => {
                let version: u64 = version.parse().map_err(|_| format!("a strange version: {line}"))?;
                if let Some(before) = self.presence
                    && version != before + 1
                    && !self.may_lag()
                {
                    return Err(format!("presence {version} after {before}"));
                }
                self.presence = Some(version);
                Ok(())
            }
            ["*", "bye", "too-slow", ..] if self.may_be_closed() => Ok(()),
            ["*", "hello" | "motd", ..] => Ok(()),
            _ => Err(format!("strange news: {}", shortened(line))),
        }
    }

    fn answer(&mut self, ask: Ask, line: &str, details: &[String], world: &mut World, now: Instant) -> Outcome<()> {
        let words: Vec<&str> = line.split(' ').collect();
        let refused = if words[0] == "!" { words.get(2).copied() } else { None };
        let done = |command: &str| {
            if words[0] == "+" && words.get(1) == Some(&command) {
                Ok(())
            } else {
                Err(format!("no answer to {command}"))
            }
        };
        match ask {
            Ask::Set => done("set"),
            Ask::Nick if refused == Some("too-many") => Ok(()),
            Ask::Nick => {
                done("nick")?;
                self.nick = words.get(2).copied().unwrap_or_default().to_owned();
                Ok(())
            }
            Ask::Join(room) => {
                done("join")?;
                self.seats.push(Seat { room, at: None, leaving: false });
                Ok(())
            }
            Ask::Leave(room) => {
                done("leave")?;
                self.seats.retain(|seat| seat.room != room);
                Ok(())
            }
            Ask::Newest(room) => {
                done("history")?;
                match details.last() {
                    Some(_) => world.rows(room, details)?.map_or(Ok(()), |(_, last)| self.is_at(room, last, world)),
                    None => self.is_at(room, 0, world),
                }
            }
            Ask::Look(..) | Ask::Missed(..) if refused == Some("not-in-room") => Ok(()),
            // What they know may be ahead of what the server had when the question came, but not by much.
            Ask::Look(room, after) => {
                done("history")?;
                world.looked += details.len() as u64;
                if let Some((first, _)) = world.rows(room, details)? {
                    self.is_first(room, after, first, world)?;
                }
                Ok(())
            }
            Ask::Missed(room, after, upto) => {
                done("history")?;
                let Some((first, last)) = world.rows(room, details)? else {
                    return Err(format!(
                        "{} {upto} was missed, and there is nothing after {after}",
                        world.rooms[room].name
                    ));
                };
                self.is_first(room, after, first, world)?;
                world.fetched += last.min(upto).saturating_sub(first - 1);
                if last < upto && self.leaving.is_none() {
                    let line = format!("/history {} after {last}", world.rooms[room].name);
                    self.ask(Ask::Missed(room, last, upto), &line);
                }
                Ok(())
            }
            Ask::Said => done("msg"),
            Ask::Letter(number) => match refused {
                Some("no-such-nick" | "busy") => world.letters.refuse(number),
                _ => {
                    done("msg")?;
                    world.letters.confirm(number, now);
                    Ok(())
                }
            },
            Ask::Typing => done("typing"),
            Ask::Who => {
                done("who")?;
                let is_whole = details.len().to_string() == words.get(3).copied().unwrap_or_default();
                if is_whole { Ok(()) } else { Err(format!("{} rows of /who", details.len())) }
            }
            Ask::Send if matches!(refused, Some("busy" | "too-many" | "no-space")) => {
                world.refused_files += 1;
                self.upload = None;
                Ok(())
            }
            Ask::Send => {
                done("send")?;
                self.may_send(&words, world)
            }
            Ask::Get(id) if matches!(refused, Some("no-such-file" | "busy" | "too-many")) => {
                self.downloads.remove(&id);
                Ok(())
            }
            Ask::Get(_) => done("get"),
            Ask::Cancel if refused == Some("no-such-file") => Ok(()),
            Ask::Cancel => done("cancel"),
            Ask::Ping => done("ping"),
            Ask::Quit => done("quit"),
        }
    }

    /// The room's newest message is this: just after joining, nothing has been missed.
    fn is_at(&mut self, room: usize, last: u64, world: &mut World) -> Outcome<()> {
        let name = &world.rooms[room].name;
        let seat = self.seats.iter_mut().find(|seat| seat.room == room).ok_or("no seat after a join")?;
        match seat.at {
            Some(at) if at != last => Err(format!("{name} is at {last}, but they heard {at}")),
            _ => {
                seat.at = Some(last);
                Ok(())
            }
        }
    }

    /// The history after a number begins with the next, unless the room has forgotten that.
    fn is_first(&self, room: usize, after: u64, first: u64, world: &mut World) -> Outcome<()> {
        if first == after + 1 {
            return Ok(());
        }
        let oldest = (world.rooms[room].greatest() + 1).saturating_sub(world.history);
        world.forgotten += first - after - 1;
        // The server may be some messages ahead of what has been read here.
        if first > after + 1 && first <= oldest + 200 {
            return Ok(());
        }
        Err(format!("{} begins at {first} where {after} was asked for", world.rooms[room].name))
    }

    /// `+ send ID OFFSET`.
    fn may_send(&mut self, words: &[&str], world: &mut World) -> Outcome<()> {
        let numbers: Vec<u64> = words[2..].iter().map_while(|word| word.parse().ok()).collect();
        let [id, offset] = numbers[..] else { return Err("no ID and OFFSET".into()) };
        let Some(upload) = &mut self.upload else { return Ok(()) };
        let again = upload.accepted(id, offset)?;
        world.files.insert(id, upload.digest.clone());
        upload.chunks(offset).iter().for_each(|line| self.peer.send(line));
        if again && let Some(upload) = self.upload.take() {
            world.resumed += 1;
            self.send_file(upload.again(), world);
        } else if self.upload.as_ref().is_some_and(Upload::is_to_be_cancelled) {
            self.upload = None;
            self.ask(Ask::Cancel, &format!("/cancel {id}"));
        }
        Ok(())
    }

    /// A `=` line: of a download, or about an upload.
    fn data(&mut self, line: &str, world: &mut World) -> Outcome<()> {
        let strange = || format!("a strange line: {}", shortened(line));
        let (id, rest) = line[1..].split_once(' ').ok_or_else(strange)?;
        let id: u64 = id.parse().map_err(|_| strange())?;
        if let Some(mut download) = self.downloads.remove(&id) {
            if download.takes(rest)? {
                self.downloads.insert(id, download);
            } else if let Some((_, digest)) = rest.strip_prefix(". ").and_then(|rest| rest.split_once(' ')) {
                world.downloads += 1;
                if world.files.get(&id).is_some_and(|known| known != digest) {
                    return Err(format!("file {id} has another digest than it was sent with"));
                }
            }
            return Ok(());
        }
        if let Some((_, digest)) = rest.strip_prefix(". ").and_then(|rest| rest.split_once(' ')) {
            if world.files.get(&id).is_none_or(|known| known != digest) {
                return Err(format!("file {id} has another digest than its bytes"));
            }
            self.own_files.push(id);
            self.upload = None;
            world.uploads += 1;
            return Ok(());
        }
        // A stored file may go, and so may an upload that the next one breaks off.
        if !rest.starts_with("! gone ") {
            return Err(strange());
        }
        if self.upload.as_ref().is_some_and(|upload| upload.id == Some(id) && !upload.is_second) {
            self.upload = None;
        }
        Ok(())
    }
}

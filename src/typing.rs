//! Who is typing where, and what the others have been shown of it.

use std::collections::BTreeMap;

use crate::limits::{TYPING, TYPING_AT_ONCE, TYPING_PACE};
use crate::names::{ConnId, PersonId};
use crate::rooms::RoomId;
use crate::time::Instant;

/// A conversation, seen from one side of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Conversation {
    /// In a room.
    Room(RoomId),
    /// With a person, whatever they are called.
    Person(PersonId),
}

/// Somebody in a conversation.
pub type TypingKey = (PersonId, Conversation);

/// What is due to be told of somebody.
#[derive(PartialEq, Eq, Debug)]
pub enum Notice {
    /// The others shall know that somebody is typing, by this connection.
    Typing(ConnId),
    /// Those who were shown that somebody is typing shall know that it has ended.
    Idle(Shown),
}

/// Who was shown the last typing line.
#[derive(PartialEq, Eq, Debug)]
pub struct Shown {
    /// A serial number of when it went out: who came into the room later has not seen it.
    pub serial: u64,
    /// The connection by which they type, if it is there still. Their others are shown it as the others are.
    pub by: ConnId,
    /// The connections of those who were there and were not shown it.
    pub except: Vec<ConnId>,
}

#[derive(Debug)]
struct Typist {
    /// The connection by which they type.
    by: ConnId,
    /// When typing ends, while it lasts.
    until: Option<Instant>,
    shown: Option<Shown>,
    /// When the last line went out.
    last: Option<Instant>,
    /// For when an alarm was set last.
    alarm: Option<Instant>,
}

impl Typist {
    fn paced(&self, now: Instant) -> bool {
        self.last.is_none_or(|last| now >= last + TYPING_PACE)
    }
}

/// All who are typing, or were a moment ago.
#[derive(Debug, Default)]
pub struct Typing {
    states: BTreeMap<TypingKey, Typist>,
}

impl Typing {
    /// Somebody is typing from now on, unless they are in more conversations than people type in.
    pub fn start(&mut self, key: TypingKey, by: ConnId, now: Instant) {
        if self.states.contains_key(&key) || self.of(key.0).count() < TYPING_AT_ONCE {
            let state =
                self.states.entry(key).or_insert(Typist { by, until: None, shown: None, last: None, alarm: None });
            (state.by, state.until) = (by, Some(now + TYPING));
        }
    }

    /// A connection of somebody is theirs no more: what they typed by it they type no more. Says in which conversations that was.
    pub fn stop_by(&mut self, who: PersonId, by: ConnId) -> Vec<TypingKey> {
        let keys: Vec<TypingKey> = self.of(who).filter(|(_, state)| state.by == by).map(|(&key, _)| key).collect();
        for key in &keys {
            if let Some(state) = self.states.get_mut(key) {
                // It is told at once, as nobody may be there any more of whom to tell it later.
                (state.until, state.last) = (None, None);
            }
        }
        keys
    }

    /// Somebody is typing no more.
    pub fn stop(&mut self, key: TypingKey) {
        if let Some(state) = self.states.get_mut(&key) {
            state.until = None;
        }
    }

    /// Somebody said what they were typing, which shows that they are done.
    pub fn said(&mut self, key: TypingKey) {
        if let Some(state) = self.states.get_mut(&key) {
            state.until = None;
            state.shown = None;
        }
    }

    /// Somebody left the conversation.
    pub fn forget(&mut self, key: TypingKey) {
        self.states.remove(&key);
    }

    /// Somebody left the server.
    pub fn forget_person(&mut self, who: PersonId) {
        let keys: Vec<TypingKey> = self.of(who).map(|(&key, _)| key).collect();
        keys.iter().for_each(|&key| self.forget(key));
    }

    /// What is due to be told now. The one of [`Notice::Typing`] is to be followed by [`Typing::show`].
    pub fn due(&mut self, key: TypingKey, now: Instant) -> Option<Notice> {
        let state = self.states.get_mut(&key)?;
        if state.until.is_some_and(|until| until <= now) {
            state.until = None;
        }
        if !state.paced(now) {
            return None;
        }
        match (state.until.is_some(), state.shown.take()) {
            (false, None) => {
                self.states.remove(&key);
                None
            }
            (true, None) => {
                state.last = Some(now);
                Some(Notice::Typing(state.by))
            }
            (false, Some(shown)) => {
                state.last = Some(now);
                Some(Notice::Idle(shown))
            }
            (true, shown) => {
                state.shown = shown;
                None
            }
        }
    }

    /// When [`Typing::due`] is to be asked again.
    fn next(&self, key: TypingKey) -> Option<Instant> {
        let state = self.states.get(&key)?;
        let pace = state.last.map(|last| last + TYPING_PACE);
        if state.until.is_some() == state.shown.is_some() && state.until.is_some() { state.until } else { pace }
    }

    /// For when an alarm is to be set so that [`Typing::due`] is asked in time; `None` if one is set already that will do,
    /// as it is for whoever types on and on.
    pub fn next_alarm(&mut self, key: TypingKey, now: Instant) -> Option<Instant> {
        let next = self.next(key)?;
        let state = self.states.get_mut(&key)?;
        if state.alarm.is_some_and(|alarm| now < alarm && alarm <= next) {
            return None;
        }
        state.alarm = Some(next);
        state.alarm
    }

    /// A typing line went out.
    pub fn show(&mut self, key: TypingKey, shown: Shown) {
        if let Some(state) = self.states.get_mut(&key) {
            state.shown = Some(shown);
        }
    }

    /// Whether `viewer` was shown on this connection that `who` is typing somewhere. `since` tells the serial number of when the viewer came into a
    /// room, if it is there, and `wants` whether they want lines of this serial number.
    pub fn seen_by(
        &self,
        who: PersonId,
        (viewer, conn): (PersonId, ConnId),
        since: impl Fn(RoomId) -> Option<u64>,
        wants: impl Fn(u64) -> bool,
    ) -> bool {
        self.of(who).any(|(&(_, place), state)| {
            let Some(shown) = &state.shown else { return false };
            let was_there = match place {
                Conversation::Room(room) => since(room).is_some_and(|since| since < shown.serial),
                Conversation::Person(person) => (person == viewer) != (who == viewer),
            };
            was_there && conn != shown.by && wants(shown.serial) && !shown.except.contains(&conn)
        })
    }

    /// Whether nobody is typing.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    fn of(&self, who: PersonId) -> impl Iterator<Item = (&TypingKey, &Typist)> {
        self.states.range((who, Conversation::Room(RoomId::FIRST))..).take_while(move |((person, _), _)| *person == who)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Carries out `script`, a list of `MILLISECONDS:WHAT`, asking at each of these times and at those that typing names.
    fn check(script: &str, want: &str) {
        let key: TypingKey = (PersonId::new(1, 0), Conversation::Person(PersonId::new(2, 0)));
        let mut typing = Typing::default();
        let mut seen = Vec::new();
        let mut step = |typing: &mut Typing, at: Instant| {
            let notice = match typing.due(key, at) {
                Some(Notice::Typing(by)) => {
                    typing.show(key, Shown { serial: 1, by, except: Vec::new() });
                    "Typing"
                }
                Some(Notice::Idle(_)) => "Idle",
                None => return,
            };
            seen.push(format!("{}:{notice}", (at - Instant::START).as_millis()));
        };
        for entry in script.split_whitespace() {
            let (at, what) = entry.split_once(':').unwrap();
            let at = Instant::START + Duration::from_millis(at.parse().unwrap());
            while let Some(next) = typing.next(key).filter(|&next| next < at) {
                step(&mut typing, next);
            }
            match what {
                "on" => typing.start(key, ConnId::new(1, 0), at),
                "off" => typing.stop(key),
                "said" => typing.said(key),
                _ => {}
            }
            step(&mut typing, at);
        }
        assert_eq!(seen.join(" "), want, "{script}");
        assert!(typing.is_empty(), "{typing:?}");
    }

    #[test]
    fn typing_is_shown_once_and_ends() {
        check("0:on 20000:end", "0:Typing 6000:Idle");
        check("0:on 3000:on 6000:on 20000:end", "0:Typing 12000:Idle");
        check("0:on 2000:off 20000:end", "0:Typing 2000:Idle");
        check("0:on 2000:said 20000:end", "0:Typing");
        check("0:off 0:said 2000:end", "");
    }

    #[test]
    fn who_types_on_needs_no_alarm_each_time() {
        let key: TypingKey = (PersonId::new(1, 0), Conversation::Person(PersonId::new(2, 0)));
        let (mut typing, second) = (Typing::default(), Duration::from_secs(1));
        let mut alarms = Vec::new();
        for at in (0..60).map(|n| Instant::START + n * second / 5) {
            typing.start(key, ConnId::new(1, 0), at);
            if let Some(Notice::Typing(by)) = typing.due(key, at) {
                typing.show(key, Shown { serial: 1, by, except: Vec::new() });
            }
            alarms.extend(typing.next_alarm(key, at));
        }
        // The first one comes when they have typed on, and only then is there another.
        assert_eq!(alarms, [6, 12].map(|n| Instant::START + n * second));
    }

    #[test]
    fn at_most_one_line_a_second_and_none_that_no_longer_holds() {
        check("0:on 100:off 20000:end", "0:Typing 1000:Idle");
        check("0:on 100:off 200:on 20000:end", "0:Typing 6200:Idle");
        check("0:on 100:off 200:on 300:off 20000:end", "0:Typing 1000:Idle");
        check("0:on 100:said 200:on 20000:end", "0:Typing 1000:Typing 6200:Idle");
        check("0:on 100:said 200:on 300:said 20000:end", "0:Typing");
        check("0:on 5500:off 5600:on 20000:end", "0:Typing 5500:Idle 6500:Typing 11600:Idle");
    }
}

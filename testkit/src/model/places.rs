//! Places that are kept when a connection is lost.

use chinwag::limits::KEEP;

use super::*;

/// A place that is kept, as its client knows it.
#[derive(Default)]
pub(super) struct Kept {
    /// What takes it up, once that has been told.
    pub(super) token: Option<PlaceToken>,
    /// Lines that have come since.
    pub(super) lines: u64,
    /// Lines that were sent since, and how many of them the server had when it was last asked.
    pub(super) sent: Vec<Vec<u8>>,
    pub(super) had: usize,
    /// Since when it is being taken up, as how long the server had waited.
    pub(super) lost: Option<Duration>,
}

impl<W: World> Crowd<W> {
    /// Somebody has their place kept, or says how much has come.
    pub(super) fn keep(&mut self, chance: &mut dyn Chance) {
        if let Some(who) = self.somebody(chance).filter(|_| !W::AT_ONCE) {
            self.keep_place(who);
        }
    }

    /// The same, of who is named.
    pub fn keep_place(&mut self, who: usize) {
        match &self.clients[who].place {
            None if self.clients[who].is_greeted => {
                self.send_line(who, "/keep");
                self.clients[who].place = Some(Kept::default());
            }
            // Where the place may be over, that would ask for another one.
            Some(Kept { token: Some(_), lines, .. }) if *lines > 0 => {
                let line = format!("/keep {lines}");
                self.send_line(who, &line);
            }
            _ => {}
        }
    }

    /// Somebody's connection is lost whose place is kept.
    pub(super) fn cut_off(&mut self, chance: &mut dyn Chance) {
        if W::AT_ONCE {
            return;
        }
        let mut kept = self.living();
        kept.retain(|&who| self.clients[who].place.as_ref().is_some_and(|place| place.token.is_some()));
        if !kept.is_empty() {
            let who = *chance.pick(&kept);
            self.take_up(who, chance);
        }
    }

    /// Somebody connects anew and takes up their place.
    pub(super) fn take_up(&mut self, who: usize, chance: &mut dyn Chance) {
        self.count("cut off");
        let waited = self.world.waited();
        let client = &mut self.clients[who];
        // Neither that it was heard nor its answer is told.
        client.due.retain(|due| due.verb != "keep");
        let Some(place) = &mut client.place else { return };
        let Some(token) = place.token else { return };
        place.lost = Some(waited);
        let line = format!("/resume {token} {}\n", place.lines);
        self.trace(|| format!("{who} is cut off, and sends {line}"));
        self.world.reconnect(who, chance);
        if chance.one_in(3) {
            self.count("given up for another");
            self.trace(|| format!("{who} gives that connection up for another"));
            self.world.give_up(who, line.as_bytes(), chance);
        }
        self.world.send(who, line.as_bytes());
    }

    /// What somebody hears who takes up their place.
    pub(super) fn hear_anew(&mut self, who: usize, line: &ServerLine<'_>) {
        let client = &mut self.clients[who];
        let Some(place) = &mut client.place else { return };
        match line {
            ServerLine::Detail(row) => match Detail::parse("resume", row) {
                Detail::Had(count) => place.had = usize::try_from(count).unwrap(),
                Detail::Upload { file, .. } => assert!(client.uploads.contains(&file.0) || !client.due.is_empty()),
                row => panic!("{who} is told {row:?} of their place"),
            },
            ServerLine::Done(Done::Resume(nick)) => {
                place.lost = None;
                let again = place.sent.split_off(place.had);
                let nick = nick.to_string();
                assert!(self.may_be_called(who, &nick.to_lowercase(), 0), "{who} is {nick}");
                self.count("taken up");
                for line in again {
                    self.world.send(who, &line);
                    self.clients[who].place.iter_mut().for_each(|place| place.sent.push(line.clone()));
                }
            }
            // Nobody kept it for so long, or it is not for who comes from here, and goes when its time is over.
            ServerLine::Refused { code: Code::Gone | Code::Locked, .. } | ServerLine::Bye { .. } => {
                client.parted = place.lost.map(|waited| (Parting::Reset, waited));
                self.world.part(who, Parting::Reset);
                if !matches!(line, ServerLine::Refused { code: Code::Gone, .. }) {
                    self.world.pass(KEEP + Duration::from_secs(1));
                }
                self.forget(who);
            }
            ServerLine::Refused { .. } => panic!("{who} is told {line:?}"),
            _ => {}
        }
    }
}

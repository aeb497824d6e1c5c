//! What people do, and what follows for the model from its being on its way.

use super::*;

/// Names, of which some are the same in another case or spelling, some look alike, and some are refused. Whatever looks like the same
/// name looks alike.
pub(super) const NICKS: &[&str] = &[
    "ann",
    "Bob",
    "bob",
    "b0b",
    "cyd",
    "guest1",
    "guestl",
    "Guest2",
    "guest3",
    "dee",
    "ian",
    "lan",
    "tom",
    "torn",
    "Алиса",
    "АЛИСА",
    "Zoë",
    "ZOE\u{308}",
    "小明",
    "tanaka田中",
    "аnn",
    "Бob",
    "Server",
];

/// What people make their passwords; some are none.
pub(super) const PASSWORDS: &[&str] = &["correct-horse", "battery-staple", "short"];

pub(super) const ROOMS: &[&str] = &["#a", "#B", "#c", "#A", "#ß", "#SS"];

/// The sizes of files, so that one may be taken up again.
const SIZES: &[u64] = &[0, 1, 300, 12_288, 12_289, 30_000, 70_000];

/// So many lines flood control lets pass at once, at the least rate of a run.
const AT_ONCE: usize = 60;

const WORDS: &[&str] = &[
    "#a",
    "#B",
    "ann",
    "Bob",
    "guest1",
    "@ann",
    "on",
    "off",
    "after",
    "echo",
    "stamp",
    "presence",
    "typing",
    "whole",
    "0",
    "1",
    "2",
    "12288",
    "18446744073709551615",
    "-",
    "#",
    "@",
    "x.txt",
    "../x",
    "sha256:00",
    "text",
    "help",
    "open",
    "\u{fffd}",
];

/// The password, where there is one.
pub const PASSWORD: &str = "open";

/// The bytes of every file from here on.
pub(super) fn bytes_at(offset: u64, len: u64) -> Vec<u8> {
    (offset..offset + len).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect()
}

/// What a target is called: a room without case, a person without their sign.
fn typed(target: &Target<'_>) -> String {
    match target {
        Target::Room(Named { typed, .. }) => fold(typed).into_owned(),
        Target::Person(Named { typed, .. }) => typed.strip_prefix('@').unwrap_or(typed).to_owned(),
    }
}

impl<W: World> Crowd<W> {
    /// Somebody connects, if there is place.
    pub fn connect(&mut self, chance: &mut dyn Chance) {
        if self.living().len() >= self.most {
            return;
        }
        let who = self.clients.len();
        let person = self.people.len();
        self.people.push(Person::default());
        self.ways_made += 1;
        let since = self.ways_made;
        self.clients.push(Client { person, kin: who, since, presence: true, typing: true, ..Client::default() });
        self.world.connect(who, chance);
        if chance.below(4) > 0 {
            self.send_line(who, "/set stamp on");
        }
        if chance.below(4) > 0 {
            self.send_line(who, "/join #a");
        }
    }

    pub(super) fn part(&mut self, chance: &mut dyn Chance) {
        let Some(who) = self.somebody(chance) else { return };
        if self.clients[who].place.is_some() {
            return self.send_line(who, "/quit");
        }
        let how = *chance.pick(&[Parting::End, Parting::Close, Parting::Reset]);
        self.clients[who].parted = Some((how, self.world.waited()));
        self.trace(|| format!("{who} parts: {how:?}"));
        self.world.part(who, how);
        if how != Parting::End || W::AT_ONCE {
            self.hear_all();
            self.forget(who);
        }
    }

    /// Everybody goes: those who are cut off are, and the others say nothing more.
    pub fn part_all(&mut self) {
        let is_here = |client: &Client| !client.is_gone && !client.is_dismissed;
        let controls =
            (0..self.clients.len()).filter(|&who| self.clients[who].is_control && is_here(&self.clients[who]));
        for who in [self.living(), controls.collect()].concat() {
            if self.clients[who].place.is_some() {
                self.send_line(who, "/quit");
            }
            self.clients[who].parted = Some((Parting::End, self.world.waited()));
            self.world.part(who, Parting::End);
        }
        (0..self.clients.len()).for_each(|who| self.world.arrive_late(who));
        self.hear_all();
    }

    /// Somebody sends a line, whose answer is waited for from now on.
    pub fn send_line(&mut self, who: usize, line: &str) {
        self.send(who, format!("{line}\n").as_bytes());
    }

    /// Somebody sends bytes, as the dialect takes them apart.
    pub(super) fn send(&mut self, who: usize, bytes: &[u8]) {
        self.clients[who].framing.feed(bytes, &mut Vec::new());
        let mut framing = std::mem::take(&mut self.clients[who].framing);
        while let Some((line, _)) = framing.lines.next_line() {
            let text = plain::text(&line);
            if let Some(request) = plain::parse(&line, &text) {
                // A long one counts as many.
                let (waited, count) = (self.world.waited(), if bytes.len() > LINE { AT_ONCE } else { 1 });
                let lately = &mut self.clients[who].lately;
                lately.extend(std::iter::repeat_n(waited, count));
                lately.drain(..lately.len().saturating_sub(AT_ONCE));
                let due = self.due(who, &request);
                let counts = !matches!(request.verb(), Verb::Keep | Verb::Resume);
                let client = &mut self.clients[who];
                client.due.push(due);
                client.place.iter_mut().filter(|_| counts).for_each(|place| place.sent.push(bytes.to_vec()));
            }
        }
        self.clients[who].framing = framing;
        self.trace(|| format!("{who} sends {:.120}", String::from_utf8_lossy(bytes)));
        self.world.send(who, bytes);
    }

    /// What follows for the model from a request's being on its way.
    pub(super) fn due(&mut self, who: usize, request: &Request<'_>) -> Due {
        let (verb, sent) = (request.verb(), self.step);
        let name = commands::spec_of(verb).map(|spec| spec.name);
        if let Some(name) = name {
            *self.counted.entry(name).or_default() += 1;
        }
        let waited = self.world.waited();
        let client = &mut self.clients[who];
        let is_in_rate = client.lately.len() < AT_ONCE || waited - client.lately[0] >= BURST;
        let answers_at_once = client.due.is_empty() && is_in_rate && !self.world.is_slow(who);
        let mut is_certain = true;
        let (is_of_operators, is_operator) = match request {
            Request::OfOperators { .. } => (true, self.is_operator(who)),
            _ => (false, false),
        };
        let may_be_unknown = is_of_operators && !is_operator && !W::AT_ONCE;
        let asked = match request {
            Request::OfOperators { request, .. } if is_operator || may_be_unknown => {
                self.asked_of_operators(who, request)
            }
            Request::Nick(Named { typed, .. }) => {
                self.clients[who].names.push(((*typed).to_owned(), sent, None));
                Asked::Nick((*typed).to_owned())
            }
            Request::Register(password) => {
                self.may_prove(who, password);
                self.unpromise(who);
                Asked::Register((*password).to_owned())
            }
            Request::Passwd { new, .. } => {
                self.may_prove(who, new);
                self.unpromise(who);
                Asked::Passwd((*new).to_owned())
            }
            Request::Token(wanted) => {
                if *wanted == Wanted::Off {
                    self.unpromise_tokens(who);
                }
                self.clients[who].changed = sent;
                Asked::Other
            }
            Request::Room { room, part: RulesPart::Set(Rule::Outside(true)) } => {
                match room {
                    Some(room) => drop(self.outside.insert(fold(room.typed).into_owned())),
                    None => self.outside.extend(ROOMS.iter().map(|room| fold(room).into_owned())),
                }
                Asked::Other
            }
            Request::Login { nick, credential } => {
                let name = nick.typed.trim_start_matches('@').to_owned();
                self.become_kin(who, &name);
                self.clients[who].names.push((name.clone(), sent, None));
                let proof = match credential {
                    Credential::Password(password) => (*password).to_owned(),
                    Credential::Token(token) => token.map(|token| Done::Token(token).to_string()).unwrap_or_default(),
                };
                Asked::Login(name, proof)
            }
            Request::Logout => Asked::Guest,
            Request::Drop(_) => {
                // From now on it may be nobody's.
                for (name, _, _) in self.clients[who].names.iter().filter(|(_, _, to)| to.is_none()) {
                    self.owned.retain(|known, _| !is_like(known, name));
                }
                self.unpromise(who);
                Asked::Guest
            }
            Request::Leave { .. } => Asked::Leave,
            Request::Chunk(_) => {
                is_certain = false;
                Asked::Other
            }
            Request::Say { text, .. } => {
                is_certain = verb == Verb::Me;
                self.say_due(who, None, text)
            }
            Request::Msg { target, text, .. } => self.say_due(who, Some(typed(target)), text),
            Request::Send(offer) => {
                self.clients[who].upload = None;
                let target = typed(&offer.target);
                self.offers.push(Offered { sender: who, target, size: offer.size, sent });
                Asked::Send(self.offers.len() - 1)
            }
            Request::Ignore(Some(whom)) => Asked::Ignore(whom.typed.to_owned()),
            Request::Unignore(_) => Asked::Unignore,
            Request::Who(None) => Asked::WhoAll,
            Request::Set(Some(_)) => Asked::Set,
            Request::Quit(_) => Asked::Quit,
            Request::Ping(_) => Asked::Ping(answers_at_once.then_some(waited)),
            Request::Malformed { verb: Verb::Send, .. } => {
                self.clients[who].upload = None;
                Asked::Other
            }
            _ => Asked::Other,
        };
        let verb = match (verb, name) {
            // To those who are no operators these are unknown.
            _ if is_of_operators && !is_operator && !may_be_unknown => "?",
            (_, Some(name)) => name,
            (Verb::Say, None) => "say",
            (Verb::Chunk, None) => "chunk",
            _ => "?",
        };
        Due { verb, is_certain, may_be_unknown, sent, asked }
    }

    pub(super) fn say_due(&mut self, who: usize, target: Option<String>, text: &str) -> Asked {
        let Some(said) = number_of(text).and_then(|n| self.sayings.get_mut(n)) else { return Asked::Other };
        if said.text != text {
            return Asked::Other;
        }
        (said.speaker, said.target) = (who, target);
        Asked::Say(number_of(text).unwrap())
    }

    /// A text that nobody has said before.
    pub(super) fn new_text(&mut self, chance: &mut dyn Chance) -> String {
        let length = if chance.one_in(24) { chance.below(3_900) } else { 0 };
        self.add_text(length)
    }

    /// A text that nobody has said before, with so much behind its number.
    pub(super) fn add_text(&mut self, length: usize) -> String {
        let n = self.sayings.len();
        let text = format!("{MARK}{n}{MARK}{}", "x".repeat(length));
        let sent = self.step;
        let owed = BTreeSet::new();
        self.sayings.push(Saying {
            speaker: usize::MAX,
            target: None,
            text: text.clone(),
            sent,
            room: None,
            seq: None,
            owed,
        });
        text
    }

    pub(super) fn say(&mut self, chance: &mut dyn Chance) {
        let Some(who) = self.somebody(chance) else { return };
        if self.is_flooded && chance.one_in(3) {
            for _ in 0..300 {
                let text = self.add_text(3_900);
                self.send_line(who, &format!("/msg #a {text}"));
            }
        }
        if self.is_flooded && chance.one_in(3) {
            (0..60).for_each(|_| self.send_line(who, "/help"));
        }
        for _ in 0..if chance.one_in(12) { 1 + chance.below(40) } else { 1 } {
            let text = self.new_text(chance);
            self.send_line(who, &text);
        }
    }

    /// Bytes that no person would type.
    pub(super) fn raw(&mut self, chance: &mut dyn Chance) {
        let Some(who) = self.somebody(chance) else { return };
        let mut line: Vec<u8> = Vec::new();
        for _ in 0..chance.below(5) {
            line.extend_from_slice(chance.pick(WORDS).as_bytes());
            line.push(u8::try_from(32 + chance.below(95)).unwrap());
        }
        if chance.one_in(16) {
            line.resize(LINE + 10, b'a');
        }
        // A first line of this kind would be for a web server.
        if self.clients[who].is_greeted && !line.starts_with(b"=") && !line.starts_with(b"/") {
            line.push(b'\n');
            self.send(who, &line);
        }
    }

    /// The next bytes of an upload that is open, or of none; perhaps too many, or no base64.
    pub(super) fn chunk(&mut self, chance: &mut dyn Chance) {
        let is_sending = |client: &Client| client.upload.is_some_and(|(file, _)| client.uploads.contains(&file));
        let mut sending = self.living();
        sending.retain(|&who| is_sending(&self.clients[who]));
        let goes_on = !sending.is_empty() && chance.below(10) > 0;
        let Some(who) = (if goes_on { Some(*chance.pick(&sending)) } else { self.somebody(chance) }) else { return };
        let client = &self.clients[who];
        // Where the chunks of an offer that has no answer yet begin, nobody knows.
        if client.due.iter().any(|due| due.verb == "send") {
            return;
        }
        let (file, at) = client.upload.map_or((None, 0), |(file, at)| (Some(file), at));
        let left = file.and_then(|file| self.files.get(&file)).map(|&n| self.offers[n].size.saturating_sub(at));
        let most = if chance.one_in(30) { 400 } else { left.unwrap_or(400).min(30_000) };
        let len = if chance.below(3) > 0 { most } else { chance.below(most as usize + 1) as u64 };
        let mut line = format!("={}", BASE64.encode(bytes_at(at, len)));
        match chance.below(64) {
            0 => line.push('!'),
            1 => line += &"A".repeat(CHUNK_BYTES * 4),
            _ => {}
        }
        if let Some((_, at)) = &mut self.clients[who].upload {
            *at += len;
        }
        self.send_line(who, &line);
    }

    pub(super) fn digest(&mut self, size: u64) -> &str {
        self.digests.entry(size).or_insert_with(|| {
            let digest = chinwag::names::Digest(Sha256::digest(bytes_at(0, size)).into());
            digest.to_string()
        })
    }

    pub(super) fn command(&mut self, chance: &mut dyn Chance) {
        let Some(mut who) = self.somebody(chance) else { return };
        if self.clients[who].is_locked && chance.below(3) > 0 {
            let password = if chance.one_in(4) { "shut" } else { PASSWORD };
            return self.send_line(who, &format!("/pass {password}"));
        }
        let nick = match self.somebody(chance) {
            Some(other) if chance.below(8) > 0 => self.clients[other].nick.clone(),
            _ => (*chance.pick(NICKS)).to_owned(),
        };
        let room = *chance.pick(ROOMS);
        // Those who are in a room are more likely to rule it.
        let own: Vec<&String> = self.clients[who].rooms.keys().collect();
        let mut own = if own.is_empty() || chance.one_in(4) { room.to_owned() } else { (*chance.pick(&own)).clone() };
        let target = if chance.below(3) > 0 { room.to_owned() } else { nick.clone() };
        let newest = self.files.keys().next_back().copied().unwrap_or_default();
        let file = newest.saturating_sub(chance.below(6) as u64);
        let number = chance.below(20);
        let switch = *chance.pick(&["on", "off"]);
        let password = *chance.pick(PASSWORDS);
        let owners: Vec<usize> = self.living().into_iter().filter(|&who| self.clients[who].is_owner).collect();
        let owner = if owners.is_empty() { None } else { Some(*chance.pick(&owners)) };
        let owned = self.owned.keys().nth(chance.below(self.owned.len().max(1))).cloned();
        let somebodys = owned.clone();
        let what = chance.below(47);
        if (40..45).contains(&what) && chance.below(8) > 0 {
            (who, own) = self.ruler(chance).unwrap_or((who, own));
        }
        let line = match what {
            0 => format!("/nick {}", chance.pick(NICKS)),
            1..5 => format!("/join {room}{}", if chance.one_in(4) { " open" } else { "" }),
            5 => format!("/leave {room} {}", self.new_text(chance)),
            6 => "/leave".to_owned(),
            // Whoever leaves out the sign may be told which room they mean.
            7 if chance.below(2) > 0 => {
                let hidden = self.hidden.iter().nth(chance.below(self.hidden.len().max(1)));
                format!("/query {}", hidden.map_or(&room[1..], |room| &room[1..]))
            }
            7 => format!("/query {target}"),
            8..11 => {
                for _ in 0..if chance.one_in(16) { chance.below(60) } else { 0 } {
                    let line = format!("/msg {target} {}", self.new_text(chance));
                    self.send_line(who, &line);
                }
                format!("/msg {target} {}", self.new_text(chance))
            }
            11 => format!("/me {}", self.new_text(chance)),
            12 => format!("/typing {target} {switch}"),
            13 => "/typing".to_owned(),
            14 => format!("/topic {room} about {number}"),
            15..18 => {
                let size = *chance.pick(SIZES);
                let digest = match chance.below(4) {
                    // That a wrong one is found is seen here too.
                    0 => format!("sha256:{} ", "0".repeat(64)),
                    1 => String::new(),
                    _ => format!("{} ", self.digest(size)),
                };
                match chance.below(3) {
                    // It may be the same again, and so be taken up where it broke off.
                    0 => format!("/send #a 30000 {} again.txt", self.digest(30_000)),
                    _ => format!("/send {target} {size} {digest}name {number}.txt"),
                }
            }
            18..22 => format!("/get {file} {}", *chance.pick(&[0, 0, 1, 12_288])),
            22 => format!("/cancel {file}"),
            23 => format!("/history {room} {number}"),
            24 => format!("/history {room} after {number}"),
            25 => format!("/ignore {nick}"),
            26 => format!("/unignore {nick}"),
            27 => format!("/set {} {switch}", chance.pick(&["echo", "presence", "stamp", "typing", "whole"])),
            28 => "/who".to_owned(),
            29 => format!("/who {target}"),
            30 => (*chance.pick(&["/rooms", "/files", "/limits", "/help", "/ignore", "/set", "/query"])).to_owned(),
            31 => (*chance.pick(&["/away gone", "/away", "/back", "/nope", "/nick", "/get x", "/send"])).to_owned(),
            32 if chance.one_in(3) => format!("/quit {}", self.new_text(chance)),
            33 | 34 => format!("/ping {number}"),
            35 => {
                let spec = chance.pick(commands::TABLE);
                // What has come is told as it is, and operators do there no more than is known.
                if !W::AT_ONCE && (matches!(spec.verb, Verb::Keep | Verb::Resume) || spec.verb.is_of_operators()) {
                    return;
                }
                let words: Vec<&str> = (0..chance.below(4)).map(|_| *chance.pick(WORDS)).collect();
                format!("/{} {}", spec.name, words.join(" "))
            }
            36 => {
                // Mostly a name that can be owned.
                if chance.below(4) > 0 {
                    self.send_line(who, &format!("/nick {}", chance.pick(NICKS)));
                }
                format!("/register {password}")
            }
            37 => {
                let tempted = if chance.below(2) > 0 { self.tempted(chance) } else { None };
                let name = match (tempted, owned) {
                    (Some((other, name)), _) => {
                        who = other;
                        name
                    }
                    (None, owned) => owned.unwrap_or_else(|| (*chance.pick(NICKS)).to_owned()),
                };
                format!("/login {name} {}", self.password_of(&name, chance))
            }
            38 => {
                let name = owner.map_or(nick, |owner| self.clients[owner].nick.clone());
                format!("/login {name} {}", self.password_of(&name, chance))
            }
            39 => match chance.below(8) {
                0 => "/logout".to_owned(),
                1 => {
                    let old = self.password_of(&self.clients[who].nick, chance);
                    format!("/passwd {old} {password}")
                }
                2 => "/token".to_owned(),
                3 if chance.one_in(8) => "/token off".to_owned(),
                4 => {
                    let who = owner.unwrap_or(who);
                    let line = format!("/drop {}", self.password_of(&self.clients[who].nick, chance));
                    return self.send_line(who, &line);
                }
                5 => format!("/account {nick}"),
                6 => "/account".to_owned(),
                _ => {
                    let proofs = self.proofs.iter().flat_map(|(name, all)| all.iter().map(move |proof| (name, proof)));
                    // What was good once may be tried again.
                    let spent = self.spent.last().map(|(name, proof)| (name, proof));
                    let proofs = proofs.chain(spent);
                    let tokens: Vec<(&String, &str)> =
                        proofs.filter_map(|(name, proof)| Some((name, proof.strip_prefix("token ")?))).collect();
                    match tokens.is_empty() {
                        true => "/logout".to_owned(),
                        false => {
                            let (name, token) = *chance.pick(&tokens);
                            format!("/login {name} token:{token}")
                        }
                    }
                }
            },
            40..45 => match chance.below(12) {
                0..4 => format!("/kick {own} {nick} {}", self.new_text(chance)),
                4..6 => {
                    // Owners of names are banned wherever they are.
                    let whom = if chance.below(2) > 0 { somebodys } else { None };
                    format!("/{} {own} {} 30d", chance.pick(&["ban", "ban", "mute"]), whom.unwrap_or(nick))
                }
                6 => format!("/unban {own} {}", 1 + number / 4),
                7 if chance.one_in(3) => format!("/{} {own}", chance.pick(&["op", "bans"])),
                7 | 8 => {
                    // What is of a name lasts.
                    let nick =
                        owner.filter(|_| chance.below(2) > 0).map_or(nick, |owner| self.clients[owner].nick.clone());
                    let command = chance.pick(&["op", "op", "deop", "voice", "devoice", "founder", "invite", "invite"]);
                    format!("/{command} {own} {nick}")
                }
                9 | 10 => {
                    let rule = chance.pick(&[
                        "hidden on",
                        "hidden on",
                        "hidden on",
                        "hidden off",
                        "invite-only on",
                        "invite-only off",
                        "key open",
                        "key off",
                        "limit 3",
                        "limit off",
                        "guests listen",
                        "guests out",
                        "guests speak",
                        "outside on",
                        "outside off",
                        "moderated on",
                        "moderated off",
                        "topic-locked on",
                        "slow 1s",
                        "slow off",
                        "past off",
                        "past on",
                        "",
                    ]);
                    format!("/room {own} {rule}")
                }
                _ if chance.below(2) > 0 => format!("/uninvite {own} {nick}"),
                _ => format!("/erase {own} {number} {}", number + chance.below(3)),
            },
            45 => format!("/typing {target}"),
            _ => {
                let Some((owner, line)) = self.token(&owners, chance) else { return };
                who = owner;
                line
            }
        };
        self.send_line(who, &line);
    }
}

//! The line client: `chinwag connect`, `send` and `get`. This file joins its parts: what the link brings goes to the session
//! and the transfers, and what they want to say goes out.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use memchr::memchr_iter;
use mio::Token;

use crate::client::model::kept::{Kept, Told};
use crate::client::model::session::{Anew, Session, TokenChange, Wish};
use crate::client::wire::link::{Link, LinkChange, Received};
use crate::client::wire::server::Server;
use crate::client::wire::transfers::Transfers;
use crate::names::{Nick, Token as Proof};
use crate::text::counted;
use crate::wire::{Code, ServerLine, farewell};

pub mod chat;
pub mod gallery;
pub mod helper;
pub mod input;
pub mod known;
pub mod line;
pub mod meet;
pub mod model;
pub mod oneshot;
pub mod patient;
pub mod pipe;
pub mod plain;
pub mod saved;
pub mod screen;
pub mod tokens;
pub mod visit;
pub mod wire;

/// What is told of a server that has said nothing that a chinwag server says first.
const STRANGER: &str = "it never greeted us as chinwag does: is the port right? If it is for TLS, say tls://HOST:PORT";
/// How long a server may take to say that.
const GREETING: Duration = Duration::from_secs(15);
/// After how long it is told that it has not yet.
const NO_GREETING: Duration = Duration::from_secs(3);

/// What is told of a server that has taken longer than that.
fn too_slow(greeting: Duration) -> String {
    format!("the server took longer than {} seconds", greeting.as_secs())
}

/// What the server said before it closed the connection.
struct Farewell {
    text: String,
    /// Whether it is of no use to come back, unless somebody does something about it.
    is_final: bool,
    /// Whether it closed as nothing was typed in time.
    is_idle: bool,
}

/// What a last line of the server's tells the person.
fn last_words(code: Code<'_>, text: &str) -> String {
    match farewell(text) {
        // Only where the operator gives no reason the text tells who it was.
        text if code == Code::Killed && !text.starts_with("an operator ") => format!("an operator put you out: {text}"),
        text => text.to_owned(),
    }
}

/// A client of one server, over all the connections that it takes.
pub struct Client {
    /// The connection.
    pub link: Link,
    /// The conversation.
    pub session: Session,
    /// The files.
    pub transfers: Transfers,
    /// Where the server is, as HOST:PORT.
    address: String,
    /// The place that the server keeps for us.
    kept: Kept,
    /// When the connection stood that was made last, and how long the server may take from then on to greet us.
    connected: Instant,
    greeting: Duration,
    /// Whether the person has been told that it has not yet.
    is_hinted: bool,
    /// Whether a server has ever let us in.
    was_in: bool,
    /// How long there may be no server that lets us in again or answers anything, and since when there is none.
    patience: Option<Duration>,
    away: Option<Instant>,
    /// The first line that had no answer when that was looked at last.
    oldest: Option<u64>,
    farewell: Option<Farewell>,
    /// Tells what unlocks the server, which may change while there is no connection; and what it told last.
    new_password: Option<Anew<String>>,
    told_password: Option<String>,
    /// The same of what proves the name that is wished for.
    new_token: Option<Anew<Result<(Nick, Proof), String>>>,
    told_token: Option<Result<(Nick, Proof), String>>,
    out: Vec<u8>,
}

impl Client {
    /// A client of this server, which begins with these wishes and saves what it fetches in `folder`.
    pub fn new(server: Server, wish: Wish, folder: PathBuf) -> io::Result<Self> {
        let address = server.address.to_string();
        Ok(Self {
            link: Link::new(server, Instant::now())?,
            kept: Kept::default(),
            new_password: wish.new_password.clone(),
            told_password: wish.password.clone(),
            new_token: wish.new_token.clone(),
            told_token: wish.tokens.iter().find(|(nick, _)| Some(*nick) == wish.nick).copied().map(Ok),
            session: Session::new(wish),
            transfers: Transfers::new(address.clone(), folder),
            address,
            connected: Instant::now(),
            greeting: GREETING,
            is_hinted: false,
            was_in: false,
            patience: None,
            away: None,
            oldest: None,
            farewell: None,
            out: Vec::new(),
        })
    }

    /// Has it be an error if there is no server for so long that lets us in again, or that answers anything.
    pub fn give_up_after(&mut self, patience: Duration) {
        self.patience = Some(patience);
    }

    /// One turn of the loop: waits for the server, for others who have registered with the link, or until the time comes, and
    /// carries out what there is to be done. Returns the tokens of others.
    ///
    /// It is an error if the server cannot be reached, or turns us away, before it has ever let us in. Later the connection is
    /// made again, as often as need be and [`Client::give_up_after`] lets it, unless the server has put us out for good. It is one too
    /// if all is to be done under a name that we cannot have.
    pub fn turn(&mut self, until: Option<Instant>) -> Result<Vec<Token>, String> {
        if !self.session.is_dozing() {
            self.link.go_on(Instant::now());
        }
        let hint = self.hint_due().filter(|&at| at > Instant::now());
        let given_up = self.given_up_at();
        let until = [until, self.session.next_tick(), self.greeting_due(), hint, given_up].into_iter().flatten().min();
        let until = if self.work() { Some(Instant::now()) } else { until };
        let others = self.link.wait(until).map_err(|e| cannot_connect(&self.address, &crate::listener::reason(&e)))?;
        let now = Instant::now();
        self.link.read();
        self.take_lines(now);
        if self.greeting_due().is_some_and(|at| at <= now) {
            self.link.give_up(too_slow(self.greeting));
        }
        if let Some(change) = self.link.change(now) {
            self.changed(change, now)?;
        }
        // Also where the person is still asked for the password, which may take as long as the server waits for it.
        let can_answer = self.session.is_in() || self.session.locked().is_some();
        if self.link.is_silent(now, SystemTime::now()) && can_answer {
            self.session.ask_alive();
        }
        self.session.tick(now);
        self.work();
        let oldest = self.session.oldest();
        let is_answered = std::mem::replace(&mut self.oldest, oldest) != oldest || oldest.is_none();
        let is_served = self.session.is_in() && (is_answered || self.link.unsent() > 0);
        self.away = if is_served || !(self.was_in || self.session.is_in()) { None } else { self.away.or(Some(now)) };
        match (self.session.undone().filter(|_| !self.session.is_quitting()), self.given_up_at()) {
            (Some(why), _) => Err(why.to_owned()),
            (None, Some(at)) if at <= now => {
                let patience = counted(self.patience.unwrap_or_default().as_secs(), "second");
                let (what, then) = match self.session.is_in() {
                    true => ("answered anything", ": see what came of it before you try again"),
                    false => ("let us in again", ""),
                };
                Err(format!("{} has not {what} for {patience}, so it is waited for no more{then}", self.address))
            }
            (None, _) => Ok(others),
        }
    }

    /// When the server is waited for no more, if there is none that lets us in again.
    fn given_up_at(&self) -> Option<Instant> {
        Some(self.away? + self.patience?)
    }

    /// When the server must have greeted us, or given us our place back, as long as it has not.
    fn greeting_due(&self) -> Option<Instant> {
        let is_due = self.session.is_ungreeted() || self.link.is_up() && self.kept.is_away();
        is_due.then(|| self.connected + self.greeting)
    }

    /// When it is told that the server has not greeted us.
    fn hint_due(&self) -> Option<Instant> {
        let is_due = self.session.is_ungreeted() && !self.was_in && !self.is_hinted;
        is_due.then(|| self.connected + NO_GREETING)
    }

    /// What a person is to know who waits for a server that has never greeted us, once it is time to tell.
    pub fn hint(&mut self, now: Instant) -> Option<String> {
        self.hint_due().filter(|&at| at <= now)?;
        self.is_hinted = true;
        let address = &self.address;
        Some(format!(
            "{address} has not greeted us yet as chinwag does: is the port right? If it is for TLS, /quit and say tls://{address}"
        ))
    }

    fn take_lines(&mut self, now: Instant) {
        self.session.clock = SystemTime::now();
        while let Some(received) = self.link.next_line() {
            let (line, bytes) = match &received {
                Received::Text(text) => (ServerLine::parse(text), text.len()),
                Received::Data(data) => (
                    ServerLine::parse_data(data)
                        .unwrap_or(ServerLine::Other("the server sent data that makes no sense")),
                    0,
                ),
                Received::TooLong => (ServerLine::Other("the server sent a line that is too long"), 0),
            };
            if let ServerLine::Bye { code, text } = line {
                let is_final = match code {
                    Code::Killed
                    | Code::Blocked
                    | Code::NotHttp
                    | Code::NotIrc
                    | Code::NotText
                    | Code::NotChat
                    | Code::NeedsTls => true,
                    // Once we were greeted, it is for wrong passwords, and else for what passes.
                    Code::Refused => !self.kept.is_away() && !self.session.is_ungreeted(),
                    _ => false,
                };
                self.farewell = Some(Farewell { text: last_words(code, text), is_final, is_idle: code == Code::Idle });
            }
            match self.kept.told(&line, bytes) {
                Told::Others => hand_on(&mut self.session, &mut self.transfers, line, now),
                Told::Own => {}
                Told::TakenUp { again, upload } => {
                    self.transfers.taken_up(upload);
                    self.session.taken_up(now);
                    again.iter().for_each(|line| send(&mut self.link, line));
                }
                // Most likely the server has heard that we leave, and its answer was lost.
                Told::Gone(_) if self.session.is_quitting() => {
                    self.link.give_up("the server keeps no place for us".to_owned());
                    break;
                }
                Told::Gone(greeting) => {
                    self.session.lost("");
                    self.connected();
                    for line in greeting.iter().map(|line| ServerLine::parse(line)) {
                        self.kept.told(&line, 0);
                        hand_on(&mut self.session, &mut self.transfers, line, now);
                    }
                }
            }
        }
        if self.session.is_online() {
            self.was_in = true;
            self.link.is_good();
        }
    }

    fn changed(&mut self, change: LinkChange, now: Instant) -> Result<(), String> {
        match change {
            LinkChange::Up => {
                self.connected = now;
                match self.kept.connected() {
                    Some(line) => send(&mut self.link, &line),
                    None => self.connected(),
                }
            }
            LinkChange::Untrusted(why) => return Err(cannot_connect(&self.address, &why)),
            LinkChange::Down(why) => {
                let farewell = self.farewell.take();
                let is_stranger = farewell.is_none() && self.session.is_ungreeted();
                let is_final = farewell.as_ref().is_some_and(|farewell| farewell.is_final);
                let is_idle = farewell.as_ref().is_some_and(|farewell| farewell.is_idle);
                let why = farewell.map_or(why, |farewell| farewell.text);
                if is_final && self.was_in && !self.session.is_quitting() {
                    return Err(format!("{} closed the connection: {why}", self.address));
                }
                match self.kept.lost() {
                    Some(time) => {
                        self.was_in = true;
                        self.session.lost_and_kept(&why, time, now);
                    }
                    None if is_idle && self.session.doze() => {
                        // The person has been asked, so what fails from now on is tried again.
                        self.was_in = true;
                        self.link.rest();
                    }
                    // What stands before a server that is away takes each try and loses it, which tells nothing new.
                    None if is_stranger && self.session.has_told_loss() => self.session.lost(""),
                    None if self.was_in || self.session.is_quitting() => self.session.lost(&why),
                    None if is_stranger => return Err(cannot_connect(&self.address, &format!("{why}; {STRANGER}"))),
                    None => return Err(cannot_connect(&self.address, &why)),
                }
            }
        }
        Ok(())
    }

    /// A connection stands on which we come in anew. The password is another only if what tells it tells another, as the person may
    /// have typed a better one; and so is the token, as the server may have given us a better one.
    fn connected(&mut self) {
        let token = self.new_token.as_ref().and_then(|Anew(read)| read());
        if let Some(token) = token.filter(|token| self.told_token.as_ref() != Some(token)) {
            self.told_token = Some(token.clone());
            self.session.prove_by(token);
        }
        let password = self.new_password.as_ref().and_then(|Anew(read)| read());
        if let Some(password) = password.filter(|password| self.told_password.as_ref() != Some(password)) {
            self.told_password = Some(password.clone());
            self.session.unlock_with(password);
        }
        self.session.connected();
    }

    /// Hands on what the session and the transfers want of each other and of the server. Whether there is more to be done.
    fn work(&mut self) -> bool {
        let now = Instant::now();
        take_answers(&mut self.session, &mut self.transfers, now);
        while let Some(change) = self.session.poll_token() {
            let done = match change {
                TokenChange::Keep(nick, token) => tokens::keep(&self.address, nick, token),
                TokenChange::Forget(nick, token) => tokens::forget(&self.address, nick, token),
            };
            match (done, change) {
                (Ok(()), TokenChange::Keep(..)) => self.session.kept(),
                (Ok(()), TokenChange::Forget(..)) => {}
                (Err(e), TokenChange::Keep(nick, _) | TokenChange::Forget(nick, _)) => {
                    let at = tokens::path(&self.address, nick).map(|path| format!("{}: ", path.display()));
                    self.session.untold(&(at.unwrap_or_default() + &crate::listener::reason(&e)));
                }
            }
        }
        while let Some(line) = self.kept.poll_line() {
            send(&mut self.link, &line);
        }
        // Chunks belong to the upload that was opened last, so they go out before whatever is asked for next.
        let is_busy = self.transfers.work(&mut self.session, self.link.unsent(), &mut self.out, now);
        self.kept.sent_data(memchr_iter(b'\n', &self.out).count() as u64);
        self.link.send(&self.out);
        self.out.clear();
        while let Some(line) = self.session.poll_line() {
            self.kept.sent(&line);
            // Whatever was said just before a loss goes out with the rest that is sent again.
            if !self.kept.is_away() {
                send(&mut self.link, &line);
            }
        }
        self.link.flush();
        is_busy || self.session.is_online() && self.transfers.wants_more(self.link.unsent())
    }
}

fn cannot_connect(address: &str, why: &str) -> String {
    format!("cannot connect to {address}: {why}")
}

fn send(link: &mut Link, line: &str) {
    link.send(line.as_bytes());
    link.send(b"\n");
}

/// Hands a line of the server's on to whom it is for.
fn hand_on(session: &mut Session, transfers: &mut Transfers, line: ServerLine<'_>, now: Instant) {
    match line {
        ServerLine::Data { file, base64 } => transfers.data(file, base64, now),
        ServerLine::Whole { file, digest, .. } => transfers.whole(file, digest),
        ServerLine::Failed { file, code, text } => transfers.failed(file, code, text, now),
        line => {
            session.told(line, now);
            // The next line may be of the transfer that this one has begun.
            take_answers(session, transfers, now);
        }
    }
}

fn take_answers(session: &mut Session, transfers: &mut Transfers, now: Instant) {
    while let Some(answer) = session.poll_answer() {
        transfers.answer(answer, now);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::client::wire::server::{Named, Wire};

    #[test]
    fn a_server_that_closes_as_nobody_typed_its_password_is_left_alone_until_somebody_does() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Server { address: address.parse::<Named>().unwrap().clear(), wire: Wire::Clear };
        let wish = Wish { person: true, ..Wish::default() };
        let mut client = Client::new(server, wish, PathBuf::new()).unwrap();
        let (hear, heard) = crate::channel::channel();
        let server = std::thread::spawn(move || {
            let (mut first, _) = listener.accept().unwrap();
            first.write_all(b"* locked x send /pass PASSWORD\n* bye idle no password came in time\n").unwrap();
            drop(first);
            let (mut second, _) = listener.accept().unwrap();
            second.write_all(b"* locked x send /pass PASSWORD\n").unwrap();
            let mut line = String::new();
            BufReader::new(second).read_line(&mut line).unwrap();
            hear.send(line).unwrap();
        });
        while !client.session.is_dozing() {
            client.turn(None).unwrap();
        }
        assert!(!client.link.is_up() && client.link.next_try().is_none());
        client.turn(Some(Instant::now() + Duration::from_millis(50))).unwrap();
        assert!(heard.try_recv().is_err());
        client.session.typed("a long password", Instant::now());
        let line = std::iter::repeat_with(|| {
            client.turn(Some(Instant::now() + Duration::from_millis(5))).unwrap();
            heard.try_recv().ok()
        });
        assert_eq!(line.flatten().next().as_deref(), Some("/pass a long password\n"));
        server.join().unwrap();
    }

    #[test]
    fn a_server_that_never_greets_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Server { address: address.parse::<Named>().unwrap().clear(), wire: Wire::Clear };
        let mut client = Client::new(server, Wish::default(), PathBuf::new()).unwrap();
        client.greeting = Duration::from_millis(20);
        let why = std::iter::repeat_with(|| client.turn(None)).find_map(Result::err).unwrap();
        assert_eq!(why, format!("cannot connect to {address}: the server took longer than 0 seconds; {STRANGER}"));
    }

    #[test]
    fn a_server_that_answers_nothing_is_not_waited_for_for_ever_however_much_it_tells() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Server { address: address.parse::<Named>().unwrap().clear(), wire: Wire::Clear };
        let mut client = Client::new(server, Wish::default(), PathBuf::new()).unwrap();
        client.give_up_after(Duration::from_secs(1));
        let server = std::thread::spawn(move || {
            let (mut first, _) = listener.accept().unwrap();
            first.write_all(b"* hello guest1 x 1 online\n").unwrap();
            for line in BufReader::new(first.try_clone().unwrap()).lines().map_while(Result::ok) {
                let line = line.trim_start_matches('/');
                if !line.starts_with("msg ") {
                    writeln!(first, "+ {line}").unwrap();
                }
            }
        });
        while !client.session.is_online() {
            client.turn(None).unwrap();
        }
        let told = client.session.meant("/msg #a hello", Instant::now());
        assert_eq!(told, model::news::Taken::Yes);
        let why = std::iter::repeat_with(|| client.turn(None)).find_map(Result::err).unwrap();
        let want = "has not answered anything for 1 second, so it is waited for no more: see what came of it before";
        assert_eq!(why, format!("{address} {want} you try again"));
        drop(client);
        server.join().unwrap();
    }

    #[test]
    fn a_server_that_has_gone_is_waited_for_by_a_program_and_not_for_ever() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Server { address: address.parse::<Named>().unwrap().clear(), wire: Wire::Clear };
        let mut client = Client::new(server, Wish::default(), PathBuf::new()).unwrap();
        client.give_up_after(Duration::from_secs(1));
        let server = std::thread::spawn(move || {
            let (mut first, _) = listener.accept().unwrap();
            first.write_all(b"* hello guest1 x 1 online\n").unwrap();
            let mut lines = BufReader::new(first.try_clone().unwrap()).lines();
            // It answers all that comes before one is in.
            while let Some(line) = lines.next().map(Result::unwrap) {
                let line = line.trim_start_matches('/');
                writeln!(first, "+ {line}").unwrap();
                if line.starts_with("ping") {
                    return;
                }
            }
        });
        let begun = Instant::now();
        let why = std::iter::repeat_with(|| client.turn(None)).find_map(Result::err).unwrap();
        let want = format!("{address} has not let us in again for 1 second, so it is waited for no more");
        assert_eq!((why, client.was_in), (want, true));
        assert!(begun.elapsed() >= Duration::from_secs(1));
        server.join().unwrap();
    }
}

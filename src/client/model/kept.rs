//! The place that the server keeps for us when a connection is lost: what is counted and held for it, so that on the next
//! connection everything goes on as if nothing had happened.

use std::collections::VecDeque;
use std::time::Duration;

use crate::names::{FileId, PlaceToken};
use crate::wire::{Code, Command, Detail, Done, ServerLine};

/// Bytes of lines that may come before the server is told that they have: it holds four times as many.
const CONFIRM: usize = 16 * 1024;
/// Bytes of lines that are held until it is known whether the place is taken up. No greeting has more.
const GREETING: usize = 64 * 1024;

/// What the lines of a connection are to a place.
#[derive(PartialEq, Eq, Debug)]
pub enum Told {
    /// This one is none of its business.
    Others,
    /// This one is for it alone.
    Own,
    /// The place is taken up, and all that comes from here on is what would have come.
    TakenUp {
        /// Lines that were not carried out, to be sent again.
        again: Vec<String>,
        /// The open upload, and how many bytes of it have come.
        upload: Option<(FileId, u64)>,
    },
    /// The place is gone, and we are somebody new. These lines have come meanwhile, and greet us.
    Gone(Vec<String>),
}

/// The place, over all connections. The server is asked for one as soon as it has let us in.
#[derive(Default, Debug)]
pub struct Kept {
    state: State,
    /// Lines that have come since the first `+ keep`.
    lines: u64,
    /// Bytes of lines that have come, and of which the server has not answered that it knows.
    unconfirmed: usize,
    /// How many of these it has been told of.
    confirming: Option<usize>,
    /// Whether the last answer to that is still to come for a place that is over: it is a refusal.
    is_behind: bool,
    /// How many lines of ours, sent since the first `/keep`, are known to be carried out or refused.
    had: u64,
    /// How many commands among these have no reply yet: it comes behind the answer to `/resume`.
    unanswered: u64,
    /// The lines behind them.
    sent: VecDeque<Sent>,
}

#[derive(Default, Debug)]
enum State {
    /// None is kept.
    #[default]
    None,
    /// The server has let us in, and is to be asked.
    Greeted,
    Asked,
    /// This server keeps none.
    Refused,
    Kept(Ticket),
    /// There is no connection.
    Lost(Ticket),
    /// The next connection has asked for it.
    Resuming {
        ticket: Ticket,
        had: u64,
        upload: Option<(FileId, u64)>,
        greeting: Vec<String>,
    },
}

/// What takes a place up.
#[derive(Clone, Copy, Debug)]
struct Ticket {
    token: PlaceToken,
    /// How long the place is kept after a loss.
    time: Duration,
}

/// What was sent to the server.
#[derive(Debug)]
enum Sent {
    /// A command, which gets a reply.
    Line(String),
    /// So many lines of file data, which get none, and are read from the file again.
    Data(u64),
}

impl Kept {
    /// Whether the place has to be taken up before anything can be said.
    pub fn is_away(&self) -> bool {
        matches!(self.state, State::Lost(_) | State::Resuming { .. })
    }

    /// A connection stands. If there is a place, this takes it up, and is to be sent first.
    pub fn connected(&mut self) -> Option<String> {
        let State::Lost(ticket) = self.state else { return None };
        self.state = State::Resuming { ticket, had: 0, upload: None, greeting: Vec::new() };
        Some(Command::Resume { token: ticket.token, lines: self.lines }.to_string())
    }

    /// The connection is lost. For how long the place is kept, if it is.
    pub fn lost(&mut self) -> Option<Duration> {
        self.confirming = None;
        match self.state {
            State::Kept(ticket) | State::Lost(ticket) | State::Resuming { ticket, .. } => {
                self.state = State::Lost(ticket);
                Some(ticket.time)
            }
            State::None | State::Greeted | State::Asked | State::Refused => {
                self.end();
                None
            }
        }
    }

    /// The place is kept no more.
    fn end(&mut self) {
        *self = Self::default();
    }

    /// The place went with the name that we had: the server is to be asked for another one.
    fn end_with_name(&mut self) {
        let is_behind = self.confirming.is_some();
        self.end();
        (self.state, self.is_behind) = (State::Greeted, is_behind);
    }

    /// What is to be sent for the place.
    pub fn poll_line(&mut self) -> Option<String> {
        match self.state {
            State::Greeted if !self.is_behind => self.state = State::Asked,
            State::Kept(_) if self.confirming.is_none() && self.unconfirmed >= CONFIRM => {
                self.confirming = Some(self.unconfirmed);
            }
            _ => return None,
        }
        Some(Command::Keep(self.lines).to_string())
    }

    /// Whether the server counts what is sent.
    fn is_counting(&self) -> bool {
        !matches!(self.state, State::None | State::Greeted | State::Refused)
    }

    /// A command goes to the server, or waits until the place is taken up.
    pub fn sent(&mut self, line: &str) {
        if self.is_counting() {
            self.sent.push_back(Sent::Line(line.to_owned()));
        }
    }

    /// So many lines of file data go to the server.
    pub fn sent_data(&mut self, count: u64) {
        if count == 0 || !self.is_counting() {
            return;
        }
        match self.sent.back_mut() {
            Some(Sent::Data(before)) => *before += count,
            _ => self.sent.push_back(Sent::Data(count)),
        }
    }

    /// A line of the server's has come, which has so many bytes; lines of file data have none that count.
    pub fn told(&mut self, line: &ServerLine<'_>, bytes: usize) -> Told {
        match self.state {
            State::None => {
                if matches!(line, ServerLine::Hello { .. }) {
                    self.state = State::Greeted;
                }
                Told::Others
            }
            State::Greeted if self.is_behind && matches!(line, ServerLine::Refused { command: "keep", .. }) => {
                self.is_behind = false;
                Told::Own
            }
            State::Greeted | State::Refused => Told::Others,
            State::Asked => match *line {
                ServerLine::Done(Done::Keep { token, seconds }) => {
                    self.state = State::Kept(Ticket { token, time: Duration::from_secs(seconds) });
                    Told::Own
                }
                // It is the first command that this server may not know.
                ServerLine::Refused { command: "keep", .. }
                | ServerLine::Refused { command: "?", code: Code::UnknownCommand, .. } => {
                    self.end();
                    self.state = State::Refused;
                    Told::Own
                }
                _ => Told::Others,
            },
            State::Kept(_) => self.counted(line, bytes),
            State::Lost(_) => Told::Own,
            State::Resuming { .. } => self.answered(line),
        }
    }

    /// Counts a line, and what it answers.
    fn counted(&mut self, line: &ServerLine<'_>, bytes: usize) -> Told {
        if let ServerLine::Done(Done::Keep { .. }) = line {
            self.unconfirmed -= self.confirming.take().unwrap_or(0);
            return Told::Own;
        }
        self.lines += 1;
        self.unconfirmed += bytes;
        match line {
            ServerLine::Done(Done::Quit) | ServerLine::Bye { code: Code::Shutdown, .. } => self.end(),
            ServerLine::Done(Done::Drop(_)) | ServerLine::Nick { .. } => self.end_with_name(),
            ServerLine::Refused { command: "keep", .. } => {
                self.confirming = None;
                self.unconfirmed = 0;
                return Told::Own;
            }
            // Neither answers a command.
            ServerLine::Refused { command: "say", .. }
            | ServerLine::Refused { command: "?", code: Code::NoUpload, .. } => {}
            ServerLine::Done(_) | ServerLine::Refused { .. } => self.had_one(),
            _ => {}
        }
        Told::Others
    }

    /// The first command without a reply has one, so all before it is carried out, too.
    fn had_one(&mut self) {
        if self.unanswered > 0 {
            self.unanswered -= 1;
            return;
        }
        while let Some(sent) = self.sent.pop_front() {
            self.had += sent.count();
            if let Sent::Line(_) = sent {
                break;
            }
        }
    }

    /// A line has come on a connection that wants to take the place up.
    fn answered(&mut self, line: &ServerLine<'_>) -> Told {
        let State::Resuming { ticket, had, upload, greeting } = &mut self.state else { return Told::Own };
        match *line {
            ServerLine::Detail(text) => match Detail::parse("resume", text) {
                Detail::Had(count) => *had = count,
                Detail::Upload { file, offset } => *upload = Some((file, offset)),
                _ => {}
            },
            ServerLine::Done(Done::Resume(_)) => {
                let (had, upload) = (*had, *upload);
                self.state = State::Kept(*ticket);
                return Told::TakenUp { again: self.again(had), upload };
            }
            ServerLine::Refused { .. } => {
                let greeting = std::mem::take(greeting);
                self.end();
                return Told::Gone(greeting);
            }
            _ if greeting.iter().map(String::len).sum::<usize>() < GREETING => greeting.push(line.to_string()),
            _ => {}
        }
        Told::Own
    }

    /// So many lines of ours were carried out or refused. Gives those that were not and are to be sent again.
    fn again(&mut self, had: u64) -> Vec<String> {
        while self.had < had
            && let Some(sent) = self.sent.pop_front()
        {
            self.had += sent.count();
            self.unanswered += u64::from(matches!(sent, Sent::Line(_)));
        }
        // What of the file data was not carried out is sent from where the server has come to, and counted then.
        self.had = had;
        self.sent.retain(|sent| matches!(sent, Sent::Line(_)));
        let lines =
            self.sent.iter().filter_map(|sent| if let Sent::Line(line) = sent { Some(line.clone()) } else { None });
        lines.collect()
    }
}

impl Sent {
    fn count(&self) -> u64 {
        match self {
            Self::Line(_) => 1,
            Self::Data(count) => *count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: &str = "+ keep 0000000000000000000000000000000f 60";
    const RESUME: &str = "/resume 0000000000000000000000000000000f";

    /// The server says these lines, of which none takes a place up. Gives how many were for others.
    fn hear(kept: &mut Kept, lines: &[&str]) -> usize {
        let told = lines.iter().map(|line| kept.told(&ServerLine::parse(line), line.len()));
        told.filter(|told| *told == Told::Others).count()
    }

    /// A place that has just been kept.
    fn kept() -> Kept {
        let mut kept = Kept::default();
        assert_eq!((kept.connected(), kept.poll_line()), (None, None));
        assert_eq!(hear(&mut kept, &["* locked chinwag/0.2.0 x"]), 1);
        assert_eq!(kept.poll_line(), None, "nobody is asked before we are in");
        kept.sent("/pass tea");
        assert_eq!(hear(&mut kept, &["* hello guest1 x 1 online"]), 1);
        assert_eq!((kept.poll_line().as_deref(), kept.poll_line()), (Some("/keep 0"), None));
        // What came before the place was kept does not count, and what was sent behind the wish does.
        kept.sent("/who");
        assert_eq!(hear(&mut kept, &["+ pass", KEEP]), 1);
        kept
    }

    /// It is lost and taken up; the server has carried out so many lines, and has this upload open.
    fn take_up(kept: &mut Kept, want: &str, had: u64, upload: &str) -> (Vec<String>, Option<(FileId, u64)>) {
        assert_eq!(kept.lost(), Some(Duration::from_secs(60)));
        assert!(kept.is_away());
        assert_eq!(kept.connected(), Some(format!("{RESUME} {want}")));
        let lines = ["* hello guest7 x 2 online", "* motd hi", "* presence 9 +guest7", &format!("- had {had}"), upload];
        assert_eq!(hear(kept, &lines), 0);
        let Told::TakenUp { again, upload } = kept.told(&ServerLine::parse("+ resume alice"), 0) else { panic!() };
        assert!(!kept.is_away());
        (again, upload)
    }

    #[test]
    fn what_was_not_carried_out_is_sent_again() {
        let mut kept = kept();
        for line in ["/msg #a one", "/msg #a two", "/msg #a three"] {
            kept.sent(line);
        }
        assert_eq!(hear(&mut kept, &["+ who 1 1", "#a <bob> hi", "! say no-room x", "+ msg #a"]), 4);
        // Of four lines that were sent two are answered, and one more was carried out.
        assert_eq!(take_up(&mut kept, "4", 3, "").0, ["/msg #a three"]);
        assert_eq!(hear(&mut kept, &["+ msg #a", "+ msg #a"]), 2);
        kept.sent("/msg #a four");
        assert_eq!(take_up(&mut kept, "6", 4, "").0, ["/msg #a four"]);
        // What is sent again may get lost again, and what was said meanwhile follows it.
        kept.sent("/msg #a five");
        assert_eq!(take_up(&mut kept, "6", 4, "").0, ["/msg #a four", "/msg #a five"]);
        assert_eq!(take_up(&mut kept, "6", 6, "").0, [""; 0]);
        // Replies that come late answer what they answer.
        kept.sent("/msg #a six");
        assert_eq!(hear(&mut kept, &["+ msg #a", "+ msg #a"]), 2);
        assert_eq!(take_up(&mut kept, "8", 6, "").0, ["/msg #a six"]);
        assert_eq!(hear(&mut kept, &["+ msg #a"]), 1);
        assert_eq!((kept.had, kept.sent.len()), (7, 0));
    }

    #[test]
    fn file_data_counts_and_is_read_again() {
        let mut kept = kept();
        kept.sent("/send #a 9 x y");
        assert_eq!(hear(&mut kept, &["+ who 1 1", "+ send 7 0"]), 2);
        kept.sent_data(2);
        kept.sent_data(3);
        kept.sent("/msg #a one");
        kept.sent_data(1);
        kept.sent("/msg #a two");
        // Of the five lines four have come.
        let again = ["/msg #a one", "/msg #a two"].map(str::to_owned).to_vec();
        assert_eq!(take_up(&mut kept, "2", 6, "- upload 7 4000"), (again, Some((FileId(7), 4_000))));
        kept.sent_data(2);
        kept.sent("/msg #a three");
        assert_eq!(hear(&mut kept, &["+ msg #a", "! ? no-upload x", "+ msg #a"]), 3);
        assert_eq!(take_up(&mut kept, "5", 10, ""), (vec!["/msg #a three".to_owned()], None));
        // A reply tells that all before it was carried out, too.
        kept.sent_data(5);
        kept.sent("/ping");
        assert_eq!(hear(&mut kept, &["+ msg #a", "+ ping"]), 2);
        assert_eq!((kept.had, kept.sent.len()), (17, 0));
    }

    #[test]
    fn the_server_is_told_what_has_come_long_before_it_lets_go_of_that() {
        let mut kept = kept();
        let text = "x".repeat(100);
        let line = format!("#a <bob> {text}");
        let mut come = 0;
        while kept.poll_line().is_none() {
            assert_eq!(hear(&mut kept, &[&line]), 1);
            come += 1;
            assert!(come * line.len() <= CONFIRM + line.len());
        }
        let confirmed = kept.lines;
        // Not again before that is answered; and the answer does not count.
        hear(&mut kept, &[&*line; 1_000]);
        assert_eq!(kept.poll_line(), None);
        assert_eq!(hear(&mut kept, &[KEEP]), 0);
        assert_eq!(kept.poll_line(), Some(format!("/keep {}", confirmed + 1_000)));
        // Nor is it forgotten where the answer is lost.
        take_up(&mut kept, &(confirmed + 1_000).to_string(), 0, "");
        assert_eq!(kept.poll_line(), Some(format!("/keep {}", confirmed + 1_000)));
        assert_eq!(hear(&mut kept, &[KEEP]), 0);
        assert_eq!(kept.poll_line(), None);
        // File data is held nowhere.
        let data = ServerLine::parse("=7 aGVsbG8=");
        (0..100_000).for_each(|_| drop(kept.told(&data, 0)));
        assert_eq!((kept.poll_line(), kept.lines), (None, confirmed + 101_000));
    }

    #[test]
    fn where_the_place_is_gone_one_is_greeted_anew() {
        for refusal in ["! resume gone x", "! resume usage x", "! ? unknown-command x"] {
            let mut kept = kept();
            kept.sent("/msg #a one");
            hear(&mut kept, &["#a <bob> hi"]);
            kept.lost();
            // Several tries may fail, and what comes without an answer tells nothing.
            kept.connected();
            assert_eq!(hear(&mut kept, &["* bye full x"]), 0);
            assert_eq!(kept.lost(), Some(Duration::from_secs(60)));
            assert_eq!(kept.connected(), Some(format!("{RESUME} 1")));
            let greeting = ["* hello guest7 x 2 online", "* motd hi"];
            assert_eq!(hear(&mut kept, &greeting), 0);
            let told = kept.told(&ServerLine::parse(refusal), 0);
            assert_eq!(told, Told::Gone(greeting.map(str::to_owned).to_vec()));
            // And one begins with another place.
            assert_eq!(hear(&mut kept, &greeting), 2);
            assert_eq!(kept.poll_line().as_deref(), Some("/keep 0"));
            assert!(kept.sent.is_empty());
        }
    }

    #[test]
    fn a_place_goes_with_the_name_and_another_is_asked_for() {
        for last in ["+ drop guest7", "* nick guest7 alice was given up; x"] {
            let mut kept = kept();
            kept.sent("/msg #a one");
            assert_eq!(hear(&mut kept, &["+ who 1 1", last, "#a <bob> hi"]), 3);
            assert_eq!((kept.poll_line().as_deref(), kept.sent.len()), (Some("/keep 0"), 0));
            kept.sent("/msg #a two");
            // What was said before that has its answer first.
            assert_eq!(hear(&mut kept, &["+ msg #a", KEEP, "#a <bob> hi"]), 2);
            assert_eq!(take_up(&mut kept, "1", 0, "").0, ["/msg #a two"]);
        }
        // The server may still have been told how much had come.
        let mut kept = kept();
        let line = format!("#a <bob> {}", "x".repeat(CONFIRM));
        assert_eq!(hear(&mut kept, &[&line]), 1);
        assert!(kept.poll_line().is_some());
        assert_eq!(hear(&mut kept, &["* nick guest7 alice was given up; x"]), 1);
        assert_eq!(kept.poll_line(), None);
        assert_eq!(hear(&mut kept, &["! keep usage x"]), 0);
        assert_eq!(kept.poll_line().as_deref(), Some("/keep 0"));
        assert_eq!(hear(&mut kept, &[KEEP]), 0);
        assert!(kept.lost().is_some());
    }

    #[test]
    fn no_greeting_fills_the_memory() {
        let mut kept = kept();
        kept.lost();
        kept.connected();
        let line = format!("* motd {}", "x".repeat(4_000));
        hear(&mut kept, &[&*line; 1_000]);
        let Told::Gone(greeting) = kept.told(&ServerLine::parse("! resume gone x"), 0) else { panic!() };
        assert!(greeting.len() < 20, "{}", greeting.len());
    }

    #[test]
    fn an_older_server_is_not_asked_twice_and_keeps_nothing() {
        for refusal in ["! ? unknown-command /keep: no such command", "! keep refused x"] {
            let mut kept = Kept::default();
            for _ in 0..2 {
                hear(&mut kept, &["* hello guest1 x 1 online"]);
                assert_eq!(kept.poll_line().as_deref(), Some("/keep 0"));
                kept.sent("/who");
                // What was asked before that is answered before.
                assert_eq!(hear(&mut kept, &["+ ping", "! ? too-long x", refusal, "+ who 1 1", "#a <bob> hi"]), 4);
                kept.sent("/nope");
                assert_eq!(hear(&mut kept, &["! ? unknown-command /nope"]), 1);
                assert_eq!((kept.poll_line(), kept.sent.len(), kept.lost()), (None, 0, None));
                assert_eq!(kept.connected(), None);
            }
        }
    }

    #[test]
    fn who_leaves_and_whose_server_ends_have_no_place() {
        for last in ["+ quit", "* bye shutdown x"] {
            let mut kept = kept();
            assert_eq!(hear(&mut kept, &[last]), 1);
            assert_eq!(kept.lost(), None);
        }
        let mut kept = kept();
        hear(&mut kept, &["* bye too-slow x"]);
        assert!(kept.lost().is_some());
    }
}

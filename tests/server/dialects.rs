//! A second dialect, of JSON lines: those who speak it sit in one room with those who speak the line protocol.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use chinwag::dialect::{Dialect, PLAIN};
use chinwag::event::{Bye, Detail, Done, Event, Fault, Happening, Reply, SaidKind, Verb};
use chinwag::home::Home;
use chinwag::linebuf::Line;
use chinwag::listener::Carrier;
use chinwag::names::{FileId, KeptNick, Nick, RoomName};
use chinwag::plain::Style;
use chinwag::reactor::{Door, Reactor};
use chinwag::request::{BadChunk, Named, Offer, Request, Target};
use chinwag::scrape::Monitors;
use chinwag::settings::Settings;
use testkit::Client;

/// Requests such as `{"do":"say","to":"#a","text":"hello"}`. Texts have no escapes on the way in.
struct Json;

static JSON: Json = Json;
/// How often something said was spelled.
static SPELLED: AtomicUsize = AtomicUsize::new(0);

/// The text of a field.
fn text<'a>(line: &'a str, field: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("\"{field}\":\""))?;
    rest.split('"').next()
}

/// The number of a field.
fn number(line: &str, field: &str) -> Option<u64> {
    let (_, rest) = line.split_once(&format!("\"{field}\":"))?;
    rest.split([',', '}']).next()?.parse().ok()
}

fn target(typed: &str) -> Target<'_> {
    match typed.strip_prefix('#') {
        Some(_) => Target::Room(Named { typed, name: RoomName::new(typed) }),
        None => Target::Person(Named { typed, name: Nick::new(typed) }),
    }
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t"))
}

fn request(line: &str) -> Option<Request<'_>> {
    Some(match text(line, "do")? {
        "nick" => {
            let typed = text(line, "nick")?;
            Request::Nick(Named { typed, name: Nick::new(typed) })
        }
        "join" => {
            let typed = text(line, "room")?;
            Request::Join { room: Named { typed, name: RoomName::new(typed) }, key: None }
        }
        "say" => Request::Msg { target: target(text(line, "to")?), kind: SaidKind::Text, text: text(line, "text")? },
        "send" => Request::Send(Offer {
            target: target(text(line, "to")?),
            size: number(line, "size")?,
            digest: None,
            name: text(line, "name")?,
        }),
        "chunk" => Request::Chunk(unhex(text(line, "hex")?).ok_or(BadChunk::Malformed)),
        "get" => Request::Get { id: FileId(number(line, "file")?), offset: 0 },
        "who" => Request::Who(None),
        _ => return None,
    })
}

impl Dialect for Json {
    fn parse<'a>(&self, _: &Line<'a>, text: &'a str) -> Option<Request<'a>> {
        let unknown = || Request::Malformed { verb: Verb::Unknown, why: Fault::Usage(Verb::Unknown) };
        (!text.is_empty()).then(|| request(text).unwrap_or_else(unknown))
    }

    fn rejects(&self, _: &Line<'_>) -> Option<Bye> {
        None
    }

    fn event(&self, out: &mut String, event: &Event, _: Style) {
        let line = match event {
            Event::Hello { nick, .. } => format!("\"hello\":\"{nick}\""),
            Event::Said { place, from, text, .. } => {
                SPELLED.fetch_add(1, Ordering::Relaxed);
                format!("\"said\":{},\"in\":\"{place}\",\"by\":\"{from}\"", quoted(text.as_str()))
            }
            Event::Happened { place, who, what: Happening::File { id, size, name }, .. } => {
                let name = quoted(name.as_str());
                format!("\"file\":{id},\"size\":{size},\"name\":{name},\"in\":\"{place}\",\"by\":\"{who}\"")
            }
            Event::Happened { place, who, what: Happening::Joined, .. } => {
                format!("\"joined\":\"{place}\",\"by\":\"{who}\"")
            }
            Event::Presence { version, gone, came } => {
                let [gone, came] = [gone, came].map(|names| names.iter().map(KeptNick::as_str).collect::<Vec<_>>());
                format!("\"presence\":{version},\"gone\":{gone:?},\"came\":{came:?}")
            }
            Event::Whole { file, size, digest } => format!("\"whole\":{file},\"size\":{size},\"digest\":\"{digest}\""),
            Event::Bye(_) => "\"bye\":true".to_owned(),
            _ => "\"news\":true".to_owned(),
        };
        writeln!(out, "{{{line}}}").unwrap();
    }

    fn detail(&self, out: &mut String, detail: &Detail, _: Style) {
        let line = match detail {
            Detail::Who { nick, .. } => format!("\"who\":\"{nick}\""),
            _ => "\"detail\":true".to_owned(),
        };
        writeln!(out, "{{{line}}}").unwrap();
    }

    fn reply(&self, out: &mut String, reply: &Reply, _: Style) {
        let line = match reply {
            Reply::Done(Done::Send { id, offset }) => format!("\"send\":{id},\"offset\":{offset}"),
            Reply::Done(Done::Get { id, size, .. }) => format!("\"get\":{id},\"size\":{size}"),
            Reply::Done(_) => "\"done\":true".to_owned(),
            Reply::Refused { verb, .. } => format!("\"refused\":\"{verb:?}\""),
        };
        writeln!(out, "{{{line}}}").unwrap();
    }

    fn data(&self, out: &mut Vec<u8>, file: FileId, offset: u64, data: &[u8], _: Style) {
        *out = format!("{{\"data\":{file},\"offset\":{offset},\"hex\":\"{}\"}}\n", hex(data)).into_bytes();
    }

    fn is_of_file(&self, line: &[u8], file: FileId) -> bool {
        ["data", "whole"].iter().any(|name| line.starts_with(format!("{{\"{name}\":{file},").as_bytes()))
    }
}

#[test]
fn people_of_two_dialects_share_a_room() {
    let (tell, told) = mpsc::channel();
    let ends = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&ends);
    let server = thread::spawn(move || {
        let listens = |dialect| Door { dialect, addresses: vec![((Ipv4Addr::LOCALHOST, 0).into(), Carrier::Plain)] };
        let doors = [listens(&PLAIN as &'static dyn Dialect), listens(&JSON)];
        let reader = Box::new(|| Err("nobody asks for a reload".to_owned()));
        let mut reactor =
            Reactor::open(&doors, Monitors::default(), None, Home::temporary().unwrap(), Settings::default(), reader)
                .unwrap();
        tell.send(reactor.addresses().unwrap().into_iter().map(|(address, _)| address).collect::<Vec<_>>()).unwrap();
        // Somebody who goes wakes it.
        while !asked.load(Ordering::Acquire) && reactor.turn().unwrap() {}
    });
    let addresses = told.recv().unwrap();
    let connect = |at: usize| Client::new(TcpStream::connect(addresses[at]).unwrap());

    let mut alice = connect(0);
    alice.starting("* hello ");
    alice.ask("/nick alice", "+ nick alice");
    alice.send("/join #a");
    alice.until_starting("+ join #a 1");
    let mut bots: Vec<Client> = (0..3).map(|_| connect(1)).collect();
    for (bot, name) in bots.iter_mut().zip(["bob", "cyd", "dee"]) {
        bot.starting("{\"hello\":\"guest");
        bot.ask(&format!("{{\"do\":\"nick\",\"nick\":\"{name}\"}}"), "{\"done\":true}");
        bot.send("{\"do\":\"join\",\"room\":\"#a\"}");
        bot.until("{\"done\":true}");
        alice.until(&format!("#a * {name} joined"));
    }
    // They see each other come, whoever speaks what.
    alice.until_starting("* presence ");
    assert!(bots[0].until_starting("{\"presence\":").pop().is_some_and(|line| line.contains("bob")));
    bots[1].send("{\"do\":\"who\"}");
    let names = bots[1].until("{\"done\":true}");
    assert!(["alice", "bob", "cyd", "dee"].iter().all(|name| names.contains(&format!("{{\"who\":\"{name}\"}}"))));

    // What one says all hear, and it is spelled once for all of a dialect.
    let before = SPELLED.load(Ordering::Relaxed);
    alice.ask("/msg #a say \"hi\"", "+ msg #a");
    for bot in &mut bots {
        bot.until("{\"said\":\"say \\\"hi\\\"\",\"in\":\"#a\",\"by\":\"alice\"}");
    }
    assert_eq!(SPELLED.load(Ordering::Relaxed) - before, 1);
    bots[0].send("{\"do\":\"say\",\"to\":\"#a\",\"text\":\"hello\"}");
    alice.until("#a <bob> hello");
    bots[2].until("{\"said\":\"hello\",\"in\":\"#a\",\"by\":\"bob\"}");
    bots[0].send("{\"do\":\"say\",\"to\":\"alice\",\"text\":\"psst\"}");
    alice.until("@bob <bob> psst");
    bots[1].send("{\"do\":\"dance\"}");
    bots[1].until("{\"refused\":\"Unknown\"}");

    // A file of each is the other's.
    bots[0].send("{\"do\":\"send\",\"to\":\"#a\",\"size\":5,\"name\":\"x.txt\"}");
    bots[0].until("{\"send\":1,\"offset\":0}");
    bots[0].send("{\"do\":\"chunk\",\"hex\":\"68656c6c6f\"}");
    alice.until("#a * bob file 1 5 x.txt");
    alice.send("/get 1");
    alice.until("=1 aGVsbG8=");
    alice.until_starting("=1 . 5 sha256:2cf24dba5fb0a30e");
    alice.send("/send #a 5 y.txt\n=aGVsbG8=");
    bots[1].until("{\"file\":2,\"size\":5,\"name\":\"y.txt\",\"in\":\"#a\",\"by\":\"alice\"}");
    bots[1].send("{\"do\":\"get\",\"file\":2}");
    bots[1].until("{\"data\":2,\"offset\":0,\"hex\":\"68656c6c6f\"}");
    bots[1].until_starting("{\"whole\":2,\"size\":5,\"digest\":\"sha256:2cf24dba5fb0a30e");

    ends.store(true, Ordering::Release);
    drop(bots);
    server.join().unwrap();
}

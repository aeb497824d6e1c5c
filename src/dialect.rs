//! The languages that connections speak: how lines become requests, and how facts become lines.

use crate::event::{Bye, Detail, Event, Reply};
use crate::linebuf::Line;
use crate::names::FileId;
use crate::plain::{self, Style};
use crate::request::Request;

/// A language that people and programs speak over a connection. It has no state of its own: what differs between two
/// connections of one dialect is their [`Style`].
pub trait Dialect {
    /// What is wanted by a line; `None` for one that means nothing. `text` is the line made safe to show, and empty for a line
    /// that is no text.
    fn parse<'a>(&self, line: &Line<'a>, text: &'a str) -> Option<Request<'a>>;

    /// Why a connection that begins with this line is closed unheard, if it speaks something else.
    fn rejects(&self, first: &Line<'_>) -> Option<Bye>;

    /// Encodes an event with its line end, behind what is in `out`.
    fn event(&self, out: &mut String, event: &Event, style: Style);

    /// Encodes a detail of the reply that comes next, in as many lines as it needs, behind what is in `out`.
    fn detail(&self, out: &mut String, detail: &Detail, style: Style);

    /// Encodes a reply with its line end, behind what is in `out`.
    fn reply(&self, out: &mut String, reply: &Reply, style: Style);

    /// Encodes the bytes of a file that begin at `offset`, in whole lines and in place of what is in `out`.
    fn data(&self, out: &mut Vec<u8>, file: FileId, offset: u64, data: &[u8], style: Style);

    /// Whether a line that it encoded brings data of this file, or its end.
    fn is_of_file(&self, line: &[u8], file: FileId) -> bool;
}

/// The line protocol.
pub static PLAIN: Plain = Plain;

/// The line protocol, for people with `nc` and for bots.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Dialect for Plain {
    fn parse<'a>(&self, line: &Line<'a>, text: &'a str) -> Option<Request<'a>> {
        plain::parse(line, text)
    }

    fn rejects(&self, first: &Line<'_>) -> Option<Bye> {
        plain::rejects(first)
    }

    fn event(&self, out: &mut String, event: &Event, style: Style) {
        plain::event(out, event, style);
    }

    fn detail(&self, out: &mut String, detail: &Detail, style: Style) {
        plain::detail(out, detail, style);
    }

    fn reply(&self, out: &mut String, reply: &Reply, style: Style) {
        plain::reply(out, reply, style);
    }

    fn data(&self, out: &mut Vec<u8>, file: FileId, offset: u64, data: &[u8], style: Style) {
        plain::data(out, file, offset, data, style);
    }

    fn is_of_file(&self, line: &[u8], file: FileId) -> bool {
        plain::is_of_file(line, file)
    }
}
